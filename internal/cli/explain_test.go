package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

const explainableRequirements = `{name: guard, exclusive: true, anyOf: [{component: falco, version: ">=0.41"}, {component: tetragon}]},
  {name: backup, anyOf: [{component: velero}], checks: [{name: backup-recent, parameters: {maxAge: 2h}}]},
  {name: widgets, rule: {resource: {group: example.com, resource: widgets}, listExpression: 'objects.size() > 0', message: a widget}},
  {name: sets, rule: {resource: {group: apps, resource: daemonsets}, listExpression: 'objects.size() > 1', message: two sets}},
  {name: ci, attestation: {by: me, reason: elsewhere}}`

func TestExplain(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(explainableRequirements)}), "p.yaml")
	for name, texts := range map[string][]string{
		"guard": {
			"security/guard of PlatformProfile p: VersionMismatch (Required)",
			"falco >=0.41 or tetragon is installed", "no other implementation is installed",
			"daemonsets.apps: 1 object", "falco 0.40.0 in guard: NotObserved", "evidence: DaemonSet guard/my-falco (image mirror.corp/falcosecurity/falco:0.40.0)",
			"not installed: tetragon", "the profile is not conformant", "Install a version of Falco in the range >=0.41",
		},
		"security/backup": {
			"Missing (Required)", "its check backup-recent is satisfied", "velero: not installed, only leftovers",
			"leftover: CustomResourceDefinition backups.velero.io", "velero's backup-recent over backups.velero.io: not evaluated: velero is not installed", "maxAge = 2h0m0s", "Install Velero",
		},
		"widgets": {"Unknown (Required)", "cannot read widgets.example.com: the files contain none", "objects.size() > 0", "Conformant is Unknown"},
		"sets":    {"CheckFailed (Required)", "daemonsets.apps: 1 object", "sets over daemonsets.apps: CheckFailed", "the rule is not satisfied: two sets"},
		"ci":      {"Attested (Required)", "me attests", "the requirement is satisfied"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := run(falcoManifest+"---"+veleroLeftovers, "explain", name, "-f", file, "--from", "-")
			if code != ExitOK {
				t.Fatalf("exit code %d: %s", code, errOut)
			}
			for _, want := range texts {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
		})
	}
}

// All installations are explained, not only the one with the best verdict.
func TestExplainAllInstallations(t *testing.T) {
	older := strings.ReplaceAll(strings.ReplaceAll(falcoManifest, "guard", "old"), "0.40.0", "0.38.0")
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(`{name: a, anyOf: [{component: falco, version: ">=0.40"}]}`)}),
		"p.yaml")
	_, out, _ := run(falcoManifest+"---"+older, "explain", "a", "-f", file, "--from", "-")
	for _, want := range []string{
		"a of PlatformProfile p: Satisfied", "falco 0.40.0 in guard", "falco 0.38.0 in old",
		"VersionMismatch: falco 0.38.0 in old is outside the range >=0.40",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// explain has the same results as check.
func TestExplainEqualsCheck(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(explainableRequirements)}), "p.yaml")
	_, out, _ := run(falcoManifest+"---"+veleroLeftovers, "check", "-f", file, "--from", "-", "-o", "json")
	checked := &v1alpha1.PlatformProfile{}
	if err := json.Unmarshal([]byte(out), checked); err != nil {
		t.Fatal(err)
	}
	for _, r := range checked.Status.Layers[0].Requirements {
		_, out, _ := run(falcoManifest+"---"+veleroLeftovers, "explain", "p", r.Name, "-f", file, "--from", "-", "-o", "json")
		got := &conformance.Explanation{}
		if err := json.Unmarshal([]byte(out), got); err != nil {
			t.Fatal(err)
		}
		if got.Verdict != r.Verdict || got.Message != r.Message || got.Remediation != r.Remediation || got.Layer != "security" ||
			got.Profile != "p" || len(got.Request) == 0 {
			t.Errorf("check: %+v\nexplain: %+v", r, got)
		}
	}
}

func TestExplainErrors(t *testing.T) {
	two := "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: p}\nspec: {layers: [{name: a, requirements: [{name: x, capability: cni}, {name: w, capability: dns}]}, {name: b, requirements: [{name: x, capability: cni}]}]}\n"
	folder := writeFiles(t, map[string]string{"p.yaml": two, "pq.yaml": two + "---\n" + strings.Replace(two, "name: p}", "name: q}", 1)})
	one, both := filepath.Join(folder, "p.yaml"), filepath.Join(folder, "pq.yaml")
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"a wrong name":         {[]string{"z", "-f", one}, []string{`no requirement "z"`, "a/x, a/w, b/x"}},
		"a name of two":        {[]string{"x", "-f", one}, []string{"a/x or b/x"}},
		"one of two profiles":  {[]string{"a/x", "-f", both}, []string{"more than one PlatformProfile"}},
		"a profile that isn't": {[]string{"r", "a/x", "-f", both}, []string{`no PlatformProfile "r"`, "p, q"}},
	} {
		code, _, errOut := run(falcoManifest, append(append([]string{"explain"}, test.args...), "--from", "-")...)
		for _, want := range test.want {
			if code != ExitError || !strings.Contains(errOut, want) {
				t.Errorf("%s: exit code %d, no %q in %q", name, code, want, errOut)
			}
		}
	}
	if code, out, errOut := run(falcoManifest, "explain", "q", "b/x", "-f", both, "--from", "-"); code != ExitOK ||
		!strings.Contains(out, "b/x of PlatformProfile q: Unknown") {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
}

func TestExplainIsPrintable(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(`{name: a, rule: {resource: {group: apps, resource: daemonsets}, expression: "false", message: "\u001b[31mred\u202e\rhidden"}}`)}), "p.yaml")
	if _, out, _ := run(falcoManifest, "explain", "a", "-f", file, "--from", "-"); strings.ContainsAny(out, "\x1b\r\u202e") ||
		!strings.Contains(out, "[31mred") {
		t.Errorf("%q", out)
	}
}
