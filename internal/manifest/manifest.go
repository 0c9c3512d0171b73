// Package manifest decodes and validates PlatformProfiles, PlatformComponents and PlatformWaivers like the API server: it sets the defaults
// of the schema, rejects unknown fields, and runs the validations of the schema with its CEL rules. The API server accepts what this
// package accepts.
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

// Profiles returns the PlatformProfiles of a stream of YAML documents and ignores other kinds. It returns an error if there are none. An
// error names the document and the fields.
func Profiles(input io.Reader) ([]*v1alpha1.PlatformProfile, error) {
	profiles, err := decodeKind[v1alpha1.PlatformProfile](input, "PlatformProfile")
	if err == nil && len(profiles) == 0 {
		err = fmt.Errorf("no PlatformProfile of %s found", v1alpha1.GroupVersion)
	}
	return profiles, err
}

// Waivers returns the PlatformWaivers of a stream of YAML documents and ignores other kinds. An error names the document and the fields.
func Waivers(input io.Reader) ([]*v1alpha1.PlatformWaiver, error) {
	return decodeKind[v1alpha1.PlatformWaiver](input, "PlatformWaiver")
}

// decodeKind returns the objects of one kind of this project, also those in Lists.
func decodeKind[T any](input io.Reader, kind string) ([]*T, error) {
	var objects []*T
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
		add := func(item *unstructured.Unstructured) error {
			if item.GroupVersionKind() != v1alpha1.GroupVersion.WithKind(kind) {
				return nil
			}
			err := CheckDuplicateKeys(document)
			if err == nil {
				err = Validate(item)
			}
			decoded := new(T)
			if err == nil {
				err = runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, decoded)
			}
			if err != nil {
				return fmt.Errorf("document %d, %s %q: %w", n, kind, item.GetName(), err)
			}
			objects = append(objects, decoded)
			return nil
		}
		if object.IsList() {
			err = object.EachListItem(func(item runtime.Object) error {
				one, _ := item.(*unstructured.Unstructured)
				return add(one)
			})
		} else {
			err = add(object)
		}
		if err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// NewDocumentReader returns a reader of the documents of a stream.
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

// Decode decodes a YAML or JSON document like the API server: integers stay integers.
func Decode(document []byte, into any) error {
	if at := bytes.IndexByte(document, 0); at >= 0 {
		// The YAML library would silently ignore the rest of the stream.
		return fmt.Errorf("not UTF-8 text: byte %d is NUL: save the file as UTF-8", at)
	}
	data, err := yaml.YAMLToJSON(document)
	if err != nil {
		return errors.New(text.Printable(err.Error())) // the YAML library quotes any bytes
	}
	return json.Unmarshal(data, into)
}

// CheckDuplicateKeys returns an error if a field occurs twice, like kubectl: one of its values would be lost.
func CheckDuplicateKeys(document []byte) error {
	if _, err := yaml.YAMLToJSONStrict(document); err != nil {
		return fmt.Errorf("%s: keep one of them", strings.Join(strings.Fields(err.Error()), " "))
	}
	return nil
}

// Validate sets the defaults of an object of a kind of this project, in place, and validates it. It removes the status.
func Validate(object *unstructured.Unstructured) error {
	schemas, err := schemasByKind()
	if err != nil {
		return err
	}
	s, ok := schemas[object.GetKind()]
	if !ok {
		return fmt.Errorf("%s is not a kind of %s", object.GetKind(), v1alpha1.GroupVersion)
	}
	unstructured.RemoveNestedField(object.Object, "status")
	unknown := pruning.PruneWithOptions(object.DeepCopy().Object, s.structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
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
		// CEL rules require an object that is valid by the schema.
		errs, _ = s.rules.Validate(context.Background(), nil, s.structural, object.Object, nil, celconfig.RuntimeCELCostBudget)
	}
	return errs.ToAggregate()
}

type kindSchema struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *schemacel.Validator
}

// schemasByKind returns the embedded schemas by kind.
var schemasByKind = sync.OnceValues(func() (map[string]*kindSchema, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	schemas := map[string]*kindSchema{}
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
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema,
			props, nil); err != nil {
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
		schemas[definition.Spec.Names.Kind] = &kindSchema{structural, validator, schemacel.NewValidator(structural, true, celconfig.PerCallLimit)}
	}
	return schemas, nil
})
