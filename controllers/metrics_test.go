package controllers

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// metricsFixture is a reconciler with an inventory of one component, and a registry of its metrics.
type metricsFixture struct {
	*PlatformProfileReconciler
	registry *prometheus.Registry
}

func newMetricsFixture(t *testing.T, workloads ...facts.Fact) metricsFixture {
	t.Helper()
	component, errs := catalog.Compile(&v1alpha1.PlatformComponent{
		ObjectMeta: metav1.ObjectMeta{Name: "alpha"},
		Spec: v1alpha1.PlatformComponentSpec{
			Layer:   "network",
			Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"example/alpha"}}}},
		},
	})
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	found := inventory.New(catalog.New(component), time.Now)
	found.Source("deployments.apps").Replace(workloads)
	elected := make(chan struct{})
	close(elected)
	m := metricsFixture{&PlatformProfileReconciler{Inventory: found, Elected: elected}, prometheus.NewPedanticRegistry()}
	if err := m.registry.Register(&collector{m.PlatformProfileReconciler, "v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	return m
}

// series returns all series as text, with sorted labels.
func (m metricsFixture) series(t *testing.T) []string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			var text []string
			for _, name := range slices.Sorted(maps.Keys(labels)) {
				text = append(text, name+"="+labels[name])
			}
			all = append(all, fmt.Sprintf("%s{%s} %v", family.GetName(), strings.Join(text, ","), metric.GetGauge().GetValue()))
		}
	}
	return all
}

func deployment(namespace string, ready int32) *facts.Workload {
	image, ok := facts.ParseImage("example/alpha:v1.0.0")
	if !ok {
		panic("the image does not parse")
	}
	return &facts.Workload{
		Ref:        facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: "alpha"},
		Containers: []facts.Container{{Image: image}},
		Rollout: facts.Rollout{
			HasStatus: true, Desired: 2, Total: 2, Updated: 2, Ready: ready, Available: ready, Generation: 1, ObservedGeneration: 1,
			Deadline: 600, Progressing: "True", Reason: "NewReplicaSetAvailable", DeploymentAvailable: "True",
		},
	}
}

// TestProfileSeries checks the series of a profile whose new generation is not evaluated yet, and that they disappear with the profile.
func TestProfileSeries(t *testing.T) {
	m := newMetricsFixture(t)
	expires := metav1.NewTime(time.Unix(1_800_000_000, 0))
	state := m.stateOf(&v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: "edge"}})
	state.compiled.Store(&compiledProfile{
		generation: 3,
		spec: &v1alpha1.PlatformProfileSpec{
			Suspend:    true,
			Undeclared: v1alpha1.UndeclaredReport,
			Layers: []v1alpha1.Layer{{Name: "ci", Requirements: []v1alpha1.Requirement{
				{Name: "runners", Attestation: &v1alpha1.Attestation{By: "us", Reason: "outside", Expires: &expires}},
				{Name: "for-ever", Attestation: &v1alpha1.Attestation{By: "us", Reason: "outside"}},
			}}},
		},
	})
	state.writer.setMetrics(&v1alpha1.PlatformProfileStatus{
		ObservedGeneration: 2,
		Conditions:         []metav1.Condition{{Type: "Conformant", Status: metav1.ConditionFalse}},
		Layers: []v1alpha1.LayerStatus{{Name: "ci", Requirements: []v1alpha1.RequirementStatus{
			{Name: "runners", Severity: v1alpha1.SeverityRequired, Verdict: v1alpha1.VerdictExpired},
		}}},
	}, 2)
	got := m.series(t)
	wanted := []string{
		"platformprofile_profile_info{profile=edge,suspended=true,undeclared=Report} 1",
		"platformprofile_profile_generation{profile=edge} 3",
		"platformprofile_profile_observed_generation{profile=edge} 2",
		"platformprofile_attestation_expiry_timestamp_seconds{layer=ci,profile=edge,requirement=runners} 1.8e+09",
		"platformprofile_status_condition{condition=Conformant,profile=edge,status=false} 1",
		"platformprofile_status_condition{condition=Conformant,profile=edge,status=true} 0",
		"platformprofile_status_condition{condition=Conformant,profile=edge,status=unknown} 0",
		"platformprofile_requirement_verdict{component=,layer=ci,profile=edge,requirement=runners,severity=Required,verdict=Expired} 1",
	}
	for _, series := range wanted {
		if !slices.Contains(got, series) {
			t.Errorf("series %s is missing in\n%s", series, strings.Join(got, "\n"))
		}
	}
	if strings.Contains(strings.Join(got, "\n"), "for-ever") {
		t.Error("an attestation without an expiry has a series")
	}
	build := fmt.Sprintf("platformprofile_build_info{goversion=%s,version=v1.2.3} 1", runtime.Version())
	if len(got) != len(wanted)+1 || !slices.Contains(got, build) {
		t.Errorf("got %d series, want %d and %s:\n%s", len(got), len(wanted), build, strings.Join(got, "\n"))
	}
	delete(m.profiles, "edge")
	if rest := m.series(t); len(rest) != 1 {
		t.Errorf("series remain after the profile is deleted: %v", rest)
	}
}

// TestInstallationSeriesAreBounded checks that all installations are counted, and that the reported ones include the unhealthy ones.
func TestInstallationSeriesAreBounded(t *testing.T) {
	const copies = maxInstallationSeries + 20
	var workloads []facts.Fact
	for i := range copies {
		workloads = append(workloads, deployment(fmt.Sprintf("tenant-%03d", i), 2))
	}
	workloads[copies-1] = deployment("tenant-broken", 1)
	m := newMetricsFixture(t, workloads...)
	var infos []string
	for _, series := range m.series(t) {
		if strings.HasPrefix(series, "platformprofile_component_info{") {
			infos = append(infos, series)
		}
	}
	if len(infos) != maxInstallationSeries {
		t.Errorf("got %d installations, want %d", len(infos), maxInstallationSeries)
	}
	if broken := "platformprofile_component_info{component=alpha,health=Degraded,layer=network,namespace=tenant-broken,version=1.0.0} 1"; !slices.Contains(infos, broken) {
		t.Errorf("the unhealthy installation has no series: %v", infos)
	}
	count := fmt.Sprintf("platformprofile_component_installations{component=alpha,layer=network} %d", copies)
	if !slices.Contains(m.series(t), count) {
		t.Errorf("series %s is missing", count)
	}
	m.Inventory.Source("deployments.apps").Replace(nil)
	if rest := m.series(t); len(rest) != 1 {
		t.Errorf("series remain without installations: %v", rest)
	}
}
