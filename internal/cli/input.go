package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/source"
	"github.com/platformprofile/platformprofile/internal/source/files"
	"github.com/platformprofile/platformprofile/internal/source/list"
	"github.com/platformprofile/platformprofile/internal/text"
)

// input is what a command reads: a cluster, or files.
type input struct {
	flags   *genericclioptions.ConfigFlags
	streams genericclioptions.IOStreams
	from    string
	at      string
	strict  bool

	// What takeSnapshot has read: the files, or the clients of the cluster, and the waivers in either.
	dump    *files.Dump
	clients source.Clients
	waivers []*v1alpha1.PlatformWaiver
}

func (in *input) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&in.from, "from", "", `read manifests or dumps instead of a cluster: a folder, a file, or "-" for standard input`)
	flags.BoolVar(&in.strict, "strict", false,
		"with --from: fail on documents that are not Kubernetes objects and on objects that cannot be read")
	flags.StringVar(&in.at, "at", "", "evaluate ages in the files of --from as of this time, such as 2026-11-25T12:00:00Z (default now)")
}

// evaluationTime returns the time of the evaluation.
func (in *input) evaluationTime() (time.Time, error) {
	if in.at == "" {
		return time.Now(), nil
	}
	if in.from == "" {
		return time.Time{}, errors.New("--at requires --from: a cluster is evaluated as of now")
	}
	at, err := time.Parse(time.RFC3339, in.at)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %s is not a time such as 2026-11-25T12:00:00Z", in.at)
	}
	return at, nil
}

// takeSnapshot reads the cluster or the files once, with the resources that the rules of profiles need. It returns the compiled profiles in
// the same order.
func (in *input) takeSnapshot(
	ctx context.Context, profiles ...*v1alpha1.PlatformProfile,
) (*inventory.Snapshot, []*conformance.Profile, error) {
	if in.from != "" {
		return in.takeFileSnapshot(profiles)
	}
	clients, err := in.connect()
	if err != nil {
		return nil, nil, err
	}
	in.clients = clients
	in.waivers = in.readClusterWaivers(ctx, clients)
	c, err := in.buildClusterCatalog(ctx, clients)
	if err != nil {
		return nil, nil, err
	}
	compiled, instances := compile(c, profiles)
	i := inventory.New(c, time.Now)
	if err := list.Read(ctx, clients, i, instances); err != nil {
		return nil, nil, withConnectionHint(err)
	}
	if err := podcases.Diagnose(ctx, clients.Typed, i, time.Now()); err != nil {
		in.warn("cannot diagnose the pods of degraded workloads: %v", err)
	}
	return i.Snapshot(), compiled, nil
}

// buildClusterCatalog returns the built-in catalog extended by the definitions of a cluster.
func (in *input) buildClusterCatalog(ctx context.Context, clients source.Clients) (*catalog.Catalog, error) {
	definitions, err := list.Definitions(ctx, clients)
	if err != nil {
		in.warn("%v: only the built-in definitions are used", err)
	}
	return in.buildCatalog(definitions)
}

// readClusterWaivers returns the waivers of a cluster.
func (in *input) readClusterWaivers(ctx context.Context, clients source.Clients) []*v1alpha1.PlatformWaiver {
	waivers, err := list.Waivers(ctx, clients)
	if err != nil {
		in.warn("%v: no requirement is waived by the cluster", err)
	}
	for _, problem := range findInvalidWaivers(waivers, time.Now()) {
		in.warn("%s", problem)
	}
	return waivers
}

// findInvalidWaivers returns what is wrong with waivers that waive nothing because of it.
func findInvalidWaivers(waivers []*v1alpha1.PlatformWaiver, now time.Time) []string {
	var problems []string
	for _, waiver := range waivers {
		if err := conformance.ValidateWaiver(waiver, now); err != nil {
			problems = append(problems, fmt.Sprintf("PlatformWaiver %s waives nothing: %v", waiver.Name, err))
		}
	}
	return problems
}

// withConnectionHint adds what to do if a cluster does not respond.
func withConnectionHint(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%w: check that the cluster is running, select another with --kubeconfig or --context, or use --from", err)
	}
	return err
}

