package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// small is the size from which the tests have lists taken apart.
const small = 4 << 10

// pods are objects as a list has them.
func pods(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": fmt.Sprint("p", i), "annotations": map[string]any{"text": "a\n- b\nitems:\n- c", "long": strings.Repeat("x y", 200)}},
			"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "example/c:1", "args": []any{"- d", "--- e"}}}}, "number": int64(i),
		}
	}
	return all
}

func taken(t *testing.T, text string) (items []any, rest []map[string]any, where string) {
	t.Helper()
	r := objects(strings.NewReader(text), small, small/4)
	for {
		o, err := r.Read()
		if errors.Is(err, io.EOF) {
			return items, rest, where
		}
		if err != nil {
			t.Fatal(err)
		}
		where = o.Where
		if len(o.Content) == 0 {
			continue // remarks
		}
		if strings.Contains(o.Where, "item") {
			items = append(items, o.Content)
		} else {
			rest = append(rest, o.Content)
		}
	}
}

// written is a list as kubectl prints it in YAML, and as JSON of one line.
func written(t *testing.T, list map[string]any) (printed, line []byte) {
	t.Helper()
	printed, err := yaml.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if line, err = json.Marshal(list); err != nil {
		t.Fatal(err)
	}
	return printed, line
}

// TestALargeListIsTakenApart shows that a list of each form gives the items that it has, and what comes before and after it.
func TestALargeListIsTakenApart(t *testing.T) {
	const before, after = "apiVersion: v1\nkind: Namespace\nmetadata: {name: before}\n---\n", "\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: after}\n"
	want := pods(30)
	list := map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "7"}, "items": want}
	printed, line := written(t, list)
	lines, err := json.MarshalIndent(list, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	head, tail, _ := strings.Cut(string(printed), "items:\n")
	items, tail, _ := strings.Cut(tail, "\nkind: List")
	quoted := strings.ReplaceAll(string(printed), "number: 15\n", "number: 15\n  quoted: \"text that\n- goes on\"\n")
	if !strings.Contains(quoted, "goes on") {
		t.Fatal("nothing is quoted")
	}
	for name, text := range map[string]string{
		"as kubectl prints it":  string(printed),
		"with Windows' lines":   strings.ReplaceAll(string(printed), "\n", "\r\n"),
		"behind remarks":        "# a dump\n\n---\n" + string(printed),
		"indented":              head + "items:\n  " + strings.ReplaceAll(items, "\n", "\n  ") + "\nkind: List" + tail,
		"the kind first":        head + "kind: List\nmetadata: {resourceVersion: '7'}\nitems:\n" + items + "\n",
		"quotes across items":   quoted,
		"JSON of one line":      string(line),
		"JSON of lines":         string(lines),
		"JSON with the kind up": `{"kind":"List",` + strings.Replace(string(line)[1:], `,"kind":"List"`, "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			found, rest, _ := taken(t, before+text+after)
			for _, item := range found {
				delete(item.(map[string]any), "quoted")
			}
			if !reflect.DeepEqual(found, want) {
				t.Errorf("%d items, want %d, or others", len(found), len(want))
			}
			if len(rest) != 3 || rest[1]["kind"] != "List" || rest[1]["apiVersion"] != "v1" || !reflect.DeepEqual(rest[1]["metadata"], list["metadata"]) || !reflect.DeepEqual(rest[1]["items"], []any{}) {
				t.Errorf("beside the items: %v", rest)
			}
			if last := rest[len(rest)-1]["metadata"]; !reflect.DeepEqual(last, map[string]any{"name": "after"}) {
				t.Errorf("the last is %v", last)
			}
		})
	}
}

