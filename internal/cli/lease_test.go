package cli

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

func TestALeaderHasEndedBeforeItsLease(t *testing.T) {
	for _, lease := range []time.Duration{5 * time.Second, 7 * time.Second, 15 * time.Second, time.Hour} {
		times, err := timesOf(lease)
		if err != nil {
			t.Fatal(err)
		}
		// Of a look at the lease and one that just missed it.
		if left := times.lasts - times.renew - times.giveUp - 2*lookAtLease; left <= 0 {
			t.Errorf("%s: the leader may go on for %s after its lease", lease, -left)
		}
	}
	for _, lease := range []time.Duration{0, time.Second, 5500 * time.Millisecond} {
		if _, err := timesOf(lease); err == nil {
			t.Errorf("%s is taken", lease)
		}
	}
}

// leases counts the writes of a lease.
type leases struct {
	coordinationclient.LeaseInterface
	writes int
	err    error
}

func (l *leases) Leases(string) coordinationclient.LeaseInterface { return l }

func (l *leases) Update(_ context.Context, lease *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	l.writes++
	return lease, l.err
}

func TestALeaseIsRenewedNoMoreOftenThanItMust(t *testing.T) {
	server := &leases{}
	s := &sparing{LeasesGetter: server, renew: time.Hour}
	write := func(holder string, transitions int32) {
		t.Helper()
		lease := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: ptr.To(transitions), RenewTime: ptr.To(metav1.NowMicro())}}
		_, _ = s.Leases("any").Update(context.Background(), lease, metav1.UpdateOptions{})
	}
	for _, step := range []struct {
		what        string
		holder      string
		transitions int32
		wait        time.Duration
		err         error
		writes      int
	}{
		{"it is taken", "a", 1, 0, nil, 1},
		{"it is renewed at once", "a", 1, 0, nil, 1},
		{"it is renewed in time", "a", 1, 2 * time.Hour, nil, 2},
		{"it is another term", "a", 2, 0, nil, 3},
		{"it is released", "", 2, 0, nil, 4},
		{"it is taken again", "a", 3, 0, errors.New("no answer"), 5},
		{"nobody knows what is stored", "a", 3, 0, nil, 6},
		{"it is renewed", "a", 3, 0, nil, 6},
	} {
		server.err = step.err
		s.at = s.at.Add(-step.wait)
		write(step.holder, step.transitions)
		if server.writes != step.writes {
			t.Errorf("%s: %d writes, want %d", step.what, server.writes, step.writes)
		}
	}
}

// TestTheLeasesClientIsItsOwn shows that the haste of the lease is no business of other requests: watches would end by it.
func TestTheLeasesClientIsItsOwn(t *testing.T) {
	config := &rest.Config{Host: "https://127.0.0.1:1", UserAgent: userAgent}
	o := managerOptions{elect: true, lease: 15 * time.Second, leaseNamespace: "default"}
	if _, err := o.lock(config); err != nil {
		t.Fatal(err)
	}
	if config.Timeout != 0 || config.UserAgent != userAgent {
		t.Errorf("the manager's requests are made with timeout %s as %q", config.Timeout, config.UserAgent)
	}
}
