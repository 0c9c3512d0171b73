// Package hostile holds what is installed against authors who mean harm, on a real control plane: what a tenant writes reads
// nothing that the tenant may not.
package hostile

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane that all tests of the package share, with everything installed but no operator running.
var env struct{ *cluster.Cluster }

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := cluster.Start()
	if err != nil {
		return 1, err
	}
	defer c.Stop()
	env.Cluster = c
	if err := c.Install(ctx); err != nil {
		return 1, fmt.Errorf("installing the operator: %w", err)
	}
	return m.Run(), nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what may take its time on a busy machine.
func eventually(t *testing.T, what string, met func() bool) time.Duration {
	t.Helper()
	const patience = 3 * time.Minute
	start := time.Now()
	for time.Since(start) < patience {
		if met() {
			return time.Since(start)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within %s", what, patience)
	return 0
}
