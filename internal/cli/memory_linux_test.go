package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// asProgram, in the environment of the test's program, has it be the command line.
const asProgram = "PLATFORMPROFILE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	code := Execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	// The system's own count of what a child took at most begins with what its parent had.
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stderr, "\n%s\n", status)
	os.Exit(code)
}

// writeDump writes a dump of pods and a DaemonSet.
func writeDump(w io.Writer, pods int, form string) error {
	out := bufio.NewWriter(w)
	const daemonSet = `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"cilium","namespace":"kube-system","generation":1},"spec":{"template":{"spec":{"containers":[{"name":"a","image":"quay.io/cilium/cilium:v1.18.2"}]}}},"status":{"desiredNumberScheduled":3,"numberReady":3,"numberAvailable":3,"currentNumberScheduled":3,"observedGeneration":1,"updatedNumberScheduled":3}}`
	put := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) } // Flush returns the error
	switch form {
	case "yaml":
		put("apiVersion: v1\nitems:\n")
		for n := range pods {
			put("- apiVersion: v1\n  kind: Pod\n  metadata:\n    labels:\n      app: a\n    name: pod-%d\n    namespace: a\n  spec:\n    containers:\n    - image: example/a:1\n      name: a\n  status:\n    containerStatuses:\n    - name: a\n      ready: true\n      state:\n        running:\n          startedAt: \"2026-11-25T12:00:00Z\"\n    phase: Running\n", n)
		}
		put("- %s\nkind: List\nmetadata:\n  resourceVersion: \"\"\n", daemonSet)
	case "json":
		put("{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")
		for n := range pods {
			put(`{"apiVersion": "v1",
"kind": "Pod",
"metadata": {
"labels": {
"app": "a"
},
"name": "pod-%d",
"namespace": "a"
},
"spec": {"containers": [
{"image": "example/a:1",
"name": "a"}]},
"status": {"containerStatuses": [{
"name": "a",
"ready": true,
"state": {"running": {"startedAt": "2026-11-25T12:00:00Z"}}}],
"phase": "Running"
}},
`, n)
		}
		put("%s],\n    \"kind\": \"List\",\n    \"metadata\": {\"resourceVersion\": \"\"}\n}\n", daemonSet)
	}
	return out.Flush()
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// measurePeakMemory returns the peak memory of a check of a dump in MiB.
func measurePeakMemory(t *testing.T, profile string, pods int, form string) int {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "check", "-f", profile, "--from", "-", "-o", "json")
	command.Env = append(os.Environ(), asProgram+"=1")
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	writeErr := writeDump(input, pods, form)
	_ = input.Close()
	err = command.Wait()
	if writeErr != nil || err != nil || !strings.Contains(out.String(), `"verdict": "`+string(v1alpha1.VerdictSatisfied)+`"`) {
		t.Fatalf("%v, %v: %.2000s\n%.2000s", writeErr, err, errOut.String(), out.String())
	}
	found := peak.FindStringSubmatch(errOut.String())
	if found == nil {
		t.Fatalf("no memory usage in: %s", errOut.String())
	}
	kilobytes, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pods in %s: peak %d MiB, %s", pods, form, kilobytes>>10, time.Since(began).Round(10*time.Millisecond))
	return kilobytes >> 10
}

// TestMemoryOfCheck bounds the memory for a JSON List, which is streamed, and for a YAML List, which is not.
func TestMemoryOfCheck(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile.yaml")
	text := "{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformProfile, metadata: {name: p}, spec: {layers: [{name: a, requirements: [{name: cni, anyOf: [{component: cilium}]}]}]}}"
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	base := measurePeakMemory(t, profile, 1, "json")
	for form, test := range map[string]struct{ pods, more int }{"json": {50000, 128}, "yaml": {10000, 256}} {
		if took := measurePeakMemory(t, profile, test.pods, form); took > base+test.more {
			t.Errorf("%d pods in %s take %d MiB, one takes %d", test.pods, form, took, base)
		}
	}
}
