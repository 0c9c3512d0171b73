package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/source/files"
)

func newDiagnose(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	from := &input{flags: flags, streams: streams}
	output := ""
	command := &cobra.Command{
		Use:   "diagnose",
		Short: "Say what is wrong with which pods, why, and which commands show it",
		Long: `Say what is wrong with which pods: the symptom, what it means, its likely causes with the likeliest first, and the kubectl
commands that show it. Pods that are starting, rolling out or done are not told of.

Only pods of workloads that are not healthy are read, pods that do not run, and those that a warning names. Logs and
Secrets are never read. The exit code is 0 where nothing is wrong, 1 where something is, and 2 when the command failed.`,
		Example: `  # all namespaces of the current context's cluster
  platformprofile diagnose

  # one namespace
  platformprofile diagnose -n shop

  # a dump
  kubectl get nodes,pods,events,pvc,storageclasses,deployments,statefulsets,daemonsets,jobs -A -o yaml > dump.yaml
  platformprofile diagnose --from dump.yaml --at 2026-11-25T12:00:00Z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := newDiagnosesWriter(output)
			if err != nil {
				return err
			}
			found, err := from.diagnose(cmd.Context())
			if err != nil {
				return err
			}
			if err := write(streams.Out, found); err != nil {
				return err
			}
			if len(found.Diagnoses) > 0 {
				return exitCode(ExitFound)
			}
			return nil
		},
	}
	from.addFlags(command.Flags())
	command.Flags().StringVarP(&output, "output", "o", "text", "text, json or yaml")
	completeFormats(command, []string{"text", "json", "yaml"})
	return command
}

// diagnose says what is wrong with pods where the command looks.
func (s *input) diagnose(ctx context.Context) (report.Diagnoses, error) {
	now, err := s.evaluationTime()
	if err != nil {
		return report.Diagnoses{}, err
	}
	troubled, c, err := s.collectPods(ctx, now)
	if err != nil {
		return report.Diagnoses{}, err
	}
	return report.Diagnoses{Diagnoses: append([]v1alpha1.Diagnosis{}, troubled.Diagnose(c.PodHints(), now)...), Unreadable: troubled.Unreadable}, nil
}

// collectPods looks for troubled pods where the command looks: in the namespace of -n, or in all. The catalog is the one that
// holds there.
func (s *input) collectPods(ctx context.Context, now time.Time) (*podcases.Pods, *catalog.Catalog, error) {
	namespace := ""
	if s.flags.Namespace != nil {
		namespace = *s.flags.Namespace
	}
	if s.from != "" {
		dump, err := files.Read(s.from, s.streams.In)
		if err != nil {
			return nil, nil, fmt.Errorf("reading --from: %w", err)
		}
		c, err := s.buildCatalog(dump.Definitions)
		if err != nil {
			return nil, nil, err
		}
		troubled, err := podcases.OfDump(dump, namespace)
		return troubled, c, err
	}
	clients, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	troubled, err := podcases.OfCluster(ctx, clients.Typed, namespace, now)
	if err != nil {
		return nil, nil, withConnectionHint(fmt.Errorf("looking for troubled pods: %w", err))
	}
	c, err := s.buildClusterCatalog(ctx, clients)
	return troubled, c, err
}

func newDiagnosesWriter(output string) (func(io.Writer, report.Diagnoses) error, error) {
	switch output {
	case "text":
		return func(w io.Writer, d report.Diagnoses) error { return d.WriteText(w) }, nil
	case "json":
		return func(w io.Writer, d report.Diagnoses) error { return writeJSON(w, d) }, nil
	case "yaml":
		return func(w io.Writer, d report.Diagnoses) error { return writeYAML(w, d) }, nil
	}
	return nil, fmt.Errorf("-o %s: write text, json or yaml", output)
}
