package files

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const daemonSet = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: cilium, namespace: kube-system}\nspec: {template: {spec: {containers: [{name: a, image: 'quay.io/cilium/cilium:v1.18.2'}]}}}\n"

// TestReadIsBounded reads input that is made to use up memory or time. Read returns the objects or an error, soon.
func TestReadIsBounded(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n")
	for n := 1; n < 12; n++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", n, n, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", n-1), 10), ","))
	}
	var anchors strings.Builder
	anchors.WriteString("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\nlist:\n")
	for n := range 100000 {
		fmt.Fprintf(&anchors, "- &a%d x\n", n)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(bytes.Repeat([]byte("a: b\n"), 1<<20))
	_ = zip.Close()
	for name, test := range map[string]struct {
		content string
		want    string // in the error; "" for none
	}{
		"billion laughs":          {laughs.String(), "not a Kubernetes object"},
		"laughs in document 2":    {daemonSet + "---\n" + laughs.String(), ""},
		"merge keys":              {"a: &a {b: c}\nd: &d {<<: [*a, *a]}\n" + strings.Repeat("e: {<<: *d}\n", 1000), "not a Kubernetes object"},
		"nested lists":            {strings.Repeat("[", 200000), "not a Kubernetes object"},
		"nested maps":             {strings.Repeat(`{"a":`, 200000), "not a Kubernetes object"},
		"nested blocks":           {strings.Repeat("- ", 12000) + "x\n", "not a Kubernetes object"},
		"an alias of itself":      {"a: &a [*a]\n", "not a Kubernetes object"},
		"a huge scalar":           {"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\ntext: " + strings.Repeat("x", 4<<20) + "\n", ""},
		"a huge key":              {"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n? " + strings.Repeat("x", 1<<20) + "\n: y\n", ""},
		"many anchors":            {anchors.String(), ""},
		"many documents":          {strings.Repeat("---\n{}\n", 50000) + "---\n" + daemonSet, ""},
		"gzip":                    {packed.String(), "gunzip"},
		"NUL bytes":               {strings.Repeat("\x00", 1<<20), "NUL"},
		"a last line of a buffer": {strings.Repeat(" ", 8192-11) + "not: object", "not a Kubernetes object"},
		"a NUL in between":        {daemonSet + "\x00" + daemonSet, "NUL"},
		"UTF-16":                  {"\xff\xfea\x00:\x00", "NUL"},
		"invalid UTF-8":           {"a: \xff\xfe\n", "not a Kubernetes object"},
		"a number too large":      {"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\nn: 1e999999999\n", ""},
		"a byte order mark":       {"\xef\xbb\xbf" + daemonSet, ""},
		"CRLF":                    {strings.ReplaceAll(daemonSet+"---\n"+daemonSet, "\n", "\r\n"), ""},
		"a key twice":             {daemonSet + "kind: DaemonSet\n", ""},
		"a profile's key twice": {"apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: x}\nspec: {layer: a, layer: b, signals: {workloads: [{images: [a/b]}]}}\n",
			"already set"},
		"another kind's document": {"apiVersion: example.com/v1\nkind: Other\nmetadata: {name: x}\nspec: [1, 2]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			dump, err := Read("-", strings.NewReader(test.content))
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%d bytes took %s and %d MiB: %.200v", len(test.content), took.Round(time.Millisecond), allocated, err)
			if err == nil && len(dump.Problems) > 0 {
				err = errors.New(dump.Problems[0].String())
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("unexpected error: %v", err)
			case test.want != "" && err == nil:
				t.Errorf("no error: %v", dump.facts)
			case err != nil && (!strings.HasPrefix(err.Error(), "standard input:") || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %.300v, want the document and %q", err, test.want)
			}
			if took > 30*time.Second || allocated > 1024 {
				t.Errorf("it took %s and %d MiB", took, allocated)
			}
		})
	}
}

// TestNotAManifest checks that files other than manifests are ignored and do not block.
func TestNotAManifest(t *testing.T) {
	for name, create := range map[string]func(path string) error{
		"a pipe":             func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a device":           func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to itself":   func(path string) error { return os.Symlink(path, path) },
		"a link to nowhere":  func(path string) error { return os.Symlink(path+".gone", path) },
		"a link to a folder": func(path string) error { return os.Symlink(filepath.Dir(path), path) },
		"text":               func(path string) error { return os.WriteFile(path, []byte("just words\n"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "a.yaml"), []byte(daemonSet), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := create(filepath.Join(folder, "b.yaml")); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				dump, err := Read(folder, nil)
				if err == nil && (len(dump.facts["daemonsets.apps"]) != 1 || len(dump.Problems) > 0) {
					err = fmt.Errorf("%d DaemonSets, problems %v", len(dump.facts["daemonsets.apps"]), dump.Problems)
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Error("Read blocks")
			}
		})
	}
}
