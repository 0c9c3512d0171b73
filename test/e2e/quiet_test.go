package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// quietFor is how long nothing happens. KWOK renews its nodes' leases all the while.
const quietFor = time.Minute

// quiet asserts from the API server's own audit log that an operator with nothing to do only watches and keeps its lease.
func quiet(t *testing.T) {
	time.Sleep(3 * time.Second) // what the last test began is over
	from := time.Now()
	time.Sleep(quietFor)
	until := time.Now()
	renewed := 0
	for _, request := range requests(t, from, until) {
		resource := ""
		if request.ObjectRef != nil {
			resource = request.ObjectRef.Resource
		}
		switch {
		case request.Verb == "watch":
		case resource == "leases" && (request.Verb == "get" || request.Verb == "update"):
			renewed++
		default:
			t.Errorf("the quiet operator did %s %s", request.Verb, request.RequestURI)
		}
	}
	if renewed == 0 {
		t.Error("the audit log shows no renewal of the lease: it does not show what the operator does")
	}
	t.Logf("in %s: %d requests for the lease, none for anything else but watches", quietFor, renewed)
}

// requests are those that the operator made in a span of time, as the API server recorded them.
func requests(t *testing.T, from, until time.Time) []auditv1.Event {
	t.Helper()
	found, err := env.Requests(cluster.User, from)
	must(t, err)
	return slices.DeleteFunc(found, func(event auditv1.Event) bool { return !event.RequestReceivedTimestamp.Time.Before(until) })
}

// eventsOf asserts that verdicts that turned were told as events.
func eventsOf(t *testing.T, profile string) {
	list := &eventsv1.EventList{}
	must(t, env.Client.List(context.Background(), list))
	counts := map[string]int{}
	for _, event := range list.Items {
		if event.Regarding.Kind == "PlatformProfile" && event.Regarding.Name == profile {
			counts[event.Reason]++
		}
	}
	t.Logf("events: %v", counts)
	for _, reason := range []string{"Missing", "Degraded", "VersionMismatch", "Conflict", "Unknown", "Satisfied", "Conformant", "NotConformant"} {
		if counts[reason] == 0 {
			t.Errorf("no event tells of %s", reason)
		}
	}
}
