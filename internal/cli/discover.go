package cli

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/internal/report"
)

var discoveryFormats = formats[report.Discovery]{
	{"table", func(w io.Writer, d report.Discovery) error {
		return d.WriteTable(w, report.TableOptions{Colour: useColours(w)})
	}},
	{"wide", func(w io.Writer, d report.Discovery) error {
		return d.WriteTable(w, report.TableOptions{Colour: useColours(w), Wide: true})
	}},
	{"json", writeJSON[report.Discovery]},
	{"yaml", writeYAML[report.Discovery]},
	{"html", func(w io.Writer, d report.Discovery) error { return d.WriteHTML(w, time.Now()) }},
	{"profile", writeDiscoveredProfile},
}

func newDiscover(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	in := &input{flags: flags, streams: streams}
	output, compareFile, compareContext := "", "", ""
	command := &cobra.Command{
		Use:   "discover",
		Short: "List the installed components with version and health",
		Long: `List the components that are installed in a cluster or that manifests would install: layer, version, health, namespace
and evidence. Leftovers of uninstalled components are listed separately.`,
		Example: `  # the cluster of the current context
  platformprofile discover

  # rendered manifests
  helm template my-release some/chart | platformprofile discover --from -

  # an HTML page
  platformprofile discover -o html > platform.html

  # a profile that requires what is installed
  platformprofile discover -o profile > profile.yaml

  # what changed since a saved inventory, or compared with another cluster
  platformprofile discover -o json > platform.json
  platformprofile discover --compare platform.json
  platformprofile discover --compare-context staging`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if compareFile != "" || compareContext != "" {
				return in.compare(cmd.Context(), output, compareFile, compareContext)
			}
			write, err := discoveryFormats.writer(output)
			if err != nil {
				return err
			}
			snapshot, _, err := in.takeSnapshot(cmd.Context())
			if err != nil {
				return err
			}
			return write(streams.Out, report.NewDiscovery(snapshot))
		},
	}
	in.addFlags(command.Flags())
	command.Flags().StringVar(&compareFile, "compare", "",
		"list what changed since this inventory: the saved output of discover -o json, or manifests or a dump as for --from")
	command.Flags().StringVar(&compareContext, "compare-context", "", "list what changed compared with the cluster of this context")
	command.MarkFlagsMutuallyExclusive("compare", "compare-context")
	discoveryFormats.addFlag(command, &output)
	return command
}

// writeDiscoveredProfile writes a profile without its empty status and without fields that have their default.
func writeDiscoveredProfile(w io.Writer, d report.Discovery) error {
	if len(d.Components) == 0 {
		return errors.New("no component of the catalog is installed, so there is no profile to write")
	}
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
