// Package faults shows that what the operator says is true while and after what is around it fails: the API server, etcd,
// the network between them, single kinds, CRDs, aggregated APIs. The operator runs as its own process and ServiceAccount on
// a real control plane, behind proxies that the tests own.
package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

var (
	sequences = flag.Int("sequences", 150, "how many random sequences of changes and faults to try on the control plane")
	soak      = flag.Duration("soak", 30*time.Second, "how long to churn while memory, goroutines and watches must stay flat")
)

// env is the control plane that all tests of the package share.
var env struct {
	*cluster.Cluster
	program string
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c, err := cluster.Start("--nodes", "2")
	if err != nil {
		return 1, err
	}
	defer c.Stop()
	env.Cluster = c
	if env.program, err = c.Build(ctx); err != nil {
		return 1, err
	}
	if err := c.Install(ctx); err != nil {
		return 1, fmt.Errorf("installing the operator: %w", err)
	}
	if err := c.WriteOperatorConfig(ctx, freshConfig()); err != nil {
		return 1, err
	}
	if err := furnish(ctx); err != nil {
		return 1, fmt.Errorf("installing what the profile asks for: %w", err)
	}
	return m.Run(), nil
}
