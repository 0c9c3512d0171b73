// Package e2e runs the operator end to end: on a real control plane with KWOK's nodes, as its own ServiceAccount, over
// what real installs consist of.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane and the operator that all tests of the package share.
var env struct {
	*cluster.Cluster
	operator *cluster.Operator
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c, err := cluster.Start("--audit")
	if err != nil {
		return 1, err
	}
	defer c.Stop()
	env.Cluster = c
	if err := c.Install(ctx); err != nil {
		return 1, fmt.Errorf("installing the operator: %w", err)
	}
	env.operator, err = c.Run(ctx, "--leader-elect", "--leader-election-namespace", cluster.Namespace)
	if err != nil {
		return 1, err
	}
	defer env.operator.Stop()
	code := m.Run()
	if code != 0 {
		if log, err := os.ReadFile(env.operator.Log); err == nil {
			const tail = 8000
			fmt.Fprintf(os.Stderr, "the operator said at last:\n%s\n", log[max(0, len(log)-tail):])
		}
	}
	return code, nil
}
