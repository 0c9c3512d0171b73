package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

func TestUnchangedStatusIsNotWritten(t *testing.T) {
	w := newWorld(t, `
undeclared: Report
layers:
- name: network
  requirements: [{name: cni, capability: cni}, {name: other, anyOf: [{component: delta}]}]`)
	w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"), degradedDeployment("reg", "example/gamma:v1"))
	first := w.evaluate()
	if !first.Changed || len(first.Transitions) != 2 || first.RequeueAfter != 10*time.Minute {
		t.Fatalf("the first evaluation: changed %v, transitions %v, again in %s", first.Changed, first.Transitions, first.RequeueAfter)
	}
	for n := range 3 {
		w.now = w.now.Add(7 * time.Minute)
		if again := w.evaluate(); again.Changed || len(again.Transitions) > 0 {
			t.Errorf("evaluation %d with the same inputs: changed %v, transitions %v", n+2, again.Changed, again.Transitions)
		}
	}
	if got := w.status.LastChangeTime; !got.Time.Equal(time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("lastEvaluationTime moved to %s", got)
	}
}

func TestTransitionTimes(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: alpha, version: \">=2\"}]"))
	start := w.now
	w.setDeployments(healthyDeployment("net", "example/alpha:v2.0.0"))
	w.evaluate()
	step := func(workloads ...*facts.Workload) (v1alpha1.RequirementStatus, Result) {
		w.now = w.now.Add(time.Minute)
		w.setDeployments(workloads...)
		result := w.evaluate()
		return w.requirement("it"), result
	}
	if got, _ := step(healthyDeployment("net", "example/alpha:v2.0.1")); got.LastTransitionTime != nil || got.Version != "2.0.1" {
		t.Errorf("another version in range: transition at %v, version %s", got.LastTransitionTime, got.Version)
	}
	down, result := step()
	if !down.LastTransitionTime.Time.Equal(start.Add(2*time.Minute)) || !down.FailingSince.Equal(down.LastTransitionTime) {
		t.Errorf("missing since %s, failing since %s", down.LastTransitionTime, down.FailingSince)
	}
	if len(result.Transitions) != 1 || result.Transitions[0].From != v1alpha1.VerdictSatisfied || !result.Transitions[0].IsFailure() ||
		result.Transitions[0].Layer != "network" {
		t.Errorf("the transition is %+v", result.Transitions)
	}
	old, _ := step(healthyDeployment("net", "example/alpha:v1.0.0"))
	if !old.LastTransitionTime.Time.Equal(start.Add(3*time.Minute)) || !old.FailingSince.Time.Equal(start.Add(2*time.Minute)) {
		t.Errorf("from Missing to VersionMismatch: transition at %s, failing since %s", old.LastTransitionTime, old.FailingSince)
	}
	up, result := step(healthyDeployment("net", "example/alpha:v2.0.0"))
	if !up.LastTransitionTime.Time.Equal(w.now) || up.FailingSince != nil || len(result.Transitions) != 1 ||
		result.Transitions[0].IsFailure() {
		t.Errorf("mended: failing since %v, transitions %v", up.FailingSince, result.Transitions)
	}
	if got := w.condition("Conformant").LastTransitionTime; !got.Time.Equal(w.now) {
		t.Errorf("Conformant changed at %s", got)
	}
}

