package openreports

import (
	reports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// API is an API that a report can be written to.
type API struct {
	schema.GroupVersionResource
	// Kind is the kind of the report.
	Kind string
	// lacksSource is true if only the results have the source, and not the report.
	lacksSource bool
}

// APIs are the APIs that a report can be written to, the preferred one first. The second is the predecessor of the first.
var APIs = []API{
	{GroupVersionResource: schema.GroupVersionResource{Group: reports.GroupName, Version: "v1alpha1", Resource: "clusterreports"},
		Kind: "ClusterReport"},
	{GroupVersionResource: schema.GroupVersionResource{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "clusterpolicyreports"},
		Kind: "ClusterPolicyReport", lacksSource: true},
}

// Object returns a report as an object of the API.
func (a API) Object(report *reports.ClusterReport) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(report)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(a.GroupVersion().WithKind(a.Kind))
	if a.lacksSource {
		delete(content, "source")
	}
	return object, nil
}

// IsUpToDate reports whether a stored report has the content, the owner and the labels of the wanted one.
func IsUpToDate(stored, wanted *unstructured.Unstructured) bool {
	for _, field := range []string{"source", "scope", "summary", "results"} {
		if !equality.Semantic.DeepEqual(stored.Object[field], wanted.Object[field]) {
			return false
		}
	}
	labels := stored.GetLabels()
	for key, value := range wanted.GetLabels() {
		if labels[key] != value {
			return false
		}
	}
	return equality.Semantic.DeepEqual(stored.GetOwnerReferences(), wanted.GetOwnerReferences())
}
