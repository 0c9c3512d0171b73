// Package security holds the operator to what SECURITY.md promises: what it may do and what it does, by the API server's own
// authorizer, admission and audit log; who may read its metrics; what its probes say; and what authors who
// mean harm come to.
package security

import (
	"context"
	"path/filepath"
	"testing"
	"time"

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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until nothing is left to say against it.
func eventually(t *testing.T, what string, lacks func() string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if last = lacks(); last == "" {
			return
		}
	}
	t.Fatalf("it never came to be that %s: %s", what, last)
}
