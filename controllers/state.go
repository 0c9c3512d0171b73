package controllers

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// profileState is the state of one profile. Only the worker of the profile's key changes it.
type profileState struct {
	// uid distinguishes the profile from a deleted one of the same name. It never changes.
	uid types.UID
	// compiled is the newest spec; nil until the definitions have been read and the CRDs match. Any goroutine may load it.
	compiled atomic.Pointer[compiledProfile]
	// waitingSince is when the evaluation began to wait for its sources to sync; nil if it does not wait. The listener of the inventory
	// loads it.
	waitingSince atomic.Pointer[time.Time]
	// writer is used by the worker. Metric collection loads only writer.metrics.
	writer statusWriter
}

// compiledProfile is the spec of one generation, compiled against one catalog. It is immutable.
type compiledProfile struct {
	*conformance.Profile
	spec       *v1alpha1.PlatformProfileSpec
	generation int64
	catalog    *catalog.Catalog
}

// stateOf returns the state of a profile, and creates it if necessary.
func (r *PlatformProfileReconciler) stateOf(profile *v1alpha1.PlatformProfile) *profileState {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.profiles[profile.Name]
	if state == nil || state.uid != profile.UID {
		if r.profiles == nil {
			r.profiles = map[string]*profileState{}
		}
		state = &profileState{uid: profile.UID}
		r.profiles[profile.Name] = state
	}
	return state
}

// states returns the states of all profiles, by name.
func (r *PlatformProfileReconciler) states() map[string]*profileState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.profiles)
}

// forget removes the state of a deleted profile, and stops reading the resources that only this profile needed.
func (r *PlatformProfileReconciler) forget(name string) {
	r.mu.Lock()
	_, exists := r.profiles[name]
	delete(r.profiles, name)
	r.mu.Unlock()
	if exists {
		r.updateReads(r.Inventory.Catalog())
	}
}

// compile compiles a profile if its spec or the catalog changed, and updates what is read.
func (r *PlatformProfileReconciler) compile(state *profileState, profile *v1alpha1.PlatformProfile) {
	current := r.Inventory.Catalog()
	if compiled := state.compiled.Load(); compiled != nil && compiled.generation == profile.Generation && compiled.catalog == current {
		return
	}
	spec := profile.Spec.DeepCopy()
	state.waitingSince.Store(nil)
	state.compiled.Store(&compiledProfile{conformance.Compile(spec, current), spec, profile.Generation, current})
	r.updateReads(current)
}

// updateReads passes the rule instances and single objects of all profiles and definitions to the Reader. readMu orders concurrent calls,
// so that the last call includes every compiled profile. It cannot be mu, because Read changes the inventory, whose listener locks mu.
func (r *PlatformProfileReconciler) updateReads(c *catalog.Catalog) {
	r.readMu.Lock()
	defer r.readMu.Unlock()
	instances := slices.Clone(c.Instances())
	for _, state := range r.states() {
		if compiled := state.compiled.Load(); compiled != nil && !compiled.spec.Suspend {
			instances = append(instances, compiled.Instances()...)
		}
	}
	r.Reader.Read(instances, c.NamedObjects())
}

// isAffectedBy reports whether a change requires the profile to be reconciled. A profile without a compiled spec is queued once it can be
// compiled.
func (s *profileState) isAffectedBy(change inventory.Change) bool {
	compiled := s.compiled.Load()
	switch {
	case change.Catalog, change.Synced && s.waitingSince.Load() != nil:
		return true
	case compiled == nil:
		return false
	}
	return slices.ContainsFunc(change.Components, compiled.Concerns) ||
		slices.ContainsFunc(compiled.RuleKeys(), func(key string) bool { return slices.Contains(change.Rules, key) })
}
