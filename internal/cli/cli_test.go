package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

// run runs the command line and returns its exit code and what it wrote.
func run(stdin string, args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = Execute(args, strings.NewReader(stdin), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// writeFiles writes files into a temporary folder, and returns the folder.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

const falcoManifest = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: my-falco, namespace: guard}
spec:
  template:
    metadata: {labels: {app: falco}}
    spec: {containers: [{name: falco, image: "mirror.corp/falcosecurity/falco:0.40.0"}]}
`

const veleroLeftovers = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: backups.velero.io}
spec: {group: velero.io, names: {kind: Backup, plural: backups}}
`

func newProfile(layers string) string {
	return "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: p}\nspec: {layers: [{name: security, requirements: [" + layers + "]}]}\n"
}

func TestDiscoverJSON(t *testing.T) {
	folder := writeFiles(t, map[string]string{"a.yaml": falcoManifest, "sub/b.yml": veleroLeftovers})
	code, out, errOut := run("", "discover", "--from", folder, "-o", "json")
	const want = `{
  "components": [
    {
      "name": "falco",
      "layer": "security",
      "capabilities": [
        "runtime-security"
      ],
      "installations": [
        {
          "namespace": "guard",
          "version": "0.40.0",
          "health": "NotObserved",
          "evidence": [
            {
              "apiVersion": "apps/v1",
              "kind": "DaemonSet",
              "namespace": "guard",
              "name": "my-falco",
              "signal": "image mirror.corp/falcosecurity/falco:0.40.0"
            }
          ]
        }
      ]
    }
  ],
  "leftovers": [
    {
      "name": "velero",
      "layer": "storage",
      "capabilities": [
        "backup"
      ],
      "installations": [
        {
          "namespace": "",
          "version": "",
          "evidence": [
            {
              "apiVersion": "apiextensions.k8s.io/v1",
              "kind": "CustomResourceDefinition",
              "name": "backups.velero.io",
              "signal": "CRD backups.velero.io"
            }
          ]
        }
      ]
    }
  ],
  "unreadable": [
    "cannot read nodes: the files contain none; add the output of 'kubectl get nodes -o yaml'"
  ]
}
`
	if code != ExitOK || out != want {
		t.Errorf("exit code %d, %s, and:\n%s", code, errOut, out)
	}
}

func TestDiscoverNothing(t *testing.T) {
	code, out, _ := run("# nothing but a remark\n---\n", "discover", "--from", "-", "-o", "json")
	if code != ExitOK || !strings.Contains(out, `"components": []`) || !strings.Contains(out, `"leftovers": []`) {
		t.Errorf("exit code %d, and empty lists must not be omitted: %s", code, out)
	}
	code, out, _ = run("# nothing\n", "discover", "--from", "-")
	if code != ExitOK || !strings.Contains(out, "No component of the catalog is installed.") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, _, errOut := run("# nothing\n", "discover", "--from", "-", "-o", "profile"); code != ExitError ||
		!strings.Contains(errOut, "there is no profile to write") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}

func TestDiscoverYAMLAndTable(t *testing.T) {
	code, out, _ := run(falcoManifest, "discover", "--from", "-", "-o", "yaml")
	if code != ExitOK || !strings.Contains(out, "- capabilities:\n  - runtime-security\n") || !strings.Contains(out, "version: 0.40.0") {
		t.Errorf("exit code %d: %s", code, out)
	}
	code, out, _ = run(falcoManifest+"---"+veleroLeftovers, "discover", "--from", "-")
	lines := strings.Split(out, "\n")
	if code != ExitOK || len(lines) < 3 || strings.Index(lines[0], "VERSION") != strings.Index(lines[1], "0.40.0") ||
		strings.Index(lines[0], "NAMESPACE") != strings.Index(lines[1], "guard") {
		t.Errorf("exit code %d, or columns are not aligned:\n%s", code, out)
	}
	if !strings.Contains(out, "Leftovers of velero: CustomResourceDefinition backups.velero.io") {
		t.Errorf("no leftovers in:\n%s", out)
	}
}

// Every fixture conforms to the profile that is discovered from it.
func TestDiscoveredProfileIsConformant(t *testing.T) {
	variants, err := filepath.Glob("../catalog/testdata/installs/*/*")
	if err != nil || len(variants) == 0 {
		t.Fatal("no fixtures", err)
	}
	profiles := 0
	for _, variant := range variants {
		t.Run(strings.TrimPrefix(variant, "../catalog/testdata/installs/"), func(t *testing.T) {
			code, out, errOut := run("", "discover", "--from", variant, "-o", "profile")
			if code == ExitError && strings.Contains(errOut, "there is no profile to write") {
				return
			}
			if code != ExitOK {
				t.Fatal(errOut)
			}
			profiles++
			if strings.Contains(out, "status") || strings.Contains(out, "exclusive") || strings.Contains(out, "creationTimestamp") {
				t.Errorf("unnecessary fields in:\n%s", out)
			}
			if _, err := manifest.Profiles(strings.NewReader(out)); err != nil {
				t.Fatalf("invalid profile: %v\n%s", err, out)
			}
			file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": out}), "p.yaml")
			if code, table, errOut := run("", "check", "-f", file, "--from", variant); code != ExitOK {
				t.Errorf("exit code %d for\n%s%s%s", code, out, table, errOut)
			}
		})
	}
	if profiles < 30 {
		t.Errorf("only %d profiles were discovered", profiles)
	}
}

func TestCheckExitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		requirements string
		code         int
		want         string
	}{
		"conformant":                {"{name: a, capability: runtime-security}", ExitOK, "conformant: True   score: 1/1"},
		"missing":                   {"{name: a, anyOf: [{component: vault}]}", ExitFound, "security/a is Missing: vault is not installed"},
		"an older version":          {`{name: a, anyOf: [{component: falco, version: ">=0.41"}]}`, ExitFound, "falco 0.40.0 in guard is outside the range >=0.41"},
		"recommended and missing":   {"{name: a, severity: Recommended, anyOf: [{component: vault}]}", ExitOK, "Missing (recommended)"},
		"no source can be read":     {"{name: a, rule: {resource: {group: example.com, resource: widgets}, expression: 'true', message: m}}", ExitError, "cannot read widgets.example.com: the files contain none"},
		"failing beside unknown":    {"{name: a, anyOf: [{component: vault}]}, {name: b, rule: {resource: {group: example.com, resource: widgets}, expression: 'true', message: m}}", ExitFound, "conformant: False"},
		"a mistake in the profile":  {"{name: a, anyOf: [{component: falcon}]}", ExitError, "spec.layers[0].requirements[0].anyOf[0].component"},
		"leftovers without a proof": {"{name: a, anyOf: [{component: velero}]}", ExitFound, "velero is not installed; leftover resources"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(test.requirements)}), "p.yaml")
			code, out, errOut := run(falcoManifest+"---"+veleroLeftovers, "check", "-f", file, "--from", "-")
			if code != test.code || !strings.Contains(out, test.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s%s", code, test.code, test.want, out, errOut)
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	folder := writeFiles(t, map[string]string{"m.yaml": falcoManifest})
	code, out, _ := run(newProfile("{name: a, capability: runtime-security}"), "check", "-f", "-", "--from", folder, "-o", "json")
	got := &v1alpha1.PlatformProfile{}
	if err := json.Unmarshal([]byte(out), got); err != nil || code != ExitOK {
		t.Fatal(code, err, out)
	}
	if got.Kind != "PlatformProfile" || got.Spec.Layers[0].Name != "security" || got.Status.Score != "1/1" {
		t.Errorf("%+v", got)
	}
	requirement := got.Status.Layers[0].Requirements[0]
	if requirement.Verdict != v1alpha1.VerdictSatisfied || requirement.Version != "0.40.0" || requirement.Namespace != "guard" ||
		requirement.Health != v1alpha1.HealthNotObserved {
		t.Errorf("%+v", requirement)
	}
	two := newProfile("{name: a, capability: runtime-security}") + "---\n" +
		strings.Replace(newProfile("{name: a, capability: secrets}"), "name: p}", "name: q}", 1)
	code, out, _ = run(two, "check", "-f", "-", "--from", folder, "-o", "json")
	list := &v1alpha1.PlatformProfileList{}
	if err := json.Unmarshal([]byte(out), list); err != nil || code != ExitFound || len(list.Items) != 2 ||
		list.Kind != "PlatformProfileList" {
		t.Errorf("two profiles: exit code %d, %v, %d items", code, err, len(list.Items))
	}
}

