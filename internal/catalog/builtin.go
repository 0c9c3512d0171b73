package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

//go:embed definitions/*.yaml
var definitions embed.FS

// Definitions returns the built-in definitions by name. They are the caller's to keep and not to change.
var Definitions = sync.OnceValues(func() (map[string]*v1alpha1.PlatformComponent, error) {
	files, err := fs.Glob(definitions, "definitions/*.yaml")
	if err != nil {
		return nil, err
	}
	found := make(map[string]*v1alpha1.PlatformComponent, len(files))
	for _, file := range files {
		data, err := definitions.ReadFile(file)
		if err != nil {
			return nil, err
		}
		definition := &v1alpha1.PlatformComponent{}
		if err := yaml.UnmarshalStrict(data, definition); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if name := strings.TrimSuffix(path.Base(file), ".yaml"); definition.Name != name {
			return nil, fmt.Errorf("%s: the file must be named after the component, which is %q", file, definition.Name)
		}
		found[definition.Name] = definition
	}
	return found, nil
})

// Builtin returns the compiled built-in definitions, sorted by name. Their rules are compiled when they are first needed; a test
// compiles them all.
var Builtin = sync.OnceValues(func() ([]*Component, error) {
	definitions, err := Definitions()
	if err != nil {
		return nil, err
	}
	set := map[string]bool{}
	for name := range definitions {
		set[name] = true
	}
	components := make([]*Component, 0, len(definitions))
	for _, name := range sortedSet(set) {
		component, errs := compile(definitions[name], false)
		if len(errs) > 0 {
			return nil, fmt.Errorf("built-in definition %s: %w", name, errs.ToAggregate())
		}
		component.Builtin = true
		components = append(components, component)
	}
	return components, nil
})
