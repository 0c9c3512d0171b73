package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPluginHelp(t *testing.T) {
	for _, args := range [][]string{{"check", "--help"}, {"discover", "--help"}, {"explain", "--help"}} {
		var out bytes.Buffer
		if code := ExecuteAs("kubectl-platformprofile", args, strings.NewReader(""), &out, &out); code != ExitOK {
			t.Fatal(out.String())
		}
		text := strings.ReplaceAll(out.String(), "kubectl platformprofile", "")
		if !strings.Contains(out.String(), "kubectl platformprofile "+args[0]) || strings.Contains(text, "platformprofile "+args[0]) {
			t.Errorf("%v:\n%s", args, out.String())
		}
	}
	if _, out, _ := run("", "check", "--help"); strings.Contains(out, "kubectl platformprofile") {
		t.Errorf("not a plugin:\n%s", out)
	}
}

func TestCompletion(t *testing.T) {
	two := newProfile("{name: a, capability: cni}") + "---\n" +
		strings.Replace(newProfile("{name: a, capability: cni}, {name: b, capability: dns}"), "name: p}", "name: q}", 1)
	folder := writeFiles(t, map[string]string{
		"pq.yaml": two, "p.yaml": newProfile("{name: a, capability: cni}"),
		"config": "apiVersion: v1\nkind: Config\ncontexts: [{name: staging, context: {cluster: a, user: a}}, {name: live, context: {cluster: a, user: a}}]\n",
	})
	both, one := filepath.Join(folder, "pq.yaml"), filepath.Join(folder, "p.yaml")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"formats of check":            {[]string{"check", "-o", ""}, "table wide json yaml junit sarif openreports html ai-conformance"},
		"formats of discover":         {[]string{"discover", "-o", ""}, "table wide json yaml html profile"},
		"profiles of a file":          {[]string{"check", "-f", both, "--from", "x", ""}, "p q"},
		"without given profiles":      {[]string{"check", "-f", both, "--from", "x", "p", ""}, "q"},
		"profiles, then requirements": {[]string{"explain", "-f", both, "--from", "x", "q", ""}, "security/a security/b"},
		"a single profile":            {[]string{"explain", "-f", one, "--from", "x", ""}, "p security/a"},
		"nothing after a requirement": {[]string{"explain", "-f", one, "--from", "x", "p", "security/a", ""}, ""},
		"components":                  {[]string{"catalog", "cili"}, "cilium"},
		"contexts of the kubeconfig":  {[]string{"check", "--kubeconfig", filepath.Join(folder, "config"), "--context", ""}, "live staging"},
		"nothing from standard input": {[]string{"check", "-f", "-", "--from", "x", ""}, ""},
		"nothing from a missing file": {[]string{"check", "-f", "nowhere.yaml", "--from", "x", ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := run("", append([]string{"__complete"}, test.args...)...)
			var got []string
			for line := range strings.SplitSeq(out, "\n") {
				word, _, _ := strings.Cut(line, "\t")
				if word != "" && !strings.HasPrefix(word, ":") {
					got = append(got, word)
				}
			}
			if code != ExitOK || strings.Join(got, " ") != test.want {
				t.Errorf("exit code %d, %q, want %q\n%s", code, got, test.want, errOut)
			}
		})
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := run("", "completion", shell); code != ExitOK || !strings.Contains(out, "platformprofile") {
			t.Errorf("%s: exit code %d", shell, code)
		}
	}
}

// Colours are only written to terminals.
func TestNoColoursInFiles(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	_, out, _ := run(falcoManifest, "discover", "--from", "-")
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is thrown away
	Execute([]string{"discover", "--from", "-"}, strings.NewReader(falcoManifest), file, file)
	written, err := os.ReadFile(file.Name())
	if err != nil || len(written) == 0 {
		t.Fatal(err)
	}
	if strings.Contains(out+string(written), "\x1b") {
		t.Errorf("%q", out+string(written))
	}
}

func TestUnreachableCluster(t *testing.T) {
	folder := writeFiles(t, map[string]string{
		"config": "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a}]\n",
		"p.yaml": newProfile("{name: a, capability: cni}"),
	})
	for _, args := range [][]string{
		{"check"}, {"check", "-f", filepath.Join(folder, "p.yaml")}, {"discover"}, {"explain", "a"},
		{"diagnose"},
	} {
		code, out, errOut := run("", append(args, "--kubeconfig", filepath.Join(folder, "config"))...)
		if code != ExitError || out != "" || !strings.Contains(errOut, "127.0.0.1:1") || !strings.Contains(errOut, "--context") {
			t.Errorf("%v: exit code %d, %q, %q", args, code, out, errOut)
		}
	}
}
