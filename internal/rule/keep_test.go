package rule

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestWhatDiffersIsKeptApart shows that sharing what objects have alike makes nothing alike that is not: neither values that
// are written alike, nor values that hold the same parts in another order or another shape.
func TestWhatDiffersIsKeptApart(t *testing.T) {
	values := []any{
		nil, false, true, int64(0), int64(1), int64(300), 0.5, "", "0", "1", "false", "null", []any{}, []any{nil}, []any{"a", "b"}, []any{"b", "a"}, []any{"ab"}, []any{[]any{"a"}, "b"},
		map[string]any{}, map[string]any{"a": nil}, map[string]any{"a": "b"}, map[string]any{"b": "a"}, map[string]any{"a": "b", "": "c"}, map[string]any{"a": map[string]any{"b": "c"}},
	}
	for i, a := range values {
		for j, b := range values {
			if got := Same(Everything().Keep(a), Everything().Keep(b)); got != (i == j) {
				t.Errorf("%#v and %#v: the same %t", a, b, got)
			}
		}
	}
}

// TestRandomValuesAreKeptAsTheyAre compares pairs of values that differ in little or nothing, more of them than are remembered.
func TestRandomValuesAreKeptAsTheyAre(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var draw func(deep int) any
	draw = func(deep int) any {
		kind := random.IntN(7)
		if deep == 0 {
			kind %= 5
		}
		switch kind {
		case 0:
			return nil
		case 1:
			return random.IntN(2) == 0
		case 2:
			return int64(random.IntN(3) * 200)
		case 3:
			return "often"
		case 4:
			return fmt.Sprint("seldom ", random.IntN(10*maxCommon))
		case 5:
			list := []any{}
			for range random.IntN(3) {
				list = append(list, draw(deep-1))
			}
			return list
		}
		object := map[string]any{}
		for range random.IntN(3) {
			object[string(rune('a'+random.IntN(3)))] = draw(deep - 1)
		}
		return object
	}
	alike := 0
	for range 20 * maxCommon {
		a, b := draw(3), draw(3)
		want := reflect.DeepEqual(a, b)
		if want {
			alike++
		}
		if got := Same(Everything().Keep(a), Everything().Keep(b)); got != want {
			t.Fatalf("%#v and %#v: the same %t", a, b, got)
		}
	}
	if alike < maxCommon {
		t.Errorf("only %d pairs were alike", alike)
	}
	for kind, parts := range common.parts {
		if len(parts) > maxCommon {
			t.Errorf("%d parts of kind %d are remembered", len(parts), kind)
		}
	}
}

// TestWhatIsAlikeIsKeptOnce holds on to the memory that it saves.
func TestWhatIsAlikeIsKeptOnce(t *testing.T) {
	object := func(name string) map[string]any {
		return map[string]any{"name": name, "status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}
	}
	a, b := Everything().Keep(object("a")).(*record), Everything().Keep(object("b")).(*record)
	if a == b || a.values[1] != b.values[1] {
		t.Errorf("%s and %s do not share what they have alike", a, b)
	}
}
