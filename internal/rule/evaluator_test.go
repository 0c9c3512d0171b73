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

// ruleVariety returns rules of every form on widgets, gadgets and classes.
func ruleVariety(t testing.TB) []Instance {
	related := []v1alpha1.RelatedResource{{Name: "classes", Resource: *reference(classes)}}
	var instances []Instance
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
		instances = append(instances, compiledInstance(t, spec))
	}
	return append(instances, NewInstance(NewMatchRule(*reference(widgets), "", "string(object.status.n)"), nil, ""))
}

// After any changes the outcomes are those of a new evaluator with the same objects.
func TestOutcomesFollowChanges(t *testing.T) {
	instances := ruleVariety(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := newTestEvaluator(t)
		c.SetInstances(instances)
		type content struct {
			state   facts.SourceState
			objects map[string]map[string]any
		}
		contents := map[Resource]*content{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			resource := rapid.SampledFrom([]Resource{widgets, gadgets, classes}).Draw(rt, "resource")
			current := contents[resource]
			if current == nil {
				current = &content{objects: map[string]map[string]any{}}
				contents[resource] = current
			}
			source := c.Source(resource)
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name")
			object := newWidget(name, map[string]any{"n": int64(rapid.IntRange(0, 4).Draw(rt, "n"))})
			switch rapid.IntRange(0, 7).Draw(rt, "change") {
			case 0:
				current.state, current.objects = facts.Synced, map[string]map[string]any{"shop/" + name: object}
				c.setObjects(resource, AllFields(), object)
			case 1:
				current.state = rapid.SampledFrom([]facts.SourceState{facts.NotServed, facts.Failing, facts.Pending}).Draw(rt, "state")
				current.objects = map[string]map[string]any{}
				source.SetState(current.state, "why")
			case 2:
				delete(current.objects, "shop/"+name)
				source.Delete("shop/" + name)
			case 3:
				c.now = c.now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(rt, "hours")) * time.Hour)
				c.Refresh()
			case 4:
				delete(contents, resource)
				source.Close()
			default:
				if current.state == facts.Synced {
					current.objects["shop/"+name] = object
					source.Put(c.prune(AllFields(), object))
				}
			}
			if rapid.Bool().Draw(rt, "evaluate") {
				c.Flush()
			}
		}
		fresh := newTestEvaluator(t)
		fresh.now = c.now
		fresh.SetInstances(instances)
		for resource, current := range contents {
			switch current.state {
			case facts.Synced:
				var objects []map[string]any
				for _, object := range current.objects {
					objects = append(objects, object)
				}
				fresh.setObjects(resource, AllFields(), objects...)
			case facts.Pending: // the state of a new source
				c.Source(resource).SetState(facts.Pending, "")
				fresh.Source(resource)
			default:
				fresh.Source(resource).SetState(current.state, "why")
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

func TestUnchangedOutcomesAreNotRecorded(t *testing.T) {
	instance := compiledInstance(t, v1alpha1.Rule{Expression: "object.status.ok"})
	c := newTestEvaluator(t)
	good := newWidget("a", map[string]any{"ok": true, "notRead": "x"})
	c.setObjects(widgets, instance.ReadFields(""), good)
	c.evaluateInstance(instance)
	recorded := c.recordCount
	good["status"] = map[string]any{"ok": true, "notRead": "y"}
	c.setObjects(widgets, instance.ReadFields(""), good)
	c.Source(widgets).Put(c.prune(instance.ReadFields(""), good))
	c.SetInstances([]Instance{instance})
	if c.hasPending() {
		t.Error("a change of a field that the rule does not read causes an evaluation")
	}
	c.Refresh()
	c.Flush()
	if c.recordCount != recorded {
		t.Error("an unchanged outcome was recorded")
	}
	c.SetInstances(nil)
	if c.outcomes[instance.Key] != nil {
		t.Error("the outcome of a removed instance remains")
	}
}

// A rule that costs too much on all of its objects is stopped. After a change it is evaluated on all objects again.
func TestRuleIsStoppedAtItsBudget(t *testing.T) {
	instance := compiledInstance(t, v1alpha1.Rule{Expression: "object.status.ok && object.status.list.all(n, n > 0)"})
	c := newTestEvaluator(t)
	c.budget = 3000
	good := func(name string, length int) map[string]any {
		return newWidget(name, map[string]any{"ok": true, "list": slices.Repeat([]any{int64(1)}, length)})
	}
	c.setObjects(widgets, instance.ReadFields(""), good("a", 300), good("b", 300), good("c", 300), good("d", 300), good("e", 300))
	if got := c.evaluateInstance(instance); !errors.Is(got.Err, ErrTooCostly) || got.IsSatisfied {
		t.Fatalf("got %s, want %v", got, ErrTooCostly)
	}
	for _, name := range []string{"b", "c", "d", "e"} {
		c.Source(widgets).Put(c.prune(instance.ReadFields(""), good(name, 1)))
	}
	if got := c.evaluateInstance(instance); !got.IsSatisfied || got.Matched != 5 || got.Err != nil {
		t.Errorf("with shorter lists: %s", got)
	}
}

// A closed source does not change the source that replaced it.
func TestClosedSourceIsIgnored(t *testing.T) {
	instance := compiledInstance(t, v1alpha1.Rule{Expression: "true"})
	c := newTestEvaluator(t)
	c.SetInstances([]Instance{instance})
	closed := c.Source(widgets)
	closed.Close()
	c.setObjects(widgets, AllFields(), newWidget("a", nil))
	for name, call := range map[string]func(){
		"Put":      func() { closed.Put(c.prune(AllFields(), newWidget("b", nil))) },
		"Delete":   func() { closed.Delete("shop/a") },
		"Replace":  func() { closed.Replace(nil) },
		"SetState": func() { closed.SetState(facts.Failing, "late") },
		"Close":    func() { closed.Close() },
	} {
		call()
		if got := c.evaluateInstance(instance); got.State != facts.Synced || got.Matched != 1 {
			t.Errorf("after %s: %s", name, got)
		}
	}
}

func TestRun(t *testing.T) {
	instance := compiledInstance(t, v1alpha1.Rule{Expression: "now < timestamp('2027-01-02T12:00:00Z') + duration(string(object.status.hours) + 'h')"})
	r := newRecorder()
	synctest.Test(t, func(t *testing.T) {
		startTime := time.Now()
		c := &testEvaluator{recorder: r, t: t}
		c.Evaluator = NewEvaluator(func() time.Time { return noon.Add(time.Since(startTime)) }, r)
		c.SetInstances([]Instance{instance})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.Run(ctx)
		wait := func(d time.Duration) *Outcome {
			time.Sleep(d)
			synctest.Wait()
			return r.outcomes[instance.Key]
		}
		c.setObjects(widgets, AllFields(), newWidget("a", map[string]any{"hours": int64(0)}))
		if got := wait(time.Millisecond); got == nil || got.IsSatisfied {
			t.Fatalf("after an object was added: %v", got)
		}
		c.setObjects(widgets, AllFields(), newWidget("a", map[string]any{"hours": int64(1)}))
		if got := wait(time.Second); !got.IsSatisfied {
			t.Fatalf("after the object changed: %s", got)
		}
		if got := wait(59 * time.Minute); !got.IsSatisfied {
			t.Errorf("before its time: %s", got)
		}
		if got := wait(time.Minute + refreshInterval); got.IsSatisfied {
			t.Errorf("half a minute after its time: %s", got)
		}
	})
}

// BenchmarkChange measures a change of one of 10,000 objects, until the outcome is recorded.
func BenchmarkChange(b *testing.B) {
	instance := compiledInstance(b, v1alpha1.Rule{
		Variables:  []v1alpha1.Variable{{Name: "ready", Expression: "object.?status.?conditions.orValue([]).filter(c, c.type == 'Ready')"}},
		Expression: "!variables.ready.exists(c, c.status == 'False')", MessageExpression: "variables.ready.map(c, c.reason).join(', ')",
	})
	c := newTestEvaluator(b)
	var objects []map[string]any
	condition := func(status string) map[string]any {
		return map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": status, "reason": "Issuing"}}}
	}
	for n := range 10_000 {
		objects = append(objects, newWidget(fmt.Sprint("w-", n), condition("True")))
	}
	c.setObjects(widgets, instance.ReadFields(""), objects...)
	c.evaluateInstance(instance)
	source := c.Source(widgets)
	changed := []Object{
		c.prune(instance.ReadFields(""), newWidget("w-7", condition("False"))),
		c.prune(instance.ReadFields(""), newWidget("w-7", condition("True"))),
	}
	b.ResetTimer()
	for n := range b.N {
		source.Put(changed[n%2])
		c.Flush()
	}
}

// BenchmarkRefresh measures the periodic evaluation of a rule that uses now on 10,000 objects.
func BenchmarkRefresh(b *testing.B) {
	instance := compiledInstance(b, v1alpha1.Rule{Expression: "!object.?status.?notAfter.optMap(t, timestamp(t) < now + duration('336h')).orValue(false)"})
	c := newTestEvaluator(b)
	var objects []map[string]any
	for n := range 10_000 {
		objects = append(objects, newWidget(fmt.Sprint("w-", n), map[string]any{"notAfter": noon.Add(1000 * time.Hour).Format(time.RFC3339)}))
	}
	c.setObjects(widgets, instance.ReadFields(""), objects...)
	c.evaluateInstance(instance)
	b.ResetTimer()
	for range b.N {
		c.Refresh()
		c.Flush()
	}
}
