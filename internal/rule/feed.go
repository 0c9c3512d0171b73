package rule

import (
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Source brings the objects of one resource. It is for one goroutine at a time.
type Source struct {
	evaluator *Evaluator
	name      Resource
	resource  *resource
}

// Source returns the way in for the objects of a resource. A resource that nobody has fed is Pending.
func (v *Evaluator) Source(name Resource) *Source {
	v.mu.Lock()
	r := v.resources[name]
	if r == nil {
		r = &resource{objects: map[string]Object{}}
		v.resources[name] = r
		v.markChanged(name, "")
	}
	v.mu.Unlock()
	f := &Source{v, name, r}
	f.recordResource()
	return f
}

// update makes a change, unless the feed was closed: what a watch delivers late must not reach a feed that was opened after it.
func (f *Source) update(change func()) {
	f.evaluator.mu.Lock()
	open := f.evaluator.resources[f.name] == f.resource
	if open {
		change()
	}
	f.evaluator.mu.Unlock()
	if open {
		f.recordResource()
	}
}

func (f *Source) recordResource() {
	f.evaluator.mu.Lock()
	state, reason, objects := f.resource.state, f.resource.reason, len(f.resource.objects)
	f.evaluator.mu.Unlock()
	f.evaluator.recorder.RecordResource(f.name, state, reason, objects)
}

// markChanged has the instances evaluated that see an object of a resource, or all of its objects for an empty key. The caller holds
// the lock.
func (v *Evaluator) markChanged(name Resource, key string) {
	for _, e := range v.evaluations {
		for at, read := range e.AllResources() {
			if read != name || e.all {
				continue
			}
			if key == "" || at >= len(e.Resources) || e.IsList() {
				e.all = true
			} else {
				if e.changed == nil {
					e.changed = make([]map[string]bool, len(e.Resources))
				}
				if e.changed[at] == nil {
					e.changed[at] = map[string]bool{}
				}
				e.changed[at][key] = true
			}
			v.signal()
		}
	}
}

// Put brings one object, new or changed. One whose fields are the same as before changes nothing.
func (f *Source) Put(object Object) {
	f.update(func() {
		if f.resource.objects[object.Key] != object {
			f.resource.objects[object.Key] = object
			f.evaluator.markChanged(f.name, object.Key)
		}
	})
}

// Delete takes out one object, by its key.
func (f *Source) Delete(key string) {
	f.update(func() {
		if _, ok := f.resource.objects[key]; ok {
			delete(f.resource.objects, key)
			f.evaluator.markChanged(f.name, key)
		}
	})
}

// Replace brings all objects at once. The resource is Synced from then on.
func (f *Source) Replace(all []Object) {
	f.update(func() {
		before := f.resource.objects
		f.resource.objects = make(map[string]Object, len(all))
		if f.resource.state != facts.Synced {
			f.resource.state, f.resource.reason = facts.Synced, ""
			f.evaluator.markChanged(f.name, "")
		}
		for _, object := range all {
			f.resource.objects[object.Key] = object
			if before[object.Key] != object {
				f.evaluator.markChanged(f.name, object.Key)
			}
		}
		for key := range before {
			if _, ok := f.resource.objects[key]; !ok {
				f.evaluator.markChanged(f.name, key)
			}
		}
	})
}

// SetState says that the resource cannot be read, with the reason, or that the cluster does not serve it. Its objects are let go.
func (f *Source) SetState(state facts.SourceState, reason string) {
	f.update(func() {
		if f.resource.state == state && f.resource.reason == reason {
			return
		}
		f.resource.state, f.resource.reason, f.resource.objects = state, reason, map[string]Object{}
		f.evaluator.markChanged(f.name, "")
	})
}

// Close forgets a resource that no rule reads any more.
func (f *Source) Close() {
	f.evaluator.mu.Lock()
	open := f.evaluator.resources[f.name] == f.resource
	if open {
		delete(f.evaluator.resources, f.name)
		f.evaluator.markChanged(f.name, "")
	}
	f.evaluator.mu.Unlock()
	if open {
		f.evaluator.recorder.ForgetResource(f.name)
	}
}
