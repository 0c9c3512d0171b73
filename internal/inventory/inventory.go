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

// Change is the difference between two snapshots.
type Change struct {
	// Components are the names of the components whose installations, leftovers or unreadable sources changed, sorted.
	Components []string
	// Rules are the keys of the rule instances whose outcomes changed.
	Rules []string
	// Catalog is true if the catalog was replaced.
	Catalog bool
	// Synced is true if a source, a resource or a rule is no longer Pending, or was removed. HasSynced and HasSyncedFor become true only with
	// such a change or with a change of the catalog.
	Synced bool
}

// Inventory is the inventory of one cluster. It is safe for concurrent use.
type Inventory struct {
	// Rules evaluates rules and records their outcomes here. Its lock and mu are never held together.
	Rules *rule.Evaluator

	now func() time.Time
	// isDeclarative is true if declarations prove installations.
	isDeclarative bool

	mu         sync.Mutex
	catalog    *catalog.Catalog
	sources    map[string]*sourceState
	resources  map[rule.Resource]SourceStatus
	outcomes   map[string]*rule.Outcome // of rule instances, by their keys
	members    map[string]map[*record]catalog.Match
	components []*Component                       // in the order of the catalog's names
	diagnoses  map[facts.Ref][]v1alpha1.Diagnosis // of degraded workloads
	deadlines  map[string]time.Time               // when the health of a component must be assessed again
	snapshot   *Snapshot                          // cached; nil after a change
	listeners  []func(Change)
}

// sourceState is the state of one source, and its records.
type sourceState struct {
	state   facts.SourceState
	reason  string
	records map[facts.Ref]*record
}

// record is a fact and its matches.
type record struct {
	fact    facts.Fact
	matches []catalog.Match
	// completeGeneration is the last generation of a workload whose rollout was complete; 0 for none.
	completeGeneration int64
}

// wasComplete reports whether the rollout of a generation was complete before.
func (r *record) wasComplete(generation int64) bool {
	return r.completeGeneration == generation && generation > 0
}

// New returns an empty inventory. now is the clock for rollout deadlines and rules.
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
	i.OnChange(i.updateRuleVersions)
	return i
}

// AcceptDeclarations makes declarations prove installations, because files do not contain what is created from them. It must be called
// before anything is added.
func (i *Inventory) AcceptDeclarations() { i.isDeclarative = true }

// updateRuleVersions sets the versions of changed components in the evaluator.
func (i *Inventory) updateRuleVersions(change Change) {
	for _, name := range change.Components {
		i.mu.Lock()
		version, from := "", v1alpha1.VersionOrigin("")
		if position, ok := i.catalog.Position(name); ok && len(i.components[position].Installations) > 0 {
			installation := &i.components[position].Installations[0]
			version, from = installation.Version, installation.VersionFrom
		}
		i.mu.Unlock()
		i.Rules.SetVersion(name, version, string(from))
	}
}

// OnChange registers a function that is called after each change, without the inventory's lock. It must not block.
func (i *Inventory) OnChange(listener func(Change)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.listeners = append(i.listeners, listener)
}

// Changes returns a channel that receives one value for all changes since it was last read. The receiver then takes a Snapshot.
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

// changes collects what one update may have changed.
type changes struct {
	components     map[string]bool
	rules          []string
	resourceStates bool
	catalog        bool
	synced         bool
}

func newChanges() *changes {
	return &changes{components: map[string]bool{}}
}

// recordState records a transition from one state to another.
func (t *changes) recordState(before, after facts.SourceState) {
	t.synced = t.synced || before == facts.Pending && after != facts.Pending
}

