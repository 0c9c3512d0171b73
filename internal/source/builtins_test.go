package source

import (
	"math/rand"
	"reflect"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// catalogReads is everything that a rule of the catalog reads.
func catalogReads(t *testing.T) rule.FieldsByResource {
	t.Helper()
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var instances []rule.Instance
	for _, component := range components {
		instances = append(instances, component.Instances()...)
		for _, check := range component.Checks {
			instances = append(instances, rule.NewInstance(check.Rule, nil, component.Name))
		}
	}
	return rule.CollectFields(instances)
}

// TestRulesSeeTheSameOfGoTypes holds what rules see of a built-in object that came as protobuf against what they see of its
// JSON, for every built-in resource that the catalog's rules read and objects of which every field is filled by chance.
func TestRulesSeeTheSameOfGoTypes(t *testing.T) {
	const objects = 50
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs), rand.NewSource(1), clientscheme.Codecs)
	compact := map[string]bool{}
	for resource, fields := range catalogReads(t) {
		version := resource.Version
		if version == "" {
			version = "v1"
		}
		known, ok := builtins()[schema.GroupVersionResource{Group: resource.Group, Version: version, Resource: resource.Resource}]
		if !ok || !fields.ExistIn(known.object) {
			continue
		}
		compact[resource.Resource] = true
		s := &ruleConsumer{fields: fields}
		for range objects {
			object := reflect.New(known.object).Interface().(runtime.Object)
			fill.Fill(object)
			kinds, _, err := clientscheme.Scheme.ObjectKinds(object)
			if err != nil {
				t.Fatal(err)
			}
			object.GetObjectKind().SetGroupVersionKind(kinds[0])
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			if err != nil {
				t.Fatal(err)
			}
			object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{}) // as it is in a list of protobuf
			want, err := s.prune(&unstructured.Unstructured{Object: content})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.prune(object)
			if err != nil || got != want {
				t.Fatalf("%s: rules would see\n%v\n%v, and not\n%v", resource, got, err, want)
			}
		}
	}
	for _, large := range []string{
		"nodes", "deployments", "daemonsets", "endpointslices", "services", "persistentvolumeclaims",
		"storageclasses",
	} {
		if !compact[large] {
			t.Errorf("%s travel as JSON, although Go types know all that rules read of them", large)
		}
	}
}

// TestFieldsThatGoTypesDoNotKnow checks that a rule can read fields that only a newer Kubernetes serves, from JSON.
func TestFieldsThatGoTypesDoNotKnow(t *testing.T) {
	for expression, want := range map[string]bool{
		"object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')": true,
		"object.metadata.labels['a'] == 'b' && object.kind == 'Node'":                 true,
		"object.status.?capacity['cpu'].orValue('') != ''":                            true,
		"object.status.?newlyServed.orValue('') == ''":                                false,
		"object.status.conditions.all(c, c.?newlyServed.orValue('') == '')":           false,
		"size(object.status.conditions) > 0 && object.status.conditions[0] != null":   false,
		"object.spec != null": false,
	} {
		r := rule.New(&v1alpha1.Rule{Resource: &v1alpha1.ResourceReference{Resource: "nodes"}, Expression: expression}, rule.ProfileScope, "")
		if errs := r.Compile(nil); len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
		if got := r.ReadFields("").ExistIn(reflect.TypeFor[corev1.Node]()); got != want {
			t.Errorf("%s: Go's Node has all of %s: %t, want %t", expression, r.ReadFields(""), got, want)
		}
	}
	if rule.AllFields().ExistIn(reflect.TypeFor[appsv1.Deployment]()) {
		t.Error("a rule that reads whole objects would not see what a newer Kubernetes serves")
	}
}
