package alarm

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane with the operator on it that the tests of this package share.
var env *cluster.Cluster

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "alarm:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := cluster.Start("--without", "kwok", "--without", "scheduler")
	if err != nil {
		return 1, err
	}
	defer c.Stop()
	env = c
	if err := c.Install(ctx); err != nil {
		return 1, fmt.Errorf("installing the operator: %w", err)
	}
	operator, err := c.Run(ctx)
	if err != nil {
		return 1, err
	}
	defer operator.Stop()
	return m.Run(), nil
}
