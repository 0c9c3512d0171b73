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
// and that takes a third of the memory: the names of fields are shared among all objects that have the same ones, and words
// that thousands of objects repeat are kept once. A list whose elements nobody reads is empty in it, and a map that is only
// asked for by its presence too. What it returns never changes.
func (f *Fields) Keep(value any) any { return f.keep(value) }

func (f *Fields) keep(value any) ref.Val {
	switch v := value.(type) {
	case map[string]any:
		return f.keepMap(v)
	case []any:
		all := f
		if !f.whole {
			if all = f.below[each]; all == nil {
				return types.NewRefValList(types.DefaultTypeAdapter, nil)
			}
		}
		kept := make([]ref.Val, len(v))
		for i, element := range v {
			kept[i] = all.keep(element)
		}
		return types.NewRefValList(types.DefaultTypeAdapter, kept)
	case string:
		return word(v)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

func (f *Fields) keepMap(v map[string]any) ref.Val {
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
	o := &record{names: shared(names), values: make([]ref.Val, len(names))}
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
		o.values[i] = below.keep(value)
	}
	return o
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

// shapes are the lists of names that objects share, and words the strings that they repeat. Both are bounded: a cluster
// whose names are all different fills them once, and costs no more from then on.
var (
	interning sync.Mutex
	shapes    = map[string][]string{}
	words     = map[string]ref.Val{}
)

const (
	maxShapes = 4096
	maxWords  = 8192
)

func shared(names []string) []string {
	// Each name with its length before it: names may hold any character, and one may be empty.
	key := make([]byte, 0, 128)
	for _, name := range names {
		key = append(binary.AppendUvarint(key, uint64(len(name))), name...)
	}
	interning.Lock()
	defer interning.Unlock()
	if known, ok := shapes[string(key)]; ok {
		return known
	}
	own := make([]string, len(names))
	for i, name := range names {
		own[i] = strings.Clone(name)
	}
	if len(shapes) < maxShapes {
		shapes[string(key)] = own
	}
	return own
}

// word is a string as rules read it. What holds a digit is a name, a time or a number of some object, and is not expected
// again.
func word(s string) ref.Val {
	const longest = 96
	if len(s) > longest || strings.ContainsAny(s, "0123456789") {
		return types.String(strings.Clone(s))
	}
	interning.Lock()
	defer interning.Unlock()
	if known, ok := words[s]; ok {
		return known
	}
	own := types.String(strings.Clone(s))
	if len(words) < maxWords {
		words[string(own)] = own
	}
	return own
}

// record is a map of CEL's with few fields: their names, sorted, and a value for each.
type record struct {
	names  []string
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