func TestConditions(t *testing.T) {
	const two = `
layers:
- name: network
  requirements: [{name: cni, capability: cni}]
- name: service-mesh
  requirements: [{name: registry, anyOf: [{component: gamma}]%s}]`
	alpha, gamma := healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("reg", "example/gamma:v1.0.0")
	for name, test := range map[string]struct {
		spec       string
		runs       []*facts.Workload
		unreadable bool
		conformant metav1.ConditionStatus
		reason     string
		want       string // in Conformant's message
		mesh       metav1.ConditionStatus
		score      string
		column     string
	}{
		"all satisfied": {
			spec: fmt.Sprintf(two, ""), runs: []*facts.Workload{alpha, gamma},
			conformant: "True", reason: ReasonAllHold, mesh: "True", score: "2/2",
		},
		"a required one fails": {
			spec: fmt.Sprintf(two, ""), runs: []*facts.Workload{alpha},
			conformant: "False", reason: ReasonFailing, mesh: "False", score: "1/2", column: "service-mesh: registry Missing",
		},
		"a recommended one fails": {
			spec: fmt.Sprintf(two, ", severity: Recommended"), runs: []*facts.Workload{alpha},
			conformant: "True", reason: ReasonAllHold, mesh: "True", score: "1/1",
		},
		"a source is unreadable": {
			spec: fmt.Sprintf(two, ""), unreadable: true,
			conformant: "Unknown", reason: ReasonCannotTell, mesh: "Unknown", score: "0/2",
			column: "network: cni Unknown; service-mesh: registry Unknown",
		},
		"one fails and one is unknown": {
			spec: strings.Replace(fmt.Sprintf(two, ""), "{name: cni, capability: cni}",
				"{name: cni, attestation: {by: me, reason: so, expires: '2020-01-01T00:00:00Z'}}", 1), unreadable: true,
			conformant: "False", reason: ReasonFailing, mesh: "Unknown", score: "0/2",
			column: "network: cni Expired; service-mesh: registry Unknown",
		},
		"undeclared is forbidden and a component is undeclared": {
			spec: "undeclared: Forbid\nlayers: [{name: service-mesh, requirements: [{name: cni, capability: cni}]}]", runs: []*facts.Workload{alpha, gamma},
			conformant: "False", reason: ReasonUndeclared, mesh: "True", score: "1/1", column: "undeclared: gamma",
		},
		"undeclared is forbidden and nothing is undeclared": {
			spec: "undeclared: Forbid\nlayers: [{name: service-mesh, requirements: [{name: cni, capability: cni}]}]", runs: []*facts.Workload{alpha},
			conformant: "True", reason: ReasonAllHold, mesh: "True", score: "1/1",
		},
		"undeclared is forbidden and a source is unreadable": {
			spec: "undeclared: Forbid\nlayers: [{name: service-mesh, requirements: [{name: cni, attestation: {by: me, reason: so}}]}]", unreadable: true,
			conformant: "Unknown", reason: ReasonCannotTell, want: "no permission", mesh: "True", score: "1/1", column: "undeclared: Unknown",
		},
		"undeclared is reported and a source is unreadable": {
			spec: "undeclared: Report\nlayers: [{name: service-mesh, requirements: [{name: cni, attestation: {by: me, reason: so}}]}]", unreadable: true,
			conformant: "True", reason: ReasonAllHold, mesh: "True", score: "1/1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.spec)
			w.setDeployments(test.runs...)
			if test.unreadable {
				w.inventory.Source("deployments.apps").SetState(facts.Failing, "no permission")
			}
			w.evaluate()
			w.wantConformant(test.conformant, test.reason)
			if got := w.condition(v1alpha1.ConditionConformant).Message; !strings.Contains(got, test.want) {
				t.Errorf("the message of Conformant is %q, want %q", got, test.want)
			}
			if got := w.condition("ServiceMeshConformant").Status; got != test.mesh {
				t.Errorf("ServiceMeshConformant is %s, want %s", got, test.mesh)
			}
			if w.status.Score != test.score || w.status.Reason != test.column {
				t.Errorf("score %q, reason %q; want %q, %q", w.status.Score, w.status.Reason, test.score, test.column)
			}
			if got := w.condition(v1alpha1.ConditionReady); got.Status != "True" || got.Reason != ReasonEvaluated || got.ObservedGeneration != 1 {
				t.Errorf("Ready is %+v", got)
			}
			if slices.Contains(w.conditionTypes(), v1alpha1.ConditionStalled) {
				t.Error("non-conformance stalled the profile")
			}
		})
	}
}

func TestSummaryCounts(t *testing.T) {
	w := newWorld(t, `
layers:
- name: network
  requirements:
  - {name: ok, capability: cni}
  - {name: missing, anyOf: [{component: gamma}]}
  - {name: unread, rule: {resource: {resource: nodes}, expression: "true", message: m}}
  - {name: nice, severity: Recommended, anyOf: [{component: alpha}]}
  - {name: nicer, severity: Recommended, anyOf: [{component: gamma}]}`)
	w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
	w.evaluate()
	if got, want := *w.status.Summary,
		(v1alpha1.Summary{Required: 3, Satisfied: 1, Failed: 1, Unknown: 1, Recommended: 2, RecommendedSatisfied: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	layer := w.status.Layers[0]
	if layer.Verdict != v1alpha1.VerdictMissing || layer.Satisfied != 2 || layer.Total != 5 {
		t.Errorf("the layer is %s, %d of %d", layer.Verdict, layer.Satisfied, layer.Total)
	}
}

func TestUndeclaredPolicies(t *testing.T) {
	for policy, want := range map[string]string{"Ignore": "", "Report": "gamma 1.0.0 reg", "Forbid": "gamma 1.0.0 reg"} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t, "undeclared: "+policy+"\n"+specWith("capability: cni"))
			w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("reg", "example/gamma:v1.0.0"))
			w.evaluate()
			got := ""
			for _, u := range w.status.Undeclared {
				got += strings.Join([]string{u.Component, u.Version, u.Namespace}, " ")
			}
			if got != want {
				t.Errorf("undeclared is %q, want %q", got, want)
			}
			if wantFalse := policy == "Forbid"; (w.condition("Conformant").Status == "False") != wantFalse {
				t.Errorf("Conformant is %s", w.condition("Conformant").Status)
			}
			if w.profile.Concerns("gamma") != (policy != "Ignore") || !w.profile.Concerns("alpha") {
				t.Error("Concerns does not follow the policy")
			}
		})
	}
}

