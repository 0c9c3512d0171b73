package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// WatchedProfile is a profile and all states of it that the API server served.
type WatchedProfile struct {
	Name string

	mu      sync.Mutex
	changed chan struct{}
	states  []ProfileState
}

// ProfileState is a profile as the API server served it at a time.
type ProfileState struct {
	Time    time.Time
	Profile *v1alpha1.PlatformProfile
}

// CreateWatchedProfile creates a profile and watches it. When the test ends it deletes the profile.
func (c *Cluster) CreateWatchedProfile(t testing.TB, profile *v1alpha1.PlatformProfile) *WatchedProfile {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	p := &WatchedProfile{Name: profile.Name, changed: make(chan struct{})}
	w, err := c.Client.Watch(ctx, &v1alpha1.PlatformProfileList{},
		&client.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", p.Name)})
	Must(t, err)
	go p.collect(w)
	Must(t, c.Client.Create(ctx, profile))
	t.Cleanup(func() { Must(t, c.Client.Delete(context.Background(), profile)) })
	return p
}

func (p *WatchedProfile) collect(w watch.Interface) {
	for event := range w.ResultChan() {
		profile, ok := event.Object.(*v1alpha1.PlatformProfile)
		if !ok {
			continue
		}
		p.mu.Lock()
		p.states = append(p.states, ProfileState{time.Now(), profile})
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
}

// States returns all states so far, and a channel that is closed when there is another one.
func (p *WatchedProfile) States() ([]ProfileState, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states, p.changed
}

// Last returns the latest state.
func (p *WatchedProfile) Last() *v1alpha1.PlatformProfile {
	states, _ := p.States()
	if len(states) == 0 {
		return &v1alpha1.PlatformProfile{}
	}
	return states[len(states)-1].Profile
}

// Await waits for a state, served after a time, that meets a condition, and returns it.
func (p *WatchedProfile) Await(t testing.TB, after time.Time, what string, condition func(*v1alpha1.PlatformProfile) bool) ProfileState {
	t.Helper()
	deadline := time.After(Timeout)
	for read := 0; ; {
		states, changed := p.States()
		for ; read < len(states); read++ {
			if states[read].Time.After(after) && condition(states[read].Profile) {
				return states[read]
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s of %s: not within %s. %s", what, p.Name, Timeout, Summary(p.Last()))
		}
	}
}

// AwaitLast waits until the latest state meets a condition, and returns it.
func (p *WatchedProfile) AwaitLast(t testing.TB, what string, condition func(*v1alpha1.PlatformProfile) bool) *v1alpha1.PlatformProfile {
	t.Helper()
	deadline := time.After(Timeout)
	for {
		_, changed := p.States()
		if last := p.Last(); condition(last) {
			return last
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s of %s: not within %s. %s", what, p.Name, Timeout, Summary(p.Last()))
		}
	}
}

// AwaitVerdict makes a change, waits for the verdict on a requirement that follows from it, and logs how long that took.
func (p *WatchedProfile) AwaitVerdict(
	t testing.TB, layer, requirement string, verdict v1alpha1.Verdict, change func(),
) v1alpha1.RequirementStatus {
	t.Helper()
	start := time.Now()
	change()
	state := p.Await(t, start, fmt.Sprintf("%s/%s is %s", layer, requirement, verdict), VerdictIs(layer, requirement, verdict))
	t.Logf("%s/%s is %s %s after the write", layer, requirement, verdict, state.Time.Sub(start).Round(time.Millisecond))
	return *FindRequirement(state.Profile, layer, requirement)
}

// VerdictIs returns a condition on a profile: the verdict on one of its requirements.
func VerdictIs(layer, requirement string, verdict v1alpha1.Verdict) func(*v1alpha1.PlatformProfile) bool {
	return func(p *v1alpha1.PlatformProfile) bool {
		found := FindRequirement(p, layer, requirement)
		return found != nil && found.Verdict == verdict
	}
}

// FindRequirement returns the status of a requirement, nil where there is none.
func FindRequirement(p *v1alpha1.PlatformProfile, layer, requirement string) *v1alpha1.RequirementStatus {
	for i := range p.Status.Layers {
		if p.Status.Layers[i].Name != layer {
			continue
		}
		for j := range p.Status.Layers[i].Requirements {
			if p.Status.Layers[i].Requirements[j].Name == requirement {
				return &p.Status.Layers[i].Requirements[j]
			}
		}
	}
	return nil
}

// Summary describes the status of a profile in a line for each requirement.
func Summary(p *v1alpha1.PlatformProfile) string {
	text := &strings.Builder{}
	_, _ = fmt.Fprintf(text, "score %q reason %q generation %d of %d",
		p.Status.Score, p.Status.Reason, p.Status.ObservedGeneration, p.Generation)
	for _, layer := range p.Status.Layers {
		for _, r := range layer.Requirements {
			_, _ = fmt.Fprintf(text, "\n  %s/%s %s: %s", layer.Name, r.Name, r.Verdict, r.Message)
		}
	}
	return text.String()
}

var barriers atomic.Int32

// Barrier waits until the operator has written and published whatever follows from what was changed before: it creates a profile
// with a rule over StorageClasses, then a StorageClass that the rule rejects, and waits for the event.
func (c *Cluster) Barrier(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	name := fmt.Sprintf("barrier-%d", barriers.Add(1))
	profile := Profile(name, Layer("barrier", StorageClassRule("barrier", "object.metadata.name != '"+name+"'", "no class "+name)))
	class := StorageClass(name)
	Must(t, c.Client.Create(ctx, profile))
	c.awaitEvent(t, name, "Conformant")
	Must(t, c.Client.Create(ctx, class))
	c.awaitEvent(t, name, "NotConformant")
	Must(t, c.Client.Delete(ctx, profile))
	Must(t, c.Client.Delete(ctx, class))
}

func (c *Cluster) awaitEvent(t testing.TB, profile, reason string) {
	t.Helper()
	Eventually(t, fmt.Sprintf("an event %s on the profile %s", reason, profile), func() (bool, string) {
		list := &eventsv1.EventList{}
		Must(t, c.Client.List(context.Background(), list))
		return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Name == profile && e.Reason == reason }),
			"there is none"
	})
}
