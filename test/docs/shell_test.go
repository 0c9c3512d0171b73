package docs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// shell runs commands as a reader would: in a checkout, with the programs on the PATH and a cluster to talk to.
type shell struct {
	folder string
	env    []string
}

// newShell makes the folder that the commands run in: the checkout's configuration, and what the pages take for granted.
func newShell(t *testing.T, c *cluster.Cluster) *shell {
	t.Helper()
	folder, bin := t.TempDir(), t.TempDir()
	root := cluster.Root()
	for link, to := range map[string]string{
		filepath.Join(bin, "kubectl"):                 filepath.Join(root, "bin", "k8s", "kubectl"),
		filepath.Join(bin, "platformprofile"):         filepath.Join(root, "bin", "platformprofile"),
		filepath.Join(bin, "kubectl-platformprofile"): filepath.Join(root, "bin", "platformprofile"),
		filepath.Join(folder, "config"):               filepath.Join(root, "config"),
		filepath.Join(folder, "some", "chart"):        filepath.Join(root, "config", "chart"),
		filepath.Join(folder, "charts", "platform"):   filepath.Join(root, "config", "chart"),
		filepath.Join(folder, "rendered"):             filepath.Join(root, "hack", "demo", "platform"),
		filepath.Join(folder, "overlays/production"):  filepath.Join(root, "config", "default"),
	} {
		if err := os.MkdirAll(filepath.Dir(link), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	// A helm that is built without its version numbers takes the cluster for Kubernetes 1.20.
	helm := "#!/bin/sh\ncase $1 in template) set -- \"$@\" --kube-version v1.34.0;; esac\nexec " + filepath.Join(root, "bin", "helm") +
		" \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "helm"), []byte(helm), 0o700); err != nil {
		t.Fatal(err)
	}
	return &shell{folder, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+c.Kubeconfig, "NO_COLOR=1", "HOME="+folder)}
}

// write puts a file into the folder.
func (s *shell) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command and returns what it printed.
func (s *shell) run(ctx context.Context, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	process := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	process.Dir, process.Env = s.folder, s.env
	out, err := process.CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 1 && finds.MatchString(text) {
		err = nil
	}
	return string(out), err
}

// finds are commands that exit with 1 if they find something.
var finds = regexp.MustCompile(`(^|\| )platformprofile (check|diagnose)\b[^|]*$`)

// passing is what differs from one run to the next: ages, durations and times.
var passing = regexp.MustCompile(`^\(?(\d+(\.\d+)?(ms|s|m|h|d))+( ago)?\)?$|^\d{4}-\d\d-\d\d(T[0-9:]+Z)?$|^\d\d:\d\d(:\d\d)?$`)

// missing returns the first wanted line that the output lacks, in this order; empty if it has all of them. Spaces do not count,
// nor does what differs from one run to the next.
func missing(wantOutput, output string) string {
	lines := strings.Split(output, "\n")
	for want := range strings.Lines(wantOutput) {
		for {
			if len(lines) == 0 {
				return strings.TrimRight(want, "\n")
			}
			line := lines[0]
			lines = lines[1:]
			if sameWords(want, line) {
				break
			}
		}
	}
	return ""
}

func sameWords(want, got string) bool {
	wanted, words := strings.Fields(want), strings.Fields(got)
	if len(wanted) != len(words) {
		return false
	}
	for i := range wanted {
		if wanted[i] != words[i] && (!passing.MatchString(wanted[i]) || !passing.MatchString(words[i])) {
			return false
		}
	}
	return true
}

func TestMissing(t *testing.T) {
	const output = "NAME   CONFORMANT   AGE\nfirst  True         3m12s\n"
	for wantOutput, want := range map[string]string{
		"NAME CONFORMANT AGE\nfirst True 12s\n": "", "first True 0s": "", "first False 12s\n": "first False 12s",
		"first True 3m12s\nNAME CONFORMANT AGE": "NAME CONFORMANT AGE",
		"first  True soon":                      "first  True soon",
	} {
		if got := missing(wantOutput, output); got != want {
			t.Errorf("%q: %q is missing, want %q", wantOutput, got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	b := block{line: 10, text: "kubectl apply -f - <<'EOF'\n\nkind: x\nEOF\nkubectl get x \\\n  -o yaml\n"}
	if got := b.commands(); len(got) != 2 || got[0].text != "kubectl apply -f - <<'EOF'\n\nkind: x\nEOF" ||
		got[1].text != "kubectl get x \\\n  -o yaml" ||
		got[1].line != 15 {
		t.Errorf("%+v", got)
	}
	b.text = "$ make demo\n== 1\n$ kubectl get x\nNAME\n"
	if got := b.commands(); len(got) != 2 || got[0] != (command{"make demo", "== 1\n", 11}) ||
		got[1] != (command{"kubectl get x", "NAME\n", 13}) {
		t.Errorf("%+v", got)
	}
}
