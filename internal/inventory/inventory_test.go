package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog/catalogtest"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

const (
	deployments = "deployments.apps"
	daemonsets  = "daemonsets.apps"
	crds        = "customresourcedefinitions.apiextensions.k8s.io"
)

var (
	startTime        = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	clustersResource = rule.Resource{Group: "alpha.dev", Resource: "clusters"}
)

// testDefinitions define alpha, with an optional helper, a CRD and a health rule; beta; and runtime, which nodes prove.
const testDefinitions = `
metadata: {name: alpha}
spec:
  layer: network
  signals:
    workloads:
    - {images: [example/alpha]}
    - {images: [example/alpha-worker]}
    - {images: [example/helper], role: Support}
    crds: [{name: alpha.dev}]
    webhooks: [{name: hook.alpha.dev}]
  health:
    rules:
    - {name: fit, resource: {group: alpha.dev, resource: clusters}, expression: "object.ok", message: a cluster is not ok}
---
metadata: {name: beta}
spec:
  layer: network
  signals: {workloads: [{images: [example/beta]}]}
---
metadata: {name: runtime}
spec:
  layer: runtime
  signals: {nodes: [{containerRuntime: runtime}]}
  version: [{from: ContainerRuntime}]
`

// testInventory is an Inventory with a clock that tests set, and the changes that its listener received.
type testInventory struct {
	*Inventory
	t       *testing.T
	now     time.Time
	changes []Change
}

func newTestInventory(t *testing.T) *testInventory {
	t.Helper()
	w := &testInventory{t: t, now: startTime}
	w.Inventory = New(catalogtest.New(t, testDefinitions), func() time.Time { return w.now })
	for _, source := range []string{deployments, daemonsets, "statefulsets.apps", "nodes", crds} {
		w.Source(source).Replace(nil)
	}
	w.OnChange(func(c Change) { w.changes = append(w.changes, c) })
	return w
}

// putWorkloads adds workloads to the sources of their kinds.
func (w *testInventory) putWorkloads(all ...facts.Fact) {
	for _, fact := range all {
		w.Source(strings.ToLower(fact.ObjectRef().Kind) + "s.apps").Put(fact)
	}
}

// describe returns the namespace, version and health of a component's installations.
func (w *testInventory) describe(name string) string {
	w.t.Helper()
	var installations []string
	for _, i := range w.Snapshot().Component(name).Installations {
		installations = append(installations, strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Namespace, i.Version, i.Health)))
	}
	return strings.Join(installations, "; ")
}

func (w *testInventory) expectInstallations(name, want string) {
	w.t.Helper()
	if got := w.describe(name); got != want {
		w.t.Errorf("the installations of %s are %q, want %q", name, got, want)
	}
}

// expectChanges compares the changes since the last call: the components, "/rule" for each rule, "!" for the catalog, "*" for Synced.
func (w *testInventory) expectChanges(want ...string) {
	w.t.Helper()
	var got []string
	for _, c := range w.changes {
		text := strings.Join(c.Components, "+")
		for range c.Rules {
			text += "/rule"
		}
		if c.Catalog {
			text += "!"
		}
		if c.Synced {
			text += "*"
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the changes are %q, want %q", got, want)
	}
	w.changes = nil
}

func parseImage(image string) facts.Image {
	parsed, ok := facts.ParseImage(image)
	if !ok {
		panic(image)
	}
	return parsed
}

type change func(*facts.Workload)

// newDeployment returns a Deployment with two available pods.
func newDeployment(namespace, name, image string, changes ...change) *facts.Workload {
	w := &facts.Workload{
		Ref:        facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name},
		UID:        "1",
		Containers: []facts.Container{{Image: parseImage(image)}},
		Rollout: facts.Rollout{
			HasStatus: true, Desired: 2, Total: 2, Updated: 2, Ready: 2, Available: 2, Generation: 1, ObservedGeneration: 1,
			Deadline: 600, Progressing: "True", Reason: "NewReplicaSetAvailable", DeploymentAvailable: "True",
		},
	}
	for _, change := range changes {
		change(w)
	}
	return w
}

func newDaemonSet(name, image string, changes ...change) *facts.Workload {
	w := newDeployment("a", name, image)
	w.Kind, w.Rollout.Deadline, w.Rollout.Progressing, w.Rollout.Reason, w.Rollout.DeploymentAvailable = "DaemonSet", 0, "", "", ""
	w.Rollout.StartedAt = startTime
	for _, change := range changes {
		change(w)
	}
	return w
}

func withAvailable(n int32) change {
	return func(w *facts.Workload) { w.Rollout.Ready, w.Rollout.Available = n, n }
}

