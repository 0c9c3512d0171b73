// Package manifest reads PlatformProfiles and PlatformComponents from YAML as the API server would: with the schema's
// defaults, its bounds and its CEL rules, and with unknown fields refused. What it accepts the API server accepts too.
package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/config/crd"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Profiles reads the PlatformProfiles of a stream of YAML documents; other kinds are passed over. An error names the
// document and the fields. A stream without a profile is an error.
func Profiles(input io.Reader) ([]*v1alpha1.PlatformProfile, error) {
	var profiles []*v1alpha1.PlatformProfile
	reader := NewDocumentReader(input)
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		object := &unstructured.Unstructured{}
		if err := Decode(document, &object.Object); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if object.GroupVersionKind() != v1alpha1.GroupVersion.WithKind("PlatformProfile") {
			continue
		}
		if err := CheckDuplicateKeys(document); err != nil {
			return nil, fmt.Errorf("document %d, PlatformProfile %q: %w", n, object.GetName(), err)
		}
		if err := Validate(object); err != nil {
			return nil, fmt.Errorf("document %d, PlatformProfile %q: %w", n, object.GetName(), err)
		}
		profile := &v1alpha1.PlatformProfile{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, profile); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		profiles = append(profiles, profile)
	}
	if len(profiles) == 0 {
		return nil, fmt.Errorf("there is no PlatformProfile of %s in it", v1alpha1.GroupVersion)
	}
	return profiles, nil
}

// NewDocumentReader reads a stream document by document.
func NewDocumentReader(input io.Reader) *DocumentReader {
	return &DocumentReader{yamlutil.NewYAMLReader(withLineEnd(input))}
}

// DocumentReader reads the documents of a stream one by one.
type DocumentReader struct{ reader *yamlutil.YAMLReader }

// Read returns the next document, and io.EOF after the last.
func (d *DocumentReader) Read() ([]byte, error) {
	document, err := d.reader.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(text.Printable(err.Error()))
	}
	return document, err
}

// Decode reads one YAML or JSON document as the API server does: whole numbers stay whole.
func Decode(document []byte, into *map[string]any) error {
	if at := bytes.IndexByte(document, 0); at >= 0 {
		// To YAML it ends the stream: what comes after it would silently be missing.
		return fmt.Errorf("it is no UTF-8 text: byte %d is NUL: write it as UTF-8", at)
	}
	data, err := yaml.YAMLToJSON(document)
	if err != nil {
		return errors.New(text.Printable(err.Error())) // the YAML library quotes its input byte by byte
	}
	return json.Unmarshal(data, into)
}

// CheckDuplicateKeys refuses a document in which a field stands twice, as kubectl does: one of the two values would be lost.
func CheckDuplicateKeys(document []byte) error {
	if _, err := yaml.YAMLToJSONStrict(document); err != nil {
		return fmt.Errorf("%s: keep one of them", strings.Join(strings.Fields(err.Error()), " "))
	}
	return nil
}

// Validate validates an object of one of the two kinds and fills in its defaults, in place. Its status is not looked at.
func Validate(object *unstructured.Unstructured) error {
	all, err := schemas()
	if err != nil {
		return err
	}
	s, ok := all[object.GetKind()]
	if !ok {
		return fmt.Errorf("%s is not a kind of %s", object.GetKind(), v1alpha1.GroupVersion)
	}
	unstructured.RemoveNestedField(object.Object, "status")
	unknown := pruning.PruneWithOptions(object.DeepCopy().Object, s.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("unknown field %s: correct the spelling, or remove it", strings.Join(unknown, ", "))
	}
	defaulting.Default(object.Object, s.structural)
	errs := validation.ValidateCustomResource(nil, object.Object, s.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object.Object)...)
	if object.GetName() == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "name"), "give the object a name"))
	}
	if len(errs) == 0 {
		// The rules may rely on what the schema says, so they come after it.
		errs, _ = s.rules.Validate(context.Background(), nil, s.structural, object.Object, nil, celconfig.RuntimeCELCostBudget)
	}
	return errs.ToAggregate()
}

type kindSchema struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *schemacel.Validator
}

// schemas are the embedded schemas by kind.
var schemas = sync.OnceValues(func() (map[string]*kindSchema, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	all := map[string]*kindSchema{}
	for _, file := range files {
		data, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(bytes.TrimSpace(data), definition); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		props := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, props, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		structural, err := schema.NewStructural(props)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		validator, _, err := validation.NewSchemaValidator(props)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[definition.Spec.Names.Kind] = &kindSchema{structural, validator, schemacel.NewValidator(structural, true, celconfig.PerCallLimit)}
	}
	return all, nil
})
