// Package catalogtest builds catalogs for tests.
package catalogtest

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
)

// New returns a catalog with the definitions in YAML documents. The test fails at one that is not valid.
func New(t testing.TB, definitions string) *catalog.Catalog {
	t.Helper()
	var components []*catalog.Component
	for text := range strings.SplitSeq(definitions, "\n---\n") {
		definition := &v1alpha1.PlatformComponent{}
		if err := yaml.UnmarshalStrict([]byte(text), definition); err != nil {
			t.Fatal(err)
		}
		component, errs := catalog.Compile(definition)
		if len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
		components = append(components, component)
	}
	return catalog.New(components...)
}
