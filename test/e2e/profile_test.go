package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// limit is how long a change may take from the write to the status that the API serves.
const limit = time.Second

// served watches one profile and keeps what the API server serves of it, with the time it arrived.
type served struct {
	name string

	mu      sync.Mutex
	changed chan struct{}
	states  []state
}

type state struct {
	at      time.Time
	profile *v1alpha1.PlatformProfile
}

// create makes a profile, watches it until the test ends, and deletes it then.
func create(t *testing.T, name string, layers ...v1alpha1.Layer) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s := &served{name: name, changed: make(chan struct{})}
	w, err := env.Client.Watch(ctx, &v1alpha1.PlatformProfileList{}, &client.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
	if err != nil {
		t.Fatal(err)
	}
	go s.collect(w)
	profile := &v1alpha1.PlatformProfile{Spec: v1alpha1.PlatformProfileSpec{Layers: layers}}
	profile.Name = name
	if err := env.Client.Create(ctx, profile); err != nil {
		t.Fatalf("creating the profile: %v", err)
	}
	t.Cleanup(func() {
		if err := env.Client.Delete(context.Background(), profile); err != nil {
			t.Errorf("deleting the profile: %v", err)
		}
	})
	return s
}

func (s *served) collect(w watch.Interface) {
	for event := range w.ResultChan() {
		profile, ok := event.Object.(*v1alpha1.PlatformProfile)
		if !ok {
			continue
		}
		s.mu.Lock()
		s.states = append(s.states, state{time.Now(), profile})
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// last is the latest state that was served.
func (s *served) last() *v1alpha1.PlatformProfile {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return &v1alpha1.PlatformProfile{}
	}
	return s.states[len(s.states)-1].profile
}

// await waits until a state that was served after a time meets a condition, and returns when it was.
func (s *served) await(t *testing.T, after time.Time, patience time.Duration, what string, met func(*v1alpha1.PlatformProfile) bool) (*v1alpha1.PlatformProfile, time.Duration) {
	t.Helper()
	deadline := time.After(patience)
	seen := 0
	for {
		s.mu.Lock()
		states, changed := s.states[seen:], s.changed
		s.mu.Unlock()
		for _, state := range states {
			seen++
			if state.at.After(after) && met(state.profile) {
				return state.profile, state.at.Sub(after)
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s: not within %s. The profile says: %s", what, patience, said(s.last()))
		}
	}
}

// settles waits until the latest state meets a condition.
func (s *served) settles(t *testing.T, patience time.Duration, what string, met func(*v1alpha1.PlatformProfile) bool) *v1alpha1.PlatformProfile {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if last := s.last(); met(last) {
			return last
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: not within %s. The profile says: %s", what, patience, said(s.last()))
	return nil
}

// flips makes a change, and asserts that the requirement's verdict is served within the limit of the write.
func (s *served) flips(t *testing.T, layer, requirement string, to v1alpha1.Verdict, change func()) v1alpha1.RequirementStatus {
	t.Helper()
	start := time.Now()
	change()
	profile, took := s.await(t, start, 20*time.Second, fmt.Sprintf("%s/%s turns %s", layer, requirement, to), verdictIs(layer, requirement, to))
	t.Logf("%s/%s is %s %s after the write", layer, requirement, to, took.Round(time.Millisecond))
	if took > limit {
		t.Errorf("%s/%s turned %s after %s, more than %s", layer, requirement, to, took, limit)
	}
	return *find(profile, layer, requirement)
}

func verdictIs(layer, requirement string, verdict v1alpha1.Verdict) func(*v1alpha1.PlatformProfile) bool {
	return func(p *v1alpha1.PlatformProfile) bool {
		found := find(p, layer, requirement)
		return found != nil && found.Verdict == verdict
	}
}

func find(p *v1alpha1.PlatformProfile, layer, requirement string) *v1alpha1.RequirementStatus {
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

// said is what a profile's status says, in short.
func said(p *v1alpha1.PlatformProfile) string {
	text := fmt.Sprintf("score %q reason %q generation %d of %d", p.Status.Score, p.Status.Reason, p.Status.ObservedGeneration, p.Generation)
	for _, layer := range p.Status.Layers {
		for _, r := range layer.Requirements {
			text += fmt.Sprintf("\n  %s/%s %s: %s", layer.Name, r.Name, r.Verdict, r.Message)
		}
	}
	return text
}

func anyOf(name, component, version string) v1alpha1.Requirement {
	return v1alpha1.Requirement{Name: name, AnyOf: []v1alpha1.ComponentChoice{{Component: component, Version: version}}}
}
