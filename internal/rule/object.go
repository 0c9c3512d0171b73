package rule

import (
	"encoding/json"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Object is what is kept of an object of a resource.
type Object struct {
	// Key is its namespace, a slash and its name; its name alone where it is cluster-scoped. KeyOf makes one.
	Key              string
	APIVersion, Kind string

	// content is JSON of the fields that rules read: a fraction of the size of the maps that it is decoded to.
	content string
}

// Prune returns what is kept of an unstructured object: these fields and no others.
func (f *Fields) Prune(object map[string]any) (Object, error) {
	metadata, _ := object["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	kept := Object{Key: ObjectKey(namespace, name)}
	kept.APIVersion, _ = object["apiVersion"].(string)
	kept.Kind, _ = object["kind"].(string)
	content, err := json.Marshal(f.prune(object))
	if err != nil {
		return Object{}, fmt.Errorf("%s %s: %w", kept.Kind, kept.Key, err)
	}
	kept.content = string(content)
	return kept, nil
}

// ObjectKey is the key of an object.
func ObjectKey(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// decode returns the fields as an unstructured object.
func (o Object) decode() (any, error) {
	var content any
	err := utiljson.Unmarshal([]byte(o.content), &content)
	return content, err
}

// prune returns of an unstructured value these fields and no others. A list whose elements nobody reads is empty in it, and so is
// a map of which it only matters whether it is there. A field that is null is left out, as some controllers write those: a rule
// that reads it with optional access is to find it absent.
func (f *Fields) prune(value any) any {
	switch v := value.(type) {
	case map[string]any:
		pruned := map[string]any{}
		for name, member := range v {
			if below := f.field(name); below != nil && member != nil {
				pruned[name] = below.prune(member)
			}
		}
		if f.field(caBundleExpires) != nil {
			if expires, ok := deriveField(v); ok {
				pruned[caBundleExpires] = expires
			}
		}
		return pruned
	case []any:
		elements := f.field(each)
		if elements == nil {
			return []any{}
		}
		pruned := make([]any, len(v))
		for i, element := range v {
			pruned[i] = elements.prune(element)
		}
		return pruned
	}
	return value
}
