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

// Object is a document of a stream, or an item of a List in JSON.
type Object struct {
	// Content is what it holds.
	Content map[string]any
	// Text is what it was written as; nil for a List in JSON whose items were read.
	Text []byte
}

// jsonList is how a List in JSON begins. Its items are read one by one: a dump of a whole cluster is one document.
var jsonList = regexp.MustCompile(`^\s*\{\s*("(kind|apiVersion)"\s*:\s*"[^"]*"\s*,\s*|"metadata"\s*:\s*\{[^{}]*\}\s*,\s*)*"items"\s*:\s*\[`)

// listHead is within how many bytes a List shows that it is one.
const listHead = 1 << 10

// EachObject calls a function with the objects of a stream of documents, one after the other. Lists in YAML come whole. An
// error names the document.
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
				err = errors.New("something follows the end of its List: separate documents by a line of ---")
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
			continue // comments alone
		}
		if err := do(object); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
}

func notAnObjectError(where string, err error) error {
	return fmt.Errorf("%s is no Kubernetes object: %w", where, err)
}

func isEmpty(document []byte) bool {
	content := map[string]any{}
	return Decode(document, &content) == nil && len(content) == 0
}

// eachItem reads a List in JSON to its end. The List itself, without its items, comes last.
func eachItem(decoder *stdjson.Decoder, document string, do func(Object) error) error {
	where, items, list := document, 0, map[string]any{}
	failed := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends before its end: take the dump again")
		}
		return notAnObjectError(where, errors.New(text.Printable(err.Error())))
	}
	if _, err := decoder.Token(); err != nil {
		return failed(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return failed(err)
		}
		if key != "items" {
			var field any
			if err := decoder.Decode(&field); err != nil {
				return failed(err)
			}
			list[fmt.Sprint(key)] = field
			continue
		}
		if list["items"] != nil {
			return failed(errors.New("it has its items twice: keep one of them"))
		}
		list["items"] = []any{}
		if begin, err := decoder.Token(); err != nil {
			return failed(err)
		} else if begin != stdjson.Delim('[') {
			return failed(errors.New("its items are no list"))
		}
		for decoder.More() {
			items++
			where = fmt.Sprintf("%s, item %d", document, items)
			var text stdjson.RawMessage
			if err := decoder.Decode(&text); err != nil {
				return failed(err)
			}
			item := Object{Text: text}
			if err := json.Unmarshal(text, &item.Content); err != nil {
				return failed(err)
			}
			if err := do(item); err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
		}
		if _, err := decoder.Token(); err != nil {
			return failed(err)
		}
		where = document
	}
	if _, err := decoder.Token(); err != nil {
		return failed(err)
	}
	if err := do(Object{Content: list}); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// withLineEnd ends a stream by a line break. The library loses a last line without one where its length is a multiple of its
// buffer's, and with it all of a JSON file that is one line.
func withLineEnd(input io.Reader) *bufio.Reader {
	return bufio.NewReader(io.MultiReader(input, strings.NewReader("\n")))
}
