package rule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

func TestCompileErrors(t *testing.T) {
	deep := "x != y"
	for _, name := range []string{"y", "x", "c", "b", "a"} {
		deep = "object.list.all(" + name + ", " + deep + ")"
	}
	for name, test := range map[string]struct {
		rule        v1alpha1.Rule
		scope       Scope
		field, want string
	}{
		"a syntax mistake":               {v1alpha1.Rule{Expression: "object.a.exists(o, "}, ProfileScope, "spec.rule.expression", "Syntax error"},
		"an unknown variable":            {v1alpha1.Rule{Expression: "pods.size() > 0"}, ProfileScope, "spec.rule.expression", "undeclared reference to 'pods'"},
		"the list in a rule of objects":  {v1alpha1.Rule{Expression: "objects.size() > 0"}, ProfileScope, "spec.rule.expression", "undeclared reference to 'objects'"},
		"an object in a rule of lists":   {v1alpha1.Rule{ListExpression: "object.a"}, ProfileScope, "spec.rule.listExpression", "undeclared reference to 'object'"},
		"params in a profile's rule":     {v1alpha1.Rule{Expression: "params.x == 1"}, ProfileScope, "spec.rule.expression", "undeclared reference to 'params'"},
		"version in a profile's rule":    {v1alpha1.Rule{Expression: "version == '1'"}, ProfileScope, "spec.rule.expression", "undeclared reference to 'version'"},
		"an expression of another type":  {v1alpha1.Rule{Expression: "object.a.size()"}, ProfileScope, "spec.rule.expression", "must evaluate to bool, not int"},
		"a message of another type":      {v1alpha1.Rule{Expression: "true", MessageExpression: "1"}, ProfileScope, "spec.rule.messageExpression", "must evaluate to string, not int"},
		"a mistake in match":             {v1alpha1.Rule{Expression: "true", Match: "object."}, ProfileScope, "spec.rule.match", "Syntax error"},
		"a list's match and variables":   {v1alpha1.Rule{ListExpression: "true", Match: "variables.a == 1", Variables: []v1alpha1.Variable{{Name: "a", Expression: "1"}}}, ProfileScope, "spec.rule.match", "variable \"a\""},
		"a mistake in a variable":        {v1alpha1.Rule{Expression: "true", Variables: []v1alpha1.Variable{{Name: "a", Expression: "object."}}}, ProfileScope, "spec.rule.variables[0].expression", "Syntax error"},
		"a variable that does not exist": {v1alpha1.Rule{Expression: "variables.b == 1", Variables: []v1alpha1.Variable{{Name: "a", Expression: "1"}}}, ProfileScope, "spec.rule.expression", "variable \"b\""},
		"a variable before its value":    {v1alpha1.Rule{Expression: "true", Variables: []v1alpha1.Variable{{Name: "a", Expression: "variables.b"}, {Name: "b", Expression: "1"}}}, ProfileScope, "spec.rule.variables[0].expression", "variable \"b\""},
		"loops in each other":            {v1alpha1.Rule{Expression: deep}, CheckScope, "spec.rule.expression", "costs too much"},
	} {
		t.Run(name, func(t *testing.T) {
			test.rule.Resource = reference(widgets)
			errs := New(&test.rule, test.scope, "").Compile(field.NewPath("spec", "rule"))
			if len(errs) != 1 || errs[0].Field != test.field || !strings.Contains(errs[0].Detail, test.want) ||
				strings.Contains(errs[0].Error(), "\n") {
				t.Errorf("got %v, want %s with %q in one line", errs, test.field, test.want)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	good, bad := map[string]any{"phase": "Ready"}, map[string]any{"phase": "Failed", "reason": "NoDisk"}
	const ready = "object.status.phase == 'Ready'"
	const reason = "object.status.?reason.orValue('')"
	for name, test := range map[string]struct {
		rule      v1alpha1.Rule
		objects   []map[string]any
		satisfied bool
		counts    string // satisfied/matched
		message   string
		err       string
	}{
		"all are good":              {rule: v1alpha1.Rule{Expression: ready}, objects: []map[string]any{newWidget("a", good), newWidget("b", good)}, satisfied: true, counts: "2/2"},
		"one is bad":                {rule: v1alpha1.Rule{Expression: ready, MessageExpression: reason}, objects: []map[string]any{newWidget("a", good), newWidget("b", bad)}, counts: "1/2", message: "1 of 2 widgets fail: shop/b: NoDisk"},
		"two are bad":               {rule: v1alpha1.Rule{Expression: ready, MessageExpression: reason}, objects: []map[string]any{newWidget("b", bad), newWidget("a", bad)}, counts: "0/2", message: "2 of 2 widgets fail: shop/a: NoDisk; shop/b: NoDisk"},
		"no message expression":     {rule: v1alpha1.Rule{Expression: ready}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", message: "the message: 1 of 1 widgets fail: shop/a"},
		"a message that fails":      {rule: v1alpha1.Rule{Expression: ready, MessageExpression: "object.status.nothing"}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", message: "the message: 1 of 1 widgets fail: shop/a"},
		"a message with the name":   {rule: v1alpha1.Rule{Expression: ready, MessageExpression: "'Widget shop/' + object.metadata.name + ' has no disk'"}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", message: "1 of 1 widgets fail: Widget shop/a has no disk"},
		"a message with another":    {rule: v1alpha1.Rule{Expression: ready, MessageExpression: "'see shop/a-1'"}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", message: "1 of 1 widgets fail: shop/a: see shop/a-1"},
		"none, all asked":           {rule: v1alpha1.Rule{Expression: ready}, satisfied: true, counts: "0/0"},
		"none, failed when empty":   {rule: v1alpha1.Rule{Expression: ready, WhenEmpty: v1alpha1.EmptyFailed}, counts: "0/0", message: "the message"},
		"any, one is good":          {rule: v1alpha1.Rule{Expression: ready, Require: v1alpha1.RequireAny}, objects: []map[string]any{newWidget("a", bad), newWidget("b", good)}, satisfied: true, counts: "1/2"},
		"any, none is good":         {rule: v1alpha1.Rule{Expression: ready, Require: v1alpha1.RequireAny, MessageExpression: reason}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", message: "the message: none of 1 widgets satisfies it: shop/a: NoDisk"},
		"any, none at all":          {rule: v1alpha1.Rule{Expression: ready, Require: v1alpha1.RequireAny}, counts: "0/0", message: "the message"},
		"any, empty is enough":      {rule: v1alpha1.Rule{Expression: ready, Require: v1alpha1.RequireAny, WhenEmpty: v1alpha1.EmptySatisfied}, satisfied: true, counts: "0/0"},
		"exactly one":               {rule: v1alpha1.Rule{Expression: ready, Require: v1alpha1.RequireExactlyOne}, objects: []map[string]any{newWidget("a", bad), newWidget("b", good)}, satisfied: true, counts: "1/2"},
		"exactly one, two are":      {rule: v1alpha1.Rule{Expression: ready, Require: v1alpha1.RequireExactlyOne}, objects: []map[string]any{newWidget("a", good), newWidget("b", good), newWidget("c", bad)}, counts: "2/3", message: "the message: 2 of 3 widgets satisfy it: shop/a; shop/b"},
		"a share that is reached":   {rule: v1alpha1.Rule{Expression: ready, MinPercent: 50}, objects: []map[string]any{newWidget("a", bad), newWidget("b", good)}, satisfied: true, counts: "1/2"},
		"a share that is missed":    {rule: v1alpha1.Rule{Expression: ready, MinPercent: 51}, objects: []map[string]any{newWidget("a", bad), newWidget("b", good)}, counts: "1/2", message: "the message: 1 of 2 widgets fail: shop/a"},
		"match leaves out":          {rule: v1alpha1.Rule{Match: "object.metadata.name != 'b'", Expression: ready}, objects: []map[string]any{newWidget("a", good), newWidget("b", bad)}, satisfied: true, counts: "1/1"},
		"match by a variable":       {rule: v1alpha1.Rule{Variables: []v1alpha1.Variable{{Name: "mine", Expression: "['a']"}}, Match: "object.metadata.name in variables.mine", Expression: ready}, objects: []map[string]any{newWidget("a", good), newWidget("b", bad)}, satisfied: true, counts: "1/1"},
		"variables":                 {rule: v1alpha1.Rule{Variables: []v1alpha1.Variable{{Name: "phase", Expression: "object.status.phase"}, {Name: "good", Expression: "variables.phase == 'Ready'"}}, Expression: "variables.good", MessageExpression: "'it is ' + variables.phase"}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", message: "1 of 1 widgets fail: shop/a: it is Failed"},
		"an error":                  {rule: v1alpha1.Rule{Expression: "object.status.missing"}, objects: []map[string]any{newWidget("a", good)}, counts: "0/1", err: "Widget shop/a: no such key: missing"},
		"an error in match":         {rule: v1alpha1.Rule{Match: "object.status.missing", Expression: "true"}, objects: []map[string]any{newWidget("a", good)}, counts: "0/1", err: "Widget shop/a: no such key: missing"},
		"an error beside a failure": {rule: v1alpha1.Rule{Expression: "object.status.reason != 'NoDisk'"}, objects: []map[string]any{newWidget("a", good), newWidget("b", bad)}, counts: "0/2", message: "the message: 2 of 2 widgets fail: shop/b; and 1 more"},
		"an error beside the one":   {rule: v1alpha1.Rule{Expression: "object.status.reason == 'NoDisk'", Require: v1alpha1.RequireAny}, objects: []map[string]any{newWidget("a", good), newWidget("b", bad)}, satisfied: true, counts: "1/2"},
		"a list":                    {rule: v1alpha1.Rule{ListExpression: "objects.size() == 2 && objects[0].metadata.name == 'a'"}, objects: []map[string]any{newWidget("b", bad), newWidget("a", bad)}, satisfied: true, counts: "0/2"},
		"a list that fails":         {rule: v1alpha1.Rule{ListExpression: "objects.size() == 1", MessageExpression: "string(objects.size()) + ' are too many'"}, objects: []map[string]any{newWidget("b", bad), newWidget("a", bad)}, counts: "0/2", message: "2 are too many"},
		"a list that is empty":      {rule: v1alpha1.Rule{ListExpression: "objects.size() == 1", MessageExpression: "'none'"}, counts: "0/0", message: "the message"},
		"a list of what matches":    {rule: v1alpha1.Rule{Match: ready, ListExpression: "objects.size() == 1"}, objects: []map[string]any{newWidget("b", bad), newWidget("a", good)}, satisfied: true, counts: "0/1"},
		"a list with an error":      {rule: v1alpha1.Rule{ListExpression: "objects[7] == 1"}, objects: []map[string]any{newWidget("a", bad)}, counts: "0/1", err: "index out of bounds"},
	} {
		t.Run(name, func(t *testing.T) {
			instance := compiledInstance(t, test.rule)
			c := newTestEvaluator(t)
			c.setObjects(widgets, instance.ReadFields(""), test.objects...)
			got := c.evaluateInstance(instance)
			if got.State != facts.Synced || got.IsSatisfied != test.satisfied || fmt.Sprintf("%d/%d", got.Satisfied, got.Matched) != test.counts {
				t.Errorf("got %s, want satisfied=%t %s", got, test.satisfied, test.counts)
			}
			if test.err != "" {
				if got.Err == nil || !strings.Contains(got.Err.Error(), test.err) {
					t.Errorf("the error is %v, want %q", got.Err, test.err)
				}
				return
			}
			if got.Err != nil {
				t.Errorf("the error is %v", got.Err)
			}
			if message := got.Explain(instance.Rule, "the message"); !test.satisfied && message != test.message {
				t.Errorf("the message is %q, want %q", message, test.message)
			}
		})
	}
}

func TestOutcomeListsFewObjects(t *testing.T) {
	instance := compiledInstance(t, v1alpha1.Rule{Expression: "object.status.ok", MessageExpression: "'no'"})
	c := newTestEvaluator(t)
	var objects []map[string]any
	for n := range 214 {
		objects = append(objects, newWidget(fmt.Sprintf("w-%03d", 213-n), map[string]any{"ok": n%3 > 0}))
	}
	c.setObjects(widgets, instance.ReadFields(""), objects...)
	got := c.evaluateInstance(instance)
	if got.Matched != 214 || got.Satisfied != 142 || len(got.Objects) != maxObjects {
		t.Fatalf("got %s", got)
	}
	if first := got.Objects[0]; first.Key != "shop/w-000" || first.APIVersion != "example.com/v1" || first.Kind != "Widget" {
		t.Errorf("the first object is %+v", first)
	}
	if message := got.Explain(instance.Rule, "m"); !strings.HasPrefix(message, "72 of 214 widgets fail: shop/w-000: no; shop/w-003: no; ") ||
		!strings.HasSuffix(message, "; and 56 more") {
		t.Errorf("the message is %q", message)
	}
}

func TestVariables(t *testing.T) {
	spec := v1alpha1.Rule{
		Resource: reference(widgets),
		Related:  []v1alpha1.RelatedResource{{Name: "classes", Resource: *reference(classes)}},
		Variables: []v1alpha1.Variable{
			{Name: "known", Expression: "related.classes.map(c, c.metadata.name)"}, // the same for all objects
			{Name: "age", Expression: "now - timestamp(object.status.since)"},
		},
		Expression:        "object.status.class in variables.known && variables.age < params.maxAge && version == '1.2.3' && versionFrom == 'ImageTag'",
		MessageExpression: "'class ' + object.status.class + ' of ' + variables.known.join(',') + ', version ' + version",
	}
	r := New(&spec, CheckScope, "")
	if !r.UsesNow() || !r.UsesVersion() {
		t.Error("UsesNow or UsesVersion is false")
	}
	instance := NewInstance(r, Params{"maxAge": time.Hour}, "alpha")
	c := newTestEvaluator(t)
	c.setObjects(widgets, instance.ReadFields(""),
		newWidget("a", map[string]any{"class": "gold", "since": noon.Add(-30 * time.Minute).Format(time.RFC3339)}))
	c.setObjects(classes, instance.ReadFields("classes"), newObject("Class", "", "gold", nil))
	c.SetVersion("alpha", "1.2.3", "ImageTag")
	c.SetInstances([]Instance{instance})
	isSatisfied := func() bool {
		c.Flush()
		return c.outcomes[instance.Key].IsSatisfied
	}
	if !isSatisfied() {
		t.Fatalf("got %s", c.outcomes[instance.Key])
	}
	for name, change := range map[string]struct{ apply, undo func() }{
		"another version":    {func() { c.SetVersion("alpha", "1.2.4", "ImageTag") }, func() { c.SetVersion("alpha", "1.2.3", "ImageTag") }},
		"a class that goes":  {func() { c.Source(classes).Delete("gold") }, func() { c.setObjects(classes, instance.ReadFields("classes"), newObject("Class", "", "gold", nil)) }},
		"time that passes":   {func() { c.now = noon.Add(time.Hour); c.Refresh() }, func() { c.now = noon; c.Refresh() }},
		"no class is served": {func() { c.Source(classes).SetState(facts.NotServed, "") }, func() { c.setObjects(classes, instance.ReadFields("classes"), newObject("Class", "", "gold", nil)) }},
	} {
		t.Run(name, func(t *testing.T) {
			change.apply()
			if isSatisfied() {
				t.Errorf("after the change: %s", c.outcomes[instance.Key])
			}
			change.undo()
			if !isSatisfied() {
				t.Errorf("after the change was undone: %s", c.outcomes[instance.Key])
			}
		})
	}
}

func TestRuleOnSeveralResources(t *testing.T) {
	instance := compiledInstance(t, v1alpha1.Rule{
		Resources:         []v1alpha1.ResourceReference{*reference(widgets), *reference(gadgets)},
		Expression:        "object.status.ok",
		MessageExpression: "'this ' + object.kind + ' is not'",
	})
	c := newTestEvaluator(t)
	c.setObjects(widgets, instance.ReadFields(""), newWidget("same", map[string]any{"ok": true}))
	if got := c.evaluateInstance(instance); got.State != facts.Pending ||
		!strings.Contains(got.Reason, "gadgets.example.com has not synced yet") {
		t.Errorf("before the second resource has synced: %s", got)
	}
	c.Source(gadgets).SetState(facts.NotServed, "")
	if got := c.evaluateInstance(instance); !got.IsSatisfied || got.Matched != 1 {
		t.Errorf("where the second kind is not served: %s", got)
	}
	c.setObjects(gadgets, instance.ReadFields(""), newObject("Gadget", "shop", "same", map[string]any{"ok": false}))
	if got := c.evaluateInstance(instance); got.IsSatisfied ||
		got.Explain(instance.Rule, "") != "1 of 2 widgets and gadgets fail: shop/same: this Gadget is not" {
		t.Errorf("with an object of the same name in both: %s", got)
	}
	c.Source(gadgets).SetState(facts.Failing, "no permission")
	if got := c.evaluateInstance(instance); got.State != facts.Failing || got.Reason != "no permission" {
		t.Errorf("where the second kind cannot be read: %s", got)
	}
	c.Source(gadgets).SetState(facts.NotServed, "")
	c.Source(widgets).SetState(facts.NotServed, "")
	if got := c.evaluateInstance(instance); got.State != facts.NotServed {
		t.Errorf("where neither is served: %s", got)
	}
}

func TestMatchRule(t *testing.T) {
	match := NewMatchRule(*reference(widgets), "object.metadata.name != 'other'", "object.?status.?version.orValue('')")
	instance := NewInstance(match, nil, "")
	c := newTestEvaluator(t)
	for name, test := range map[string]struct {
		objects []map[string]any
		want    string
	}{
		"one object":         {[]map[string]any{newWidget("a", map[string]any{"version": "1.2.3"})}, "1.2.3"},
		"objects that agree": {[]map[string]any{newWidget("a", map[string]any{"version": "1.2.3"}), newWidget("b", map[string]any{"version": "1.2.3"}), newWidget("c", nil)}, "1.2.3"},
		"objects that don't": {[]map[string]any{newWidget("a", map[string]any{"version": "1.2.3"}), newWidget("b", map[string]any{"version": "1.2.4"})}, ""},
		"only another":       {[]map[string]any{newWidget("other", map[string]any{"version": "1.2.3"})}, ""},
		"no text":            {[]map[string]any{newWidget("a", map[string]any{"version": int64(1)})}, ""},
		"none":               {nil, ""},
	} {
		c.setObjects(widgets, instance.ReadFields(""), test.objects...)
		if got := c.evaluateInstance(instance); got.Text != test.want || got.State != facts.Synced {
			t.Errorf("%s: got %s, want the text %q", name, got, test.want)
		}
	}
}

func TestMinPercentFrom(t *testing.T) {
	r := New(&v1alpha1.Rule{Resource: reference(widgets), Expression: "object.status.ok"}, CheckScope, "share")
	for percent, want := range map[int64]bool{50: true, 51: false, 100: false} {
		instance := NewInstance(r, Params{"share": percent}, "")
		c := newTestEvaluator(t)
		c.setObjects(widgets, instance.ReadFields(""), newWidget("a", map[string]any{"ok": true}), newWidget("b", map[string]any{"ok": false}))
		if got := c.evaluateInstance(instance); got.IsSatisfied != want {
			t.Errorf("%d percent: %s", percent, got)
		}
	}
}

func TestCostlyRulesAreStopped(t *testing.T) {
	long := make([]any, 3000)
	for i := range long {
		long[i] = "same"
	}
	object := newWidget("a", map[string]any{"list": long})
	for name, spec := range map[string]v1alpha1.Rule{
		"one object": {Expression: "object.status.list.all(a, object.status.list.all(b, a == b))"},
		"a variable": {Variables: []v1alpha1.Variable{{Name: "same", Expression: "object.status.list.all(a, object.status.list.all(b, a == b))"}}, Expression: "variables.same"},
		"a list":     {ListExpression: "objects[0].status.list.all(a, objects[0].status.list.all(b, a == b))"},
	} {
		t.Run(name, func(t *testing.T) {
			instance := compiledInstance(t, spec)
			c := newTestEvaluator(t)
			c.setObjects(widgets, instance.ReadFields(""), object)
			if got := c.evaluateInstance(instance); got.IsSatisfied || !errors.Is(got.Err, ErrTooCostly) {
				t.Errorf("got %s, want %v", got, ErrTooCostly)
			}
			c.setObjects(widgets, instance.ReadFields(""), newWidget("a", map[string]any{"list": long[:3]}))
			if got := c.evaluateInstance(instance); !got.IsSatisfied || got.Err != nil {
				t.Errorf("with a short list: %s", got)
			}
		})
	}
}
