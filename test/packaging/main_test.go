// Package packaging holds what is delivered against the programs that take it: the ways to install against each other and
// against a real API server; the image of a release on a real kubelet and containerd; an operator against what another version
// left behind; the health checks against Argo CD's Lua and Flux's CEL; the alerts against promtool, the Prometheus Operator's
// schemas and kube-state-metrics.
package packaging

import (
	"context"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

func TestMain(m *testing.M) {
	cluster.Run(m, func(context.Context) error { return nil })
}

// env is the control plane on which the operator is installed but does not run, and the operator's program.
var env struct {
	*cluster.Cluster
	program string
	started int
}

// needCluster starts env, once for all tests that call it.
var needCluster = cluster.OnDemand(func(ctx context.Context) (err error) {
	if env.Cluster, err = cluster.StartInstalled(ctx, "--nodes", "1"); err != nil {
		return err
	}
	env.program, err = env.Build(ctx)
	return err
})
