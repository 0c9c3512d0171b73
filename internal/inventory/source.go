package inventory

import (
	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Source adds the facts of one source to an Inventory.
type Source struct {
	inventory *Inventory
	name      string
	source    *sourceState
}

// update applies a change, unless the source is closed: a late event of a stopped watch must not reach the source that replaced it.
func (src *Source) update(change func(*changes, *sourceState)) {
	src.inventory.update(func(t *changes) {
		if src.inventory.sources[src.name] == src.source {
			change(t, src.source)
		}
	})
}

// Source returns the source with a name as in kubectl, for example "daemonsets.apps". A new source is Pending. Until it has
// synced, no component that it can prove counts as missing.
func (i *Inventory) Source(name string) *Source {
	src := &Source{inventory: i, name: name}
	i.update(func(t *changes) {
		if _, ok := i.sources[name]; !ok {
			i.sources[name] = &sourceState{records: map[facts.Ref]*record{}}
			i.markComponents(t, name)
		}
		src.source = i.sources[name]
	})
	return src
}

// markComponents marks the components that the source can prove as changed.
func (i *Inventory) markComponents(t *changes, name string) {
	components := i.catalog.ComponentsProvedBy(name)
	if i.isDeclarative {
		components = i.catalog.Names()
	}
	for _, component := range components {
		t.components[component] = true
	}
}

// Put adds or updates a fact.
func (src *Source) Put(fact facts.Fact) {
	src.update(func(t *changes, s *sourceState) { src.inventory.put(t, s, fact) })
}

func (i *Inventory) put(t *changes, s *sourceState, fact facts.Fact) {
	ref := fact.ObjectRef()
	former := s.records[ref]
	if former != nil && former.fact.Equal(fact) {
		return
	}
	r := &record{fact: fact, matches: i.catalog.Match(fact)}
	if w, ok := fact.(*facts.Workload); ok {
		var before *facts.Workload
		if former != nil {
			if workload, ok := former.fact.(*facts.Workload); ok && workload.UID == w.UID {
				before = workload
			}
		}
		r.fact = w.WithRolloutStart(before).WithScaleUpSince(before, func() bool {
			return before.AssessHealth(i.now(), former.wasComplete(before.Rollout.Generation)).Health == v1alpha1.HealthDegraded
		}, i.now())
		if w.IsComplete() {
			r.completeGeneration = w.Rollout.Generation
		} else if before != nil {
			r.completeGeneration = former.completeGeneration
		}
	}
	if former != nil {
		i.removeMember(former)
		markMatches(t, former)
	}
	s.records[ref] = r
	i.addMember(r)
	markMatches(t, r)
}

// Delete removes the fact of an object.
func (src *Source) Delete(ref facts.Ref) {
	src.update(func(t *changes, s *sourceState) {
		if r := s.records[ref]; r != nil {
			src.inventory.remove(t, s, ref, r)
		}
	})
}

func (i *Inventory) remove(t *changes, s *sourceState, ref facts.Ref, r *record) {
	i.removeMember(r)
	delete(s.records, ref)
	markMatches(t, r)
}

// Replace replaces all facts, and sets the state to Synced.
func (src *Source) Replace(newFacts []facts.Fact) {
	src.update(func(t *changes, s *sourceState) {
		if s.state != facts.Synced {
			t.recordState(s.state, facts.Synced)
			s.state, s.reason = facts.Synced, ""
			src.inventory.markComponents(t, src.name)
		}
		exists := make(map[facts.Ref]bool, len(newFacts))
		for _, fact := range newFacts {
			exists[fact.ObjectRef()] = true
			src.inventory.put(t, s, fact)
		}
		for ref, r := range s.records {
			if !exists[ref] {
				src.inventory.remove(t, s, ref, r)
			}
		}
	})
}

// SetState sets a state other than Synced, with the reason, and removes all facts.
func (src *Source) SetState(state facts.SourceState, reason string) {
	src.update(func(t *changes, s *sourceState) {
		if s.state == state && s.reason == reason {
			return
		}
		t.recordState(s.state, state)
		s.state, s.reason = state, reason
		for ref, r := range s.records {
			src.inventory.remove(t, s, ref, r)
		}
		src.inventory.markComponents(t, src.name)
	})
}

// SetIncomplete reports that the source may have further objects, which cannot be read. The facts stay.
func (src *Source) SetIncomplete(reason string) {
	src.update(func(t *changes, s *sourceState) {
		t.recordState(s.state, facts.Failing)
		s.state, s.reason = facts.Failing, reason
		src.inventory.markComponents(t, src.name)
	})
}

// Close removes a source that is not read anymore.
func (src *Source) Close() {
	src.SetState(facts.Pending, "")
	src.update(func(t *changes, _ *sourceState) {
		delete(src.inventory.sources, src.name)
		t.synced = true
	})
}

// markMatches marks the components that a record matches as changed.
func markMatches(t *changes, r *record) {
	for _, match := range r.matches {
		t.components[match.Component.Name] = true
	}
}
