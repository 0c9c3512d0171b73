// Package security holds the operator to what SECURITY.md promises: what it may do and what it does, by the API server's own
// authorizer, admission and audit log; who may read its metrics; what its probes say; and what authors who
// mean harm come to.
package security

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// env is the control plane and the operator that all tests of the package share.
var env struct {
	*cluster.Cluster
	operator *cluster.Operator
	// certificates is the folder that the operator's metrics have their certificate from.
	certificates string
}

func TestMain(m *testing.M) {
	cluster.Main(m, []string{"--audit"}, func(ctx context.Context, c *cluster.Cluster) error {
		env.Cluster = c
		env.certificates = filepath.Join(c.Dir, "certificates")
		err := writeCertificate(env.certificates, "first.example.com")
		if err != nil {
			return err
		}
		if err := runOperator(ctx); err != nil {
			return err
		}
		cluster.Cleanup(func(bool) { env.operator.Stop() })
		return nil
	})
}

// runOperator starts the operator that the tests share.
func runOperator(ctx context.Context) (err error) {
	env.operator, err = env.Run(ctx, "--leader-elect", "--leader-election-namespace", cluster.Namespace,
		"--metrics-insecure=false", "--metrics-cert-dir", env.certificates)
	return err
}
