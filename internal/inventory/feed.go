package inventory

import (
	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Source is the way in for the facts of one source.
type Source struct {
	inventory *Inventory
	name      string
	source    *sourceState
}

// update changes the source, unless the feed is closed: what a watch delivers late must not reach a feed that was opened
// anew under the same name.
func (f *Source) update(change func(*changes, *sourceState)) {
	f.inventory.update(func(t *changes) {
		if f.inventory.sources[f.name] == f.source {
			change(t, f.source)
		}
	})
}

// Source returns the way in for a source, named as kubectl names the resource: "daemonsets.apps". A source that nobody has
// fed is Pending, and nothing that it could prove is called missing.
func (i *Inventory) Source(name string) *Source {
	f := &Source{inventory: i, name: name}
	i.update(func(t *changes) {
		if _, ok := i.sources[name]; !ok {
			i.sources[name] = &sourceState{records: map[facts.Ref]*record{}}
			i.markReaders(t, name)
		}
		f.source = i.sources[name]
	})
	return f
}

// markReaders marks the components that the source can prove.
func (i *Inventory) markReaders(t *changes, name string) {
	for _, component := range i.catalog.ComponentsProvedBy(name) {
		t.components[component] = true
	}
}

// Put takes in one object, new or changed.
func (f *Source) Put(fact facts.Fact) {
	f.update(func(t *changes, s *sourceState) { f.inventory.put(t, s, fact) })
}

func (i *Inventory) put(t *changes, s *sourceState, fact facts.Fact) {
	ref := fact.ObjectRef()
	old := s.records[ref]
	if old != nil && old.fact.Equal(fact) {
		return
	}
	r := &record{fact: fact, matches: i.catalog.Match(fact)}
	if w, ok := fact.(*facts.Workload); ok {
		var before *facts.Workload
		if old != nil {
			if same, ok := old.fact.(*facts.Workload); ok && same.UID == w.UID {
				before = same
			}
		}
		r.fact = w.WithRolloutStart(before).WithScaleUpSince(before, func() bool {
			return before.AssessHealth(i.now(), old.complete == before.Rollout.Generation && old.complete > 0).Health == v1alpha1.HealthDegraded
		}, i.now())
		if w.IsComplete() {
			r.complete = w.Rollout.Generation
		} else if before != nil {
			r.complete = old.complete
		}
	}
	if old != nil {
		i.removeMember(old)
		markMatches(t, old)
	}
	s.records[ref] = r
	i.addMember(r)
	markMatches(t, r)
}

// Delete takes out one object.
func (f *Source) Delete(ref facts.Ref) {
	f.update(func(t *changes, s *sourceState) {
		if old := s.records[ref]; old != nil {
			f.inventory.removeMember(old)
			delete(s.records, ref)
			markMatches(t, old)
		}
	})
}

// Replace takes in all objects of the source at once; those it does not name are gone. The source is Synced from then on.
func (f *Source) Replace(all []facts.Fact) {
	f.update(func(t *changes, s *sourceState) {
		if s.state != facts.Synced {
			t.recordState(s.state, facts.Synced)
			s.state, s.reason = facts.Synced, ""
			f.inventory.markReaders(t, f.name)
		}
		named := make(map[facts.Ref]bool, len(all))
		for _, fact := range all {
			named[fact.ObjectRef()] = true
			f.inventory.put(t, s, fact)
		}
		for ref, old := range s.records {
			if !named[ref] {
				f.inventory.removeMember(old)
				delete(s.records, ref)
				markMatches(t, old)
			}
		}
	})
}

// SetState says that the source is out of sight, with the reason in words, or that the cluster does not serve it. What was
// known of it is let go: what cannot be seen any more is no evidence.
func (f *Source) SetState(state facts.SourceState, reason string) {
	f.update(func(t *changes, s *sourceState) {
		if s.state == state && s.reason == reason {
			return
		}
		t.recordState(s.state, state)
		s.state, s.reason = state, reason
		for ref, old := range s.records {
			f.inventory.removeMember(old)
			delete(s.records, ref)
			markMatches(t, old)
		}
		f.inventory.markReaders(t, f.name)
	})
}

// Close forgets a source that nobody asks for any more.
func (f *Source) Close() {
	f.SetState(facts.Pending, "")
	f.update(func(t *changes, _ *sourceState) {
		delete(f.inventory.sources, f.name)
		t.synced = true
	})
}

func markMatches(t *changes, r *record) {
	for _, match := range r.matches {
		t.components[match.Component.Name] = true
	}
}
