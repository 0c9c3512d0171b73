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

// FuzzRule compiles and evaluates whatever anybody may write over whatever a cluster may hold: it ends in bounded time, comes to the
// same when it is evaluated again and when objects have only the fields that it reads, and its mistakes are short and readable.
func FuzzRule(f *testing.F) {
	const object = `{"a":{"b":"x","list":[{"b":"x"},{"c":1}]},"c":1,"d":[1,2,3],"kind":"x"}`
	for _, expression := range []string{
		"object.a.b == 'x'", "object.?a.?b.orValue('') == 'x' && has(object.c)", "objects.map(o, o.d).all(d, d.size() == 3)", "variables.v == object.a",
		"object.d.distinct().sort() == object.d", "objects[0].a.b.matches('(a*)*')", "objects.map(o, string(o.c)).join(',') == '1'", "sets.contains(objects, objects)",
		"now - timestamp('2027-01-01T00:00:00Z') > duration('1h')", "timestamp('2027-01-02T05:00:00Z') < now + duration(object.a.b)", "now.getHours() < 4",
		"related.x.exists(p, p.a == object.a)", "objects.all(o, o == objects[0])", "variables.x.size() > 0 && variables.x[0].a == object.a", "'b' in object.a", "params.x == 'y'",
		"quantity('1Gi').isGreaterThan(quantity('1Mi'))", "'%s'.format([objects]) != ''", "object.a.all(k, v, k == 'b' || v != 'x')", "variables == variables",
		"ä", "objects.all(o, objects.all(p, objects.all(q, true)))", "semver('1.2.3').major() == 1", "[1,2].map(x, [x, x]).map(x, x + x).size() > 0", "'a' + 'b' + object.a.b < 'c'",
	} {
		f.Add(expression, []byte(object))
	}
	f.Fuzz(func(t *testing.T, expression string, data []byte) {
		const longest = 4096 // as the schema has it
		var object map[string]any
		if len(expression) > longest || json.Unmarshal(data, &object) != nil || object == nil {
			return
		}
		start := time.Now()
		spec := about(expression)
		spec.Resource = reference(widgets)
		spec.Related = []v1alpha1.RelatedResource{{Name: "x", Resource: *reference(classes)}}
		spec.Variables = []v1alpha1.Variable{{Name: "x", Expression: "related.x"}}
		if spec.Expression != "" {
			spec.Variables = append(spec.Variables, v1alpha1.Variable{Name: "v", Expression: "object.a"})
		}
		r := New(&spec, CheckScope, "")
		if errs := r.Compile(nil); len(errs) > 0 {
			for _, err := range errs {
				readable(t, err)
			}
			return
		}
		instance := NewInstance(r, Params{"x": "y"}, "")
		evaluate := func(ofObjects, ofRelated *Fields) *Outcome {
			c := newCluster(t)
			var objects []map[string]any
			for n := range 3 {
				one := map[string]any{}
				if n < 2 {
					one = map[string]any{"a": object["a"], "c": object["c"], "d": object["d"], "kind": "x"}
					maps.Copy(one, object)
				}
				one["metadata"] = map[string]any{"name": fmt.Sprint(n)}
				objects = append(objects, one)
			}
			c.has(widgets, ofObjects, objects...)
			c.has(classes, ofRelated, objects...)
			return c.outcome(instance)
		}
		whole, again, pruned := evaluate(AllFields(), AllFields()), evaluate(AllFields(), AllFields()), evaluate(instance.ReadFields(""), instance.ReadFields("x"))
		if whole.Err != nil {
			readable(t, whole.Err)
		}
		for name, other := range map[string]*Outcome{"again": again, "pruned": pruned} {
			if errors.Is(whole.Err, ErrTooCostly) || errors.Is(other.Err, ErrTooCostly) {
				continue // less costs less, and a deadline is one of time
			}
			if other.IsSatisfied != whole.IsSatisfied || other.Satisfied != whole.Satisfied || (other.Err == nil) != (whole.Err == nil) {
				t.Fatalf("%s\nof %s: %s\n%s: %s", expression, data, whole, name, other)
			}
		}
		// Generous: the fuzzer shares the machine with itself.
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("it took %s", took)
		}
	})
}

func readable(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || len(text) > maxText+512 || !utf8.ValidString(text) || strings.Contains(text, "internal error") {
		t.Fatalf("what is wrong is told by %d bytes: %q", len(text), text)
	}
}
