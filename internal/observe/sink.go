package observe

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// sink takes in what a source shows. It is a store to client-go's reflector, one that keeps no objects.
type sink interface {
	cache.TransformingStore
	// lose says that the source is out of sight.
	lose(sight inventory.Sight, reason string)
	// close forgets the source.
	close()
}

// factSink hands facts to a feed.
type factSink struct {
	feed *inventory.Feed
	// changed is called with each object that is there, comes, changes or goes; it may be nil.
	changed func(name string, gone bool)
}

var _ sink = (*factSink)(nil)

func (s *factSink) Transformer() cache.TransformFunc { return facts.Strip }

func (s *factSink) Add(object any) error {
	fact, err := facts.Of(object, true)
	if err != nil {
		return err
	}
	s.feed.Put(fact)
	s.tell(fact.Object().Name, false)
	return nil
}

func (s *factSink) Update(object any) error { return s.Add(object) }

func (s *factSink) Delete(object any) error {
	fact, err := facts.Of(object, true)
	if err != nil {
		return err
	}
	s.feed.Drop(fact.Object())
	s.tell(fact.Object().Name, true)
	return nil
}

func (s *factSink) Replace(objects []any, _ string) error {
	all := make([]facts.Fact, 0, len(objects))
	for _, object := range objects {
		fact, err := facts.Of(object, true)
		if err != nil {
			return err
		}
		all = append(all, fact)
	}
	s.feed.Replace(all)
	for _, fact := range all {
		s.tell(fact.Object().Name, false)
	}
	return nil
}

func (s *factSink) Resync() error { return nil }

func (s *factSink) tell(name string, gone bool) {
	if s.changed != nil {
		s.changed(name, gone)
	}
}

func (s *factSink) lose(sight inventory.Sight, reason string) { s.feed.Lose(sight, reason) }
func (s *factSink) close()                                    { s.feed.Close() }

// objectSink hands the contents of objects to a resource feed.
type objectSink struct {
	feed *inventory.ResourceFeed
}

var _ sink = (*objectSink)(nil)

func (s *objectSink) Transformer() cache.TransformFunc { return facts.Strip }

func (s *objectSink) Add(object any) error {
	key, content, err := contentOf(object)
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
		key, content, err := contentOf(object)
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

func contentOf(object any) (string, any, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return "", nil, fmt.Errorf("a rule cannot read %T", object)
	}
	if _, err := facts.Strip(u); err != nil {
		return "", nil, err
	}
	// These move with every write, and no rule has a use for them: a write that changes nothing else means nothing.
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(u.Object, "metadata", "resourceVersion")
	dropNulls(u.Object)
	return keyOf(u.GetNamespace(), u.GetName()), u.Object, nil
}

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
