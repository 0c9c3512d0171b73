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

// Snapshot is the inventory at one moment. It never changes.
type Snapshot struct {
	Catalog    *catalog.Catalog
	components []*Component // in the order of the catalog's names
	outcomes   map[string]*rule.Outcome
	resources  map[rule.Resource]SourceStatus
	sources    map[string]SourceStatus
	// degraded are the workloads of installed components that do not run as they should, sorted by component.
	degraded func() []facts.Ref
}

// SourceStatus is the state of a resource that is read, for facts or for rules, and how many objects it has.
type SourceStatus struct {
	State   facts.SourceState
	Reason  string
	Objects int
}

// Component is what is found of one component. It never changes.
type Component struct {
	Definition *catalog.Component
	// Installations are sorted by namespace, then by version.
	Installations []Installation
	// Leftovers is what supports an installation where nothing proves one.
	Leftovers []v1alpha1.Evidence
	// UnreadableSources are the sources that could prove an installation and could not be looked at, each with the reason.
	UnreadableSources []string
	// IsPartlyUnreadable says that a kind of workload is among them, so that neither the health nor the version of what is found
	// elsewhere can be trusted: more of it may be out of sight.
	IsPartlyUnreadable bool
}

// Installation is one copy of a component. It never changes.
type Installation struct {
	Namespace string
	// Version is cleaned; empty where nothing tells.
	Version string
	// VersionFrom is what told it; empty where nothing did.
	VersionFrom v1alpha1.VersionOrigin
	// SemVer is the version to compare; nil where there is none.
	SemVer *semver.Version
	// Variant is the product's edition, for instance a release channel; empty for products that have but one.
	Variant string
	Health  v1alpha1.Health
	// Message says why the health is not Healthy; empty where it is.
	Message string
	// DegradedWorkloads are its workloads that do not run as they should, and Diagnoses what is wrong with their pods, the worst
	// first.
	DegradedWorkloads []facts.Ref
	Diagnoses         []v1alpha1.Diagnosis
	// Evidence is what shows the installation, proofs first: the most telling few.
	Evidence []v1alpha1.Evidence
}

// Snapshot returns the inventory as it is now. Asking again costs nothing while nothing changes.
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
	s.degraded = sync.OnceValue(s.findDegraded)
	i.snapshot = s
	return s
}

// Component returns what is found of a component; nil where nobody defines it.
func (s *Snapshot) Component(name string) *Component {
	if at, ok := s.Catalog.Position(name); ok {
		return s.components[at]
	}
	return nil
}

// InstalledComponents are the components with at least one installation, sorted by name.
func (s *Snapshot) InstalledComponents() []*Component {
	return s.filterComponents(func(c *Component) bool { return len(c.Installations) > 0 })
}

// LeftoverComponents are the components of which only residue is there, sorted by name.
func (s *Snapshot) LeftoverComponents() []*Component {
	return s.filterComponents(func(c *Component) bool { return len(c.Installations) == 0 && len(c.Leftovers) > 0 })
}

func (s *Snapshot) filterComponents(wanted func(*Component) bool) []*Component {
	var found []*Component
	for _, component := range s.components {
		if wanted(component) {
			found = append(found, component)
		}
	}
	return found
}

// BundlerOf names the component that ships an installation of a component as a part of itself: one that says so, and that is
// installed in the same namespace. It is empty where the installation stands for itself.
func (s *Snapshot) BundlerOf(component *Component, installation *Installation) string {
	if installation.Namespace == "" {
		return ""
	}
	for _, name := range s.Catalog.BundlersOf(component.Definition.Name) {
		for _, whole := range s.Component(name).Installations {
			if whole.Namespace == installation.Namespace {
				return name
			}
		}
	}
	return ""
}

// UnreadableSources says what could not be looked at that might prove a component, each thing once, in the order of the components.
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

// SourceStatus tells how well a source can be seen, named as kubectl names the resource: "daemonsets.apps". One that nobody feeds
// is Pending.
func (s *Snapshot) SourceStatus(name string) SourceStatus { return s.sources[name] }

// SourceStates tell how well each source and each resource that rules read can be seen, named as messages have it. Where both are
// read of one resource, the worse one is told.
func (s *Snapshot) SourceStates() map[string]facts.SourceState {
	states := make(map[string]facts.SourceState, len(s.sources)+len(s.resources))
	for name, source := range s.sources {
		states[name] = source.State
	}
	for name, r := range s.resources {
		if known, ok := states[name.String()]; !ok || known == facts.Synced || known == facts.NotServed && r.State != facts.Synced {
			states[name.String()] = r.State
		}
	}
	return states
}

// ResourceStatus is the state of a resource that rules read. One that nobody feeds is Pending.
func (s *Snapshot) ResourceStatus(name rule.Resource) SourceStatus { return s.resources[name] }

// Outcome is what a rule instance came to, by its key. One that was not evaluated yet is Pending.
func (s *Snapshot) Outcome(key string) *rule.Outcome {
	if outcome := s.outcomes[key]; outcome != nil {
		return outcome
	}
	return rule.Pending
}
