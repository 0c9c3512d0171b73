package rule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// FuzzRule compiles and evaluates any expression on any object: in bounded time, with the same outcome in a second evaluation and on pruned
// objects, and with short and readable errors.
func FuzzRule(f *testing.F) {
	const object = `{"a":{"b":"x","list":[{"b":"x"},{"c":1}]},"c":1,"d":[1,2,3],"kind":"x"}`
	for _, expression := range []string{
		"object.a.b == 'x'", "object.?a.?b.orValue('') == 'x' && has(object.c)", "objects.map(o, o.d).all(d, d.size() == 3)",
		"variables.v == object.a",
		"object.d.distinct().sort() == object.d", "objects[0].a.b.matches('(a*)*')", "objects.map(o, string(o.c)).join(',') == '1'",
		"sets.contains(objects, objects)",
		"now - timestamp('2027-01-01T00:00:00Z') > duration('1h')", "timestamp('2027-01-02T05:00:00Z') < now + duration(object.a.b)",
		"now.getHours() < 4",
		"related.x.exists(p, p.a == object.a)", "objects.all(o, o == objects[0])", "variables.x.size() > 0 && variables.x[0].a == object.a",
		"'b' in object.a", "params.x == 'y'",
		"quantity('1Gi').isGreaterThan(quantity('1Mi'))", "'%s'.format([objects]) != ''", "object.a.all(k, v, k == 'b' || v != 'x')",
		"variables == variables",
		"ä", "objects.all(o, objects.all(p, objects.all(q, true)))", "semver('1.2.3').major() == 1",
		"[1,2].map(x, [x, x]).map(x, x + x).size() > 0", "'a' + 'b' + object.a.b < 'c'",
	} {
		f.Add(expression, []byte(object))
	}
	f.Fuzz(func(t *testing.T, expression string, data []byte) {
		const maxLength = 4096 // the limit of the schema
		var object map[string]any
		if len(expression) > maxLength || json.Unmarshal(data, &object) != nil || object == nil {
			return
		}
		start := time.Now()
		spec := ruleOf(expression)
		spec.Resource = reference(widgets)
		spec.Related = []v1alpha1.RelatedResource{{Name: "x", Resource: *reference(classes)}}
		spec.Variables = []v1alpha1.Variable{{Name: "x", Expression: "related.x"}}
		if spec.Expression != "" {
			spec.Variables = append(spec.Variables, v1alpha1.Variable{Name: "v", Expression: "object.a"})
		}
		r := New(&spec, CheckScope, "")
		if errs := r.Compile(nil); len(errs) > 0 {
			for _, err := range errs {
				requireReadable(t, err)
			}
			return
		}
		instance := NewInstance(r, Params{"x": "y"}, "")
		evaluate := func(fields, relatedFields *Fields) *Outcome {
			c := newTestEvaluator(t)
			var objects []map[string]any
			for n := range 3 {
				copied := map[string]any{}
				if n < 2 {
					copied = map[string]any{"a": object["a"], "c": object["c"], "d": object["d"], "kind": "x"}
					maps.Copy(copied, object)
				}
				copied["metadata"] = map[string]any{"name": fmt.Sprint(n)}
				objects = append(objects, copied)
			}
			c.setObjects(widgets, fields, objects...)
			c.setObjects(classes, relatedFields, objects...)
			return c.evaluateInstance(instance)
		}
		whole, again := evaluate(AllFields(), AllFields()), evaluate(AllFields(), AllFields())
		pruned := evaluate(instance.ReadFields(""), instance.ReadFields("x"))
		if whole.Err != nil {
			requireReadable(t, whole.Err)
		}
		for name, other := range map[string]*Outcome{"again": again, "pruned": pruned} {
			if errors.Is(whole.Err, ErrTooCostly) || errors.Is(other.Err, ErrTooCostly) {
				continue // a pruned object costs less, and a deadline depends on the machine
			}
			if other.IsSatisfied != whole.IsSatisfied || other.Satisfied != whole.Satisfied || (other.Err == nil) != (whole.Err == nil) {
				t.Fatalf("%s\non %s: %s\n%s: %s", expression, data, whole, name, other)
			}
		}
		// The limit is generous, because fuzz workers share the machine.
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("it took %s", took)
		}
	})
}

func requireReadable(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || len(text) > maxText+512 || !utf8.ValidString(text) || strings.Contains(text, "internal error") {
		t.Fatalf("the error has %d bytes: %q", len(text), text)
	}
}
