package controllers

import (
	"cmp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// maxInstallationSeries bounds the installations of one component that are shown one by one: a runner in each of a
// thousand namespaces must not become a thousand series. All of them are counted.
const maxInstallationSeries = 50

var (
	evaluationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "platformprofile_evaluation_duration_seconds",
		Help:    "Time to evaluate one profile, without writing its status.",
		Buckets: prometheus.ExponentialBuckets(0.00002, 2, 14), // 20 µs to 164 ms
	})
	ruleSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "platformprofile_rule_duration_seconds",
		Help:    "Time to evaluate one rule, on the objects that changed or on all of them.",
		Buckets: prometheus.ExponentialBuckets(0.00001, 2, 20), // 10 µs to 5 s
	}, []string{"objects"})
	statusWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "platformprofile_status_writes_total",
		Help: "Statuses written, by kind.",
	}, []string{"kind"})

	buildDesc = prometheus.NewDesc("platformprofile_build_info",
		"The operator that runs; always 1.", []string{"version", "goversion"}, nil)
	profileDesc = prometheus.NewDesc("platformprofile_profile_info",
		"The profiles that the operator knows; always 1.", []string{"profile", "suspended", "undeclared"}, nil)
	generationDesc = prometheus.NewDesc("platformprofile_profile_generation",
		"The generation of a profile's spec.", []string{"profile"}, nil)
	observedGenerationDesc = prometheus.NewDesc("platformprofile_profile_observed_generation",
		"The generation that a profile's status is about; 0 before the first evaluation.", []string{"profile"}, nil)
	attestationDesc = prometheus.NewDesc("platformprofile_attestation_expiry_timestamp_seconds",
		"When an attestation must be given again, in seconds since 1970; none for one that never ends.", []string{"profile", "layer", "requirement"}, nil)
	conditionDesc = prometheus.NewDesc("platformprofile_status_condition",
		"Conditions of a profile: 1 for the status that a condition has, 0 for the others.", []string{"profile", "condition", "status"}, nil)
	requirementDesc = prometheus.NewDesc("platformprofile_requirement_verdict",
		"The verdict on each requirement of a profile; always 1.", []string{"profile", "layer", "requirement", "severity", "component", "verdict"}, nil)
	installationsDesc = prometheus.NewDesc("platformprofile_component_installations",
		"How many installations of a component were found in the cluster.", []string{"component", "layer"}, nil)
	componentDesc = prometheus.NewDesc("platformprofile_component_info",
		"Installations found in the cluster, at most 50 of a component, the unhealthy ones first; always 1.", []string{"component", "layer", "namespace", "version", "health"}, nil)
)

func init() {
	metrics.Registry.MustRegister(evaluationSeconds, ruleSeconds, statusWrites)
}

// collector shows the written statuses and the inventory as they are when they are asked for, so that a series goes with
// its object.
type collector struct {
	reconciler *PlatformProfileReconciler
	version    string
}

// RegisterMetrics shows a reconciler's profiles and inventory as metrics, and the operator's version.
func RegisterMetrics(r *PlatformProfileReconciler, version string) error {
	r.Inventory.Rules.Observe = func(all bool, took time.Duration) {
		objects := "changed"
		if all {
			objects = "all"
		}
		ruleSeconds.WithLabelValues(objects).Observe(took.Seconds())
	}
	return metrics.Registry.Register(&collector{r, version})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		buildDesc, profileDesc, generationDesc, observedGenerationDesc, attestationDesc, conditionDesc, requirementDesc, installationsDesc, componentDesc,
	} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(series chan<- prometheus.Metric) {
	s := metricWriter(series)
	s.write(buildDesc, 1, c.version, runtime.Version())
	if isClosed(c.reconciler.Elected) { // so that no two replicas contradict each other
		for name, state := range c.reconciler.states() {
			if known := state.writer.metrics.Load(); known != nil {
				s.writeProfile(name, state.compiled.Load(), known.observedGeneration)
				s.writeStatus(name, known.status)
			}
		}
	}
	for _, found := range c.reconciler.Inventory.Snapshot().InstalledComponents() {
		s.writeComponent(found)
	}
}

// metricWriter sends series.
type metricWriter chan<- prometheus.Metric

func (s metricWriter) write(desc *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (s metricWriter) writeProfile(name string, profile *compiledProfile, observedGeneration int64) {
	s.write(profileDesc, 1, name, strconv.FormatBool(profile.spec.Suspend), string(profile.spec.Undeclared))
	s.write(generationDesc, float64(profile.generation), name)
	s.write(observedGenerationDesc, float64(observedGeneration), name)
	for _, layer := range profile.spec.Layers {
		for _, r := range layer.Requirements {
			if r.Attestation != nil && r.Attestation.Expires != nil {
				s.write(attestationDesc, float64(r.Attestation.Expires.Unix()), name, layer.Name, r.Name)
			}
		}
	}
}

func (s metricWriter) writeStatus(name string, status *v1alpha1.PlatformProfileStatus) {
	for _, condition := range status.Conditions {
		for _, value := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			is := 0.0
			if condition.Status == value {
				is = 1
			}
			s.write(conditionDesc, is, name, condition.Type, strings.ToLower(string(value)))
		}
	}
	for _, layer := range status.Layers {
		for _, r := range layer.Requirements {
			s.write(requirementDesc, 1, name, layer.Name, r.Name, string(cmp.Or(r.Severity, v1alpha1.SeverityRequired)), r.Component, string(r.Verdict))
		}
	}
}

func (s metricWriter) writeComponent(found *inventory.Component) {
	if len(found.Installations) == 0 {
		return
	}
	name, layer := found.Definition.Name, found.Definition.Layer
	s.write(installationsDesc, float64(len(found.Installations)), name, layer)
	shown := make([]installationSeries, 0, len(found.Installations))
	for _, i := range found.Installations {
		shown = append(shown, installationSeries{i.Namespace, i.Version, i.Health})
	}
	slices.SortFunc(shown, compareSeries)
	// Two copies that differ in nothing that a label shows are one series.
	shown = slices.Compact(shown)
	for _, i := range shown[:min(maxInstallationSeries, len(shown))] {
		s.write(componentDesc, 1, name, layer, i.namespace, i.version, string(i.health))
	}
}

// installationSeries is what the labels show of an installation.
type installationSeries struct {
	namespace, version string
	health             v1alpha1.Health
}

// compareSeries puts what is not healthy first.
func compareSeries(a, b installationSeries) int {
	rank := func(h v1alpha1.Health) int {
		return slices.Index([]v1alpha1.Health{v1alpha1.HealthDegraded, v1alpha1.HealthUnknown, v1alpha1.HealthProgressing, v1alpha1.HealthNotObserved, v1alpha1.HealthHealthy}, h)
	}
	return cmp.Or(cmp.Compare(rank(a.health), rank(b.health)), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.version, b.version))
}
