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

// input is what a one-shot command reads: a cluster, or files.
type input struct {
	flags   *genericclioptions.ConfigFlags
	streams genericclioptions.IOStreams
	from    string
	at      string
}

func (s *input) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.from, "from", "", `read manifests or dumps instead of a cluster: a folder, a file, or "-" for standard input`)
	flags.StringVar(&s.at, "at", "", "when the files of --from were taken from the cluster, as 2026-11-25T12:00:00Z; what is old or late is judged by that time, and by the present one where it is left out")
}

// evaluationTime is the time by which the command judges.
func (s *input) evaluationTime() (time.Time, error) {
	if s.at == "" {
		return time.Now(), nil
	}
	if s.from == "" {
		return time.Time{}, errors.New("--at goes with --from: a cluster is judged by the present time")
	}
	at, err := time.Parse(time.RFC3339, s.at)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %s is no time such as 2026-11-25T12:00:00Z", s.at)
	}
	return at, nil
}

// takeSnapshot reads everything once. profiles says what their rules need read beside it; the compiled profiles come back in the
// same order.
func (s *input) takeSnapshot(ctx context.Context, profiles ...*v1alpha1.PlatformProfile) (*inventory.Snapshot, []*conformance.Profile, error) {
	if s.from != "" {
		return s.takeFileSnapshot(profiles)
	}
	clients, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	c, err := s.buildClusterCatalog(ctx, clients)
	if err != nil {
		return nil, nil, err
	}
	compiled, instances := compile(c, profiles)
	i := inventory.New(c, time.Now)
	if err := list.Read(ctx, clients, i, instances); err != nil {
		return nil, nil, withConnectionHint(err)
	}
	if err := podcases.Diagnose(ctx, clients.Typed, i, time.Now()); err != nil {
		s.warn("what is wrong with the pods of degraded workloads could not be found out: %v", err)
	}
	return i.Snapshot(), compiled, nil
}

// buildClusterCatalog is the built-in catalog with the definitions that are applied to a cluster.
func (s *input) buildClusterCatalog(ctx context.Context, clients source.Clients) (*catalog.Catalog, error) {
	definitions, err := list.Definitions(ctx, clients)
	if err != nil {
		s.warn("%v; only the built-in definitions are used", err)
	}
	return s.buildCatalog(definitions)
}

// withConnectionHint adds what to do where a cluster does not answer at all.
func withConnectionHint(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return fmt.Errorf("%w: see whether the cluster is up, choose another with --kubeconfig or --context, or read files with --from", err)
	}
	return err
}

// connect connects to the cluster that the flags choose.
func (s *input) connect() (source.Clients, error) {
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return source.Clients{}, fmt.Errorf("no cluster to look at (use --kubeconfig or --context, or --from for files): %w", err)
	}
	return source.NewClients(config)
}

func (s *input) takeFileSnapshot(profiles []*v1alpha1.PlatformProfile) (*inventory.Snapshot, []*conformance.Profile, error) {
	dump, err := files.Read(s.from, s.streams.In)
	if err != nil {
		return nil, nil, fmt.Errorf("reading --from: %w", err)
	}
	c, err := s.buildCatalog(dump.Definitions)
	if err != nil {
		return nil, nil, err
	}
	compiled, instances := compile(c, profiles)
	now, err := s.evaluationTime()
	if err != nil {
		return nil, nil, err
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

// buildCatalog is the built-in catalog with what definitions add to it. A definition that cannot be used is warned of and left
// out, as the operator does.
func (s *input) buildCatalog(definitions []*v1alpha1.PlatformComponent) (*catalog.Catalog, error) {
	components, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	components = append([]*catalog.Component{}, components...)
	for _, definition := range definitions {
		component, errs := catalog.Compile(definition)
		if len(errs) > 0 {
			s.warn("PlatformComponent %s is not used: %v", definition.Name, errs.ToAggregate())
			continue
		}
		components = append(components, component)
	}
	return catalog.New(components...), nil
}

func (s *input) warn(format string, args ...any) {
	_, _ = fmt.Fprintln(s.streams.ErrOut, text.Printable(fmt.Sprintf("Warning: "+format, args...)))
}

// compile compiles profiles, and says which rules they and the catalog need evaluated.
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
