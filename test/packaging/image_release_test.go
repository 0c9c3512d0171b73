package packaging

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// version is the release that the tests make.
const version = "v0.0.1"

// dist is the folder of the release: image.tar, the program in it, the list of what that is made of, install.yaml.
var dist string

// needRelease makes the release, once for all tests.
var needRelease = cluster.OnDemand(func(context.Context) (err error) {
	if dist, err = os.MkdirTemp("", "platformprofile-image-"); err != nil {
		return err
	}
	cluster.Cleanup(func(bool) { _ = os.RemoveAll(dist) })
	return release(cluster.Root(), dist, "sbom", "install-manifest")
})

// release makes what a release consists of from a copy of the source, as a release would, for this machine.
func release(source, folder string, targets ...string) error {
	args := slices.Concat(targets,
		[]string{"-o", "controlplane", "VERSION=" + version, "DIST=" + folder, "REVISION=0123456789abcdef0123456789abcdef01234567",
			"PLATFORMS=linux/" + runtime.GOARCH, "K8S=" + filepath.Join(cluster.Root(), "bin", "k8s")})
	command := exec.CommandContext(context.Background(), "make", args...)
	command.Dir = source
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make %v: %w\n%s", targets, err, out)
	}
	return nil
}