func TestGracePeriod(t *testing.T) {
	spec := "gracePeriod: 5m\n" + specWith("anyOf: [{component: alpha}]")
	up := healthyDeployment("net", "example/alpha:v1.0.0")

	t.Run("True stays True until it passes", func(t *testing.T) {
		w := newWorld(t, spec)
		w.setDeployments(up)
		w.evaluate()
		w.wantConformant("True", ReasonAllHold)
		w.setDeployments()
		result := w.evaluate()
		w.wantConformant("True", ReasonGrace)
		if got := w.requirement("it").Verdict; got != v1alpha1.VerdictMissing {
			t.Errorf("the verdict waits for the grace period: %s", got)
		}
		if result.RequeueAfter != 5*time.Minute {
			t.Errorf("the next evaluation is in %s, want it when the grace period passes", result.RequeueAfter)
		}
		w.now = w.now.Add(5*time.Minute - time.Second)
		if result = w.evaluate(); result.RequeueAfter != time.Second {
			t.Errorf("a second before the end the next evaluation is in %s", result.RequeueAfter)
		}
		w.wantConformant("True", ReasonGrace)
		w.now = w.now.Add(time.Second)
		w.evaluate()
		w.wantConformant("False", ReasonFailing)
		if got := w.condition("NetworkConformant").Status; got != "False" {
			t.Errorf("NetworkConformant is %s", got)
		}
	})
	t.Run("a failure that ends within it does not change Conformant", func(t *testing.T) {
		w := newWorld(t, spec)
		w.setDeployments(up)
		w.evaluate()
		since := w.condition("Conformant").LastTransitionTime
		w.setDeployments()
		w.now = w.now.Add(time.Minute)
		w.evaluate()
		w.setDeployments(up)
		w.now = w.now.Add(time.Minute)
		w.evaluate()
		w.wantConformant("True", ReasonAllHold)
		if got := w.condition("Conformant").LastTransitionTime; !got.Equal(&since) {
			t.Errorf("Conformant changed at %s", got)
		}
	})
	t.Run("a profile that was not conformant becomes False at once", func(t *testing.T) {
		w := newWorld(t, spec)
		w.evaluate()
		w.wantConformant("False", ReasonFailing)
	})
}

func TestErrorsStallTheProfile(t *testing.T) {
	for name, test := range map[string]struct{ asks, path, want string }{
		"an unknown component":             {"anyOf: [{component: alhpa}]", "anyOf[0].component", `"alhpa"`},
		"an unknown component beside one":  {"anyOf: [{component: alpha}, {component: alhpa}]", "anyOf[1].component", `"alhpa"`},
		"an unknown capability":            {"capability: cnii", "capability", `"cnii"`},
		"an invalid range":                 {`anyOf: [{component: alpha, version: "new enough"}]`, "anyOf[0].version", "not a version range"},
		"an expression that does not work": {"rule: {resource: {resource: nodes}, expression: 'nodes.size() > 0', message: m}", "rule.expression", "undeclared reference to 'nodes'"},
		"an expression that costs too much": {
			"rule: {resource: {resource: nodes}, expression: 'object.a.all(a, object.a.all(b, object.a.all(c, object.a.all(d, object.a.all(e, a != b || c != d || d != e)))))', message: m}", "rule.expression", "costs too much",
		},
		"an unknown check":             {"anyOf: [{component: alpha}], checks: [{name: recentt}]", "checks[0].name", `"recent"`},
		"an unknown parameter":         {"anyOf: [{component: alpha}], checks: [{name: recent, parameters: {age: 1h}}]", "checks[0].parameters", `"maxAge"`},
		"a parameter of another type":  {"anyOf: [{component: alpha}], checks: [{name: recent, parameters: {maxAge: soon}}]", "checks[0].parameters[maxAge]", "must be a duration, for example 24h"},
		"an invalid number":            {"anyOf: [{component: alpha}], checks: [{name: enough, parameters: {least: two}}]", "checks[0].parameters[least]", "must be a whole number"},
		"a parameter that is left out": {"anyOf: [{component: alpha}], checks: [{name: enough}]", "checks[0].parameters[least]", "needs this parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "layers: [{name: network, requirements: [{name: fine, anyOf: [{component: beta}]}, {name: it, "+test.asks+"}]}]")
			w.setDeployments(healthyDeployment("net", "example/beta:v1.0.0"))
			w.setObjects(backups, map[string]any{})
			first := w.evaluate()
			stalled := w.condition(v1alpha1.ConditionStalled)
			if stalled.Status != "True" || stalled.Reason != ReasonInvalidSpec {
				t.Errorf("Stalled is %s, %s", stalled.Status, stalled.Reason)
			}
			if want := "spec.layers[0].requirements[1]." + test.path; !strings.Contains(stalled.Message, want+":") ||
				!strings.Contains(stalled.Message, test.want) {
				t.Errorf("the message of Stalled is %q, want %s and %s in it", stalled.Message, want, test.want)
			}
			if got := w.condition(v1alpha1.ConditionReady).Status; got != "False" {
				t.Errorf("Ready is %s", got)
			}
			if got := w.requirement("fine").Verdict; got != v1alpha1.VerdictSatisfied {
				t.Errorf("the requirement without an error is %s", got)
			}
			if got := w.requirement("it").Verdict; isGood(got) {
				t.Errorf("the requirement with the error is %s", got)
			}
			if again := w.evaluate(); !first.Changed || again.Changed {
				t.Errorf("changed %v, then %v", first.Changed, again.Changed)
			}
		})
	}
}

