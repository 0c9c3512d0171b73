package alarm

import (
	"context"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane with the operator on it that the tests of this package share.
var env *cluster.Cluster

func TestMain(m *testing.M) {
	cluster.Main(m, []string{"--without", "kwok", "--without", "scheduler"}, func(ctx context.Context, c *cluster.Cluster) (func(bool), error) {
		env = c
		operator, err := c.Run(ctx)
		if err != nil {
			return nil, err
		}
		return func(bool) { operator.Stop() }, nil
	})
}
