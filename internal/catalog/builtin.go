package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

//go:embed definitions/*.yaml
var definitionFiles embed.FS

// Definitions returns the built-in definitions by name. They must not be modified.
var Definitions = sync.OnceValues(parseDefinitions)

func parseDefinitions() (map[string]*v1alpha1.PlatformComponent, error) {
	files, err := fs.Glob(definitionFiles, "definitions/*.yaml")
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*v1alpha1.PlatformComponent, len(files))
	for _, file := range files {
		data, err := definitionFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		definition := &v1alpha1.PlatformComponent{}
		if err := yaml.UnmarshalStrict(data, definition); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if name := strings.TrimSuffix(path.Base(file), ".yaml"); definition.Name != name {
			return nil, fmt.Errorf("%s: the file name must be that of the component, %q", file, definition.Name)
		}
		byName[definition.Name] = definition
	}
	return byName, nil
}

// Builtin returns the compiled built-in definitions, sorted by name. Their rules are compiled on first use; a test compiles all of them.
var Builtin = sync.OnceValues(func() ([]*Component, error) {
	definitions, err := parseDefinitions() // the operator does not need them beside the compiled ones
	if err != nil {
		return nil, err
	}
	components := make([]*Component, 0, len(definitions))
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		component, errs := compile(definitions[name], false)
		if len(errs) > 0 {
			return nil, fmt.Errorf("built-in definition %s: %w", name, errs.ToAggregate())
		}
		component.Builtin = true
		components = append(components, component)
	}
	return components, nil
})
