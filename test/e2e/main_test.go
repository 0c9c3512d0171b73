// Package e2e runs the operator end to end: on a real control plane with KWOK's nodes, as its own ServiceAccount, over
// what real installs consist of.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane and the operator that all tests of the package share.
var env struct {
	*cluster.Cluster
	operator *cluster.Operator
}

// createProfile creates a profile and watches it until the test ends.
func createProfile(t *testing.T, name string, layers ...v1alpha1.Layer) *cluster.WatchedProfile {
	t.Helper()
	return env.CreateWatchedProfile(t, cluster.Profile(name, layers...))
}

func TestMain(m *testing.M) {
	cluster.Main(m, []string{"--audit"}, func(ctx context.Context, c *cluster.Cluster) (err error) {
		env.Cluster = c
		env.operator, err = c.Run(ctx, "--leader-elect", "--leader-election-namespace", cluster.Namespace)
		if err != nil {
			return err
		}
		cluster.Cleanup(func(failed bool) {
			env.operator.Stop()
			if output, err := os.ReadFile(env.operator.Log); err == nil && failed {
				const tail = 8000
				fmt.Fprintf(os.Stderr, "the end of the operator's log:\n%s\n", output[max(0, len(output)-tail):])
			}
		})
		return nil
	})
}
