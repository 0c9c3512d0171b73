package inventory

import (
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
	resources  map[catalog.Resource]*Resource
	sources    map[string]Source
	// degraded are the workloads of installed components that do not run as they should, sorted by component.
	degraded func() []facts.Ref
}

// Source is how well a source of facts can be seen, and how many objects it shows.
type Source struct {
	Sight   Sight
	Reason  string
	Objects int
}

// Component is what is found of one component. It never changes.
type Component struct {
	Definition *catalog.Component
	// Installations are sorted by namespace, then by version.
	Installations []Installation
	// Residue is what supports an installation where nothing proves one.
	Residue []v1alpha1.Evidence
	// Blind are the sources that could prove an installation and could not be looked at, each with the reason.
	Blind []string
	// Obscured says that a kind of workload is among them, so that neither the health nor the version of what is found
	// elsewhere can be trusted: more of it may be out of sight.
	Obscured bool
}

// Installation is one copy of a component. It never changes.
type Installation struct {
	Namespace string
	// Version is cleaned; empty where nothing tells.
	Version string
	// VersionFrom is what told it; empty where nothing did.
	VersionFrom v1alpha1.VersionOrigin
	// Parsed is the version to compare; nil where there is none.
	Parsed *semver.Version
	// Variant is the product's edition, for instance a release channel; empty for products that have but one.
	Variant string
	Health  v1alpha1.Health
	// Message says why the health is not Healthy; empty where it is.
	Message string
	// Degraded are its workloads that do not run as they should, and Diagnoses what is wrong with their pods, the worst
	// first.
	Degraded  []facts.Ref
	Diagnoses []v1alpha1.Diagnosis
	// Evidence is what shows the installation, proofs first: the most telling few.
	Evidence []v1alpha1.Evidence
}

// Resource is what rules see of one resource. It never changes.
type Resource struct {
	Sight  Sight
	Reason string
	// Revision moves with every change, so that what was computed from the objects can be kept until then.
	Revision uint64
	// Objects are the unstructured contents, sorted by namespace and name.
	Objects *rule.Objects

	outcomes *outcomes
}

// Snapshot returns the inventory as it is now. Asking again costs nothing while nothing changes.
func (i *Inventory) Snapshot() *Snapshot {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.snapshot != nil {
		return i.snapshot
	}
	s := &Snapshot{Catalog: i.catalog, components: slices.Clone(i.states)}
	s.sources = shown(i.last.sources, i.sources, (*source).seen)
	s.resources = shown(i.last.resources, i.resources, (*resource).seen)
	s.degraded = sync.OnceValue(s.findDegraded)
	i.snapshot, i.last = s, s
	return s
}

// shown is what a snapshot shows of things, by their names: what was shown of them last where nothing of that has changed.
func shown[Name, Shown comparable, Thing any](last map[Name]Shown, of map[Name]Thing, see func(Thing) Shown) map[Name]Shown {
	same := last != nil && len(last) == len(of)
	for name, thing := range of {
		if was, ok := last[name]; !same || !ok || was != see(thing) {
			same = false
			break
		}
	}
	if same {
		return last
	}
	now := make(map[Name]Shown, len(of))
	for name, thing := range of {
		now[name] = see(thing)
	}
	return now
}

// seen is how well the source can be seen.
func (s *source) seen() Source { return Source{s.sight, s.reason, len(s.records)} }

// seen is what rules see of the resource.
func (r *resource) seen() *Resource {
	if r.view == nil {
		r.view = &Resource{Sight: r.sight, Reason: r.reason, Revision: r.revision, Objects: r.objects, outcomes: &outcomes{}}
	}
	return r.view
}

// Component returns what is found of a component; nil where nobody defines it.
func (s *Snapshot) Component(name string) *Component {
	if at, ok := s.Catalog.Position(name); ok {
		return s.components[at]
	}
	return nil
}

// Found are the components with at least one installation, sorted by name.
func (s *Snapshot) Found() []*Component {
	return s.pick(func(c *Component) bool { return len(c.Installations) > 0 })
}

// Left are the components of which only residue is there, sorted by name.
func (s *Snapshot) Left() []*Component {
	return s.pick(func(c *Component) bool { return len(c.Installations) == 0 && len(c.Residue) > 0 })
}

func (s *Snapshot) pick(wanted func(*Component) bool) []*Component {
	var found []*Component
	for _, component := range s.components {
		if wanted(component) {
			found = append(found, component)
		}
	}
	return found
}

// PartOf names the component that ships an installation of a component as a part of itself: one that says so, and that is
// installed in the same namespace. It is empty where the installation stands for itself.
func (s *Snapshot) PartOf(component *Component, installation *Installation) string {
	if installation.Namespace == "" {
		return ""
	}
	for _, name := range s.Catalog.Bundlers(component.Definition.Name) {
		for _, whole := range s.Component(name).Installations {
			if whole.Namespace == installation.Namespace {
				return name
			}
		}
	}
	return ""
}

// Unseen says what could not be looked at that might prove a component, each thing once, in the order of the components.
func (s *Snapshot) Unseen() []string {
	var reasons []string
	for _, name := range s.Catalog.Names() {
		for _, reason := range s.Component(name).Blind {
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	return reasons
}

// Source tells how well a source can be seen, named as kubectl names the resource: "daemonsets.apps". One that nobody feeds
// is Pending.
func (s *Snapshot) Source(name string) Source { return s.sources[name] }

// Sights tell how well each source and each resource that rules read can be seen, named as messages have it. Where both are
// read of one resource, the worse one is told.
func (s *Snapshot) Sights() map[string]Sight {
	sights := make(map[string]Sight, len(s.sources)+len(s.resources))
	for name, source := range s.sources {
		sights[name] = source.Sight
	}
	for name, r := range s.resources {
		if known, ok := sights[name.String()]; !ok || known == Seen || known == NotServed && r.Sight != Seen {
			sights[name.String()] = r.Sight
		}
	}
	return sights
}

// Resource returns what rules see of a resource. One that nobody feeds is Pending.
func (s *Snapshot) Resource(name catalog.Resource) *Resource {
	if r, ok := s.resources[name]; ok {
		return r
	}
	return &Resource{}
}
