package resilience

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// ground is a control plane with the operator and the platform installed and no operator running, which one test at a time
// has for itself.
type ground struct {
	*cluster.Cluster
	program string
}

// grounds are those of the package.
var grounds *pool

// pool hands out grounds, and starts them as they are asked for.
type pool struct {
	program string
	slots   chan struct{} // one for each ground that is in use

	mu   sync.Mutex
	free []*ground
}

func newPool(program string, most int) *pool {
	return &pool{program: program, slots: make(chan struct{}, most)}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.free {
		g.Stop()
	}
	p.free = nil
}

// take returns a free ground, the one used last, or a new one.
func (p *pool) take(ctx context.Context) (*ground, error) {
	p.slots <- struct{}{}
	p.mu.Lock()
	if last := len(p.free) - 1; last >= 0 {
		g := p.free[last]
		p.free = p.free[:last]
		p.mu.Unlock()
		return g, nil
	}
	p.mu.Unlock()
	g, err := newGround(ctx, p.program)
	if err != nil {
		<-p.slots
	}
	return g, err
}

// give takes a ground back. One that a test failed on may be in any state, and is stopped.
func (p *pool) give(g *ground, failed bool) {
	if failed {
		g.Stop()
	} else {
		p.mu.Lock()
		p.free = append(p.free, g)
		p.mu.Unlock()
	}
	<-p.slots
}

func newGround(ctx context.Context, program string) (*ground, error) {
	c, err := cluster.Start("--audit", "--nodes", "2")
	if err != nil {
		return nil, err
	}
	g := &ground{Cluster: c, program: program}
	for _, do := range []func(context.Context) error{
		c.Install,
		func(ctx context.Context) error { return c.WriteOperatorConfig(ctx, g.freshConfig()) },
		g.furnish,
	} {
		if err := do(ctx); err != nil {
			c.Stop()
			return nil, fmt.Errorf("installing the operator and what the profile asks for: %w", err)
		}
	}
	return g, nil
}

// enter has a test run beside others, on a ground of its own until it ends.
func enter(t *testing.T) *ground {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	g, err := grounds.take(ctx)
	must(t, err)
	t.Cleanup(func() { grounds.give(g, t.Failed()) })
	return g
}
