package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/report"
)

func newCheck(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	from := &source{flags: flags, streams: streams}
	file, output := "", ""
	command := &cobra.Command{
		Use:   "check -f PROFILE",
		Short: "Hold a cluster, or manifests, against a profile once",
		Long: `Hold a cluster, or manifests, against a profile once, with the decisions that the operator makes.

The exit code is 0 when the profile is conformant, 1 when it is not, and 2 when that could not be told or the command
failed. Manifests hold no status: the health of what they install is NotObserved, which satisfies a requirement.`,
		Example: `  # the cluster of the current context
  platformprofile check -f profile.yaml

  # rendered manifests, before anything is deployed
  helm template my-release some/chart | platformprofile check -f profile.yaml --from -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := conformanceWriter(output)
			if err != nil {
				return err
			}
			if file == "-" && from.from == "-" {
				return fmt.Errorf("-f and --from cannot both read standard input: give one of them a file")
			}
			profiles, err := readProfiles(file, streams.In)
			if err != nil {
				return err
			}
			snapshot, compiled, err := from.look(cmd.Context(), profiles...)
			if err != nil {
				return err
			}
			now := time.Now()
			for i, profile := range profiles {
				result := conformance.Evaluate(compiled[i], snapshot, &v1alpha1.PlatformProfileStatus{}, profile.Generation, now)
				profile.Status = result.Status
			}
			if err := write(streams.Out, profiles); err != nil {
				return err
			}
			return exit(profiles)
		},
	}
	from.addFlags(command.Flags())
	command.Flags().StringVarP(&file, "filename", "f", "", `the PlatformProfile to hold against; "-" for standard input`)
	command.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	_ = command.MarkFlagRequired("filename")
	return command
}

func readProfiles(name string, stdin io.Reader) ([]*v1alpha1.PlatformProfile, error) {
	input := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // nothing was written
		input = file
	}
	profiles, err := manifest.Profiles(input)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return profiles, nil
}

func conformanceWriter(output string) (func(io.Writer, []*v1alpha1.PlatformProfile) error, error) {
	switch output {
	case "table":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			for i, profile := range profiles {
				if i > 0 {
					if _, err := fmt.Fprintln(w); err != nil {
						return err
					}
				}
				if err := report.Conformance(w, profile); err != nil {
					return err
				}
			}
			return nil
		}, nil
	case "json":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeJSON(w, oneOrList(profiles))
		}, nil
	case "yaml":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeYAML(w, oneOrList(profiles))
		}, nil
	}
	return nil, fmt.Errorf("-o %s: write table, json or yaml", output)
}

// oneOrList is the profile itself where there is one, as the API would return it, and a list where there are more.
func oneOrList(profiles []*v1alpha1.PlatformProfile) any {
	if len(profiles) == 1 {
		return profiles[0]
	}
	list := &v1alpha1.PlatformProfileList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfileList"}}
	for _, profile := range profiles {
		list.Items = append(list.Items, *profile)
	}
	return list
}

// exit turns the profiles' conformance into an exit code: a failure before what could not be told. A mistake in a profile
// is something that could not be told.
func exit(profiles []*v1alpha1.PlatformProfile) error {
	code := outcome(ExitOK)
	for _, profile := range profiles {
		conformant := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionConformant)
		stalled := meta.IsStatusConditionTrue(profile.Status.Conditions, v1alpha1.ConditionStalled)
		switch {
		case conformant != nil && conformant.Status == metav1.ConditionFalse && !stalled:
			return outcome(ExitFound)
		case stalled || conformant == nil || conformant.Status != metav1.ConditionTrue:
			code = outcome(ExitError)
		}
	}
	if code == ExitOK {
		return nil
	}
	return code
}
