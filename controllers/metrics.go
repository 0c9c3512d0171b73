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

// maxInstallationSeries bounds the series for the installations of one component. A runner in each of a thousand namespaces must not
// become a thousand series; platformprofile_component_installations counts all of them.
const maxInstallationSeries = 50

var (
	evaluationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "platformprofile_evaluation_duration_seconds",
		Help:    "Duration of the evaluation of one profile, without the write of its status.",
		Buckets: prometheus.ExponentialBuckets(0.00002, 2, 14), // 20 µs to 164 ms
	})
	ruleSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "platformprofile_rule_duration_seconds",
		Help:    "Duration of the evaluation of one rule, on the changed objects or on all objects.",
		Buckets: prometheus.ExponentialBuckets(0.00001, 2, 20), // 10 µs to 5 s
	}, []string{"objects"})
	statusWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "platformprofile_status_writes_total",
		Help: "Number of status writes, by kind.",
	}, []string{"kind"})

	buildDesc = prometheus.NewDesc("platformprofile_build_info",
		"Version of the running operator; always 1.", []string{"version", "goversion"}, nil)
	profileDesc = prometheus.NewDesc("platformprofile_profile_info",
		"Profiles in the cluster; always 1.", []string{"profile", "suspended", "undeclared"}, nil)
	generationDesc = prometheus.NewDesc("platformprofile_profile_generation",
		"Generation of a profile.", []string{"profile"}, nil)
	observedGenerationDesc = prometheus.NewDesc("platformprofile_profile_observed_generation",
		"Observed generation of the status of a profile; 0 before the first evaluation.", []string{"profile"}, nil)
	attestationDesc = prometheus.NewDesc("platformprofile_attestation_expiry_timestamp_seconds",
		"Time at which an attestation expires, in seconds since 1970; absent if it does not expire.",
		[]string{"profile", "layer", "requirement"}, nil)
	waiverDesc = prometheus.NewDesc("platformprofile_waiver_expiry_timestamp_seconds",
		"Time at which the waiver of a Required requirement expires, in seconds since 1970; absent if it is not waived.",
		[]string{"profile", "layer", "requirement", "waiver"}, nil)
	conditionDesc = prometheus.NewDesc("platformprofile_status_condition",
		"Conditions of a profile: 1 for the current status of a condition, 0 for the other statuses.",
		[]string{"profile", "condition", "status"}, nil)
	requirementDesc = prometheus.NewDesc("platformprofile_requirement_verdict",
		"Verdict on each requirement of a profile; always 1.",
		[]string{"profile", "layer", "requirement", "severity", "component", "verdict"}, nil)
	installationsDesc = prometheus.NewDesc("platformprofile_component_installations",
		"Number of installations of a component in the cluster.", []string{"component", "layer"}, nil)
	componentDesc = prometheus.NewDesc("platformprofile_component_info",
		"Installations in the cluster, at most 50 for each component, unhealthy ones first; always 1.",
		[]string{"component", "layer", "namespace", "version", "health"}, nil)
	endOfLifeDesc = prometheus.NewDesc("platformprofile_component_end_of_life_timestamp_seconds",
		"When upstream ends its support of an installed version, as far as the catalog has facts about it.",
		[]string{"component", "layer", "version"}, nil)
)

func init() {
	metrics.Registry.MustRegister(evaluationSeconds, ruleSeconds, statusWrites)
}

// collector collects the statuses and the inventory when metrics are scraped, so that a series disappears with its object.
type collector struct {
	reconciler *PlatformProfileReconciler
	version    string
}

// RegisterMetrics registers metrics of the profiles and the inventory of a reconciler, and of the operator version.
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
		buildDesc, profileDesc, generationDesc, observedGenerationDesc, attestationDesc, waiverDesc, conditionDesc, requirementDesc,
		installationsDesc, componentDesc, endOfLifeDesc,
	} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(series chan<- prometheus.Metric) {
	w := metricWriter(series)
	w.write(buildDesc, 1, c.version, runtime.Version())
	if isClosed(c.reconciler.Elected) { // replicas must not report contradictory statuses
		for name, state := range c.reconciler.states() {
			if current := state.writer.metrics.Load(); current != nil {
				w.writeProfile(name, state.compiled.Load(), current.observedGeneration)
				w.writeStatus(name, current.status)
			}
		}
	}
	for _, component := range c.reconciler.Inventory.Snapshot().InstalledComponents() {
		w.writeComponent(component)
	}
}

