// Package replicas runs two operators side by side, as the Deployment does, against a real API server, and takes the one
// that leads away in every way that happens: killed, ended, paused, cut off, replaced. The API server's audit log, the
// events and both replicas' metrics show what became of it.
package replicas

import (
	"context"
	"flag"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// rounds is how often the leader is killed just after it wrote.
var rounds = flag.Int("rounds", 3, "how often to kill the leader in the moment that it writes")

// env is the control plane that all tests of the package share, and the operator's program.
var env struct {
	*cluster.Cluster
	program string
}

func TestMain(m *testing.M) {
	cluster.Main(m, []string{"--audit", "--nodes", "1"}, func(ctx context.Context, c *cluster.Cluster) (_ func(bool), err error) {
		env.Cluster = c
		env.program, err = c.Build(ctx)
		return nil, err
	})
}
