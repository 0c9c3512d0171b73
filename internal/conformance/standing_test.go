package conformance

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// everything asks in each of the ways in which a profile can.
const everything = `undeclared: Report
gracePeriod: 5m
layers:
- name: network
  requirements:
  - {name: capability, capability: cni}
  - {name: exclusive, capability: cni, exclusive: true}
  - {name: version, anyOf: [{component: alpha, version: ">=1.1"}, {component: epsilon}]}
  - {name: installed, anyOf: [{component: alpha}], health: Installed}
  - {name: recommended, anyOf: [{component: beta}], severity: Recommended}
  - {name: exclusive-choice, anyOf: [{component: beta}], exclusive: true}
  - {name: absent, anyOf: [{component: delta}], presence: Absent}
  - {name: absent-version, anyOf: [{component: delta, version: "<2"}], presence: Absent}
  - {name: named, anyOf: [{component: alpha}], checks: [{name: recent}]}
  - {name: unknown, anyOf: [{component: nobody}]}
- name: registry
  requirements:
  - {name: gamma, anyOf: [{component: gamma}]}
  - {name: broken, anyOf: [{component: gamma, version: "x"}]}
  - {name: vouched, attested: {by: us, reason: it is outside}}
  - {name: vouched-until, attested: {by: us, reason: it is outside, expires: 2027-01-02T04:00:00Z}}
  - {name: check, check: {resource: {group: alpha.dev, resource: pools}, expression: "objects.size() > 0", message: pools}}
  - {name: restless, check: {resource: {group: alpha.dev, resource: pools}, expression: "now.getMinutes() % 2 == 0 || objects.size() > 1", message: pools}}
  - {name: timed, check: {resource: {group: alpha.dev, resource: backups}, expression: "objects.exists(o, timestamp(o.at) > now - duration('24h'))", message: backups}}
`

// TestJudgmentsStandWhileNothingChanges shows for random changes of a cluster, of what can be seen of it, of definitions and
// of the time that a profile that has been evaluated before comes to what one comes to that was just compiled.
func TestJudgmentsStandWhileNothingChanges(t *testing.T) {
	verdicts := map[string]bool{}
	stood, all := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, everything)
		pools, backups := catalog.Resource{Group: "alpha.dev", Resource: "pools"}, catalog.Resource{Group: "alpha.dev", Resource: "backups"}
		spec := w.profile.spec
		workloads := map[string]*facts.Workload{}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "change") {
			case 0:
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "seconds")) * time.Second)
				if rapid.IntRange(0, 4).Draw(rt, "back") == 0 {
					w.now = w.now.Add(-time.Hour)
				}
			case 1:
				w.holds(pools, make([]any, rapid.IntRange(0, 2).Draw(rt, "pools"))...)
			case 2:
				w.holds(backups, map[string]any{"at": w.now.Add(-24 * time.Hour).Add(time.Duration(rapid.IntRange(-600, 600).Draw(rt, "age")) * time.Second).Format(time.RFC3339)})
			case 3:
				if rapid.Bool().Draw(rt, "rules") {
					w.inventory.ResourceFeed(pools).Lose(rapid.SampledFrom([]inventory.Sight{inventory.Blind, inventory.NotServed}).Draw(rt, "sight"), "no permission to list pools")
				} else {
					w.inventory.Feed("daemonsets.apps").Lose(inventory.Blind, "no permission to list daemonsets")
				}
			case 4:
				w.inventory.Feed("daemonsets.apps").Replace(nil)
			case 5:
				w.inventory.SetCatalog(testCatalog(t, strings.ReplaceAll(products, "example/gamma", rapid.SampledFrom([]string{"example/gamma", "example/elsewhere"}).Draw(rt, "image"))))
				w.profile = Compile(spec, w.inventory.Catalog())
			default:
				product := rapid.SampledFrom([]string{"alpha", "beta", "gamma", "delta"}).Draw(rt, "product")
				make := rapid.SampledFrom([]func(string, string) *facts.Workload{running, broken, rolling, nil}).Draw(rt, "state")
				if delete(workloads, product); make != nil {
					workloads[product] = make("net", fmt.Sprintf("example/%s:v%d.%d.0", product, rapid.IntRange(1, 2).Draw(rt, "major"), rapid.IntRange(0, 1).Draw(rt, "minor")))
				}
				var run []*facts.Workload
				for _, workload := range workloads {
					run = append(run, workload)
				}
				w.runs(run...)
			}
			for _, l := range w.profile.layers {
				for i := range l.requirements {
					if all++; l.requirements[i].standing(w.inventory.Snapshot(), w.now) != nil {
						stood++
					}
				}
			}
			before := w.status
			fresh := Evaluate(Compile(spec, w.inventory.Catalog()), w.inventory.Snapshot(), &before, 1, w.now)
			if result := w.evaluate(); !reflect.DeepEqual(result, fresh) {
				rt.Fatalf("it comes to\n%+v\nand one that was just compiled to\n%+v", result, fresh)
			}
			for _, l := range w.status.Layers {
				for _, r := range l.Requirements {
					verdicts[string(r.Verdict)] = true
				}
			}
		}
	})
	if len(verdicts) < 9 {
		t.Errorf("only these verdicts came out: %v", verdicts)
	}
	if stood < all/3 || stood == all {
		t.Errorf("%d of %d judgments stood", stood, all)
	}
}

// TestWakesWhenARuleTurns shows that a profile is evaluated again at the time at which a rule turns, not at the next interval.
func TestWakesWhenARuleTurns(t *testing.T) {
	w := newWorld(t, `layers:
- name: network
  requirements:
  - {name: named, anyOf: [{component: alpha}], checks: [{name: recent}]}
  - {name: check, check: {resource: {group: alpha.dev, resource: pools}, expression: "objects.all(o, timestamp(o.at) > now)", message: pools}}
`)
	at := func(later time.Duration) any { return map[string]any{"at": w.now.Add(later).Format(time.RFC3339)} }
	w.runs(running("net", "example/alpha:v1.1.0"))
	w.holds(catalog.Resource{Group: "alpha.dev", Resource: "backups"}, at(5*time.Minute-24*time.Hour))
	w.holds(catalog.Resource{Group: "alpha.dev", Resource: "pools"}, at(3*time.Minute), at(24*time.Hour))
	for _, step := range []struct {
		score string
		again time.Duration
	}{{"2/2", 3 * time.Minute}, {"1/2", 2 * time.Minute}, {"0/2", 10 * time.Minute}} {
		result := w.evaluate()
		if result.Status.Score != step.score || result.Again != step.again {
			t.Fatalf("it is %s, and is to be evaluated again in %s; want %s and %s", result.Status.Score, result.Again, step.score, step.again)
		}
		w.now = w.now.Add(result.Again)
	}
}

// TestJudgmentsStandByTheWallsClock shows that judgments are not held against a clock that nobody can set.
func TestJudgmentsStandByTheWallsClock(t *testing.T) {
	w := newWorld(t, everything)
	w.now = time.Now()
	w.evaluate()
	for _, l := range w.profile.layers {
		for i := range l.requirements {
			if span := l.requirements[i].last.span; span.From != span.From.Round(0) || span.Until != span.Until.Round(0) { // Round(0) takes the reading of that clock away
				t.Errorf("%s stands from %s until %s", l.requirements[i].Name, span.From, span.Until)
			}
		}
	}
}
