package inventory

import (
	"maps"
	"slices"
	"sync"

	"github.com/Masterminds/semver/v3"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Snapshot is the state of the inventory at one time. It is immutable.
type Snapshot struct {
	Catalog    *catalog.Catalog
	components []*Component // in the order of the catalog's names
	outcomes   map[string]*rule.Outcome
	resources  map[rule.Resource]SourceStatus
	sources    map[string]SourceStatus
	// degradedWorkloads returns all degraded workloads of installed components, sorted by component.
	degradedWorkloads func() []facts.Ref
}

// SourceStatus is the status of a source or of a resource that rules read.
type SourceStatus struct {
	State   facts.SourceState
	Reason  string
	Objects int
}

// Component is the state of a component. It is immutable.
type Component struct {
	Definition *catalog.Component
	// Installations are sorted by namespace, then by version.
	Installations []Installation
	// Leftovers is the supporting evidence of a component without an installation.
	Leftovers []v1alpha1.Evidence
	// UnreadableSources has a message for each source that may prove an installation and cannot be read.
	UnreadableSources []string
	// FailedDeclarations has a message for each HelmRelease, Application and the like that declares the component and failed.
	FailedDeclarations []string
	// IsPartlyUnreadable is true if a kind of workload cannot be read. The health and version of installations may be wrong then, because some
	// of their workloads may be missing.
	IsPartlyUnreadable bool
}

// Installation is one copy of a component. It is immutable.
type Installation struct {
	Namespace string
	// Version is cleaned; empty if it could not be determined.
	Version string
	// VersionFrom is the source of the version; empty if there is no version.
	VersionFrom v1alpha1.VersionOrigin
	// ChartVersion is the version of the chart or package that is declared, if Version is empty.
	ChartVersion string
	// SemVer is the parsed version; nil if there is none.
	SemVer *semver.Version
	// ManagedBy is the object that manages the installation, for example "HelmRelease monitoring/prometheus"; empty if it is unknown.
	ManagedBy string
	// Variant is the edition of the product, for example a release channel; empty for a product with one edition.
	Variant string
	Health  v1alpha1.Health
	// Message says why the installation is not Healthy; empty if it is.
	Message           string
	DegradedWorkloads []facts.Ref
	// Diagnoses are the diagnoses of the DegradedWorkloads, the worst first.
	Diagnoses []v1alpha1.Diagnosis
	// Evidence has the first few matching objects, proofs first.
	Evidence []v1alpha1.Evidence
}

// Snapshot returns the current state. It is cached until the next change.
func (i *Inventory) Snapshot() *Snapshot {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.snapshot != nil {
		return i.snapshot
	}
	s := &Snapshot{
		Catalog: i.catalog, components: slices.Clone(i.components), outcomes: maps.Clone(i.outcomes), resources: maps.Clone(i.resources),
		sources: make(map[string]SourceStatus, len(i.sources)),
	}
	for name, source := range i.sources {
		s.sources[name] = SourceStatus{source.state, source.reason, len(source.records)}
	}
	s.degradedWorkloads = sync.OnceValue(s.findDegraded)
	i.snapshot = s
	return s
}

// Component returns the state of a component; nil if it is not defined.
func (s *Snapshot) Component(name string) *Component {
	if position, ok := s.Catalog.Position(name); ok {
		return s.components[position]
	}
	return nil
}

// InstalledComponents returns the components with at least one installation, sorted by name.
func (s *Snapshot) InstalledComponents() []*Component {
	return s.filterComponents(func(c *Component) bool { return len(c.Installations) > 0 })
}

// LeftoverComponents returns the components with leftovers and without an installation, sorted by name.
func (s *Snapshot) LeftoverComponents() []*Component {
	return s.filterComponents(func(c *Component) bool { return len(c.Installations) == 0 && len(c.Leftovers) > 0 })
}

func (s *Snapshot) filterComponents(matches func(*Component) bool) []*Component {
	var filtered []*Component
	for _, component := range s.components {
		if matches(component) {
			filtered = append(filtered, component)
		}
	}
	return filtered
}

// BundlerOf returns the name of the component that bundles an installation, and is installed in the same namespace; empty if there is none.
func (s *Snapshot) BundlerOf(component *Component, installation *Installation) string {
	if installation.Namespace == "" {
		return ""
	}
	for _, name := range s.Catalog.BundlersOf(component.Definition.Name) {
		for _, bundler := range s.Component(name).Installations {
			if bundler.Namespace == installation.Namespace {
				return name
			}
		}
	}
	return ""
}

// UnreadableSources returns the messages of all components, without duplicates.
func (s *Snapshot) UnreadableSources() []string {
	var reasons []string
	for _, name := range s.Catalog.Names() {
		for _, reason := range s.Component(name).UnreadableSources {
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	return reasons
}

// SourceStatus returns the status of a source, by its name as in kubectl, for example "daemonsets.apps". An unknown source is Pending.
func (s *Snapshot) SourceStatus(name string) SourceStatus { return s.sources[name] }

// SourceStates returns the states of all sources and of all resources that rules read, by name. A resource that is both has the worse
// state.
func (s *Snapshot) SourceStates() map[string]facts.SourceState {
	states := make(map[string]facts.SourceState, len(s.sources)+len(s.resources))
	for name, source := range s.sources {
		states[name] = source.State
	}
	for name, r := range s.resources {
		if state, ok := states[name.String()]; !ok || state == facts.Synced || state == facts.NotServed && r.State != facts.Synced {
			states[name.String()] = r.State
		}
	}
	return states
}

// ResourceStatus returns the status of a resource that rules read. An unknown resource is Pending.
func (s *Snapshot) ResourceStatus(name rule.Resource) SourceStatus { return s.resources[name] }

// Outcome returns the outcome of a rule instance, by its key. It is Pending before the first evaluation.
func (s *Snapshot) Outcome(key string) *rule.Outcome {
	if outcome := s.outcomes[key]; outcome != nil {
		return outcome
	}
	return rule.Pending
}
