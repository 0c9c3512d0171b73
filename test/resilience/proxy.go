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

// wire is a TCP proxy before an API server: the network that is cut, hangs and is slow.
type wire struct {
	target string

	mu       sync.Mutex
	listener net.Listener
	changed  *sync.Cond
	left     bool // nobody listens
	refuse   bool
	hang     bool
	delay    time.Duration
	conns    map[net.Conn]bool
}

// newWire listens before a target, which is host:port.
func newWire(target string) (*wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: listener, target: target, conns: map[net.Conn]bool{}}
	w.changed = sync.NewCond(&w.mu)
	go w.serve(listener)
	return w, nil
}

func (w *wire) address() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.listener.Addr().String()
}

func (w *wire) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go w.join(conn)
	}
}

// join copies both ways until one side ends.
func (w *wire) join(client net.Conn) {
	defer client.Close() //nolint:errcheck // nothing is lost
	if !w.register(client) {
		reset(client)
		return
	}
	defer w.forget(client)
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		reset(client)
		return
	}
	defer server.Close() //nolint:errcheck // nothing is lost
	if !w.register(server) {
		return
	}
	defer w.forget(server)
	done := make(chan struct{}, 2)
	for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			w.copy(ends[0], ends[1])
			done <- struct{}{}
		}()
	}
	<-done
}

func (w *wire) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		w.mu.Lock()
		for w.hang {
			w.changed.Wait()
		}
		delay := w.delay
		w.mu.Unlock()
		time.Sleep(delay)
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// register keeps a connection, so that it can be cut; false where connections are refused.
func (w *wire) register(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse {
		return false
	}
	w.conns[conn] = true
	return true
}

func (w *wire) forget(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
}

// drop cuts all connections; new ones are possible.
func (w *wire) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		reset(conn)
	}
}

// cut cuts all connections, and refuses new ones until mend.
func (w *wire) cut() {
	w.mu.Lock()
	w.refuse = true
	w.mu.Unlock()
	w.drop()
}

// leave cuts all connections and has nobody listen until mend, as where an API server is not running.
func (w *wire) leave() error {
	w.mu.Lock()
	w.left = true
	err := w.listener.Close()
	w.mu.Unlock()
	w.drop()
	return err
}

// stall lets nothing through, in either direction, and keeps connections and makes new ones: a black hole.
func (w *wire) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hang = true
}

// slow has every packet take longer, each way.
func (w *wire) slow(delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = delay
}

// mend ends all faults. What was held back arrives.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse, w.hang, w.delay = false, false, 0
	w.changed.Broadcast()
	if w.left {
		listener, err := net.Listen("tcp", w.listener.Addr().String())
		if err != nil {
			panic(err) // the port was the test's own a moment ago
		}
		w.left, w.listener = false, listener
		go w.serve(listener)
	}
}

func (w *wire) close() {
	w.mend()
	w.mu.Lock()
	_ = w.listener.Close()
	w.mu.Unlock()
	w.drop()
}

// reset ends a connection as a firewall does, without a word.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// fault is what becomes of requests that match.
type fault struct {
	// path is a part of the path or query of the requests that it is about; method and watch narrow it down.
	path, method string
	// watch is about watches alone, list about everything else.
	watch, list bool
	// status is what is answered in place of the API server's answer, with Retry-After where it is given.
	status     int
	retryAfter string
	// hang leaves the request without an answer; mute answers a watch, and has it say nothing.
	hang, mute bool
	// expired answers a watch with an event that says that its resource version is too old.
	expired bool
}

func (f fault) concerns(r *http.Request) bool {
	watching := r.URL.Query().Get("watch") == "true"
	return strings.Contains(r.URL.RequestURI(), f.path) && (f.method == "" || f.method == r.Method) &&
		(!f.watch || watching) && (!f.list || !watching)
}

// door is a proxy before an API server that sees what is asked: it answers some requests itself, and ends watches.
type door struct {
	server    *http.Server
	listener  net.Listener
	authority []byte // PEM of the certificate that it shows

	mu      sync.Mutex
	faults  map[string]fault
	watches map[*http.Request]func()
	cleared chan struct{}
	seen    int
}

// newDoor listens before an API server that is reached by a configuration. Who asks brings a token of his own.
func newDoor(behind *rest.Config) (*door, error) {
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
	d := &door{authority: authority, faults: map[string]fault{}, watches: map[*http.Request]func(){}, cleared: make(chan struct{})}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // connections that break off are what the tests are about
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	d.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.handle(w, r, proxy) }),
	}
	if d.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go func() { _ = d.server.ServeTLS(d.listener, "", "") }()
	return d, nil
}

func (d *door) url() string { return "https://" + d.listener.Addr().String() }

func (d *door) close() { _ = d.server.Close() }

func (d *door) handle(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	d.mu.Lock()
	var found *fault
	for _, f := range d.faults {
		if f.concerns(r) {
			found = &f
			d.seen++
			break
		}
	}
	cleared := d.cleared
	d.mu.Unlock()
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
	case found.mute:
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
	d.mu.Lock()
	d.watches[r] = cancel
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.watches, r)
		d.mu.Unlock()
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

// set has a fault take effect, and ends the watches that it is about. clear ends it.
func (d *door) set(name string, f fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[name] = f
	for r, end := range d.watches {
		if f.concerns(r) {
			end()
		}
	}
}

func (d *door) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = map[string]fault{}
	close(d.cleared) // who hangs goes on, and ends
	d.cleared = make(chan struct{})
}

// met is how many requests met a fault.
func (d *door) met() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen
}

// endWatches ends the watches whose path or query holds a text, and returns how many.
func (d *door) endWatches(part string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for r, end := range d.watches {
		if strings.Contains(r.URL.RequestURI(), part) {
			end()
			n++
		}
	}
	return n
}

// open is how many watches are open of each resource, by the path that is watched.
func (d *door) open() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := map[string]int{}
	for r := range d.watches {
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
