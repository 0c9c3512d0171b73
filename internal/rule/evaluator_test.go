package rule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// sortsOfRules are rules of every form over widgets, gadgets and classes.
func sortsOfRules(t testing.TB) []Instance {
	related := []v1alpha1.RelatedResource{{Name: "classes", Resource: *reference(classes)}}
	var all []Instance
	for _, spec := range []v1alpha1.Rule{
		{Expression: "object.status.n > 0", MessageExpression: "'it is ' + string(object.status.n)"},
		{Match: "object.status.n > 1", Expression: "object.status.n == 2", Require: v1alpha1.RequireAny},
		{Expression: "object.status.n == 3", Require: v1alpha1.RequireExactlyOne},
		{Expression: "object.status.n < 3", MinPercent: 60, WhenEmpty: v1alpha1.EmptyFailed},
		{Resources: []v1alpha1.ResourceReference{*reference(widgets), *reference(gadgets)}, Expression: "object.status.n != 1"},
		{Related: related, Variables: []v1alpha1.Variable{{Name: "known", Expression: "related.classes.map(c, c.status.n)"}}, Expression: "object.status.n in variables.known"},
		{ListExpression: "objects.size() < 3", MessageExpression: "string(objects.size())"},
		{Expression: "now < timestamp('2027-01-02T12:00:00Z') + duration(string(object.status.n) + 'h')"},
	} {
		all = append(all, compiled(t, spec))
	}
	return append(all, NewInstance(NewMatchRule(*reference(widgets), "", "string(object.status.n)"), nil, ""))
}

// Whatever changes came before, the outcomes are those of an evaluator that was just started.
func TestOutcomesFollowChanges(t *testing.T) {
	instances := sortsOfRules(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(t)
		c.SetInstances(instances)
		type content struct {
			state   facts.SourceState
			objects map[string]map[string]any
		}
		held := map[Resource]*content{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			resource := rapid.SampledFrom([]Resource{widgets, gadgets, classes}).Draw(rt, "resource")
			h := held[resource]
			if h == nil {
				h = &content{objects: map[string]map[string]any{}}
				held[resource] = h
			}
			feed := c.Source(resource)
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name")
			object := widget(name, map[string]any{"n": int64(rapid.IntRange(0, 4).Draw(rt, "n"))})
			switch rapid.IntRange(0, 7).Draw(rt, "change") {
			case 0:
				h.state, h.objects = facts.Synced, map[string]map[string]any{"shop/" + name: object}
				c.has(resource, AllFields(), object)
			case 1:
				h.state = rapid.SampledFrom([]facts.SourceState{facts.NotServed, facts.Failing, facts.Pending}).Draw(rt, "state")
				h.objects = map[string]map[string]any{}
				feed.SetState(h.state, "why")
			case 2:
				delete(h.objects, "shop/"+name)
				feed.Delete("shop/" + name)
			case 3:
				c.now = c.now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(rt, "hours")) * time.Hour)
				c.Refresh()
			case 4:
				delete(held, resource)
				feed.Close()
			default:
				if h.state == facts.Synced {
					h.objects["shop/"+name] = object
					feed.Put(c.keep(AllFields(), object))
				}
			}
			if rapid.Bool().Draw(rt, "evaluate") {
				c.Flush()
			}
		}
		fresh := newCluster(t)
		fresh.now = c.now
		fresh.SetInstances(instances)
		for resource, h := range held {
			switch h.state {
			case facts.Synced:
				var objects []map[string]any
				for _, object := range h.objects {
					objects = append(objects, object)
				}
				fresh.has(resource, AllFields(), objects...)
			case facts.Pending: // as a feed that was just opened is
				c.Source(resource).SetState(facts.Pending, "")
				fresh.Source(resource)
			default:
				fresh.Source(resource).SetState(h.state, "why")
			}
		}
		c.Flush()
		fresh.Flush()
		for _, instance := range instances {
			if got, want := fmt.Sprint(c.outcomes[instance.Key]), fmt.Sprint(fresh.outcomes[instance.Key]); got != want {
				rt.Fatalf("%+v\ngot  %s\nwant %s", instance.Spec, got, want)
			}
		}
	})
}

func TestNothingIsRecordedWhenNothingChanged(t *testing.T) {
	instance := compiled(t, v1alpha1.Rule{Expression: "object.status.ok"})
	c := newCluster(t)
	good := widget("a", map[string]any{"ok": true, "notRead": "x"})
	c.has(widgets, instance.ReadFields(""), good)
	c.outcome(instance)
	recorded := c.recorded
	good["status"] = map[string]any{"ok": true, "notRead": "y"}
	c.has(widgets, instance.ReadFields(""), good)
	c.Source(widgets).Put(c.keep(instance.ReadFields(""), good))
	c.SetInstances([]Instance{instance})
	if c.hasWork() {
		t.Error("a change of a field that no rule reads has the rule evaluated")
	}
	c.Refresh()
	c.Flush()
	if c.recorded != recorded {
		t.Error("an outcome was recorded although nothing changed")
	}
	c.SetInstances(nil)
	if c.outcomes[instance.Key] != nil {
		t.Error("the outcome of an instance that is not wanted any more is still there")
	}
}

