package rule

import (
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Keep returns of an unstructured value these fields and no others, in a form that rules read as they read the value itself
// and that takes a fraction of the memory: what thousands of objects have alike, be it the names of their fields, a word or a
// whole condition, is kept once for all of them. A list whose elements nobody reads is empty in it, and a map that is only
// asked for by its presence too. What it returns never changes.
func (f *Fields) Keep(value any) any {
	kept, _ := f.keep(value)
	return kept
}

func (f *Fields) keep(value any) (ref.Val, identity) {
	switch v := value.(type) {
	case map[string]any:
		return f.keepMap(v)
	case []any:
		return f.keepList(v)
	case string:
		return word(v)
	}
	kept := types.DefaultTypeAdapter.NativeToValue(value)
	switch v := kept.(type) {
	case types.Bool, types.Null:
	case types.Int:
		if v < 0 || v >= 256 { // a time or a size more likely than a count
			return kept, unshared
		}
	default:
		return kept, unshared
	}
	return shared(aConstant, fmt.Appendf(nil, "%T %[1]v", kept), func() ref.Val { return kept })
}

func (f *Fields) keepList(v []any) (ref.Val, identity) {
	all := f
	if !f.whole {
		if all = f.below[each]; all == nil {
			v = nil
		}
	}
	kept, ids := make([]ref.Val, len(v)), make([]identity, len(v))
	for i, element := range v {
		kept[i], ids[i] = all.keep(element)
	}
	return sharedOf(aList, ids, func() ref.Val { return &elements{values: kept} })
}

func (f *Fields) keepMap(v map[string]any) (ref.Val, identity) {
	names := make([]string, 0, len(v)+1)
	if f.whole || f.below[each] != nil {
		names = slices.AppendSeq(names, maps.Keys(v))
	} else {
		for name := range f.below {
			if _, ok := v[name]; ok {
				names = append(names, name)
			}
		}
	}
	var derived any
	if f.whole || f.below[caBundleExpires] != nil {
		var ok bool
		if derived, ok = derive(v); ok {
			names = append(names, caBundleExpires)
		}
	}
	slices.Sort(names)
	values, ids := make([]ref.Val, len(names)), make([]identity, len(names)+1)
	for i, name := range names {
		below := f
		if !f.whole {
			if below = f.below[name]; f.below[each] != nil {
				below = f.both(name, f.below[each])
			}
		}
		value, written := v[name]
		if !written {
			value = derived
		}
		values[i], ids[i+1] = below.keep(value)
	}
	shape, id := shapeOf(names)
	ids[0] = id
	return sharedOf(aMap, ids, func() ref.Val { return &record{shape, values} })
}

// Same tells whether two values that Keep returned, or two unstructured ones, are equal.
func Same(a, b any) bool {
	if a, ok := a.(ref.Val); ok {
		if b, ok := b.(ref.Val); ok {
			return a.Equal(b) == types.True
		}
	}
	return reflect.DeepEqual(a, b)
}

// identity is that of a value which all that have it share. What is made of shared parts alone can be shared itself.
type identity uint64

// unshared is the identity of what is one object's own.
const unshared identity = 0

// common is what objects share, by kind and by what it is made of.
var common = struct {
	sync.Mutex
	parts map[byte]map[string]part
	last  identity
}{parts: map[byte]map[string]part{}}

type part struct {
	value any
	id    identity
}

// Kinds of parts.
const (
	aConstant = iota
	aWord
	aShape
	aMap
	aList
)

const (
	// maxCommon bounds how many parts of a kind are known. When there are more, it starts anew: what is repeated is soon known
	// again, and what was not is forgotten.
	maxCommon = 2048
	// longestKey bounds what one of them is made of, in bytes.
	longestKey = 256
)

// shared returns the part of a kind that is made of these bytes. It is made where none is known.
func shared[T any](kind byte, of []byte, value func() T) (T, identity) {
	if len(of) > longestKey {
		return value(), unshared
	}
	common.Lock()
	defer common.Unlock()
	if known, ok := common.parts[kind][string(of)]; ok {
		return known.value.(T), known.id
	}
	if n := len(common.parts[kind]); n == 0 || n >= maxCommon {
		common.parts[kind] = map[string]part{}
	}
	common.last++
	own := value()
	common.parts[kind][string(of)] = part{own, common.last}
	return own, common.last
}

// sharedOf shares a value that is made of shared parts.
func sharedOf(kind byte, parts []identity, value func() ref.Val) (ref.Val, identity) {
	if slices.Contains(parts, unshared) {
		return value(), unshared
	}
	key := make([]byte, 0, 64)
	for _, id := range parts {
		key = binary.AppendUvarint(key, uint64(id))
	}
	return shared(kind, key, value)
}

// shape is the names of a map's fields, sorted. Objects of a kind have few.
type shape struct{ names []string }

func shapeOf(names []string) (*shape, identity) {
	// Each name with its length before it: names may hold any character, and one may be empty.
	key := make([]byte, 0, 128)
	for _, name := range names {
		key = append(binary.AppendUvarint(key, uint64(len(name))), name...)
	}
	return shared(aShape, key, func() *shape {
		own := &shape{names: make([]string, len(names))}
		for i, name := range names {
			own.names[i] = strings.Clone(name)
		}
		return own
	})
}

// word is a string as rules read it.
func word(s string) (ref.Val, identity) {
	return shared(aWord, []byte(s), func() ref.Val { return types.String(strings.Clone(s)) })
}

// record is a map of CEL's with few fields: their names, and a value for each.
type record struct {
	*shape
	values []ref.Val
}

var _ traits.Mapper = (*record)(nil)

// Find implements traits.Mapper.
func (r *record) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	if i, ok := slices.BinarySearch(r.names, string(name)); ok {
		return r.values[i], true
	}
	return nil, false
}