func TestCheckWithDefinitionInFiles(t *testing.T) {
	const product = `
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformComponent
metadata: {name: widget}
spec:
  layer: workloads
  signals: {workloads: [{images: [corp/widget]}]}
  checks: [{name: gears, parameters: [{name: least, type: Integer, default: "1"}], resource: {group: corp.dev, resource: gearsets}, listExpression: "objects.size() >= params.least", message: too few gears}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: w, namespace: w}
spec: {template: {spec: {containers: [{image: "corp/widget:v2.1.0"}]}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gearsets.corp.dev}
spec: {group: corp.dev, names: {kind: GearSet, plural: gearsets}}
---
apiVersion: corp.dev/v1
kind: GearSet
metadata: {name: one, namespace: w}
`
	for least, want := range map[string]int{"1": ExitOK, "2": ExitFound} {
		file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(`{name: a, anyOf: [{component: widget, version: "~2.1"}], checks: [{name: gears, parameters: {least: "` + least + `"}}]}`)}), "p.yaml")
		if code, out, errOut := run(product, "check", "-f", file, "--from", "-"); code != want {
			t.Errorf("with at least %s gears: exit code %d\n%s%s", least, code, out, errOut)
		}
	}
}

func TestInvalidDefinitionIsIgnored(t *testing.T) {
	broken := "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: w}\nspec: {layer: x, signals: {workloads: [{images: ['a/b:v1']}]}}\n---\n"
	code, out, errOut := run(broken+falcoManifest, "discover", "--from", "-")
	if code != ExitOK || !strings.Contains(errOut, "Warning: PlatformComponent w is invalid and ignored: spec.signals.workloads[0].images[0]") || !strings.Contains(out, "falco") {
		t.Errorf("exit code %d: %s%s", code, errOut, out)
	}
}

