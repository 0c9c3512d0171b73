// Package hostile holds what is installed against authors who mean harm, on a real control plane: what a tenant writes reads
// nothing that the tenant may not.
package hostile

import (
	"context"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane that all tests of the package share, with everything installed but no operator running.
var env struct{ *cluster.Cluster }

func TestMain(m *testing.M) {
	cluster.Main(m, nil, func(_ context.Context, c *cluster.Cluster) (func(bool), error) {
		env.Cluster = c
		return nil, nil
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventuallyTrue waits for what may take its time on a busy machine.
func eventuallyTrue(t *testing.T, what string, met func() bool) time.Duration {
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
