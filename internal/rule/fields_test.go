package rule

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestReads(t *testing.T) {
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
		if got := compiled(t, about(expression)).ReadFields("").String(); got != want {
			t.Errorf("%s reads %q, want %q", expression, got, want)
		}
	}
}

// about is a rule about one object or, where the expression says objects, about the list of them.
func about(expression string) v1alpha1.Rule {
	if strings.Contains(expression, "objects") {
		return v1alpha1.Rule{ListExpression: expression}
	}
	return v1alpha1.Rule{Expression: expression}
}

func TestReadsOfRelated(t *testing.T) {
	r := compiled(t, about("related.drivers.exists(d, d.metadata.name == object.provisioner) && related['nodes'].size() > 0"))
	for related, want := range map[string]string{"": "provisioner.**", "drivers": "metadata.name.**", "nodes": "", "others": ""} {
		if got := r.ReadFields(related).String(); got != want {
			t.Errorf("of %q it reads %q, want %q", related, got, want)
		}
	}
	if got := compiled(t, about("related[object.kind].all(r, r.ok)")).ReadFields("drivers").String(); got != ".**" {
		t.Errorf("of a list whose name it computes it reads %q, want all", got)
	}
}

// What a variable, match and messageExpression read is read by the rule, as far as it is used.
func TestReadsOfVariablesMatchAndMessage(t *testing.T) {
	r := compiled(t, v1alpha1.Rule{
		Match: "has(object.a)",
		Variables: []v1alpha1.Variable{
			{Name: "conditions", Expression: "object.?status.?conditions.orValue([])"},
			{Name: "bad", Expression: "variables.conditions.filter(c, c.status == 'False')"},
			{Name: "names", Expression: "related.classes.map(c, c.metadata.name)"},
		},
		Related:    []v1alpha1.RelatedResource{{Name: "classes", Resource: *reference(classes)}},
		Expression: "variables.bad.size() == 0 && variables.?bad.orValue([]).all(c, c.seen) && object.x in variables.names", MessageExpression: "variables.bad.map(c, c.reason).join(',')",
	})
	const want = "a status.conditions.*.reason.** status.conditions.*.seen.** status.conditions.*.status.** x.**"
	if got := r.ReadFields("").String(); got != want {
		t.Errorf("it reads %q, want %q", got, want)
	}
	if got := r.ReadFields("classes").String(); got != "metadata.name.**" {
		t.Errorf("of the classes it reads %q", got)
	}
	if got := compiled(t, v1alpha1.Rule{Variables: []v1alpha1.Variable{{Name: "a", Expression: "object.a"}}, Expression: "dyn(variables) != null"}).ReadFields("").String(); got != "a.**" {
		t.Errorf("of variables that are used whole it reads %q", got)
	}
}

// Whatever an object holds, a rule says of what is kept of it what it says of all of it: the same outcome or the same
// mistake.
func TestPrunedObjectsSayTheSame(t *testing.T) {
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
		instance := compiled(t, about(expression))
		outcomes := map[string]bool{}
		random := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			var objects []map[string]any
			for n := range random.IntN(3) {
				object := randomValue(random, 0).(map[string]any)
				object["metadata"] = map[string]any{"name": fmt.Sprint(n)}
				objects = append(objects, object)
			}
			whole, pruned := newCluster(t), newCluster(t)
			whole.has(widgets, AllFields(), objects...)
			pruned.has(widgets, instance.ReadFields(""), objects...)
			want, got := message(whole.outcome(instance)), message(pruned.outcome(instance))
			outcomes[want] = true
			if got != want {
				t.Fatalf("%s\nof %v: %s\nof the fields that it reads: %s", expression, objects, want, got)
			}
		}
		if len(outcomes) < 3 {
			t.Errorf("%s: the objects led to %v only", expression, outcomes)
		}
	}
}

// goType is how a message names the Go type of a value, which differs.
var goType = regexp.MustCompile(`\*\w+\.\w+`)

func message(o *Outcome) string { return goType.ReplaceAllString(o.String(), "*") }

// randomValue makes a value of few names and few contents, so that rules often find what they ask for.
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

func TestFieldsCoverAndAdd(t *testing.T) {
	some, more := &Fields{}, &Fields{}
	some.addPath([]string{"a", "b"})
	more.addPath([]string{"a", "b"}).Add(AllFields())
	more.addPath([]string{"c"})
	if some.Includes(more) || !more.Includes(some) || !AllFields().Includes(more) || more.Includes(AllFields()) || !some.Includes(nil) {
		t.Error("what covers what is mistaken")
	}
	some.Add(more)
	if !some.Includes(more) || some.String() != "a.b.** c" {
		t.Errorf("after the addition: %s", some)
	}
	object := map[string]any{"a": map[string]any{"b": []any{1}, "x": 2}, "d": 3}
	if got := fmt.Sprint(some.prune(object)); got != "map[a:map[b:[1]]]" {
		t.Errorf("kept %s", got)
	}
}
