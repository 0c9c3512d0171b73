package observe

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

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// catalogReads is everything that a rule of the catalog reads.
func catalogReads(t *testing.T) catalog.Reads {
	t.Helper()
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(components...)
	reads := c.HealthReads()
	for _, name := range c.Names() {
		reads.Add(c.Component(name).CheckReads())
	}
	return reads
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
		if !ok || !fields.In(known.object) {
			continue
		}
		compact[resource.Resource] = true
		s := &objectSink{fields: fields}
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
			wantKey, want, err := s.contentOf(&unstructured.Unstructured{Object: content})
			if err != nil {
				t.Fatal(err)
			}
			gotKey, got, err := s.contentOf(object)
			if err != nil || gotKey != wantKey || !rule.Same(got, want) {
				t.Fatalf("%s: rules would see\n%v\n%v, and not\n%v", resource, got, err, want)
			}
		}
	}
	for _, large := range []string{"nodes", "deployments", "daemonsets", "endpointslices", "services", "persistentvolumeclaims", "storageclasses"} {
		if !compact[large] {
			t.Errorf("%s travel as JSON, although Go types know all that rules read of them", large)
		}
	}
}

// TestFieldsThatGoTypesDoNotKnow shows that a rule which reads what a newer Kubernetes may serve gets it: as JSON.
func TestFieldsThatGoTypesDoNotKnow(t *testing.T) {
	for expression, want := range map[string]bool{
		"objects.all(o, o.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True'))": true,
		"objects.all(o, o.metadata.labels['a'] == 'b' && o.kind == 'Node')":                      true,
		"objects.all(o, o.status.?capacity['cpu'].orValue('') != '')":                            true,
		"objects.all(o, o.status.?newlyServed.orValue('') == '')":                                false,
		"objects.all(o, o.status.conditions.all(c, c.?newlyServed.orValue('') == ''))":           false,
		"objects.all(o, size(o.status.conditions) > 0 && o.status.conditions[0] != null)":        false,
		"objects.all(o, o.spec != null)":                                                         false,
	} {
		program, err := rule.Compile(rule.Check, expression)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		if got := program.Reads("").In(reflect.TypeFor[corev1.Node]()); got != want {
			t.Errorf("%s: Go's Node has all of %s: %t, want %t", expression, program.Reads(""), got, want)
		}
	}
	if rule.Everything().In(reflect.TypeFor[appsv1.Deployment]()) {
		t.Error("a rule that reads whole objects would not see what a newer Kubernetes serves")
	}
}