func TestErrors(t *testing.T) {
	folder := writeFiles(t, map[string]string{
		"empty/readme.txt": "hello", "good.yaml": newProfile("{name: a, capability: cni}"), "none.yaml": falcoManifest,
		"bad.yaml": newProfile("{name: a, capability: cni, attestation: {by: me, reason: so}}"), "broken.yaml": "a: [",
	})
	in := func(name string) string { return filepath.Join(folder, name) }
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"an unknown format":          {[]string{"discover", "--from", folder, "-o", "xml"}, []string{"-o xml", "table, wide, json, yaml, html or profile"}},
		"an unknown format of check": {[]string{"check", "-f", in("good.yaml"), "--from", "-", "-o", "xml"}, []string{"-o xml"}},
		"no profile named":           {[]string{"check", "--from", "-"}, []string{"--from", "-f"}},
		"a missing file":             {[]string{"check", "-f", in("no.yaml"), "--from", "-"}, []string{"no.yaml", "no such file"}},
		"a file without a profile":   {[]string{"check", "-f", in("none.yaml"), "--from", "-"}, []string{"none.yaml", "no PlatformProfile"}},
		"an invalid profile":         {[]string{"check", "-f", in("bad.yaml"), "--from", "-"}, []string{"bad.yaml", `PlatformProfile "p"`, "spec.layers[0].requirements[0]", "exactly one of"}},
		"both from standard input":   {[]string{"check", "-f", "-", "--from", "-"}, []string{"-f and --from"}},
		"a folder without manifests": {[]string{"discover", "--from", in("empty")}, []string{"--from", "contains no .yaml, .yml or .json file"}},
		"a missing folder":           {[]string{"discover", "--from", in("nowhere")}, []string{"--from", "nowhere"}},
		"invalid YAML":               {[]string{"discover", "--from", in("broken.yaml")}, []string{"broken.yaml:1", "not a Kubernetes object"}},
		"a time without files":       {[]string{"check", "-f", in("good.yaml"), "--at", "2026-11-25T12:00:00Z"}, []string{"--at requires --from"}},
		"an invalid time":            {[]string{"diagnose", "--from", folder, "--at", "yesterday"}, []string{"--at yesterday", "2026-11-25T12:00:00Z"}},
		"an unknown flag":            {[]string{"discover", "--form", "x"}, []string{"--form"}},
		"an unknown command":         {[]string{"discovre"}, []string{"discovre"}},
		"an argument too many":       {[]string{"discover", "falco"}, []string{"falco"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := run("", test.args...)
			if code != ExitError || out != "" {
				t.Errorf("exit code %d, and on standard output: %q", code, out)
			}
			for _, want := range test.want {
				if !strings.Contains(errOut, want) {
					t.Errorf("no %q in %q", want, errOut)
				}
			}
		})
	}
}

func TestHelp(t *testing.T) {
	code, out, _ := run("", "--help")
	if code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	for _, command := range []string{"discover", "check", "diagnose"} {
		if !slices.Contains(strings.Fields(out), command) {
			t.Errorf("%s is not in the help", command)
		}
	}
	if code, out, _ := run("", "--version"); code != ExitOK || !strings.Contains(out, "platformprofile version") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// Ages in a dump are evaluated as of --at.
func TestEvaluationTime(t *testing.T) {
	const dump = `
apiVersion: v1
kind: Node
metadata: {name: node}
status: {nodeInfo: {kubeletVersion: v1.37.0}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop, creationTimestamp: "2026-11-20T12:00:00Z"}
spec: {storageClassName: fast}
status: {phase: Pending}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, creationTimestamp: "2026-11-20T12:00:00Z", deletionTimestamp: "2026-11-20T12:03:00Z"}
spec: {nodeName: node, containers: [{name: web, image: web}]}
status: {phase: Running}
`
	file := filepath.Join(writeFiles(t,
		map[string]string{"p.yaml": newProfile("{name: a, anyOf: [{component: kubernetes}], checks: [{name: claims-bound}]}")}), "p.yaml")
	for at, want := range map[string]int{"2026-11-20T12:03:30Z": ExitOK, "2026-11-20T12:30:00Z": ExitFound} {
		if code, out, errOut := run(dump, "check", "-f", file, "--from", "-", "--at", at); code != want {
			t.Errorf("check at %s ends with %d, want %d:\n%s%s", at, code, want, out, errOut)
		}
		if code, out, errOut := run(dump, "diagnose", "--from", "-", "--at", at); code != want {
			t.Errorf("diagnose at %s ends with %d, want %d:\n%s%s", at, code, want, out, errOut)
		}
	}
}