// metricWriter sends gauges to a collector's channel.
type metricWriter chan<- prometheus.Metric

func (w metricWriter) write(desc *prometheus.Desc, value float64, labels ...string) {
	w <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (w metricWriter) writeProfile(name string, profile *compiledProfile, observedGeneration int64) {
	w.write(profileDesc, 1, name, strconv.FormatBool(profile.spec.Suspend), string(profile.spec.Undeclared))
	w.write(generationDesc, float64(profile.generation), name)
	w.write(observedGenerationDesc, float64(observedGeneration), name)
	for _, layer := range profile.spec.Layers {
		for _, r := range layer.Requirements {
			if r.Attestation != nil && r.Attestation.Expires != nil {
				w.write(attestationDesc, float64(r.Attestation.Expires.Unix()), name, layer.Name, r.Name)
			}
		}
	}
}

func (w metricWriter) writeStatus(name string, status *v1alpha1.PlatformProfileStatus) {
	for _, condition := range status.Conditions {
		for _, value := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			current := 0.0
			if condition.Status == value {
				current = 1
			}
			w.write(conditionDesc, current, name, condition.Type, strings.ToLower(string(value)))
		}
	}
	for _, layer := range status.Layers {
		for _, r := range layer.Requirements {
			severity := string(cmp.Or(r.Severity, v1alpha1.SeverityRequired))
			w.write(requirementDesc, 1, name, layer.Name, r.Name, severity, r.Component, string(r.Verdict))
			// A Recommended requirement never makes the profile non-conformant.
			if r.Waived != nil && r.Waived.Until != nil && severity == string(v1alpha1.SeverityRequired) {
				w.write(waiverDesc, float64(r.Waived.Until.Unix()), name, layer.Name, r.Name, r.Waived.Waiver)
			}
		}
	}
}

func (w metricWriter) writeComponent(component *inventory.Component) {
	if len(component.Installations) == 0 {
		return
	}
	name, layer := component.Definition.Name, component.Definition.Layer
	w.write(installationsDesc, float64(len(component.Installations)), name, layer)
	series := make([]installationSeries, 0, len(component.Installations))
	for _, i := range component.Installations {
		series = append(series, installationSeries{i.Namespace, i.Version, i.Health})
	}
	slices.SortFunc(series, compareSeries)
	series = slices.Compact(series) // installations with the same labels are one series
	for _, i := range series[:min(maxInstallationSeries, len(series))] {
		w.write(componentDesc, 1, name, layer, i.namespace, i.version, string(i.health))
	}
	var versions []string
	for _, i := range component.Installations {
		versions = append(versions, i.Version)
	}
	slices.Sort(versions)
	for _, version := range slices.Compact(versions) {
		if release, _ := component.Definition.Releases.Find(version); release != nil && !release.EndsAt.IsZero() {
			w.write(endOfLifeDesc, float64(release.EndsAt.Unix()), name, layer, version)
		}
	}
}

// installationSeries contains the labels of an installation.
type installationSeries struct {
	namespace, version string
	health             v1alpha1.Health
}

// compareSeries sorts unhealthy installations first.
func compareSeries(a, b installationSeries) int {
	order := []v1alpha1.Health{
		v1alpha1.HealthDegraded, v1alpha1.HealthUnknown, v1alpha1.HealthProgressing, v1alpha1.HealthNotObserved, v1alpha1.HealthHealthy,
	}
	rank := func(h v1alpha1.Health) int { return slices.Index(order, h) }
	return cmp.Or(cmp.Compare(rank(a.health), rank(b.health)), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.version, b.version))
}
