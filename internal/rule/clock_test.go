package rule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// TestUntil shows for the ways in which rules compare times when what they say may turn.
func TestUntil(t *testing.T) {
	now := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	object := Everything().Keep(map[string]any{"old": "2027-01-02T11:00:00Z", "new": "2027-01-02T13:00:00Z", "this": "2027-01-02T12:00:00Z", "text": "x", "for": "2h"})
	const never, atOnce = time.Duration(0), time.Duration(1)
	for expression, want := range map[string]time.Duration{
		"objects.all(o, o.?now.orValue(1) == 1)":                                                                              never, // a field of that name is not the time
		"objects.all(o, o.text == 'x')":                                                                                       never,
		"objects.all(o, timestamp(o.old) < now)":                                                                              never,
		"objects.all(o, timestamp(o.new) < now)":                                                                              time.Hour + 1,
		"objects.all(o, timestamp(o.new) > now)":                                                                              time.Hour,
		"objects.all(o, timestamp(o.new) <= now)":                                                                             time.Hour,
		"objects.all(o, timestamp(o.new) >= now)":                                                                             time.Hour + 1,
		"objects.all(o, timestamp(o.old) > now - params.within)":                                                              time.Hour,
		"objects.all(o, now - timestamp(o.old) < params.within)":                                                              time.Hour,
		"objects.all(o, timestamp(o.new) - now > duration('15m'))":                                                            45 * time.Minute,
		"objects.all(o, duration('30m') + now <= timestamp(o.new))":                                                           30*time.Minute + 1,
		"objects.all(o, now - timestamp(o.old) < duration(o['for']))":                                                         time.Hour,
		"objects.all(o, timestamp(o.this) <= now)":                                                                            never,
		"objects.all(o, timestamp(o.this) > now)":                                                                             never,
		"objects.all(o, timestamp(o.this) < now)":                                                                             atOnce, // only at this very time both are the same
		"objects.all(o, now <= timestamp(o.this))":                                                                            atOnce,
		"objects.all(o, timestamp(o.old) < now && timestamp(o.new) > now)":                                                    time.Hour,
		"objects.all(o, o.text == 'y' && timestamp(o.new) > now)":                                                             never, // it is not looked at
		"objects.all(o, timestamp(o.new) > now + duration('20m') && timestamp(o.new) > now)":                                  40 * time.Minute,
		"objects.all(o, now < now + duration('1h'))":                                                                          never,
		"objects.all(o, now - timestamp(o.old) < timestamp(o.new) - now)":                                                     atOnce, // they move at two seconds a second
		"objects.all(o, now.getHours() == 12)":                                                                                atOnce,
		"objects.all(o, string(now) != o.text)":                                                                               atOnce,
		"objects.all(o, now != timestamp(o.new))":                                                                             atOnce,
		"objects.all(o, [now].exists(n, n < timestamp(o.new)))":                                                               atOnce,
		"objects.all(o, (now < timestamp(o.new) ? 1 : 2) < 2)":                                                                time.Hour,
		"objects.all(o, timestamp(now < timestamp(o.new) ? o.old : o.new) < now - duration('50m'))":                           time.Hour,
		"objects.all(o, timestamp(o.text) < now)":                                                                             errorStands, // an error
		"objects.all(o, timestamp(o.text) < now || timestamp(o.new) > now)":                                                   errorStands,
		"objects.all(o, timestamp('0001-01-01T00:00:00Z') < now)":                                                             never,
		"objects.all(o, timestamp('9999-01-01T00:00:00Z') - now < duration('1h') || o.text == 'x')":                           errorStands, // more than a duration can be
		"timestamp('2027-01-02T12:30:00Z') > now":                                                                             30 * time.Minute,
		"objects.filter(o, timestamp(o.new) < now).map(o, o.text).join(',') == '' && now > timestamp('2027-01-02T12:10:00Z')": 10*time.Minute + 1,
	} {
		program, err := compile(NamedCheck, expression)
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Objects: ObjectsOf(map[string]any{"a": object}), Params: Params{"within": 2 * time.Hour}, ParamsText: "2h", Now: now}
		for look := range 2 { // what is found the first time is kept
			_, span, err := program.HoldsWithin(in)
			until := span.Until
			got := never
			if !until.IsZero() {
				got = until.Sub(now)
			}
			if got != want || err != nil && !strings.Contains(expression, "o.text)") {
				t.Errorf("%s, look %d: it stands for %s and not for %s; %v", expression, look, got, want, err)
			}
		}
	}
}

// TestUntilIsOfTheWallsClock shows that what stands until a time does not outlast it where a clock is set: such a time must not
// be held against the clock that only runs, which time.Now reads too and comparisons of times prefer.
func TestUntilIsOfTheWallsClock(t *testing.T) {
	now := time.Now()
	program, err := compile(Check, "objects.all(o, timestamp(o.at) > now)")
	if err != nil {
		t.Fatal(err)
	}
	objects := ObjectsOf(map[string]any{"a": Everything().Keep(map[string]any{"at": now.Add(time.Hour).Format(time.RFC3339)})})
	_, span, err := program.HoldsWithin(Input{Objects: objects, Now: now})
	until := span.Until
	if err != nil || until.IsZero() || until != until.Round(0) { // Round(0) takes the reading of that clock away
		t.Errorf("it stands until %s, %v", until, err)
	}
	for _, kept := range objects.root.found {
		if kept.span.From != kept.span.From.Round(0) || kept.span.Until != kept.span.Until.Round(0) {
			t.Errorf("kept from %s until %s", kept.span.From, kept.span.Until)
		}
	}
	if len(objects.root.found) == 0 {
		t.Error("nothing is kept")
	}
}

