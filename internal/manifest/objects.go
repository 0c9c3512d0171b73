package manifest

import (
	"bufio"
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
)

const (
	// whole is up to which size a document is read as one. A larger one is taken apart while it is read, where it is a list:
	// a dump of a whole cluster is one document.
	whole = 1 << 20
	// piece is how much of a list in YAML is read at a time, and pieceLimit how much of it where an item does not end with
	// its lines, as text in quotes may not. etcd stores no object as large.
	piece, pieceLimit = 64 << 10, 8 << 20
)

// errItemsTwice refuses a list of which the last items alone would count: the first are read by then.
var errItemsTwice = errors.New("its items stand twice: keep one of them")

// Object is a document of a stream, or an item of a list that is too large to be held as one.
type Object struct {
	// Content is what it holds; empty for a document of comments alone.
	Content map[string]any
	// Document is its text, nil for an item of a list, and for a list without the items that came before it.
	Document []byte
	// Where says which document of the stream it is, and which item of it.
	Where string
}

// ObjectReader reads the objects of a stream one by one, and holds no more of it than one document, or a part of a large list.
type ObjectReader struct {
	whole, piece int // as the constants
	input        *bufio.Reader
	lineBegan    bool // the next byte does not begin a line
	document     int
	items        int
	list         func() (*Object, error) // the rest of the list that is being read
}

// Objects reads a stream of documents.
func Objects(input io.Reader) *ObjectReader { return objects(input, whole, piece) }

func objects(input io.Reader, whole, piece int) *ObjectReader {
	return &ObjectReader{whole: whole, piece: piece, input: bufio.NewReaderSize(input, piece)}
}

// Read returns the next object, and io.EOF after the last. An error says where it is.
func (r *ObjectReader) Read() (*Object, error) {
	if r.list == nil {
		r.document++
		r.items = 0
		object, err := r.next()
		if object != nil || err != nil {
			return object, r.at(err)
		}
	}
	object, err := r.list()
	return object, r.at(err)
}

func (r *ObjectReader) at(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if no := (notAnObject{}); errors.As(err, &no) {
		return fmt.Errorf("%s is no Kubernetes object: %w", r.where(), no.error)
	}
	return fmt.Errorf("%s: %w", r.where(), err)
}

// notAnObject says why a document or an item is none.
type notAnObject struct{ error }

func (r *ObjectReader) where() string {
	if r.items > 0 {
		return fmt.Sprintf("document %d, item %d", r.document, r.items)
	}
	return fmt.Sprintf("document %d", r.document)
}

// line returns the next line with its end, or a part of one that is long; ends tells that it is the line that separates
// documents. What it returns is good until the next call.
func (r *ObjectReader) line() (text []byte, ends bool, err error) {
	begins := !r.lineBegan
	text, err = r.input.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	r.lineBegan = len(text) > 0 && text[len(text)-1] != '\n'
	if after, ok := bytes.CutPrefix(text, []byte("---")); ok && begins {
		if after = bytes.TrimSpace(after); len(after) > 0 && after[0] != '#' {
			return nil, false, fmt.Errorf("invalid Yaml document separator: %w", readable(errors.New(string(after))))
		}
		return text, true, err
	}
	return text, false, err
}

// next reads a document. It returns nil where that is a list of which the items follow.
func (r *ObjectReader) next() (*Object, error) {
	var document []byte
	undecided := true
	for {
		text, ends, err := r.line()
		if ends && len(document) > 0 || errors.Is(err, io.EOF) && len(document)+len(text) == 0 {
			if len(document) == 0 {
				return nil, io.EOF
			}
			break
		}
		document = append(document, text...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if undecided && len(document) > r.whole {
			undecided = false
			if r.apart(document) {
				return nil, nil
			}
		}
	}
	content := map[string]any{}
	if err := Decode(document, &content); err != nil {
		return nil, notAnObject{err}
	}
	return &Object{Content: content, Document: document, Where: r.where()}, nil
}

// apart begins to take a document apart whose beginning was read; false where it is no list of a form that can be.
func (r *ObjectReader) apart(begin []byte) bool {
	text := bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf"))
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] != '#' && !bytes.HasPrefix(line, []byte("---")) {
			break
		}
		text = rest
	}
	if brace, ok := bytes.CutPrefix(bytes.TrimSpace(text), []byte("{")); ok {
		// YAML's own form of a mapping has, but for strange cases, no quotes there.
		if brace = bytes.TrimSpace(brace); len(brace) == 0 || brace[0] != '"' {
			return false
		}
		r.list = (&jsonList{reader: r, decoder: stdjson.NewDecoder(io.MultiReader(bytes.NewReader(text), r.input)), head: map[string]any{}}).read
		return true
	}
	head, items, found := cutItems(text)
	if !found || Decode(head, &map[string]any{}) != nil {
		return false
	}
	at := bytes.IndexByte(items, '-')
	if len(bytes.TrimLeft(items[:max(at, 0)], " ")) > 0 || at < 0 {
		return false
	}
	l := &yamlList{reader: r, head: bytes.Clone(head), ahead: items, indent: at}
	r.list = l.read
	return true
}

