package rule

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestReadFields(t *testing.T) {
	for expression, want := range map[string]string{
		"objects.size() > 0":                     "",
		"object.status.phase == 'Ready'":         "status.phase.**",
		"has(object.metadata.deletionTimestamp)": "metadata.deletionTimestamp",
		"object.?status.?conditions.orValue([]).exists(c, c.type == 'Ready' && c.status == 'True')": "status.conditions.*.status.** status.conditions.*.type.**",
		"object.metadata.?annotations[?'a/b'].orValue('') == 'true'":                                "metadata.annotations.a/b.**",
		"object.spec.replicas == object.status.?ready.orValue(0)":                                   "spec.replicas.** status.ready.**",
		"objects.filter(o, o.kind == 'A').all(o, o.x == 1)":                                         "kind.** x.**",
		"objects.map(o, o.spec).all(s, s.a == 1)":                                                   "spec.a.**",
		"size(object.spec.nodes) > 2":                                                               "spec.nodes.*",
		"object.spec == object.status":                                                              "spec.** status.**",
		"'x' in object.metadata.labels":                                                             "metadata.labels.*",
		"object.spec.rules[0].host != ''":                                                           "spec.rules.*.host.**",
		"object.?status.optMap(s, s.a == 1).orValue(false)":                                         "status.a.**",
		"(object.x == 1 ? object.a : object.b).c == 2":                                              "a.c.** b.c.** x.**",
		"object.status.counts.all(k, v, v > 0)":                                                     "status.counts.*.**",
		"objects.map(o, o.metadata.name).join(', ') == ''":                                          "metadata.name.**",
		"objects[0].a == 1 && objects.all(o, objects.exists(p, p.b == o.c))":                        "a.** b.** c.**",
		"string(object.spec) == ''":                                                                 "spec.**",
		"[object.a, object.b].all(x, x.c == 1)":                                                     "a.c.** b.c.**",
		"object.a.filter(x, x.b == 1).size() == 1":                                                  "a.*.b.**",
	} {
		if got := compiledInstance(t, ruleOf(expression)).ReadFields("").String(); got != want {
			t.Errorf("%s reads %q, want %q", expression, got, want)
		}
	}
}

// ruleOf returns a rule on one object or, if the expression uses objects, on the list.
func ruleOf(expression string) v1alpha1.Rule {
	if strings.Contains(expression, "objects") {
		return v1alpha1.Rule{ListExpression: expression}
	}
	return v1alpha1.Rule{Expression: expression}
}

func TestReadFieldsOfRelated(t *testing.T) {
	r := compiledInstance(t, ruleOf("related.drivers.exists(d, d.metadata.name == object.provisioner) && related['nodes'].size() > 0"))
	for related, want := range map[string]string{"": "provisioner.**", "drivers": "metadata.name.**", "nodes": "", "others": ""} {
		if got := r.ReadFields(related).String(); got != want {
			t.Errorf("of %q it reads %q, want %q", related, got, want)
		}
	}
	if got := compiledInstance(t, ruleOf("related[object.kind].all(r, r.ok)")).ReadFields("drivers").String(); got != ".**" {
		t.Errorf("of a list whose name it computes it reads %q, want all", got)
	}
}

// The fields include those of variables, as far as they are used, match and messageExpression.
func TestReadFieldsOfVariablesMatchAndMessage(t *testing.T) {
	r := compiledInstance(t, v1alpha1.Rule{
		Match: "has(object.a)",
		Variables: []v1alpha1.Variable{
			{Name: "conditions", Expression: "object.?status.?conditions.orValue([])"},
			{Name: "bad", Expression: "variables.conditions.filter(c, c.status == 'False')"},
			{Name: "names", Expression: "related.classes.map(c, c.metadata.name)"},
		},
		Related:    []v1alpha1.RelatedResource{{Name: "classes", Resource: *reference(classes)}},
		Expression: "variables.bad.size() == 0 && variables.?bad.orValue([]).all(c, c.severity) && object.x in variables.names", MessageExpression: "variables.bad.map(c, c.reason).join(',')",
	})
	const want = "a status.conditions.*.reason.** status.conditions.*.severity.** status.conditions.*.status.** x.**"
	if got := r.ReadFields("").String(); got != want {
		t.Errorf("it reads %q, want %q", got, want)
	}
	if got := r.ReadFields("classes").String(); got != "metadata.name.**" {
		t.Errorf("of the classes it reads %q", got)
	}
	instance := compiledInstance(t, v1alpha1.Rule{
		Variables:  []v1alpha1.Variable{{Name: "a", Expression: "object.a"}},
		Expression: "dyn(variables) != null",
	})
	if got := instance.ReadFields("").String(); got != "a.**" {
		t.Errorf("of variables that are used whole it reads %q", got)
	}
}

