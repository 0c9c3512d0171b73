package rule

import (
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Feed brings the objects of one resource. It is for one goroutine at a time.
type Feed struct {
	evaluator *Evaluator
	name      Resource
	resource  *resource
}

// Feed returns the way in for the objects of a resource. A resource that nobody has fed is Pending.
func (v *Evaluator) Feed(name Resource) *Feed {
	v.mu.Lock()
	r := v.resources[name]
	if r == nil {
		r = &resource{objects: map[string]Object{}}
		v.resources[name] = r
		v.touch(name, "")
	}
	v.mu.Unlock()
	f := &Feed{v, name, r}
	f.record()
	return f
}

// update makes a change, unless the feed was closed: what a watch delivers late must not reach a feed that was opened after it.
func (f *Feed) update(change func()) {
	f.evaluator.mu.Lock()
	open := f.evaluator.resources[f.name] == f.resource
	if open {
		change()
	}
	f.evaluator.mu.Unlock()
	if open {
		f.record()
	}
}

func (f *Feed) record() {
	f.evaluator.mu.Lock()
	state, reason, objects := f.resource.state, f.resource.reason, len(f.resource.objects)
	f.evaluator.mu.Unlock()
	f.evaluator.recorder.RecordResource(f.name, state, reason, objects)
}

// touch has the instances evaluated that see an object of a resource, or all of its objects for an empty key. The caller holds
// the lock.
func (v *Evaluator) touch(name Resource, key string) {
	for _, e := range v.evaluations {
		for at, read := range e.ReadResources() {
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
func (f *Feed) Put(object Object) {
	f.update(func() {
		if f.resource.objects[object.Key] != object {
			f.resource.objects[object.Key] = object
			f.evaluator.touch(f.name, object.Key)
		}
	})
}

// Drop takes out one object, by its key.
func (f *Feed) Drop(key string) {
	f.update(func() {
		if _, ok := f.resource.objects[key]; ok {
			delete(f.resource.objects, key)
			f.evaluator.touch(f.name, key)
		}
	})
}

// Replace brings all objects at once. The resource is Synced from then on.
func (f *Feed) Replace(all []Object) {
	f.update(func() {
		before := f.resource.objects
		f.resource.objects = make(map[string]Object, len(all))
		if f.resource.state != facts.Synced {
			f.resource.state, f.resource.reason = facts.Synced, ""
			f.evaluator.touch(f.name, "")
		}
		for _, object := range all {
			f.resource.objects[object.Key] = object
			if before[object.Key] != object {
				f.evaluator.touch(f.name, object.Key)
			}
		}
		for key := range before {
			if _, ok := f.resource.objects[key]; !ok {
				f.evaluator.touch(f.name, key)
			}
		}
	})
}

// Lose says that the resource cannot be read, with the reason, or that the cluster does not serve it. Its objects are let go.
func (f *Feed) Lose(state facts.SourceState, reason string) {
	f.update(func() {
		if f.resource.state == state && f.resource.reason == reason {
			return
		}
		f.resource.state, f.resource.reason, f.resource.objects = state, reason, map[string]Object{}
		f.evaluator.touch(f.name, "")
	})
}

// Close forgets a resource that no rule reads any more.
func (f *Feed) Close() {
	f.evaluator.mu.Lock()
	open := f.evaluator.resources[f.name] == f.resource
	if open {
		delete(f.evaluator.resources, f.name)
		f.evaluator.touch(f.name, "")
	}
	f.evaluator.mu.Unlock()
	if open {
		f.evaluator.recorder.ForgetResource(f.name)
	}
}
