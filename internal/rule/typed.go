package rule

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// ExistIn tells whether objects of a Go type have all of these fields: whether a rule sees in one all that it would see in the
// JSON of the API server, be that of a newer version that serves more. A field is answered for only where its type is known
// to its end.
func (f *Fields) ExistIn(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case f.whole:
		return isStruct(t)
	case len(f.below) == 0:
		return true // it only matters whether it is there
	case marshalsItself(t):
		return false
	}
	switch t.Kind() {
	case reflect.Struct:
		for name, below := range f.below {
			field, ok := fieldOf(t, name)
			if !ok && name == caBundleExpires {
				_, ok = fieldOf(t, "caBundle") // it is derived from that
				if ok {
					continue
				}
			}
			if !ok && below.shared {
				continue // it is another kind's
			}
			if !ok || !below.ExistIn(field) {
				return false
			}
		}
		return true
	case reflect.Map:
		for _, below := range f.below {
			if !below.ExistIn(t.Elem()) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return len(f.below) == 1 && f.below[each] != nil && f.below[each].ExistIn(t.Elem())
	default:
		return false
	}
}

// isStruct tells whether a newer version of a type can say no more than this one: it holds no struct but those that write
// their JSON themselves.
func isStruct(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		return isStruct(t.Elem())
	case reflect.Struct:
		return marshalsItself(t)
	case reflect.Interface:
		return false
	default:
		return true
	}
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// marshalsItself tells whether values of a type write their JSON themselves, as times and quantities do.
func marshalsItself(t reflect.Type) bool {
	return t.Implements(jsonMarshaler) || reflect.PointerTo(t).Implements(jsonMarshaler) || t.Implements(textMarshaler) || reflect.PointerTo(t).Implements(textMarshaler)
}

// fieldOf finds the type of a struct's field by its name in JSON, be it one of a struct that stands inline.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for field := range t.Fields() {
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == name {
			return field.Type, true
		}
		if tag == "" && field.Anonymous && field.Type.Kind() == reflect.Struct {
			if inner, ok := fieldOf(field.Type, name); ok {
				return inner, true
			}
		}
	}
	return nil, false
}
