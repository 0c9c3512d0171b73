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

// consumer receives the objects of a source. Its methods are not called concurrently, except for strip.
type consumer interface {
	// strip returns the parts of an object that the consumer needs. It is called while a list is decoded, so that the memory never holds all
	// objects of the list.
	strip(object any) (*stripped, error)
	// replace replaces all objects.
	replace(list []*stripped)
	put(object *stripped)
	remove(object *stripped)
	// setState removes all objects, because the source cannot be read or is not served.
	setState(state facts.SourceState, reason string)
	// close is called when the source is not read anymore.
	close()
}

// stripped is a stripped object: a fact, and the fields that rules read.
type stripped struct {
	namespace, name string
	fact            facts.Fact
	objects         []rule.Object // one for each of the rule consumers
}

// consumers are the consumers of one source. facts may be nil. There may be two rule consumers, because rules may name a resource with and
// without its version.
type consumers struct {
	facts *factConsumer
	rules []*ruleConsumer
}

// factConsumer adds facts to the inventory.
type factConsumer struct {
	source *inventory.Source
	// changed is called for each object that is listed, added, updated or deleted; it may be nil.
	changed func(e EventType, name string)
}

func (f *factConsumer) notify(e EventType, name string) {
	if f.changed != nil {
		f.changed(e, name)
	}
}

// ruleConsumer adds the fields that rules read to the evaluator.
type ruleConsumer struct {
	resource rule.Resource
	fields   *rule.Fields
	source   *rule.Source
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
		pruned, err := rules.prune(object)
		if err != nil {
			return nil, err
		}
		s.objects = append(s.objects, pruned)
	}
	return s, nil
}

// prune returns the fields of an object that rules read.
func (r *ruleConsumer) prune(object any) (rule.Object, error) {
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
	typed.GetObjectKind().SetGroupVersionKind(kinds[0]) // items of a protobuf list do not have it
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return rule.Object{}, err
	}
	return r.fields.Prune(content)
}

func (c *consumers) put(s *stripped) {
	for n, rules := range c.rules {
		rules.source.Put(s.objects[n])
	}
	if c.facts != nil {
		c.facts.source.Put(s.fact)
		c.facts.notify(CRDChanged, s.name)
	}
}

func (c *consumers) remove(s *stripped) {
	for _, rules := range c.rules {
		rules.source.Delete(rule.ObjectKey(s.namespace, s.name))
	}
	if c.facts != nil {
		c.facts.source.Delete(s.fact.ObjectRef())
		c.facts.notify(CRDChanged, s.name)
	}
}

func (c *consumers) replace(list []*stripped) {
	found := make([]facts.Fact, 0, len(list))
	for _, s := range list {
		found = append(found, s.fact)
	}
	for n, rules := range c.rules {
		pruned := make([]rule.Object, 0, len(list))
		for _, s := range list {
			pruned = append(pruned, s.objects[n])
		}
		rules.source.Replace(pruned)
	}
	if c.facts == nil {
		return
	}
	c.facts.source.Replace(found)
	for _, s := range list {
		c.facts.notify(CRDListed, s.name)
	}
}

func (c *consumers) setState(state facts.SourceState, reason string) {
	for _, rules := range c.rules {
		rules.source.SetState(state, reason)
	}
	if c.facts != nil {
		c.facts.source.SetState(state, reason)
	}
}

func (c *consumers) close() {
	for _, rules := range c.rules {
		rules.source.Close()
	}
	if c.facts != nil {
		c.facts.source.Close()
	}
}
