package observe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
)

// inMemory is how many bytes of objects, as JSON, are held in memory before all go to a file: ordinary manifests never do.
const inMemory = 2 << 20

// store holds objects in the order in which they came: few in memory, many in a temporary file, because what a dump of a large
// cluster holds takes many times its size as objects.
type store struct {
	few   []*unstructured.Unstructured
	bytes int

	file  *os.File
	write *bufio.Writer
}

// add takes an object, which belongs to the store from then on.
func (s *store) add(object *unstructured.Unstructured) error {
	line, err := json.Marshal(object.Object)
	if err != nil {
		return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	if s.file == nil {
		s.few = append(s.few, object)
		if s.bytes += len(line); s.bytes <= inMemory {
			return nil
		}
		return s.spill()
	}
	return s.put(object, line)
}

// spill moves what is in memory to a file.
func (s *store) spill() error {
	file, err := os.CreateTemp("", "platformprofile-dump-")
	if err != nil {
		return needsDisk(err)
	}
	_ = os.Remove(file.Name()) // it stays until it is closed, but where the system does not let go of what is open: see close
	s.file, s.write = file, bufio.NewWriterSize(file, 1<<18)
	for _, object := range s.few {
		line, err := json.Marshal(object.Object)
		if err != nil {
			return err
		}
		if err := s.put(object, line); err != nil {
			return err
		}
	}
	s.few = nil
	return nil
}

// put writes an object behind its kind, so that those of other kinds can be passed over without being read.
func (s *store) put(object *unstructured.Unstructured, line []byte) error {
	kind := object.GroupVersionKind().GroupKind()
	name, err := json.Marshal([]string{kind.Group, kind.Kind})
	if err != nil {
		return err
	}
	for _, part := range [][]byte{name, []byte("\t"), line, []byte("\n")} {
		if _, err := s.write.Write(part); err != nil {
			return needsDisk(err)
		}
	}
	return nil
}

func needsDisk(err error) error {
	return fmt.Errorf("a dump as large as this is kept in a temporary file while it is looked at: %w: set TMPDIR to a folder with room for it", err)
}

// each calls a function with the objects of some kinds. What it is given may be kept.
func (s *store) each(wanted func(schema.GroupKind) bool, do func(*unstructured.Unstructured) error) error {
	for _, object := range s.few {
		if wanted(object.GroupVersionKind().GroupKind()) {
			if err := do(object); err != nil {
				return err
			}
		}
	}
	if s.file == nil {
		return nil
	}
	if err := s.write.Flush(); err != nil {
		return needsDisk(err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(s.file, 1<<18)
	for {
		name, err := reader.ReadBytes('\t')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var parts [2]string
		if err := json.Unmarshal(name[:len(name)-1], &parts); err != nil {
			return err
		}
		if !wanted(schema.GroupKind{Group: parts[0], Kind: parts[1]}) {
			if err := skipLine(reader); err != nil {
				return err
			}
			continue
		}
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(line, &object.Object); err != nil {
			return err
		}
		if err := do(object); err != nil {
			return err
		}
	}
}

func skipLine(reader *bufio.Reader) error {
	for {
		if _, err := reader.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (s *store) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
		s.file, s.write = nil, nil
	}
}
