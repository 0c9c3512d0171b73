package conformance

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// filled is a status in which every field has a value, one element in each list.
func filled() *v1alpha1.PlatformProfileStatus {
	status := &v1alpha1.PlatformProfileStatus{}
	fill(reflect.ValueOf(status).Elem())
	return status
}

func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[metav1.Time]() {
		v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(1800000000, 0))))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic(v.Type())
	}
}

// leaves calls a function with each single value in v that can be changed, and the path to it.
func leaves(v reflect.Value, path string, visit func(path string, leaf reflect.Value)) {
	if v.Type() == reflect.TypeFor[metav1.Time]() {
		visit(path, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		visit(path, v) // that it is there
		leaves(v.Elem(), path, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
		}
	case reflect.Slice:
		visit(path, v)
		leaves(v.Index(0), path+"[0]", visit)
	default:
		visit(path, v)
	}
}

// A change of any field of the status, whichever is added one day, is a change.
func TestSameForgetsNoField(t *testing.T) {
	if !same(filled(), filled()) {
		t.Fatal("equal statuses are not the same")
	}
	changed, seen := filled(), 0
	leaves(reflect.ValueOf(changed).Elem(), "status", func(path string, leaf reflect.Value) {
		seen++
		before := reflect.New(leaf.Type()).Elem()
		before.Set(leaf)
		leaf.SetZero()
		// Conditions that are stored beside those of the status are others'.
		if path != "status.Conditions" && same(changed, filled()) || same(filled(), changed) {
			t.Errorf("a change of %s is none", path)
		}
		leaf.Set(before)
	})
	if seen < 50 {
		t.Errorf("only %d fields were looked at", seen)
	}
	empty := filled()
	empty.Layers[0].Requirements[0].Evidence = []v1alpha1.Evidence{}
	none := filled()
	none.Layers[0].Requirements[0].Evidence = nil
	if !same(empty, none) {
		t.Error("a list that is empty and one that is not there differ")
	}
}