func withoutReplicas(w *facts.Workload) {
	w.Rollout.Desired, w.Rollout.Total, w.Rollout.Updated, w.Rollout.Ready, w.Rollout.Available = 0, 0, 0, 0, 0
}

func withLabels(pairs ...string) change {
	return func(w *facts.Workload) {
		all := map[string]string{}
		for _, l := range w.Labels {
			all[l.Key] = l.Value
		}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		w.Labels = facts.NewLabels(all)
	}
}

func withRelease(release string) change {
	return withLabels("app.kubernetes.io/managed-by", "Helm", "app.kubernetes.io/instance", release)
}

func newCRD(name string) *facts.Named {
	return &facts.Named{
		Ref:      facts.Ref{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: name},
		NameKind: facts.CRDName,
		Values:   []string{name},
	}
}

func newNode(name, version string) *facts.Node {
	return &facts.Node{Ref: facts.Ref{APIVersion: "v1", Kind: "Node", Name: name}, ContainerRuntime: "runtime://" + version}
}

// newNodeWithOS returns a node with an OS image.
func newNodeWithOS(image string) *facts.Node {
	n := newNode("n", "1.0.0")
	n.OSImage = image
	return n
}

func TestInstallations(t *testing.T) {
	for name, test := range map[string]struct {
		workloads []facts.Fact
		want      string
	}{
		"two namespaces have two installations": {
			[]facts.Fact{newDeployment("b", "alpha", "example/alpha:v2.0.0"), newDeployment("a", "alpha", "example/alpha:v1.0.0", withAvailable(1))},
			"a 1.0.0 Degraded; b 2.0.0 Healthy",
		},
		"workloads of one namespace are one": {
			[]facts.Fact{newDeployment("a", "alpha", "example/alpha:v1.0.0"), newDeployment("a", "worker", "example/alpha-worker:v1.0.0")},
			"a 1.0.0 Healthy",
		},
		"two Helm releases in one namespace are two": {
			[]facts.Fact{newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("a", "y-alpha", "example/alpha:v2.0.0", withRelease("y"), withAvailable(0))},
			"a 1.0.0 Healthy; a 2.0.0 Degraded",
		},
		"two releases of different workloads are one": {
			[]facts.Fact{newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("a", "y-worker", "example/alpha-worker:v1.0.0", withRelease("y"))}, "a 1.0.0 Healthy",
		},
		"two workloads of one release and signal are one": {
			[]facts.Fact{
				newDeployment("a", "x-read", "example/alpha:v1.0.0", withRelease("x"), withLabels("app.kubernetes.io/component", "read")),
				newDeployment("a", "x-write", "example/alpha:v1.0.0", withRelease("x"), withLabels("app.kubernetes.io/component", "write")),
			}, "a 1.0.0 Healthy",
		},
		"workloads that an operator numbers by instance are one": {
			[]facts.Fact{
				newDeployment("a", "mon-a", "example/alpha:v1.0.0",
					withLabels("app.kubernetes.io/instance", "a", "app.kubernetes.io/managed-by", "rook-ceph-operator")),
				newDeployment("a", "mon-b", "example/alpha:v1.0.0",
					withLabels("app.kubernetes.io/instance", "b", "app.kubernetes.io/managed-by", "rook-ceph-operator")),
			}, "a 1.0.0 Healthy",
		},
		"the helper of a broken release makes that release alone unhealthy": {
			[]facts.Fact{
				newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("a", "y-alpha", "example/alpha:v2.0.0", withRelease("y")),
				newDeployment("a", "y-helper", "example/helper:v2.0.0", withRelease("y"), withAvailable(0)),
			}, "a 1.0.0 Healthy; a 2.0.0 Degraded",
		},
		"a helper in another namespace belongs to the only installation": {
			[]facts.Fact{newDeployment("a", "alpha", "example/alpha:v1.0.0"),
				newDeployment("b", "helper", "example/helper:v1.0.0", withAvailable(0))}, "a 1.0.0 Degraded",
		},
		"a helper in a third namespace belongs to neither of two": {
			[]facts.Fact{newDeployment("a", "alpha", "example/alpha:v1.0.0"), newDeployment("b", "alpha", "example/alpha:v1.0.0"),
				newDeployment("c", "helper", "example/helper:v1.0.0", withAvailable(0))},
			"a 1.0.0 Healthy; b 1.0.0 Healthy",
		},
		"a helper of a third release belongs to neither of two in its namespace": {
			[]facts.Fact{
				newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("a", "y-alpha", "example/alpha:v2.0.0", withRelease("y")),
				newDeployment("a", "z-helper", "example/helper:v1.0.0", withRelease("z"), withAvailable(0)),
			}, "a 1.0.0 Healthy; a 2.0.0 Healthy",
		},
		"a helper of no release belongs to neither of two in its namespace": {
			[]facts.Fact{
				newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("a", "y-alpha", "example/alpha:v2.0.0", withRelease("y")),
				newDeployment("a", "helper", "example/helper:v1.0.0", withAvailable(0)),
			}, "a 1.0.0 Healthy; a 2.0.0 Healthy",
		},
		"a helper of another release belongs to the only installation in its namespace": {
			[]facts.Fact{
				newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("b", "y-alpha", "example/alpha:v2.0.0", withRelease("y")),
				newDeployment("a", "z-helper", "example/helper:v1.0.0", withRelease("z"), withAvailable(0)),
			}, "a 1.0.0 Degraded; b 2.0.0 Healthy",
		},
		"a helper of no release belongs to the only installation in its namespace": {
			[]facts.Fact{newDeployment("a", "x-alpha", "example/alpha:v1.0.0", withRelease("x")),
				newDeployment("a", "helper", "example/helper:v1.0.0", withAvailable(0))}, "a 1.0.0 Degraded",
		},
		"a helper alone is no installation": {[]facts.Fact{newDeployment("a", "helper", "example/helper:v1.0.0")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestInventory(t)
			w.putWorkloads(test.workloads...)
			w.expectInstallations("alpha", test.want)
			slices.Reverse(test.workloads) // the order does not matter
			reversed := newTestInventory(t)
			reversed.putWorkloads(test.workloads...)
			reversed.expectInstallations("alpha", test.want)
		})
	}
}

