package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nothing is looked up: in a network namespace without any interface, the commands on files do what they do elsewhere.
func TestWithoutNetwork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(oldManifests), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"upgrade", "--to", "1.37", "--from", file},
		{"discover", "--from", file, "-o", "wide"},
		{"catalog", "kubernetes"},
	} {
		wantCode, want, _ := run("", args...)
		command := exec.Command(os.Args[0], args...)
		command.Env = append(os.Environ(), asProgram+"=1")
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := command.Output()
		if command.ProcessState == nil {
			t.Skipf("no namespaces here: %v", err)
		}
		if code := command.ProcessState.ExitCode(); code != wantCode || string(out) != want {
			t.Errorf("%s: exit code %d, want %d\n%s", strings.Join(args, " "), code, wantCode, out)
		}
	}
}
