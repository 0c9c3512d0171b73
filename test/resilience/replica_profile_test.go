package resilience

import (
	"context"
	"fmt"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// watchedProfile is a profile with one requirement: that the StorageClass of the profile's name does not exist.
type watchedProfile struct {
	*cluster.WatchedProfile
	*testCluster
}

// createWatchedProfile creates the profile and waits until a replica has evaluated it.
func (tc *testCluster) createWatchedProfile(t *testing.T, name string, grace time.Duration) *watchedProfile {
	t.Helper()
	requirement := cluster.StorageClassRule("class", "false", "no class "+name)
	requirement.Rule.Match = fmt.Sprintf("object.metadata.name == '%s'", name) // the status of a failing rule counts the classes it matches
	profile := cluster.Profile(name, cluster.Layer("storage", requirement))
	profile.Spec.GracePeriod = &metav1.Duration{Duration: grace}
	t.Cleanup(func() {
		cluster.Must(t, client.IgnoreNotFound(tc.Client.Delete(context.Background(), cluster.StorageClass(name))))
	})
	p := &watchedProfile{WatchedProfile: tc.CreateWatchedProfile(t, profile), testCluster: tc}
	p.Await(t, time.Time{}, "it is evaluated", hasVerdict(v1alpha1.VerdictSatisfied))
	return p
}

// createClass makes the requirement fail.
func (p *watchedProfile) createClass(t *testing.T) {
	t.Helper()
	cluster.Must(t, p.Client.Create(context.Background(), cluster.StorageClass(p.Name)))
}

// deleteClass makes the requirement hold.
func (p *watchedProfile) deleteClass(t *testing.T) {
	t.Helper()
	cluster.Must(t, p.Client.Delete(context.Background(), cluster.StorageClass(p.Name)))
}

// hasVerdict returns a condition on such a profile: the verdict on its requirement.
func hasVerdict(verdict v1alpha1.Verdict) func(*v1alpha1.PlatformProfile) bool {
	return cluster.VerdictIs("storage", "class", verdict)
}

// writes returns the times at which the API server accepted a status of the profile from the operator.
func (p *watchedProfile) writes(t *testing.T, since time.Time) []time.Time {
	t.Helper()
	var at []time.Time
	for _, request := range p.requests(t, since) {
		if o := request.ObjectRef; o != nil && o.Resource == "platformprofiles" && o.Name == p.Name && o.Subresource == "status" &&
			request.ResponseStatus.Code == 200 {
			at = append(at, request.RequestReceivedTimestamp.Time)
		}
	}
	return at
}

// assertWrites asserts how many statuses the API server accepted since a time.
func (p *watchedProfile) assertWrites(t *testing.T, since time.Time, want int) {
	t.Helper()
	if got := p.writes(t, since); len(got) != want {
		t.Errorf("%d statuses of %s were written, want %d: %v", len(got), p.Name, want, got)
	}
}

// awaitEvents waits for that many events of each reason on the profile, and asserts that there are no more of them.
func (p *watchedProfile) awaitEvents(t *testing.T, want map[string]int) {
	t.Helper()
	// They are published after the status is written.
	cluster.Eventually(t, "events are published", func() (bool, string) {
		counts := p.countEvents(t, "PlatformProfile", p.Name)
		for reason, n := range want {
			if counts[reason] < n {
				return false, fmt.Sprintf("%v, want %v", counts, want)
			}
		}
		return true, ""
	})
	p.Barrier(t) // an event that is published twice is there now
	got := p.countEvents(t, "PlatformProfile", p.Name)
	for reason, n := range want {
		if got[reason] != n {
			t.Errorf("%d events with the reason %s are on %s, want %d: %v", got[reason], reason, p.Name, n, got)
		}
	}
}

// assertEventsAtMost asserts that of each reason there are no more events on the profile: a replica that dies may leave some out.
func (p *watchedProfile) assertEventsAtMost(t *testing.T, most map[string]int) {
	t.Helper()
	got := p.countEvents(t, "PlatformProfile", p.Name)
	for reason, n := range most {
		if got[reason] > n {
			t.Errorf("%d events with the reason %s are on %s, want %d at most: %v", got[reason], reason, p.Name, n, got)
		}
	}
}

// countEvents counts the events on an object by reason.
func (tc *testCluster) countEvents(t *testing.T, kind, name string) map[string]int {
	t.Helper()
	list := &eventsv1.EventList{}
	cluster.Must(t, tc.Client.List(context.Background(), list))
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

// requests returns what the replicas requested since a time, from the audit log.
func (tc *testCluster) requests(t *testing.T, since time.Time) []auditv1.Event {
	t.Helper()
	found, err := tc.Requests(cluster.User, since)
	cluster.Must(t, err)
	return found
}