func TestHealth(t *testing.T) {
	alpha := newDeployment("a", "alpha", "example/alpha:v1.0.0")
	notOK, ok := map[string]map[string]any{"x": {"ok": false}}, map[string]map[string]any{"x": {"ok": true}}
	for name, test := range map[string]struct {
		workloads []facts.Fact
		clusters  func(testResource)
		want      v1alpha1.Health
		message   string
	}{
		"the worst of its parts wins": {
			workloads: []facts.Fact{alpha, newDeployment("a", "worker", "example/alpha-worker:v1", withAvailable(0))},
			want:      v1alpha1.HealthDegraded, message: "Deployment a/worker: 0 of 2 pods are available",
		},
		"a degraded helper counts":                                   {workloads: []facts.Fact{alpha, newDeployment("a", "helper", "example/helper:v1", withAvailable(1))}, want: v1alpha1.HealthDegraded, message: "a/helper"},
		"a helper that is scaled to zero does not":                   {workloads: []facts.Fact{alpha, newDeployment("a", "helper", "example/helper:v1", withoutReplicas)}, want: v1alpha1.HealthHealthy},
		"the component itself scaled to zero does":                   {workloads: []facts.Fact{newDeployment("a", "alpha", "example/alpha:v1", withoutReplicas)}, want: v1alpha1.HealthDegraded, message: "is scaled to zero"},
		"a DaemonSet without nodes beside a running workload":        {workloads: []facts.Fact{alpha, newDaemonSet("windows", "example/alpha-worker:v1", withoutReplicas)}, want: v1alpha1.HealthHealthy},
		"a DaemonSet without nodes as its only workload has no pods": {workloads: []facts.Fact{newDaemonSet("alpha", "example/alpha:v1", withoutReplicas)}, want: v1alpha1.HealthDegraded, message: "has no pods: no node matches its node selector"},
		"manifests have no status":                                   {workloads: []facts.Fact{newDeployment("a", "alpha", "example/alpha:v1", func(w *facts.Workload) { w.Rollout = facts.Rollout{Desired: 1} })}, want: v1alpha1.HealthNotObserved},
		"a rule over its resources is not satisfied":                 {workloads: []facts.Fact{alpha}, clusters: func(r testResource) { r.replace(notOK) }, want: v1alpha1.HealthDegraded, message: "a cluster is not ok"},
		"a rule over its resources is satisfied":                     {workloads: []facts.Fact{alpha}, clusters: func(r testResource) { r.replace(ok) }, want: v1alpha1.HealthHealthy},
		"a rule over a resource that is not served is ignored":       {workloads: []facts.Fact{alpha}, clusters: func(r testResource) { r.setState(facts.NotServed, "") }, want: v1alpha1.HealthHealthy},
		"a rule over a resource that has not synced is ignored":      {workloads: []facts.Fact{alpha}, want: v1alpha1.HealthHealthy},
		"a rule over an unreadable resource is Unknown":              {workloads: []facts.Fact{alpha}, clusters: func(r testResource) { r.setState(facts.Failing, "no permission for clusters") }, want: v1alpha1.HealthUnknown, message: "rule fit cannot be evaluated: no permission for clusters"},
		"a rule with an error is Unknown":                            {workloads: []facts.Fact{alpha}, clusters: func(r testResource) { r.put("x", map[string]any{}); r.replace(map[string]map[string]any{"x": {}}) }, want: v1alpha1.HealthUnknown, message: "no such key: ok"},
		"Degraded is worse than Unknown":                             {workloads: []facts.Fact{newDeployment("a", "alpha", "example/alpha:v1", withAvailable(0))}, clusters: func(r testResource) { r.setState(facts.Failing, "x") }, want: v1alpha1.HealthDegraded, message: "0 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestInventory(t)
			w.putWorkloads(test.workloads...)
			if test.clusters != nil {
				test.clusters(w.testResource(t, clustersResource))
			}
			got := w.Snapshot().Component("alpha").Installations[0]
			if got.Health != test.want || !strings.Contains(got.Message, test.message) || test.message == "" && got.Message != "" {
				t.Errorf("the health is %s (%s), want %s with %q", got.Health, got.Message, test.want, test.message)
			}
		})
	}
}

