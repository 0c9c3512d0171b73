package rule

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// ExistIn reports whether a Go type has all of these fields, so that decoding an object into it loses no field that a rule reads, even if a
// newer API server serves more fields. It returns false where it cannot determine that.
func (f *Fields) ExistIn(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case f.isWhole:
		return isComplete(t)
	case len(f.children) == 0:
		return true // only the presence is read
	case marshalsItself(t):
		return false
	}
	switch t.Kind() {
	case reflect.Struct:
		for name, child := range f.children {
			fieldType, ok := jsonField(t, name)
			if !ok && name == caBundleExpires {
				_, ok = jsonField(t, "caBundle") // from which it is derived
				if ok {
					continue
				}
			}
			if !ok && child.isShared {
				continue // a field of another kind
			}
			if !ok || !child.ExistIn(fieldType) {
				return false
			}
		}
		return true
	case reflect.Map:
		for _, child := range f.children {
			if !child.ExistIn(t.Elem()) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return len(f.children) == 1 && f.children[anyElement] != nil && f.children[anyElement].ExistIn(t.Elem())
	default:
		return false
	}
}

// isComplete reports whether newer versions of a type cannot have more fields: it has no structs except those that marshal themselves.
func isComplete(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		return isComplete(t.Elem())
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

// marshalsItself reports whether a type implements its own marshaling, as times and quantities do.
func marshalsItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return t.Implements(jsonMarshaler) || pointer.Implements(jsonMarshaler) || t.Implements(textMarshaler) || pointer.Implements(textMarshaler)
}

// jsonField returns the type of a struct's field by its name in JSON. It includes fields of inline structs.
func jsonField(t reflect.Type, name string) (reflect.Type, bool) {
	for field := range t.Fields() {
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == name {
			return field.Type, true
		}
		if tag == "" && field.Anonymous && field.Type.Kind() == reflect.Struct {
			if inner, ok := jsonField(field.Type, name); ok {
				return inner, true
			}
		}
	}
	return nil, false
}
