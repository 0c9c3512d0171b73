package inventory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// What a rule said is kept for as long as nothing that it saw has changed: the objects, those of related resources, its
// parameters, and the time, as far as it looks at it.
func TestAskKeepsWhatARuleSaid(t *testing.T) {
	program := func(expression string) *rule.Program {
		p, err := rule.Compile(rule.NamedCheck, expression)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	fresh := program("objects.all(o, timestamp(o.at) > now - params.maxAge)")
	restless := program("objects.all(o, now.getSeconds() < 10 || timestamp(o.at) > now - params.maxAge)")
	same := program("objects.all(o, related.others.exists(x, x.is == o.is))")
	noon := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	i := inventory.New(catalog.New(), func() time.Time { return noon })
	feed := i.ResourceFeed(catalog.Resource{Resource: "things"})
	others := i.ResourceFeed(catalog.Resource{Resource: "others"})
	things := func() *inventory.Resource { return i.Snapshot().Resource(catalog.Resource{Resource: "things"}) }
	feed.Replace(map[string]any{"a": map[string]any{"at": "2027-01-02T11:00:05Z", "is": "x"}})
	others.Replace(map[string]any{"b": map[string]any{"is": "x"}})

	hour := rule.Params{"maxAge": time.Hour}
	var until time.Time
	asking := func(program *rule.Program, at time.Time, params rule.Params, text string) bool {
		outcome := things().Ask(inventory.Question{Program: program, Params: text}, params, at)
		if outcome.Err != nil {
			t.Fatal(outcome.Err)
		}
		until = outcome.Span.Until
		return outcome.Holds
	}
	asks := func(at time.Time, params rule.Params, text string) bool { return asking(fresh, at, params, text) }
	if !asks(noon, hour, "hour") {
		t.Error("at noon it is less than an hour old")
	}
	if want := noon.Add(5 * time.Second); !until.Equal(want) {
		t.Errorf("it turns at %s and not at %s", want, until)
	}
	if !asks(noon.Add(4*time.Second), hour, "hour") || asks(noon.Add(5*time.Second), hour, "hour") {
		t.Error("five seconds past noon it is no less than an hour old")
	}
	if !asks(noon, hour, "hour") {
		t.Error("a clock that was set back has it less than an hour old again")
	}
	if !asks(noon.Add(10*time.Second), rule.Params{"maxAge": 2 * time.Hour}, "two hours") {
		t.Error("with other parameters the outcome is another")
	}
	feed.Put("a", map[string]any{"at": "2027-01-02T12:00:00Z", "is": "x"})
	if !asks(noon.Add(10*time.Second), hour, "hour") {
		t.Error("after the object has changed the outcome is another")
	}

	many := map[string]any{}
	for n := range 3500 {
		many[fmt.Sprint(n)] = map[string]any{"at": "2027-01-02T11:00:05Z", "is": "x"}
	}
	feed.Replace(many)
	if !asking(restless, noon, hour, "hour") || !asking(restless, noon.Add(29*time.Second), hour, "hour") || !until.Equal(noon.Add(30*time.Second)) {
		t.Error("what a rule said of thousands of objects that does more with the time than to compare it is kept for ten seconds for each thousand")
	}
	if asking(restless, noon.Add(30*time.Second), hour, "hour") {
		t.Error("at the next step they are more than an hour old")
	}
	feed.Replace(map[string]any{"a": map[string]any{"at": "2027-01-02T12:00:00Z", "is": "x"}})

	related := func() bool {
		s := i.Snapshot()
		q := inventory.Question{Program: same, Related: map[string]*inventory.Resource{"others": s.Resource(catalog.Resource{Resource: "others"})}}
		return s.Resource(catalog.Resource{Resource: "things"}).Ask(q, nil, noon).Holds
	}
	if !related() {
		t.Error("it has a related object")
	}
	others.Put("b", map[string]any{"is": "y"})
	if related() {
		t.Error("after the related object has changed the outcome is another")
	}
}
