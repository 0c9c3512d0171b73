package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress tells the user, on standard error, what is going on and since when.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	start    time.Time
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, start: time.Now()}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// printf writes one line with the time since the start.
func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "[%5.1fs] %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

// ticking repeats a line with the elapsed seconds until stop is called: in
// place on a terminal, as a line every 15 seconds elsewhere, so that a log
// shows life without being flooded.
func (p *progress) ticking(text func() string) (stop func()) {
	interval := 15 * time.Second
	if p.terminal {
		interval = time.Second
	} else {
		p.printf("%s", text())
	}
	start := time.Now()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			if p.terminal {
				p.mu.Lock()
				fmt.Fprintf(p.out, "\r\033[K%s (%.0fs)", truncate(text(), 100), time.Since(start).Seconds())
				p.mu.Unlock()
			}
			select {
			case <-done:
				if p.terminal {
					p.mu.Lock()
					fmt.Fprint(p.out, "\r\033[K")
					p.mu.Unlock()
				}
				return
			case <-ticker.C:
				if !p.terminal {
					p.printf("%s (%.0fs)", text(), time.Since(start).Seconds())
				}
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
}

// truncate keeps a line that is rewritten in place from wrapping.
func truncate(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}