// cutItems cuts a document before and after the line by which its items begin.
func cutItems(text []byte) (head, items []byte, found bool) {
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return nil, nil, false
		}
		if string(bytes.TrimRight(text[at:at+end], " \r")) == "items:" {
			return text[:at], text[at+end+1:], true
		}
		at += end + 1
	}
	return nil, nil, false
}

// yamlList is a list in YAML's block form, as kubectl prints it: each item begins by a dash below the one before it.
type yamlList struct {
	reader *ObjectReader
	head   []byte // what comes before the items
	tail   []byte // and after them
	ahead  []byte // read, and not looked at yet
	indent int    // of the dashes

	piece   []byte // items that are being collected
	held    []byte // the line that begins the next piece
	pending []any  // items that were read
	over    bool   // the document has ended
}

func (l *yamlList) read() (*Object, error) {
	for len(l.pending) == 0 {
		if l.over && len(l.held) == 0 {
			return l.finish()
		}
		if err := l.fill(l.reader.piece); err != nil {
			return nil, err
		}
		if err := l.decode(); err != nil {
			return nil, err
		}
	}
	item := l.pending[0]
	l.pending = l.pending[1:]
	l.reader.items++
	content, ok := item.(map[string]any)
	if !ok {
		return nil, notAnObject{fmt.Errorf("it is %T", item)}
	}
	return &Object{Content: content, Where: l.reader.where()}, nil
}

// fill collects lines until there are as many bytes and the next item begins, or the document ends.
func (l *yamlList) fill(size int) error {
	l.piece = append(l.piece, l.held...)
	l.held = l.held[:0]
	for !l.over {
		text, begins, err := l.line()
		if err != nil {
			return err
		}
		switch {
		case l.over:
		case len(l.tail) > 0:
			l.tail = append(l.tail, text...)
		case begins && l.beginsItem(text):
			if len(l.piece) >= size {
				l.held = append(l.held, text...)
				return nil
			}
			l.piece = append(l.piece, text...)
		case begins && !bytes.ContainsAny(text[:1], " #\r\n\t"):
			l.tail = append(l.tail, text...) // a field of the list itself
		default:
			l.piece = append(l.piece, text...)
		}
		if len(l.piece) > pieceLimit {
			return fmt.Errorf("what follows it is an item of more than %d MiB, which is larger than any object", pieceLimit>>20)
		}
		if len(l.tail) > whole {
			return fmt.Errorf("what follows the items of the list is larger than %d MiB", whole>>20)
		}
	}
	return nil
}

// beginsItem tells whether a line has a dash where the items of the list have theirs.
func (l *yamlList) beginsItem(line []byte) bool {
	return len(line) > l.indent+1 && line[l.indent] == '-' && bytes.IndexByte([]byte(" \r\n"), line[l.indent+1]) >= 0 &&
		len(bytes.TrimLeft(line[:l.indent], " ")) == 0
}

// line is the next line of the document, or a part of a long one; begins tells whether a line begins with it.
func (l *yamlList) line() (text []byte, begins bool, err error) {
	if len(l.ahead) > 0 {
		end := bytes.IndexByte(l.ahead, '\n') + 1
		if end > 0 {
			text, l.ahead = l.ahead[:end], l.ahead[end:]
			return text, true, nil
		}
		// The last line that was read ahead may go on.
		text, l.ahead = l.ahead, nil
		return text, true, nil
	}
	begins = !l.reader.lineBegan
	text, ends, err := l.reader.line()
	if errors.Is(err, io.EOF) {
		l.over = len(text) == 0 || ends
		return text, begins, nil
	}
	l.over = ends
	return text, begins, err
}

