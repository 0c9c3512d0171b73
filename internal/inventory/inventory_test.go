package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

const (
	deployments = "deployments.apps"
	daemonsets  = "daemonsets.apps"
	crds        = "customresourcedefinitions.apiextensions.k8s.io"
)

var (
	start    = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	clusters = rule.Resource{Group: "alpha.dev", Resource: "clusters"}
)

// Alpha is a server with a helper, traces and a rule; runtime is found on nodes.
const products = `
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

func testCatalog(t testing.TB, definitions string) *catalog.Catalog {
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

// world is an inventory with a clock that tests turn, and what its listeners heard.
type world struct {
	*Inventory
	t     *testing.T
	now   time.Time
	heard []Change
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: start}
	w.Inventory = New(testCatalog(t, products), func() time.Time { return w.now })
	for _, source := range []string{deployments, daemonsets, "statefulsets.apps", "nodes", crds} {
		w.Source(source).Replace(nil)
	}
	w.OnChange(func(c Change) { w.heard = append(w.heard, c) })
	return w
}

// sees puts objects in, each into the source of its kind.
func (w *world) sees(all ...facts.Fact) {
	for _, fact := range all {
		w.Source(strings.ToLower(fact.ObjectRef().Kind) + "s.apps").Put(fact)
	}
}

// found are the installations of a component, each in a line.
func (w *world) found(name string) string {
	w.t.Helper()
	var lines []string
	for _, i := range w.Snapshot().Component(name).Installations {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Namespace, i.Version, i.Health)))
	}
	return strings.Join(lines, "; ")
}

func (w *world) want(name, want string) {
	w.t.Helper()
	if got := w.found(name); got != want {
		w.t.Errorf("%s is found as %q, want %q", name, got, want)
	}
}

// wantHeard says which components the listeners heard of since the last time, one word for each change.
func (w *world) wantHeard(want ...string) {
	w.t.Helper()
	var got []string
	for _, c := range w.heard {
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
		w.t.Errorf("listeners heard %q, want %q", got, want)
	}
	w.heard = nil
}

func parse(image string) facts.Image {
	parsed, ok := facts.ParseImage(image)
	if !ok {
		panic(image)
	}
	return parsed
}

type change func(*facts.Workload)

// deployment is one of two pods that all run.
func deployment(namespace, name, image string, changes ...change) *facts.Workload {
	w := &facts.Workload{
		Ref: facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name}, UID: "1", Containers: []facts.Container{{Image: parse(image)}},
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

func daemonset(name, image string, changes ...change) *facts.Workload {
	w := deployment("a", name, image)
	w.Kind, w.Rollout.Deadline, w.Rollout.Progressing, w.Rollout.Reason, w.Rollout.DeploymentAvailable = "DaemonSet", 0, "", "", ""
	w.Rollout.StartedAt = start
	for _, change := range changes {
		change(w)
	}
	return w
}

func available(n int32) change {
	return func(w *facts.Workload) { w.Rollout.Ready, w.Rollout.Available = n, n }
}

func scaledToZero(w *facts.Workload) {
	w.Rollout.Desired, w.Rollout.Total, w.Rollout.Updated, w.Rollout.Ready, w.Rollout.Available = 0, 0, 0, 0, 0
}

func labelled(pairs ...string) change {
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

func helm(release string) change {
	return labelled("app.kubernetes.io/managed-by", "Helm", "app.kubernetes.io/instance", release)
}

func crd(name string) *facts.Named {
	return &facts.Named{Ref: facts.Ref{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: name}, NameKind: facts.CRDName, Values: []string{name}}
}

func node(name, version string) *facts.Node {
	return &facts.Node{Ref: facts.Ref{APIVersion: "v1", Kind: "Node", Name: name}, ContainerRuntime: "runtime://" + version}
}

// system is a node that runs an operating system.
func system(image string) *facts.Node {
	n := node("n", "1.0.0")
	n.OSImage = image
	return n
}

func TestCopies(t *testing.T) {
	for name, test := range map[string]struct {
		sees []facts.Fact
		want string
	}{
		"two namespaces hold two copies": {
			[]facts.Fact{deployment("b", "alpha", "example/alpha:v2.0.0"), deployment("a", "alpha", "example/alpha:v1.0.0", available(1))},
			"a 1.0.0 Degraded; b 2.0.0 Healthy",
		},
		"parts of one copy are one": {
			[]facts.Fact{deployment("a", "alpha", "example/alpha:v1.0.0"), deployment("a", "worker", "example/alpha-worker:v1.0.0")}, "a 1.0.0 Healthy",
		},
		"two Helm releases in one namespace are two": {
			[]facts.Fact{deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("a", "y-alpha", "example/alpha:v2.0.0", helm("y"), available(0))},
			"a 1.0.0 Healthy; a 2.0.0 Degraded",
		},
		"two releases of different parts are one copy": {
			[]facts.Fact{deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("a", "y-worker", "example/alpha-worker:v1.0.0", helm("y"))}, "a 1.0.0 Healthy",
		},
		"two parts of one release under one signal are one": {
			[]facts.Fact{
				deployment("a", "x-read", "example/alpha:v1.0.0", helm("x"), labelled("app.kubernetes.io/component", "read")),
				deployment("a", "x-write", "example/alpha:v1.0.0", helm("x"), labelled("app.kubernetes.io/component", "write")),
			}, "a 1.0.0 Healthy",
		},
		"daemons that an operator numbers by instance are one": {
			[]facts.Fact{
				deployment("a", "mon-a", "example/alpha:v1.0.0", labelled("app.kubernetes.io/instance", "a", "app.kubernetes.io/managed-by", "rook-ceph-operator")),
				deployment("a", "mon-b", "example/alpha:v1.0.0", labelled("app.kubernetes.io/instance", "b", "app.kubernetes.io/managed-by", "rook-ceph-operator")),
			}, "a 1.0.0 Healthy",
		},
		"the helper of a broken release makes that release alone unhealthy": {
			[]facts.Fact{
				deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("a", "y-alpha", "example/alpha:v2.0.0", helm("y")),
				deployment("a", "y-helper", "example/helper:v2.0.0", helm("y"), available(0)),
			}, "a 1.0.0 Healthy; a 2.0.0 Degraded",
		},
		"the only copy owns a helper in another namespace": {
			[]facts.Fact{deployment("a", "alpha", "example/alpha:v1.0.0"), deployment("b", "helper", "example/helper:v1.0.0", available(0))}, "a 1.0.0 Degraded",
		},
		"a helper in a third namespace belongs to neither of two copies": {
			[]facts.Fact{deployment("a", "alpha", "example/alpha:v1.0.0"), deployment("b", "alpha", "example/alpha:v1.0.0"), deployment("c", "helper", "example/helper:v1.0.0", available(0))},
			"a 1.0.0 Healthy; b 1.0.0 Healthy",
		},
		"a helper of a third release belongs to neither of two in its namespace": {
			[]facts.Fact{
				deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("a", "y-alpha", "example/alpha:v2.0.0", helm("y")),
				deployment("a", "z-helper", "example/helper:v1.0.0", helm("z"), available(0)),
			}, "a 1.0.0 Healthy; a 2.0.0 Healthy",
		},
		"a helper of no release belongs to neither of two in its namespace": {
			[]facts.Fact{
				deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("a", "y-alpha", "example/alpha:v2.0.0", helm("y")),
				deployment("a", "helper", "example/helper:v1.0.0", available(0)),
			}, "a 1.0.0 Healthy; a 2.0.0 Healthy",
		},
		"a helper of another release belongs to the only copy in its namespace": {
			[]facts.Fact{
				deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("b", "y-alpha", "example/alpha:v2.0.0", helm("y")),
				deployment("a", "z-helper", "example/helper:v1.0.0", helm("z"), available(0)),
			}, "a 1.0.0 Degraded; b 2.0.0 Healthy",
		},
		"a helper of no release belongs to the only copy in its namespace": {
			[]facts.Fact{deployment("a", "x-alpha", "example/alpha:v1.0.0", helm("x")), deployment("a", "helper", "example/helper:v1.0.0", available(0))}, "a 1.0.0 Degraded",
		},
		"a helper alone is no copy": {[]facts.Fact{deployment("a", "helper", "example/helper:v1.0.0")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sees(test.sees...)
			w.want("alpha", test.want)
			slices.Reverse(test.sees) // the order in which watches deliver says nothing
			other := newWorld(t)
			other.sees(test.sees...)
			other.want("alpha", test.want)
		})
	}
}

func TestHealthOfACopy(t *testing.T) {
	alpha := deployment("a", "alpha", "example/alpha:v1.0.0")
	notOK, ok := map[string]map[string]any{"x": {"ok": false}}, map[string]map[string]any{"x": {"ok": true}}
	for name, test := range map[string]struct {
		sees     []facts.Fact
		clusters func(resourceFeed)
		want     v1alpha1.Health
		says     string
	}{
		"the worst of its parts wins": {
			sees: []facts.Fact{alpha, deployment("a", "worker", "example/alpha-worker:v1", available(0))},
			want: v1alpha1.HealthDegraded, says: "Deployment a/worker: 0 of 2 pods are available",
		},
		"an optional part that is broken counts":                {sees: []facts.Fact{alpha, deployment("a", "helper", "example/helper:v1", available(1))}, want: v1alpha1.HealthDegraded, says: "a/helper"},
		"an optional part that is switched off does not":        {sees: []facts.Fact{alpha, deployment("a", "helper", "example/helper:v1", scaledToZero)}, want: v1alpha1.HealthHealthy},
		"the component itself scaled to zero does":              {sees: []facts.Fact{deployment("a", "alpha", "example/alpha:v1", scaledToZero)}, want: v1alpha1.HealthDegraded, says: "is scaled to zero"},
		"a DaemonSet for no node beside one that runs is fine":  {sees: []facts.Fact{alpha, daemonset("windows", "example/alpha-worker:v1", scaledToZero)}, want: v1alpha1.HealthHealthy},
		"a DaemonSet for no node as its only part runs nowhere": {sees: []facts.Fact{daemonset("alpha", "example/alpha:v1", scaledToZero)}, want: v1alpha1.HealthDegraded, says: "runs nowhere: no node takes a pod of it"},
		"manifests hold no status":                              {sees: []facts.Fact{deployment("a", "alpha", "example/alpha:v1", func(w *facts.Workload) { w.Rollout = facts.Rollout{Desired: 1} })}, want: v1alpha1.HealthNotObserved},
		"a rule over its resources does not hold":               {sees: []facts.Fact{alpha}, clusters: func(f resourceFeed) { f.replace(notOK) }, want: v1alpha1.HealthDegraded, says: "a cluster is not ok"},
		"a rule over its resources holds":                       {sees: []facts.Fact{alpha}, clusters: func(f resourceFeed) { f.replace(ok) }, want: v1alpha1.HealthHealthy},
		"a rule over what is not served says nothing":           {sees: []facts.Fact{alpha}, clusters: func(f resourceFeed) { f.lose(facts.NotServed, "") }, want: v1alpha1.HealthHealthy},
		"a rule over what was not read yet says nothing":        {sees: []facts.Fact{alpha}, want: v1alpha1.HealthHealthy},
		"a rule that cannot look knows nothing":                 {sees: []facts.Fact{alpha}, clusters: func(f resourceFeed) { f.lose(facts.Failing, "no permission for clusters") }, want: v1alpha1.HealthUnknown, says: "rule fit cannot look: no permission for clusters"},
		"a rule that trips knows nothing":                       {sees: []facts.Fact{alpha}, clusters: func(f resourceFeed) { f.put("x", map[string]any{}); f.replace(map[string]map[string]any{"x": {}}) }, want: v1alpha1.HealthUnknown, says: "no such key: ok"},
		"what is known to be broken outweighs what is unknown":  {sees: []facts.Fact{deployment("a", "alpha", "example/alpha:v1", available(0))}, clusters: func(f resourceFeed) { f.lose(facts.Failing, "x") }, want: v1alpha1.HealthDegraded, says: "0 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sees(test.sees...)
			if test.clusters != nil {
				test.clusters(w.resourceFeed(t, clusters))
			}
			got := w.Snapshot().Component("alpha").Installations[0]
			if got.Health != test.want || !strings.Contains(got.Message, test.says) || test.says == "" && got.Message != "" {
				t.Errorf("the health is %s (%s), want %s saying %q", got.Health, got.Message, test.want, test.says)
			}
		})
	}
}

func TestAMessageOfManyBrokenPartsIsBounded(t *testing.T) {
	w := newWorld(t)
	for n := range 20 {
		w.sees(deployment("a", fmt.Sprintf("alpha-%02d", n), "example/alpha:v1", available(0)))
	}
	got := w.Snapshot().Component("alpha").Installations[0]
	if !strings.Contains(got.Message, "and 17 more") || len(got.Evidence) != 16 {
		t.Errorf("%d pieces of evidence, and: %s", len(got.Evidence), got.Message)
	}
}

func TestReplicasMissingAfterARolloutAreDegradedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.sees(daemonset("alpha", "example/alpha:v1.0.0", available(1)))
	w.want("alpha", "a 1.0.0 Progressing") // its first rollout
	w.sees(daemonset("alpha", "example/alpha:v1.0.0"))
	w.want("alpha", "a 1.0.0 Healthy")
	w.sees(daemonset("alpha", "example/alpha:v1.0.0", available(1)))
	w.want("alpha", "a 1.0.0 Degraded")
	next := func(d *facts.Workload) {
		d.Rollout.Generation, d.Rollout.ObservedGeneration, d.Rollout.Updated = 2, 2, 1
	}
	w.sees(daemonset("alpha", "example/alpha:v1.0.0", available(1), next))
	w.want("alpha", "a 1.0.0 Progressing")
	// One of the same name that was made anew has its first rollout before it.
	w.sees(daemonset("alpha", "example/alpha:v1.0.0"))
	w.sees(daemonset("alpha", "example/alpha:v1.0.0", available(1), func(d *facts.Workload) { d.UID = "2" }))
	w.want("alpha", "a 1.0.0 Progressing")
}

func TestARolloutKeepsItsBeginning(t *testing.T) {
	w := newWorld(t)
	rolling := func(minutes int, changes ...change) {
		at := func(d *facts.Workload) {
			d.Rollout.StartedAt = start.Add(time.Duration(minutes) * time.Minute)
			d.Rollout.WrittenAt = d.Rollout.StartedAt
		}
		w.sees(daemonset("alpha", "example/alpha:v1.0.0", append([]change{available(1), at}, changes...)...))
	}
	since := func(minutes int) {
		t.Helper()
		want := "DaemonSet a/alpha: is rolling out since " + start.Add(time.Duration(minutes)*time.Minute).UTC().Format(time.RFC3339)
		if got := w.Snapshot().Component("alpha").Installations[0].Message; !strings.HasPrefix(got, want) {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
	rolling(0)
	since(0)
	// Another label, written by whoever wrote the spec, is no other rollout, and neither is a pod that gets ready.
	rolling(3, labelled("x", "y"))
	since(0)
	rolling(3, labelled("x", "z"), available(0))
	since(0)
	if next := w.RecheckDeadlines(); !next.Equal(start.Add(10 * time.Minute)) {
		t.Errorf("a label moved the deadline to %s", next)
	}
	generation := func(n int64) change {
		return func(d *facts.Workload) { d.Rollout.Generation, d.Rollout.ObservedGeneration = n, n }
	}
	// Neither is a generation that nobody who writes the spec made: a Deployment's annotation.
	rolling(3, generation(2))
	since(0)
	rolling(4, generation(3))
	since(4)
	rolling(5, func(d *facts.Workload) { d.UID = "2" })
	since(5)
}

func TestPassTurnsAHealthWhenItsDeadlinePasses(t *testing.T) {
	w := newWorld(t)
	w.sees(daemonset("alpha", "example/alpha:v1.0.0", available(1)))
	w.heard = nil
	if next := w.RecheckDeadlines(); !next.Equal(start.Add(10 * time.Minute)) {
		t.Fatalf("the next deadline is at %s", next)
	}
	w.now = start.Add(10*time.Minute - time.Second)
	w.RecheckDeadlines()
	w.want("alpha", "a 1.0.0 Progressing")
	w.wantHeard()
	w.now = start.Add(10 * time.Minute)
	if next := w.RecheckDeadlines(); !next.IsZero() {
		t.Errorf("another deadline passes at %s", next)
	}
	w.want("alpha", "a 1.0.0 Degraded")
	w.wantHeard("alpha")
}

func TestNodesTellTheLowestVersion(t *testing.T) {
	w := newWorld(t)
	w.Source("nodes").Replace([]facts.Fact{node("a", "1.10.0"), node("b", "1.9.3"), node("c", "1.10.1"), &facts.Node{Ref: facts.Ref{Kind: "Node", Name: "d"}, ContainerRuntime: "other://0.1.0"}})
	w.want("runtime", "1.9.3 Healthy")
	w.Source("nodes").Delete(node("b", "").ObjectRef())
	w.want("runtime", "1.10.0 Healthy")
	w.Source("nodes").Replace(nil)
	w.want("runtime", "")
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
		"the tag comes first":               {"", deployment("a", "x", "example/alpha:v1.2.3", labelled("app.kubernetes.io/version", "9.9.9")), "1.2.3"},
		"then the label, for a moving tag":  {"", deployment("a", "x", "example/alpha:latest", labelled("app.kubernetes.io/version", "v9.9.9")), "9.9.9"},
		"then the label, for a digest":      {"", deployment("a", "x", "example/alpha@sha256:"+strings.Repeat("a", 64), labelled("app.kubernetes.io/version", "9.9.9")), "9.9.9"},
		"the chart's label":                 {"[{from: ChartLabel}]", deployment("a", "x", "example/alpha", labelled("helm.sh/chart", "my-alpha2-1.18.2-rc.1")), "1.18.2-rc.1"},
		"a pattern picks it out":            {`[{from: ImageTag, pattern: "^nginx-(.*)$"}]`, deployment("a", "x", "example/alpha:nginx-0.35.0-rancher2"), "0.35.0"},
		"a pattern that finds nothing":      {`[{from: ImageTag, pattern: "^nginx-(.*)$"}]`, deployment("a", "x", "example/alpha:v1.0.0"), ""},
		"its own resource":                  {"[{from: Expression, resource: {group: alpha.dev, resource: clusters}, expression: 'object.version'}]", deployment("a", "x", "example/alpha:v1.0.0"), "19.2.1"},
		"its own resource that tells none":  {"[{from: Expression, resource: {group: alpha.dev, resource: clusters}, expression: 'object.nothing.version'}, {from: ImageTag}]", deployment("a", "x", "example/alpha:v1.0.0"), "1.0.0"},
		"a calendar version keeps its zero": {"", deployment("a", "x", "example/alpha:2024.06.1"), "2024.06.1"},
		"a node's system, in brackets":      {"[{from: OSImage}]", system("Talos (v1.9.1)"), "1.9.1"},
		"a node's system, before a word":    {"[{from: OSImage}]", system("Ubuntu 22.04.3 LTS"), "22.04.3"},
	} {
		t.Run(name, func(t *testing.T) {
			definition := version(test.from)
			if test.from == "" {
				definition = strings.TrimSuffix(definition, "  version: ")
			}
			i := New(testCatalog(t, definition), time.Now)
			i.resourceFeed(t, clusters).replace(map[string]map[string]any{"x": {"version": "v19.2.1-0"}})
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

func TestResidueIsNoInstallation(t *testing.T) {
	w := newWorld(t)
	w.Source(crds).Replace([]facts.Fact{crd("pools.alpha.dev"), crd("pools.other.dev")})
	s := w.Snapshot()
	if len(s.InstalledComponents()) != 0 || len(s.LeftoverComponents()) != 1 || len(s.LeftoverComponents()[0].Leftovers) != 1 || s.LeftoverComponents()[0].Leftovers[0].Name != "pools.alpha.dev" {
		t.Errorf("found %v, left %v", s.InstalledComponents(), s.LeftoverComponents())
	}
	w.sees(deployment("a", "alpha", "example/alpha:v1"))
	s = w.Snapshot()
	if len(s.InstalledComponents()) != 1 || len(s.LeftoverComponents()) != 0 {
		t.Errorf("with the server: found %v, left %v", s.InstalledComponents(), s.LeftoverComponents())
	}
	if evidence := s.InstalledComponents()[0].Installations[0].Evidence; len(evidence) != 2 || evidence[0].Kind != "Deployment" || evidence[1].Signal != "CRD pools.alpha.dev" {
		t.Errorf("the evidence is %v, want the proof before the traces", evidence)
	}
	w.Source(deployments).Delete(deployment("a", "alpha", "example/alpha").ObjectRef())
	if s = w.Snapshot(); len(s.LeftoverComponents()) != 1 {
		t.Error("what the uninstall left is not named")
	}
}

func TestBlindSources(t *testing.T) {
	w := newWorld(t)
	w.sees(deployment("a", "alpha", "example/alpha:v1.0.0"), deployment("a", "beta", "example/beta:v1.0.0"))
	before := w.Snapshot()
	w.heard = nil

	w.Source(deployments).SetState(facts.Failing, "no permission to list deployments.apps")
	if got := w.Snapshot().Component("alpha"); len(got.Installations) > 0 || !slices.Equal(got.UnreadableSources, []string{"no permission to list deployments.apps"}) {
		t.Errorf("out of sight, alpha is %+v", got)
	}
	if got := w.Snapshot().Component("runtime").UnreadableSources; len(got) > 0 {
		t.Errorf("what nodes prove became blind: %v", got)
	}
	w.wantHeard("alpha+beta")
	w.Source(deployments).SetState(facts.Failing, "no permission to list deployments.apps")
	w.wantHeard()

	w.Source(deployments).Replace([]facts.Fact{deployment("a", "alpha", "example/alpha:v1.0.0")})
	if got := w.Snapshot().Component("alpha"); len(got.UnreadableSources) > 0 {
		t.Errorf("regained, it is still blind: %v", got.UnreadableSources)
	}
	w.want("alpha", "a 1.0.0 Healthy")
	w.want("beta", "")
	w.wantHeard("alpha+beta")
	if len(before.Component("beta").Installations) != 1 {
		t.Error("a snapshot that was taken before has changed")
	}

	// What the cluster does not serve hides nothing. CRDs only support, so their loss blinds nobody.
	w.Source(daemonsets).SetState(facts.NotServed, "")
	w.Source(crds).SetState(facts.Failing, "no permission to list crds")
	if got := w.Snapshot().Component("alpha").UnreadableSources; len(got) > 0 {
		t.Errorf("alpha is blind: %v", got)
	}
}

func TestHasSyncedWaitsForEverySource(t *testing.T) {
	w := newWorld(t)
	w.resourceFeed(t, clusters)
	if w.HasSynced() {
		t.Error("synced before the resource was read")
	}
	w.resourceFeed(t, clusters).lose(facts.Failing, "no")
	if !w.HasSynced() {
		t.Error("a source that cannot be read is waited for")
	}
	w.Source("nodes").SetState(facts.Pending, "")
	if w.HasSynced() {
		t.Error("synced with nodes unread")
	}
	w.heard = nil
	w.Source("nodes").Close()
	w.wantHeard("*")
	w.resourceFeed(t, clusters).close()
	if !w.HasSynced() {
		t.Error("a source that is closed is still waited for")
	}
}

// dependent depends on one component and on some rules.
type dependent struct {
	component string
	rules     []string
}

func (d dependent) Concerns(component string) bool { return d.component == component }
func (d dependent) RuleKeys() []string             { return d.rules }

func TestHasSyncedForWaitsForWhatIsDependedOnAlone(t *testing.T) {
	w := newWorld(t)
	other := rule.Resource{Group: "c.dev", Resource: "others"}
	reads := func(resource rule.Resource) rule.Instance {
		spec := v1alpha1.Rule{Resource: &v1alpha1.ResourceReference{Group: resource.Group, Resource: resource.Resource}, Expression: "true"}
		return rule.NewInstance(rule.New(&spec, rule.ProfileScope, ""), nil, "")
	}
	w.Rules.SetInstances(append(w.Catalog().Instances(), reads(other)))
	w.Rules.Flush()
	if w.Source(daemonsets).SetState(facts.Pending, ""); w.HasSyncedFor(dependent{component: "alpha"}) {
		t.Error("synced for a component that an unread source proves")
	}
	if w.Source(daemonsets).Replace(nil); w.HasSyncedFor(dependent{component: "alpha"}) {
		t.Error("synced for a component whose health follows from a resource that was not read")
	}
	w.heard = nil
	if w.resourceFeed(t, clusters).replace(nil); !w.HasSyncedFor(dependent{component: "alpha"}) {
		t.Error("waits for a component of which all was read")
	}
	w.wantHeard("*", "/rule*") // alpha, which is not installed, stays as it is
	if !w.HasSyncedFor(dependent{component: "nothing"}) {
		t.Error("waits for a source that proves nothing of what is asked for")
	}
	if w.HasSyncedFor(dependent{rules: []string{reads(other).Key}}) {
		t.Error("synced for a rule whose resource was not read")
	}
	if w.HasSyncedFor(dependent{rules: []string{reads(clusters).Key}}) {
		t.Error("synced for a rule that nobody has evaluated")
	}
	if w.resourceFeed(t, other).replace(nil); !w.HasSyncedFor(dependent{rules: []string{reads(other).Key}}) {
		t.Error("waits for what was read")
	}
}

func TestListenersHearOfWhatWasTouchedAlone(t *testing.T) {
	w := newWorld(t)
	w.sees(deployment("a", "alpha", "example/alpha:v1.0.0"))
	w.wantHeard("alpha")
	w.sees(deployment("a", "alpha", "example/alpha:v1.0.0"))
	w.wantHeard() // nothing differs
	w.sees(deployment("a", "alpha", "example/alpha:v1.0.0", func(d *facts.Workload) { d.Rollout.StartedAt = start }))
	w.wantHeard() // written, and nothing else differs
	w.sees(deployment("a", "app", "example/app:v1"))
	w.wantHeard() // nobody's
	w.sees(deployment("a", "alpha", "example/alpha:v1.0.0", labelled("x", "y")))
	w.wantHeard() // a label that nobody asks for shows in nothing
	w.sees(deployment("a", "alpha", "example/beta:v1.0.0"))
	w.wantHeard("alpha+beta") // the same object shows another product
	w.want("alpha", "")
	w.Source(deployments).Delete(deployment("a", "alpha", "example/beta").ObjectRef())
	w.wantHeard("beta")
	w.Source(deployments).Delete(deployment("a", "alpha", "example/beta").ObjectRef())
	w.wantHeard()
	w.sees(deployment("a", "alpha", "example/alpha:v1.0.0"))
	w.resourceFeed(t, clusters).replace(map[string]map[string]any{"x": {"ok": true}})
	w.heard = nil
	w.resourceFeed(t, clusters).put("y", map[string]any{"ok": true})
	w.wantHeard("/rule") // profiles may read it, and alpha stays as it is
	w.resourceFeed(t, clusters).put("y", map[string]any{"ok": false})
	w.wantHeard("alpha/rule")
	w.resourceFeed(t, clusters).drop("y")
	w.wantHeard("alpha/rule")
	w.want("alpha", "a 1.0.0 Healthy")

	// The same content, decoded anew, is no change.
	w.resourceFeed(t, clusters).put("x", map[string]any{"ok": true})
	w.resourceFeed(t, clusters).replace(map[string]map[string]any{"x": {"ok": true}})
	w.resourceFeed(t, clusters).drop("y")
	w.wantHeard()
	// None is a change once.
	w.resourceFeed(t, clusters).replace(nil)
	w.resourceFeed(t, clusters).replace(nil)
	w.wantHeard("/rule")
	w.resourceFeed(t, clusters).lose(facts.Failing, "no")
	w.resourceFeed(t, clusters).replace(nil)
	w.wantHeard("alpha/rule", "alpha/rule")
}

func TestWhatIsDeliveredAfterAFeedWasClosedIsLost(t *testing.T) {
	was, is := deployment("a", "alpha", "example/alpha:v1.0.0"), deployment("b", "alpha", "example/alpha:v2.0.0")
	for name, late := range map[string]func(*Source){
		"Put":     func(f *Source) { f.Put(was) },
		"Drop":    func(f *Source) { f.Delete(is.ObjectRef()) },
		"Replace": func(f *Source) { f.Replace([]facts.Fact{was}) },
		"Lose":    func(f *Source) { f.SetState(facts.Failing, "late") },
		"Close":   func(f *Source) { f.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old := w.Source(deployments)
			old.Put(was)
			old.Close()
			w.heard = nil
			late(old)
			w.wantHeard()
			if got := w.Snapshot().Component("alpha"); len(got.Installations) > 0 || !slices.Equal(got.UnreadableSources, []string{"deployments.apps were not read yet"}) {
				t.Errorf("closed, alpha is %+v", got)
			}
			w.Source(deployments).Replace([]facts.Fact{is})
			w.heard = nil
			late(old)
			w.wantHeard()
			w.want("alpha", "b 2.0.0 Healthy")
			if got := w.Snapshot().Component("alpha").UnreadableSources; len(got) > 0 {
				t.Errorf("opened anew, it is blind: %v", got)
			}
			w.Source(deployments).Put(was) // the new feed still works
			w.want("alpha", "a 1.0.0 Healthy; b 2.0.0 Healthy")
		})
	}
}

func TestAnotherCatalogMatchesAnew(t *testing.T) {
	w := newWorld(t)
	w.sees(deployment("a", "new", "example/new:v1.0.0"), deployment("a", "alpha", "example/alpha:v1.0.0"))
	w.heard = nil
	w.SetCatalog(testCatalog(t, products+"---\nmetadata: {name: new}\nspec:\n  layer: x\n  signals: {workloads: [{images: [example/new]}]}\n"))
	w.want("new", "a 1.0.0 Healthy")
	if len(w.heard) != 1 || !w.heard[0].Catalog || !slices.Contains(w.heard[0].Components, "new") {
		t.Errorf("listeners heard %+v", w.heard)
	}
	w.SetCatalog(testCatalog(t, strings.ReplaceAll(products, "example/alpha]", "example/elsewhere]")))
	w.want("alpha", "")
	if got := w.Snapshot().Component("new"); got != nil {
		t.Errorf("a definition that is gone still shows %+v", got)
	}
	w.sees(deployment("a", "alpha", "example/elsewhere:v3.0.0"))
	w.want("alpha", "a 3.0.0 Healthy")
}

// An autoscaler adds pods: until they run, that is Progressing. Pods that failed before it added any excuse nothing, and
// neither do those that fail meanwhile.
func TestScalingUpIsNoFailure(t *testing.T) {
	w := newWorld(t)
	start := w.now
	scaled := func(generation int64, desired, ready int32) *facts.Workload {
		return deployment("a", "alpha", "example/alpha:v1.0.0", func(d *facts.Workload) {
			d.Rollout.Generation, d.Rollout.ObservedGeneration = generation, generation
			d.Rollout.Desired, d.Rollout.Total, d.Rollout.Updated, d.Rollout.Ready, d.Rollout.Available = desired, desired, desired, ready, ready
		})
	}
	step := func(generation int64, desired, ready int32, want string) {
		t.Helper()
		w.sees(scaled(generation, desired, ready))
		w.want("alpha", "a 1.0.0 "+want)
	}
	// The write has no date, and no controller has looked at it yet: months after the last that has.
	w.sees(scaled(1, 2, 2))
	w.now = start.Add(6000 * time.Minute)
	unseen := scaled(2, 4, 2)
	unseen.Rollout.ObservedGeneration, unseen.Rollout.Total, unseen.Rollout.Updated = 1, 2, 2
	w.sees(unseen)
	w.want("alpha", "a 1.0.0 Progressing")
	step(2, 4, 2, "Progressing")
	step(3, 6, 3, "Progressing") // and up again before the first is done
	step(3, 6, 1, "Degraded")    // one of the first two
	step(3, 6, 6, "Healthy")
	step(3, 6, 5, "Degraded")
	step(4, 8, 5, "Degraded")
	step(4, 8, 6, "Degraded")
	step(4, 8, 8, "Healthy")
	step(5, 9, 8, "Progressing")
	w.now = w.now.Add(10 * time.Minute)
	w.RecheckDeadlines()
	w.want("alpha", "a 1.0.0 Degraded")
	step(6, 10, 8, "Degraded")
}

// A node that comes needs a moment until the DaemonSet's pod runs on it.
func TestANodeThatComesIsNoFailure(t *testing.T) {
	w := newWorld(t)
	on := func(nodes, ready int32) *facts.Workload {
		return daemonset("alpha", "example/alpha:v1.0.0", func(d *facts.Workload) {
			d.Rollout.Desired, d.Rollout.Total, d.Rollout.Updated, d.Rollout.Ready, d.Rollout.Available = nodes, nodes, nodes, ready, ready
		})
	}
	w.sees(on(3, 3))
	w.want("alpha", "a 1.0.0 Healthy")
	w.now = w.now.Add(time.Hour)
	w.sees(on(4, 3))
	w.want("alpha", "a 1.0.0 Progressing")
	w.sees(on(4, 2))
	w.want("alpha", "a 1.0.0 Degraded")
	w.sees(on(4, 3))
	w.want("alpha", "a 1.0.0 Progressing")
	w.now = w.now.Add(10 * time.Minute)
	w.RecheckDeadlines()
	w.want("alpha", "a 1.0.0 Degraded")
	w.sees(on(4, 4))
	w.want("alpha", "a 1.0.0 Healthy")
}
