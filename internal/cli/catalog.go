package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/source/files"
)

func newCatalog(streams genericclioptions.IOStreams) *cobra.Command {
	output := ""
	command := &cobra.Command{
		Use:   "catalog [NAME]",
		Short: "List the components that can be recognised",
		Long: `List the components of the built-in catalog, or describe one component: its signals, the sources of its version and
health, its checks, and how to install it.`,
		Example: `  # all components
  platformprofile catalog

  # how Cilium is recognised
  platformprofile catalog cilium

  # the definition of Cilium, for example to override it
  platformprofile catalog cilium -o yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return writeDefinition(streams.Out, args[0], output)
			}
			return writeCatalog(streams.Out, output)
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "yaml with NAME, markdown without NAME")
	completeFormats(command, []string{"yaml", "markdown"})
	command.ValidArgsFunction = completeComponents
	command.AddCommand(newLint(streams))
	return command
}

func writeCatalog(w io.Writer, output string) error {
	components, err := catalog.Builtin()
	if err != nil {
		return err
	}
	switch output {
	case "":
		return report.WriteCatalogTable(w, catalog.New(components...))
	case "markdown":
		return report.WriteCatalogMarkdown(w, catalog.New(components...))
	}
	return fmt.Errorf("-o %s: unknown format: use markdown, or omit -o", output)
}

func writeDefinition(w io.Writer, name, output string) error {
	definitions, err := catalog.Definitions()
	if err != nil {
		return err
	}
	definition := definitions[name]
	if definition == nil {
		return fmt.Errorf("the catalog has no component %q: see 'platformprofile catalog'", name)
	}
	switch output {
	case "":
		return report.WriteDefinition(w, definition)
	case "yaml":
		return writeYAML(w, definition)
	}
	return fmt.Errorf("-o %s: unknown format: use yaml, or omit -o", output)
}

func newLint(streams genericclioptions.IOStreams) *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use:   "lint -f DEFINITIONS",
		Short: "Validate PlatformComponents",
		Long: `Validate PlatformComponents before they are applied: unknown fields, expressions that do not compile, patterns that
never match or match several products, and proofs that other definitions also use, including the built-in ones.
The exit code is 0 if there are no problems, 1 if there are problems, and 2 if the command fails.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dump, err := files.Read(file, streams.In)
			if err != nil {
				return err
			}
			problems, err := lintDefinitions(dump.Definitions)
			if err != nil {
				return err
			}
			for _, problem := range dump.Problems {
				problems = append(problems, problem.String())
			}
			for _, problem := range problems {
				if _, err := fmt.Fprintln(streams.Out, problem); err != nil {
					return err
				}
			}
			if len(problems) > 0 {
				return exitCode(ExitFound)
			}
			_, err = fmt.Fprintf(streams.Out, "%d definitions, no problems\n", len(dump.Definitions))
			return err
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", `PlatformComponents: a folder, a file, or "-" for standard input`)
	_ = command.MarkFlagRequired("filename")
	return command
}

// lintDefinitions returns the problems of definitions by themselves, with each other, and with the built-in catalog.
func lintDefinitions(definitions []*v1alpha1.PlatformComponent) ([]string, error) {
	builtin, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	var problems []string
	isDefined := map[string]bool{}
	var components []*catalog.Component
	for _, definition := range definitions {
		if isDefined[definition.Name] {
			problems = append(problems, definition.Name+": defined twice: rename one of them")
		}
		isDefined[definition.Name] = true
		component, errs := catalog.Compile(definition)
		for _, err := range errs {
			problems = append(problems, definition.Name+": "+strings.ReplaceAll(err.Error(), "\n", " "))
		}
		if len(errs) == 0 {
			components = append(components, component)
		}
	}
	for _, component := range builtin {
		if !isDefined[component.Name] {
			components = append(components, component)
		}
	}
	for _, clash := range catalog.FindOverlaps(components...) {
		if isDefined[clash.First] || isDefined[clash.Second] {
			problems = append(problems, clash.String())
		}
	}
	return problems, nil
}
