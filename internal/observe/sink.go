package observe

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// sink takes in what a source shows. It is a store to client-go's reflector, one that keeps no objects.
type sink interface {
	cache.TransformingStore
	// lose says that the source cannot be read, or is not served.
	lose(state facts.SourceState, reason string)
	// close forgets the source.
	close()
}

// stripped is what is left of an object the moment that it is decoded: a fact, and the fields that rules read. A list of
// thousands never stands in memory whole.
type stripped struct {
	metav1.ObjectMeta // namespace and name, by which client-go's reflector files it
	fact              facts.Fact
	objects           []rule.Object // one for each of the rule consumers
}

// GetObjectKind and DeepCopyObject make it an object to client-go. Nobody changes one, so that a copy need not be one.
func (s *stripped) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns the object itself.
func (s *stripped) DeepCopyObject() runtime.Object { return s }

// strippedList is a page of them.
type strippedList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []*stripped
}

// DeepCopyObject returns the list itself.
func (l *strippedList) DeepCopyObject() runtime.Object { return l }

// consumers take from the objects of one source what each of them keeps: facts, which may be nil, and the fields that rules read. Rules
// may name one resource in two ways, with its version and without.
type consumers struct {
	facts *factConsumer
	rules []*ruleConsumer
}

// factConsumer hands facts to the inventory.
type factConsumer struct {
	feed *inventory.Feed
	// changed is called with each object that is there, comes, changes or goes, and whether a list told of it; it may be nil.
	changed func(name string, gone, listed bool)
}

func (f *factConsumer) notify(name string, gone, listed bool) {
	if f.changed != nil {
		f.changed(name, gone, listed)
	}
}

// ruleConsumer hands those fields of objects to the evaluator that rules read.
type ruleConsumer struct {
	resource rule.Resource
	fields   *rule.Fields
	feed     *rule.Feed
}

var _ sink = (*consumers)(nil)

// Transformer leaves of an object what the consumers keep.
func (c *consumers) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if _, ok := object.(metav1.Object); !ok {
			return object, nil // a tombstone
		}
		return c.strip(object)
	}
}

// strip returns what the consumers keep of an object, which may have been stripped before.
func (c *consumers) strip(object any) (*stripped, error) {
	if s, ok := object.(*stripped); ok {
		return s, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	s := &stripped{ObjectMeta: metav1.ObjectMeta{Namespace: accessor.GetNamespace(), Name: accessor.GetName()}}
	if c.facts != nil {
		if s.fact, err = factOfObject(object); err != nil {
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

// factOfObject takes the fact out of an object. One that came without its Go type, because rules read fields that the type does not
// have, is converted to it first.
func factOfObject(object any) (facts.Fact, error) {
	untyped, ok := object.(*unstructured.Unstructured)
	if !ok {
		return facts.Of(object, true)
	}
	typed, err := clientscheme.Scheme.New(untyped.GroupVersionKind())
	if err != nil {
		return facts.Of(untyped, true) // a kind of which there is no Go type here
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(untyped.Object, typed); err != nil {
		return nil, fmt.Errorf("%s %s: %w", untyped.GetKind(), untyped.GetName(), err)
	}
	return facts.Of(typed, true)
}

// keep returns the fields of an object that rules read.
func (r *ruleConsumer) keep(object any) (rule.Object, error) {
	if untyped, ok := object.(*unstructured.Unstructured); ok {
		return r.fields.Keep(untyped.Object)
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
	return r.fields.Keep(content)
}

func (c *consumers) Add(object any) error {
	s, err := c.strip(object)
	if err != nil {
		return err
	}
	for n, rules := range c.rules {
		rules.feed.Put(s.objects[n])
	}
	if c.facts != nil {
		c.facts.feed.Put(s.fact)
		c.facts.notify(s.Name, false, false)
	}
	return nil
}

func (c *consumers) Update(object any) error { return c.Add(object) }

func (c *consumers) Delete(object any) error {
	s, err := c.strip(object)
	if err != nil {
		return err
	}
	for _, rules := range c.rules {
		rules.feed.Drop(rule.KeyOf(s.Namespace, s.Name))
	}
	if c.facts != nil {
		c.facts.feed.Drop(s.fact.Object())
		c.facts.notify(s.Name, true, false)
	}
	return nil
}

func (c *consumers) Replace(objects []any, _ string) error {
	found := make([]facts.Fact, 0, len(objects))
	kept := make([][]rule.Object, len(c.rules))
	for _, object := range objects {
		s, err := c.strip(object)
		if err != nil {
			return err
		}
		found = append(found, s.fact)
		for n := range c.rules {
			kept[n] = append(kept[n], s.objects[n])
		}
	}
	for n, rules := range c.rules {
		rules.feed.Replace(kept[n])
	}
	if c.facts == nil {
		return nil
	}
	c.facts.feed.Replace(found)
	for _, fact := range found {
		c.facts.notify(fact.Object().Name, false, true)
	}
	return nil
}

func (c *consumers) Resync() error { return nil }

func (c *consumers) lose(state facts.SourceState, reason string) {
	for _, rules := range c.rules {
		rules.feed.Lose(state, reason)
	}
	if c.facts != nil {
		c.facts.feed.Lose(state, reason)
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
