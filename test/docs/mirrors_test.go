package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

var mirrorRow = regexp.MustCompile("(?m)^\\| `(\\S+)` \\| (yes|no)\\b")

// TestTheTableOfMirrors has the program say of each image of docs/air-gapped.md whether it is Falco's.
func TestTheTableOfMirrors(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(cluster.Root(), "docs", "air-gapped.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := mirrorRow.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 5 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		image := strings.ReplaceAll(row[1], "…", strings.Repeat("0", 64))
		discover := exec.Command(filepath.Join(cluster.Root(), "bin", "platformprofile"), "discover", "--from", "-", "-o", "json")
		discover.Stdin = strings.NewReader("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent, namespace: net}, spec: {selector: {matchLabels: {a: b}}, " +
			"template: {metadata: {labels: {a: b}}, spec: {containers: [{name: agent, image: \"" + image + "\"}]}}}}")
		out, err := discover.Output()
		if err != nil {
			t.Fatalf("%s: %v (is it built? run 'make build')", image, err)
		}
		if is := strings.Contains(string(out), `"name": "falco"`); is != (row[2] == "yes") {
			t.Errorf("the page has %s for %s, and the program finds\n%s", row[2], image, out)
		}
	}
}
