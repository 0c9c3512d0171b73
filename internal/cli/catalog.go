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
		Short: "Show what can be recognised, and how",
		Long: `List the built-in catalog, or explain how one component of it is recognised: by which signals, where its version and
health come from, which checks it offers, and what to do when it is missing.`,
		Example: `  # everything that is recognised
  platformprofile catalog

  # how Cilium is recognised
  platformprofile catalog cilium

  # its definition, to start an override from
  platformprofile catalog cilium -o yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return writeDefinition(streams.Out, args[0], output)
			}
			return writeCatalog(streams.Out, output)
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "yaml with a NAME; markdown without one")
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
	return fmt.Errorf("-o %s: without a NAME, write markdown or leave it out", output)
}

func writeDefinition(w io.Writer, name, output string) error {
	definitions, err := catalog.Definitions()
	if err != nil {
		return err
	}
	definition := definitions[name]
	if definition == nil {
		return fmt.Errorf("the catalog has no component %q: 'platformprofile catalog' lists them", name)
	}
	switch output {
	case "":
		return report.WriteDefinition(w, definition)
	case "yaml":
		return writeYAML(w, definition)
	}
	return fmt.Errorf("-o %s: with a NAME, write yaml or leave it out", output)
}

func newLint(streams genericclioptions.IOStreams) *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use:   "lint -f DEFINITIONS",
		Short: "Look for mistakes in PlatformComponents",
		Long: `Look for mistakes in PlatformComponents before they are applied: unknown fields, expressions that do not compile,
patterns that can never match or that match across products, and proofs that two definitions claim, the built-in ones
included. The exit code is 0 where nothing is wrong, 1 where something is.`,
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
			for _, problem := range problems {
				if _, err := fmt.Fprintln(streams.Out, problem); err != nil {
					return err
				}
			}
			if len(problems) > 0 {
				return exitCode(ExitFound)
			}
			_, err = fmt.Fprintf(streams.Out, "%d definitions, nothing wrong\n", len(dump.Definitions))
			return err
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", `the definitions: a folder, a file, or "-" for standard input`)
	_ = command.MarkFlagRequired("filename")
	return command
}

// lintDefinitions compiles definitions and holds them against each other and against the built-in catalog.
func lintDefinitions(definitions []*v1alpha1.PlatformComponent) ([]string, error) {
	builtin, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	var problems []string
	given := map[string]bool{}
	var components []*catalog.Component
	for _, definition := range definitions {
		if given[definition.Name] {
			problems = append(problems, definition.Name+": defined twice: give one of them another name")
		}
		given[definition.Name] = true
		component, errs := catalog.Compile(definition)
		for _, err := range errs {
			problems = append(problems, definition.Name+": "+strings.ReplaceAll(err.Error(), "\n", " "))
		}
		if len(errs) == 0 {
			components = append(components, component)
		}
	}
	for _, component := range builtin {
		if !given[component.Name] {
			components = append(components, component)
		}
	}
	for _, clash := range catalog.FindOverlaps(components...) {
		if given[clash.First] || given[clash.Second] {
			problems = append(problems, clash.String())
		}
	}
	return problems, nil
}
