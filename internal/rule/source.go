package rule

import (
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Source adds the objects of one resource to an Evaluator. It is not safe for concurrent use.
type Source struct {
	evaluator *Evaluator
	name      Resource
	resource  *resource
}

// Source returns the source of a resource. A new source is Pending.
func (v *Evaluator) Source(name Resource) *Source {
	v.mu.Lock()
	r := v.resources[name]
	if r == nil {
		r = &resource{objects: map[string]Object{}}
		v.resources[name] = r
		v.markChanged(name, "")
	}
	v.mu.Unlock()
	s := &Source{v, name, r}
	s.recordResource()
	return s
}

// update applies a change, unless the source is closed: a late event of a stopped watch must not reach the source that replaced it.
func (s *Source) update(change func()) {
	s.evaluator.mu.Lock()
	isOpen := s.evaluator.resources[s.name] == s.resource
	if isOpen {
		change()
	}
	s.evaluator.mu.Unlock()
	if isOpen {
		s.recordResource()
	}
}

func (s *Source) recordResource() {
	s.evaluator.mu.Lock()
	state, reason, objects := s.resource.state, s.resource.reason, len(s.resource.objects)
	s.evaluator.mu.Unlock()
	s.evaluator.recorder.RecordResource(s.name, state, reason, objects)
}

// markChanged marks an object as changed for all instances that read the resource. An empty key is for all objects. The caller holds mu.
func (v *Evaluator) markChanged(name Resource, key string) {
	for _, e := range v.evaluations {
		for i, resource := range e.AllResources() {
			if resource != name || e.needsFullRun {
				continue
			}
			if key == "" || i >= len(e.Resources) || e.IsList() {
				e.needsFullRun = true
			} else {
				if e.changedKeys == nil {
					e.changedKeys = make([]map[string]bool, len(e.Resources))
				}
				if e.changedKeys[i] == nil {
					e.changedKeys[i] = map[string]bool{}
				}
				e.changedKeys[i][key] = true
			}
			v.signal()
		}
	}
}

// Put adds or updates an object. It does nothing if the object has not changed.
func (s *Source) Put(object Object) {
	s.update(func() {
		if s.resource.objects[object.Key] != object {
			s.resource.objects[object.Key] = object
			s.evaluator.markChanged(s.name, object.Key)
		}
	})
}

// Delete removes an object by its key.
func (s *Source) Delete(key string) {
	s.update(func() {
		if _, ok := s.resource.objects[key]; ok {
			delete(s.resource.objects, key)
			s.evaluator.markChanged(s.name, key)
		}
	})
}

// Replace replaces all objects, and sets the state to Synced.
func (s *Source) Replace(objects []Object) {
	s.update(func() {
		former := s.resource.objects
		s.resource.objects = make(map[string]Object, len(objects))
		if s.resource.state != facts.Synced {
			s.resource.state, s.resource.reason = facts.Synced, ""
			s.evaluator.markChanged(s.name, "")
		}
		for _, object := range objects {
			s.resource.objects[object.Key] = object
			if former[object.Key] != object {
				s.evaluator.markChanged(s.name, object.Key)
			}
		}
		for key := range former {
			if _, ok := s.resource.objects[key]; !ok {
				s.evaluator.markChanged(s.name, key)
			}
		}
	})
}

// SetState sets a state other than Synced, with the reason, and removes all objects.
func (s *Source) SetState(state facts.SourceState, reason string) {
	s.update(func() {
		if s.resource.state == state && s.resource.reason == reason {
			return
		}
		s.resource.state, s.resource.reason, s.resource.objects = state, reason, map[string]Object{}
		s.evaluator.markChanged(s.name, "")
	})
}

// Close removes the resource, which no rule reads anymore.
func (s *Source) Close() {
	s.evaluator.mu.Lock()
	isOpen := s.evaluator.resources[s.name] == s.resource
	if isOpen {
		delete(s.evaluator.resources, s.name)
		s.evaluator.markChanged(s.name, "")
	}
	s.evaluator.mu.Unlock()
	if isOpen {
		s.evaluator.recorder.ForgetResource(s.name)
	}
}
