package manifest

import (
	"bufio"
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/platformprofile/platformprofile/internal/text"
)

// Object is a document of a stream, or an item of a JSON List.
type Object struct {
	// Content is what it holds; nil where it is no mapping, or cannot be read.
	Content map[string]any
	// Text is the encoded object; nil for a JSON List whose items were read one by one.
	Text []byte
	// Line is where it begins, counted from 1; that of the List, for an item of one. Item is its number in the List, 0 outside of one.
	Line, Item int
	// Err is why it cannot be read; nil where it can. It names the line in the stream.
	Err error
}

// jsonList matches the begin of a JSON List. Its items are read one by one, because a dump of a cluster is one large document.
var jsonList = regexp.MustCompile(`^\s*\{\s*("(kind|apiVersion)"\s*:\s*"[^"]*"\s*,\s*|"metadata"\s*:\s*\{[^{}]*\}\s*,\s*)*"items"\s*:\s*\[`)

// listHead is how many bytes are matched with jsonList.
const listHead = 1 << 10

// EachObject calls do with each object of a stream of documents. A YAML List is one object, a JSON List is one object for each item and
// one without items at the end. A document that cannot be decoded is an object with an error. EachObject returns an error of do, or where
// it cannot read the rest of the stream.
func EachObject(input io.Reader, do func(Object) error) error {
	stream := withLineEnd(input)
	if mark, _ := stream.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = stream.Discard(len(mark))
	}
	for line := 1; ; {
		if head, _ := stream.Peek(listHead); jsonList.Match(head) {
			decoder := stdjson.NewDecoder(stream)
			if err := eachItem(decoder, line, do); err != nil {
				return err
			}
			stream = bufio.NewReader(io.MultiReader(decoder.Buffered(), stream))
			rest, err := (&DocumentReader{yamlutil.NewYAMLReader(stream)}).Read()
			if err == nil && !isEmpty(rest) {
				err = errors.New("unexpected data after the List: separate documents by a line with ---")
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("line %d: %w", line, err)
			}
			continue
		}
		document, err := (&DocumentReader{yamlutil.NewYAMLReader(stream)}).Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		object := Object{Text: document, Line: line}
		line += bytes.Count(document, []byte("\n")) + 1 // that of the separator
		object.Content, object.Err = decodeMapping(document, object.Line)
		if object.Content != nil && len(object.Content) == 0 {
			continue // only comments
		}
		if err := do(object); err != nil {
			return err
		}
	}
}

// lineOfError is where the YAML library names a line of a document.
var lineOfError = regexp.MustCompile(`\bline (\d+)`)

// decodeMapping decodes a document; nil where it is no mapping.
func decodeMapping(document []byte, line int) (map[string]any, error) {
	var content any
	if err := Decode(document, &content); err != nil {
		text := lineOfError.ReplaceAllStringFunc(err.Error(), func(found string) string {
			n, _ := strconv.Atoi(found[len("line "):])
			return fmt.Sprintf("line %d", line-1+n)
		})
		return nil, errors.New(text)
	}
	if content == nil {
		return map[string]any{}, nil
	}
	mapping, _ := content.(map[string]any)
	return mapping, nil
}

func isEmpty(document []byte) bool {
	content, err := decodeMapping(document, 1)
	return err == nil && content != nil && len(content) == 0
}

// eachItem reads a JSON List to its end.
func eachItem(decoder *stdjson.Decoder, line int, do func(Object) error) error {
	document := fmt.Sprintf("line %d", line)
	where, items, list := document, 0, map[string]any{}
	wrap := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("unexpected end of input: create the dump again")
		}
		return fmt.Errorf("%s: %s", where, printable(err))
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
			item := Object{Text: text, Line: line, Item: items}
			if err := json.Unmarshal(text, &item.Content); err != nil {
				item.Err = errors.New(printable(err))
			}
			if err := do(item); err != nil {
				return err
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
	return do(Object{Content: list, Line: line})
}

func printable(err error) string { return text.Printable(err.Error()) }

// withLineEnd appends a line break to a stream. Without it the YAML reader loses the last line if its length is a multiple of the buffer
// size, which is all of a JSON file in one line.
func withLineEnd(input io.Reader) *bufio.Reader {
	return bufio.NewReader(io.MultiReader(input, strings.NewReader("\n")))
}
