package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/source"
	"github.com/platformprofile/platformprofile/internal/source/files"
	"github.com/platformprofile/platformprofile/internal/upgrade"
)

var planFormats = formats[*upgrade.Plan]{
	{"table", func(w io.Writer, p *upgrade.Plan) error {
		return report.WritePlan(w, p, report.TableOptions{Colour: useColours(w)})
	}},
	{"wide", func(w io.Writer, p *upgrade.Plan) error {
		return report.WritePlan(w, p, report.TableOptions{Colour: useColours(w), Wide: true})
	}},
	{"json", writeJSON[*upgrade.Plan]},
	{"yaml", writeYAML[*upgrade.Plan]},
	{"html", func(w io.Writer, p *upgrade.Plan) error { return report.WritePlanHTML(w, p, time.Now()) }},
}

func newUpgrade(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	in := &input{flags: flags, streams: streams}
	output, to := "", ""
	command := &cobra.Command{
		Use:   "upgrade --to VERSION",
		Short: "List what blocks an upgrade of Kubernetes",
		Long: `List what blocks an upgrade of Kubernetes to a version: components that do not support it, APIs in use that
it no longer serves, kubelets outside the version skew, PodDisruptionBudgets that block a drain, and what is out of support.
A list of steps says what to do before, with and after the control plane.

Which versions upstream supports is in the catalog: the command sends no request except to the cluster.

The exit code is 0 if nothing blocks the upgrade, 1 if something does, and 2 if that is unknown or the command fails.`,
		Example: `  # the cluster of the current context
  platformprofile upgrade --to 1.38

  # the manifests of a repository
  platformprofile upgrade --to 1.38 --from manifests`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := planFormats.writer(output)
			if err != nil {
				return err
			}
			target, ok := catalog.ParseVersion(catalog.CleanVersion(to))
			if !ok {
				return fmt.Errorf("--to %q is not a version of Kubernetes, for example 1.38", to)
			}
			now, err := in.evaluationTime()
			if err != nil {
				return err
			}
			snapshot, _, err := in.takeSnapshot(cmd.Context())
			if err != nil {
				return err
			}
			var reader upgrade.Reader = clusterReader{in.clients}
			if in.dump != nil {
				reader = dumpReader{in.dump}
			}
			plan := upgrade.NewPlan(cmd.Context(), snapshot, reader, target, now)
			if err := write(streams.Out, plan); err != nil {
				return err
			}
			switch plan.Worst() {
			case upgrade.Blocking:
				return exitCode(ExitFound)
			case upgrade.Unknown:
				return exitCode(ExitError)
			default:
				return nil
			}
		},
	}
	in.addFlags(command.Flags())
	command.Flags().StringVar(&to, "to", "", "version of Kubernetes to upgrade to, for example 1.38")
	_ = command.MarkFlagRequired("to")
	planFormats.addFlag(command, &output)
	return command
}

// clusterReader reads the objects of a cluster.
type clusterReader struct{ clients source.Clients }

// Each implements upgrade.Reader.
func (r clusterReader) Each(ctx context.Context, group, version, resource string, do func(*unstructured.Unstructured)) error {
	return source.EachObject(ctx, r.clients, rule.Resource{Group: group, Version: version, Resource: resource}, do)
}

// Uses implements upgrade.Reader. Field managers record by which version they wrote an object. An object of a resource that is served in
// no other version uses it in any case.
func (r clusterReader) Uses(ctx context.Context, apis []upgrade.API, do func(upgrade.Use)) error {
	var errs []error
	served := map[schema.GroupVersion]map[string]bool{}
	for _, api := range apis {
		version := api.GroupVersion()
		if served[version] == nil {
			var err error
			if served[version], err = source.ServedResources(r.clients, version); err != nil {
				errs = append(errs, err)
			}
		}
		if !served[version][api.Resource] {
			continue
		}
		resource := rule.Resource{Group: api.Group, Resource: api.Resource}
		err := source.EachObject(ctx, r.clients, resource, func(o *unstructured.Unstructured) {
			use := upgrade.Use{API: api, Namespace: o.GetNamespace(), Name: o.GetName()}
			if o.GetAPIVersion() == api.GroupVersion().String() {
				use.By = "the cluster serves no other version"
				do(use)
				return
			}
			for _, entry := range o.GetManagedFields() {
				if entry.APIVersion == api.GroupVersion().String() {
					use.By = entry.Manager
					if entry.Time != nil {
						use.By += " at " + entry.Time.UTC().Format(time.RFC3339)
					}
					do(use)
				}
			}
		})
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// dumpReader reads the objects of files.
type dumpReader struct{ dump *files.Dump }

// Each implements upgrade.Reader. The version of an object in a file counts for all versions.
func (r dumpReader) Each(_ context.Context, group, _, resource string, do func(*unstructured.Unstructured)) error {
	return r.dump.Each(rule.Resource{Group: group, Resource: resource}, func(o *unstructured.Unstructured) error {
		do(o)
		return nil
	})
}

// Uses implements upgrade.Reader.
func (r dumpReader) Uses(_ context.Context, apis []upgrade.API, do func(upgrade.Use)) error {
	byKind := map[schema.GroupVersionKind]upgrade.API{}
	for _, api := range apis {
		byKind[api.GroupVersionKind] = api
	}
	isWanted := func(kind schema.GroupVersionKind) bool {
		_, ok := byKind[kind]
		return ok
	}
	return r.dump.EachOfVersion(isWanted, func(o *unstructured.Unstructured, location string) {
		do(upgrade.Use{API: byKind[o.GroupVersionKind()], Namespace: o.GetNamespace(), Name: o.GetName(), By: location})
	})
}