// A rule that costs too much over all of its objects is stopped, and evaluated on all of them again when one changes.
func TestARuleThatCostsTooMuchInAllIsStopped(t *testing.T) {
	instance := compiled(t, v1alpha1.Rule{Expression: "object.status.ok && object.status.list.all(n, n > 0)"})
	c := newCluster(t)
	c.budget = 3000
	good := func(name string, length int) map[string]any {
		return widget(name, map[string]any{"ok": true, "list": slices.Repeat([]any{int64(1)}, length)})
	}
	c.has(widgets, instance.ReadFields(""), good("a", 300), good("b", 300), good("c", 300), good("d", 300), good("e", 300))
	if got := c.outcome(instance); !errors.Is(got.Err, ErrTooCostly) || got.IsSatisfied {
		t.Fatalf("got %s, want %v", got, ErrTooCostly)
	}
	for _, name := range []string{"b", "c", "d", "e"} {
		c.Source(widgets).Put(c.keep(instance.ReadFields(""), good(name, 1)))
	}
	if got := c.outcome(instance); !got.IsSatisfied || got.Matched != 5 || got.Err != nil {
		t.Errorf("with shorter lists: %s", got)
	}
}

// A feed that was closed delivers nothing to the one that was opened after it.
func TestAClosedFeedDeliversNothing(t *testing.T) {
	instance := compiled(t, v1alpha1.Rule{Expression: "true"})
	c := newCluster(t)
	c.SetInstances([]Instance{instance})
	old := c.Source(widgets)
	old.Close()
	c.has(widgets, AllFields(), widget("a", nil))
	for name, late := range map[string]func(){
		"Put":     func() { old.Put(c.keep(AllFields(), widget("b", nil))) },
		"Drop":    func() { old.Delete("shop/a") },
		"Replace": func() { old.Replace(nil) },
		"Lose":    func() { old.SetState(facts.Failing, "late") },
		"Close":   func() { old.Close() },
	} {
		late()
		if got := c.outcome(instance); got.State != facts.Synced || got.Matched != 1 {
			t.Errorf("after %s: %s", name, got)
		}
	}
}

func TestRunEvaluatesChangesAtOnceAndTimeEveryHalfMinute(t *testing.T) {
	instance := compiled(t, v1alpha1.Rule{Expression: "now < timestamp('2027-01-02T12:00:00Z') + duration(string(object.status.hours) + 'h')"})
	r := newRecorder()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := &cluster{recorder: r, t: t}
		c.Evaluator = NewEvaluator(func() time.Time { return noon.Add(time.Since(began)) }, r)
		c.SetInstances([]Instance{instance})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.Run(ctx)
		wait := func(d time.Duration) *Outcome {
			time.Sleep(d)
			synctest.Wait()
			return r.outcomes[instance.Key]
		}
		c.has(widgets, AllFields(), widget("a", map[string]any{"hours": int64(0)}))
		if got := wait(time.Millisecond); got == nil || got.IsSatisfied {
			t.Fatalf("after an object came: %v", got)
		}
		c.has(widgets, AllFields(), widget("a", map[string]any{"hours": int64(1)}))
		if got := wait(time.Second); !got.IsSatisfied {
			t.Fatalf("after the object changed: %s", got)
		}
		if got := wait(59 * time.Minute); !got.IsSatisfied {
			t.Errorf("before its time: %s", got)
		}
		if got := wait(time.Minute + evaluateTimed); got.IsSatisfied {
			t.Errorf("half a minute after its time: %s", got)
		}
	})
}

// BenchmarkChange is what a change of one of 10,000 objects costs until its outcome is recorded.
func BenchmarkChange(b *testing.B) {
	instance := compiled(b, v1alpha1.Rule{
		Variables:  []v1alpha1.Variable{{Name: "ready", Expression: "object.?status.?conditions.orValue([]).filter(c, c.type == 'Ready')"}},
		Expression: "!variables.ready.exists(c, c.status == 'False')", MessageExpression: "variables.ready.map(c, c.reason).join(', ')",
	})
	c := newCluster(b)
	var objects []map[string]any
	condition := func(status string) map[string]any {
		return map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": status, "reason": "Issuing"}}}
	}
	for n := range 10_000 {
		objects = append(objects, widget(fmt.Sprint("w-", n), condition("True")))
	}
	c.has(widgets, instance.ReadFields(""), objects...)
	c.outcome(instance)
	feed := c.Source(widgets)
	changed := []Object{c.keep(instance.ReadFields(""), widget("w-7", condition("False"))), c.keep(instance.ReadFields(""), widget("w-7", condition("True")))}
	b.ResetTimer()
	for n := range b.N {
		feed.Put(changed[n%2])
		c.Flush()
	}
}

// BenchmarkRefresh is what a rule that depends on the time costs every half minute over 10,000 objects.
func BenchmarkRefresh(b *testing.B) {
	instance := compiled(b, v1alpha1.Rule{Expression: "!object.?status.?notAfter.optMap(t, timestamp(t) < now + duration('336h')).orValue(false)"})
	c := newCluster(b)
	var objects []map[string]any
	for n := range 10_000 {
		objects = append(objects, widget(fmt.Sprint("w-", n), map[string]any{"notAfter": noon.Add(1000 * time.Hour).Format(time.RFC3339)}))
	}
	c.has(widgets, instance.ReadFields(""), objects...)
	c.outcome(instance)
	b.ResetTimer()
	for range b.N {
		c.Refresh()
		c.Flush()
	}
}
