package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// version is the release that the tests make.
const version = "v0.0.1"

// dist is where the release lies: image.tar, the program in it, the list of what that is made of, install.yaml.
var dist string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if dist, err = os.MkdirTemp("", "platformprofile-image-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(dist) //nolint:errcheck // it is below the folder for what is temporary
	if err := release(cluster.Root(), dist, "sbom", "install-manifest"); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// release makes what a release consists of from a copy of the source, as a release would, for this machine.
func release(source, folder string, targets ...string) error {
	args := slices.Concat(targets, []string{"-o", "controlplane", "VERSION=" + version, "DIST=" + folder, "REVISION=0123456789abcdef0123456789abcdef01234567",
		"PLATFORMS=linux/" + runtime.GOARCH, "K8S=" + filepath.Join(cluster.Root(), "bin", "k8s")})
	command := exec.CommandContext(context.Background(), "make", args...)
	command.Dir = source
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make %v: %w\n%s", targets, err, out)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
