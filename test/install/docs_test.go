package install

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestDocumentedCommands runs the kubectl commands of the pages, one after the other, on a cluster that has what they
// presuppose: the Prometheus Operator's kinds, Argo CD's ConfigMap, and a profile that conforms.
func TestDocumentedCommands(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := cluster.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	kubectl := func(args ...string) {
		t.Helper()
		if out, err := c.Kubectl(ctx, args...); err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if _, err := c.Apply(ctx, monitoringCRDs(), "default"); err != nil {
		t.Fatal(err)
	}
	kubectl("create", "namespace", "argocd")
	kubectl("-n", "argocd", "create", "configmap", "argocd-cm", "--from-literal=url=https://argocd.example.com")
	manifest := filepath.Join(released(t, "install-manifest", "v1.2.3"), "install.yaml")
	run := 0
	for _, page := range []string{"install.md", "alerting.md", "gitops.md"} {
		for _, line := range kubectlLines(t, page) {
			line = strings.NewReplacer("dist/install.yaml", manifest, "platformprofile/NAME", "platformprofile/minimal").Replace(line)
			if strings.HasPrefix(line, "kubectl wait ") {
				kubectl("patch", "platformprofile", "minimal", "--subresource=status", "--type=merge", "-p",
					`{"status":{"conditions":[{"type":"Conformant","status":"True","reason":"AllRequirementsHold","message":"","lastTransitionTime":"2027-01-01T00:00:00Z"}]}}`)
			}
			kubectl(strings.Fields(line)[1:]...)
			run++
		}
	}
	if run < 7 {
		t.Errorf("only %d commands were found", run)
	}
	out, err := c.Kubectl(ctx, "-n", "argocd", "get", "configmap", "argocd-cm", "-o", "jsonpath={.data}")
	if err != nil || !strings.Contains(out, "argocd.example.com") || !strings.Contains(out, "health.platformprofile.dev_PlatformProfile") {
		t.Errorf("the patch did not merge: %v %s", err, out)
	}
}

// kubectlLines are the kubectl commands in a page's blocks; those that remove things have a test of their own, together
// with helm's.
func kubectlLines(t *testing.T, page string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, match := range block.FindAllStringSubmatch(string(data), -1) {
		for line := range strings.Lines(match[1]) {
			if strings.HasPrefix(line, "kubectl ") && !strings.HasPrefix(line, "kubectl delete ") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}