// A rule has the same outcome, or the same error, on a pruned object as on the whole object.
func TestPruningDoesNotChangeOutcomes(t *testing.T) {
	expressions := []string{
		"object.a.b == 'x'",
		"object.?a.?b.orValue('') == 'x' && has(object.c)",
		"object.?a.?list.orValue([]).exists(e, e.b == 'x' || e.c == 1)",
		"objects.filter(o, has(o.a)).map(o, o.a).all(a, a.?b.hasValue())",
		"size(object.c) > 1",
		"object.a == object.c",
		"'b' in object.a",
		"object.a.list[0].b == 'x'",
		"object.a.all(k, object.a[k] != 'x')",
		"object.?a.optMap(a, a.list.size() > 0 && a.list.all(e, has(e.b))).orValue(true)",
		"objects.map(o, o.c).exists(c, type(c) == string || c == 1)",
		"object.?a.?list.orValue([]).exists(e, e == object.c)",
		"[object.?a.orValue({})].all(a, has(a.b) ? a.b == 'x' : object.c == 1)",
		"object.c.all(k, v, k != 'b' || v.b == 'x')",
	}
	for _, expression := range expressions {
		instance := compiledInstance(t, ruleOf(expression))
		outcomes := map[string]bool{}
		random := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			var objects []map[string]any
			for n := range random.IntN(3) {
				object := randomValue(random, 0).(map[string]any)
				object["metadata"] = map[string]any{"name": fmt.Sprint(n)}
				objects = append(objects, object)
			}
			whole, pruned := newTestEvaluator(t), newTestEvaluator(t)
			whole.setObjects(widgets, AllFields(), objects...)
			pruned.setObjects(widgets, instance.ReadFields(""), objects...)
			want, got := normalizeMessage(whole.evaluateInstance(instance)), normalizeMessage(pruned.evaluateInstance(instance))
			outcomes[want] = true
			if got != want {
				t.Fatalf("%s\non %v: %s\npruned: %s", expression, objects, want, got)
			}
		}
		if len(outcomes) < 3 {
			t.Errorf("%s: the only outcomes are %v", expression, outcomes)
		}
	}
}

// goType matches the Go type of a value in a message. It differs between whole and pruned objects.
var goType = regexp.MustCompile(`\*\w+\.\w+`)

func normalizeMessage(o *Outcome) string { return goType.ReplaceAllString(o.String(), "*") }

// randomValue returns a value with few field names and few contents, so that rules often match.
func randomValue(random *rand.Rand, depth int) any {
	switch kind := random.IntN(6); {
	case depth == 0 || depth < 3 && kind < 3:
		object := map[string]any{}
		for _, name := range []string{"a", "b", "c", "list"} {
			if random.IntN(3) > 0 {
				object[name] = randomValue(random, depth+1)
			}
		}
		return object
	case depth < 3 && kind == 3:
		list := []any{}
		for range random.IntN(3) {
			list = append(list, randomValue(random, depth+1))
		}
		return list
	case kind == 4:
		return int64(random.IntN(2))
	}
	return []string{"x", "y"}[random.IntN(2)]
}

func TestFieldsIncludesAndAdd(t *testing.T) {
	small, large := &Fields{}, &Fields{}
	small.addPath([]string{"a", "b"})
	large.addPath([]string{"a", "b"}).Add(AllFields())
	large.addPath([]string{"c"})
	if small.Includes(large) || !large.Includes(small) || !AllFields().Includes(large) || large.Includes(AllFields()) || !small.Includes(nil) {
		t.Error("Includes is wrong")
	}
	small.Add(large)
	if !small.Includes(large) || small.String() != "a.b.** c" {
		t.Errorf("after the addition: %s", small)
	}
	object := map[string]any{"a": map[string]any{"b": []any{1}, "x": 2}, "d": 3}
	if got := fmt.Sprint(small.prune(object)); got != "map[a:map[b:[1]]]" {
		t.Errorf("pruned to %s", got)
	}
}
