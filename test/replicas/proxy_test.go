package replicas

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a replica and the API server, and can cut the line.
type proxy struct {
	url    string
	target string

	mu    sync.Mutex
	cut   chan struct{} // closed when nothing passes any more
	lines []net.Conn
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	server, err := url.Parse(env.Config.Host)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{url: "https://" + listener.Addr().String(), target: server.Host, cut: make(chan struct{})}
	go func() {
		for {
			line, err := listener.Accept()
			if err != nil {
				return
			}
			go p.join(line)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, line := range p.lines {
			_ = line.Close()
		}
	})
	return p
}

// sever has nothing pass any more, in neither direction. Lines stay open: to both ends it is as if the network swallowed
// every packet.
func (p *proxy) sever() { close(p.cut) }

func (p *proxy) join(line net.Conn) {
	onward, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = line.Close()
		return
	}
	p.mu.Lock()
	p.lines = append(p.lines, line, onward)
	p.mu.Unlock()
	go p.pass(line, onward)
	p.pass(onward, line)
}

func (p *proxy) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-p.cut:
			_, _ = io.Copy(io.Discard, from)
			return
		default:
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}
