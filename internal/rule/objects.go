package rule

import (
	"maps"
	"slices"
	"sort"
	"sync"
)

// sectionSize is how many objects a section holds at most. A change of one object has a rule look at those of its section
// again, and at the outcomes of all other sections.
const sectionSize = 64

// Objects are the contents of objects, in the order of their keys. They never change: With and Without return others, which
// have in common with these all but the section that the object is in. What loops of rules find in a section is kept with it, so
// that a change of one of ten thousand objects does not have every rule look at all of them. A nil pointer holds none.
type Objects struct {
	sections []*section
	size     int
	all      func() []any
}

// section is a run of neighbours. Its keys and contents never change.
type section struct {
	keys     []string // nil where nothing is kept of what is found in it
	contents []any

	mu    sync.Mutex
	found map[question]answer
}

// ObjectsOf are objects by their keys.
func ObjectsOf(contents map[string]any) *Objects {
	keys := slices.Sorted(maps.Keys(contents))
	var sections []*section
	for some := range slices.Chunk(keys, sectionSize*3/4) { // what is added later finds room
		p := &section{keys: slices.Clone(some), contents: make([]any, len(some))}
		for n, key := range some {
			p.contents[n] = contents[key]
		}
		sections = append(sections, p)
	}
	return newObjects(sections)
}

// Once are objects that are looked at once, in this order: nothing is kept of what is found among them.
func Once(contents ...any) *Objects {
	return newObjects([]*section{{contents: contents}})
}

func newObjects(sections []*section) *Objects {
	o := &Objects{sections: sections}
	for _, p := range sections {
		o.size += len(p.contents)
	}
	o.all = sync.OnceValue(func() []any {
		if len(sections) == 1 {
			return sections[0].contents
		}
		all := make([]any, 0, o.size)
		for _, p := range sections {
			all = append(all, p.contents...)
		}
		return all
	})
	return o
}

// Len is how many there are.
func (o *Objects) Len() int {
	if o == nil {
		return 0
	}
	return o.size
}

// All are their contents. They must not be changed.
func (o *Objects) All() []any {
	if o.Len() == 0 {
		return []any{}
	}
	return o.all()
}

// split is what the loops of a rule look at one after the other; nothing where they look at all at once.
func (o *Objects) split() []*section {
	if o.Len() == 0 || o.sections[0].keys == nil {
		return nil
	}
	return o.sections
}

// place is where a key is, or would be: in which section, and at which place of it.
func (o *Objects) place(key string) (in, at int, there bool) {
	if o.Len() == 0 {
		return 0, 0, false
	}
	in = max(0, sort.Search(len(o.sections), func(n int) bool { return o.sections[n].keys[0] > key })-1)
	at, there = slices.BinarySearch(o.sections[in].keys, key)
	return in, at, there
}

// Get returns the content of an object.
func (o *Objects) Get(key string) (any, bool) {
	in, at, there := o.place(key)
	if !there {
		return nil, false
	}
	return o.sections[in].contents[at], true
}

// With returns the objects with one more, or with another content for one of them.
func (o *Objects) With(key string, content any) *Objects {
	if o.Len() == 0 {
		return ObjectsOf(map[string]any{key: content})
	}
	in, at, there := o.place(key)
	old := o.sections[in]
	if there {
		return o.replace(in, &section{keys: old.keys, contents: replaced(old.contents, at, 1, content)})
	}
	keys, contents := replaced(old.keys, at, 0, key), replaced(old.contents, at, 0, content)
	if len(keys) <= sectionSize {
		return o.replace(in, &section{keys: keys, contents: contents})
	}
	half := len(keys) / 2
	return o.replace(in,
		&section{keys: slices.Clone(keys[:half]), contents: slices.Clone(contents[:half])},
		&section{keys: slices.Clone(keys[half:]), contents: slices.Clone(contents[half:])})
}

// Without returns the objects without one of them.
func (o *Objects) Without(key string) *Objects {
	in, at, there := o.place(key)
	if !there {
		return o
	}
	old := o.sections[in]
	keys, contents := replaced[string](old.keys, at, 1), replaced[any](old.contents, at, 1)
	if len(keys) == 0 {
		return o.replace(in)
	}
	if next := in + 1; next < len(o.sections) && len(keys)+len(o.sections[next].keys) <= sectionSize/2 {
		// Two that are nearly empty become one, so that there are never many more sections than the objects need.
		keys, contents = append(keys, o.sections[next].keys...), append(contents, o.sections[next].contents...)
		return newObjects(replaced(o.sections, in, 2, &section{keys: keys, contents: contents}))
	}
	return o.replace(in, &section{keys: keys, contents: contents})
}

// replace returns the objects with others in place of a section.
func (o *Objects) replace(in int, sections ...*section) *Objects {
	return newObjects(replaced(o.sections, in, 1, sections...))
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
