package resilience

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// testCluster is a control plane on which the operator and the platform are installed, and no operator runs. One test uses it at a
// time.
type testCluster struct {
	*cluster.Cluster
	program string
}

// pool holds the control planes of the package.
var pool *clusterPool

// clusterPool starts control planes as tests need them, and reuses them.
type clusterPool struct {
	program string
	slots   chan struct{} // an element for each control plane in use

	mu   sync.Mutex
	free []*testCluster
}

func newClusterPool(program string, most int) *clusterPool {
	return &clusterPool{program: program, slots: make(chan struct{}, most)}
}

func (p *clusterPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tc := range p.free {
		tc.Stop()
	}
	p.free = nil
}

// take returns the free control plane that was used last, or a new one.
func (p *clusterPool) take(ctx context.Context) (*testCluster, error) {
	p.slots <- struct{}{}
	p.mu.Lock()
	if last := len(p.free) - 1; last >= 0 {
		tc := p.free[last]
		p.free = p.free[:last]
		p.mu.Unlock()
		return tc, nil
	}
	p.mu.Unlock()
	tc, err := newTestCluster(ctx, p.program)
	if err != nil {
		<-p.slots
	}
	return tc, err
}

// give returns a control plane to the pool. After a failed test its state is unknown, and it is stopped.
func (p *clusterPool) give(tc *testCluster, failed bool) {
	if failed {
		tc.Stop()
	} else {
		p.mu.Lock()
		p.free = append(p.free, tc)
		p.mu.Unlock()
	}
	<-p.slots
}

func newTestCluster(ctx context.Context, program string) (*testCluster, error) {
	c, err := cluster.Start("--audit", "--nodes", "2")
	if err != nil {
		return nil, err
	}
	tc := &testCluster{Cluster: c, program: program}
	for _, do := range []func(context.Context) error{
		c.Install,
		func(ctx context.Context) error { return c.WriteOperatorConfig(ctx, tc.checkKubeconfig()) },
		tc.installPlatform,
	} {
		if err := do(ctx); err != nil {
			c.Stop()
			return nil, fmt.Errorf("installing the operator and what the profile asks for: %w", err)
		}
	}
	return tc, nil
}

// acquireCluster runs a test in parallel with others, on a control plane that it uses alone until it ends.
func acquireCluster(t *testing.T) *testCluster {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	tc, err := pool.take(ctx)
	cluster.Must(t, err)
	t.Cleanup(func() { pool.give(tc, t.Failed()) })
	return tc
}
