package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// lookAtLease is how often a replica that stands by looks at the lease, at the most often. client-go waits up to 2.2 times
	// as long, and a leader that dies may be found out two looks late: one that misses its last renewal, one that misses the
	// lease's end. Both together stay below a second.
	lookAtLease = 225 * time.Millisecond
	// leastLease is the shortest lease that a busy API server lets anybody keep.
	leastLease = 5 * time.Second
	// namespaceFile is where a pod finds the namespace it runs in.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// leaseTimes are what follows from how long a lease lasts.
type leaseTimes struct {
	// lasts is how long a standby waits after the last renewal that it saw.
	lasts time.Duration
	// renew is how long a leader waits between two renewals.
	renew time.Duration
	// giveUp is how long a leader tries in vain to renew before it ends. It has ended before the lease does:
	// renew + giveUp < lasts.
	giveUp time.Duration
}

func timesOf(lease time.Duration) (leaseTimes, error) {
	if lease < leastLease || lease%time.Second != 0 {
		return leaseTimes{}, fmt.Errorf("--leader-elect-lease-duration is %s: give whole seconds, %s or more", lease, leastLease)
	}
	return leaseTimes{lasts: lease, renew: lease * 2 / 15, giveUp: lease * 2 / 3}, nil
}

// lock is that by which replicas agree on who writes; nil where they need not.
type lock struct {
	*resourcelock.LeaseLock
	times leaseTimes
	held  bool          // by this replica, at some time
	lost  chan struct{} // closed when another replica holds what this one did
	lose  sync.Once
}

// Create makes the lease.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.LeaseLock.Create(ctx, record)
	l.held = l.held || err == nil
	return err
}

// Update takes, renews or releases the lease.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.LeaseLock.Update(ctx, record)
	l.held = l.held || err == nil
	return err
}

// Get reads the lease. client-go's elector tries on for a while where another replica holds it: a leader that was paused
// would go on for that long.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.LeaseLock.Get(ctx)
	if err == nil && l.held && record.HolderIdentity != "" && record.HolderIdentity != l.Identity() {
		l.lose.Do(func() { close(l.lost) })
	}
	return record, raw, err
}

// NeedLeaderElection says that the lock is watched from the beginning.
func (l *lock) NeedLeaderElection() bool { return false }

// Start ends the operator when it lost the lease to another replica.
func (l *lock) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.lost:
		return errors.New("another replica holds the lease: this one was paused or cut off for too long")
	}
}

// lock returns the lock that the flags ask for.
func (o *managerOptions) lock(config *rest.Config) (*lock, error) {
	if !o.elect {
		return nil, nil //nolint:nilnil // one replica needs none
	}
	times, err := timesOf(o.lease)
	if err != nil {
		return nil, err
	}
	namespace := o.leaseNamespace
	if namespace == "" {
		in, err := os.ReadFile(namespaceFile)
		if err != nil {
			return nil, fmt.Errorf("--leader-elect outside a pod needs --leader-election-namespace: %w", err)
		}
		namespace = strings.TrimSpace(string(in))
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	config = rest.AddUserAgent(rest.CopyConfig(config), "leader-election") // which changes what it is given
	// One request that hangs must leave time for another before the leader gives up.
	config.Timeout = times.giveUp / 2
	client, err := coordinationclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &lock{times: times, lost: make(chan struct{}), LeaseLock: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: leaderLease},
		Client:     &sparing{LeasesGetter: client, renew: times.renew},
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
	}}, nil
}

// into has a manager elect a leader by the lock.
func (l *lock) into(options ctrl.Options) ctrl.Options {
	if l == nil {
		return options
	}
	look := lookAtLease
	options.LeaderElection, options.LeaderElectionID, options.LeaderElectionResourceLockInterface = true, leaderLease, l
	options.LeaderElectionReleaseOnCancel = true
	options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = &l.times.lasts, &l.times.giveUp, &look
	return options
}

// join has events on the lease say who leads, and ends the manager when the lease is lost.
func (l *lock) join(mgr ctrl.Manager) error {
	if l == nil {
		return nil
	}
	l.LockConfig.EventRecorder = mgr.GetEventRecorderFor(l.Identity()) //nolint:staticcheck // client-go's lock takes no other
	return mgr.Add(l)
}

// sparing is a client for one lease that renews it no more often than it must. client-go's elector has one period for both
// sides: a standby should look often, and a leader need not write as often.
type sparing struct {
	coordinationclient.LeasesGetter
	renew time.Duration

	written *coordinationv1.Lease // as the API server returned it last
	at      time.Time             // when it was asked to write it
}

// Leases returns the client for the lease's namespace.
func (s *sparing) Leases(namespace string) coordinationclient.LeaseInterface {
	return &sparingLeases{s.LeasesGetter.Leases(namespace), s}
}

type sparingLeases struct {
	coordinationclient.LeaseInterface
	*sparing
}

// Create makes the lease.
func (s *sparingLeases) Create(ctx context.Context, lease *coordinationv1.Lease, options metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return s.write(func() (*coordinationv1.Lease, error) { return s.LeaseInterface.Create(ctx, lease, options) })
}

// Update writes the lease, unless it only renews one that was written a moment ago.
func (s *sparingLeases) Update(ctx context.Context, lease *coordinationv1.Lease, options metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if s.written != nil && time.Since(s.at) < s.renew && sameTerm(&lease.Spec, &s.written.Spec) {
		return s.written.DeepCopy(), nil
	}
	return s.write(func() (*coordinationv1.Lease, error) { return s.LeaseInterface.Update(ctx, lease, options) })
}

func (s *sparing) write(ask func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	at := time.Now()
	lease, err := ask()
	if err != nil {
		s.written = nil // who knows what is stored
		return nil, err
	}
	s.written, s.at = lease.DeepCopy(), at
	return lease, nil
}

// sameTerm tells whether one record of the lease only renews another.
func sameTerm(a, b *coordinationv1.LeaseSpec) bool {
	return ptr.Deref(a.HolderIdentity, "") != "" && ptr.Equal(a.HolderIdentity, b.HolderIdentity) &&
		ptr.Equal(a.LeaseTransitions, b.LeaseTransitions) && ptr.Equal(a.LeaseDurationSeconds, b.LeaseDurationSeconds)
}
