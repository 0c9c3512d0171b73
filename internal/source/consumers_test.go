package source

import (
	"maps"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// A CSINode without drivers is served with a field that is there and null. Rules must not stumble over it.
func TestRulesSeeNoNulls(t *testing.T) {
	s := &ruleConsumer{fields: rule.AllFields()}
	got, err := s.prune(&unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "node-1", "creationTimestamp": nil},
		"spec":     map[string]any{"drivers": nil, "zones": []any{map[string]any{"a": nil, "b": "c"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := rule.AllFields().Prune(map[string]any{
		"metadata": map[string]any{"name": "node-1"},
		"spec":     map[string]any{"zones": []any{map[string]any{"b": "c"}}},
	})
	if err != nil || got.Key != "node-1" || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// One source serves facts and rules alike, be its objects decoded into Go types or not.
func TestConsumersKeepTheSameOfTypedAndUntypedObjects(t *testing.T) {
	replicas := int32(2)
	typed := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Labels: map[string]string{"app": "web"}},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "web", Image: "example/web:1.2.3"}},
		}}},
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		t.Fatal(err)
	}
	c := &consumers{facts: &factConsumer{}, rules: []*ruleConsumer{{fields: rule.AllFields()}}}
	fromTyped, err := c.strip(typed.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	fromUntyped, err := c.strip(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	if !fromTyped.fact.Equal(fromUntyped.fact) || fromTyped.objects[0] != fromUntyped.objects[0] || fromTyped.objects[0].Key != "shop/web" ||
		fromTyped.objects[0].Kind != "Deployment" {
		t.Errorf("from the Go type %+v, and from the unstructured object %+v", fromTyped, fromUntyped)
	}
}

// A resource that rules name with its version and without is read once, for both, and beside the facts.
func TestOneSourceForEachResource(t *testing.T) {
	reads := func(resource v1alpha1.ResourceReference) rule.Instance {
		spec := &v1alpha1.Rule{Resource: &resource, Expression: "object.metadata.name != ''"}
		return rule.NewInstance(rule.New(spec, rule.ProfileScope, ""), nil, "")
	}
	i := inventory.New(catalog.New(), time.Now)
	sources := rulesBySource([]rule.Instance{
		reads(v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"}),
		reads(v1alpha1.ResourceReference{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}),
		reads(v1alpha1.ResourceReference{Group: "storage.k8s.io", Version: "v1beta1", Resource: "storageclasses"}),
		reads(v1alpha1.ResourceReference{Group: "example.com", Resource: "widgets"}),
	}, i.Rules)
	names := slices.Sorted(maps.Keys(sources))
	want := []string{"storageclasses.storage.k8s.io", "storageclasses.storage.k8s.io/v1beta1", "widgets.example.com"}
	if !slices.Equal(names, want) {
		t.Errorf("the sources are %q, want %q", names, want)
	}
	if got := len(sources["storageclasses.storage.k8s.io"].rules); got != 2 {
		t.Errorf("the source of the facts serves %d consumers of rules, want 2", got)
	}
}
