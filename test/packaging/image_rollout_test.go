package packaging

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// rolloutRecord is what was seen of the operator's pods and lease while it was replaced.
type rolloutRecord struct {
	mu sync.Mutex
	// pods are those that are ready; least is how few there were at any time.
	pods  map[types.UID]bool
	least int
	// ended is how each container ended, by its pod.
	ended map[string]termination
	// holders are who held the lease, one after the other; "" is nobody.
	holders []string
}

type termination struct {
	code int32
	took time.Duration
}

// watchRollout records from here on, until the context ends.
func watchRollout(ctx context.Context, t *testing.T, c *cluster.Cluster, first []corev1.Pod) *rolloutRecord {
	t.Helper()
	r := &rolloutRecord{pods: map[types.UID]bool{}, least: len(first), ended: map[string]termination{}}
	for _, pod := range first {
		r.pods[pod.UID] = true
	}
	pods, err := c.Client.Watch(ctx, &corev1.PodList{}, client.InNamespace(cluster.Namespace))
	cluster.Must(t, err)
	leases, err := c.Client.Watch(ctx, &coordinationv1.LeaseList{}, client.InNamespace(cluster.Namespace))
	cluster.Must(t, err)
	follow := func(events watch.Interface, see func(watch.Event)) {
		defer events.Stop()
		for event := range events.ResultChan() {
			r.mu.Lock()
			see(event)
			r.mu.Unlock()
		}
	}
	go follow(pods, r.seePod)
	go follow(leases, r.seeLease)
	return r
}

func (r *rolloutRecord) seePod(event watch.Event) {
	pod, ok := event.Object.(*corev1.Pod)
	if !ok {
		return
	}
	delete(r.pods, pod.UID)
	if event.Type != watch.Deleted && isReady(pod) {
		r.pods[pod.UID] = true
	}
	r.least = min(r.least, len(r.pods))
	for _, status := range pod.Status.ContainerStatuses {
		if over := status.State.Terminated; over != nil && pod.DeletionTimestamp != nil {
			// The deletion's time is when the grace period is over.
			asked := pod.DeletionTimestamp.Add(-time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
			if _, known := r.ended[pod.Name]; !known {
				r.ended[pod.Name] = termination{over.ExitCode, over.FinishedAt.Sub(asked)}
			}
		}
	}
}

func (r *rolloutRecord) seeLease(event watch.Event) {
	if lease, ok := event.Object.(*coordinationv1.Lease); ok {
		holder := ""
		if lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		if len(r.holders) == 0 || r.holders[len(r.holders)-1] != holder {
			r.holders = append(r.holders, holder)
		}
	}
}

// testRollout rolls the Deployment over, and asks for a new judgement all the while.
func testRollout(ctx context.Context, t *testing.T, c *cluster.Cluster, first []corev1.Pod) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	r := watchRollout(watching, t, c, first)
	began := time.Now()
	if out, err := c.Kubectl(ctx, "-n", cluster.Namespace, "patch", "deployment", "platformprofile-manager", "-p",
		`{"spec":{"template":{"metadata":{"annotations":{"again":"1"}}}}}`); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	over := make(chan string, 1)
	go func() {
		// It is over once the old pods are gone, too.
		out, err := c.Kubectl(ctx, "-n", cluster.Namespace, "rollout", "status", "deployment/platformprofile-manager", "--timeout=3m")
		for _, pod := range first {
			if err == nil {
				out, err = c.Kubectl(ctx, "-n", cluster.Namespace, "wait", "--for=delete", "pod/"+pod.Name, "--timeout=1m")
			}
		}
		if err == nil {
			out = ""
		}
		over <- out
	}()
	var longest time.Duration
	for asked, done := 0, false; !done || asked < 3; asked++ {
		select {
		case failure := <-over:
			if failure != "" {
				t.Fatalf("the rollout does not end: %s", failure)
			}
			t.Logf("two replicas were replaced within %.1f s", time.Since(began).Seconds())
			done = true
		case <-time.After(200 * time.Millisecond):
		}
		longest = max(longest, awaitEvaluated(ctx, t, c, changeProfile(ctx, t, c)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("at least %d of %d were ready; a change was evaluated after %.2f s at most", r.least, replicas, longest.Seconds())
	if r.least < 1 {
		t.Error("at one time none was ready")
	}
	for _, pod := range first {
		end, known := r.ended[pod.Name]
		switch {
		case !known:
			t.Errorf("nobody saw how %s ended", pod.Name)
		case end.code != 0:
			t.Errorf("%s ended with the code %d", pod.Name, end.code)
		case end.took >= grace:
			t.Errorf("%s ended only after %s", pod.Name, end.took)
		default:
			t.Logf("%s ended by itself within %.0f s of being asked to, with the code 0", pod.Name, end.took.Seconds())
		}
	}
	// The leader gives the lease back when it ends: the next one need not wait until it expires.
	if !slices.Contains(r.holders, "") {
		t.Errorf("the lease was never given back: it was held by %q", r.holders)
	}
}

// changeProfile changes the profile, and returns the generation that is to be evaluated.
func changeProfile(ctx context.Context, t *testing.T, c *cluster.Cluster) int64 {
	t.Helper()
	p := &v1alpha1.PlatformProfile{}
	cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Name: "node"}, p))
	patch := client.MergeFrom(p.DeepCopy())
	requirement := &p.Spec.Layers[0].Requirements[2]
	if requirement.Severity == v1alpha1.SeverityRecommended {
		requirement.Severity = v1alpha1.SeverityRequired
	} else {
		requirement.Severity = v1alpha1.SeverityRecommended
	}
	cluster.Must(t, c.Client.Patch(ctx, p, patch))
	return p.Generation
}
