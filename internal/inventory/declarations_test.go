package inventory

import (
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog/catalogtest"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

const (
	helmReleases = "helmreleases.helm.toolkit.fluxcd.io"
	lease        = "leases.coordination.k8s.io/gamma-lock in kube-system"
)

var gammasResource = rule.Resource{Group: "gamma.dev", Resource: "gammas"}

const declaredDefinitions = `
metadata: {name: gamma}
spec:
  layer: network
  signals:
    workloads: [{images: [example/gamma]}]
    charts:
    - {names: [gamma], productVersion: true}
    - {names: [stack], condition: gamma.enabled}
    declaredBy: [{resource: {group: gamma.dev, resource: gammas}, match: "object.?spec.?mode.orValue('') != 'none'"}]
---
metadata: {name: delta}
spec:
  layer: network
  signals:
    workloads: [{images: [example/delta]}]
    leases: [{namespace: kube-system, name: gamma-lock}]
    packages: [{names: [delta-operator]}]
`

func newDeclaredInventory(t *testing.T, isDeclarative bool) *testInventory {
	t.Helper()
	w := &testInventory{t: t, now: startTime}
	w.Inventory = New(catalogtest.New(t, declaredDefinitions), func() time.Time { return w.now })
	if isDeclarative {
		w.AcceptDeclarations()
	}
	for _, source := range []string{deployments, daemonsets, "statefulsets.apps", helmReleases, lease} {
		w.Source(source).Replace(nil)
	}
	return w
}

func newHelmRelease(name, target string, charts ...facts.Chart) *facts.Declaration {
	return &facts.Declaration{
		Ref:             facts.Ref{APIVersion: "helm.toolkit.fluxcd.io/v2", Kind: "HelmRelease", Namespace: "flux", Name: name},
		TargetNamespace: target, Release: name, Charts: charts,
	}
}

// In files a declaration proves an installation, with the version of the product or of the chart.
func TestDeclarationsInFiles(t *testing.T) {
	for name, test := range map[string]struct {
		declared []facts.Fact
		want     string // namespace, version, chart version and manager of each installation
	}{
		"a chart": {
			[]facts.Fact{newHelmRelease("gamma", "a", facts.Chart{Name: "gamma", Version: "1.2.3"})},
			"a 1.2.3  NotObserved HelmRelease flux/gamma",
		},
		"a chart of several components": {
			[]facts.Fact{newHelmRelease("stack", "a", facts.Chart{Name: "stack", Version: "60.1.0"})},
			"a  60.1.0 NotObserved HelmRelease flux/stack",
		},
		"a component that is switched off": {
			[]facts.Fact{newHelmRelease("stack", "a", facts.Chart{Name: "stack", Values: map[string]bool{"gamma.enabled": false}})}, "",
		},
		"another chart": {[]facts.Fact{newHelmRelease("gamma", "a", facts.Chart{Name: "gamma-ui"})}, ""},
		"two releases in a namespace": {
			[]facts.Fact{
				newHelmRelease("one", "a", facts.Chart{Name: "gamma", Version: "1.2.3"}),
				newHelmRelease("two", "a", facts.Chart{Name: "gamma", Version: "1.3.0"}),
			},
			"a 1.2.3  NotObserved HelmRelease flux/one; a 1.3.0  NotObserved HelmRelease flux/two",
		},
		"a product version beside that of a chart": {
			[]facts.Fact{
				newHelmRelease("stack", "a", facts.Chart{Name: "stack", Version: "60.1.0"}),
				newHelmRelease("stack2", "a", facts.Chart{Name: "gamma", Version: "1.2.3"}),
			},
			"a 1.2.3  NotObserved HelmRelease flux/stack2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newDeclaredInventory(t, true)
			w.Source(helmReleases).Replace(test.declared)
			var got []string
			for _, i := range w.Snapshot().Component("gamma").Installations {
				got = append(got, strings.Join([]string{i.Namespace, i.Version, i.ChartVersion, string(i.Health), i.ManagedBy}, " "))
			}
			if text := strings.Join(got, "; "); text != test.want {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
}

// In a dump the workloads have a status, which decides the health of what is declared.
func TestDeclarationsBesideWorkloads(t *testing.T) {
	for status, want := range map[bool]v1alpha1.Health{true: v1alpha1.HealthHealthy, false: v1alpha1.HealthNotObserved} {
		w := newDeclaredInventory(t, true)
		w.Source(helmReleases).Put(newHelmRelease("gamma", "a", facts.Chart{Name: "gamma", Version: "1.2.3"}))
		w.Source(deployments).Put(newDeployment("a", "gamma", "example/gamma:1.2.3", func(d *facts.Workload) { d.Rollout.HasStatus = status }))
		if found := w.Snapshot().Component("gamma").Installations; len(found) != 1 || found[0].Health != want {
			t.Errorf("with a status: %t: %+v", status, found)
		}
	}
}

// In a cluster a declaration proves nothing. It says who manages an installation, and its failure is named.
func TestDeclarationsInCluster(t *testing.T) {
	w := newDeclaredInventory(t, false)
	release := newHelmRelease("gamma", "a", facts.Chart{Name: "gamma", Version: "1.2.3"})
	release.Failure = "InstallFailed since 2027-01-02T03:04:05Z: timed out"
	w.Source(helmReleases).Put(release)
	w.expectInstallations("gamma", "")
	gamma := w.Snapshot().Component("gamma")
	const failure = "HelmRelease flux/gamma, which declares it, failed: InstallFailed since 2027-01-02T03:04:05Z: timed out"
	if len(gamma.FailedDeclarations) != 1 || gamma.FailedDeclarations[0] != failure {
		t.Errorf("the failures are %q", gamma.FailedDeclarations)
	}
	if len(gamma.Leftovers) > 0 {
		t.Errorf("the HelmRelease is a leftover: %v", gamma.Leftovers)
	}

	w.putWorkloads(newDeployment("a", "gamma", "example/gamma:1.2.3", withAvailable(1)))
	w.now = startTime.Add(time.Hour)
	w.RecheckDeadlines()
	installation := w.Snapshot().Component("gamma").Installations[0]
	if installation.ManagedBy != "HelmRelease flux/gamma" || !strings.Contains(installation.Message, failure) {
		t.Errorf("managed by %q, message %q", installation.ManagedBy, installation.Message)
	}

	// What the workload itself names is better than a declaration for its namespace.
	w.putWorkloads(newDeployment("a", "gamma", "example/gamma:1.2.3", func(d *facts.Workload) {
		d.ManagedBy = facts.Manager{Kind: "Application", Name: "platform"}
	}))
	if got := w.Snapshot().Component("gamma").Installations[0].ManagedBy; got != "Application platform" {
		t.Errorf("managed by %q", got)
	}
}

// A custom resource without a workload is a component that is wanted and does not run.
func TestWantedComponent(t *testing.T) {
	w := newDeclaredInventory(t, false)
	w.Rules.SetInstances(w.Catalog().Instances())
	gammas := w.testResource(t, gammasResource)
	gammas.replace(map[string]map[string]any{"off": {"spec": map[string]any{"mode": "none"}}})
	w.expectInstallations("gamma", "")

	gammas.put("main", map[string]any{"apiVersion": "gamma.dev/v1", "kind": "Gamma"})
	w.expectInstallations("gamma", "Degraded")
	if got := w.Snapshot().Component("gamma").Installations[0].Message; got != "Gamma main is declared, and no workload of it runs" {
		t.Errorf("got %q", got)
	}
	w.putWorkloads(newDeployment("a", "gamma", "example/gamma:1.2.3"))
	w.expectInstallations("gamma", "a 1.2.3 Healthy")
	gammas.delete("main")
	w.expectInstallations("gamma", "a 1.2.3 Healthy")

	// Without permission for a kind of workload, it may run all the same.
	w.Source(deployments).SetState(facts.Forbidden, "no permission")
	gammas.put("main", map[string]any{"apiVersion": "gamma.dev/v1", "kind": "Gamma"})
	w.expectInstallations("gamma", "")
}

// A Lease proves an installation as long as its holder renews it.
func TestLease(t *testing.T) {
	w := newDeclaredInventory(t, false)
	held := func(at time.Time) *facts.Lease {
		return &facts.Lease{
			Ref:    facts.Ref{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: "kube-system", Name: "gamma-lock"},
			Holder: "node-1", RenewedAt: at,
		}
	}
	w.Source(lease).Put(held(startTime))
	w.expectInstallations("delta", "kube-system  Healthy")
	w.now = startTime.Add(time.Minute)
	w.Source(lease).Put(held(w.now))
	w.now = startTime.Add(150 * time.Second)
	w.RecheckDeadlines()
	w.expectInstallations("delta", "kube-system  Healthy")

	w.now = startTime.Add(4 * time.Minute)
	if next := w.RecheckDeadlines(); !next.IsZero() {
		t.Errorf("the next deadline is %s", next)
	}
	w.expectInstallations("delta", "")
	if leftovers := w.Snapshot().Component("delta").Leftovers; len(leftovers) != 1 || leftovers[0].Kind != "Lease" {
		t.Errorf("the leftovers are %v", leftovers)
	}
}

// Renewals that change nothing cost nothing.
func TestLeaseRenewal(t *testing.T) {
	ref := facts.Ref{Kind: "Lease", Namespace: "kube-system", Name: "gamma-lock"}
	first := &facts.Lease{Ref: ref, Holder: "node-1", RenewedAt: startTime}
	for _, test := range []struct {
		lease *facts.Lease
		equal bool
	}{
		{&facts.Lease{Ref: ref, Holder: "node-1", RenewedAt: startTime.Add(2 * time.Second)}, true},
		{&facts.Lease{Ref: ref, Holder: "node-2", RenewedAt: startTime}, false},
		{&facts.Lease{Ref: ref, Holder: "node-1", RenewedAt: startTime.Add(time.Minute)}, false},
	} {
		if got := first.Equal(test.lease); got != test.equal {
			t.Errorf("%v: equal is %t", test.lease, got)
		}
	}
	if until := (&facts.Lease{Ref: ref, RenewedAt: startTime}).HeldUntil(); !until.IsZero() {
		t.Errorf("a Lease without a holder is held until %s", until)
	}
}