// decode reads the items that were collected. Text in quotes may go on where an item seems to begin, so that what cannot be
// read is tried again with more of what follows, each time with twice as much.
func (l *yamlList) decode() error {
	var failed error
	for len(l.piece) > 0 {
		var items []any
		err := decode(l.piece, &items)
		if err == nil {
			l.pending = items
			break
		}
		if failed == nil {
			failed = fmt.Errorf("what follows it is no Kubernetes object: %w", err)
		}
		if len(l.held) == 0 && l.over || 2*len(l.piece) > pieceLimit {
			return failed
		}
		if err := l.fill(2 * len(l.piece)); err != nil {
			return failed
		}
	}
	l.piece = l.piece[:0]
	return nil
}

// finish returns the list itself, without its items.
func (l *yamlList) finish() (*Object, error) {
	l.reader.list, l.reader.items = nil, 0
	content := map[string]any{}
	if err := Decode(slices.Concat(l.head, l.tail), &content); err != nil {
		return nil, notAnObject{err}
	}
	if _, again := content["items"]; again {
		return nil, errItemsTwice
	}
	content["items"] = []any{}
	return &Object{Content: content, Where: l.reader.where()}, nil
}

// jsonList is a list in JSON.
type jsonList struct {
	reader  *ObjectReader
	decoder *stdjson.Decoder
	head    map[string]any
	state   jsonState
}

type jsonState int

const (
	atBegin jsonState = iota
	inFields
	inItems
)

func (l *jsonList) read() (*Object, error) {
	object, err := l.step()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends before its end") // and is not taken for the end of the stream
	}
	if err != nil {
		return nil, notAnObject{readable(err)}
	}
	return object, nil
}

func (l *jsonList) step() (*Object, error) {
	if l.state == atBegin {
		if _, err := l.decoder.Token(); err != nil {
			return nil, err
		}
		l.state = inFields
	}
	for {
		if l.state == inItems {
			if l.decoder.More() {
				return l.item()
			}
			if _, err := l.decoder.Token(); err != nil {
				return nil, err
			}
			l.state, l.reader.items = inFields, 0
		}
		if !l.decoder.More() {
			if _, err := l.decoder.Token(); err != nil {
				return nil, err
			}
			return l.finish()
		}
		key, err := l.decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if name != "items" {
			var raw stdjson.RawMessage
			if err := l.decoder.Decode(&raw); err != nil {
				return nil, err
			}
			var value any
			if err := json.Unmarshal(raw, &value); err != nil {
				return nil, err
			}
			l.head[name] = value
			continue
		}
		if _, again := l.head[name]; again {
			return nil, errItemsTwice
		}
		begin, err := l.decoder.Token()
		if err != nil {
			return nil, err
		}
		if begin != stdjson.Delim('[') {
			return nil, fmt.Errorf("a document of more than %d MiB whose items are no list", whole>>20)
		}
		l.head[name] = []any{}
		l.state = inItems
	}
}

func (l *jsonList) item() (*Object, error) {
	l.reader.items++
	var raw stdjson.RawMessage
	if err := l.decoder.Decode(&raw); err != nil {
		return nil, err
	}
	content := map[string]any{}
	if err := json.Unmarshal(raw, &content); err != nil {
		return nil, err
	}
	return &Object{Content: content, Where: l.reader.where()}, nil
}

// finish returns the list itself without its items, and reads on to the end of the document.
func (l *jsonList) finish() (*Object, error) {
	r := l.reader
	r.list, r.items, r.lineBegan = nil, 0, true
	r.input = bufio.NewReaderSize(io.MultiReader(l.decoder.Buffered(), r.input), r.piece)
	for {
		text, ends, err := r.line()
		over := ends || errors.Is(err, io.EOF)
		if err != nil && !over {
			return nil, err
		}
		if left := strings.TrimSpace(string(text)); !ends && left != "" && left[0] != '#' {
			return nil, errors.New("something follows its end: separate documents by a line of ---")
		}
		if over {
			return &Object{Content: l.head, Where: r.where()}, nil
		}
	}
}
