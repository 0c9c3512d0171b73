package schema

import (
	"encoding/json"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// changed is the operator's own CRD of profiles, changed: root is the schema of an object.
func changed(t *testing.T, change func(root *apiextensionsv1.JSONSchemaProps)) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd, err := Own("platformprofiles")
	if err != nil {
		t.Fatal(err)
	}
	change(crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
	return crd
}

func compare(t *testing.T, change func(root *apiextensionsv1.JSONSchemaProps)) *Served {
	t.Helper()
	own := changed(t, func(*apiextensionsv1.JSONSchemaProps) {})
	served, err := Compare(own, changed(t, change))
	if err != nil {
		t.Fatal(err)
	}
	return served
}

func TestCompare(t *testing.T) {
	requirements := func(root *apiextensionsv1.JSONSchemaProps, part string) *apiextensionsv1.JSONSchemaProps {
		return root.Properties[part].Properties["layers"].Items.Schema.Properties["requirements"].Items.Schema
	}
	for name, test := range map[string]struct {
		change      func(root *apiextensionsv1.JSONSchemaProps)
		lacks, adds []string
	}{
		"the same": {func(*apiextensionsv1.JSONSchemaProps) {}, nil, nil},
		"older": {func(root *apiextensionsv1.JSONSchemaProps) {
			delete(requirements(root, "status").Properties, "failingSince")
			delete(root.Properties["status"].Properties, "diagnosesOmitted")
		}, []string{"status.diagnosesOmitted", "status.layers.requirements.failingSince"}, nil},
		"newer": {func(root *apiextensionsv1.JSONSchemaProps) {
			r := requirements(root, "spec")
			r.Properties["minNodes"] = apiextensionsv1.JSONSchemaProps{Type: "integer"}
			severity := r.Properties["severity"]
			severity.Enum = append(severity.Enum, apiextensionsv1.JSON{Raw: []byte(`"Advisory"`)})
			r.Properties["severity"] = severity
		}, nil, []string{"spec.layers.requirements.minNodes", `spec.layers.requirements.severity="Advisory"`}},
	} {
		t.Run(name, func(t *testing.T) {
			served := compare(t, test.change)
			if !slices.Equal(served.Lacks, test.lacks) || !slices.Equal(served.Adds, test.adds) {
				t.Errorf("it lacks %v and adds %v", served.Lacks, served.Adds)
			}
		})
	}
	if _, err := Compare(changed(t, func(*apiextensionsv1.JSONSchemaProps) {}), &apiextensionsv1.CustomResourceDefinition{}); err == nil {
		t.Error("a CRD without the API version is taken")
	}
}

func TestKeep(t *testing.T) {
	served := compare(t, func(root *apiextensionsv1.JSONSchemaProps) {
		delete(root.Properties["status"].Properties, "diagnosesOmitted")
	})
	kept, err := Keep(served, v1alpha1.PlatformProfileStatus{Score: "1/1", ObservedGeneration: 1 << 40, DiagnosesOmitted: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.PlatformProfileStatus{Score: "1/1", ObservedGeneration: 1 << 40}
	got, _ := json.Marshal(kept)
	if wanted, _ := json.Marshal(want); string(got) != string(wanted) {
		t.Errorf("kept is %s, want %s", got, wanted)
	}
}
