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

// profileState is what the reconciler keeps of one profile. The worker of the profile's key alone changes it.
type profileState struct {
	// uid tells the profile from another one of the same name, which gets a state of its own. It never changes.
	uid types.UID
	// compiled is the newest spec; nil until the definitions are read and the CRDs match. Anyone may load it.
	compiled atomic.Pointer[compiledProfile]
	// waitingSince is when the evaluation of the spec began to wait for what it depends on to sync; nil where it does not
	// wait. The inventory's listener loads it.
	waitingSince atomic.Pointer[time.Time]
	// writer is used by the worker; the metrics load what it says they may.
	writer statusWriter
}

// compiledProfile is the spec of one generation, compiled against one catalog. It is immutable.
type compiledProfile struct {
	*conformance.Profile
	spec       *v1alpha1.PlatformProfileSpec
	generation int64
	catalog    *catalog.Catalog
}

// stateOf returns the state of a profile, a new one where it is not known.
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

// states returns the states of all profiles, by their names.
func (r *PlatformProfileReconciler) states() map[string]*profileState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.profiles)
}

// forget drops the state of a profile that is gone, and what was read for it alone.
func (r *PlatformProfileReconciler) forget(name string) {
	r.mu.Lock()
	_, isKnown := r.profiles[name]
	delete(r.profiles, name)
	r.mu.Unlock()
	if isKnown {
		r.updateReads(r.Inventory.Catalog())
	}
}

// compile compiles a profile whose spec changed, or for which the catalog did, and has read what its rules need.
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

// updateReads has the resources read that profiles and definitions ask for. The lock keeps the order: what is asked for last is
// what was found last, else nothing would be read for a profile that was compiled meanwhile. It is not mu, because the reader
// changes the inventory, whose listener takes mu.
func (r *PlatformProfileReconciler) updateReads(c *catalog.Catalog) {
	r.readMu.Lock()
	defer r.readMu.Unlock()
	instances := slices.Clone(c.Instances())
	for _, state := range r.states() {
		if compiled := state.compiled.Load(); compiled != nil && !compiled.spec.Suspend {
			instances = append(instances, compiled.Instances()...)
		}
	}
	r.Reader.Read(instances, c.ConfigMaps())
}

// isAffectedBy reports whether the profile must be reconciled because of a change. One that is not compiled yet is queued
// when it can be, and then sees all changes that were before.
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
