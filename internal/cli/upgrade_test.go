package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/upgrade"
)

const oldManifests = `
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: web, namespace: shop}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {nodeInfo: {kubeletVersion: v1.36.1}}
`

func TestUpgradeOfFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(oldManifests), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"table", "wide", "yaml", "html"} {
		code, out, errOut := run("", "upgrade", "--to", "1.37", "--from", file, "-o", format)
		if code != ExitFound || errOut != "" || !strings.Contains(out, "extensions/v1beta1 Ingress") || !strings.Contains(out, file+":1") {
			t.Errorf("%s: exit code %d, %s\n%s", format, code, errOut, out)
		}
	}
	code, out, _ := run("", "upgrade", "--to", "v1.37.2", "--from", file, "-o", "json")
	var plan upgrade.Plan
	if err := json.Unmarshal([]byte(out), &plan); err != nil || code != ExitFound {
		t.Fatalf("exit code %d: %v", code, err)
	}
	if plan.Current != "1.36" || plan.Target != "1.37" || len(plan.Findings) != 1 || plan.Findings[0].Evidence[0].Signal != file+":1" {
		t.Errorf("got %+v", plan)
	}
	for _, test := range []struct{ to, want string }{
		{"", `--to "" is not a version`}, {"next", `--to "next" is not a version`},
	} {
		if code, _, errOut := run("", "upgrade", "--to", test.to, "--from", file); code != ExitError || !strings.Contains(errOut, test.want) {
			t.Errorf("--to %q: exit code %d: %s", test.to, code, errOut)
		}
	}
}

// The saved output of discover, and a folder, compare in the same way.
func TestCompareInventories(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "before.json")
	before := filepath.Join("..", "catalog", "testdata", "installs", "velero", "v1.15.2-install")
	after := filepath.Join("..", "catalog", "testdata", "installs", "metallb", "v0.14.9-native")
	_, out, _ := run("", "discover", "--from", before, "-o", "json")
	if err := os.WriteFile(saved, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, compared := range []string{saved, before} {
		code, out, errOut := run("", "discover", "--from", after, "--compare", compared, "-o", "json")
		var c report.Comparison
		if err := json.Unmarshal([]byte(out), &c); err != nil || code != ExitOK {
			t.Fatalf("%s: exit code %d: %s", compared, code, errOut)
		}
		if len(c.Changes) != 2 || c.Changes[0].Component != "metallb" || c.Changes[1].Component != "velero" || c.Changes[1].Before != "1.15.2" {
			t.Errorf("%s: got %+v", compared, c.Changes)
		}
	}
	if code, _, errOut := run("", "discover", "--from", after, "--compare", "absent.json"); code != ExitError ||
		!strings.Contains(errOut, "reading what to compare with") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}