func TestHealthMessageIsLimited(t *testing.T) {
	w := newTestInventory(t)
	for n := range 20 {
		w.putWorkloads(newDeployment("a", fmt.Sprintf("alpha-%02d", n), "example/alpha:v1", withAvailable(0)))
	}
	got := w.Snapshot().Component("alpha").Installations[0]
	if !strings.Contains(got.Message, "and 17 more") || len(got.Evidence) != 16 {
		t.Errorf("%d pieces of evidence, and: %s", len(got.Evidence), got.Message)
	}
}

func TestMissingReplicasAfterRollout(t *testing.T) {
	w := newTestInventory(t)
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0", withAvailable(1)))
	w.expectInstallations("alpha", "a 1.0.0 Progressing") // its first rollout
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0"))
	w.expectInstallations("alpha", "a 1.0.0 Healthy")
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0", withAvailable(1)))
	w.expectInstallations("alpha", "a 1.0.0 Degraded")
	next := func(d *facts.Workload) {
		d.Rollout.Generation, d.Rollout.ObservedGeneration, d.Rollout.Updated = 2, 2, 1
	}
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0", withAvailable(1), next))
	w.expectInstallations("alpha", "a 1.0.0 Progressing")
	// A DaemonSet that was deleted and created again is in its first rollout.
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0"))
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0", withAvailable(1), func(d *facts.Workload) { d.UID = "2" }))
	w.expectInstallations("alpha", "a 1.0.0 Progressing")
}

func TestRolloutStart(t *testing.T) {
	w := newTestInventory(t)
	rolling := func(minutes int, changes ...change) {
		at := func(d *facts.Workload) {
			d.Rollout.StartedAt = startTime.Add(time.Duration(minutes) * time.Minute)
			d.Rollout.WrittenAt = d.Rollout.StartedAt
		}
		w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0", append([]change{withAvailable(1), at}, changes...)...))
	}
	expectStart := func(minutes int) {
		t.Helper()
		want := "DaemonSet a/alpha: is rolling out since " + startTime.Add(time.Duration(minutes)*time.Minute).UTC().Format(time.RFC3339)
		if got := w.Snapshot().Component("alpha").Installations[0].Message; !strings.HasPrefix(got, want) {
			t.Errorf("the message is %q, want %q", got, want)
		}
	}
	rolling(0)
	expectStart(0)
	// A label that the manager of the spec writes starts no rollout, and neither does a pod that becomes ready.
	rolling(3, withLabels("x", "y"))
	expectStart(0)
	rolling(3, withLabels("x", "z"), withAvailable(0))
	expectStart(0)
	if next := w.RecheckDeadlines(); !next.Equal(startTime.Add(10 * time.Minute)) {
		t.Errorf("after a label the deadline is %s", next)
	}
	generation := func(n int64) change {
		return func(d *facts.Workload) { d.Rollout.Generation, d.Rollout.ObservedGeneration = n, n }
	}
	// Neither does a generation without a write of a manager of the spec: an annotation of a Deployment.
	rolling(3, generation(2))
	expectStart(0)
	rolling(4, generation(3))
	expectStart(4)
	rolling(5, func(d *facts.Workload) { d.UID = "2" })
	expectStart(5)
}

func TestRecheckDeadlines(t *testing.T) {
	w := newTestInventory(t)
	w.putWorkloads(newDaemonSet("alpha", "example/alpha:v1.0.0", withAvailable(1)))
	w.changes = nil
	if next := w.RecheckDeadlines(); !next.Equal(startTime.Add(10 * time.Minute)) {
		t.Fatalf("the next deadline is at %s", next)
	}
	w.now = startTime.Add(10*time.Minute - time.Second)
	w.RecheckDeadlines()
	w.expectInstallations("alpha", "a 1.0.0 Progressing")
	w.expectChanges()
	w.now = startTime.Add(10 * time.Minute)
	if next := w.RecheckDeadlines(); !next.IsZero() {
		t.Errorf("the next deadline is at %s", next)
	}
	w.expectInstallations("alpha", "a 1.0.0 Degraded")
	w.expectChanges("alpha")
}

