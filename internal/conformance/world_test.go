package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// The products of the tests: alpha, beta, delta and epsilon are four of a kind; gamma is another. A CRD alone proves
// epsilon, so that it can be out of sight while the others are seen.
const products = `
metadata: {name: alpha}
spec:
  displayName: Alpha
  layer: network
  capabilities: [cni]
  signals:
    workloads: [{images: [example/alpha]}]
    crds: [{name: alpha.dev}]
  checks:
  - name: recent
    parameters: [{name: maxAge, type: Duration, default: 24h}]
    resource: {group: alpha.dev, resource: backups}
    expression: "timestamp(object.at) > now - params.maxAge"
    require: Any
    message: no recent backup
  - name: enough
    parameters: [{name: least, type: Integer}]
    resource: {group: alpha.dev, resource: pools}
    listExpression: "objects.size() >= params.least"
    message: too few pools
  - name: same
    resource: {group: alpha.dev, resource: pools}
    listExpression: "objects.all(a, objects.all(b, a.x == b.x))"
    message: pools differ
  remediation: {install: helm install alpha, degraded: kubectl get alpha}
---
metadata: {name: beta}
spec:
  layer: network
  capabilities: [cni]
  signals: {workloads: [{images: [example/beta]}]}
  checks:
  - name: same
    resource: {group: beta.dev, resource: rings}
    listExpression: "objects.all(a, objects.all(b, a.x == b.x))"
    message: rings differ
---
metadata: {name: delta}
spec:
  layer: network
  capabilities: [cni]
  signals: {workloads: [{images: [example/delta]}]}
---
metadata: {name: epsilon}
spec:
  layer: network
  capabilities: [cni]
  signals: {crds: [{name: epsilon.dev, role: Proof}]}
---
metadata: {name: gamma}
spec:
  layer: registry
  capabilities: [registry]
  signals: {workloads: [{images: [example/gamma]}]}
`

func testCatalog(t *testing.T, definitions string) *catalog.Catalog {
	t.Helper()
	var components []*catalog.Component
	for text := range strings.SplitSeq(definitions, "\n---\n") {
		definition := &v1alpha1.PlatformComponent{}
		if err := yaml.UnmarshalStrict([]byte(text), definition); err != nil {
			t.Fatal(err)
		}
		component, errs := catalog.Compile(definition)
		if len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
		components = append(components, component)
	}
	return catalog.New(components...)
}

// world is a cluster, a profile, and the status that was written last.
type world struct {
	t         *testing.T
	now       time.Time
	inventory *inventory.Inventory
	workloads []facts.Fact
	profile   *Profile
	status    v1alpha1.PlatformProfileStatus
}

func newWorld(t *testing.T, layers string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.inventory = inventory.New(testCatalog(t, products), func() time.Time { return w.now })
	w.inventory.Source("daemonsets.apps").Replace(nil)
	w.inventory.Source("statefulsets.apps").Replace(nil)
	w.inventory.Source("customresourcedefinitions.apiextensions.k8s.io").Replace(nil)
	w.runs()
	w.declare(layers)
	return w
}

// declare puts another spec in place. Each is read as the API server reads it.
func (w *world) declare(spec string) {
	w.t.Helper()
	profiles, err := manifest.Profiles(strings.NewReader(
		"apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: test}\nspec:\n" + indent(spec)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.profile = Compile(&profiles[0].Spec, w.inventory.Catalog())
	w.inventory.Rules.SetInstances(slices.Concat(w.inventory.Catalog().Instances(), w.profile.Instances()))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// asks wraps a requirement into a spec.
func asks(requirement string) string {
	return "layers: [{name: network, requirements: [{name: it, " + requirement + "}]}]"
}

// runs makes these Deployments all that the cluster runs.
func (w *world) runs(workloads ...*facts.Workload) {
	w.workloads = nil
	for _, workload := range workloads {
		w.workloads = append(w.workloads, workload)
	}
	w.inventory.Source("deployments.apps").Replace(w.workloads)
}

// holds makes these objects all that the cluster has of a resource. One without a name is called a, b and so on.
func (w *world) holds(resource rule.Resource, objects ...any) {
	w.t.Helper()
	w.inventory.Rules.Source(resource).Replace(keep(w.t, objects...))
}

func keep(t testing.TB, objects ...any) []rule.Object {
	t.Helper()
	var all []rule.Object
	for i, object := range objects {
		content := map[string]any{"metadata": map[string]any{"name": fmt.Sprintf("%c%d", 'a'+i%26, i)}}
		if fields, ok := object.(map[string]any); ok {
			maps.Copy(content, fields)
		}
		kept, err := rule.AllFields().Prune(content)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, kept)
	}
	return all
}

// evaluate evaluates as the operator does: with what was written last, and writing what comes out.
func (w *world) evaluate() Result {
	w.inventory.Rules.Refresh()
	w.inventory.Rules.Flush()
	result := Evaluate(w.profile, w.inventory.Snapshot(), &w.status, 1, w.now)
	w.status = result.Status
	return result
}

func (w *world) requirement(name string) v1alpha1.RequirementStatus {
	w.t.Helper()
	for _, layer := range w.status.Layers {
		for _, r := range layer.Requirements {
			if r.Name == name {
				return r
			}
		}
	}
	w.t.Fatalf("the status has no requirement %q", name)
	return v1alpha1.RequirementStatus{}
}

func (w *world) condition(kind string) metav1.Condition {
	w.t.Helper()
	c := meta.FindStatusCondition(w.status.Conditions, kind)
	if c == nil {
		w.t.Fatalf("there is no condition %s", kind)
	}
	return *c
}

func (w *world) wantConformant(value metav1.ConditionStatus, reason string) {
	w.t.Helper()
	if c := w.condition(v1alpha1.ConditionConformant); c.Status != value || c.Reason != reason {
		w.t.Errorf("Conformant is %s, %s (%s); want %s, %s", c.Status, c.Reason, c.Message, value, reason)
	}
}

func (w *world) conditionTypes() []string {
	var types []string
	for _, c := range w.status.Conditions {
		types = append(types, c.Type)
	}
	slices.Sort(types)
	return types
}

// running is a Deployment of two pods, all of them up to date and available.
func running(namespace, image string) *facts.Workload {
	parsed, ok := facts.ParseImage(image)
	if !ok {
		panic(image)
	}
	return &facts.Workload{
		Ref:        facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: parsed.Base()},
		Containers: []facts.Container{{Image: parsed}},
		Rollout: facts.Rollout{
			HasStatus: true, Desired: 2, Total: 2, Updated: 2, Ready: 2, Available: 2, Generation: 1, ObservedGeneration: 1,
			Deadline: 600, Progressing: "True", Reason: "NewReplicaSetAvailable", DeploymentAvailable: "True",
		},
	}
}

// broken lacks one of its pods outside any rollout.
func broken(namespace, image string) *facts.Workload {
	w := running(namespace, image)
	w.Rollout.Ready, w.Rollout.Available = 1, 1
	return w
}

// rolling is within a rollout that its controller reports progress of.
func rolling(namespace, image string) *facts.Workload {
	w := broken(namespace, image)
	w.Rollout.Updated, w.Rollout.Reason = 1, "ReplicaSetUpdated"
	return w
}
