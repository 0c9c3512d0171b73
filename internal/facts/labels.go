package facts

import (
	"slices"
	"strings"
)

// Labels are an object's labels, sorted by key. A small slice takes a fraction of the memory of a map.
type Labels []Label

// Label is a key and its value.
type Label struct{ Key, Value string }

// NewLabels converts a map of labels.
func NewLabels(m map[string]string) Labels {
	if len(m) == 0 {
		return nil
	}
	labels := make(Labels, 0, len(m))
	for key, value := range m {
		labels = append(labels, Label{intern(key), intern(value)})
	}
	slices.SortFunc(labels, func(a, b Label) int { return strings.Compare(a.Key, b.Key) })
	return labels
}

// Get returns the value of a label, and whether it is set.
func (l Labels) Get(key string) (string, bool) {
	at, ok := slices.BinarySearchFunc(l, key, func(label Label, key string) int { return strings.Compare(label.Key, key) })
	if !ok {
		return "", false
	}
	return l[at].Value, true
}
