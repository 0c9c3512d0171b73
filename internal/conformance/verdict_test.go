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
	forbidDeployments := func(w *world) {
		w.inventory.Source("deployments.apps").SetState(facts.Failing, "cannot read deployments.apps: permission to list and watch is missing")
	}
	forbidCRDs := func(w *world) {
		w.inventory.Source("customresourcedefinitions.apiextensions.k8s.io").SetState(facts.Failing,
			"cannot read CRDs: permission to list and watch is missing")
	}
	for name, test := range map[string]struct {
		asks    string
		runs    []*facts.Workload
		given   func(*world)
		verdict v1alpha1.Verdict
		want    string // in the message
		advises string // in the remediation
	}{
		"a provider of the capability is there": {
			asks: "capability: cni", runs: []*facts.Workload{healthyDeployment("net", "example/beta:v1.2.3")},
			verdict: v1alpha1.VerdictSatisfied, want: "beta 1.2.3 in net is Healthy",
		},
		"no provider of the capability is there": {
			asks: "capability: cni", runs: []*facts.Workload{healthyDeployment("net", "example/gamma:v1.2.3")},
			verdict: v1alpha1.VerdictMissing, want: "no component that provides cni is installed; candidates: alpha, beta, delta, epsilon", advises: "helm install alpha",
		},
		"the capability has no definition": {
			asks:    "capability: teleportation",
			verdict: v1alpha1.VerdictMissing, want: `no definition provides the capability "teleportation"`, advises: "PlatformComponent",
		},
		"the component has no definition": {
			asks:    "anyOf: [{component: alhpa}]",
			verdict: v1alpha1.VerdictMissing, want: "no definition of alhpa", advises: "Correct the name",
		},
		"one of the components is unknown and the other is there": {
			asks: "anyOf: [{component: alhpa}, {component: beta}]", runs: []*facts.Workload{healthyDeployment("net", "example/beta:v1.2.3")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"the version is inside the range": {
			asks:    `anyOf: [{component: alpha, version: ">=1.2 <2"}]`,
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.2.0-debian-12-r5")},
			verdict: v1alpha1.VerdictSatisfied, want: "alpha 1.2.0",
		},
		"a release candidate above the range's start is inside it": {
			asks: `anyOf: [{component: alpha, version: ">=1.16"}]`, runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.17.0-rc.1")},
			verdict: v1alpha1.VerdictSatisfied, want: "1.17.0-rc.1",
		},
		"a release candidate of the range's start is below it": {
			asks:    `anyOf: [{component: alpha, version: ">=1.17.0"}]`,
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.17.0-rc.1")},
			verdict: v1alpha1.VerdictVersionMismatch,
		},
		"the version is below the range": {
			asks: `anyOf: [{component: alpha, version: ">=1.2"}]`, runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.1.9")},
			verdict: v1alpha1.VerdictVersionMismatch, want: "alpha 1.1.9 in net is outside the range >=1.2",
			advises: "Install a version of Alpha in the range >=1.2",
		},
		"the version that a range needs could not be determined": {
			asks: `anyOf: [{component: alpha, version: ">=1.2"}]`, runs: []*facts.Workload{healthyDeployment("net", "example/alpha:latest")},
			verdict: v1alpha1.VerdictUnknown, want: "alpha is installed in net; its version could not be determined, so the range >=1.2 cannot be evaluated", advises: "version tag",
		},
		"without a range the version does not matter": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:latest")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"of two choices the one in range counts": {
			asks:    `anyOf: [{component: alpha, version: ">=9"}, {component: beta, version: ">=1"}]`,
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("net", "example/beta:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, want: "beta 1.0.0",
		},
		"of two copies the healthy one counts": {
			asks:    "anyOf: [{component: alpha}]",
			runs:    []*facts.Workload{degradedDeployment("a", "example/alpha:v1.0.0"), healthyDeployment("b", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, want: "in b",
		},
		"pods are missing": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{degradedDeployment("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictDegraded, want: "Deployment net/alpha: 1 of 2 pods are available", advises: "kubectl get alpha",
		},
		"without instructions the advice names the namespace": {
			asks: "anyOf: [{component: beta}]", runs: []*facts.Workload{degradedDeployment("net", "example/beta:v1.0.0")},
			verdict: v1alpha1.VerdictDegraded, advises: "kubectl -n net get deployments",
		},
		"pods are missing and installed is enough": {
			asks: "health: Any, anyOf: [{component: alpha}]", runs: []*facts.Workload{degradedDeployment("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"a rollout under way still satisfies": {
			asks: "anyOf: [{component: alpha}]", runs: []*facts.Workload{progressingDeployment("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, want: "is Progressing",
		},
		"only leftovers exist": {
			asks: "anyOf: [{component: alpha}]", given: func(w *world) {
				w.inventory.Source("customresourcedefinitions.apiextensions.k8s.io").Put(&facts.Named{
					Ref: facts.Ref{Kind: "CustomResourceDefinition", Name: "pools.alpha.dev"}, NameKind: facts.CRDName,
					Values: []string{"pools.alpha.dev"},
				})
			},
			verdict: v1alpha1.VerdictMissing, want: "alpha is not installed; leftover resources: CustomResourceDefinition pools.alpha.dev",
		},
		"a source is forbidden": {
			asks: "anyOf: [{component: alpha}]", given: forbidDeployments,
			verdict: v1alpha1.VerdictUnknown, want: "cannot read deployments.apps: permission to list and watch is missing",
			advises: "ServiceAccount",
		},
		"a source has not synced": {
			asks: "anyOf: [{component: alpha}]", given: func(w *world) { w.inventory.Source("deployments.apps").SetState(facts.Pending, "") },
			verdict: v1alpha1.VerdictUnknown, want: "deployments.apps has not synced yet",
		},
		"a forbidden component is installed": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", runs: []*facts.Workload{degradedDeployment("reg", "example/gamma:v1.0.0")},
			verdict: v1alpha1.VerdictForbidden, want: "must not be installed: gamma 1.0.0 in reg", advises: "Remove gamma",
		},
		"a forbidden component is not installed": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied, want: "gamma is not installed",
		},
		"another version than the forbidden one is installed": {
			asks: `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`,
			runs: []*facts.Workload{healthyDeployment("reg", "example/gamma:v2.0.0")}, verdict: v1alpha1.VerdictSatisfied,
		},
		"the forbidden version is installed": {
			asks: `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`,
			runs: []*facts.Workload{healthyDeployment("reg", "example/gamma:v1.0.0")}, verdict: v1alpha1.VerdictForbidden,
		},
		"the version could not be determined and one is forbidden": {
			asks:    `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`,
			runs:    []*facts.Workload{healthyDeployment("reg", "example/gamma:latest")},
			verdict: v1alpha1.VerdictUnknown, want: "gamma is installed in reg; its version could not be determined, so the forbidden range <2 cannot be evaluated", advises: "version tag",
		},
		"an installation without a version does not hide a forbidden one": {
			asks:    `presence: Absent, anyOf: [{component: gamma, version: "<2"}]`,
			runs:    []*facts.Workload{healthyDeployment("a", "example/gamma:latest"), healthyDeployment("b", "example/gamma:v1.0.0")},
			verdict: v1alpha1.VerdictForbidden, want: "gamma 1.0.0 in b",
		},
		"every version is forbidden and the version could not be determined": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", runs: []*facts.Workload{healthyDeployment("reg", "example/gamma:latest")},
			verdict: v1alpha1.VerdictForbidden,
		},
		"a source of a forbidden component is unreadable": {
			asks: "presence: Absent, anyOf: [{component: gamma}]", given: forbidDeployments, verdict: v1alpha1.VerdictUnknown,
		},
		"two implementations where one is allowed": {
			asks:    "exclusive: true, capability: cni",
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("net", "example/beta:v2.0.0")},
			verdict: v1alpha1.VerdictConflict, want: "2 implementations are installed where one is allowed: alpha 1.0.0 in net is Healthy; beta 2.0.0",
		},
		"a rival that is not among the choices": {
			asks:    "exclusive: true, anyOf: [{component: alpha}, {component: beta}]",
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("net", "example/delta:v2.0.0")},
			verdict: v1alpha1.VerdictConflict, want: "delta 2.0.0",
		},
		"a rival among the choices is unreadable": {
			asks: "exclusive: true, capability: cni", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")}, given: forbidCRDs,
			verdict: v1alpha1.VerdictUnknown, want: "cannot read CRDs: permission to list and watch is missing", advises: "ServiceAccount",
		},
		"a rival that is not among the choices is unreadable": {
			asks: "exclusive: true, anyOf: [{component: alpha}]", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			given:   forbidCRDs,
			verdict: v1alpha1.VerdictUnknown, want: "cannot read CRDs: permission to list and watch is missing", advises: "ServiceAccount",
		},
		"an unreadable rival does not hide a missing component": {
			asks: "exclusive: true, anyOf: [{component: alpha}]", given: forbidCRDs, verdict: v1alpha1.VerdictMissing,
		},
		"an unreadable rival does not hide a failure": {
			asks: "exclusive: true, anyOf: [{component: alpha}]", runs: []*facts.Workload{degradedDeployment("net", "example/alpha:v1.0.0")},
			given:   forbidCRDs,
			verdict: v1alpha1.VerdictDegraded,
		},
		"two rivals conflict even if another one is unreadable": {
			asks:    "exclusive: true, capability: cni",
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("net", "example/beta:v2.0.0")},
			given:   forbidCRDs,
			verdict: v1alpha1.VerdictConflict,
		},
		"an unreadable choice without exclusive": {
			asks: "capability: cni", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")}, given: forbidCRDs,
			verdict: v1alpha1.VerdictSatisfied,
		},
		"a component with another capability is not a rival": {
			asks:    "exclusive: true, anyOf: [{component: alpha}]",
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("reg", "example/gamma:v2.0.0")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"two installations of one component do not conflict": {
			asks:    "exclusive: true, anyOf: [{component: alpha}]",
			runs:    []*facts.Workload{healthyDeployment("a", "example/alpha:v1.0.0"), healthyDeployment("b", "example/alpha:v1.0.0")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"two implementations without exclusive": {
			asks:    "capability: cni",
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("net", "example/beta:v2.0.0")},
			verdict: v1alpha1.VerdictSatisfied,
		},
		"a rule that is satisfied": {
			asks: oneClass, given: func(w *world) { w.setObjects(classes, map[string]any{}) }, verdict: v1alpha1.VerdictSatisfied, want: "one class",
		},
		"a rule that is not satisfied": {
			asks: oneClass, given: func(w *world) { w.setObjects(classes) },
			verdict: v1alpha1.VerdictCheckFailed, want: "the rule is not satisfied: one class", advises: "kubectl get storageclasses.storage.k8s.io",
		},
		"a rule over a resource that is not served": {
			asks: oneClass, given: func(w *world) { w.inventory.Rules.Source(classes).SetState(facts.NotServed, "") },
			verdict: v1alpha1.VerdictMissing, want: "the cluster does not serve storageclasses.storage.k8s.io",
		},
		"a rule over a forbidden resource": {
			asks: oneClass, given: func(w *world) { w.inventory.Rules.Source(classes).SetState(facts.Failing, "no permission for classes") },
			verdict: v1alpha1.VerdictUnknown, want: "no permission for classes",
		},
		"a rule over a resource that has not synced": {asks: oneClass, verdict: v1alpha1.VerdictUnknown, want: "storageclasses.storage.k8s.io has not synced yet"},
		"a rule that fails to evaluate an object": {
			asks:  `rule: {resource: {group: storage.k8s.io, resource: storageclasses}, expression: "object.status.phase == 'x'", message: m}`,
			given: func(w *world) { w.setObjects(classes, map[string]any{}) }, verdict: v1alpha1.VerdictUnknown, want: "no such key: status",
			advises: "optional access",
		},
		"an attestation that has not expired": {
			asks:    "attestation: {by: platform-team, reason: hosted elsewhere, url: 'https://example.com', expires: '2027-01-02T03:04:06Z'}",
			verdict: v1alpha1.VerdictAttested, want: "attested by platform-team: hosted elsewhere (https://example.com); expires 2027-01-02",
		},
		"an attestation without an expiry": {asks: "attestation: {by: me, reason: so}", verdict: v1alpha1.VerdictAttested},
		"an attestation that expired this second": {
			asks: "attestation: {by: me, reason: so, expires: '2027-01-02T03:04:05Z'}", verdict: v1alpha1.VerdictExpired,
			want: "the attestation expired at 2027-01-02 03:04 UTC", advises: "Have me confirm the attestation",
		},
		"a named check within its default": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.setObjects(backups, map[string]any{"at": "2027-01-01T23:00:00Z"}) }, verdict: v1alpha1.VerdictSatisfied,
			want: "alpha 1.0.0",
		},
		"a named check outside its parameter": {
			asks:    "anyOf: [{component: alpha}], checks: [{name: recent, parameters: {maxAge: 1h}}]",
			runs:    []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			given:   func(w *world) { w.setObjects(backups, map[string]any{"at": "2027-01-01T23:00:00Z"}) },
			verdict: v1alpha1.VerdictCheckFailed, want: "check recent of alpha is not satisfied: no recent backup",
		},
		"a named check over a resource that is not served": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			given:   func(w *world) { w.inventory.Rules.Source(backups).SetState(facts.NotServed, "") },
			verdict: v1alpha1.VerdictCheckFailed, want: "the cluster does not serve backups.alpha.dev",
			advises: "CustomResourceDefinitions of Alpha",
		},
		"a named check over a forbidden resource": {
			asks: "anyOf: [{component: alpha}], checks: [{name: recent}]", runs: []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			given:   func(w *world) { w.inventory.Rules.Source(backups).SetState(facts.Failing, "no permission for backups") },
			verdict: v1alpha1.VerdictUnknown, want: "no permission for backups",
		},
		"a named check of another choice": {
			asks:  "anyOf: [{component: alpha}, {component: beta}], checks: [{name: recent}]",
			runs:  []*facts.Workload{healthyDeployment("net", "example/beta:v1.0.0")},
			given: func(w *world) { w.setObjects(backups) }, verdict: v1alpha1.VerdictSatisfied, want: "beta",
		},
		"a whole number as a parameter": {
			asks:  `anyOf: [{component: alpha}], checks: [{name: enough, parameters: {least: "2"}}]`,
			runs:  []*facts.Workload{healthyDeployment("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.setObjects(pools, map[string]any{}, map[string]any{}) }, verdict: v1alpha1.VerdictSatisfied,
		},
		"a named check of a degraded installation": {
			asks:  "anyOf: [{component: alpha}], checks: [{name: recent}]",
			runs:  []*facts.Workload{degradedDeployment("net", "example/alpha:v1.0.0")},
			given: func(w *world) { w.setObjects(backups) }, verdict: v1alpha1.VerdictDegraded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, specWith(test.asks))
			w.setDeployments(test.runs...)
			if test.given != nil {
				test.given(w)
			}
			w.evaluate()
			got := w.requirement("it")
			if got.Verdict != test.verdict {
				t.Errorf("the verdict is %s (%s), want %s", got.Verdict, got.Message, test.verdict)
			}
			message := got.Message
			if message == "" { // a healthy component is described by the other fields
				message = fmt.Sprintf("%s %s in %s is %s", got.Component, got.Version, got.Namespace, got.Health)
			}
			if !strings.Contains(message, test.want) {
				t.Errorf("the message is %q, want %q in it", message, test.want)
			}
			if !strings.Contains(got.Remediation, test.advises) {
				t.Errorf("the remediation is %q, want %q in it", got.Remediation, test.advises)
			}
			if isGood(got.Verdict) != (got.Remediation == "" && got.FailingSince == nil) {
				t.Errorf("%s has remediation %q and fails since %v", got.Verdict, got.Remediation, got.FailingSince)
			}
		})
	}
}

func TestRequirementDescribesInstallation(t *testing.T) {
	w := newWorld(t, specWith("capability: cni"))
	w.setDeployments(healthyDeployment("net", "mirror.corp/example/beta:v1.2.3"))
	w.evaluate()
	got := w.requirement("it")
	if got.Component != "beta" || got.Version != "1.2.3" || got.Health != v1alpha1.HealthHealthy || got.Namespace != "net" {
		t.Errorf("got %s %s %s in %s", got.Component, got.Version, got.Health, got.Namespace)
	}
	want := v1alpha1.Evidence{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "net", Name: "beta"}
	if len(got.Evidence) != 1 || got.Evidence[0] != want {
		t.Errorf("the evidence is %v, want %v", got.Evidence, want)
	}
	// A failing requirement has a message and the signal.
	w.setDeployments(degradedDeployment("net", "mirror.corp/example/beta:v1.2.3"))
	w.evaluate()
	want.Signal = "image mirror.corp/example/beta:v1.2.3"
	if got := w.requirement("it"); len(got.Evidence) != 1 || got.Evidence[0] != want || got.Message == "" {
		t.Errorf("degraded: the message is %q with the evidence %v, want %v", got.Message, got.Evidence, want)
	}
}

func TestRequirementDescribesRollout(t *testing.T) {
	w := newWorld(t, specWith("capability: cni"))
	rolls := func(updated, available int32, changed time.Time) Result {
		d := progressingDeployment("net", "example/beta:v1.2.3")
		d.Rollout.Desired, d.Rollout.Total, d.Rollout.Updated, d.Rollout.Ready, d.Rollout.Available = 100, 100, updated, available, available
		d.Rollout.StartedAt = changed
		w.setDeployments(d)
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
		t.Errorf("the last message is %q", got)
	}
}

func TestAttestationExpiresWithoutChanges(t *testing.T) {
	w := newWorld(t, specWith("attestation: {by: me, reason: so, expires: '2027-01-02T03:05:05Z'}"))
	if result := w.evaluate(); result.RequeueAfter != time.Minute {
		t.Errorf("the next evaluation is in %s, want it when the attestation expires", result.RequeueAfter)
	}
	w.now = w.now.Add(time.Minute)
	w.evaluate()
	if got := w.requirement("it").Verdict; got != v1alpha1.VerdictExpired {
		t.Errorf("the verdict is %s", got)
	}
}

func TestCheckThatUsesTimeFails(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: alpha}], checks: [{name: recent, parameters: {maxAge: 2h}}]"))
	w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
	w.setObjects(backups, map[string]any{"at": "2027-01-02T03:00:00Z"})
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

