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
// parameters, and the clock's step.
func TestAskKeepsWhatARuleSaid(t *testing.T) {
	program := func(expression string) *rule.Program {
		p, err := rule.Compile(rule.NamedCheck, expression)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	fresh := program("objects.all(o, timestamp(o.at) > now - params.maxAge)")
	same := program("objects.all(o, related.others.exists(x, x.is == o.is))")
	noon := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	i := inventory.New(catalog.New(), func() time.Time { return noon })
	feed := i.ResourceFeed(catalog.Resource{Resource: "things"})
	others := i.ResourceFeed(catalog.Resource{Resource: "others"})
	things := func() *inventory.Resource { return i.Snapshot().Resource(catalog.Resource{Resource: "things"}) }
	feed.Replace(map[string]any{"a": map[string]any{"at": "2027-01-02T11:00:05Z", "is": "x"}})
	others.Replace(map[string]any{"b": map[string]any{"is": "x"}})

	hour := rule.Params{"maxAge": time.Hour}
	asks := func(at time.Time, params rule.Params, text string) bool {
		outcome := things().Ask(inventory.Question{Program: fresh, Params: text}, params, at)
		if outcome.Err != nil {
			t.Fatal(outcome.Err)
		}
		return outcome.Holds
	}
	if !asks(noon, hour, "hour") {
		t.Error("at noon it is less than an hour old")
	}
	if !asks(noon.Add(9*time.Second), hour, "hour") {
		t.Error("what was said at noon is kept until the clock's next step")
	}
	if asks(noon.Add(10*time.Second), hour, "hour") {
		t.Error("at the next step it is more than an hour old")
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
	if !asks(noon, hour, "hour") || !asks(noon.Add(29*time.Second), hour, "hour") {
		t.Error("what was said of thousands of objects is kept for ten seconds for each thousand")
	}
	if asks(noon.Add(30*time.Second), hour, "hour") {
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