// connect returns clients for the cluster that the flags select.
func (in *input) connect() (source.Clients, error) {
	config, err := in.flags.ToRESTConfig()
	if err != nil {
		return source.Clients{}, fmt.Errorf("no cluster is configured (use --kubeconfig or --context, or --from for files): %w", err)
	}
	return source.NewClients(config)
}

// maxProblems is how many of the objects that cannot be read are named.
const maxProblems = 20

// readFiles reads --from, and warns of what cannot be read. It returns the files, and the catalog with their definitions.
func (in *input) readFiles() (*files.Dump, *catalog.Catalog, error) {
	progress := newReadProgress(in.streams.ErrOut)
	dump, err := files.ReadWithProgress(in.from, in.streams.In, progress.update)
	progress.end()
	if err != nil {
		return nil, nil, fmt.Errorf("reading --from: %w", err)
	}
	problems := dump.Problems[:min(len(dump.Problems), maxProblems)]
	if in.strict && dump.Foreign+len(dump.Problems) > 0 {
		err := fmt.Errorf("reading --from with --strict: documents that are not Kubernetes objects: %d, objects that cannot be read: %d",
			dump.Foreign, len(dump.Problems))
		for _, problem := range problems {
			err = fmt.Errorf("%w\n%s", err, problem)
		}
		return nil, nil, err
	}
	for _, problem := range problems {
		in.warn("%s", problem)
	}
	if len(dump.Problems) > 0 {
		in.warn("objects that cannot be read: %d; what depends on their kinds is Unknown where it would be Missing", len(dump.Problems))
	}
	c, err := in.buildCatalog(dump.Definitions)
	return dump, c, err
}

func (in *input) takeFileSnapshot(profiles []*v1alpha1.PlatformProfile) (*inventory.Snapshot, []*conformance.Profile, error) {
	dump, c, err := in.readFiles()
	if err != nil {
		return nil, nil, err
	}
	in.dump, in.waivers = dump, dump.Waivers
	compiled, instances := compile(c, profiles)
	now, err := in.evaluationTime()
	if err != nil {
		return nil, nil, err
	}
	for _, problem := range findInvalidWaivers(dump.Waivers, now) {
		if in.strict {
			return nil, nil, fmt.Errorf("reading --from with --strict: %s", problem)
		}
		in.warn("%s", problem)
	}
	i := inventory.New(c, func() time.Time { return now })
	if err := dump.Load(i, instances); err != nil {
		return nil, nil, fmt.Errorf("reading --from: %w", err)
	}
	if err := podcases.DiagnoseDump(dump, i, now); err != nil {
		return nil, nil, fmt.Errorf("reading --from: %w", err)
	}
	return i.Snapshot(), compiled, nil
}

// buildCatalog returns the built-in catalog extended by definitions. It ignores invalid definitions with a warning, like the operator.
func (in *input) buildCatalog(definitions []*v1alpha1.PlatformComponent) (*catalog.Catalog, error) {
	components, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	components = append([]*catalog.Component{}, components...)
	for _, definition := range definitions {
		component, errs := catalog.Compile(definition)
		if len(errs) > 0 {
			in.warn("PlatformComponent %s is invalid and ignored: %v", definition.Name, errs.ToAggregate())
			continue
		}
		components = append(components, component)
	}
	return catalog.New(components...), nil
}

func (in *input) warn(format string, args ...any) {
	_, _ = fmt.Fprintln(in.streams.ErrOut, text.Printable(fmt.Sprintf("Warning: "+format, args...)))
}

// compile compiles profiles, and returns the instances of rules of the profiles and the catalog.
func compile(c *catalog.Catalog, profiles []*v1alpha1.PlatformProfile) ([]*conformance.Profile, []rule.Instance) {
	instances := slices.Clone(c.Instances())
	compiled := make([]*conformance.Profile, 0, len(profiles))
	for _, profile := range profiles {
		p := conformance.Compile(&profile.Spec, c)
		compiled = append(compiled, p)
		instances = append(instances, p.Instances()...)
	}
	return compiled, instances
}