// Get implements traits.Indexer.
func (r *record) Get(key ref.Val) ref.Val {
	if value, ok := r.Find(key); ok {
		return value
	}
	return types.NewErr("no such key: %v", key)
}

// Contains implements traits.Container.
func (r *record) Contains(key ref.Val) ref.Val {
	_, ok := r.Find(key)
	return types.Bool(ok)
}

// Iterator implements traits.Iterable: it goes through the names.
func (r *record) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, r.names).Iterator()
}

// Size implements traits.Sizer.
func (r *record) Size() ref.Val { return types.Int(len(r.names)) }

// Equal implements ref.Val.
func (r *record) Equal(other ref.Val) ref.Val {
	if r == other {
		return types.True
	}
	m, ok := other.(traits.Mapper)
	if !ok || m.Size() != r.Size() {
		return types.False
	}
	for i, name := range r.names {
		value, ok := m.Find(types.String(name))
		if !ok || r.values[i].Equal(value) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements ref.Val.
func (r *record) Type() ref.Type { return types.MapType }

// Value implements ref.Val. It is the map with CEL's values in it.
func (r *record) Value() any {
	plain := make(map[string]any, len(r.names))
	for i, name := range r.names {
		plain[name] = r.values[i]
	}
	return plain
}

// ConvertToNative implements ref.Val.
func (r *record) ConvertToNative(want reflect.Type) (any, error) {
	return types.DefaultTypeAdapter.NativeToValue(r.Value()).ConvertToNative(want)
}

// ConvertToType implements ref.Val.
func (r *record) ConvertToType(want ref.Type) ref.Val {
	return types.DefaultTypeAdapter.NativeToValue(r.Value()).ConvertToType(want)
}

// String is for people who debug.
func (r *record) String() string { return fmt.Sprint(r.Value()) }

// elements is a list of CEL's, which itself takes several times the memory.
type elements struct{ values []ref.Val }

var _ traits.Lister = (*elements)(nil)

func (e *elements) list() traits.Lister {
	return types.NewRefValList(types.DefaultTypeAdapter, e.values)
}

// Get implements traits.Indexer.
func (e *elements) Get(index ref.Val) ref.Val { return e.list().Get(index) }

// Add implements traits.Adder.
func (e *elements) Add(other ref.Val) ref.Val { return e.list().Add(other) }

// Contains implements traits.Container.
func (e *elements) Contains(value ref.Val) ref.Val { return e.list().Contains(value) }

// Iterator implements traits.Iterable.
func (e *elements) Iterator() traits.Iterator { return e.list().Iterator() }

// Size implements traits.Sizer.
func (e *elements) Size() ref.Val { return types.Int(len(e.values)) }

// Equal implements ref.Val.
func (e *elements) Equal(other ref.Val) ref.Val { return e.list().Equal(other) }

// Type implements ref.Val.
func (e *elements) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (e *elements) Value() any { return e.values }

// ConvertToNative implements ref.Val.
func (e *elements) ConvertToNative(want reflect.Type) (any, error) {
	return e.list().ConvertToNative(want)
}

// ConvertToType implements ref.Val.
func (e *elements) ConvertToType(want ref.Type) ref.Val { return e.list().ConvertToType(want) }

// String is for people who debug.
func (e *elements) String() string { return fmt.Sprint(e.values) }
