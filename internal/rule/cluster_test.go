package rule

import (
	"fmt"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// recorder keeps what an Evaluator records.
type recorder struct {
	outcomes  map[string]*Outcome
	recorded  int
	resources map[Resource]facts.SourceState
}

func newRecorder() *recorder {
	return &recorder{outcomes: map[string]*Outcome{}, resources: map[Resource]facts.SourceState{}}
}

func (r *recorder) RecordOutcome(key string, outcome *Outcome) {
	r.recorded++
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

// cluster is an evaluator with what it records.
type cluster struct {
	*Evaluator
	*recorder
	t   testing.TB
	now time.Time
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{recorder: newRecorder(), t: t, now: noon}
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

// named returns an object of a kind with a status.
func named(kind, namespace, name string, status map[string]any) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return map[string]any{"apiVersion": "example.com/v1", "kind": kind, "metadata": metadata, "status": status}
}

func widget(name string, status map[string]any) map[string]any {
	return named("Widget", "shop", name, status)
}

// has makes these objects all that the cluster has of a resource, with the fields that fields names.
func (c *cluster) has(resource Resource, fields *Fields, objects ...map[string]any) {
	c.t.Helper()
	var all []Object
	for _, object := range objects {
		all = append(all, c.keep(fields, object))
	}
	c.Source(resource).Replace(all)
}

func (c *cluster) keep(fields *Fields, object map[string]any) Object {
	c.t.Helper()
	kept, err := fields.Prune(object)
	if err != nil {
		c.t.Fatal(err)
	}
	return kept
}

// outcome evaluates an instance.
func (c *cluster) outcome(instance Instance) *Outcome {
	c.t.Helper()
	c.SetInstances([]Instance{instance})
	c.Flush()
	outcome := c.outcomes[instance.Key]
	if outcome == nil {
		c.t.Fatalf("no outcome was recorded for %q", instance.Key)
	}
	return outcome
}

// compiled returns an instance of a rule that has no mistakes.
func compiled(t testing.TB, spec v1alpha1.Rule) Instance {
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
	return fmt.Sprintf("%s %q holds=%t %d/%d %v %q %q %v", o.State, o.Reason, o.IsSatisfied, o.Satisfied, o.Matched, o.Objects, o.Message, o.Text, o.Err)
}
