package rule

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// In tells whether objects of a Go type have all of these fields: whether a rule sees in one all that it would see in the
// JSON of the API server, be that of a newer version that serves more. A field is answered for only where its type is known
// to its end.
func (f *Fields) In(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case f.whole:
		return closed(t)
	case len(f.below) == 0:
		return true // it only matters whether it is there
	case marshals(t):
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
			if !ok || !below.In(field.of) {
				return false
			}
		}
		return true
	case reflect.Map:
		for _, below := range f.below {
			if !below.In(t.Elem()) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return len(f.below) == 1 && f.below[each] != nil && f.below[each].In(t.Elem())
	}
	return false
}

// closed tells whether a newer version of a type can say no more than this one: it holds no struct but those that write
// their JSON themselves.
func closed(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		return closed(t.Elem())
	case reflect.Struct:
		return marshals(t)
	case reflect.Interface:
		return false
	}
	return true
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// marshals tells whether values of a type write their JSON themselves, as times and quantities do.
func marshals(t reflect.Type) bool {
	return t.Implements(jsonMarshaler) || reflect.PointerTo(t).Implements(jsonMarshaler) || t.Implements(textMarshaler) || reflect.PointerTo(t).Implements(textMarshaler)
}

// goField is a field of a struct as its JSON has it.
type goField struct {
	index []int
	of    reflect.Type
	// omitEmpty and omitZero say when it is left out.
	omitEmpty, omitZero bool
}

// goFields are the fields of structs by their names in JSON, once a type was asked for: map[string]goField by reflect.Type.
var goFields sync.Map

// fieldOf finds a field by its name in JSON, be it one of a struct that stands inline.
func fieldOf(t reflect.Type, name string) (goField, bool) {
	known, ok := goFields.Load(t)
	if !ok {
		known, _ = goFields.LoadOrStore(t, fieldsOf(t))
	}
	field, ok := known.(map[string]goField)[name]
	return field, ok
}

func fieldsOf(t reflect.Type) map[string]goField {
	found := map[string]goField{}
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name != "":
			all := strings.Split(options, ",")
			found[name] = goField{field.Index, field.Type, slices.Contains(all, "omitempty"), slices.Contains(all, "omitzero")}
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			for name, inner := range fieldsOf(field.Type) {
				inner.index = append([]int{i}, inner.index...)
				found[name] = inner
			}
		}
	}
	return found
}

// Of returns these fields of a Go value, of whose type In answered for them, in the unstructured form that its JSON would be
// decoded into. Fields that are null in JSON are left out.
func (f *Fields) Of(object any) (any, error) {
	of, _, err := f.of(reflect.ValueOf(object))
	return of, err
}

func (f *Fields) of(v reflect.Value) (value any, there bool, err error) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, false, nil
		}
		v = v.Elem()
	}
	if marshals(v.Type()) {
		return marshalled(v)
	}
	switch v.Kind() {
	case reflect.Struct:
		return f.ofStruct(v)
	case reflect.Map:
		if v.IsNil() {
			return nil, false, nil
		}
		return f.ofMap(v)
	case reflect.Slice:
		if v.IsNil() {
			return nil, false, nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes()), true, nil
		}
		return f.ofSlice(v)
	case reflect.String:
		return v.String(), true, nil
	case reflect.Bool:
		return v.Bool(), true, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), true, nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(v.Uint()), true, nil //nolint:gosec // of 32 bits at most
	case reflect.Float32, reflect.Float64:
		return v.Float(), true, nil
	}
	return nil, false, fmt.Errorf("a rule cannot read a %s", v.Type())
}

func (f *Fields) ofStruct(v reflect.Value) (any, bool, error) {
	kept := map[string]any{}
	for name, below := range f.below {
		if name == caBundleExpires {
			name, below = "caBundle", Everything()
		}
		field, ok := fieldOf(v.Type(), name)
		if !ok {
			continue
		}
		member := v.FieldByIndex(field.index)
		if field.omitEmpty && empty(member) || field.omitZero && member.IsZero() {
			continue
		}
		value, there, err := below.of(member)
		if err != nil {
			return nil, false, err
		}
		if there {
			kept[name] = value
		}
	}
	return kept, true, nil
}

func (f *Fields) ofMap(v reflect.Value) (any, bool, error) {
	kept := make(map[string]any, v.Len())
	for entries := v.MapRange(); entries.Next(); {
		name := entries.Key().String()
		below := f
		if !f.whole {
			if below = f.below[name]; f.below[each] != nil {
				below = f.both(name, f.below[each])
			}
			if below == nil {
				continue
			}
		}
		value, there, err := below.of(entries.Value())
		if err != nil {
			return nil, false, err
		}
		if there {
			kept[name] = value
		}
	}
	return kept, true, nil
}

func (f *Fields) ofSlice(v reflect.Value) (any, bool, error) {
	all := f
	if !f.whole {
		if all = f.below[each]; all == nil {
			return []any{}, true, nil
		}
	}
	kept := make([]any, v.Len())
	for i := range kept {
		value, _, err := all.of(v.Index(i))
		if err != nil {
			return nil, false, err
		}
		kept[i] = value
	}
	return kept, true, nil
}

// empty is what encoding/json takes for it.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false // encoding/json leaves out none
	}
	return v.IsZero()
}

// marshalled is what a value's own JSON says.
func marshalled(v reflect.Value) (any, bool, error) {
	data, err := json.Marshal(v.Interface())
	if err != nil {
		return nil, false, err
	}
	var value any
	err = utiljson.Unmarshal(data, &value)
	return value, value != nil, err
}
