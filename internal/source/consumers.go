package source

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// consumer takes what a source shows. Its methods are called one after the other, but for strip.
type consumer interface {
	// strip returns what is kept of an object: a list of thousands is never in memory whole.
	strip(object any) (*stripped, error)
	// replace takes all objects; those that it does not name are gone.
	replace(list []*stripped)
	put(object *stripped)
	remove(object *stripped)
	// lose says that the source cannot be read, or is not served.
	lose(state facts.SourceState, reason string)
	// close forgets the source.
	close()
}

// stripped is what is kept of an object: a fact, and the fields that rules read.
type stripped struct {
	namespace, name string
	fact            facts.Fact
	objects         []rule.Object // one for each of the rule consumers
}

// consumers take from the objects of one source what each of them keeps: facts, which may be nil, and the fields that rules read. Rules
// may name one resource in two ways, with its version and without.
type consumers struct {
	facts *factConsumer
	rules []*ruleConsumer
}

// factConsumer hands facts to the inventory.
type factConsumer struct {
	feed *inventory.Source
	// changed is called with each object that is listed, comes, changes or goes; it may be nil.
	changed func(e EventType, name string)
}

func (f *factConsumer) notify(e EventType, name string) {
	if f.changed != nil {
		f.changed(e, name)
	}
}

// ruleConsumer hands those fields of objects to the evaluator that rules read.
type ruleConsumer struct {
	resource rule.Resource
	fields   *rule.Fields
	feed     *rule.Source
}

var _ consumer = (*consumers)(nil)

func (c *consumers) strip(object any) (*stripped, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	s := &stripped{namespace: accessor.GetNamespace(), name: accessor.GetName()}
	if c.facts != nil {
		if s.fact, err = facts.Extract(object, true); err != nil {
			return nil, err
		}
	}
	for _, rules := range c.rules {
		kept, err := rules.keep(object)
		if err != nil {
			return nil, err
		}
		s.objects = append(s.objects, kept)
	}
	return s, nil
}

// keep returns the fields of an object that rules read.
func (r *ruleConsumer) keep(object any) (rule.Object, error) {
	if untyped, ok := object.(*unstructured.Unstructured); ok {
		return r.fields.Prune(untyped.Object)
	}
	typed, ok := object.(runtime.Object)
	if !ok {
		return rule.Object{}, fmt.Errorf("a rule cannot read %T", object)
	}
	kinds, _, err := clientscheme.Scheme.ObjectKinds(typed)
	if err != nil {
		return rule.Object{}, err
	}
	typed.GetObjectKind().SetGroupVersionKind(kinds[0]) // protobuf in a list goes without it
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return rule.Object{}, err
	}
	return r.fields.Prune(content)
}

func (c *consumers) put(s *stripped) {
	for n, rules := range c.rules {
		rules.feed.Put(s.objects[n])
	}
	if c.facts != nil {
		c.facts.feed.Put(s.fact)
		c.facts.notify(CRDChanged, s.name)
	}
}

func (c *consumers) remove(s *stripped) {
	for _, rules := range c.rules {
		rules.feed.Delete(rule.ObjectKey(s.namespace, s.name))
	}
	if c.facts != nil {
		c.facts.feed.Delete(s.fact.ObjectRef())
		c.facts.notify(CRDChanged, s.name)
	}
}

func (c *consumers) replace(list []*stripped) {
	found := make([]facts.Fact, 0, len(list))
	for _, s := range list {
		found = append(found, s.fact)
	}
	for n, rules := range c.rules {
		kept := make([]rule.Object, 0, len(list))
		for _, s := range list {
			kept = append(kept, s.objects[n])
		}
		rules.feed.Replace(kept)
	}
	if c.facts == nil {
		return
	}
	c.facts.feed.Replace(found)
	for _, s := range list {
		c.facts.notify(CRDListed, s.name)
	}
}

func (c *consumers) lose(state facts.SourceState, reason string) {
	for _, rules := range c.rules {
		rules.feed.SetState(state, reason)
	}
	if c.facts != nil {
		c.facts.feed.SetState(state, reason)
	}
}

func (c *consumers) close() {
	for _, rules := range c.rules {
		rules.feed.Close()
	}
	if c.facts != nil {
		c.facts.feed.Close()
	}
}
