package conformance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// readyExpression is the expression of a rule.
const readyExpression = "object.?status.?phase.orValue('') == 'Ready'"

// newFiftyRequirements returns an inventory with fifty components and a profile that requires each of them, the last one with a check
// over ten thousand objects.
func newFiftyRequirements(b testing.TB) (*Profile, *inventory.Inventory, *inventory.Source, *rule.Source) {
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
			text += "  checks: [{name: ok, resource: {group: c.dev, resource: things}, expression: \"" + readyExpression +
				"\", message: not ready}]\n"
			checks = ", checks: [{name: ok}]"
		}
		fmt.Fprintf(&spec, "    - {name: r%d, anyOf: [{component: c%d, version: '>=1.0'}]%s}\n", n, n, checks)
		definition := &v1alpha1.PlatformComponent{}
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
	feed := i.Source("deployments.apps")
	var all []facts.Fact
	for n := range 50 {
		all = append(all, healthyDeployment("net", fmt.Sprintf("example/c%d:1.2.3", n)))
	}
	feed.Replace(all)
	i.Source("daemonsets.apps").Replace(nil)
	i.Source("statefulsets.apps").Replace(nil)
	var things []rule.Object
	for n := range 10000 {
		things = append(things, newThing(b, fmt.Sprintf("%05d", n), "Ready"))
	}
	resource := i.Rules.Source(rule.Resource{Group: "c.dev", Resource: "things"})
	resource.Replace(things)
	profiles, err := manifest.Profiles(strings.NewReader(spec.String()))
	if err != nil {
		b.Fatal(err)
	}
	p := Compile(&profiles[0].Spec, c)
	if len(p.Errors) > 0 {
		b.Fatal(p.Errors.ToAggregate())
	}
	i.Rules.SetInstances(p.Instances())
	i.Rules.Flush()
	return p, i, feed, resource
}

func newThing(b testing.TB, name, phase string) rule.Object {
	b.Helper()
	pruned, err := rule.AllFields().Prune(map[string]any{
		"metadata": map[string]any{"namespace": "ns", "name": name},
		"status":   map[string]any{"phase": phase},
	})
	if err != nil {
		b.Fatal(err)
	}
	return pruned
}

// TestStatusSize bounds the status of satisfied requirements, because the API server processes all of it with each write.
func TestStatusSize(t *testing.T) {
	p, i, _, _ := newFiftyRequirements(t)
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, time.Now()).Status
	data, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	const most = 12 << 10
	if status.Score != "50/50" || len(data) > most {
		t.Errorf("the status with the score %s takes %d bytes, want at most %d:\n%s", status.Score, len(data), most, data)
	}
	t.Logf("%d bytes", len(data))
}

// TestEvaluateDoesNotModifyItsArguments evaluates in several goroutines, so that the race detector finds writes too.
func TestEvaluateDoesNotModifyItsArguments(t *testing.T) {
	p, i, feed, resource := newFiftyRequirements(t)
	resource.Put(newThing(t, "00007", "Failed"))
	i.Rules.Flush()
	feed.Put(degradedDeployment("net", "example/c7:1.2.3"))
	before := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, time.Now()).Status
	copied, now, snapshot := before.DeepCopy(), time.Now(), i.Snapshot()
	results := make([]Result, 8)
	var wg sync.WaitGroup
	for n := range results {
		wg.Go(func() { results[n] = Evaluate(p, snapshot, &before, 2, now) })
	}
	wg.Wait()
	if !reflect.DeepEqual(copied, &before) {
		t.Error("Evaluate modified the previous status")
	}
	for _, result := range results[1:] {
		if !reflect.DeepEqual(result, results[0]) {
			t.Errorf("the results differ:\n%+v\n%+v", result.Status, results[0].Status)
		}
	}
}

// BenchmarkEvaluate evaluates a profile of fifty requirements after one workload has changed.
func BenchmarkEvaluate(b *testing.B) {
	p, i, feed, _ := newFiftyRequirements(b)
	now := time.Now()
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status
	if status.Score != "50/50" {
		b.Fatalf("the score is %s: %s", status.Score, status.Reason)
	}
	n := 0
	for b.Loop() {
		b.StopTimer()
		w := healthyDeployment("net", "example/c7:1.2.3")
		if n++; n%2 == 1 {
			w = degradedDeployment("net", "example/c7:1.2.3")
		}
		feed.Put(w)
		s := i.Snapshot()
		b.StartTimer()
		result := Evaluate(p, s, &status, 1, now)
		if !result.Changed {
			b.Fatal("the status did not change")
		}
		status = result.Status
	}
}

// BenchmarkEvaluateUnchanged evaluates it without a change.
func BenchmarkEvaluateUnchanged(b *testing.B) {
	p, i, _, _ := newFiftyRequirements(b)
	now := time.Now()
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status
	s := i.Snapshot()
	for b.Loop() {
		if Evaluate(p, s, &status, 1, now).Changed {
			b.Fatal("something changed")
		}
	}
}

// BenchmarkEvaluateObjects measures the time from a change of one of the ten thousand objects to the new status.
func BenchmarkEvaluateObjects(b *testing.B) {
	p, i, _, resource := newFiftyRequirements(b)
	now := time.Now()
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status
	changed := []rule.Object{newThing(b, "05000", "Ready"), newThing(b, "05000", "Failed")}
	n := 0
	for b.Loop() {
		n++
		resource.Put(changed[n%2])
		i.Rules.Flush()
		result := Evaluate(p, i.Snapshot(), &status, 1, now)
		if !result.Changed {
			b.Fatal("the change changed nothing")
		}
		status = result.Status
	}
}

// BenchmarkIsEqual compares the status of fifty requirements with an equal one.
func BenchmarkIsEqual(b *testing.B) {
	p, i, _, _ := newFiftyRequirements(b)
	status := Evaluate(p, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, time.Now()).Status
	other := status.DeepCopy()
	b.ReportAllocs()
	for b.Loop() {
		if !isEqual(&status, other) {
			b.Fatal("they differ")
		}
	}
}
