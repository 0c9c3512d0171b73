// Package security holds the operator to what SECURITY.md promises: what it may do and what it does, by the API server's own
// authorizer, admission and audit log; who may read its metrics; what its probes say.
package security

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "security:", err)
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
	env.certificates = filepath.Join(c.Dir, "certificates")
	if err := writeCertificate(env.certificates, "first.example.com"); err != nil {
		return 1, err
	}
	env.operator, err = c.Run(ctx, "--leader-elect", "--leader-election-namespace", cluster.Namespace,
		"--metrics-insecure=false", "--metrics-cert-dir", env.certificates)
	if err != nil {
		return 1, err
	}
	defer env.operator.Stop()
	return m.Run(), nil
}

// control acts on a component of the control plane, as "controlplane pause kube-apiserver" does.
func control(ctx context.Context, verb, component string) error {
	command := exec.CommandContext(ctx, filepath.Join(cluster.Root(), "bin", "controlplane"), verb, "--dir", filepath.Dir(env.Kubeconfig), component)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("controlplane %s %s: %w: %s", verb, component, err, out)
	}
	return nil
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