// TestNothingTurnsBeforeItsTime shows for random objects that what a rule says stays the same until the time that it tells,
// and for the rules that can tell when they turn that the time is worth waiting for.
func TestNothingTurnsBeforeItsTime(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 0))
	start := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	moment := func() string {
		return start.Add(time.Duration(chance.IntN(200)-100) * time.Minute).Format(time.RFC3339)
	}
	for _, expression := range []string{
		"objects.all(o, timestamp(o.a) < now || timestamp(o.b) > now - duration('10m'))",
		"objects.exists(o, now - timestamp(o.a) > duration('90m') && timestamp(o.b) >= now)",
		"objects.filter(o, timestamp(o.a) <= now).size() > objects.filter(o, timestamp(o.b) > now).size()",
		"objects.filter(o, timestamp(o.a) < now).map(o, timestamp(o.b)).exists(b, b < now)",
		"objects.all(o, o.?c.optMap(c, timestamp(c) < now + params.ahead).orValue(timestamp(o.a) > now))",
		"objects.exists(o, timestamp(now < timestamp(o.a) ? o.b : o.a) > now + duration('5m'))",
		"objects.exists(o, now.getMinutes() == 7 && timestamp(o.a) < now)",
	} {
		program, err := compile(NamedCheck, expression)
		if err != nil {
			t.Fatal(err)
		}
		turns, waits := 0, 0
		for range 200 {
			contents := map[string]any{}
			for n := range 1 + chance.IntN(6) {
				o := map[string]any{"a": moment(), "b": moment()}
				if chance.IntN(2) == 0 {
					o["c"] = moment()
				}
				contents[fmt.Sprint(n)] = Everything().Keep(o)
			}
			in := Input{Objects: ObjectsOf(contents), Params: Params{"ahead": 10 * time.Minute}, ParamsText: "10m", Now: start.Add(time.Duration(chance.IntN(100)-50) * time.Minute)}
			holds, span, err := program.HoldsWithin(in)
			until := span.Until
			if err != nil {
				t.Fatal(err)
			}
			at := func(when time.Time) bool {
				in := in
				in.Objects, in.Now = Once(in.Objects.All()...), when
				holds, err := program.Holds(in)
				if err != nil {
					t.Fatal(err)
				}
				return holds
			}
			last := until
			if until.IsZero() {
				last = in.Now.Add(1000 * time.Hour)
			}
			first := span.From
			if first.IsZero() {
				first = in.Now.Add(-1000 * time.Hour)
			}
			for _, when := range []time.Time{in.Now.Add(time.Duration(chance.Int64N(int64(last.Sub(in.Now))))), last.Add(-1), first, first.Add(in.Now.Sub(first) / 2)} {
				if at(when) != holds {
					t.Fatalf("seed %d: %s is %v at %s and not at %s; it was to stand until %s", seed, expression, holds, in.Now, when, until)
				}
			}
			if until.IsZero() {
				continue
			}
			if waits++; at(until) != holds {
				turns++
			}
		}
		if program.Restless() != strings.Contains(expression, "getMinutes") || !program.Restless() && (turns == 0 || turns < waits/20) {
			t.Errorf("seed %d: %s turned in %d of %d times", seed, expression, turns, waits)
		}
	}
}

// TestLoopsStandUntilTheyTurn shows that time alone has no loop look again before one of its objects turns, and then at the section of that
// object alone; and that all are right again after a clock was set back.
func TestLoopsStandUntilTheyTurn(t *testing.T) {
	program, err := compile(Check, "!objects.exists(o, timestamp(o.at) < now)")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	contents := map[string]any{}
	for n := range 10 * sectionSize {
		contents[fmt.Sprint(n)] = &dated{at: start.Add(24 * time.Hour)}
	}
	contents["77"].(*dated).at = start.Add(time.Hour)
	objects := ObjectsOf(contents)
	looks := func(at time.Duration, want bool) int {
		holds, _, err := program.HoldsWithin(Input{Objects: objects, Now: start.Add(at)})
		if err != nil || holds != want {
			t.Fatal(at, holds, err)
		}
		n := 0
		for _, o := range objects.All() {
			n += o.(*dated).looks
			o.(*dated).looks = 0
		}
		return n
	}
	if n := looks(0, true); n != len(contents) {
		t.Errorf("the first time %d looks are taken at %d objects", n, len(contents))
	}
	// Of two who ask at the same moment, the one who was first may be served last.
	for _, later := range []time.Duration{-time.Millisecond, time.Second, time.Minute, time.Hour - 1} {
		if n := looks(later, true); n != 0 {
			t.Errorf("%s later %d looks are taken", later, n)
		}
	}
	if n := looks(time.Hour+1, false); n == 0 || n > sectionSize {
		t.Errorf("when one of %d objects turns %d looks are taken", len(contents), n)
	}
	looks(25*time.Hour, false)
	if n := looks(0, true); n == 0 {
		t.Error("the clock was set back and nothing is looked at")
	}
}

// dated is an object that counts how often its time is looked at.
type dated struct {
	record
	at    time.Time
	looks int
}

// Find implements traits.Mapper.
func (d *dated) Find(ref.Val) (ref.Val, bool) {
	d.looks++
	return types.String(d.at.Format(time.RFC3339)), true
}

// Get implements traits.Indexer.
func (d *dated) Get(key ref.Val) ref.Val {
	value, _ := d.Find(key)
	return value
}
