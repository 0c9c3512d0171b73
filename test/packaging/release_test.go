package packaging

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// released makes what a release consists of, for an image of this version. What the targets need is built already.
func released(t *testing.T, target, version string) string {
	t.Helper()
	folder := t.TempDir()
	command := exec.CommandContext(context.Background(), "make", "-o", "controlplane", "-o", filepath.Join(cluster.Root(), "bin", "helm"),
		target, "VERSION="+version, "DIST="+folder)
	command.Dir = cluster.Root()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	return folder
}

// TestTheSingleManifest tests that the file of a release is the kustomization with the release's image.
func TestTheSingleManifest(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(released(t, "install-manifest", "v1.2.3"), "install.yaml"))
	cluster.Must(t, err)
	if !strings.Contains(string(data), "image: ghcr.io/platformprofile/platformprofile:v1.2.3\n") {
		t.Error("it has another image")
	}
	got, want := byName(t, parse(t, string(data))), byName(t, kustomize(t, "default"))
	if len(got) != len(want) {
		t.Errorf("it has %d objects, want %d", len(got), len(want))
	}
	for name, o := range want {
		if got[name] == nil {
			t.Errorf("it lacks %s", name)
		} else if is := toJSON(got[name]); o.GetKind() != "Deployment" && is != toJSON(o) {
			t.Errorf("%s differs:\n%s", name, is)
		}
	}
}

// TestThePackagedChart tests that the chart of a release runs the release's image.
func TestThePackagedChart(t *testing.T) {
	archive := filepath.Join(released(t, "chart", "v1.2.3"), "platformprofile-1.2.3.tgz")
	out, _, err := helm("template", "platformprofile", archive)
	cluster.Must(t, err)
	if !strings.Contains(out, "image: ghcr.io/platformprofile/platformprofile:v1.2.3\n") {
		t.Error("it has another image")
	}
}
