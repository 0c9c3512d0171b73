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
	// lose says that the source is out of sight.
	lose(sight facts.SourceState, reason string)
	// close forgets the source.
	close()
}

// stripped is what is left of an object the moment that it is decoded: a fact, or the fields that rules read. A list of
// thousands never stands in memory whole.
type stripped struct {
	metav1.ObjectMeta // namespace and name, by which client-go's reflector files it
	left              any
}

func strippedOf(object metav1.Object, left any) *stripped {
	return &stripped{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: object.GetName()}, left: left}
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

// factSink hands facts to a feed.
type factSink struct {
	feed *inventory.Feed
	// changed is called with each object that is there, comes, changes or goes, and whether a list told of it; it may be nil.
	changed func(name string, gone, listed bool)
}

var _ sink = (*factSink)(nil)

// Transformer takes the facts out of an object.
func (s *factSink) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		accessor, ok := object.(metav1.Object)
		if !ok {
			return object, nil // a tombstone
		}
		fact, err := factIn(object)
		return strippedOf(accessor, fact), err
	}
}

// factIn takes the facts out of an object, which may have been stripped before.
func factIn(object any) (facts.Fact, error) {
	if s, ok := object.(*stripped); ok {
		fact, ok := s.left.(facts.Fact)
		if !ok {
			return nil, fmt.Errorf("no fact is left of %s", s.Name)
		}
		return fact, nil
	}
	return facts.Of(object, true)
}

func (s *factSink) Add(object any) error {
	fact, err := factIn(object)
	if err != nil {
		return err
	}
	s.feed.Put(fact)
	s.tell(fact.Object().Name, false, false)
	return nil
}

func (s *factSink) Update(object any) error { return s.Add(object) }

func (s *factSink) Delete(object any) error {
	fact, err := factIn(object)
	if err != nil {
		return err
	}
	s.feed.Drop(fact.Object())
	s.tell(fact.Object().Name, true, false)
	return nil
}

func (s *factSink) Replace(objects []any, _ string) error {
	all := make([]facts.Fact, 0, len(objects))
	for _, object := range objects {
		fact, err := factIn(object)
		if err != nil {
			return err
		}
		all = append(all, fact)
	}
	s.feed.Replace(all)
	for _, fact := range all {
		s.tell(fact.Object().Name, false, true)
	}
	return nil
}

func (s *factSink) Resync() error { return nil }

func (s *factSink) tell(name string, gone, listed bool) {
	if s.changed != nil {
		s.changed(name, gone, listed)
	}
}

func (s *factSink) lose(sight facts.SourceState, reason string) { s.feed.Lose(sight, reason) }
func (s *factSink) close()                                      { s.feed.Close() }

// objectSink hands to a resource feed those fields of objects that rules read.
type objectSink struct {
	feed   *rule.Feed
	fields *rule.Fields
}

var _ sink = (*objectSink)(nil)

// Transformer leaves of an object what the rules read.
func (s *objectSink) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if _, ok := object.(*stripped); ok {
			return object, nil
		}
		accessor, ok := object.(metav1.Object)
		if !ok {
			return object, nil // a tombstone
		}
		kept, err := s.keep(object)
		return strippedOf(accessor, kept), err
	}
}

// keep returns what is kept of an object, which may have been stripped before.
func (s *objectSink) keep(object any) (rule.Object, error) {
	switch o := object.(type) {
	case *stripped:
		kept, ok := o.left.(rule.Object)
		if !ok {
			return rule.Object{}, fmt.Errorf("nothing is left of %s for rules", o.Name)
		}
		return kept, nil
	case *unstructured.Unstructured:
		return s.fields.Keep(o.Object)
	case runtime.Object:
		kinds, _, err := clientscheme.Scheme.ObjectKinds(o)
		if err != nil {
			return rule.Object{}, err
		}
		o.GetObjectKind().SetGroupVersionKind(kinds[0]) // protobuf in a list goes without it
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			return rule.Object{}, err
		}
		return s.fields.Keep(content)
	}
	return rule.Object{}, fmt.Errorf("a rule cannot read %T", object)
}

func (s *objectSink) Add(object any) error {
	kept, err := s.keep(object)
	if err != nil {
		return err
	}
	s.feed.Put(kept)
	return nil
}

func (s *objectSink) Update(object any) error { return s.Add(object) }

func (s *objectSink) Delete(object any) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	s.feed.Drop(rule.KeyOf(accessor.GetNamespace(), accessor.GetName()))
	return nil
}

func (s *objectSink) Replace(objects []any, _ string) error {
	all := make([]rule.Object, 0, len(objects))
	for _, object := range objects {
		kept, err := s.keep(object)
		if err != nil {
			return err
		}
		all = append(all, kept)
	}
	s.feed.Replace(all)
	return nil
}

func (s *objectSink) Resync() error { return nil }

func (s *objectSink) lose(sight facts.SourceState, reason string) { s.feed.Lose(sight, reason) }
func (s *objectSink) close()                                      { s.feed.Close() }
