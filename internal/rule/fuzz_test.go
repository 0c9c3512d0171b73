package rule

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzRule compiles and runs whatever anybody may write over whatever a cluster may hold: it ends in bounded time, says the
// same when it is asked again and when it sees but the fields that it reads, and its mistakes are short and readable.
func FuzzRule(f *testing.F) {
	const object = `{"a":{"b":"x","list":[{"b":"x"},{"c":1}]},"c":1,"d":[1,2,3],"kind":"x"}`
	for _, expression := range []string{
		"objects.all(o, o.a.b == 'x')", "objects.exists(o, o.?a.?b.orValue('') == 'x' && has(o.c))", "objects.map(o, o.d).all(d, d.size() == 3)",
		"objects.all(o, o.d.distinct().sort() == o.d)", "objects[0].a.b.matches('(a*)*')", "objects.map(o, string(o.c)).join(',') == '1'", "sets.contains(objects, objects)",
		"objects.all(o, now - timestamp('2027-01-01T00:00:00Z') > duration('1h'))", "objects.all(o, timestamp('2027-01-02T05:00:00Z') < now + duration(o.a.b))", "now.getHours() < 4 || timestamp(now < timestamp('2027-02-02T05:00:00Z') ? 1 : 2) < now",
		"objects.exists(o, related.x.exists(p, p.a == o.a))", "objects.all(o, o == objects[0])",
		"objects.all(o, 'b' in o.a)", "params.x == 'y'", "quantity('1Gi').isGreaterThan(quantity('1Mi'))", "'%s'.format([objects]) != ''", "objects.all(o, o.a.all(k, v, k == 'b' || v != 'x'))",
		"ä", "objects.all(o, objects.all(p, objects.all(q, true)))", "semver('1.2.3').major() == 1", "[1,2].map(x, [x, x]).map(x, x + x).size() > 0", "'a' + 'b' + objects[0].a.b < 'c'",
	} {
		f.Add(expression, []byte(object))
	}
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expression string, data []byte) {
		const longest = 4096 // as the schema has it
		var object map[string]any
		if len(expression) > longest || json.Unmarshal(data, &object) != nil || object == nil {
			return
		}
		start := time.Now()
		for _, kind := range []Kind{Check, NamedCheck} {
			program, err := compile(kind, expression)
			if err != nil {
				readable(t, err)
				continue
			}
			whole := []any{object, object, map[string]any{}}
			in := Input{Objects: Once(whole...), Related: map[string][]any{"x": whole}, Params: Params{"x": "y"}, Now: now}
			holds, span, err := program.HoldsWithin(in)
			if err != nil {
				readable(t, err)
			}
			first, last := now.Add(-1000*time.Hour), now.Add(1000*time.Hour)
			if !span.From.IsZero() {
				first = span.From
			}
			if !span.Until.IsZero() {
				last = span.Until.Add(-1)
			}
			for _, when := range []time.Time{first, now.Add(first.Sub(now) / 2), now.Add(last.Sub(now) / 2), last} {
				other := in
				other.Now = when
				if then, errThen := program.Holds(other); then != holds || (err == nil) != (errThen == nil) {
					t.Fatalf("%s\nof %s: %v, %v from %s until %s, and at %s %v, %v", expression, data, holds, err, span.From, span.Until, when, then, errThen)
				}
			}
			if again, errAgain := program.Holds(in); again != holds || (err == nil) != (errAgain == nil) {
				t.Fatalf("%s: %v, %v, and then %v, %v", expression, holds, err, again, errAgain)
			}
			sections := in
			var parts []*section
			for n, object := range whole {
				parts = append(parts, sectionOf([]string{string(rune('a' + n))}, []any{object}))
			}
			sections.Objects = newObjects(sectionAround([]*section{sectionAround(parts[:2]), sectionAround(parts[2:])}))
			for range 2 { // what is found the first time is kept
				if some, errSome := program.Holds(sections); some != holds || (err == nil) != (errSome == nil) || errors.Is(err, ErrTooCostly) != errors.Is(errSome, ErrTooCostly) {
					t.Fatalf("%s\nof %s: %v, %v\nin sections: %v, %v", expression, data, holds, err, some, errSome)
				}
			}
			kept := in
			var stripped []any
			kept.Related = map[string][]any{"x": nil}
			for _, object := range whole {
				stripped = append(stripped, program.Reads("").Keep(object))
				kept.Related["x"] = append(kept.Related["x"], program.Reads("x").Keep(object))
			}
			kept.Objects = Once(stripped...)
			seen, errSeen := program.Holds(kept)
			if errors.Is(err, ErrTooCostly) || errors.Is(errSeen, ErrTooCostly) {
				continue // less costs less
			}
			if seen != holds || (err == nil) != (errSeen == nil) {
				t.Fatalf("%s\nof %s: %v, %v\nof what is kept of it: %v, %v", expression, data, holds, err, seen, errSeen)
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
	if text := err.Error(); text == "" || len(text) > maxText || !utf8.ValidString(text) || strings.Contains(text, "internal error") {
		t.Fatalf("what is wrong is told by %d bytes: %q", len(text), text)
	}
}
