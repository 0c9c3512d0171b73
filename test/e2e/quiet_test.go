package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// quietFor is how long nothing happens: longer than the half minute after which rules that read the time are evaluated again.
const quietFor = 40 * time.Second

// testQuiet asserts from the API server's own audit log that an operator with nothing to do only watches and keeps its lease.
func testQuiet(t *testing.T) {
	const idle = 3 * time.Second
	cluster.Eventually(t, "the operator has processed what the last test changed", func() (bool, string) {
		now := time.Now()
		others, _ := requestsBesideLease(t, now.Add(-idle), now)
		return len(others) == 0, strings.Join(others, ", ")
	})
	from := time.Now()
	time.Sleep(quietFor)
	others, renewals := requestsBesideLease(t, from, time.Now())
	for _, request := range others {
		t.Errorf("the quiet operator did %s", request)
	}
	if renewals == 0 {
		t.Error("the audit log has no renewal of the lease: it does not record the requests of the operator")
	}
	t.Logf("in %s: %d requests for the lease, none for anything else but watches", quietFor, renewals)
}

// requestsBesideLease returns the operator's requests in a span of time, without watches and those for its lease, and how many were
// for the lease.
func requestsBesideLease(t *testing.T, from, until time.Time) (others []string, renewals int) {
	t.Helper()
	for _, request := range requests(t, from, until) {
		switch o := request.ObjectRef; {
		case request.Verb == "watch":
		case o != nil && o.Resource == "leases" && (request.Verb == "get" || request.Verb == "update"):
			renewals++
		default:
			others = append(others, request.Verb+" "+request.RequestURI)
		}
	}
	return others, renewals
}

// requests are those that the operator made in a span of time, as the API server recorded them.
func requests(t *testing.T, from, until time.Time) []auditv1.Event {
	t.Helper()
	found, err := env.Requests(cluster.User, from)
	cluster.Must(t, err)
	return slices.DeleteFunc(found, func(event auditv1.Event) bool { return !event.RequestReceivedTimestamp.Time.Before(until) })
}

// assertEvents asserts that transitions of verdicts were published as events.
func assertEvents(t *testing.T, profile string) {
	list := &eventsv1.EventList{}
	cluster.Must(t, env.Client.List(context.Background(), list))
	counts := map[string]int{}
	for _, event := range list.Items {
		if event.Regarding.Kind == "PlatformProfile" && event.Regarding.Name == profile {
			counts[event.Reason]++
		}
	}
	t.Logf("events: %v", counts)
	for _, reason := range []string{"Missing", "Degraded", "VersionMismatch", "Conflict", "Unknown", "Satisfied", "Conformant",
		"NotConformant"} {
		if counts[reason] == 0 {
			t.Errorf("there is no event with the reason %s", reason)
		}
	}
}
