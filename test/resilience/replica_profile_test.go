package resilience

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// watched is a profile with one requirement, that a StorageClass of its own is not there, and what the API server served
// of it.
type watched struct {
	*ground
	name string

	mu     sync.Mutex
	states []state
}

type state struct {
	at      time.Time
	profile *v1alpha1.PlatformProfile
}

// declare makes the profile and waits until a replica has evaluated it.
func (g *ground) declare(t *testing.T, name string, grace time.Duration) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	p := &watched{ground: g, name: name}
	w, err := g.Client.Watch(ctx, &v1alpha1.PlatformProfileList{}, &client.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
	must(t, err)
	go p.collect(w)
	profile := &v1alpha1.PlatformProfile{Spec: v1alpha1.PlatformProfileSpec{
		GracePeriod: &metav1.Duration{Duration: grace},
		Layers: []v1alpha1.Layer{{Name: "storage", Requirements: []v1alpha1.Requirement{{Name: "class", Rule: &v1alpha1.Rule{
			Resource: &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"},
			// About this class alone: how many others there are would stand in the status of a failing rule.
			Match: fmt.Sprintf("object.metadata.name == '%s'", name), Expression: "false", Message: "no class " + name,
		}}}}},
	}}
	profile.Name = name
	must(t, g.Client.Create(ctx, profile))
	t.Cleanup(func() {
		must(t, g.Client.Delete(context.Background(), profile))
		must(t, client.IgnoreNotFound(g.Client.Delete(context.Background(), p.class())))
	})
	p.served(t, time.Time{}, 60*time.Second, "it is evaluated", verdict(v1alpha1.VerdictSatisfied))
	return p
}

func (p *watched) collect(w watch.Interface) {
	for event := range w.ResultChan() {
		if profile, ok := event.Object.(*v1alpha1.PlatformProfile); ok {
			p.mu.Lock()
			p.states = append(p.states, state{time.Now(), profile})
			p.mu.Unlock()
		}
	}
}

func (p *watched) class() *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: p.name}, Provisioner: "example.com/unwanted"}
}

// fail makes the requirement fail.
func (p *watched) fail(t *testing.T) {
	t.Helper()
	must(t, p.Client.Create(context.Background(), p.class()))
}

// mend makes it hold again.
func (p *watched) mend(t *testing.T) {
	t.Helper()
	must(t, p.Client.Delete(context.Background(), p.class()))
}

// served waits for a state, served after a time, that meets a condition, and returns it.
func (p *watched) served(t *testing.T, after time.Time, patience time.Duration, what string, met func(*v1alpha1.PlatformProfile) bool) state {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		for _, s := range p.all() {
			if s.at.After(after) && met(s.profile) {
				return s
			}
		}
		if time.Now().After(deadline) {
			states := p.all()
			t.Fatalf("%s: not within %s. %d states were served, the last one is %+v", what, patience, len(states), states[len(states)-1].profile.Status)
		}
	}
}

func (p *watched) all() []state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states
}

func verdict(want v1alpha1.Verdict) func(*v1alpha1.PlatformProfile) bool {
	return func(p *v1alpha1.PlatformProfile) bool {
		return len(p.Status.Layers) == 1 && p.Status.Layers[0].Requirements[0].Verdict == want
	}
}

// writes are the times at which the API server took a status of the profile from the operator.
func (p *watched) writes(t *testing.T, since time.Time) []time.Time {
	t.Helper()
	var at []time.Time
	for _, request := range p.requests(t, since) {
		if o := request.ObjectRef; o != nil && o.Resource == "platformprofiles" && o.Name == p.name && o.Subresource == "status" && request.ResponseStatus.Code == 200 {
			at = append(at, request.RequestReceivedTimestamp.Time)
		}
	}
	return at
}

// wrote asserts how many statuses the API server took since a time, some moments later.
func (p *watched) wrote(t *testing.T, since time.Time, want int) {
	t.Helper()
	if got := p.writes(t, since); len(got) != want {
		t.Errorf("%d statuses of %s were written, want %d: %v", len(got), p.name, want, got)
	}
}

// published asserts that of each reason there are that many events on the profile, and any number of others.
func (p *watched) published(t *testing.T, want map[string]int) {
	t.Helper()
	counts := func() map[string]int { return p.eventsOn(t, "PlatformProfile", p.name) }
	// They are sent behind the status.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		enough := true
		for reason, n := range want {
			enough = enough && counts()[reason] >= n
		}
		if enough {
			break
		}
	}
	time.Sleep(200 * time.Millisecond) // for what is published twice
	got := counts()
	for reason, n := range want {
		if got[reason] != n {
			t.Errorf("%d events with the reason %s are on %s, want %d: %v", got[reason], reason, p.name, n, got)
		}
	}
}

// publishedAtMost asserts that of each reason there are no more events on the profile: a replica that dies may leave some out.
func (p *watched) publishedAtMost(t *testing.T, most map[string]int) {
	t.Helper()
	got := p.eventsOn(t, "PlatformProfile", p.name)
	for reason, n := range most {
		if got[reason] > n {
			t.Errorf("%d events with the reason %s are on %s, want %d at most: %v", got[reason], reason, p.name, n, got)
		}
	}
}

// eventsOn counts the events on an object by reason.
func (g *ground) eventsOn(t *testing.T, kind, name string) map[string]int {
	t.Helper()
	list := &eventsv1.EventList{}
	must(t, g.Client.List(context.Background(), list))
	found := map[string]int{}
	for _, event := range list.Items {
		if event.Regarding.Kind == kind && event.Regarding.Name == name {
			found[event.Reason]++
			if event.Series != nil {
				found[event.Reason] += int(event.Series.Count)
			}
		}
	}
	return found
}

// requests are those that the replicas made since a time, as the API server recorded them.
func (g *ground) requests(t *testing.T, since time.Time) []auditv1.Event {
	t.Helper()
	found, err := g.Requests(cluster.User, since)
	must(t, err)
	return found
}
