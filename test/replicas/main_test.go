// Package replicas runs two operators side by side, as the Deployment does, against a real API server, and takes the one
// that leads away in every way that happens: killed, ended, paused, cut off, replaced. The API server's audit log, the
// events and both replicas' metrics show what became of it.
package replicas

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

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
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute) // building the operator included
	defer cancel()
	c, err := cluster.Start("--audit", "--nodes", "1")
	if err != nil {
		return 1, err
	}
	defer c.Stop()
	env.Cluster = c
	if err := c.Install(ctx); err != nil {
		return 1, fmt.Errorf("installing the operator: %w", err)
	}
	if env.program, err = c.Build(ctx); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
