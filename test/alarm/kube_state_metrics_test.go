package alarm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// customResourceState is kube-state-metrics' configuration, as far as this project uses it. Unknown fields are mistakes.
type customResourceState struct {
	Kind string `json:"kind"`
	Spec struct {
		Resources []struct {
			GroupVersionKind struct {
				Group   string `json:"group"`
				Version string `json:"version"`
				Kind    string `json:"kind"`
			} `json:"groupVersionKind"`
			MetricNamePrefix string              `json:"metricNamePrefix"`
			LabelsFromPath   map[string][]string `json:"labelsFromPath"`
			Metrics          []family            `json:"metrics"`
		} `json:"resources"`
	} `json:"spec"`
}

type family struct {
	Name string `json:"name"`
	Help string `json:"help"`
	Each struct {
		Type  string `json:"type"`
		Info  *each  `json:"info"`
		Gauge *each  `json:"gauge"`
	} `json:"each"`
}

type each struct {
	Path           []string            `json:"path"`
	LabelsFromPath map[string][]string `json:"labelsFromPath"`
}

// TestKubeStateMetrics follows every path into a profile with a status, and shows which series come out of it.
func TestKubeStateMetrics(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "prometheus", "kube-state-metrics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config customResourceState
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		t.Fatal(err)
	}
	if config.Kind != "CustomResourceStateMetrics" || len(config.Spec.Resources) != 1 {
		t.Fatalf("want one resource in a CustomResourceStateMetrics: %+v", config)
	}
	resource, profile := config.Spec.Resources[0], evaluated(t)
	if gvk := resource.GroupVersionKind; gvk.Group != v1alpha1.GroupVersion.Group || gvk.Version != v1alpha1.GroupVersion.Version || gvk.Kind != "PlatformProfile" {
		t.Errorf("it is about %+v", gvk)
	}
	var shown []string
	for _, f := range resource.Metrics {
		series := f.series(profile, resource.LabelsFromPath)
		if len(series) == 0 {
			t.Errorf("%s: nothing comes out of it", f.Name)
		}
		for _, s := range series {
			shown = append(shown, resource.MetricNamePrefix+"_"+s)
		}
	}
	for _, wanted := range []string{
		`kube_platformprofile_status_condition{condition="Conformant",profile="test",reason="RequirementsFailing",status="False"} 1`,
		`kube_platformprofile_status_condition{condition="NetworkConformant",profile="test",reason="RequirementsFailing",status="False"} 1`,
		`kube_platformprofile_status_layer{layer="network",profile="test",verdict="Missing"} 1`,
		`kube_platformprofile_status_required{profile="test"} 2`,
		`kube_platformprofile_status_satisfied{profile="test"} 1`,
		`kube_platformprofile_status_failed{profile="test"} 1`,
		`kube_platformprofile_status_unknown{profile="test"} 0`,
		`kube_platformprofile_metadata_generation{profile="test"} 3`,
		`kube_platformprofile_status_observed_generation{profile="test"} 3`,
	} {
		if !slices.Contains(shown, wanted) {
			t.Errorf("%s is not among\n%s", wanted, strings.Join(shown, "\n"))
		}
	}
}

// evaluated is a profile with the status that an evaluation gives it.
func evaluated(t *testing.T) any {
	t.Helper()
	profile, err := cluster.Judged("[{name: network, requirements: [{name: sensor, anyOf: [{component: falco}]}]}, {name: ci, requirements: [{name: runners, attested: {by: us, reason: outside}}]}]")
	if err != nil {
		t.Fatal(err)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(profile)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// series are what kube-state-metrics makes of an object: one for each element of the list that the path leads to.
func (f *family) series(object any, base map[string][]string) []string {
	each := f.Each.Info
	if f.Each.Type == "Gauge" {
		each = f.Each.Gauge
	}
	if each == nil {
		return nil
	}
	at := follow(object, each.Path)
	elements, isList := at.([]any)
	if !isList {
		elements = []any{at}
	}
	var series []string
	for _, element := range elements {
		if element == nil {
			continue
		}
		value := element
		if f.Each.Type == "Info" {
			value = 1
		}
		labels := map[string]any{}
		for label, path := range base {
			labels[label] = follow(object, path)
		}
		for label, path := range each.LabelsFromPath {
			labels[label] = follow(element, path)
		}
		var text []string
		for label, value := range labels {
			if value != nil {
				text = append(text, fmt.Sprintf("%s=%q", label, value))
			}
		}
		slices.Sort(text)
		series = append(series, fmt.Sprintf("%s{%s} %v", f.Name, strings.Join(text, ","), value))
	}
	return series
}

func follow(object any, path []string) any {
	for _, part := range path {
		fields, ok := object.(map[string]any)
		if !ok {
			return nil
		}
		object = fields[part]
	}
	return object
}
