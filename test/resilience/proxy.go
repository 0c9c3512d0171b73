package resilience

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// tcpProxy is a TCP proxy in front of an API server. It plays the faults of a network.
type tcpProxy struct {
	target string

	mu        sync.Mutex
	listener  net.Listener
	changed   *sync.Cond
	closed    bool // nobody listens
	rejecting bool
	stalled   bool
	delay     time.Duration
	conns     map[net.Conn]bool
}

// newTCPProxy starts a proxy in front of a target, which is host:port.
func newTCPProxy(target string) (*tcpProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &tcpProxy{listener: listener, target: target, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	go p.serve(listener)
	return p, nil
}

func (p *tcpProxy) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listener.Addr().String()
}

func (p *tcpProxy) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go p.handle(conn)
	}
}

// handle copies both ways until one side ends.
func (p *tcpProxy) handle(client net.Conn) {
	defer client.Close() //nolint:errcheck // nothing is lost
	if !p.register(client) {
		resetConnection(client)
		return
	}
	defer p.unregister(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		resetConnection(client)
		return
	}
	defer server.Close() //nolint:errcheck // nothing is lost
	if !p.register(server) {
		return
	}
	defer p.unregister(server)
	done := make(chan struct{}, 2)
	for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			p.copy(ends[0], ends[1])
			done <- struct{}{}
		}()
	}
	<-done
}

func (p *tcpProxy) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.stalled {
			p.changed.Wait()
		}
		delay := p.delay
		p.mu.Unlock()
		time.Sleep(delay)
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// register adds a connection, so that it can be cut. It returns false while connections are rejected.
func (p *tcpProxy) register(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rejecting {
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *tcpProxy) unregister(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// connections returns how many connections are open.
func (p *tcpProxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// dropConnections cuts all connections; new ones are possible.
func (p *tcpProxy) dropConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		resetConnection(conn)
	}
}

// reject cuts all connections, and rejects new ones until restore.
func (p *tcpProxy) reject() {
	p.mu.Lock()
	p.rejecting = true
	p.mu.Unlock()
	p.dropConnections()
}

// stopListening cuts all connections and closes the listener until restore, as if the API server did not run.
func (p *tcpProxy) stopListening() error {
	p.mu.Lock()
	p.closed = true
	err := p.listener.Close()
	p.mu.Unlock()
	p.dropConnections()
	return err
}

// blackhole accepts connections and passes nothing on, in either direction.
func (p *tcpProxy) blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

// delayPackets delays every packet, each way.
func (p *tcpProxy) delayPackets(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// restore ends all faults. What was held back arrives.
func (p *tcpProxy) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejecting, p.stalled, p.delay = false, false, 0
	p.changed.Broadcast()
	if p.closed {
		listener, err := net.Listen("tcp", p.listener.Addr().String())
		if err != nil {
			panic(err) // the port was the test's own a moment ago
		}
		p.closed, p.listener = false, listener
		go p.serve(listener)
	}
}

func (p *tcpProxy) close() {
	p.restore()
	p.mu.Lock()
	_ = p.listener.Close()
	p.mu.Unlock()
	p.dropConnections()
}

// resetConnection ends a connection without a FIN, as a firewall does.
func resetConnection(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// fault replaces the answers to the requests that match it.
type fault struct {
	// path is a part of the path or query of the requests that it is about; method and watch narrow it down.
	path, method string
	// watch is about watches alone, list about everything else.
	watch, list bool
	// status is what is answered in place of the API server's answer, with Retry-After where it is given.
	status     int
	retryAfter string
	// hang leaves the request without an answer; silent answers a watch and sends no events.
	hang, silent bool
	// expired answers a watch with an error event: its resource version is too old.
	expired bool
}

func (f fault) matches(r *http.Request) bool {
	watching := r.URL.Query().Get("watch") == "true"
	return strings.Contains(r.URL.RequestURI(), f.path) && (f.method == "" || f.method == r.Method) &&
		(!f.watch || watching) && (!f.list || !watching)
}

// apiProxy is an HTTP proxy in front of an API server. It answers some requests itself, and ends watches.
type apiProxy struct {
	server    *http.Server
	listener  net.Listener
	authority []byte // PEM of its serving certificate

	mu      sync.Mutex
	faults  map[string]fault
	watches map[*http.Request]func()
	cleared chan struct{}
	matched int
}

// newAPIProxy starts a proxy in front of the API server of a configuration. Clients bring their own tokens.
func newAPIProxy(behind *rest.Config) (*apiProxy, error) {
	target, err := url.Parse(behind.Host)
	if err != nil {
		return nil, err
	}
	anonymous := rest.AnonymousClientConfig(behind)
	transport, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, err
	}
	certificate, authority, err := selfSigned()
	if err != nil {
		return nil, err
	}
	p := &apiProxy{authority: authority, faults: map[string]fault{}, watches: map[*http.Request]func(){}, cleared: make(chan struct{})}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // connections that break off are what the tests are about
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.handle(w, r, proxy) }),
	}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go func() { _ = p.server.ServeTLS(p.listener, "", "") }()
	return p, nil
}

func (p *apiProxy) url() string { return "https://" + p.listener.Addr().String() }

func (p *apiProxy) close() { _ = p.server.Close() }

func (p *apiProxy) handle(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	p.mu.Lock()
	var found *fault
	for _, f := range p.faults {
		if f.matches(r) {
			found = &f
			p.matched++
			break
		}
	}
	cleared := p.cleared
	p.mu.Unlock()
	watching := r.URL.Query().Get("watch") == "true"
	switch {
	case found == nil:
	case found.hang:
		select {
		case <-r.Context().Done():
		case <-cleared:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return
	case found.silent:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-cleared:
		}
		return
	case found.expired:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}`+"\n")
		return
	default:
		if found.retryAfter != "" {
			w.Header().Set("Retry-After", found.retryAfter)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(found.status)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"a fault of the test","reason":%q,"code":%d}`, reasonOf(found.status), found.status)
		return
	}
	if !watching {
		proxy.ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	p.mu.Lock()
	p.watches[r] = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.watches, r)
		p.mu.Unlock()
		_ = recover() // a proxy panics to cut off an answer that has begun; here the answer just ends
	}()
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

func reasonOf(status int) string {
	switch status {
	case http.StatusForbidden:
		return "Forbidden"
	case http.StatusTooManyRequests:
		return "TooManyRequests"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable"
	}
	return "InternalError"
}

// addFault makes a fault take effect, and ends the watches that match it.
func (p *apiProxy) addFault(name string, f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[name] = f
	for r, end := range p.watches {
		if f.matches(r) {
			end()
		}
	}
}

func (p *apiProxy) clearFaults() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = map[string]fault{}
	close(p.cleared) // who hangs goes on, and ends
	p.cleared = make(chan struct{})
}

// faultCount returns how many requests matched a fault.
func (p *apiProxy) faultCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.matched
}

// endWatches ends the watches whose path or query contains a text, and returns their number.
func (p *apiProxy) endWatches(part string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for r, end := range p.watches {
		if strings.Contains(r.URL.RequestURI(), part) {
			end()
			n++
		}
	}
	return n
}

// openWatches returns the number of open watches by path.
func (p *apiProxy) openWatches() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := map[string]int{}
	for r := range p.watches {
		open[r.URL.Path]++
	}
	return open
}

// selfSigned makes a certificate for the loopback address, which is its own authority.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "faults"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
