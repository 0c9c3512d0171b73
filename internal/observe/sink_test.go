package observe

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/internal/rule"
)

// A CSINode without drivers is served with a field that is there and null. Rules must not stumble over it.
func TestRulesSeeNoNulls(t *testing.T) {
	s := &objectSink{fields: rule.Everything()}
	got, err := s.keep(&unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "node-1", "creationTimestamp": nil},
		"spec":     map[string]any{"drivers": nil, "zones": []any{map[string]any{"a": nil, "b": "c"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := rule.Everything().Keep(map[string]any{
		"metadata": map[string]any{"name": "node-1"},
		"spec":     map[string]any{"zones": []any{map[string]any{"b": "c"}}},
	})
	if err != nil || got.Key != "node-1" || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}
