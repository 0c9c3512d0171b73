package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/version"
)

type checkOptions struct {
	input    *input
	profiles profileOptions
	location report.Location // of the profiles, for reports
	wait     bool
	timeout  time.Duration

	baselineFile string
	baseline     []v1alpha1.PlatformProfile // the saved result
}

func (o *checkOptions) formats() formats[[]*v1alpha1.PlatformProfile] {
	return formats[[]*v1alpha1.PlatformProfile]{
		{"table", func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeTables(w, profiles, report.TableOptions{Colour: useColours(w)})
		}},
		{"wide", func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeTables(w, profiles, report.TableOptions{Colour: useColours(w), Wide: true})
		}},
		{"json", func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeJSON(w, singleOrList(profiles))
		}},
		{"yaml", func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeYAML(w, singleOrList(profiles))
		}},
		{"junit", report.WriteJUnit},
		{"sarif", func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return report.WriteSARIF(w, profiles, o.location, version.Get())
		}},
		{"openreports", report.WriteOpenReports},
		{"html", func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return report.WriteHTML(w, profiles, time.Now())
		}},
		{"ai-conformance", report.WriteAIConformance},
	}
}

func newCheck(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	in := &input{flags: flags, streams: streams}
	o := &checkOptions{input: in, profiles: profileOptions{input: in}}
	output := ""
	command := &cobra.Command{
		Use:   "check [PROFILE...]",
		Short: "Evaluate a cluster or manifests against a profile",
		Long: `Evaluate a cluster or manifests against profiles once, like the operator does. Without -f the profiles are read from the
cluster.

The exit code is 0 if the profiles are conformant, 1 if they are not, and 2 if conformance is unknown or the command
fails. Manifests have no status, so the health of their components is NotObserved, which satisfies a requirement.

With --wait the command watches the cluster until the profiles are conformant or the --timeout expires. The exit code is
that of the last evaluation. An error in the spec of a profile ends the wait.

A PlatformWaiver waives a failing requirement until a time. Those of the cluster or of --from count, and those in the file
of -f. With --baseline the command fails only on what the saved result of an earlier check did not have.`,
		Example: `  # the cluster of the current context
  platformprofile check -f profile.yaml

  # rendered manifests, before they are deployed
  helm template my-release some/chart | platformprofile check -f profile.yaml --from -

  # wait until a platform is installed
  platformprofile check -f profile.yaml --wait --timeout 10m

  # fail only on what was not there when the result was saved
  platformprofile check -f profile.yaml --from manifests -o json > saved.json
  platformprofile check -f profile.yaml --from manifests --baseline saved.json

  # a test report for a pipeline
  platformprofile check -f profile.yaml --from manifests -o junit > report.xml

  # the checklist of Kubernetes AI conformance
  platformprofile check -f config/samples/ai-conformance.yaml -o ai-conformance > filled.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.profiles.names = args
			if o.wait && in.from != "" {
				return errors.New("--wait watches a cluster and cannot be used with --from: remove one of them")
			}
			if !o.wait && cmd.Flags().Changed("timeout") {
				return errors.New("--timeout requires --wait: add --wait or remove --timeout")
			}
			write, err := o.formats().writer(output)
			if err != nil {
				return err
			}
			if _, err := in.evaluationTime(); err != nil {
				return err
			}
			if o.location, err = o.profiles.readFile(); err != nil {
				return err
			}
			if o.baseline, err = readBaseline(o.baselineFile); err != nil {
				return err
			}
			profiles, err := o.evaluate(cmd.Context())
			if err != nil {
				return err
			}
			if err := write(streams.Out, profiles); err != nil {
				return err
			}
			return exitError(profiles)
		},
	}
	in.addFlags(command.Flags())
	o.profiles.addFlags(command.Flags())
	command.Flags().BoolVar(&o.wait, "wait", false, "watch the cluster until the profiles are conformant")
	command.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "maximum duration of --wait")
	command.Flags().StringVar(&o.baselineFile, "baseline", "",
		"file with the result of an earlier check, by -o json or yaml: what fails in it does not fail again")
	o.formats().addFlag(command, &output)
	command.ValidArgsFunction = o.profiles.completeProfiles
	return command
}

// evaluate returns the profiles with their status.
func (o *checkOptions) evaluate(ctx context.Context) ([]*v1alpha1.PlatformProfile, error) {
	profiles, err := o.profiles.read(ctx)
	if err != nil {
		return nil, err
	}
	if o.wait {
		return profiles, o.evaluateUntilConformant(ctx, profiles)
	}
	return profiles, o.evaluateOnce(ctx, profiles)
}

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
		if compiled[i], err = o.applyBaseline(profile.Name, compiled[i]); err != nil {
			return err
		}
		waivers := o.profiles.waiversOf(profile.Name)
		profile.Status = conformance.Evaluate(compiled[i], snapshot, &profile.Status, profile.Generation, now, waivers...).Status
		o.profiles.warnOfUnusedWaivers(profile, now)
	}
	return nil
}

// exitError returns the exit code for the conformance of profiles; nil if all are conformant. ExitFound outweighs ExitError. A profile
// with an error in its spec is ExitError.
func exitError(profiles []*v1alpha1.PlatformProfile) error {
	var err error
	for _, profile := range profiles {
		conformant := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionConformant)
		isStalled := meta.IsStatusConditionTrue(profile.Status.Conditions, v1alpha1.ConditionStalled)
		switch {
		case conformant != nil && conformant.Status == metav1.ConditionFalse && !isStalled:
			return exitCode(ExitFound)
		case isStalled || conformant == nil || conformant.Status != metav1.ConditionTrue:
			err = exitCode(ExitError)
		}
	}
	return err
}

func writeTables(w io.Writer, profiles []*v1alpha1.PlatformProfile, options report.TableOptions) error {
	for i, profile := range profiles {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := report.WriteConformance(w, profile, options); err != nil {
			return err
		}
	}
	return nil
}

// singleOrList returns the only profile, or a list of several, like kubectl get.
func singleOrList(profiles []*v1alpha1.PlatformProfile) any {
	if len(profiles) == 1 {
		return profiles[0]
	}
	list := &v1alpha1.PlatformProfileList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfileList"}}
	for _, profile := range profiles {
		list.Items = append(list.Items, *profile)
	}
	return list
}
