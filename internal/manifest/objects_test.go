package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

func podList(n int) (items []any, compact, indented string) {
	for i := range n {
		items = append(items,
			map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": fmt.Sprint("p", i)}, "number": int64(i)})
	}
	list := map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "7"}, "items": items}
	line, _ := json.Marshal(list)
	lines, _ := json.MarshalIndent(list, "", "    ")
	return items, string(line), string(lines)
}

// endlessItems is a List that never ends.
type endlessItems struct{}

func (endlessItems) Read(into []byte) (int, error) {
	return copy(into, strings.Repeat(`{"kind":"Pod","apiVersion":"v1"},`, len(into)/33+1)[:len(into)/33*33]), nil
}

func TestJSONListIsStreamed(t *testing.T) {
	const before, after = "apiVersion: v1\nkind: Namespace\nmetadata: {name: before}\n---\n", "\n---\n# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: after}\n"
	want, compact, indented := podList(30)
	items := compact[strings.Index(compact, `"items"`):strings.Index(compact, `,"kind":"List"`)]
	for name, text := range map[string]string{
		"on one line":                    compact,
		"on many lines":                  indented,
		"in the order of the API server": `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"7"},` + items + "}",
	} {
		t.Run(name, func(t *testing.T) {
			var found []any
			var others []string
			err := EachObject(strings.NewReader(before+text+after), func(o Object) error {
				if o.Content["kind"] == "Pod" {
					found = append(found, o.Content)
				} else {
					others = append(others, fmt.Sprint(o.Content["kind"]))
				}
				return nil
			})
			if err != nil || !reflect.DeepEqual(found, want) || !reflect.DeepEqual(others, []string{"Namespace", "List", "Namespace"}) {
				t.Errorf("%d items and %v: %v", len(found), others, err)
			}
		})
	}
	n := 0
	err := EachObject(io.MultiReader(strings.NewReader(`{"apiVersion":"v1","items":[`), endlessItems{}), func(Object) error {
		if n++; n == 1000 {
			return io.ErrClosedPipe
		}
		return nil
	})
	if !errors.Is(err, io.ErrClosedPipe) || n != 1000 {
		t.Errorf("an endless List: %v", err)
	}
}

func TestInvalidJSONList(t *testing.T) {
	_, compact, _ := podList(30)
	for name, test := range map[string]struct{ text, want string }{
		"an item is a number": {strings.Replace(compact, `],"kind"`, `,1],"kind"`, 1), "item 31: json"},
		"a bracket too many":  {strings.Replace(compact, `"number":20`, `"number":[`, 1), "line 1, item 21: invalid character"},
		"truncated":           {compact[:strings.LastIndex(compact, `"number"`)], "unexpected end of input"},
		"data after the List": {compact + "{\"a\": 1}", "unexpected data after the List"},
		"text separates":      {compact + "\n--- x\n", "separator"},
		"duplicate items":     {strings.Replace(compact, `],"kind"`, `],"items":[],"kind"`, 1), "duplicate field items"},
	} {
		t.Run(name, func(t *testing.T) {
			err := EachObject(strings.NewReader(test.text), func(o Object) error {
				if o.Err != nil {
					return fmt.Errorf("line %d, item %d: %w", o.Line, o.Item, o.Err)
				}
				return nil
			})
			if err == nil || !strings.HasPrefix(err.Error(), "line 1") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
