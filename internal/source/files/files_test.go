package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

var (
	gears   = rule.Resource{Group: "corp.dev", Resource: "cogwheels"}
	classes = rule.Resource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
)

const product = `
metadata: {name: widget}
spec:
  layer: x
  signals:
    workloads: [{images: [corp/widget]}]
    crds: [{name: corp.dev}]
    webhooks: [{name: hook.corp.dev}]
    configMaps: [{namespace: kube-system, name: widget, contains: mine, role: Proof}]
    apiServices: [{name: api.corp.dev}]
    nodes: [{containerRuntime: widgetd}]
`

// snapshotOf loads a dump into an inventory with one product, and returns its snapshot.
func snapshotOf(t *testing.T, d *Dump, resources ...rule.Resource) *inventory.Snapshot {
	t.Helper()
	definition := &v1alpha1.PlatformComponent{}
	if err := yaml.UnmarshalStrict([]byte(product), definition); err != nil {
		t.Fatal(err)
	}
	component, errs := catalog.Compile(definition)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	i := inventory.New(catalog.New(component), time.Now)
	var instances []rule.Instance
	for _, resource := range resources {
		instances = append(instances, newTeethRule(resource))
	}
	if err := d.Load(i, instances); err != nil {
		t.Fatal(err)
	}
	if !i.HasSynced() && len(resources) == 0 {
		t.Error("the inventory has not synced")
	}
	return i.Snapshot()
}

