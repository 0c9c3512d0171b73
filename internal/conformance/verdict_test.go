package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

var (
	backups = rule.Resource{Group: "alpha.dev", Resource: "backups"}
	pools   = rule.Resource{Group: "alpha.dev", Resource: "pools"}
	rings   = rule.Resource{Group: "beta.dev", Resource: "rings"}
	classes = rule.Resource{Group: "storage.k8s.io", Resource: "storageclasses"}
)

func TestVerdicts(t *testing.T) {
	const oneClass = `rule: {resource: {group: storage.k8s.io, resource: storageclasses}, listExpression: "objects.size() == 1", message: one class}`
	blindDeployments := func(w *world) {
		w.inventory.Source("deployments.apps").SetState(facts.Failing, "cannot read deployments.apps: permission to list and watch is missing")
	}
	blindToEpsilon := func(w *world) {
		w.inventory.Source("customresourcedefinitions.apiextensions.k8s.io").SetState(facts.Failing, "cannot read CRDs: permission to list and watch is missing")
	}
	for name, test := range map[string]struct {
		asks    string
		runs    []*facts.Workload
		given   func(*world)
		verdict v1alpha1.Verdict
		says    string // in the message
		advises string // in the remediation
	}{
		"a provider of the capability is there": {
			asks: "capability: cni", runs: []*facts.Workload{running("net", "example/beta:v1.2.3")},
			verdict: v1alpha1.VerdictSatisfied, says: "beta 1.2.3 in net is Healthy",
		},
		"no provider of the capability is there": {
			asks: "capability: cni", runs: []*facts.Workload{running("net", "example/gamma:v1.2.3")},
			verdict: v1alpha1.VerdictMissing, says: "nothing is installed that provides cni: alpha, beta, delta, epsilon would", advises: "helm install alpha",
		},
		"nobody defines the capability": {
			asks:    "capability: teleportation",
			verdict: v1alpha1.VerdictMissing, says: `no definition provides the capability "teleportation"`, advises: "PlatformComponent",
		},
		"nobody defines the component": {
			asks:    "anyOf: [{component: alhpa}]",
			verdict: v1alpha1.VerdictMissing, says: "nobody defines alhpa", advises: "Correct the name",
		},
		"one of the components is unknown and the other is there": {
			asks: "anyOf: [{component: alhpa}, {component: beta}]", runs: []*facts.Workload{running("net", "example/beta:v1.2.3")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"the version is inside the range": {
			asks: `anyOf: [{component: alpha, version: ">=1.2 <2"}]`, runs: []*facts.Workload{running("net", "example/alpha:v1.2.0-debian-12-r5")},
			verdict: v1alpha1.VerdictSatisfied, says: "alpha 1.2.0",
		},
		"a release candidate above the range's start is inside it": {
			asks: `anyOf: [{component: alpha, version: ">=1.16"}]`, runs: []*facts.Workload{running("net", "example/alpha:v1.17.0-rc.1")},
			verdict: v1alpha1.VerdictSatisfied, says: "1.17.0-rc.1",
		},
		"a release candidate of the range's start is below it": {
			asks: `anyOf: [{component: alpha, version: ">=1.17.0"}]`, runs: []*facts.Workload{running("net", "example/alpha:v1.17.0-rc.1")},
			verdict: v1alpha1.VerdictVersionMismatch,
		},
		"the version is below the range": {
			asks: `anyOf: [{component: alpha, version: ">=1.2"}]`, runs: []*facts.Workload{running("net", "example/alpha:v1.1.9")},
			verdict: v1alpha1.VerdictVersionMismatch, says: "alpha 1.1.9 in net is outside the range >=1.2", advises: "Bring Alpha into the range >=1.2",
		},
		"nothing tells the version that a range needs": {
			asks: `anyOf: [{component: alpha, version: ">=1.2"}]`, runs: []*facts.Workload{running("net", "example/alpha:latest")},
			verdict: v1alpha1.VerdictUnknown, says: "nothing tells its version", advises: "version tag",
		},
		"a version that nothing tells does without a range": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{running("net", "example/alpha:latest")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"of two choices the one in range counts": {
			asks: `anyOf: [{component: alpha, version: ">=9"}, {component: beta, version: ">=1"}]`,
			runs: []*facts.Workload{running("net", "example/alpha:v1.0.0"), running("net", "example/beta:v1.0.0")}, verdict: v1alpha1.VerdictSatisfied, says: "beta 1.0.0",
		},
		"of two copies the healthy one counts": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{broken("a", "example/alpha:v1.0.0"), running("b", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, says: "in b",
		},
		"pods are missing": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{broken("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictDegraded, says: "Deployment net/alpha: 1 of 2 pods are available", advises: "kubectl get alpha",
		},
		"without instructions the advice names the namespace": {
			asks: "anyOf: [{component: beta}]", runs: []*facts.Workload{broken("net", "example/beta:v1.0.0")},
			verdict: v1alpha1.VerdictDegraded, advises: "kubectl -n net get deployments",
		},
		"pods are missing and installed is enough": {
			asks: "health: Any, anyOf: [{component: alpha}]", runs: []*facts.Workload{broken("net", "example/alpha:v1.0.0")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"a rollout under way still satisfies": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{rolling("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, says: "is Progressing",
		},
		"only traces are left": {
			asks: "anyOf: [{component: alpha}]", given: func(w *world) {
				w.inventory.Source("customresourcedefinitions.apiextensions.k8s.io").Put(&facts.Named{
					Ref: facts.Ref{Kind: "CustomResourceDefinition", Name: "pools.alpha.dev"}, NameKind: facts.CRDName, Values: []string{"pools.alpha.dev"},
				})
			},
			verdict: v1alpha1.VerdictMissing, says: "only traces of alpha are there, no installation: CustomResourceDefinition pools.alpha.dev",
		},
		"the operator may not look": {
			asks: "anyOf: [{component: alpha}]", given: blindDeployments,
			verdict: v1alpha1.VerdictUnknown, says: "cannot read deployments.apps: permission to list and watch is missing", advises: "ServiceAccount",
		},
		"nobody has looked yet": {
			asks: "anyOf: [{component: alpha}]", given: func(w *world) { w.inventory.Source("deployments.apps").SetState(facts.Pending, "") },
			verdict: v1alpha1.VerdictUnknown, says: "deployments.apps has not synced yet",
		},
		"what must not be there is there": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", runs: []*facts.Workload{broken("reg", "example/gamma:v1.0.0")},
			verdict: v1alpha1.VerdictForbidden, says: "must not be there: gamma 1.0.0 in reg", advises: "Remove gamma",
		},
		"what must not be there is not": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, says: "none of gamma is installed",
		},
		"the version that must not be there is not": {
			asks: `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`, runs: []*facts.Workload{running("reg", "example/gamma:v2.0.0")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"the version that must not be there is": {
			asks: `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`, runs: []*facts.Workload{running("reg", "example/gamma:v1.0.0")}, verdict: v1alpha1.VerdictForbidden,
		},
		"nothing tells whether it is the version that must not be there": {
			asks: `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`, runs: []*facts.Workload{running("reg", "example/gamma:latest")},
			verdict: v1alpha1.VerdictUnknown, says: "gamma is installed in reg, and nothing tells its version: whether it is one of <2", advises: "version tag",
		},
		"a copy whose version nothing tells hides none that must not be there": {
			asks: `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`,
			runs: []*facts.Workload{running("a", "example/gamma:latest"), running("b", "example/gamma:v1.0.0")}, verdict: v1alpha1.VerdictForbidden, says: "gamma 1.0.0 in b",
		},
		"no version of it must be there, and nothing tells which it is": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", runs: []*facts.Workload{running("reg", "example/gamma:latest")}, verdict: v1alpha1.VerdictForbidden,
		},
		"nobody can tell that it is absent": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", given: blindDeployments, verdict: v1alpha1.VerdictUnknown,
		},
		"two implementations where one is allowed": {
			asks: "exclusive: true, capability: cni", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0"), running("net", "example/beta:v2.0.0")},
			verdict: v1alpha1.VerdictConflict, says: "2 implementations are installed where one is allowed: alpha 1.0.0 in net is Healthy; beta 2.0.0",
		},
		"a rival that the requirement does not even name": {
			asks: "exclusive: true, anyOf: [{component: alpha}, {component: beta}]",
			runs: []*facts.Workload{running("net", "example/alpha:v1.0.0"), running("net", "example/delta:v2.0.0")}, verdict: v1alpha1.VerdictConflict, says: "delta 2.0.0",
		},
		"a rival among the choices that the operator may not look for": {
			asks: "exclusive: true, capability: cni", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")}, given: blindToEpsilon,
			verdict: v1alpha1.VerdictUnknown, says: "cannot read CRDs: permission to list and watch is missing", advises: "ServiceAccount",
		},
		"a rival that is not even named and that the operator may not look for": {
			asks: "exclusive: true, anyOf: [{component: alpha}]", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")}, given: blindToEpsilon,
			verdict: v1alpha1.VerdictUnknown, says: "cannot read CRDs: permission to list and watch is missing", advises: "ServiceAccount",
		},
		"a rival out of sight hides no absence": {
			asks: "exclusive: true, anyOf: [{component: alpha}]", given: blindToEpsilon, verdict: v1alpha1.VerdictMissing,
		},
		"a rival out of sight hides no failure": {
			asks: "exclusive: true, anyOf: [{component: alpha}]", runs: []*facts.Workload{broken("net", "example/alpha:v1.0.0")}, given: blindToEpsilon,
			verdict: v1alpha1.VerdictDegraded,
		},
		"two rivals in sight conflict whatever is out of sight": {
			asks: "exclusive: true, capability: cni", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0"), running("net", "example/beta:v2.0.0")}, given: blindToEpsilon,
			verdict: v1alpha1.VerdictConflict,
		},
		"a choice that the operator may not look for where nobody minds two": {
			asks: "capability: cni", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")}, given: blindToEpsilon, verdict: v1alpha1.VerdictSatisfied,
		},
		"another role is no rival": {
			asks: "exclusive: true, anyOf: [{component: alpha}]",
			runs: []*facts.Workload{running("net", "example/alpha:v1.0.0"), running("reg", "example/gamma:v2.0.0")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"two copies of one implementation are no conflict": {
			asks: "exclusive: true, anyOf: [{component: alpha}]",
			runs: []*facts.Workload{running("a", "example/alpha:v1.0.0"), running("b", "example/alpha:v1.0.0")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"two implementations where nobody minds": {
			asks: "capability: cni", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0"), running("net", "example/beta:v2.0.0")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"a check that holds": {
			asks: oneClass, given: func(w *world) { w.holds(classes, map[string]any{}) }, verdict: v1alpha1.VerdictSatisfied, says: "one class",
		},
		"a check that does not hold": {
			asks: oneClass, given: func(w *world) { w.holds(classes) },
			verdict: v1alpha1.VerdictCheckFailed, says: "does not hold: one class", advises: "kubectl get storageclasses.storage.k8s.io",
		},
		"a check over what the cluster does not serve": {
			asks: oneClass, given: func(w *world) { w.inventory.Rules.Source(classes).SetState(facts.NotServed, "") },
			verdict: v1alpha1.VerdictMissing, says: "the cluster serves no storageclasses.storage.k8s.io",
		},
		"a check over what the operator may not see": {
			asks: oneClass, given: func(w *world) { w.inventory.Rules.Source(classes).SetState(facts.Failing, "no permission for classes") },
			verdict: v1alpha1.VerdictUnknown, says: "no permission for classes",
		},
		"a check over what was not read yet": {asks: oneClass, verdict: v1alpha1.VerdictUnknown, says: "storageclasses.storage.k8s.io has not synced yet"},
		"a check that trips over an object": {
			asks:  `rule: {resource: {group: storage.k8s.io, resource: storageclasses}, expression: "object.status.phase == 'x'", message: m}`,
			given: func(w *world) { w.holds(classes, map[string]any{}) }, verdict: v1alpha1.VerdictUnknown, says: "no such key: status", advises: "optional access",
		},
		"an attestation that holds": {
			asks:    "attestation: {by: platform-team, reason: hosted elsewhere, url: 'https://example.com', expires: '2027-01-02T03:04:06Z'}",
			verdict: v1alpha1.VerdictAttested, says: "platform-team vouches for it: hosted elsewhere (https://example.com); expires 2027-01-02",
		},
		"an attestation that never ends": {asks: "attestation: {by: me, reason: so}", verdict: v1alpha1.VerdictAttested},
		"an attestation that ended this second": {
			asks: "attestation: {by: me, reason: so, expires: '2027-01-02T03:04:05Z'}", verdict: v1alpha1.VerdictExpired, says: "the attestation expired at 2027-01-02 03:04 UTC", advises: "Have me confirm it again",
		},
		"a named check within its default": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.holds(backups, map[string]any{"at": "2027-01-01T23:00:00Z"}) }, verdict: v1alpha1.VerdictSatisfied, says: "alpha 1.0.0",
		},
		"a named check outside its parameter": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent, parameters: {maxAge: 1h}}]", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")},
			given:   func(w *world) { w.holds(backups, map[string]any{"at": "2027-01-01T23:00:00Z"}) },
			verdict: v1alpha1.VerdictCheckFailed, says: "alpha's check recent does not hold: no recent backup",
		},
		"a named check over what the cluster does not serve": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")},
			given:   func(w *world) { w.inventory.Rules.Source(backups).SetState(facts.NotServed, "") },
			verdict: v1alpha1.VerdictCheckFailed, says: "the cluster serves no backups.alpha.dev", advises: "CustomResourceDefinitions of Alpha",
		},
		"a named check that the operator may not look at": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.inventory.Rules.Source(backups).SetState(facts.Failing, "no permission for backups") }, verdict: v1alpha1.VerdictUnknown, says: "no permission for backups",
		},
		"a named check of one choice does not bind the other": {
			asks: "anyOf: [{component: alpha}, {component: beta}], checks: [{name: recent}]", runs: []*facts.Workload{running("net", "example/beta:v1.0.0")},
			given: func(w *world) { w.holds(backups) }, verdict: v1alpha1.VerdictSatisfied, says: "beta",
		},
		"a whole number as a parameter": {
			asks: `anyOf: [{component: alpha}], checks: [{name: enough, parameters: {least: "2"}}]`, runs: []*facts.Workload{running("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.holds(pools, map[string]any{}, map[string]any{}) }, verdict: v1alpha1.VerdictSatisfied,
		},
		"a degraded installation is not asked about its check": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{broken("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.holds(backups) }, verdict: v1alpha1.VerdictDegraded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, asks(test.asks))
			w.runs(test.runs...)
			if test.given != nil {
				test.given(w)
			}
			w.evaluate()
			got := w.requirement("it")
			if got.Verdict != test.verdict {
				t.Errorf("the verdict is %s (%s), want %s", got.Verdict, got.Message, test.verdict)
			}
			says := got.Message
			if says == "" { // a healthy component is described by the other fields
				says = fmt.Sprintf("%s %s in %s is %s", got.Component, got.Version, got.Namespace, got.Health)
			}
			if !strings.Contains(says, test.says) {
				t.Errorf("it says %q, and not %q", says, test.says)
			}
			if !strings.Contains(got.Remediation, test.advises) {
				t.Errorf("the remediation %q does not say %q", got.Remediation, test.advises)
			}
			if isGood(got.Verdict) != (got.Remediation == "" && got.FailingSince == nil) {
				t.Errorf("%s has remediation %q and fails since %v", got.Verdict, got.Remediation, got.FailingSince)
			}
		})
	}
}

func TestARequirementNamesWhatWasFound(t *testing.T) {
	w := newWorld(t, asks("capability: cni"))
	w.runs(running("net", "mirror.corp/example/beta:v1.2.3"))
	w.evaluate()
	got := w.requirement("it")
	if got.Component != "beta" || got.Version != "1.2.3" || got.Health != v1alpha1.HealthHealthy || got.Namespace != "net" {
		t.Errorf("got %s %s %s in %s", got.Component, got.Version, got.Health, got.Namespace)
	}
	want := v1alpha1.Evidence{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "net", Name: "beta"}
	if len(got.Evidence) != 1 || got.Evidence[0] != want {
		t.Errorf("the evidence is %v, want %v", got.Evidence, want)
	}
	// What does not hold is shown in full.
	w.runs(broken("net", "mirror.corp/example/beta:v1.2.3"))
	w.evaluate()
	want.Signal = "image mirror.corp/example/beta:v1.2.3"
	if got := w.requirement("it"); len(got.Evidence) != 1 || got.Evidence[0] != want || got.Message == "" {
		t.Errorf("degraded, it says %q on the evidence %v, want %v", got.Message, got.Evidence, want)
	}
}

func TestARequirementSaysWhatRollsOutSinceWhenAndHowFar(t *testing.T) {
	w := newWorld(t, asks("capability: cni"))
	rolls := func(updated, available int32, changed time.Time) Result {
		d := rolling("net", "example/beta:v1.2.3")
		d.Rollout.Desired, d.Rollout.Total, d.Rollout.Updated, d.Rollout.Ready, d.Rollout.Available = 100, 100, updated, available, available
		d.Rollout.StartedAt = changed
		w.runs(d)
		w.now = w.now.Add(time.Second)
		return w.evaluate()
	}
	began := w.now
	rolls(0, 100, began)
	got := w.requirement("it")
	const want = "beta 1.2.3 in net is Progressing: Deployment net/beta: is rolling out since 2027-01-02T03:04:05Z, fewer than 25 of 100 pods are up to date and available"
	if got.Verdict != v1alpha1.VerdictSatisfied || got.Health != v1alpha1.HealthProgressing || got.Message != want {
		t.Errorf("%s, %s, %q, want %q", got.Verdict, got.Health, got.Message, want)
	}
	writes := 0
	for n := range int32(100) {
		if rolls(n, 99, began.Add(time.Duration(n)*time.Second)).Changed {
			writes++
		}
	}
	if writes != 3 {
		t.Errorf("the status is written %d times while ninety-nine of a hundred pods are replaced one by one, want it for each quarter", writes)
	}
	if got := w.requirement("it").Message; !strings.Contains(got, "since 2027-01-02T03:04:05Z, at least 75 of 100") {
		t.Errorf("at last it says %q", got)
	}
}

func TestAnAttestationExpiresWhileNothingChanges(t *testing.T) {
	w := newWorld(t, asks("attestation: {by: me, reason: so, expires: '2027-01-02T03:05:05Z'}"))
	if result := w.evaluate(); result.RequeueAfter != time.Minute {
		t.Errorf("the next evaluation is in %s, want it when the attestation expires", result.RequeueAfter)
	}
	w.now = w.now.Add(time.Minute)
	w.evaluate()
	if got := w.requirement("it").Verdict; got != v1alpha1.VerdictExpired {
		t.Errorf("the verdict is %s", got)
	}
}

func TestACheckThatReadsTheClockTurnsWithTime(t *testing.T) {
	w := newWorld(t, asks("anyOf: [{component: alpha}], checks: [{name: recent, parameters: {maxAge: 2h}}]"))
	w.runs(running("net", "example/alpha:v1.0.0"))
	w.holds(backups, map[string]any{"at": "2027-01-02T03:00:00Z"})
	w.evaluate()
	if got := w.requirement("it").Verdict; got != v1alpha1.VerdictSatisfied {
		t.Fatalf("the verdict is %s", got)
	}
	w.now = w.now.Add(3 * time.Hour)
	w.evaluate()
	if got := w.requirement("it").Verdict; got != v1alpha1.VerdictCheckFailed {
		t.Errorf("the verdict is %s three hours on", got)
	}
}

func TestACheckFollowsItsObjects(t *testing.T) {
	w := newWorld(t, asks(`rule: {resource: {group: storage.k8s.io, resource: storageclasses}, listExpression: "objects.size() == 1", message: one}`))
	for n, want := range map[int]v1alpha1.Verdict{0: v1alpha1.VerdictCheckFailed, 1: v1alpha1.VerdictSatisfied, 2: v1alpha1.VerdictCheckFailed} {
		w.holds(classes, make([]any, n)...)
		w.evaluate()
		if got := w.requirement("it").Verdict; got != want {
			t.Errorf("with %d classes the verdict is %s", n, got)
		}
	}
}

func TestACheckThatCostsTooMuchOnRealObjectsStallsAndIsCutOff(t *testing.T) {
	w := newWorld(t, `
layers:
- name: network
  requirements:
  - {name: costly, rule: {resource: {group: storage.k8s.io, resource: storageclasses}, listExpression: "objects.all(a, objects.all(b, a.x == b.x))", message: same}}
  - {name: cheap, capability: cni}`)
	w.runs(running("net", "example/alpha:v1.0.0"))
	same := map[string]any{"x": "same"}
	w.holds(classes, slices.Repeat([]any{same}, 5000)...)
	w.evaluate()
	if got := w.requirement("costly"); got.Verdict != v1alpha1.VerdictUnknown || !strings.Contains(got.Message, "costs too much") {
		t.Errorf("the verdict is %s: %s", got.Verdict, got.Message)
	}
	if got := w.requirement("cheap").Verdict; got != v1alpha1.VerdictSatisfied {
		t.Errorf("the requirement beside it is %s", got)
	}
	stalled := w.condition(v1alpha1.ConditionStalled)
	if !strings.Contains(stalled.Message, "spec.layers[0].requirements[0]") {
		t.Errorf("Stalled says %q", stalled.Message)
	}
	if again := w.evaluate(); again.Changed {
		t.Error("evaluating it again wrote another status")
	}
	// With fewer objects the same rule is cheap enough again.
	w.holds(classes, same, same, same)
	w.evaluate()
	if got := w.requirement("costly").Verdict; got != v1alpha1.VerdictSatisfied {
		t.Errorf("with three objects the verdict is %s", got)
	}
	for _, kind := range w.conditionTypes() {
		if kind == v1alpha1.ConditionStalled {
			t.Error("the profile is still Stalled")
		}
	}
}

func TestACheckOfTwoComponentsStallsWhicheverOfThemCostsTooMuch(t *testing.T) {
	few := []any{map[string]any{"x": "same"}}
	many := slices.Repeat(few, 1500)
	for name, test := range map[string]struct{ pools, rings []any }{
		"the first": {many, few},
		"the last":  {few, many},
		"both":      {many, many},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, asks("anyOf: [{component: alpha}, {component: beta}], checks: [{name: same}]"))
			w.runs(running("net", "example/alpha:v1.0.0"), running("net", "example/beta:v1.0.0"))
			w.holds(pools, test.pools...)
			w.holds(rings, test.rings...)
			w.evaluate()
			const path = "spec.layers[0].requirements[0].checks[0]"
			if got := w.condition(v1alpha1.ConditionStalled).Message; strings.Count(got, path) != 1 {
				t.Errorf("Stalled says %q, want it to name %s once", got, path)
			}
			if again := w.evaluate(); again.Changed {
				t.Error("evaluating it again wrote another status")
			}
			w.holds(pools, few...)
			w.holds(rings, few...)
			w.evaluate()
			if slices.Contains(w.conditionTypes(), v1alpha1.ConditionStalled) {
				t.Error("the profile is still Stalled")
			}
		})
	}
}