func TestRuleFollowsItsObjects(t *testing.T) {
	w := newWorld(t, specWith(`rule: {resource: {group: storage.k8s.io, resource: storageclasses}, listExpression: "objects.size() == 1", message: one}`))
	for n, want := range map[int]v1alpha1.Verdict{
		0: v1alpha1.VerdictCheckFailed, 1: v1alpha1.VerdictSatisfied,
		2: v1alpha1.VerdictCheckFailed,
	} {
		w.setObjects(classes, make([]any, n)...)
		w.evaluate()
		if got := w.requirement("it").Verdict; got != want {
			t.Errorf("with %d classes the verdict is %s", n, got)
		}
	}
}

func TestCostlyRuleStallsTheProfile(t *testing.T) {
	w := newWorld(t, `
layers:
- name: network
  requirements:
  - {name: costly, rule: {resource: {group: storage.k8s.io, resource: storageclasses}, listExpression: "objects.all(a, objects.all(b, a.x == b.x))", message: same}}
  - {name: cheap, capability: cni}`)
	w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
	same := map[string]any{"x": "same"}
	w.setObjects(classes, slices.Repeat([]any{same}, 5000)...)
	w.evaluate()
	if got := w.requirement("costly"); got.Verdict != v1alpha1.VerdictUnknown || !strings.Contains(got.Message, "costs too much") {
		t.Errorf("the verdict is %s: %s", got.Verdict, got.Message)
	}
	if got := w.requirement("cheap").Verdict; got != v1alpha1.VerdictSatisfied {
		t.Errorf("the requirement beside it is %s", got)
	}
	stalled := w.condition(v1alpha1.ConditionStalled)
	if !strings.Contains(stalled.Message, "spec.layers[0].requirements[0]") {
		t.Errorf("the message of Stalled is %q", stalled.Message)
	}
	if again := w.evaluate(); again.Changed {
		t.Error("evaluating it again wrote another status")
	}
	// With fewer objects the same rule is cheap enough again.
	w.setObjects(classes, same, same, same)
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

func TestCostlyCheckOfAnyComponentStallsTheProfile(t *testing.T) {
	few := []any{map[string]any{"x": "same"}}
	many := slices.Repeat(few, 1500)
	for name, test := range map[string]struct{ pools, rings []any }{
		"the first": {many, few},
		"the last":  {few, many},
		"both":      {many, many},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, specWith("anyOf: [{component: alpha}, {component: beta}], checks: [{name: same}]"))
			w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"), healthyDeployment("net", "example/beta:v1.0.0"))
			w.setObjects(pools, test.pools...)
			w.setObjects(rings, test.rings...)
			w.evaluate()
			const path = "spec.layers[0].requirements[0].checks[0]"
			if got := w.condition(v1alpha1.ConditionStalled).Message; strings.Count(got, path) != 1 {
				t.Errorf("the message of Stalled is %q, want %s in it once", got, path)
			}
			if again := w.evaluate(); again.Changed {
				t.Error("evaluating it again wrote another status")
			}
			w.setObjects(pools, few...)
			w.setObjects(rings, few...)
			w.evaluate()
			if slices.Contains(w.conditionTypes(), v1alpha1.ConditionStalled) {
				t.Error("the profile is still Stalled")
			}
		})
	}
}
