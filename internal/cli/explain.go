package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/report"
)

// explanationFormats are what explain writes.
var explanationFormats = []string{"text", "json", "yaml"}

func newExplain(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	from := &input{flags: flags, streams: streams}
	picked := &profileOptions{input: from}
	output := ""
	command := &cobra.Command{
		Use:   "explain [PROFILE] REQUIREMENT",
		Short: "Say why a requirement has its verdict",
		Long: `Say why a requirement has its verdict, with the whole chain: what was asked, what was looked at and what could not be, what
was found and on what evidence, which checks ran, why the verdict is what it is, and what to do.

A requirement is named LAYER/NAME, or NAME where one layer alone has it. Without -f the profile is one of the cluster's.
The verdict is found anew; the exit code is 0 whatever it is, and 2 when the command failed.`,
		Example: `  # why the cluster's profile says so
  platformprofile explain production network/cni

  # over rendered manifests
  platformprofile explain cni -f profile.yaml --from manifests`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := newExplanationWriter(output)
			if err != nil {
				return err
			}
			if len(args) == 2 {
				picked.names = args[:1]
			}
			explanation, err := explainRequirement(cmd.Context(), picked, args[len(args)-1])
			if err != nil {
				return err
			}
			return write(streams.Out, explanation)
		},
	}
	from.addFlags(command.Flags())
	picked.addFlags(command.Flags())
	command.Flags().StringVarP(&output, "output", "o", "text", joinFormats(explanationFormats))
	completeFormats(command, explanationFormats)
	command.ValidArgsFunction = picked.completeRequirements
	return command
}

func explainRequirement(ctx context.Context, picked *profileOptions, requirement string) (*conformance.Explanation, error) {
	if _, err := picked.readFile(); err != nil {
		return nil, err
	}
	profiles, err := picked.read(ctx)
	if err != nil {
		return nil, err
	}
	if len(profiles) > 1 {
		return nil, errors.New("there is more than one PlatformProfile: name the one that is meant, explain PROFILE REQUIREMENT")
	}
	now, err := picked.input.evaluationTime()
	if err != nil {
		return nil, err
	}
	snapshot, compiled, err := picked.input.takeSnapshot(ctx, profiles...)
	if err != nil {
		return nil, err
	}
	explanation, err := compiled[0].Explain(requirement, snapshot, now)
	if err != nil {
		return nil, err
	}
	explanation.Profile = profiles[0].Name
	return explanation, nil
}

func newExplanationWriter(output string) (func(io.Writer, *conformance.Explanation) error, error) {
	switch output {
	case "text":
		return report.WriteExplanation, nil
	case "json":
		return func(w io.Writer, e *conformance.Explanation) error { return writeJSON(w, e) }, nil
	case "yaml":
		return func(w io.Writer, e *conformance.Explanation) error { return writeYAML(w, e) }, nil
	}
	return nil, fmt.Errorf("-o %s: write %s", output, joinFormats(explanationFormats))
}
