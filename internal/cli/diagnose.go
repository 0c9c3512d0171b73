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
)

var diagnosesFormats = formats[report.Diagnoses]{
	{"text", func(w io.Writer, d report.Diagnoses) error { return d.WriteText(w) }},
	{"wide", func(w io.Writer, d report.Diagnoses) error { return d.WriteWide(w) }},
	{"json", writeJSON[report.Diagnoses]},
	{"yaml", writeYAML[report.Diagnoses]},
}

func newDiagnose(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	in := &input{flags: flags, streams: streams}
	output := ""
	command := &cobra.Command{
		Use:   "diagnose",
		Short: "Diagnose failing pods and workloads",
		Long: `Diagnose failing pods and workloads: their symptom, its meaning, since when, likely causes starting with the most likely
one, and kubectl commands to investigate it. Jobs, CronJobs, rollouts, autoscalers and blocked drains are covered without a failing
pod, too. Pods that are starting, rolling out or completed are not reported.

The command lists pods, workloads, nodes and warnings page by page, and reads the events of failing pods. It never reads logs or
Secrets. The first line sums up. What a node does to several pods is reported once; -o wide names all pods. The exit code is 0 if
nothing fails, 1 if pods or workloads fail, and 2 if the command fails.`,
		Example: `  # all namespaces of the cluster of the current context
  platformprofile diagnose

  # one namespace
  platformprofile diagnose -n shop

  # a dump
  kubectl get -A -o yaml > dump.yaml \
    nodes,pods,events,pvc,storageclasses,deployments,replicasets,statefulsets,daemonsets,jobs,cronjobs,hpa,pdb
  platformprofile diagnose --from dump.yaml --at 2026-11-25T12:00:00Z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := diagnosesFormats.writer(output)
			if err != nil {
				return err
			}
			diagnoses, err := in.diagnose(cmd.Context())
			if err != nil {
				return err
			}
			if err := write(streams.Out, diagnoses); err != nil {
				return err
			}
			if len(diagnoses.Diagnoses) > 0 {
				return exitCode(ExitFound)
			}
			return nil
		},
	}
	in.addFlags(command.Flags())
	diagnosesFormats.addFlag(command, &output)
	return command
}

func (in *input) diagnose(ctx context.Context) (report.Diagnoses, error) {
	now, err := in.evaluationTime()
	if err != nil {
		return report.Diagnoses{}, err
	}
	pods, c, err := in.collectPods(ctx, now)
	if err != nil {
		return report.Diagnoses{}, err
	}
	// A list that is empty, and not null in JSON.
	diagnoses := append([]v1alpha1.Diagnosis{}, pods.Diagnose(c.PodHints(), now)...)
	return report.Diagnoses{Diagnoses: diagnoses, Unreadable: pods.Unreadable, Examined: pods.Examined, Now: now}, nil
}

// collectPods returns the failing pods of the namespace of -n, or of all namespaces, and the catalog of the cluster or of the files.
func (in *input) collectPods(ctx context.Context, now time.Time) (*podcases.Pods, *catalog.Catalog, error) {
	namespace := ""
	if in.flags.Namespace != nil {
		namespace = *in.flags.Namespace
	}
	if in.from != "" {
		dump, c, err := in.readFiles()
		if err != nil {
			return nil, nil, err
		}
		pods, err := podcases.OfDump(dump, namespace, now)
		return pods, c, err
	}
	clients, err := in.connect()
	if err != nil {
		return nil, nil, err
	}
	pods, err := podcases.OfCluster(ctx, clients.Typed, namespace, now)
	if err != nil {
		return nil, nil, withConnectionHint(fmt.Errorf("cannot read pods: %w", err))
	}
	c, err := in.buildClusterCatalog(ctx, clients)
	return pods, c, err
}
