package rule

import (
	"fmt"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// recorder stores what an Evaluator records.
type recorder struct {
	outcomes    map[string]*Outcome
	recordCount int
	resources   map[Resource]facts.SourceState
}

func newRecorder() *recorder {
	return &recorder{outcomes: map[string]*Outcome{}, resources: map[Resource]facts.SourceState{}}
}

func (r *recorder) RecordOutcome(key string, outcome *Outcome) {
	r.recordCount++
	if outcome == nil {
		delete(r.outcomes, key)
		return
	}
	r.outcomes[key] = outcome
}

func (r *recorder) RecordResource(resource Resource, state facts.SourceState, _ string, _ int) {
	r.resources[resource] = state
}

func (r *recorder) ForgetResource(resource Resource) { delete(r.resources, resource) }

var noon = time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)

// testEvaluator is an Evaluator with its recorder and a clock that tests set.
type testEvaluator struct {
	*Evaluator
	*recorder
	t   testing.TB
	now time.Time
}

func newTestEvaluator(t testing.TB) *testEvaluator {
	c := &testEvaluator{recorder: newRecorder(), t: t, now: noon}
	c.Evaluator = NewEvaluator(func() time.Time { return c.now }, c.recorder)
	return c
}

var (
	widgets = Resource{Group: "example.com", Resource: "widgets"}
	gadgets = Resource{Group: "example.com", Resource: "gadgets"}
	classes = Resource{Group: "example.com", Resource: "classes"}
)

func reference(r Resource) *v1alpha1.ResourceReference {
	return &v1alpha1.ResourceReference{Group: r.Group, Resource: r.Resource}
}

// newObject returns an unstructured object with a status.
func newObject(kind, namespace, name string, status map[string]any) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return map[string]any{"apiVersion": "example.com/v1", "kind": kind, "metadata": metadata, "status": status}
}

func newWidget(name string, status map[string]any) map[string]any {
	return newObject("Widget", "shop", name, status)
}

// setObjects replaces the objects of a resource, pruned to the fields.
func (c *testEvaluator) setObjects(resource Resource, fields *Fields, objects ...map[string]any) {
	c.t.Helper()
	var pruned []Object
	for _, object := range objects {
		pruned = append(pruned, c.prune(fields, object))
	}
	c.Source(resource).Replace(pruned)
}

func (c *testEvaluator) prune(fields *Fields, object map[string]any) Object {
	c.t.Helper()
	pruned, err := fields.Prune(object)
	if err != nil {
		c.t.Fatal(err)
	}
	return pruned
}

// evaluateInstance evaluates an instance, and returns its outcome.
func (c *testEvaluator) evaluateInstance(instance Instance) *Outcome {
	c.t.Helper()
	c.SetInstances([]Instance{instance})
	c.Flush()
	outcome := c.outcomes[instance.Key]
	if outcome == nil {
		c.t.Fatalf("no outcome was recorded for %q", instance.Key)
	}
	return outcome
}

// compiledInstance returns an instance of a valid rule.
func compiledInstance(t testing.TB, spec v1alpha1.Rule) Instance {
	t.Helper()
	if spec.Resource == nil && spec.Resources == nil {
		spec.Resource = reference(widgets)
	}
	instance := NewInstance(New(&spec, CheckScope, ""), nil, "")
	if errs := instance.Compile(nil); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return instance
}

func (o *Outcome) String() string {
	return fmt.Sprintf("%s %q satisfied=%t %d/%d %v %q %q %v", o.State, o.Reason, o.IsSatisfied, o.Satisfied, o.Matched, o.Objects, o.Message,
		o.Text, o.Err)
}
