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
	lose(sight inventory.Sight, reason string)
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

func (s *factSink) lose(sight inventory.Sight, reason string) { s.feed.Lose(sight, reason) }
func (s *factSink) close()                                    { s.feed.Close() }

// objectSink hands to a resource feed those fields of objects that rules read.
type objectSink struct {
	feed   *inventory.ResourceFeed
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
		_, content, err := s.contentOf(object)
		return strippedOf(accessor, content), err
	}
}

// contentOf returns what is kept of an object, which may have been stripped before, under the key that it is kept by.
func (s *objectSink) contentOf(object any) (string, any, error) {
	switch o := object.(type) {
	case *stripped:
		return keyOf(o.Namespace, o.Name), o.left, nil
	case *unstructured.Unstructured:
		dropNulls(o.Object)
		return keyOf(o.GetNamespace(), o.GetName()), s.fields.Keep(o.Object), nil
	case runtime.Object:
		return s.contentOfTyped(o)
	}
	return "", nil, fmt.Errorf("a rule cannot read %T", object)
}

// contentOfTyped does so for a Go type of Kubernetes' own.
func (s *objectSink) contentOfTyped(object runtime.Object) (string, any, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return "", nil, err
	}
	kinds, _, err := clientscheme.Scheme.ObjectKinds(object)
	if err != nil {
		return "", nil, err
	}
	object.GetObjectKind().SetGroupVersionKind(kinds[0]) // protobuf in a list goes without it
	content, err := s.fields.Of(object)
	if err != nil {
		return "", nil, err
	}
	return keyOf(accessor.GetNamespace(), accessor.GetName()), s.fields.Keep(content), nil
}

func (s *objectSink) Add(object any) error {
	key, content, err := s.contentOf(object)
	if err != nil {
		return err
	}
	s.feed.Put(key, content)
	return nil
}

func (s *objectSink) Update(object any) error { return s.Add(object) }

func (s *objectSink) Delete(object any) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	s.feed.Drop(keyOf(accessor.GetNamespace(), accessor.GetName()))
	return nil
}

func (s *objectSink) Replace(objects []any, _ string) error {
	all := make(map[string]any, len(objects))
	for _, object := range objects {
		key, content, err := s.contentOf(object)
		if err != nil {
			return err
		}
		all[key] = content
	}
	s.feed.Replace(all)
	return nil
}

func (s *objectSink) Resync() error { return nil }

func (s *objectSink) lose(sight inventory.Sight, reason string) { s.feed.Lose(sight, reason) }
func (s *objectSink) close()                                    { s.feed.Close() }

// dropNulls takes out fields that are there and null, as some controllers write them: to a rule that asks for a field with
// optional access they are to be absent.
func dropNulls(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, field := range v {
			if field == nil {
				delete(v, key)
				continue
			}
			dropNulls(field)
		}
	case []any:
		for _, element := range v {
			dropNulls(element)
		}
	}
}

func keyOf(namespace, name string) string { return namespace + "/" + name }
