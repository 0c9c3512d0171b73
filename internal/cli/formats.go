package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// format is one value of --output.
type format[T any] struct {
	name  string
	write func(io.Writer, T) error
}

// formats are the values of --output of a command. The first one is the default.
type formats[T any] []format[T]

// addFlag adds --output and its completion.
func (f formats[T]) addFlag(command *cobra.Command, output *string) {
	command.Flags().StringVarP(output, "output", "o", f[0].name, f.String())
	completeFormats(command, f.names())
}

// writer returns what writes the format of a name.
func (f formats[T]) writer(name string) (func(io.Writer, T) error, error) {
	for _, known := range f {
		if known.name == name {
			return known.write, nil
		}
	}
	return nil, fmt.Errorf("-o %s: unknown format: use %s", name, f)
}

func (f formats[T]) names() []string {
	names := make([]string, 0, len(f))
	for _, known := range f {
		names = append(names, known.name)
	}
	return names
}

// String lists the names, such as "text, json or yaml".
func (f formats[T]) String() string {
	names, last := f.names(), len(f)-1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func writeJSON[T any](w io.Writer, value T) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func writeYAML[T any](w io.Writer, value T) error {
	data, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