func TestStalledEndsWithTheError(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: alhpa}]"))
	w.evaluate()
	w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
	w.setSpec(specWith("anyOf: [{component: alpha}]"))
	w.evaluate()
	if got, want := w.conditionTypes(), []string{"Conformant", "NetworkConformant", "Ready"}; !slices.Equal(got, want) {
		t.Errorf("the conditions are %v, want %v", got, want)
	}
	w.wantConformant("True", ReasonAllHold)
}

func TestLayersWithTheSameConditionAreAnError(t *testing.T) {
	w := newWorld(t, `
layers:
- {name: a-1, requirements: [{name: x, capability: cni}]}
- {name: a1, requirements: [{name: x, capability: cni}]}`)
	w.evaluate()
	if got := w.condition(v1alpha1.ConditionStalled).Message; !strings.Contains(got, "spec.layers[1].name") ||
		!strings.Contains(got, "A1Conformant") {
		t.Errorf("the message of Stalled is %q", got)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	var spec strings.Builder
	spec.WriteString("layers:\n")
	for l := range 24 {
		fmt.Fprintf(&spec, "- name: layer-%d\n  requirements:\n", l)
		for r := range 10 {
			fmt.Fprintf(&spec, "  - {name: r%d, rule: {resource: {resource: nodes}, expression: '%s', message: %s}}\n", r, "nope.size() == "+strings.Repeat("1", 900), strings.Repeat("ü", 120))
		}
	}
	w := newWorld(t, spec.String())
	w.evaluate()
	for _, c := range w.status.Conditions {
		if len(c.Message) > 2048 {
			t.Errorf("the message of %s has %d bytes", c.Type, len(c.Message))
		}
	}
	for _, layer := range w.status.Layers {
		for _, r := range layer.Requirements {
			if len(r.Message) > maxText || strings.ContainsRune(r.Message, '�') {
				t.Fatalf("the message of %s has %d bytes: %q", r.Name, len(r.Message), r.Message)
			}
		}
	}
	const stored = 1536 << 10 // what the API server's store takes by default
	if data, err := json.Marshal(w.status); err != nil || len(data) > stored/2 {
		t.Errorf("the status has %d bytes, %v", len(data), err)
	}
	if got := w.status.Reason; len(got) > 200 || !strings.Contains(got, "20 more") {
		t.Errorf("the reason column is %q", got)
	}
	if got := w.condition(v1alpha1.ConditionConformant).Message; !strings.Contains(got, "and 236 more") {
		t.Errorf("the message of Conformant is %q", got)
	}
}

func TestSuspendedStatusKeepsVerdicts(t *testing.T) {
	w := newWorld(t, specWith("capability: cni"))
	w.evaluate()
	later := w.now.Add(time.Hour)
	suspended, changed := SuspendedStatus(&w.status, 2, later)
	if !changed || suspended.ObservedGeneration != 2 || suspended.Layers[0].Requirements[0].Verdict != v1alpha1.VerdictMissing {
		t.Errorf("changed %v, status %+v", changed, suspended)
	}
	for _, c := range suspended.Conditions {
		if c.Type == v1alpha1.ConditionReady && (c.Status != "True" || c.Reason != ReasonSuspended) {
			t.Errorf("Ready is %+v", c)
		}
	}
	if _, changed := SuspendedStatus(&suspended, 2, later.Add(time.Hour)); changed {
		t.Error("suspending twice wrote twice")
	}
}