func mustRead(t *testing.T, text string) *Dump {
	t.Helper()
	d, err := Read("-", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func deployment(namespace, version string) string {
	return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w, namespace: %s}\nspec: {template: {spec: {containers: [{image: 'corp/widget:%s'}]}}}\n", namespace, version)
}

// summary returns the installations of the product in one line.
func summary(s *inventory.Snapshot) string {
	var installations []string
	for _, i := range s.Component("widget").Installations {
		installations = append(installations, i.Namespace+" "+i.Version+" "+string(i.Health))
	}
	return strings.Join(installations, "; ")
}

func TestRead(t *testing.T) {
	indented := strings.ReplaceAll(deployment("a", "v1.0.0"), "\n", "\n  ")
	for name, test := range map[string]struct{ text, want string }{
		"one document":       {deployment("a", "v1.0.0"), "a 1.0.0 NotObserved"},
		"several documents":  {deployment("a", "v1.0.0") + "---\n" + deployment("b", "v2.0.0"), "a 1.0.0 NotObserved; b 2.0.0 NotObserved"},
		"comments":           {"# Source: chart\n---\n---\n# nothing\n---\n" + deployment("a", "v1.0.0") + "---\n", "a 1.0.0 NotObserved"},
		"a List":             {"apiVersion: v1\nkind: List\nitems:\n- " + strings.TrimRight(indented, " "), "a 1.0.0 NotObserved"},
		"a List of one kind": {"apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- " + strings.TrimRight(indented, " "), "a 1.0.0 NotObserved"},
		"an empty List":      {"apiVersion: v1\nkind: List\nitems: []\n", ""},
		"JSON":               {`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"w","namespace":"a"},"spec":{"template":{"spec":{"containers":[{"image":"corp/widget:1.0"}]}}}}`, "a 1.0 NotObserved"},
		"Windows' line ends": {strings.ReplaceAll(deployment("a", "v1.0.0")+"---\n"+deployment("b", "v1.0.0"), "\n", "\r\n"), "a 1.0.0 NotObserved; b 1.0.0 NotObserved"},
		"nothing":            {"", ""},
		"an unused kind":     {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: corp/widget}]}\n", ""},
		"a dump with its status": {
			strings.Replace(deployment("a", "v1.0.0"), "{name: w,", "{name: w, generation: 1,", 1) + "status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}\n",
			"a 1.0.0 Healthy",
		},
		"a ConfigMap that a definition names": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: widget, namespace: kube-system}\ndata: {x: it is mine}\n", "  Healthy"},
		"another ConfigMap":                   {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: widget, namespace: a}\ndata: {x: it is mine}\n", ""},
		"a node":                              {"apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\nstatus: {nodeInfo: {containerRuntimeVersion: 'widgetd://1.2.3'}}\n", "  Healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := summary(snapshotOf(t, mustRead(t, test.text))); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	s := snapshotOf(t, mustRead(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gears.corp.dev}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: v}
webhooks: [{name: a.hook.corp.dev}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: m}
webhooks: [{name: b.hook.corp.dev}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.api.corp.dev}
spec: {group: api.corp.dev, service: {name: s, namespace: a}}
`))
	if got := s.Component("widget"); len(got.Installations) > 0 || len(got.Leftovers) != 4 {
		t.Errorf("%d installations and %d leftovers", len(got.Installations), len(got.Leftovers))
	}
}

// writeFiles writes files with these texts below a folder.
func writeFiles(t *testing.T, folder string, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadFolder(t *testing.T) {
	folder := t.TempDir()
	writeFiles(t, folder, map[string]string{
		"one.yaml": deployment("a", "v1.0.0"), "deep/er/two.YML": deployment("b", "v1.0.0"),
		"three.json": `{"apiVersion":"v1","kind":"List","items":[]}`,
		"notes.txt":  "not: [yaml", "values.tpl": "{{ x }}",
	})
	d, err := Read(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(snapshotOf(t, d)); got != "a 1.0.0 NotObserved; b 1.0.0 NotObserved" {
		t.Errorf("found %q", got)
	}
	// A file that --from names may have any name.
	path := filepath.Join(folder, "rendered")
	if err := os.WriteFile(path, []byte(deployment("c", "v1.0.0")), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err = Read(path, nil); err != nil || summary(snapshotOf(t, d)) != "c 1.0.0 NotObserved" {
		t.Errorf("a file alone: %v", err)
	}
}

func TestErrorsNameFile(t *testing.T) {
	folder := t.TempDir()
	if _, err := Read(folder, nil); err == nil || !strings.Contains(err.Error(), "contains no .yaml, .yml or .json file") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Read(filepath.Join(folder, "nowhere"), nil); err == nil {
		t.Error("no error for a folder that does not exist")
	}
	if _, err := Read("-", strings.NewReader("\na: [")); err == nil ||
		!strings.Contains(err.Error(), "standard input:1: not a Kubernetes object") || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("standard input: %v", err)
	}
}

// TestOneBadDocumentSpoilsNothing checks that documents that are no objects, and objects that cannot be read, do not affect the others, and
// that a kind with an unreadable object is incomplete.
func TestOneBadDocumentSpoilsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		files   map[string]string
		want    string // what is installed
		problem string // how a problem begins, after the folder; "" where there is none
		foreign int
	}{
		"a list of labels":         {map[string]string{"labels.yaml": "- name: bug\n  color: red\n"}, "a 1.0.0 NotObserved", "", 1},
		"a configuration":          {map[string]string{"config.yml": "server:\n  port: 80\n", "mlc.json": `{"ignorePatterns": []}`}, "a 1.0.0 NotObserved", "", 2},
		"what hidden folders hold": {map[string]string{".github/workflows/ci.yaml": deployment("hidden", "v1"), ".pre-commit-config.yaml": "repos: []\n"}, "a 1.0.0 NotObserved", "", 1},
		"a template":               {map[string]string{"templates/d.yaml": "{{- if .Values.x }}\n" + deployment("t", "v1") + "{{- end }}\n"}, "a 1.0.0 NotObserved", "", 1},
		"a template's number":      {map[string]string{"d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec:\n  replicas: '{{ .Values.replicas }}'\n"}, "a 1.0.0 NotObserved", "", 1},
		"an encrypted object":      {map[string]string{"s.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: 'ENC[x]'\nsops: {mac: 'ENC[y]'}\n"}, "a 1.0.0 NotObserved", "", 0},
		"a patch":                  {map[string]string{"p.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\n$patch: delete\n"}, "a 1.0.0 NotObserved", "", 0},
		"an old version": {
			map[string]string{"old.yaml": strings.Replace(deployment("old", "v2.0.0"), "apps/v1", "extensions/v1beta1", 1) + "---\n" +
				strings.Replace(deployment("beta", "v3.0.0"), "apps/v1", "apps/v1beta2", 1)},
			"a 1.0.0 NotObserved; beta 3.0.0 NotObserved; old 2.0.0 NotObserved", "", 0,
		},
		"a number that is a word": {
			map[string]string{"d.yaml": "# a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: {replicas: many}\n"}, "a 1.0.0 NotObserved", "d.yaml:3: Deployment w:", 0,
		},
		"a quantity that is a placeholder": {
			map[string]string{"d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: {template: {spec: {containers: [{name: c, resources: {limits: {cpu: '${CPU}'}}}]}}}\n"},
			"a 1.0.0 NotObserved", "d.yaml:1: Deployment w:", 0,
		},
		"an object that is no YAML": {map[string]string{"d.yaml": deployment("b", "v1.0.0") + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: [\n"}, "a 1.0.0 NotObserved; b 1.0.0 NotObserved", "d.yaml:6: ", 0},
		"a dump that is cut off":    {map[string]string{"d.json": `{"apiVersion":"v1","items":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x"}},{"apiVersion":`}, "a 1.0.0 NotObserved", "d.json: not all of Deployment.apps can be read: line 1, item 2: unexpected end", 0},
		"a definition with a mistake": {
			map[string]string{"c.yaml": "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: x}\nspec: {layer: x, signals: {}}\n"},
			"a 1.0.0 NotObserved", `c.yaml:1: PlatformComponent "x": spec.signals`, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			test.files["good.yaml"] = deployment("a", "v1.0.0")
			writeFiles(t, folder, test.files)
			d, err := Read(folder, nil)
			if err != nil {
				t.Fatal(err)
			}
			problem := ""
			for _, p := range d.Problems {
				problem += strings.TrimPrefix(p.String(), folder+"/")
			}
			if !strings.HasPrefix(problem, test.problem) || test.problem == "" && problem != "" || d.Foreign != test.foreign {
				t.Errorf("problems %q, want %q; %d foreign documents, want %d", problem, test.problem, d.Foreign, test.foreign)
			}
			s := snapshotOf(t, d)
			if got := summary(s); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			unreadable := strings.Join(s.Component("widget").UnreadableSources, "; ")
			if isDeployment := strings.Contains(test.problem, "Deployment") ||
				strings.HasPrefix(test.problem, "d.yaml"); isDeployment != strings.Contains(unreadable, "cannot read "+folder) {
				t.Errorf("the unreadable sources are %q", unreadable)
			}
		})
	}
}

