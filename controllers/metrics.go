package controllers

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

var (
	evaluationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "platformprofile_evaluation_duration_seconds",
		Help:    "Time to evaluate one profile, without writing its status.",
		Buckets: prometheus.ExponentialBuckets(0.00001, 4, 9),
	})
	statusWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "platformprofile_status_writes_total",
		Help: "Statuses written, by kind.",
	}, []string{"kind"})

	conditionDesc = prometheus.NewDesc("platformprofile_status_condition",
		"Conditions of a profile: 1 for the status that a condition has, 0 for the others.", []string{"profile", "condition", "status"}, nil)
	requirementDesc = prometheus.NewDesc("platformprofile_requirement_verdict",
		"The verdict on each requirement of a profile; always 1.", []string{"profile", "layer", "requirement", "severity", "component", "verdict"}, nil)
	componentDesc = prometheus.NewDesc("platformprofile_component_info",
		"Installations found in the cluster; always 1.", []string{"component", "layer", "namespace", "version", "health"}, nil)
)

func init() {
	metrics.Registry.MustRegister(evaluationSeconds, statusWrites)
}

// collector shows the written statuses and the inventory as they are when they are asked for, so that a series goes with
// its object.
type collector struct{ reconciler *PlatformProfileReconciler }

// RegisterMetrics shows a reconciler's profiles and inventory as metrics.
func RegisterMetrics(r *PlatformProfileReconciler) error {
	return metrics.Registry.Register(&collector{r})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- conditionDesc
	descs <- requirementDesc
	descs <- componentDesc
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(series chan<- prometheus.Metric) {
	c.reconciler.mu.Lock()
	statuses := make(map[string]*v1alpha1.PlatformProfileStatus, len(c.reconciler.profiles))
	for name, kept := range c.reconciler.profiles {
		if kept.shown != nil {
			statuses[name] = kept.shown
		}
	}
	c.reconciler.mu.Unlock()
	for name, status := range statuses {
		for _, condition := range status.Conditions {
			for _, value := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
				is := 0.0
				if condition.Status == value {
					is = 1
				}
				series <- prometheus.MustNewConstMetric(conditionDesc, prometheus.GaugeValue, is, name, condition.Type, strings.ToLower(string(value)))
			}
		}
		for _, layer := range status.Layers {
			for _, r := range layer.Requirements {
				series <- prometheus.MustNewConstMetric(requirementDesc, prometheus.GaugeValue, 1, name, layer.Name, r.Name, string(r.Severity), r.Component, string(r.Verdict))
			}
		}
	}
	type identity struct{ component, namespace, version, health string }
	seen := map[identity]bool{}
	for _, found := range c.reconciler.Inventory.Snapshot().Found() {
		for _, i := range found.Installations {
			// Two copies that differ in nothing that a label shows are one series.
			key := identity{found.Definition.Name, i.Namespace, i.Version, string(i.Health)}
			if seen[key] {
				continue
			}
			seen[key] = true
			series <- prometheus.MustNewConstMetric(componentDesc, prometheus.GaugeValue, 1, found.Definition.Name, found.Definition.Layer, i.Namespace, i.Version, string(i.Health))
		}
	}
}
