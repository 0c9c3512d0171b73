package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// checkOptions are what check is asked.
type checkOptions struct {
	input    *input
	profiles profileOptions
	write    conformanceWriter
	wait     bool
	timeout  time.Duration
}

func newCheck(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	from := &input{flags: flags, streams: streams}
	o := &checkOptions{input: from, profiles: profileOptions{input: from}}
	output := ""
	command := &cobra.Command{
		Use:   "check [PROFILE...]",
		Short: "Hold a cluster, or manifests, against a profile once",
		Long: `Hold a cluster, or manifests, against a profile once, with the decisions that the operator makes. Without -f the
profiles are those of the cluster.

The exit code is 0 when the profile is conformant, 1 when it is not, and 2 when that could not be told or the command
failed. Manifests hold no status: the health of what they install is NotObserved, which satisfies a requirement.

With --wait the cluster is watched until the profile is conformant, or until the --timeout, with the exit code of what was
found last. A mistake in the profile ends the wait, because time does not mend it.`,
		Example: `  # the cluster of the current context
  platformprofile check -f profile.yaml

  # rendered manifests, before anything is deployed
  helm template my-release some/chart | platformprofile check -f profile.yaml --from -

  # wait for a platform that is being installed
  platformprofile check -f profile.yaml --wait --timeout 10m

  # a test report for a pipeline
  platformprofile check -f profile.yaml --from manifests -o junit > report.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.profiles.names = args
			if o.wait && from.from != "" {
				return errors.New("--wait watches a cluster, and --from reads files, which do not change: leave one of them out")
			}
			if !o.wait && cmd.Flags().Changed("timeout") {
				return errors.New("--timeout is how long to --wait: add --wait, or leave it out")
			}
			if _, err := from.evaluationTime(); err != nil {
				return err
			}
			place, err := o.profiles.readFile()
			if err != nil {
				return err
			}
			if o.write, err = newConformanceWriter(output, streams.Out, place); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	from.addFlags(command.Flags())
	o.profiles.addFlags(command.Flags())
	command.Flags().BoolVar(&o.wait, "wait", false, "watch the cluster until the profiles are conformant")
	command.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait at most")
	command.Flags().StringVarP(&output, "output", "o", "table", joinFormats(conformanceFormats))
	completeFormats(command, conformanceFormats)
	command.ValidArgsFunction = o.profiles.completeProfiles
	return command
}

func (o *checkOptions) run(ctx context.Context) error {
	profiles, err := o.profiles.read(ctx)
	if err != nil {
		return err
	}
	evaluate := o.evaluateOnce
	if o.wait {
		evaluate = o.evaluateUntilConformant
	}
	if err := evaluate(ctx, profiles); err != nil {
		return err
	}
	if err := o.write(o.input.streams.Out, profiles); err != nil {
		return err
	}
	return exitError(profiles)
}

// evaluateOnce evaluates profiles over what is there now.
func (o *checkOptions) evaluateOnce(ctx context.Context, profiles []*v1alpha1.PlatformProfile) error {
	now, err := o.input.evaluationTime()
	if err != nil {
		return err
	}
	snapshot, compiled, err := o.input.takeSnapshot(ctx, profiles...)
	if err != nil {
		return err
	}
	for i, profile := range profiles {
		profile.Status = conformance.Evaluate(compiled[i], snapshot, &profile.Status, profile.Generation, now).Status
	}
	return nil
}

// exitError turns the profiles' conformance into an exit code: a failure before what could not be told. A mistake in a profile
// is something that could not be told.
func exitError(profiles []*v1alpha1.PlatformProfile) error {
	code := exitCode(ExitOK)
	for _, profile := range profiles {
		conformant := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionConformant)
		stalled := meta.IsStatusConditionTrue(profile.Status.Conditions, v1alpha1.ConditionStalled)
		switch {
		case conformant != nil && conformant.Status == metav1.ConditionFalse && !stalled:
			return exitCode(ExitFound)
		case stalled || conformant == nil || conformant.Status != metav1.ConditionTrue:
			code = exitCode(ExitError)
		}
	}
	if code == ExitOK {
		return nil
	}
	return code
}
