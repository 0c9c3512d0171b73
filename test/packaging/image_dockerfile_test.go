package packaging

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestTheDockerfileBuildsTheSameProgram has buildah build the Dockerfile as a release would, from a base that is made of this
// machine's Go: nothing is pulled. The program is the one in the image to the bit.
func TestTheDockerfileBuildsTheSameProgram(t *testing.T) {
	if _, err := exec.LookPath("buildah"); err != nil || runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("it needs buildah, and root on Linux")
	}
	needRelease(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	store := t.TempDir()
	policy := filepath.Join(store, "policy.json")
	cluster.Must(t, os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600))
	t.Setenv("BUILDAH_ISOLATION", "chroot")
	buildah := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(ctx, "buildah",
			append([]string{"--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run")}, args...)...)
		command.Dir = cluster.Root()
		var errOut bytes.Buffer
		command.Stderr = &errOut
		out, err := command.Output()
		if err != nil {
			t.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out, errOut.String())
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() {
		ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		buildah("umount", "--all")
	})

	base := buildah("from", "scratch")
	for _, path := range goFiles(ctx, t) {
		buildah("copy", "--quiet", base, path, path)
	}
	empty := filepath.Join(store, "empty")
	cluster.Must(t, os.Mkdir(empty, 0o700))
	buildah("copy", "--quiet", base, empty, "/root")
	buildah("config", "--env", "PATH="+filepath.Join(goSetting(ctx, t, "GOROOT"), "bin"), "--env", "HOME=/root", "--env", "TMPDIR=/root",
		"--env", "GOPATH=/go", "--env", "GOTOOLCHAIN=local",
		"--env", "GOPROXY=file:///modules,"+goSetting(ctx, t, "GOPROXY"), "--env", "GOCACHE=/built", base)
	buildah("commit", "--quiet", "--signature-policy", policy, base, "localhost/go")
	// What this machine has downloaded and compiled already, it need not again.
	buildah("build", "--signature-policy", policy, "--pull-never", "--volume",
		filepath.Join(goSetting(ctx, t, "GOMODCACHE"), "cache", "download")+":/modules:ro",
		"--volume", goSetting(ctx, t, "GOCACHE")+":/built", "--build-arg", "GO_IMAGE=localhost/go", "--build-arg", "VERSION="+version, "--tag",
		"localhost/operator", ".")

	built := filepath.Join(buildah("mount", buildah("from", "--pull-never", "--signature-policy", policy, "localhost/operator")), "operator")
	info, err := os.Stat(built)
	cluster.Must(t, err)
	data, err := os.ReadFile(built)
	cluster.Must(t, err)
	if !bytes.Equal(data, programOf(t)) || info.Mode() != 0o555 {
		t.Errorf("the Dockerfile builds another program than make image, with the mode %s", info.Mode())
	}
}

// goFiles are what Go needs of a machine: itself, a shell, and what the shell is linked with.
func goFiles(ctx context.Context, t *testing.T) []string {
	t.Helper()
	found := []string{goSetting(ctx, t, "GOROOT"), "/bin/sh", "/etc/ssl/certs/ca-certificates.crt"}
	linked, err := exec.CommandContext(ctx, "ldd", "/bin/sh").Output()
	cluster.Must(t, err)
	for word := range strings.FieldsSeq(string(linked)) {
		if filepath.IsAbs(word) {
			found = append(found, word)
		}
	}
	return found
}

// goSetting is a setting of Go on this machine.
func goSetting(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	cluster.Must(t, err)
	return strings.TrimSpace(string(out))
}
