package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

// ready is a rule over objects; lasting is one that looks at the time too.
const (
	ready   = "objects.all(o, o.?status.?phase.orValue('') == 'Ready')"
	lasting = "!objects.exists(o, o.?status.?phase.orValue('') != 'Ready' || o.?status.?notAfter.optMap(t, timestamp(t) < now + duration('336h')).orValue(false))"
)

// fifty is a cluster with fifty components and a profile that requires each, the last one with a check over ten thousand
// objects.
func fifty(b *testing.B, check string) (*Profile, *inventory.Inventory, *inventory.Feed, *inventory.ResourceFeed) {
	b.Helper()
	var components []*catalog.Component
	var spec strings.Builder
	spec.WriteString("apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: fifty}\nspec:\n  layers:\n")
	for n := range 50 {
		if n%10 == 0 {
			fmt.Fprintf(&spec, "  - name: layer-%d\n    requirements:\n", n/10)
		}
		checks := ""
		text := fmt.Sprintf("metadata: {name: c%d}\nspec:\n  layer: network\n  signals: {workloads: [{images: [example/c%d]}]}\n", n, n)
		if n == 49 {
			text += "  checks: [{name: ok, resource: {group: c.dev, resource: things}, expression: \"" + check + "\", message: not ready}]\n"
			checks = ", checks: [{name: ok}]"
		}
		fmt.Fprintf(&spec, "    - {name: r%d, anyOf: [{component: c%d, version: '>=1.0'}]%s}\n", n, n, checks)
		definition := &v1alpha1.ComponentDefinition{}
		if err := yaml.UnmarshalStrict([]byte(text), definition); err != nil {
			b.Fatal(err)
		}
		component, errs := catalog.Compile(definition)
		if len(errs) > 0 {
			b.Fatal(errs.ToAggregate())
		}
		components = append(components, component)
	}
	c := catalog.New(components...)
	i := inventory.New(c, time.Now)
	feed := i.Feed("deployments.apps")
	var all []facts.Fact
	for n := range 50 {
		all = append(all, running("net", fmt.Sprintf("example/c%d:1.2.3", n)))
	}
	feed.Replace(all)
	i.Feed("daemonsets.apps").Replace(nil)
	i.Feed("statefulsets.apps").Replace(nil)
	things := map[string]any{}
	for n := range 10000 {
		things[fmt.Sprintf("ns/%05d", n)] = thing("Ready")
	}
	resource := i.ResourceFeed(catalog.Resource{Group: "c.dev", Resource: "things"})
	resource.Replace(things)
	profiles, err := manifest.Profiles(strings.NewReader(spec.String()))
	if err != nil {
		b.Fatal(err)
	}
	p := Compile(&profiles[0].Spec, c)
	if len(p.Errors) > 0 {
		b.Fatal(p.Errors.ToAggregate())
	}
	return p, i, feed, resource
}

// thing is an object that is good for ninety days.
func thing(phase string) map[string]any {
	return map[string]any{"status": map[string]any{"phase": phase, "notAfter": time.Now().Add(90 * 24 * time.Hour).UTC().Format(time.RFC3339)}}
}

// BenchmarkEvaluate evaluates a profile of fifty requirements after one workload has changed.
func BenchmarkEvaluate(b *testing.B) {
	p, i, feed, _ := fifty(b, ready)
	now := time.Now()
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status
	if status.Score != "50/50" {
		b.Fatalf("the score is %s: %s", status.Score, status.Reason)
	}
	n := 0
	for b.Loop() {
		b.StopTimer()
		w := running("net", "example/c7:1.2.3")
		if n++; n%2 == 1 {
			w = broken("net", "example/c7:1.2.3")
		}
		feed.Put(w)
		s := i.Snapshot()
		b.StartTimer()
		result := Evaluate(p, s, &status, 1, now)
		if !result.Changed {
			b.Fatal("the change changed nothing")
		}
		status = result.Status
	}
}

// BenchmarkEvaluateNothing evaluates it where nothing has changed: the difference of the two statuses is all there is.
func BenchmarkEvaluateNothing(b *testing.B) {
	p, i, _, _ := fifty(b, ready)
	now := time.Now()
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status
	s := i.Snapshot()
	for b.Loop() {
		if Evaluate(p, s, &status, 1, now).Changed {
			b.Fatal("something changed")
		}
	}
}

// BenchmarkEvaluateObjects evaluates it a second later, after one of the ten thousand objects has changed that its check reads.
func BenchmarkEvaluateObjects(b *testing.B) { benchmarkObjects(b, ready) }

// BenchmarkEvaluateTimes is the same for a check that looks at the time.
func BenchmarkEvaluateTimes(b *testing.B) { benchmarkObjects(b, lasting) }

func benchmarkObjects(b *testing.B, check string) {
	p, i, _, resource := fifty(b, check)
	now := time.Now()
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status
	n := 0
	for b.Loop() {
		phase := "Ready"
		if n++; n%2 == 1 {
			phase = "Failed"
		}
		resource.Put("ns/05000", thing(phase))
		now = now.Add(time.Second)
		result := Evaluate(p, i.Snapshot(), &status, 1, now)
		if !result.Changed {
			b.Fatal("the change changed nothing")
		}
		status = result.Status
	}
}

// BenchmarkSame compares the status of fifty requirements with an equal one, as every evaluation does that changes nothing.
func BenchmarkSame(b *testing.B) {
	p, i, _, _ := fifty(b, ready)
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, time.Now()).Status
	other := status.DeepCopy()
	b.ReportAllocs()
	for b.Loop() {
		if !same(&status, other) {
			b.Fatal("they differ")
		}
	}
}