// TestALargeListThatIsBroken shows that an error in a list says at which item.
func TestALargeListThatIsBroken(t *testing.T) {
	list := map[string]any{"apiVersion": "v1", "kind": "List", "items": pods(30)}
	printed, line := written(t, list)
	for name, test := range map[string]struct{ text, says string }{
		"a bracket":           {strings.Replace(string(printed), "number: 20\n", "number: [\n", 1), "item 20: what follows it"},
		"a NUL":               {strings.Replace(string(printed), "number: 20\n", "number: \x00\n", 1), "NUL"},
		"a number":            {strings.Replace(string(printed), "\nkind: List", "\n- 1\nkind: List", 1), "item 31"},
		"a number in JSON":    {strings.Replace(string(line), `],"kind"`, `,1],"kind"`, 1), "item 31"},
		"JSON that ends":      {string(line)[:len(line)-100], "ends before its end"},
		"JSON with more":      {string(line) + "{}", "something follows"},
		"a separator of text": {string(printed) + "--- x\n", "separator"},
		"items twice":         {string(printed) + "items: []\n", "items stand twice"},
		"JSON items twice":    {strings.Replace(string(line), `],"kind"`, `],"items":[],"kind"`, 1), "items stand twice"},
		"JSON items a map":    {`{"apiVersion": "v1", "x": "` + strings.Repeat("x", 2*small) + `", "items": {}}`, "no list"},
	} {
		t.Run(name, func(t *testing.T) {
			r := objects(strings.NewReader(test.text), small, small/4)
			for {
				_, err := r.Read()
				if errors.Is(err, io.EOF) {
					t.Fatal("it is read")
				}
				if err != nil {
					if !strings.HasPrefix(err.Error(), "document ") || !strings.Contains(err.Error(), test.says) {
						t.Errorf("the error does not say %q: %.300s", test.says, err)
					}
					return
				}
			}
		})
	}
}

// TestDocumentsAreThoseOfTheLibrary compares the documents of small streams with those that the library finds.
func TestDocumentsAreThoseOfTheLibrary(t *testing.T) {
	for _, text := range []string{
		"", "\n", "---", "---\n", "---\n---\n", "a: b", "a: b\n---", "a: b\n---\nc: d", "# x\n---\n# y\n--- # z\na: b\n---\n\n", "a: b\r\n---\r\nc: d\r\n", "a: |\n  ---\n  x\n", "--- x\n", "a: b\n---x\n",
		"a: b\n ---\n", strings.Repeat("a", 70000) + ": b\n---\nc: d\n", "a: \"" + strings.Repeat("x", piece-5) + "\n---\"\n",
	} {
		var want, got []string
		library, own := Documents(strings.NewReader(text)), Objects(strings.NewReader(text))
		for {
			document, err := library.Read()
			if err != nil {
				want = append(want, fmt.Sprint(errors.Is(err, io.EOF)))
				break
			}
			content := map[string]any{}
			if err := Decode(document, &content); err != nil {
				want = append(want, "false")
				break
			}
			if len(content) > 0 {
				want = append(want, fmt.Sprint(content))
			}
		}
		for {
			object, err := own.Read()
			if err != nil {
				got = append(got, fmt.Sprint(errors.Is(err, io.EOF)))
				break
			}
			if len(object.Content) > 0 {
				got = append(got, fmt.Sprint(object.Content))
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("of %.60q: %.200q, want %.200q", text, got, want)
		}
	}
}

// FuzzObjects shows that a list that is taken apart has the items that it has as a whole, or is refused.
func FuzzObjects(f *testing.F) {
	for _, item := range []string{"a: b", "a: \"b\n- c: d\"", "a: |\n    - b\n  c: d", "- a", "a: [\n- b]", "&x a: *x", "a: 'b\n\n  c'", "# x\n  a: b", "a:\n  - b\n  - c: d", "? a\n  : b"} {
		f.Add([]byte(item))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		text := []byte("apiVersion: v1\nitems:\n- first: true\n- " + string(item) + "\n- last: true\nkind: List\n")
		once := map[string]any{}
		if Decode(text, &once) != nil || bytes.Contains(text, []byte("\n---")) {
			return
		}
		want, ok := once["items"].([]any)
		if !ok {
			return
		}
		var got []any
		r := objects(bytes.NewReader(text), 30, 16)
		for {
			object, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			if strings.Contains(object.Where, "item") {
				got = append(got, object.Content)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%d items, want %d: %v, want %v", len(got), len(want), got[max(0, len(got)-2):], want[max(0, len(want)-2):])
		}
	})
}