// newTeethRule returns a rule that each object of a resource has seven teeth.
func newTeethRule(resource rule.Resource) rule.Instance {
	return rule.NewInstance(rule.New(&v1alpha1.Rule{
		Resource:   &v1alpha1.ResourceReference{Group: resource.Group, Version: resource.Version, Resource: resource.Resource},
		Expression: "type(object.spec.teeth) == int && object.spec.teeth == 7 && !has(object.spec.none)",
	}, rule.ProfileScope, ""), nil, "")
}

func TestResourceNamesFromCRDs(t *testing.T) {
	const object = "apiVersion: corp.dev/v1\nkind: Gear\nmetadata: {name: g, namespace: a}\nspec: {teeth: 7}\n"
	const crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: cogwheels.corp.dev}\nspec: {group: corp.dev, names: {kind: Gear, plural: cogwheels}}\n"
	s := snapshotOf(t, mustRead(t, object+"---\n"+crd), gears)
	if got := s.ResourceStatus(gears); got.State != facts.Synced || got.Objects != 1 {
		t.Fatalf("with a CRD after the object: %+v", got)
	}
	// Integers stay integers: CEL distinguishes 7 and 7.0.
	if got := s.Outcome(newTeethRule(gears).Key); !got.IsSatisfied || got.Satisfied != 1 {
		t.Errorf("the outcome is %+v", got)
	}
	s = snapshotOf(t, mustRead(t, deployment("a", "v1")), gears, classes)
	if got := s.ResourceStatus(gears); got.State != facts.Pending || got.Reason != "cannot read cogwheels.corp.dev: the files contain none" {
		t.Errorf("a custom resource without objects: %+v", got)
	}
	if got := s.ResourceStatus(classes); got.State != facts.Synced || got.Objects != 0 {
		t.Errorf("a built-in resource without objects: %+v", got)
	}
	s = snapshotOf(t, mustRead(t, "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nprovisioner: x\n"), classes)
	if got := s.ResourceStatus(classes); got.Objects != 1 {
		t.Errorf("one StorageClass: %+v", got)
	}
}

func TestDefinitionsAreDefaulted(t *testing.T) {
	d := mustRead(t, deployment("a", "v1")+"---\napiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: mine}\nspec: {layer: x, signals: {workloads: [{images: [corp/mine]}], crds: [{name: mine.dev}]}}\n")
	if len(d.Definitions) != 1 || d.Definitions[0].Name != "mine" || d.Definitions[0].Spec.Signals.CRDs[0].Role != v1alpha1.RoleSupport {
		t.Errorf("%+v", d.Definitions)
	}
}

func TestSecretsAreIgnored(t *testing.T) {
	secrets := rule.Resource{Resource: "secrets"}
	s := snapshotOf(t, mustRead(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: a}\nstringData: {password: hunter2}\n"), secrets)
	if got := s.ResourceStatus(secrets); got.Objects > 0 {
		t.Errorf("%d Secrets are read", got.Objects)
	}
}

// A duplicate key would lose one of its values.
func TestDuplicateKeysInJSONList(t *testing.T) {
	list := func(item string) string { return `{"apiVersion":"v1","items":[` + item + `],"kind":"List"}` }
	d := mustRead(t, list(`{"apiVersion":"platformprofile.dev/v1alpha1","kind":"PlatformComponent","metadata":{"name":"x"},`+
		`"spec":{"layer":"a","layer":"b"}}`))
	if len(d.Problems) != 1 || !strings.HasPrefix(d.Problems[0].String(), "standard input:1: item 1: ") ||
		!strings.Contains(d.Problems[0].Reason, "already set") {
		t.Errorf("in a kind of this project: %v", d.Problems)
	}
	if _, err := Read("-", strings.NewReader(list(`{"apiVersion":"v1","kind":"Pod","kind":"Pod"}`))); err != nil {
		t.Errorf("in another kind: %v", err)
	}
}