// update applies a change with the lock held, derives the affected components again, and calls the listeners with the difference.
func (i *Inventory) update(change func(*changes)) {
	i.mu.Lock()
	t := newChanges()
	change(t)
	for _, key := range t.rules { // the health or the version of components depends on rules
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
	hasChanged := len(difference.Components) > 0 || len(difference.Rules) > 0 || difference.Catalog || difference.Synced
	if hasChanged || t.resourceStates {
		i.snapshot = nil
	}
	if !hasChanged {
		i.mu.Unlock()
		return
	}
	listeners := i.listeners
	i.mu.Unlock()
	for _, listener := range listeners {
		listener(difference)
	}
}

// recompute derives the state of a component, and reports whether it has changed.
func (i *Inventory) recompute(name string) bool {
	position, ok := i.catalog.Position(name)
	if !ok {
		delete(i.deadlines, name)
		return true // the definition was removed
	}
	definition := i.catalog.Component(name)
	state, until := i.deriveComponent(definition, i.members[name])
	if until.IsZero() {
		delete(i.deadlines, name)
	} else {
		i.deadlines[name] = until
	}
	if reflect.DeepEqual(i.components[position], state) {
		return false
	}
	i.components[position] = state
	return true
}

// SetCatalog replaces the catalog, and matches all facts again.
func (i *Inventory) SetCatalog(c *catalog.Catalog) {
	i.update(func(t *changes) {
		states := make([]*Component, len(c.Names()))
		for n, name := range i.catalog.Names() {
			t.components[name] = true
			if position, ok := c.Position(name); ok {
				states[position] = i.components[n]
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

// Catalog returns the current catalog.
func (i *Inventory) Catalog() *catalog.Catalog {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.catalog
}

func (i *Inventory) addMember(r *record) {
	for _, match := range r.matches {
		members := i.members[match.Component.Name]
		if members == nil {
			members = map[*record]catalog.Match{}
			i.members[match.Component.Name] = members
		}
		members[r] = match
	}
}

func (i *Inventory) removeMember(r *record) {
	for _, match := range r.matches {
		delete(i.members[match.Component.Name], r)
	}
}

// RecheckDeadlines assesses the health of components whose deadlines have passed, and returns the next deadline; zero for none.
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

// Dependent depends on components and rules, as a compiled profile does.
type Dependent interface {
	// Concerns reports whether it depends on a component.
	Concerns(component string) bool
	// RuleKeys returns the keys of the rule instances that it depends on.
	RuleKeys() []string
}

// HasSyncedFor reports whether no source or rule that a dependent depends on is Pending.
func (i *Inventory) HasSyncedFor(d Dependent) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, s := range i.sources {
		if s.state == facts.Pending && slices.ContainsFunc(i.catalog.ComponentsProvedBy(name), d.Concerns) {
			return false
		}
	}
	for _, instance := range i.catalog.Instances() {
		if i.ruleState(instance.Key) == facts.Pending && slices.ContainsFunc(i.catalog.ComponentsDecidedBy(instance.Key), d.Concerns) {
			return false
		}
	}
	return !slices.ContainsFunc(d.RuleKeys(), func(key string) bool { return i.ruleState(key) == facts.Pending })
}

// ruleState returns the state of the resources that a rule instance reads; Pending before its first evaluation. The caller holds mu.
func (i *Inventory) ruleState(key string) facts.SourceState {
	if outcome := i.outcomes[key]; outcome != nil {
		return outcome.State
	}
	return facts.Pending
}

// HasSynced reports whether no source, and no resource that rules read, is Pending.
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
		t.recordState(i.ruleState(key), outcome.State)
		i.outcomes[key] = outcome
	})
}

// RecordResource implements rule.Recorder.
func (i *Inventory) RecordResource(resource rule.Resource, state facts.SourceState, reason string, objects int) {
	i.update(func(t *changes) {
		t.recordState(i.resources[resource].State, state)
		i.resources[resource], t.resourceStates = SourceStatus{state, reason, objects}, true
	})
}

// ForgetResource implements rule.Recorder.
func (i *Inventory) ForgetResource(resource rule.Resource) {
	i.update(func(t *changes) {
		delete(i.resources, resource)
		t.resourceStates, t.synced = true, true
	})
}
