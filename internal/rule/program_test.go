package rule

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func object(name string, age time.Duration, now time.Time) any {
	return map[string]any{
		"metadata": map[string]any{"name": name, "annotations": map[string]any{"default": "true"}},
		"status":   map[string]any{"phase": "Completed", "completionTimestamp": now.Add(-age).UTC().Format(time.RFC3339)},
	}
}

func TestHolds(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	backups := []any{object("new", time.Hour, now), object("old", 48*time.Hour, now)}
	const recent = "objects.exists(o, o.?status.?phase.orValue('') == 'Completed' && timestamp(o.status.completionTimestamp) > now - params.maxAge)"
	for name, test := range map[string]struct {
		kind       Kind
		expression string
		objects    []any
		params     Params
		want       bool
	}{
		"an optional field that is there":      {Check, "objects.exists_one(o, o.metadata.?annotations[?'default'].orValue('') == 'true')", backups[:1], nil, true},
		"an optional field that is not there":  {Check, "objects.exists_one(o, o.metadata.?labels[?'default'].orValue('') == 'true')", backups[:1], nil, false},
		"no objects":                           {Check, "objects.size() == 0", nil, nil, true},
		"a duration parameter that is met":     {NamedCheck, recent, backups, Params{"maxAge": 2 * time.Hour}, true},
		"a duration parameter that is missed":  {NamedCheck, recent, backups, Params{"maxAge": time.Minute}, false},
		"a quantity of the Kubernetes library": {Check, "quantity('1Gi').isGreaterThan(quantity('1Mi'))", nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := Compile(test.kind, test.expression)
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.Holds(Input{Objects: Once(test.objects...), Params: test.params, Now: now})
			if err != nil || got != test.want {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestARuleSeesRelatedResources(t *testing.T) {
	const expression = "objects.all(o, related.drivers.exists(d, d.metadata.name == o.provisioner))"
	in := Input{Objects: Once(map[string]any{"provisioner": "a"}), Related: map[string][]any{"drivers": {map[string]any{"metadata": map[string]any{"name": "a"}}}}}
	for _, kind := range []Kind{Health, NamedCheck} {
		program, err := Compile(kind, expression)
		if err != nil {
			t.Fatal(err)
		}
		if holds, err := program.Holds(in); err != nil || !holds {
			t.Errorf("got %v, %v; want true", holds, err)
		}
		other := in
		other.Related = map[string][]any{"drivers": {}}
		if holds, err := program.Holds(other); err != nil || holds {
			t.Errorf("got %v, %v; want false without the driver", holds, err)
		}
	}
	program, err := Compile(NamedCheckMessage, "objects.map(o, o.provisioner).join(', ') + string(params.n)")
	if err != nil {
		t.Fatal(err)
	}
	in.Params = Params{"n": int64(3)}
	if text, err := program.Text(in); err != nil || text != "a3" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := Compile(Check, "related.size() == 0"); err == nil {
		t.Error("a check of a profile sees one resource, and this one names another")
	}
}

func TestText(t *testing.T) {
	program, err := Compile(Version, "objects.map(o, o.status.version)[0]")
	if err != nil {
		t.Fatal(err)
	}
	got, err := program.Text(Input{Objects: Once(map[string]any{"status": map[string]any{"version": "1.2.3"}})})
	if got != "1.2.3" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := program.Text(Input{}); err == nil {
		t.Error("an expression that fails on no objects told a version")
	}
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		kind       Kind
		expression string
		want       string
	}{
		"a syntax mistake":           {Check, "objects.exists(o, ", "Syntax error"},
		"an unknown variable":        {Check, "pods.size() > 0", "undeclared reference to 'pods'"},
		"params outside its kind":    {Check, "params.x == 1", "undeclared reference to 'params'"},
		"now in a health rule":       {Health, "now > timestamp('2027-01-01T00:00:00Z')", "undeclared reference to 'now'"},
		"a rule that yields no bool": {Check, "objects.size()", "must yield bool, not int"},
		"three loops in each other":  {Check, "objects.all(a, objects.all(b, objects.all(c, a.x != b.x || b.x != c.x)))", "costs too much"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(test.kind, test.expression)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the message has more than one line: %q", err)
			}
		})
	}
}

func TestHoldsIsCutOff(t *testing.T) {
	program, err := Compile(Check, "objects.all(a, objects.all(b, a.x == b.x))")
	if err != nil {
		t.Fatal(err)
	}
	many := make([]any, 5000)
	for i := range many {
		many[i] = map[string]any{"x": "same"}
	}
	if _, err := program.Holds(Input{Objects: Once(many...)}); !errors.Is(err, ErrTooCostly) {
		t.Errorf("got %v, want %v", err, ErrTooCostly)
	}
}

// TestStaysPlanned shows that a rule that has run is ready to run again, however long nothing asked it: to plan it takes longer
// than to look at a thousand objects.
func TestStaysPlanned(t *testing.T) {
	program, err := compile(Health, "objects.all(o, o.?status.?phase.orValue('') == 'Ready' && o.n < 7)")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Objects: Once(map[string]any{"n": int64(1), "status": map[string]any{"phase": "Ready"}})}
	made := testing.AllocsPerRun(10, func() {
		runtime.GC()
		runtime.GC() // what is in a pool is gone after two
		if holds, err := program.Holds(in); !holds || err != nil {
			t.Fatal(holds, err)
		}
	})
	if made > 60 {
		t.Errorf("a run allocates %.0f times", made)
	}
}
