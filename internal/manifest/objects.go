package manifest

import (
	"bufio"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/platformprofile/platformprofile/internal/text"
)

// Object is a document of a stream, or an item of a JSON List.
type Object struct {
	Content map[string]any
	// Text is the encoded object; nil for a JSON List whose items were read one by one.
	Text []byte
}

// jsonList matches the begin of a JSON List. Its items are read one by one, because a dump of a cluster is one large document.
var jsonList = regexp.MustCompile(`^\s*\{\s*("(kind|apiVersion)"\s*:\s*"[^"]*"\s*,\s*|"metadata"\s*:\s*\{[^{}]*\}\s*,\s*)*"items"\s*:\s*\[`)

// listHead is how many bytes are matched with jsonList.
const listHead = 1 << 10

// EachObject calls do with each object of a stream of documents. A YAML List is one object, a JSON List is one object for each item and
// one without items at the end. An error names the document.
func EachObject(input io.Reader, do func(Object) error) error {
	stream := withLineEnd(input)
	if mark, _ := stream.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = stream.Discard(len(mark))
	}
	for n := 1; ; n++ {
		where := fmt.Sprintf("document %d", n)
		if head, _ := stream.Peek(listHead); jsonList.Match(head) {
			decoder := stdjson.NewDecoder(stream)
			if err := eachItem(decoder, where, do); err != nil {
				return err
			}
			stream = bufio.NewReader(io.MultiReader(decoder.Buffered(), stream))
			rest, err := (&DocumentReader{yamlutil.NewYAMLReader(stream)}).Read()
			if err == nil && !isEmpty(rest) {
				err = errors.New("unexpected data after the List: separate documents by a line with ---")
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("%s: %w", where, err)
			}
			continue
		}
		text, err := (&DocumentReader{yamlutil.NewYAMLReader(stream)}).Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		object := Object{Text: text}
		if err := Decode(text, &object.Content); err != nil {
			return notAnObjectError(where, err)
		}
		if len(object.Content) == 0 {
			continue // only comments
		}
		if err := do(object); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
}

func notAnObjectError(where string, err error) error {
	return fmt.Errorf("%s is not a Kubernetes object: %w", where, err)
}

func isEmpty(document []byte) bool {
	content := map[string]any{}
	return Decode(document, &content) == nil && len(content) == 0
}

// eachItem reads a JSON List to its end.
func eachItem(decoder *stdjson.Decoder, document string, do func(Object) error) error {
	where, items, list := document, 0, map[string]any{}
	wrap := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("unexpected end of input: create the dump again")
		}
		return notAnObjectError(where, errors.New(text.Printable(err.Error())))
	}
	if _, err := decoder.Token(); err != nil {
		return wrap(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return wrap(err)
		}
		if key != "items" {
			var field any
			if err := decoder.Decode(&field); err != nil {
				return wrap(err)
			}
			list[fmt.Sprint(key)] = field
			continue
		}
		if list["items"] != nil {
			return wrap(errors.New("duplicate field items: keep one of them"))
		}
		list["items"] = []any{}
		if begin, err := decoder.Token(); err != nil {
			return wrap(err)
		} else if begin != stdjson.Delim('[') {
			return wrap(errors.New("items is not a list"))
		}
		for decoder.More() {
			items++
			where = fmt.Sprintf("%s, item %d", document, items)
			var text stdjson.RawMessage
			if err := decoder.Decode(&text); err != nil {
				return wrap(err)
			}
			item := Object{Text: text}
			if err := json.Unmarshal(text, &item.Content); err != nil {
				return wrap(err)
			}
			if err := do(item); err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
		}
		if _, err := decoder.Token(); err != nil {
			return wrap(err)
		}
		where = document
	}
	if _, err := decoder.Token(); err != nil {
		return wrap(err)
	}
	if err := do(Object{Content: list}); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// withLineEnd appends a line break to a stream. Without it the YAML reader loses the last line if its length is a multiple of the buffer
// size, which is all of a JSON file in one line.
func withLineEnd(input io.Reader) *bufio.Reader {
	return bufio.NewReader(io.MultiReader(input, strings.NewReader("\n")))
}
