package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/catalog/catalogtest"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// releasedDefinitions are a cluster and a component with facts about their releases.
const releasedDefinitions = `
metadata: {name: kubernetes}
spec:
  layer: core
  capabilities: [orchestrator]
  signals: {apiServer: {version: "."}}
  version: [{from: APIServer}]
  releases:
  - {cycle: "1.36", released: 2026-04-01, endOfLife: 2027-06-28, source: "https://k8s.dev", asOf: 2026-11-01}
  - {cycle: "1.37", released: 2026-08-01, endOfLife: 2027-10-28, source: "https://k8s.dev", asOf: 2026-11-01}
---
metadata: {name: alpha}
spec:
  displayName: Alpha
  layer: network
  signals: {workloads: [{images: [example/alpha]}]}
  releases:
  - {cycle: "1.0", released: 2026-01-01, endOfLife: 2028-03-31, kubernetes: ">=1.34 <=1.36", source: "https://alpha.dev", asOf: 2026-11-01}
  - {cycle: "1.1", released: 2026-09-01, kubernetes: ">=1.35 <=1.37", source: "https://alpha.dev", asOf: 2026-11-01}
---
metadata: {name: beta}
spec:
  layer: network
  signals: {workloads: [{images: [example/beta]}]}
`

func newReleasedWorld(t *testing.T, image, check string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)}
	w.inventory = inventory.New(catalogtest.New(t, releasedDefinitions), func() time.Time { return w.now })
	w.inventory.Source("daemonsets.apps").Replace(nil)
	w.inventory.Source("statefulsets.apps").Replace(nil)
	w.inventory.Source(catalog.APIServerSource).Replace([]facts.Fact{facts.NewAPIServer("v1.36.2")})
	w.setDeployments(healthyDeployment("net", image))
	component := strings.TrimPrefix(strings.Split(image, ":")[0], "example/")
	w.setSpec(specWith("anyOf: [{component: " + component + "}], checks: [" + check + "]"))
	return w
}

// TestSupportFollowsClock checks that one cluster turns from supported to ending to out of support on the right days, from 2026 to 2029,
// and that the next evaluation is in time for each of them.
func TestSupportFollowsClock(t *testing.T) {
	w := newReleasedWorld(t, "example/alpha:v1.0.4", "{name: supported, parameters: {within: 90d}}")
	for _, test := range []struct {
		at      string
		verdict v1alpha1.Verdict
		message string
	}{
		{"2026-11-29T00:00:00Z", v1alpha1.VerdictSatisfied, ""},
		{"2028-01-01T23:59:59Z", v1alpha1.VerdictSatisfied, ""},
		{"2028-01-02T00:00:00Z", v1alpha1.VerdictCheckFailed, "alpha 1.0.4 is supported until 2028-03-31 only"},
		{"2028-03-31T23:59:59Z", v1alpha1.VerdictCheckFailed, "alpha 1.0.4 is supported until 2028-03-31 only"},
		{"2028-04-01T00:00:00Z", v1alpha1.VerdictCheckFailed, "alpha 1.0.4 is out of support since 2028-03-31"},
		{"2029-12-31T00:00:00Z", v1alpha1.VerdictCheckFailed, "alpha 1.0.4 is out of support since 2028-03-31"},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		w.now = at
		result := w.evaluate()
		if r := w.requirement("it"); r.Verdict != test.verdict || !strings.Contains(r.Message, test.message) {
			t.Errorf("at %s: %s: %s, want %s: %s", test.at, r.Verdict, r.Message, test.verdict, test.message)
		}
		if strings.HasSuffix(test.at, "23:59:59Z") && result.RequeueAfter > time.Second {
			t.Errorf("at %s: the next evaluation is in %s, after the change", test.at, result.RequeueAfter)
		}
	}
}

func TestCommonChecks(t *testing.T) {
	for name, test := range map[string]struct {
		image, check string
		verdict      v1alpha1.Verdict
		message      string
	}{
		"compatible with the cluster": {"example/alpha:v1.0.4", "{name: kubernetes-compatible}", v1alpha1.VerdictSatisfied, ""},
		"not compatible with a target": {
			"example/alpha:v1.0.4", `{name: kubernetes-compatible, parameters: {version: "1.37"}}`, v1alpha1.VerdictCheckFailed,
			"alpha 1.0.4 does not support Kubernetes 1.37: upstream states >=1.34 <=1.36; these releases support it: 1.1",
		},
		"a version that the facts do not have": {
			"example/alpha:v1.2.0", "{name: kubernetes-compatible}", v1alpha1.VerdictUnknown,
			"cannot determine whether alpha 1.2.0 supports Kubernetes 1.36: the catalog's facts go up to 1.1 (as of 2026-11-01)",
		},
		"a component without facts": {
			"example/beta:v1.2.0", "{name: supported}", v1alpha1.VerdictUnknown,
			"cannot determine whether beta 1.2.0 is supported: the catalog has no facts about its releases",
		},
		"a tag that is no version": {
			"example/alpha:latest", "{name: supported}", v1alpha1.VerdictUnknown,
			"cannot determine whether alpha is supported: its version could not be determined",
		},
		"without a stated end": {"example/alpha:v1.1.0", "{name: supported}", v1alpha1.VerdictSatisfied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newReleasedWorld(t, test.image, test.check)
			w.evaluate()
			if r := w.requirement("it"); r.Verdict != test.verdict || !strings.Contains(r.Message, test.message) {
				t.Errorf("got %s: %s", r.Verdict, r.Message)
			}
		})
	}
	// The version of the cluster changes the verdict.
	w := newReleasedWorld(t, "example/alpha:v1.0.4", "{name: kubernetes-compatible}")
	w.evaluate()
	w.inventory.Source(catalog.APIServerSource).Replace([]facts.Fact{facts.NewAPIServer("v1.37.0")})
	w.evaluate()
	if r := w.requirement("it"); r.Verdict != v1alpha1.VerdictCheckFailed {
		t.Errorf("after the upgrade of the cluster it is %s: %s", r.Verdict, r.Message)
	}
	if !w.profile.Concerns("kubernetes") {
		t.Error("the profile does not depend on the version of the cluster")
	}
	w.setSpec(specWith("anyOf: [{component: alpha}], checks: [{name: kubernetes-compatible, parameters: {version: next}}]"))
	if len(w.profile.Errors) != 1 || !strings.Contains(w.profile.Errors[0].Error(), "not a version of Kubernetes") {
		t.Errorf("got %v", w.profile.Errors)
	}
}
