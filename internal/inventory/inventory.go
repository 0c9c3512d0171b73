package inventory

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Change says what a snapshot shows differently from the one before.
type Change struct {
	// Components are the names of the components whose installations, residue or blind spots changed, sorted.
	Components []string
	// Rules are the keys of the rule instances whose outcomes changed.
	Rules []string
	// Catalog says that definitions came, went or changed.
	Catalog bool
	// Synced says that a source, or a resource or rule, is Pending no more: it was read for the first time, or could not be,
	// or is gone. HasSynced and HasSyncedFor become true with such a change, or with one of the catalog.
	Synced bool
}

// Inventory is what is found in one cluster. It is safe for concurrent use.
type Inventory struct {
	// Rules evaluates rules and records their outcomes here. Its lock and that of the inventory are never held together.
	Rules *rule.Evaluator

	now func() time.Time

	mu         sync.Mutex
	catalog    *catalog.Catalog
	sources    map[string]*sourceState
	resources  map[rule.Resource]SourceStatus
	outcomes   map[string]*rule.Outcome // of rule instances, by their keys
	members    map[string]map[*record]catalog.Match
	components []*Component                       // in the order of the catalog's names
	diagnoses  map[facts.Ref][]v1alpha1.Diagnosis // of degraded workloads
	deadlines  map[string]time.Time               // when a component must be judged again because a deadline passes
	snapshot   *Snapshot                          // nil after a change
	listeners  []func(Change)
}

// sourceState is one watched kind.
type sourceState struct {
	state   facts.SourceState
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
		now:        now,
		catalog:    c,
		sources:    map[string]*sourceState{},
		resources:  map[rule.Resource]SourceStatus{},
		outcomes:   map[string]*rule.Outcome{},
		members:    map[string]map[*record]catalog.Match{},
		components: make([]*Component, len(c.Names())),
		diagnoses:  map[facts.Ref][]v1alpha1.Diagnosis{},
		deadlines:  map[string]time.Time{},
	}
	for _, name := range c.Names() {
		i.recompute(name)
	}
	i.Rules = rule.NewEvaluator(now, i)
	i.Rules.SetInstances(c.Instances())
	i.OnChange(i.passVersions)
	return i
}

