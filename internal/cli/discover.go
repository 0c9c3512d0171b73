package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/internal/report"
)

func newDiscover(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	from := &input{flags: flags, streams: streams}
	output := ""
	command := &cobra.Command{
		Use:   "discover",
		Short: "Show which components are installed, in which version and health",
		Long: `Show which components are installed in a cluster or in manifests: their layer, version, health and namespace, and the
objects that show it. What an uninstall left behind is listed apart from what is installed.`,
		Example: `  # what is in the cluster of the current context
  platformprofile discover

  # what manifests would install
  helm template my-release some/chart | platformprofile discover --from -

  # a page to look at, or to send around
  platformprofile discover -o html > platform.html

  # a profile that declares what is there, to start from
  platformprofile discover -o profile > profile.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := newDiscoveryWriter(output, streams.Out)
			if err != nil {
				return err
			}
			snapshot, _, err := from.takeSnapshot(cmd.Context())
			if err != nil {
				return err
			}
			return write(streams.Out, report.NewDiscovery(snapshot))
		},
	}
	from.addFlags(command.Flags())
	command.Flags().StringVarP(&output, "output", "o", "table", joinFormats(discoveryFormats))
	completeFormats(command, discoveryFormats)
	return command
}

// discoveryFormats are what discover writes.
var discoveryFormats = []string{"table", "wide", "json", "yaml", "html", "profile"}

func newDiscoveryWriter(output string, out io.Writer) (func(io.Writer, report.Discovery) error, error) {
	switch output {
	case "table", "wide":
		look := report.TableOptions{Colour: useColours(out), Wide: output == "wide"}
		return func(w io.Writer, d report.Discovery) error { return d.WriteTable(w, look) }, nil
	case "json":
		return func(w io.Writer, d report.Discovery) error { return writeJSON(w, d) }, nil
	case "yaml":
		return func(w io.Writer, d report.Discovery) error { return writeYAML(w, d) }, nil
	case "html":
		return func(w io.Writer, d report.Discovery) error { return d.WriteHTML(w, time.Now()) }, nil
	case "profile":
		return func(w io.Writer, d report.Discovery) error {
			if len(d.Components) == 0 {
				return fmt.Errorf("nothing that the catalog knows is installed, so there is no profile to write")
			}
			return writeDiscoveredProfile(w, d)
		}, nil
	}
	return nil, fmt.Errorf("-o %s: write %s", output, joinFormats(discoveryFormats))
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func writeYAML(w io.Writer, value any) error {
	data, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// writeDiscoveredProfile leaves out what a person would not write: an empty status and fields that say nothing.
func writeDiscoveredProfile(w io.Writer, d report.Discovery) error {
	profile := d.Profile("discovered")
	data, err := json.Marshal(profile)
	if err != nil {
		return err
	}
	content := map[string]any{}
	if err := json.Unmarshal(data, &content); err != nil {
		return err
	}
	delete(content, "status")
	content["metadata"] = map[string]any{"name": profile.Name}
	for _, layer := range content["spec"].(map[string]any)["layers"].([]any) {
		for _, requirement := range layer.(map[string]any)["requirements"].([]any) {
			delete(requirement.(map[string]any), "exclusive")
		}
	}
	return writeYAML(w, content)
}
