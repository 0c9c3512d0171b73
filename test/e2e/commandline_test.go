// The tests of this file run the commands that need a control plane.

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// syncBuffer is the output of a command, readable while it runs.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *syncBuffer) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *syncBuffer) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func runCommand(args ...string) (code int, out, errOut *syncBuffer) {
	out, errOut = &syncBuffer{}, &syncBuffer{}
	return cli.Execute(append(args, "--kubeconfig", env.Kubeconfig), strings.NewReader(""), out, errOut), out, errOut
}

// writeProfile writes a profile that asks for a StorageClass of a name.
func writeProfile(t *testing.T, class string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	text := fmt.Sprintf(`apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: %[1]s, labels: {team: %[1]s}}
spec:
  layers:
  - name: storage
    requirements:
    - name: class
      rule:
        resource: {group: storage.k8s.io, resource: storageclasses}
        expression: "object.metadata.name == '%[1]s'"
        require: Any
        message: the class is there
`, class)
	cluster.Must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func createClass(t *testing.T, name string) {
	t.Helper()
	class := cluster.StorageClass(name)
	cluster.Must(t, env.Client.Create(context.Background(), class))
	t.Cleanup(func() { _ = env.Client.Delete(context.Background(), class) })
}

func TestWaitEndsWhenTheClusterConforms(t *testing.T) {
	file := writeProfile(t, "awaited")
	out, errOut := &syncBuffer{}, &syncBuffer{}
	code := make(chan int, 1)
	go func() {
		code <- cli.Execute([]string{"check", "-f", file, "--wait", "--timeout", "2m", "--kubeconfig", env.Kubeconfig}, strings.NewReader(""),
			out, errOut)
	}()
	cluster.Eventually(t, "it reports what it waits for", func() (bool, string) {
		return strings.Contains(errOut.String(), "storage/class: CheckFailed: the rule is not satisfied: the class is there"), errOut.String()
	})
	select {
	case got := <-code:
		t.Fatalf("it does not wait: exit code %d\n%s%s", got, out, errOut)
	default:
	}
	createClass(t, "awaited")
	select {
	case got := <-code:
		if got != cli.ExitOK {
			t.Errorf("exit code %d\n%s%s", got, out, errOut)
		}
	case <-time.After(cluster.Timeout):
		t.Fatalf("it goes on waiting:\n%s", errOut)
	}
	if !strings.Contains(errOut.String(), "storage/class: CheckFailed -> Satisfied") || !strings.Contains(out.String(), "conformant: True") {
		t.Errorf("%s%s", errOut, out)
	}
	if strings.Contains(errOut.String(), "\x1b") || strings.Contains(errOut.String(), "\r") {
		t.Errorf("it moves the cursor of what is no terminal: %q", errOut)
	}
}

func TestWaitEndsAtTheTimeoutWithWhatStillFails(t *testing.T) {
	started := time.Now()
	code, out, errOut := runCommand("check", "-f", writeProfile(t, "never"), "--wait", "--timeout", "8s")
	if code != cli.ExitFound || !strings.Contains(out.String(), "storage/class is CheckFailed") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	if took := time.Since(started); took < 8*time.Second {
		t.Errorf("it took %s", took)
	}
	// It watches: nothing is listed a second time, however long it waits.
	listed := map[string]int{}
	for _, request := range requestsSince(t, started) {
		if request.Verb == "list" && request.ObjectRef != nil && strings.Contains(request.UserAgent, "e2e.test") &&
			request.ObjectRef.Resource != "pods" {
			listed[request.ObjectRef.Resource+"."+request.ObjectRef.APIGroup+"/"+request.ObjectRef.Namespace+"/"+request.ObjectRef.Name]++
		}
	}
	for resource, times := range listed {
		if times > 2 { // by facts and by the rule
			t.Errorf("%s were listed %d times", resource, times)
		}
	}
}

func requestsSince(t *testing.T, from time.Time) []auditv1.Event {
	t.Helper()
	found, err := env.Requests("", from)
	cluster.Must(t, err)
	if len(found) == 0 {
		t.Fatal("the audit log holds no request")
	}
	return found
}

func TestWaitDoesNotWaitForAMistakeToMendItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: p}\nspec: {layers: [{name: a, requirements: [{name: b, anyOf: [{component: falcon}]}]}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	code, out, errOut := runCommand("check", "-f", path, "--wait", "--timeout", "2m")
	if code != cli.ExitError || time.Since(started) > time.Minute || !strings.Contains(out.String(), "no definition of this component") {
		t.Errorf("exit code %d after %s\n%s%s", code, time.Since(started), out, errOut)
	}
}

func TestTheClustersOwnProfiles(t *testing.T) {
	for _, name := range []string{"held", "unheld"} {
		file := writeProfile(t, name)
		if output, err := env.Kubectl(context.Background(), "apply", "-f", file); err != nil {
			t.Fatal(output)
		}
		t.Cleanup(func() { _, _ = env.Kubectl(context.Background(), "delete", "-f", file) })
	}
	createClass(t, "held")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"all":                 {[]string{"check"}, cli.ExitFound, "PlatformProfile unheld   conformant: False"},
		"one by label":        {[]string{"check", "-l", "team=held"}, cli.ExitOK, "PlatformProfile held   conformant: True"},
		"one by name":         {[]string{"check", "unheld"}, cli.ExitFound, "PlatformProfile unheld   conformant: False"},
		"none by label":       {[]string{"check", "-l", "team=other"}, cli.ExitError, "no PlatformProfile with the labels team=other"},
		"none by name":        {[]string{"check", "other"}, cli.ExitError, `no PlatformProfile "other" in the cluster, which has held, unheld`},
		"why one of them is":  {[]string{"explain", "unheld", "class"}, cli.ExitOK, "storageclasses.storage.k8s.io: "},
		"completion of names": {[]string{"__complete", "check", ""}, cli.ExitOK, "unheld"},
		"and of requirements": {[]string{"__complete", "explain", "held", ""}, cli.ExitOK, "storage/class"},
	} {
		t.Run(name, func(t *testing.T) {
			// __complete takes what is to be completed last.
			out, errOut := &syncBuffer{}, &syncBuffer{}
			code := cli.Execute(append([]string{test.args[0], "--kubeconfig", env.Kubeconfig}, test.args[1:]...), strings.NewReader(""), out, errOut)
			if test.args[0] == "__complete" {
				out, errOut = &syncBuffer{}, &syncBuffer{}
				last := len(test.args) - 1
				code = cli.Execute(append(append(append([]string{}, test.args[:last]...), "--kubeconfig", env.Kubeconfig), test.args[last]),
					strings.NewReader(""), out, errOut)
			}
			if output := out.String() + errOut.String(); code != test.code || !strings.Contains(output, test.want) {
				t.Errorf("exit code %d, want %d, with the output %q:\n%s", code, test.code, test.want, output)
			}
		})
	}
}
