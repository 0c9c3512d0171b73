package rule

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"
)

func TestReads(t *testing.T) {
	for expression, want := range map[string]string{
		"objects.size() > 0":                                   "",
		"objects.all(o, o.status.phase == 'Ready')":            "status.phase.**",
		"objects.exists(o, has(o.metadata.deletionTimestamp))": "metadata.deletionTimestamp",
		"objects.all(o, o.?status.?conditions.orValue([]).exists(c, c.type == 'Ready' && c.status == 'True'))": "status.conditions.*.status.** status.conditions.*.type.**",
		"objects.all(o, o.metadata.?annotations[?'a/b'].orValue('') == 'true')":                                "metadata.annotations.a/b.**",
		"objects.all(o, o.spec.replicas == o.status.?ready.orValue(0))":                                        "spec.replicas.** status.ready.**",
		"objects.filter(o, o.kind == 'A').all(o, o.x == 1)":                                                    "kind.** x.**",
		"objects.map(o, o.spec).all(s, s.a == 1)":                                                              "spec.a.**",
		"objects.all(o, size(o.spec.nodes) > 2)":                                                               "spec.nodes.*",
		"objects.all(o, o.spec == o.status)":                                                                   "spec.** status.**",
		"objects.all(o, 'x' in o.metadata.labels)":                                                             "metadata.labels.*",
		"objects.all(o, o.spec.rules[0].host != '')":                                                           "spec.rules.*.host.**",
		"objects.all(o, o.?status.optMap(s, s.a == 1).orValue(false))":                                         "status.a.**",
		"objects.all(o, (o.x == 1 ? o.a : o.b).c == 2)":                                                        "a.c.** b.c.** x.**",
		"objects.all(o, o.status.counts.all(k, v, v > 0))":                                                     "status.counts.*.**",
		"objects.map(o, o.metadata.name).join(', ') == ''":                                                     "metadata.name.**",
		"objects[0].a == 1 && objects.all(o, objects.exists(p, p.b == o.c))":                                   "a.** b.** c.**",
		"objects.all(o, string(o.spec) == '')":                                                                 "spec.**",
		"objects.all(o, [o.a, o.b].all(x, x.c == 1))":                                                          "a.c.** b.c.**",
		"objects.all(o, o.a.filter(x, x.b == 1).size() == 1)":                                                  "a.*.b.**",
	} {
		program, err := Compile(Check, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := program.Reads("").String(); got != want {
			t.Errorf("%s reads %q, want %q", expression, got, want)
		}
	}
}

func TestReadsOfRelated(t *testing.T) {
	program, err := Compile(Health, "objects.all(o, related.drivers.exists(d, d.metadata.name == o.provisioner)) && related['nodes'].size() > 0")
	if err != nil {
		t.Fatal(err)
	}
	for related, want := range map[string]string{"": "provisioner.**", "drivers": "metadata.name.**", "nodes": "", "others": ""} {
		if got := program.Reads(related).String(); got != want {
			t.Errorf("of %q it reads %q, want %q", related, got, want)
		}
	}
	program, err = Compile(Health, "objects.all(o, related[o.kind].all(r, r.ok))")
	if err != nil {
		t.Fatal(err)
	}
	if got := program.Reads("drivers").String(); got != ".**" {
		t.Errorf("of a list whose name it computes it reads %q, want all", got)
	}
}

// Whatever an object holds, a rule says of what is kept of it what it says of all of it: the same outcome or the same
// mistake.
func TestPrunedObjectsSayTheSame(t *testing.T) {
	expressions := []string{
		"objects.all(o, o.a.b == 'x')",
		"objects.exists(o, o.?a.?b.orValue('') == 'x' && has(o.c))",
		"objects.all(o, o.?a.?list.orValue([]).exists(e, e.b == 'x' || e.c == 1))",
		"objects.filter(o, has(o.a)).map(o, o.a).all(a, a.?b.hasValue())",
		"objects.exists(o, size(o.c) > 1)",
		"objects.all(o, o.a == o.c)",
		"objects.all(o, 'b' in o.a)",
		"objects.exists_one(o, o.a.list[0].b == 'x')",
		"objects.all(o, o.a.all(k, o.a[k] != 'x'))",
		"objects.exists(o, o.?a.optMap(a, a.list.size() > 0 && a.list.all(e, has(e.b))).orValue(true))",
		"objects.map(o, o.c).exists(c, type(c) == string || c == 1)",
		"objects.all(o, o.?a.?list.orValue([]).exists(e, e == o.c))",
		"objects.all(o, [o.?a.orValue({})].all(a, has(a.b) ? a.b == 'x' : o.c == 1))",
		"objects.all(o, o.c.all(k, v, k != 'b' || v.b == 'x'))",
	}
	for _, expression := range expressions {
		program, err := Compile(Check, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		outcomes := map[string]bool{}
		random := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			var whole, kept []any
			for range random.IntN(3) {
				object := randomValue(random, 0)
				whole = append(whole, object)
				kept = append(kept, program.Reads("").Keep(object))
			}
			want, wantErr := program.Holds(Input{Objects: Once(whole...), Now: time.Time{}})
			got, gotErr := program.Holds(Input{Objects: Once(kept...), Now: time.Time{}})
			outcomes[fmt.Sprint(want, wantErr)] = true
			if got != want || message(gotErr) != message(wantErr) {
				t.Fatalf("%s\nof %v: %v, %v\nof what is kept of it, %v: %v, %v", expression, whole, want, wantErr, kept, got, gotErr)
			}
		}
		if len(outcomes) < 3 {
			t.Errorf("%s: the objects showed %v only", expression, outcomes)
		}
	}
}

// goType is how a message names the Go type of a value, which differs.
var goType = regexp.MustCompile(`\*\w+\.\w+`)

func message(err error) string { return goType.ReplaceAllString(fmt.Sprint(err), "*") }

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
	some.at([]string{"a", "b"})
	more.at([]string{"a", "b"}).Add(Everything())
	more.at([]string{"c"})
	if some.Cover(more) || !more.Cover(some) || !Everything().Cover(more) || more.Cover(Everything()) || !some.Cover(nil) {
		t.Error("what covers what is mistaken")
	}
	some.Add(more)
	if !some.Cover(more) || some.String() != "a.b.** c" {
		t.Errorf("after the addition: %s", some)
	}
	object := map[string]any{"a": map[string]any{"b": []any{1}, "x": 2}, "d": 3}
	if got := some.Keep(object); !Same(got, Everything().Keep(map[string]any{"a": map[string]any{"b": []any{1}}})) {
		t.Errorf("kept %v", got)
	}
}
