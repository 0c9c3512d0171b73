package rule

import (
	"maps"
	"slices"
	"strings"
)

// anyElement is used instead of a field name for all elements of a list, and for all values of a map.
const anyElement = "*"

// Fields is the set of fields of an object that rules read, as a tree by field name. Only these fields are cached. The zero value is empty.
type Fields struct {
	isWhole  bool // all fields below are read
	children map[string]*Fields
	// isShared is true if only rules on several resources read the field: objects of this resource may not have it.
	isShared bool
}

// AllFields returns the set of all fields.
func AllFields() *Fields { return &Fields{isWhole: true} }

// addPath adds a path, and returns the tree below it.
func (f *Fields) addPath(path []string) *Fields {
	for _, name := range path {
		next := f.children[name]
		if next == nil {
			next = &Fields{}
			if f.children == nil {
				f.children = map[string]*Fields{}
			}
			f.children[name] = next
		}
		f = next
	}
	return f
}

// markShared marks all fields as shared.
func (f *Fields) markShared() {
	f.isShared = true
	for _, child := range f.children {
		child.markShared()
	}
}

// Add adds the fields of another set.
func (f *Fields) Add(other *Fields) {
	if other == nil {
		return
	}
	f.isShared = f.isShared && other.isShared
	if f.isWhole {
		return
	}
	if other.isWhole {
		f.isWhole, f.children = true, nil
		return
	}
	for name, child := range other.children {
		if f.children[name] == nil {
			f.addPath([]string{name}).isShared = child.isShared
		}
		f.children[name].Add(child)
	}
}

// Includes reports whether the set has all fields of another set.
func (f *Fields) Includes(other *Fields) bool {
	if f.isWhole || other == nil {
		return true
	}
	if other.isWhole {
		return false
	}
	for name, otherChild := range other.children {
		if child := f.children[name]; child == nil || !child.Includes(otherChild) {
			return false
		}
	}
	return true
}

// child returns the fields below a field; nil if the field is not read.
func (f *Fields) child(name string) *Fields {
	if f.isWhole {
		return f
	}
	named, wildcard := f.children[name], f.children[anyElement]
	switch {
	case named == nil || name == anyElement:
		return wildcard
	case wildcard == nil:
		return named
	}
	merged := &Fields{}
	merged.Add(wildcard)
	merged.Add(named)
	return merged
}

// String returns the sorted paths.
func (f *Fields) String() string {
	var paths []string
	f.appendPaths("", &paths)
	slices.Sort(paths)
	return strings.Join(paths, " ")
}

func (f *Fields) appendPaths(path string, paths *[]string) {
	switch {
	case f.isWhole:
		*paths = append(*paths, path+".**")
	case len(f.children) == 0:
		*paths = append(*paths, path)
	}
	for _, name := range slices.Sorted(maps.Keys(f.children)) {
		childPath := name
		if path != "" {
			childPath = path + "." + name
		}
		f.children[name].appendPaths(childPath, paths)
	}
}

// FieldsByResource are the fields that rules read of the objects of each resource.
type FieldsByResource map[Resource]*Fields

// CollectFields returns the fields that instances read. It compiles their rules.
func CollectFields(instances []Instance) FieldsByResource {
	byResource := FieldsByResource{}
	add := func(resource Resource, fields *Fields) {
		if byResource[resource] == nil {
			byResource[resource] = &Fields{}
		}
		byResource[resource].Add(fields)
	}
	for _, instance := range instances {
		for _, resource := range instance.Resources {
			add(resource, instance.ReadFields(""))
		}
		for _, related := range instance.Related {
			add(related.Resource, instance.ReadFields(related.Name))
		}
	}
	return byResource
}
