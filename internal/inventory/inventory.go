package inventory

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Sight says how well a source can be seen.
type Sight int

// The sights of a source.
const (
	// Pending says that the first look is not over yet.
	Pending Sight = iota
	// Seen says that the source is watched, or was read whole.
	Seen
	// NotServed says that the cluster does not serve the resource: nothing of it can exist.
	NotServed
	// Blind says that the operator could not look; the reason says why and what would help.
	Blind
)

// String names the sight as people read it.
func (s Sight) String() string {
	switch s {
	case Seen:
		return "Seen"
	case NotServed:
		return "NotServed"
	case Blind:
		return "Blind"
	}
	return "Pending"
}

// Change says what a snapshot shows differently from the one before.
type Change struct {
	// Components are the names of the components whose installations, residue or blind spots changed, sorted.
	Components []string
	// Resources are those whose objects changed or came into or out of sight.
	Resources []catalog.Resource
	// Catalog says that definitions came, went or changed.
	Catalog bool
}

// Inventory is what is found in one cluster. It is safe for concurrent use.
type Inventory struct {
	now func() time.Time

	mu        sync.Mutex
	catalog   *catalog.Catalog
	sources   map[string]*source
	resources map[catalog.Resource]*resource
	members   map[string]map[*record]catalog.Match
	states    []*Component                       // in the order of the catalog's names
	diagnoses map[facts.Ref][]v1alpha1.Diagnosis // of degraded workloads
	until     map[string]time.Time               // when a component must be judged again because a deadline passes
	snapshot  *Snapshot                          // nil after a change
	last      *Snapshot                          // what was shown last; never nil
	revision  uint64                             // of the resource that changed last
	listeners []func(Change)
}

// source is one watched kind.
type source struct {
	sight   Sight
	reason  string
	records map[facts.Ref]*record
}

// record is what is kept of one object.
type record struct {
	fact    facts.Fact
	matches []catalog.Match
	// complete is the generation that was last seen rolled out, 0 for none. Replicas missing from it are no rollout.
	complete int64
}

// New returns an empty inventory. now is the clock that rollout deadlines are held against.
func New(c *catalog.Catalog, now func() time.Time) *Inventory {
	i := &Inventory{
		now:       now,
		catalog:   c,
		sources:   map[string]*source{},
		resources: map[catalog.Resource]*resource{},
		members:   map[string]map[*record]catalog.Match{},
		states:    make([]*Component, len(c.Names())),
		last:      &Snapshot{},
		diagnoses: map[facts.Ref][]v1alpha1.Diagnosis{},
		until:     map[string]time.Time{},
	}
	for _, name := range c.Names() {
		i.recompute(name)
	}
	return i
}

// OnChange has a function called after each change, outside the inventory's lock. It must not block.
func (i *Inventory) OnChange(listener func(Change)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.listeners = append(i.listeners, listener)
}

// Changes returns a channel that tells that there were changes, for who looks at a snapshot then: once, however many came
// since it was last read.
func (i *Inventory) Changes() <-chan struct{} {
	changed := make(chan struct{}, 1)
	i.OnChange(func(Change) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	return changed
}

// touched collects what one update touches.
type touched struct {
	components map[string]bool
	resources  map[catalog.Resource]bool
	catalog    bool
}

func newTouched() *touched {
	return &touched{components: map[string]bool{}, resources: map[catalog.Resource]bool{}}
}

// update runs a change under the lock, recomputes the components that it touched, and tells the listeners what differs.
func (i *Inventory) update(change func(*touched)) {
	i.mu.Lock()
	t := newTouched()
	change(t)
	// A component whose health reads a resource is touched by the resource.
	for res := range t.resources {
		for _, name := range i.catalog.Reading(res) {
			t.components[name] = true
		}
	}
	said := Change{Catalog: t.catalog, Resources: slices.Collect(maps.Keys(t.resources))}
	for name := range t.components {
		if i.recompute(name) {
			said.Components = append(said.Components, name)
		}
	}
	slices.Sort(said.Components)
	if len(said.Components) == 0 && len(said.Resources) == 0 && !said.Catalog {
		i.mu.Unlock()
		return
	}
	i.snapshot = nil
	listeners := i.listeners
	i.mu.Unlock()
	for _, listener := range listeners {
		listener(said)
	}
}

// recompute derives a component's state anew and tells whether it differs.
func (i *Inventory) recompute(name string) bool {
	at, ok := i.catalog.Position(name)
	if !ok {
		delete(i.until, name)
		return true // it was defined
	}
	definition := i.catalog.Component(name)
	state, until := i.derive(definition, i.members[name])
	if until.IsZero() {
		delete(i.until, name)
	} else {
		i.until[name] = until
	}
	if reflect.DeepEqual(i.states[at], state) {
		return false
	}
	i.states[at] = state
	return true
}

// SetCatalog puts another catalog in place and matches everything that is known against it.
func (i *Inventory) SetCatalog(c *catalog.Catalog) {
	i.update(func(t *touched) {
		states := make([]*Component, len(c.Names()))
		for n, name := range i.catalog.Names() {
			t.components[name] = true
			if at, ok := c.Position(name); ok {
				states[at] = i.states[n]
			}
		}
		for _, name := range c.Names() {
			t.components[name] = true
		}
		t.catalog = true
		i.catalog, i.states = c, states
		i.members = map[string]map[*record]catalog.Match{}
		for _, s := range i.sources {
			for _, r := range s.records {
				r.matches = c.Match(r.fact)
				i.enrol(r)
			}
		}
	})
}

// Catalog returns the catalog in place.
func (i *Inventory) Catalog() *catalog.Catalog {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.catalog
}

func (i *Inventory) enrol(r *record) {
	for _, match := range r.matches {
		set := i.members[match.Component.Name]
		if set == nil {
			set = map[*record]catalog.Match{}
			i.members[match.Component.Name] = set
		}
		set[r] = match
	}
}

func (i *Inventory) expel(r *record) {
	for _, match := range r.matches {
		delete(i.members[match.Component.Name], r)
	}
}

// Pass judges again what a deadline has passed for, and returns when the next one passes; zero for none.
func (i *Inventory) Pass() time.Time {
	now := i.now()
	i.update(func(t *touched) {
		for name, until := range i.until {
			if !now.Before(until) {
				t.components[name] = true
			}
		}
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	var next time.Time
	for _, until := range i.until {
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next
}

// Dependent depends on some components and on some resources; a compiled profile does.
type Dependent interface {
	// Concerns tells whether it depends on what is found of a component.
	Concerns(component string) bool
	// DependsOn tells whether its own rules read a resource.
	DependsOn(resource catalog.Resource) bool
}

// SettledFor tells whether all that somebody depends on had its first look, be it in vain.
func (i *Inventory) SettledFor(d Dependent) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, s := range i.sources {
		if s.sight == Pending && slices.ContainsFunc(i.catalog.ProvedBy(name), d.Concerns) {
			return false
		}
	}
	for name, r := range i.resources {
		if r.sight == Pending && (d.DependsOn(name) || slices.ContainsFunc(i.catalog.Reading(name), d.Concerns)) {
			return false
		}
	}
	return true
}

// Settled tells whether every source had its first look, be it in vain.
func (i *Inventory) Settled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.sources {
		if s.sight == Pending {
			return false
		}
	}
	for _, r := range i.resources {
		if r.sight == Pending {
			return false
		}
	}
	return true
}