func TestLowestVersionOfNodes(t *testing.T) {
	w := newTestInventory(t)
	w.Source("nodes").Replace([]facts.Fact{newNode("a", "1.10.0"), newNode("b", "1.9.3"), newNode("c", "1.10.1"),
		&facts.Node{Ref: facts.Ref{Kind: "Node", Name: "d"}, ContainerRuntime: "other://0.1.0"}})
	w.expectInstallations("runtime", "1.9.3 Healthy")
	w.Source("nodes").Delete(newNode("b", "").ObjectRef())
	w.expectInstallations("runtime", "1.10.0 Healthy")
	w.Source("nodes").Replace(nil)
	w.expectInstallations("runtime", "")
}

func TestVersionSources(t *testing.T) {
	version := func(from string) string {
		return "metadata: {name: alpha}\nspec:\n  layer: x\n  signals: {workloads: [{images: [example/alpha]}], nodes: [{containerRuntime: runtime}]}\n  version: " + from
	}
	for name, test := range map[string]struct {
		from   string
		object facts.Fact
		want   string
	}{
		"the tag comes first":               {"", newDeployment("a", "x", "example/alpha:v1.2.3", withLabels("app.kubernetes.io/version", "9.9.9")), "1.2.3"},
		"then the label, for a moving tag":  {"", newDeployment("a", "x", "example/alpha:latest", withLabels("app.kubernetes.io/version", "v9.9.9")), "9.9.9"},
		"then the label, for a digest":      {"", newDeployment("a", "x", "example/alpha@sha256:"+strings.Repeat("a", 64), withLabels("app.kubernetes.io/version", "9.9.9")), "9.9.9"},
		"the chart's label":                 {"[{from: ChartLabel}]", newDeployment("a", "x", "example/alpha", withLabels("helm.sh/chart", "my-alpha2-1.18.2-rc.1")), "1.18.2-rc.1"},
		"a pattern picks it out":            {`[{from: ImageTag, pattern: "^nginx-(.*)$"}]`, newDeployment("a", "x", "example/alpha:nginx-0.35.0-rancher2"), "0.35.0"},
		"a pattern that finds nothing":      {`[{from: ImageTag, pattern: "^nginx-(.*)$"}]`, newDeployment("a", "x", "example/alpha:v1.0.0"), ""},
		"its own resource":                  {"[{from: Expression, resource: {group: alpha.dev, resource: clusters}, expression: 'object.version'}]", newDeployment("a", "x", "example/alpha:v1.0.0"), "19.2.1"},
		"its own resource has no version":   {"[{from: Expression, resource: {group: alpha.dev, resource: clusters}, expression: 'object.nothing.version'}, {from: ImageTag}]", newDeployment("a", "x", "example/alpha:v1.0.0"), "1.0.0"},
		"a calendar version keeps its zero": {"", newDeployment("a", "x", "example/alpha:2024.06.1"), "2024.06.1"},
		"a node's system, in brackets":      {"[{from: OSImage}]", newNodeWithOS("Talos (v1.9.1)"), "1.9.1"},
		"a node's system, before a word":    {"[{from: OSImage}]", newNodeWithOS("Ubuntu 22.04.3 LTS"), "22.04.3"},
	} {
		t.Run(name, func(t *testing.T) {
			definition := version(test.from)
			if test.from == "" {
				definition = strings.TrimSuffix(definition, "  version: ")
			}
			i := New(catalogtest.New(t, definition), time.Now)
			i.testResource(t, clustersResource).replace(map[string]map[string]any{"x": {"version": "v19.2.1-0"}})
			source := deployments
			if _, ok := test.object.(*facts.Node); ok {
				source = "nodes"
			}
			i.Source(source).Put(test.object)
			if got := i.Snapshot().Component("alpha").Installations[0].Version; got != test.want {
				t.Errorf("the version is %q, want %q", got, test.want)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	w := newTestInventory(t)
	w.Source(crds).Replace([]facts.Fact{newCRD("pools.alpha.dev"), newCRD("pools.other.dev")})
	s := w.Snapshot()
	if len(s.InstalledComponents()) != 0 || len(s.LeftoverComponents()) != 1 || len(s.LeftoverComponents()[0].Leftovers) != 1 ||
		s.LeftoverComponents()[0].Leftovers[0].Name != "pools.alpha.dev" {
		t.Errorf("installed %v, leftovers %v", s.InstalledComponents(), s.LeftoverComponents())
	}
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1"))
	s = w.Snapshot()
	if len(s.InstalledComponents()) != 1 || len(s.LeftoverComponents()) != 0 {
		t.Errorf("with the workload: installed %v, leftovers %v", s.InstalledComponents(), s.LeftoverComponents())
	}
	if evidence := s.InstalledComponents()[0].Installations[0].Evidence; len(evidence) != 2 || evidence[0].Kind != "Deployment" ||
		evidence[1].Signal != "CRD pools.alpha.dev" {
		t.Errorf("the evidence is %v, want the proof first", evidence)
	}
	w.Source(deployments).Delete(newDeployment("a", "alpha", "example/alpha").ObjectRef())
	if s = w.Snapshot(); len(s.LeftoverComponents()) != 1 {
		t.Error("there are no leftovers after the uninstall")
	}
}

func TestUnreadableSources(t *testing.T) {
	w := newTestInventory(t)
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1.0.0"), newDeployment("a", "beta", "example/beta:v1.0.0"))
	before := w.Snapshot()
	w.changes = nil

	w.Source(deployments).SetState(facts.Failing, "no permission to list deployments.apps")
	if got := w.Snapshot().Component("alpha"); len(got.Installations) > 0 ||
		!slices.Equal(got.UnreadableSources, []string{"no permission to list deployments.apps"}) {
		t.Errorf("unreadable, alpha is %+v", got)
	}
	if got := w.Snapshot().Component("runtime").UnreadableSources; len(got) > 0 {
		t.Errorf("runtime has unreadable sources: %v", got)
	}
	w.expectChanges("alpha+beta")
	w.Source(deployments).SetState(facts.Failing, "no permission to list deployments.apps")
	w.expectChanges()

	w.Source(deployments).Replace([]facts.Fact{newDeployment("a", "alpha", "example/alpha:v1.0.0")})
	if got := w.Snapshot().Component("alpha"); len(got.UnreadableSources) > 0 {
		t.Errorf("readable again, alpha has unreadable sources: %v", got.UnreadableSources)
	}
	w.expectInstallations("alpha", "a 1.0.0 Healthy")
	w.expectInstallations("beta", "")
	w.expectChanges("alpha+beta")
	if len(before.Component("beta").Installations) != 1 {
		t.Error("an older snapshot has changed")
	}

	// A resource that is not served has no objects, and CRDs are no proofs of alpha.
	w.Source(daemonsets).SetState(facts.NotServed, "")
	w.Source(crds).SetState(facts.Failing, "no permission to list crds")
	if got := w.Snapshot().Component("alpha").UnreadableSources; len(got) > 0 {
		t.Errorf("alpha has unreadable sources: %v", got)
	}
}

func TestHasSynced(t *testing.T) {
	w := newTestInventory(t)
	w.testResource(t, clustersResource)
	if w.HasSynced() {
		t.Error("synced although the resource is Pending")
	}
	w.testResource(t, clustersResource).setState(facts.Failing, "no")
	if !w.HasSynced() {
		t.Error("not synced although no source is Pending")
	}
	w.Source("nodes").SetState(facts.Pending, "")
	if w.HasSynced() {
		t.Error("synced although nodes are Pending")
	}
	w.changes = nil
	w.Source("nodes").Close()
	w.expectChanges("*")
	w.testResource(t, clustersResource).close()
	if !w.HasSynced() {
		t.Error("not synced because of a closed source")
	}
}

// dependent is a Dependent of one component and some rules.
type dependent struct {
	component string
	rules     []string
}

func (d dependent) Concerns(component string) bool { return d.component == component }
func (d dependent) RuleKeys() []string             { return d.rules }

func TestHasSyncedFor(t *testing.T) {
	w := newTestInventory(t)
	other := rule.Resource{Group: "c.dev", Resource: "others"}
	reads := func(resource rule.Resource) rule.Instance {
		spec := v1alpha1.Rule{Resource: &v1alpha1.ResourceReference{Group: resource.Group, Resource: resource.Resource}, Expression: "true"}
		return rule.NewInstance(rule.New(&spec, rule.ProfileScope, ""), nil, "")
	}
	w.Rules.SetInstances(append(w.Catalog().Instances(), reads(other)))
	w.Rules.Flush()
	if w.Source(daemonsets).SetState(facts.Pending, ""); w.HasSyncedFor(dependent{component: "alpha"}) {
		t.Error("synced for a component although a source of proofs is Pending")
	}
	if w.Source(daemonsets).Replace(nil); w.HasSyncedFor(dependent{component: "alpha"}) {
		t.Error("synced for a component although the resource of a health rule is Pending")
	}
	w.changes = nil
	if w.testResource(t, clustersResource).replace(nil); !w.HasSyncedFor(dependent{component: "alpha"}) {
		t.Error("not synced for a component although nothing is Pending")
	}
	w.expectChanges("*", "/rule*") // alpha is not installed and has not changed
	if !w.HasSyncedFor(dependent{component: "nothing"}) {
		t.Error("not synced because of an unrelated source")
	}
	if w.HasSyncedFor(dependent{rules: []string{reads(other).Key}}) {
		t.Error("synced for a rule although its resource is Pending")
	}
	if w.HasSyncedFor(dependent{rules: []string{reads(clustersResource).Key}}) {
		t.Error("synced for a rule that is not evaluated")
	}
	if w.testResource(t, other).replace(nil); !w.HasSyncedFor(dependent{rules: []string{reads(other).Key}}) {
		t.Error("not synced for a rule although its resource is Synced")
	}
}

func TestOnChange(t *testing.T) {
	w := newTestInventory(t)
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1.0.0"))
	w.expectChanges("alpha")
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1.0.0"))
	w.expectChanges() // unchanged
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1.0.0", func(d *facts.Workload) { d.Rollout.StartedAt = startTime }))
	w.expectChanges() // only the time of the write has changed
	w.putWorkloads(newDeployment("a", "app", "example/app:v1"))
	w.expectChanges() // no component matches
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1.0.0", withLabels("x", "y")))
	w.expectChanges() // no signal has the label
	w.putWorkloads(newDeployment("a", "alpha", "example/beta:v1.0.0"))
	w.expectChanges("alpha+beta") // the object matches another component
	w.expectInstallations("alpha", "")
	w.Source(deployments).Delete(newDeployment("a", "alpha", "example/beta").ObjectRef())
	w.expectChanges("beta")
	w.Source(deployments).Delete(newDeployment("a", "alpha", "example/beta").ObjectRef())
	w.expectChanges()
	w.putWorkloads(newDeployment("a", "alpha", "example/alpha:v1.0.0"))
	w.testResource(t, clustersResource).replace(map[string]map[string]any{"x": {"ok": true}})
	w.changes = nil
	w.testResource(t, clustersResource).put("y", map[string]any{"ok": true})
	w.expectChanges("/rule") // alpha has not changed
	w.testResource(t, clustersResource).put("y", map[string]any{"ok": false})
	w.expectChanges("alpha/rule")
	w.testResource(t, clustersResource).delete("y")
	w.expectChanges("alpha/rule")
	w.expectInstallations("alpha", "a 1.0.0 Healthy")

	// An equal object is no change.
	w.testResource(t, clustersResource).put("x", map[string]any{"ok": true})
	w.testResource(t, clustersResource).replace(map[string]map[string]any{"x": {"ok": true}})
	w.testResource(t, clustersResource).delete("y")
	w.expectChanges()
	// An empty list is only one change.
	w.testResource(t, clustersResource).replace(nil)
	w.testResource(t, clustersResource).replace(nil)
	w.expectChanges("/rule")
	w.testResource(t, clustersResource).setState(facts.Failing, "no")
	w.testResource(t, clustersResource).replace(nil)
	w.expectChanges("alpha/rule", "alpha/rule")
}

func TestClosedSourceIsIgnored(t *testing.T) {
	former, current := newDeployment("a", "alpha", "example/alpha:v1.0.0"), newDeployment("b", "alpha", "example/alpha:v2.0.0")
	for name, call := range map[string]func(*Source){
		"Put":      func(s *Source) { s.Put(former) },
		"Delete":   func(s *Source) { s.Delete(current.ObjectRef()) },
		"Replace":  func(s *Source) { s.Replace([]facts.Fact{former}) },
		"SetState": func(s *Source) { s.SetState(facts.Failing, "late") },
		"Close":    func(s *Source) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestInventory(t)
			closed := w.Source(deployments)
			closed.Put(former)
			closed.Close()
			w.changes = nil
			call(closed)
			w.expectChanges()
			if got := w.Snapshot().Component("alpha"); len(got.Installations) > 0 ||
				!slices.Equal(got.UnreadableSources, []string{"deployments.apps has not synced yet"}) {
				t.Errorf("closed, alpha is %+v", got)
			}
			w.Source(deployments).Replace([]facts.Fact{current})
			w.changes = nil
			call(closed)
			w.expectChanges()
			w.expectInstallations("alpha", "b 2.0.0 Healthy")
			if got := w.Snapshot().Component("alpha").UnreadableSources; len(got) > 0 {
				t.Errorf("after Replace, alpha has unreadable sources: %v", got)
			}
			w.Source(deployments).Put(former) // the new source works
			w.expectInstallations("alpha", "a 1.0.0 Healthy; b 2.0.0 Healthy")
		})
	}
}

func TestSetCatalog(t *testing.T) {
	w := newTestInventory(t)
	w.putWorkloads(newDeployment("a", "new", "example/new:v1.0.0"), newDeployment("a", "alpha", "example/alpha:v1.0.0"))
	w.changes = nil
	w.SetCatalog(catalogtest.New(t, testDefinitions+"---\nmetadata: {name: new}\nspec:\n  layer: x\n  signals: {workloads: [{images: [example/new]}]}\n"))
	w.expectInstallations("new", "a 1.0.0 Healthy")
	if len(w.changes) != 1 || !w.changes[0].Catalog || !slices.Contains(w.changes[0].Components, "new") {
		t.Errorf("the changes are %+v", w.changes)
	}
	w.SetCatalog(catalogtest.New(t, strings.ReplaceAll(testDefinitions, "example/alpha]", "example/elsewhere]")))
	w.expectInstallations("alpha", "")
	if got := w.Snapshot().Component("new"); got != nil {
		t.Errorf("the removed definition has the state %+v", got)
	}
	w.putWorkloads(newDeployment("a", "alpha", "example/elsewhere:v3.0.0"))
	w.expectInstallations("alpha", "a 3.0.0 Healthy")
}

// While added pods start, the health is Progressing. It is Degraded if pods failed before the scale-up, or fail during it.
func TestScaleUp(t *testing.T) {
	w := newTestInventory(t)
	start := w.now
	scaled := func(generation int64, desired, ready int32) *facts.Workload {
		return newDeployment("a", "alpha", "example/alpha:v1.0.0", func(d *facts.Workload) {
			d.Rollout.Generation, d.Rollout.ObservedGeneration = generation, generation
			d.Rollout.Desired, d.Rollout.Total, d.Rollout.Updated, d.Rollout.Ready, d.Rollout.Available = desired, desired, desired, ready, ready
		})
	}
	expectHealth := func(generation int64, desired, ready int32, want string) {
		t.Helper()
		w.putWorkloads(scaled(generation, desired, ready))
		w.expectInstallations("alpha", "a 1.0.0 "+want)
	}
	// managedFields do not have the time of the write, and no controller has observed it yet.
	w.putWorkloads(scaled(1, 2, 2))
	w.now = start.Add(6000 * time.Minute)
	unobserved := scaled(2, 4, 2)
	unobserved.Rollout.ObservedGeneration, unobserved.Rollout.Total, unobserved.Rollout.Updated = 1, 2, 2
	w.putWorkloads(unobserved)
	w.expectInstallations("alpha", "a 1.0.0 Progressing")
	expectHealth(2, 4, 2, "Progressing")
	expectHealth(3, 6, 3, "Progressing") // scaled up again during the first scale-up
	expectHealth(3, 6, 1, "Degraded")    // a former pod failed
	expectHealth(3, 6, 6, "Healthy")
	expectHealth(3, 6, 5, "Degraded")
	expectHealth(4, 8, 5, "Degraded")
	expectHealth(4, 8, 6, "Degraded")
	expectHealth(4, 8, 8, "Healthy")
	expectHealth(5, 9, 8, "Progressing")
	w.now = w.now.Add(10 * time.Minute)
	w.RecheckDeadlines()
	w.expectInstallations("alpha", "a 1.0.0 Degraded")
	expectHealth(6, 10, 8, "Degraded")
}

// The pod of a DaemonSet on a new node needs a moment to start.
func TestScaleUpByNode(t *testing.T) {
	w := newTestInventory(t)
	on := func(nodes, ready int32) *facts.Workload {
		return newDaemonSet("alpha", "example/alpha:v1.0.0", func(d *facts.Workload) {
			d.Rollout.Desired, d.Rollout.Total, d.Rollout.Updated, d.Rollout.Ready, d.Rollout.Available = nodes, nodes, nodes, ready, ready
		})
	}
	w.putWorkloads(on(3, 3))
	w.expectInstallations("alpha", "a 1.0.0 Healthy")
	w.now = w.now.Add(time.Hour)
	w.putWorkloads(on(4, 3))
	w.expectInstallations("alpha", "a 1.0.0 Progressing")
	w.putWorkloads(on(4, 2))
	w.expectInstallations("alpha", "a 1.0.0 Degraded")
	w.putWorkloads(on(4, 3))
	w.expectInstallations("alpha", "a 1.0.0 Progressing")
	w.now = w.now.Add(10 * time.Minute)
	w.RecheckDeadlines()
	w.expectInstallations("alpha", "a 1.0.0 Degraded")
	w.putWorkloads(on(4, 4))
	w.expectInstallations("alpha", "a 1.0.0 Healthy")
}
