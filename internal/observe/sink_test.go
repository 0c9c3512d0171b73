package observe

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/internal/rule"
)

// A CSINode without drivers is served with a field that is there and null. Rules must not stumble over it.
func TestRulesSeeNoNulls(t *testing.T) {
	s := &objectSink{fields: rule.Everything()}
	key, content, err := s.contentOf(&unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "node-1", "creationTimestamp": nil},
		"spec":     map[string]any{"drivers": nil, "zones": []any{map[string]any{"a": nil, "b": "c"}}},
	}})
	want := map[string]any{
		"metadata": map[string]any{"name": "node-1"},
		"spec":     map[string]any{"zones": []any{map[string]any{"b": "c"}}},
	}
	if err != nil || key != "/node-1" || !rule.Same(content, rule.Everything().Keep(want)) {
		t.Errorf("got %s, %v, %v", key, content, err)
	}
}
