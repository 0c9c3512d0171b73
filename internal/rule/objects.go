package rule

import (
	"maps"
	"slices"
	"sort"
	"sync"
)

// sectionSize is how many objects a section holds at most, and partsSize of how many smaller ones it consists. A change of one
// object has a rule look at those of its section again, and at the outcomes of the sections beside it and beside those around it.
const (
	sectionSize = 16
	partsSize   = 16
)

// Objects are the contents of objects, in the order of their keys. They never change: With and Without return others, which
// have in common with these all but the sections that the object is in. What loops of rules find in a section is kept with it, so
// that a change of one of ten thousand objects does not have every rule look at all of them. A nil pointer holds none.
type Objects struct {
	root *section // nil where there are none
	all  func() []any
}

// section is a run of neighbours: some objects, or some smaller sections, all of them equally deep. But for what is found in it, it
// never changes.
type section struct {
	parts    []*section
	keys     []string // nil where nothing is kept of what is found in it
	contents []any

	first string // of its keys
	size  int

	mu    sync.Mutex
	found []answered
}

func sectionOf(keys []string, contents []any) *section {
	return &section{keys: keys, contents: contents, first: keys[0], size: len(contents)}
}

func sectionAround(parts []*section) *section {
	s := &section{parts: parts, first: parts[0].first}
	for _, part := range parts {
		s.size += part.size
	}
	return s
}

// ObjectsOf are objects by their keys.
func ObjectsOf(contents map[string]any) *Objects {
	const full = 3 // quarters: what is added later finds room
	var sections []*section
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(contents)), sectionSize*full/4) {
		some := make([]any, len(keys))
		for n, key := range keys {
			some[n] = contents[key]
		}
		sections = append(sections, sectionOf(slices.Clone(keys), some))
	}
	for len(sections) > 1 {
		var around []*section
		for parts := range slices.Chunk(sections, partsSize*full/4) {
			around = append(around, sectionAround(slices.Clone(parts)))
		}
		sections = around
	}
	if len(sections) == 0 {
		return newObjects(nil)
	}
	return newObjects(sections[0])
}

// Once are objects that are looked at once, in this order: nothing is kept of what is found among them.
func Once(contents ...any) *Objects {
	return newObjects(&section{contents: contents, size: len(contents)})
}

func newObjects(root *section) *Objects {
	o := &Objects{root: root}
	o.all = sync.OnceValue(func() []any {
		if root.parts == nil {
			return root.contents
		}
		return root.appendTo(make([]any, 0, root.size))
	})
	return o
}

func (s *section) appendTo(all []any) []any {
	for _, part := range s.parts {
		all = part.appendTo(all)
	}
	return append(all, s.contents...)
}

// Len is how many there are.
func (o *Objects) Len() int {
	if o == nil || o.root == nil {
		return 0
	}
	return o.root.size
}

// All are their contents. They must not be changed.
func (o *Objects) All() []any {
	if o.Len() == 0 {
		return []any{}
	}
	return o.all()
}

// split is what loops run over section by section; nil where they run over all objects at once.
func (o *Objects) split() *section {
	if o.Len() == 0 || o.root.parts == nil && o.root.keys == nil {
		return nil
	}
	return o.root
}

// Get returns the content of an object.
func (o *Objects) Get(key string) (any, bool) {
	if o.Len() == 0 {
		return nil, false
	}
	in := o.root
	for in.parts != nil {
		in = in.parts[in.part(key)]
	}
	at, there := slices.BinarySearch(in.keys, key)
	if !there {
		return nil, false
	}
	return in.contents[at], true
}

// part is the place of the part that a key is in, or would be.
func (s *section) part(key string) int {
	return max(0, sort.Search(len(s.parts), func(n int) bool { return s.parts[n].first > key })-1)
}

// With returns the objects with one more, or with another content for one of them.
func (o *Objects) With(key string, content any) *Objects {
	if o.Len() == 0 {
		return ObjectsOf(map[string]any{key: content})
	}
	sections := o.root.with(key, content)
	if len(sections) > 1 {
		return newObjects(sectionAround(sections))
	}
	return newObjects(sections[0])
}

// with is the section with an object, as two where it would be too large.
func (s *section) with(key string, content any) []*section {
	if s.parts != nil {
		in := s.part(key)
		parts := replaced(s.parts, in, 1, s.parts[in].with(key, content)...)
		if half := len(parts) / 2; len(parts) > partsSize {
			return []*section{sectionAround(slices.Clone(parts[:half])), sectionAround(slices.Clone(parts[half:]))}
		}
		return []*section{sectionAround(parts)}
	}
	at, there := slices.BinarySearch(s.keys, key)
	if there {
		return []*section{sectionOf(s.keys, replaced(s.contents, at, 1, content))}
	}
	keys, contents := replaced(s.keys, at, 0, key), replaced(s.contents, at, 0, content)
	if half := len(keys) / 2; len(keys) > sectionSize {
		return []*section{
			sectionOf(slices.Clone(keys[:half]), slices.Clone(contents[:half])),
			sectionOf(slices.Clone(keys[half:]), slices.Clone(contents[half:])),
		}
	}
	return []*section{sectionOf(keys, contents)}
}

// Without returns the objects without one of them.
func (o *Objects) Without(key string) *Objects {
	if o.Len() == 0 {
		return o
	}
	root := o.root.without(key)
	if root == o.root {
		return o
	}
	for root != nil && len(root.parts) == 1 {
		root = root.parts[0]
	}
	return newObjects(root)
}

// without is the section without an object: itself where it is not there, and nil where nothing else is.
func (s *section) without(key string) *section {
	if s.parts == nil {
		at, there := slices.BinarySearch(s.keys, key)
		switch {
		case !there:
			return s
		case len(s.keys) == 1:
			return nil
		}
		return sectionOf(replaced[string](s.keys, at, 1), replaced[any](s.contents, at, 1))
	}
	in := s.part(key)
	part := s.parts[in].without(key)
	switch {
	case part == s.parts[in]:
		return s
	case part == nil && len(s.parts) == 1:
		return nil
	case part == nil:
		return sectionAround(replaced(s.parts, in, 1))
	}
	parts := replaced(s.parts, in, 1, part)
	if len(parts) > 1 {
		// Two that are nearly empty become one, so that there are never many more than the objects need.
		in = min(in, len(parts)-2)
		if one := joined(parts[in], parts[in+1]); one != nil {
			parts = replaced(parts, in, 2, one)
		}
	}
	return sectionAround(parts)
}

// joined are two neighbours in one; nil where they are better off as they are.
func joined(a, b *section) *section {
	switch {
	case a.parts != nil && len(a.parts)+len(b.parts) <= partsSize/2:
		return sectionAround(slices.Concat(a.parts, b.parts))
	case a.parts == nil && len(a.keys)+len(b.keys) <= sectionSize/2:
		return sectionOf(slices.Concat(a.keys, b.keys), slices.Concat(a.contents, b.contents))
	}
	return nil
}

// replaced is a copy of a list with others in place of some of its elements.
func replaced[T any](list []T, at, n int, by ...T) []T {
	out := make([]T, 0, len(list)-n+len(by))
	out = append(append(out, list[:at]...), by...)
	return append(out, list[at+n:]...)
}

// Same tells whether they are these: the same keys with contents of which Same says that they are the same.
func (o *Objects) Same(contents map[string]any) bool {
	if o.Len() != len(contents) {
		return false
	}
	for key, content := range contents {
		if mine, there := o.Get(key); !there || !Same(mine, content) {
			return false
		}
	}
	return true
}
