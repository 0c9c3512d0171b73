package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// kubectl runs the real kubectl, which finds its plugins on the PATH.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	plugins := filepath.Join(cluster.Root(), "bin", "plugin")
	if _, err := os.Stat(filepath.Join(plugins, "kubectl-platformprofile")); err != nil {
		t.Fatal("the plugin is not built (run 'make plugin'): ", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tools := filepath.Join(cluster.Root(), "bin", "k8s")
	command := exec.CommandContext(ctx, filepath.Join(tools, "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+env.Kubeconfig,
		"PATH="+strings.Join([]string{plugins, tools, os.Getenv("PATH")}, string(os.PathListSeparator)))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestKubectlRunsThePlugin(t *testing.T) {
	if help := kubectl(t, "platformprofile", "check", "--help"); !strings.Contains(help, "kubectl platformprofile check -f profile.yaml") {
		t.Errorf("its help does not say what its user types:\n%s", help)
	}
	if found := kubectl(t, "platformprofile", "discover"); !strings.Contains(found, "kubernetes") {
		t.Errorf("it finds nothing:\n%s", found)
	}
	if words := kubectl(t, "__complete", "platformprofile", "check", "-o", ""); !strings.Contains(words, "sarif") {
		t.Errorf("it is not completed:\n%s", words)
	}
}
