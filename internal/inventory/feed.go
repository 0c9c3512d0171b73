package inventory

import (
	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Feed is the way in for the facts of one source.
type Feed struct {
	inventory *Inventory
	name      string
	source    *source
}

// update changes the source, unless the feed is closed: what a watch delivers late must not reach a feed that was opened
// anew under the same name.
func (f *Feed) update(change func(*touched, *source)) {
	f.inventory.update(func(t *touched) {
		if f.inventory.sources[f.name] == f.source {
			change(t, f.source)
		}
	})
}

// Feed returns the way in for a source, named as kubectl names the resource: "daemonsets.apps". A source that nobody has
// fed is Pending, and nothing that it could prove is called missing.
func (i *Inventory) Feed(name string) *Feed {
	f := &Feed{inventory: i, name: name}
	i.update(func(t *touched) {
		if _, ok := i.sources[name]; !ok {
			i.sources[name] = &source{records: map[facts.Ref]*record{}}
			i.touchReaders(t, name)
		}
		f.source = i.sources[name]
	})
	return f
}

// touchReaders marks the components that the source can prove.
func (i *Inventory) touchReaders(t *touched, name string) {
	for _, component := range i.catalog.ProvedBy(name) {
		t.components[component] = true
	}
}

// Put takes in one object, new or changed.
func (f *Feed) Put(fact facts.Fact) {
	f.update(func(t *touched, s *source) { f.inventory.put(t, s, fact) })
}

func (i *Inventory) put(t *touched, s *source, fact facts.Fact) {
	ref := fact.Object()
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
		r.fact = w.Dated(before).Grown(before, func() bool {
			return before.Judge(i.now(), old.complete == before.Rollout.Generation && old.complete > 0).Health == v1alpha1.HealthDegraded
		}, i.now())
		if w.Complete() {
			r.complete = w.Rollout.Generation
		} else if before != nil {
			r.complete = old.complete
		}
	}
	if old != nil {
		i.expel(old)
		touchMatches(t, old)
	}
	s.records[ref] = r
	i.enrol(r)
	touchMatches(t, r)
}

// Drop takes out one object.
func (f *Feed) Drop(ref facts.Ref) {
	f.update(func(t *touched, s *source) {
		if old := s.records[ref]; old != nil {
			f.inventory.expel(old)
			delete(s.records, ref)
			touchMatches(t, old)
		}
	})
}

// Replace takes in all objects of the source at once; those it does not name are gone. The source is Seen from then on.
func (f *Feed) Replace(all []facts.Fact) {
	f.update(func(t *touched, s *source) {
		if s.sight != Seen {
			s.sight, s.reason = Seen, ""
			f.inventory.touchReaders(t, f.name)
		}
		named := make(map[facts.Ref]bool, len(all))
		for _, fact := range all {
			named[fact.Object()] = true
			f.inventory.put(t, s, fact)
		}
		for ref, old := range s.records {
			if !named[ref] {
				f.inventory.expel(old)
				delete(s.records, ref)
				touchMatches(t, old)
			}
		}
	})
}

// Lose says that the source is out of sight, with the reason in words, or that the cluster does not serve it. What was
// known of it is let go: what cannot be seen any more is no evidence.
func (f *Feed) Lose(sight Sight, reason string) {
	f.update(func(t *touched, s *source) {
		if s.sight == sight && s.reason == reason {
			return
		}
		s.sight, s.reason = sight, reason
		for ref, old := range s.records {
			f.inventory.expel(old)
			delete(s.records, ref)
			touchMatches(t, old)
		}
		f.inventory.touchReaders(t, f.name)
	})
}

// Close forgets a source that nobody asks for any more.
func (f *Feed) Close() {
	f.Lose(Pending, "")
	f.update(func(*touched, *source) { delete(f.inventory.sources, f.name) })
}

func touchMatches(t *touched, r *record) {
	for _, match := range r.matches {
		t.components[match.Component.Name] = true
	}
}

// resource is what is kept of the objects that rules read.
type resource struct {
	sight    Sight
	reason   string
	revision uint64
	objects  *rule.Objects // by namespace/name
	view     *Resource     // what rules see; nil after a change
}

// ResourceFeed is the way in for the objects of a resource that rules read.
type ResourceFeed struct {
	inventory *Inventory
	name      catalog.Resource
	resource  *resource
}

// ResourceFeed returns the way in for the objects of a resource.
func (i *Inventory) ResourceFeed(name catalog.Resource) *ResourceFeed {
	f := &ResourceFeed{inventory: i, name: name}
	i.update(func(t *touched) {
		if _, ok := i.resources[name]; !ok {
			i.revision++
			i.resources[name] = &resource{revision: i.revision}
			t.resources[name] = true
		}
		f.resource = i.resources[name]
	})
	return f
}

// update makes a change that says whether it changed anything, unless the feed is closed.
func (f *ResourceFeed) update(change func(*resource) bool) {
	f.inventory.update(func(t *touched) {
		r := f.inventory.resources[f.name]
		if r != f.resource || !change(r) {
			return
		}
		r.view = nil
		// One counter for all, so that a resource that is closed and fed anew never shows an old revision again.
		f.inventory.revision++
		r.revision = f.inventory.revision
		t.resources[f.name] = true
	})
}

// Put takes in the content of one object, under its namespace and name.
func (f *ResourceFeed) Put(key string, content any) {
	f.update(func(r *resource) bool {
		if old, ok := r.objects.Get(key); ok && rule.Same(old, content) {
			return false
		}
		r.objects = r.objects.With(key, content)
		return true
	})
}

// Drop takes out one object.
func (f *ResourceFeed) Drop(key string) {
	f.update(func(r *resource) bool {
		_, ok := r.objects.Get(key)
		r.objects = r.objects.Without(key)
		return ok
	})
}

// Replace takes in all objects at once. The resource is Seen from then on.
func (f *ResourceFeed) Replace(all map[string]any) {
	f.update(func(r *resource) bool {
		if r.sight == Seen && r.objects.Same(all) {
			return false
		}
		r.sight, r.reason, r.objects = Seen, "", rule.ObjectsOf(all)
		return true
	})
}

// Lose says that the resource is out of sight, or that the cluster does not serve it.
func (f *ResourceFeed) Lose(sight Sight, reason string) {
	f.update(func(r *resource) bool {
		if r.sight == sight && r.reason == reason {
			return false
		}
		r.sight, r.reason, r.objects = sight, reason, nil
		return true
	})
}

// Close forgets a resource that no rule reads any more.
func (f *ResourceFeed) Close() {
	f.update(func(*resource) bool {
		delete(f.inventory.resources, f.name)
		return true
	})
}
