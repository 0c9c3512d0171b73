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

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog/catalogtest"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// testDefinitions are the components of the tests: alpha, beta, delta and epsilon provide cni, and gamma provides registry. Only a CRD
// proves epsilon, so that it can be unreadable while the others are readable.
const testDefinitions = `
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

// world is an inventory, a profile, and the last written status.
type world struct {
	t         *testing.T
	now       time.Time
	inventory *inventory.Inventory
	workloads []facts.Fact
	profile   *Profile
	waivers   []*v1alpha1.PlatformWaiver
	status    v1alpha1.PlatformProfileStatus
}

func newWorld(t *testing.T, layers string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.inventory = inventory.New(catalogtest.New(t, testDefinitions), func() time.Time { return w.now })
	w.inventory.Source("daemonsets.apps").Replace(nil)
	w.inventory.Source("statefulsets.apps").Replace(nil)
	w.inventory.Source("customresourcedefinitions.apiextensions.k8s.io").Replace(nil)
	w.setDeployments()
	w.setSpec(layers)
	return w
}

// setSpec compiles a spec, which it validates like the API server.
func (w *world) setSpec(spec string) {
	w.t.Helper()
	profiles, err := manifest.Profiles(strings.NewReader(
		"apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: test}\nspec:\n" + indentText(spec)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.profile = Compile(&profiles[0].Spec, w.inventory.Catalog())
	w.inventory.Rules.SetInstances(slices.Concat(w.inventory.Catalog().Instances(), w.profile.Instances()))
}

func indentText(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// specWith returns a spec with one requirement.
func specWith(requirement string) string {
	return "layers: [{name: network, requirements: [{name: it, " + requirement + "}]}]"
}

// setDeployments replaces the Deployments of the cluster.
func (w *world) setDeployments(workloads ...*facts.Workload) {
	w.workloads = nil
	for _, workload := range workloads {
		w.workloads = append(w.workloads, workload)
	}
	w.inventory.Source("deployments.apps").Replace(w.workloads)
}

// setObjects replaces the objects of a resource, and generates their names.
func (w *world) setObjects(resource rule.Resource, objects ...any) {
	w.t.Helper()
	w.inventory.Rules.Source(resource).Replace(pruneObjects(w.t, objects...))
}

func pruneObjects(t testing.TB, objects ...any) []rule.Object {
	t.Helper()
	var all []rule.Object
	for i, object := range objects {
		content := map[string]any{"metadata": map[string]any{"name": fmt.Sprintf("%c%d", 'a'+i%26, i)}}
		if fields, ok := object.(map[string]any); ok {
			maps.Copy(content, fields)
		}
		pruned, err := rule.AllFields().Prune(content)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pruned)
	}
	return all
}

// evaluate evaluates the profile like the operator: against the last status, which it replaces.
func (w *world) evaluate() Result {
	w.inventory.Rules.Refresh()
	w.inventory.Rules.Flush()
	result := Evaluate(w.profile, w.inventory.Snapshot(), &w.status, 1, w.now, w.waivers...)
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

// healthyDeployment returns a Deployment with two available pods.
func healthyDeployment(namespace, image string) *facts.Workload {
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

// degradedDeployment returns a Deployment with one unavailable pod and without a rollout.
func degradedDeployment(namespace, image string) *facts.Workload {
	w := healthyDeployment(namespace, image)
	w.Rollout.Ready, w.Rollout.Available = 1, 1
	return w
}

// progressingDeployment returns a Deployment with a rollout in progress.
func progressingDeployment(namespace, image string) *facts.Workload {
	w := degradedDeployment(namespace, image)
	w.Rollout.Updated, w.Rollout.Reason = 1, "ReplicaSetUpdated"
	return w
}
