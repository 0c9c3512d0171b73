package rule

import (
	"encoding/json"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Object holds the fields of an object that rules read.
type Object struct {
	// Key is the ObjectKey.
	Key              string
	APIVersion, Kind string

	// content is JSON, a fraction of the size of the decoded maps.
	content string
}

// Prune returns an unstructured object with these fields only.
func (f *Fields) Prune(object map[string]any) (Object, error) {
	metadata, _ := object["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	pruned := Object{Key: ObjectKey(namespace, name)}
	pruned.APIVersion, _ = object["apiVersion"].(string)
	pruned.Kind, _ = object["kind"].(string)
	content, err := json.Marshal(f.prune(object))
	if err != nil {
		return Object{}, fmt.Errorf("%s %s: %w", pruned.Kind, pruned.Key, err)
	}
	pruned.content = string(content)
	return pruned, nil
}

// ObjectKey returns NAMESPACE/NAME, or NAME for a cluster-scoped object.
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

// prune returns an unstructured value with these fields only. A list is empty in the result if no rule reads its elements, and so is a map
// if rules only test for its presence. A null field is removed, because some controllers write null for absent: optional access must
// behave as if the field were absent.
func (f *Fields) prune(value any) any {
	switch v := value.(type) {
	case map[string]any:
		pruned := map[string]any{}
		for name, fieldValue := range v {
			if child := f.child(name); child != nil && fieldValue != nil {
				pruned[name] = child.prune(fieldValue)
			}
		}
		if f.child(caBundleExpires) != nil {
			if expires, ok := deriveCABundleExpiry(v); ok {
				pruned[caBundleExpires] = expires
			}
		}
		return pruned
	case []any:
		elements := f.child(anyElement)
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