// passVersions tells the evaluator the versions of components, which their checks see.
func (i *Inventory) passVersions(change Change) {
	for _, name := range change.Components {
		i.mu.Lock()
		version, from := "", v1alpha1.VersionOrigin("")
		if at, ok := i.catalog.Position(name); ok && len(i.components[at].Installations) > 0 {
			version, from = i.components[at].Installations[0].Version, i.components[at].Installations[0].VersionFrom
		}
		i.mu.Unlock()
		i.Rules.SetVersion(name, version, string(from))
	}
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

// changes collects what one update touches.
type changes struct {
	components map[string]bool
	rules      []string
	states     bool // of resources that rules read
	catalog    bool
	synced     bool
}

func newChanges() *changes {
	return &changes{components: map[string]bool{}}
}

// recordState notes that something went from one state to another.
func (t *changes) recordState(before, after facts.SourceState) {
	t.synced = t.synced || before == facts.Pending && after != facts.Pending
}

// update runs a change under the lock, recomputes the components that it touched, and calls the listeners with what differs.
func (i *Inventory) update(change func(*changes)) {
	i.mu.Lock()
	t := newChanges()
	change(t)
	// A component is touched by the rules that decide its health and its version.
	for _, key := range t.rules {
		for _, name := range i.catalog.ComponentsDecidedBy(key) {
			t.components[name] = true
		}
	}
	difference := Change{Catalog: t.catalog, Rules: t.rules, Synced: t.synced}
	for name := range t.components {
		if i.recompute(name) {
			difference.Components = append(difference.Components, name)
		}
	}
	slices.Sort(difference.Components)
	changed := len(difference.Components) > 0 || len(difference.Rules) > 0 || difference.Catalog || difference.Synced
	if changed || t.states {
		i.snapshot = nil
	}
	if !changed {
		i.mu.Unlock()
		return
	}
	listeners := i.listeners
	i.mu.Unlock()
	for _, listener := range listeners {
		listener(difference)
	}
}

// recompute derives a component's state anew and tells whether it differs.
func (i *Inventory) recompute(name string) bool {
	at, ok := i.catalog.Position(name)
	if !ok {
		delete(i.deadlines, name)
		return true // it was defined
	}
	definition := i.catalog.Component(name)
	state, until := i.deriveComponent(definition, i.members[name])
	if until.IsZero() {
		delete(i.deadlines, name)
	} else {
		i.deadlines[name] = until
	}
	if reflect.DeepEqual(i.components[at], state) {
		return false
	}
	i.components[at] = state
	return true
}

// SetCatalog puts another catalog in place and matches everything that is known against it.
func (i *Inventory) SetCatalog(c *catalog.Catalog) {
	i.update(func(t *changes) {
		states := make([]*Component, len(c.Names()))
		for n, name := range i.catalog.Names() {
			t.components[name] = true
			if at, ok := c.Position(name); ok {
				states[at] = i.components[n]
			}
		}
		for _, name := range c.Names() {
			t.components[name] = true
		}
		t.catalog = true
		i.catalog, i.components = c, states
		i.members = map[string]map[*record]catalog.Match{}
		for _, s := range i.sources {
			for _, r := range s.records {
				r.matches = c.Match(r.fact)
				i.addMember(r)
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

func (i *Inventory) addMember(r *record) {
	for _, match := range r.matches {
		set := i.members[match.Component.Name]
		if set == nil {
			set = map[*record]catalog.Match{}
			i.members[match.Component.Name] = set
		}
		set[r] = match
	}
}

func (i *Inventory) removeMember(r *record) {
	for _, match := range r.matches {
		delete(i.members[match.Component.Name], r)
	}
}

// RecheckDeadlines judges again what a deadline has passed for, and returns when the next one passes; zero for none.
func (i *Inventory) RecheckDeadlines() time.Time {
	now := i.now()
	i.update(func(t *changes) {
		for name, until := range i.deadlines {
			if !now.Before(until) {
				t.components[name] = true
			}
		}
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	var next time.Time
	for _, until := range i.deadlines {
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next
}

// Dependent depends on some components and on the outcomes of some rules; a compiled profile does.
type Dependent interface {
	// Concerns tells whether it depends on what is found of a component.
	Concerns(component string) bool
	// RuleKeys are the keys of the rule instances that it depends on.
	RuleKeys() []string
}

// HasSyncedFor reports whether everything that a dependent depends on was read, or could not be.
func (i *Inventory) HasSyncedFor(d Dependent) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, s := range i.sources {
		if s.state == facts.Pending && slices.ContainsFunc(i.catalog.ComponentsProvedBy(name), d.Concerns) {
			return false
		}
	}
	for _, instance := range i.catalog.Instances() {
		if i.stateOf(instance.Key) == facts.Pending && slices.ContainsFunc(i.catalog.ComponentsDecidedBy(instance.Key), d.Concerns) {
			return false
		}
	}
	return !slices.ContainsFunc(d.RuleKeys(), func(key string) bool { return i.stateOf(key) == facts.Pending })
}

// stateOf is the state of what a rule instance reads; Pending before it was evaluated. The caller holds the lock.
func (i *Inventory) stateOf(key string) facts.SourceState {
	if outcome := i.outcomes[key]; outcome != nil {
		return outcome.State
	}
	return facts.Pending
}

// HasSynced reports whether every source, and every resource that rules read, was read, or could not be.
func (i *Inventory) HasSynced() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.sources {
		if s.state == facts.Pending {
			return false
		}
	}
	for _, r := range i.resources {
		if r.State == facts.Pending {
			return false
		}
	}
	return true
}

var _ rule.Recorder = (*Inventory)(nil)

// RecordOutcome implements rule.Recorder.
func (i *Inventory) RecordOutcome(key string, outcome *rule.Outcome) {
	i.update(func(t *changes) {
		t.rules = append(t.rules, key)
		if outcome == nil {
			delete(i.outcomes, key)
			return
		}
		t.recordState(i.stateOf(key), outcome.State)
		i.outcomes[key] = outcome
	})
}

// RecordResource implements rule.Recorder.
func (i *Inventory) RecordResource(resource rule.Resource, state facts.SourceState, reason string, objects int) {
	i.update(func(t *changes) {
		t.recordState(i.resources[resource].State, state)
		i.resources[resource], t.states = SourceStatus{state, reason, objects}, true
	})
}

// ForgetResource implements rule.Recorder.
func (i *Inventory) ForgetResource(resource rule.Resource) {
	i.update(func(t *changes) {
		delete(i.resources, resource)
		t.states, t.synced = true, true
	})
}
