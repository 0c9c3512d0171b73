package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/report"
)

var explanationFormats = formats[*conformance.Explanation]{
	{"text", report.WriteExplanation},
	{"json", writeJSON[*conformance.Explanation]},
	{"yaml", writeYAML[*conformance.Explanation]},
}

func newExplain(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	options := &profileOptions{input: &input{flags: flags, streams: streams}}
	output := ""
	command := &cobra.Command{
		Use:   "explain [PROFILE] REQUIREMENT",
		Short: "Explain the verdict of a requirement",
		Long: `Explain the verdict of a requirement: what it requires, which resources were read and which could not be read, which
components were found and on what evidence, the results of its checks, the reason for the verdict, and what to do.

Name a requirement LAYER/NAME, or NAME if it is unique in the profile. Without -f the profile is read from the cluster.
The requirement is evaluated again. The exit code is 0 for any verdict, and 2 if the command fails.`,
		Example: `  # a requirement of a profile in the cluster
  platformprofile explain production network/cni

  # a requirement of a file, evaluated against rendered manifests
  platformprofile explain cni -f profile.yaml --from manifests`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := explanationFormats.writer(output)
			if err != nil {
				return err
			}
			if len(args) == 2 {
				options.names = args[:1]
			}
			explanation, err := explainRequirement(cmd.Context(), options, args[len(args)-1])
			if err != nil {
				return err
			}
			return write(streams.Out, explanation)
		},
	}
	options.input.addFlags(command.Flags())
	options.addFlags(command.Flags())
	explanationFormats.addFlag(command, &output)
	command.ValidArgsFunction = options.completeRequirements
	return command
}

func explainRequirement(ctx context.Context, options *profileOptions, requirement string) (*conformance.Explanation, error) {
	if _, err := options.readFile(); err != nil {
		return nil, err
	}
	profiles, err := options.read(ctx)
	if err != nil {
		return nil, err
	}
	if len(profiles) > 1 {
		return nil, errors.New("there is more than one PlatformProfile: name one with explain PROFILE REQUIREMENT")
	}
	now, err := options.input.evaluationTime()
	if err != nil {
		return nil, err
	}
	snapshot, compiled, err := options.input.takeSnapshot(ctx, profiles...)
	if err != nil {
		return nil, err
	}
	explanation, err := compiled[0].Explain(requirement, snapshot, now, options.waiversOf(profiles[0].Name)...)
	if err != nil {
		return nil, err
	}
	explanation.Profile = profiles[0].Name
	return explanation, nil
}
