package schema

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/config/crd"
)

// Served is the schema that an API server has of a kind, held against the operator's own.
type Served struct {
	// Lacks are the fields that the operator knows and the API server does not, as "status.diagnosesOmitted", sorted: the
	// CRD is older than the operator. What lies below a field that is lacking is not listed.
	Lacks []string
	// Adds are the fields and values that the API server knows and the operator does not, sorted: the CRD is newer.
	Adds []string

	structural *structural.Structural
}

// Compare holds the CRD that an API server has against the operator's own. It fails where one of them does not have the
// API version that the operator works with.
func Compare(own, served *apiextensionsv1.CustomResourceDefinition) (*Served, error) {
	mine, err := schemaOf(own)
	if err != nil {
		return nil, err
	}
	theirs, err := schemaOf(served)
	if err != nil {
		return nil, err
	}
	s := &Served{}
	for _, part := range []string{"spec", "status"} {
		lacking(part, mine.Properties[part], theirs.Properties[part], &s.Lacks)
		lacking(part, theirs.Properties[part], mine.Properties[part], &s.Adds)
		values(part, theirs.Properties[part], mine.Properties[part], &s.Adds)
	}
	slices.Sort(s.Lacks)
	slices.Sort(s.Adds)
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(theirs, props, nil); err != nil {
		return nil, err
	}
	s.structural, err = structural.NewStructural(props)
	return s, err
}

func schemaOf(crd *apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.JSONSchemaProps, error) {
	for i := range crd.Spec.Versions {
		version := &crd.Spec.Versions[i]
		if version.Name == v1alpha1.GroupVersion.Version && version.Served && version.Schema != nil && version.Schema.OpenAPIV3Schema != nil {
			return version.Schema.OpenAPIV3Schema, nil
		}
	}
	return nil, fmt.Errorf("the CRD %s does not serve the version %s", crd.Name, v1alpha1.GroupVersion.Version)
}

// lacking lists the fields that one schema has and the other has not.
func lacking(path string, has, lacks apiextensionsv1.JSONSchemaProps, found *[]string) {
	walk(path, has, lacks, func(path string, there bool, _, _ apiextensionsv1.JSONSchemaProps) {
		if !there {
			*found = append(*found, path)
		}
	})
}

// values lists the enumerated values that one schema has and the other has not.
func values(path string, has, lacks apiextensionsv1.JSONSchemaProps, found *[]string) {
	walk(path, has, lacks, func(path string, there bool, has, lacks apiextensionsv1.JSONSchemaProps) {
		if !there || len(lacks.Enum) == 0 {
			return
		}
		for _, value := range has.Enum {
			if !slices.ContainsFunc(lacks.Enum, func(other apiextensionsv1.JSON) bool { return string(other.Raw) == string(value.Raw) }) {
				*found = append(*found, path+"="+string(value.Raw))
			}
		}
	})
}

// walk visits the fields of one schema beside those of another, down to where the other has none.
func walk(path string, a, b apiextensionsv1.JSONSchemaProps, visit func(path string, there bool, a, b apiextensionsv1.JSONSchemaProps)) {
	for name, field := range a.Properties {
		at := path + "." + name
		other, there := b.Properties[name]
		visit(at, there, field, other)
		if there {
			walk(at, field, other, visit)
		}
	}
	if a.Items != nil && a.Items.Schema != nil && b.Items != nil && b.Items.Schema != nil {
		visit(path, true, *a.Items.Schema, *b.Items.Schema)
		walk(path, *a.Items.Schema, *b.Items.Schema, visit)
	}
	if a.AdditionalProperties != nil && a.AdditionalProperties.Schema != nil && b.AdditionalProperties != nil && b.AdditionalProperties.Schema != nil {
		walk(path, *a.AdditionalProperties.Schema, *b.AdditionalProperties.Schema, visit)
	}
}

// Keep returns what an API server with this schema keeps of a status.
func Keep[T any](s *Served, status T) (T, error) {
	var kept T
	data, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return kept, err
	}
	object := map[string]any{}
	if err := json.Unmarshal(data, &object); err != nil {
		return kept, err
	}
	pruning.Prune(object, s.structural, true)
	if data, err = json.Marshal(object["status"]); err != nil {
		return kept, err
	}
	return kept, json.Unmarshal(data, &kept)
}

// Own is the CRD that the operator was built with, of the resource "platformprofiles" or "platformcomponents".
func Own(resource string) (*apiextensionsv1.CustomResourceDefinition, error) {
	data, err := crd.Bases.ReadFile("bases/" + v1alpha1.GroupVersion.Group + "_" + resource + ".yaml")
	if err != nil {
		return nil, err
	}
	own := &apiextensionsv1.CustomResourceDefinition{}
	return own, yaml.Unmarshal(data, own)
}
