package resilience

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const (
	unwantedClass = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: unwanted}, provisioner: example.com/unwanted}"
	secondWidget  = "{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: second}, spec: {ok: false}}"
)

// removeAtEnd removes an object when the test ends.
func (tc *testCluster) removeAtEnd(t *testing.T, text string) {
	t.Cleanup(func() { cluster.Must(t, tc.remove(context.Background(), parseObject(text))) })
}

// TestAPIServerRestarts kills the API server for seconds, and for longer than sources need to become Failing: statuses are right
// afterwards, and have no transitions of what did not change.
func TestAPIServerRestarts(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	o := tc.startOperator(t, "", nil)
	tc.awaitMatchesCheck(t)
	for name, down := range map[string]time.Duration{"in seconds": 0, "after long": 22 * time.Second} {
		t.Run(name, func(t *testing.T) {
			tc.removeAtEnd(t, unwantedClass)
			changed := tc.changedAt(t, "apps", "app")
			cluster.Must(t, tc.Control(ctx, "kill", "kube-apiserver"))
			killed := time.Now()
			if down > 0 {
				time.Sleep(down)
				if age := contactAge(o); age < down-5*time.Second {
					t.Errorf("the API server is gone for %s, and the operator reports an answer %s ago", time.Since(killed), age)
				}
				state := metric(o, `platformprofile_source_state{source="deployments.apps",state="Failing"}`)
				verdict := metric(o, `platformprofile_requirement_verdict{component="",layer="storage",profile="faults",requirement="classes",severity="Required",verdict="Unknown"}`)
				if state != 1 || verdict != 1 {
					t.Errorf("metrics do not report that nothing can be read: source state %v, verdict %v", state, verdict)
				}
			}
			cluster.Must(t, tc.Control(ctx, "start", "kube-apiserver"))
			began := time.Now()
			cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
			tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
			t.Logf("right %s after the API server was ready", time.Since(began).Round(time.Millisecond))
			tc.awaitMatchesCheck(t)
			if again := tc.changedAt(t, "apps", "app"); !again.Equal(changed) {
				t.Errorf("apps/app, which was there all the while, changed at %s, and before at %s", again, changed)
			}
			cluster.Must(t, tc.remove(ctx, parseObject(unwantedClass)))
			tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
			tc.awaitMatchesCheck(t)
		})
	}
}

// changedAt returns the last transition time of a requirement, nil where there was none.
func (tc *testCluster) changedAt(t *testing.T, layer, requirement string) *metav1.Time {
	t.Helper()
	found, err := tc.stored(context.Background(), "faults")
	cluster.Must(t, err)
	for _, l := range found.Status.Layers {
		for _, r := range l.Requirements {
			if l.Name == layer && r.Name == requirement {
				return r.LastTransitionTime
			}
		}
	}
	t.Fatalf("the status has no %s/%s", layer, requirement)
	return nil
}

// TestAPIServerHangs tests that changes around a hang of the API server are seen. TestWhatCannotBeKnown tests that the operator
// notices a hang.
func TestAPIServerHangs(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	tc.startOperator(t, "", nil)
	tc.awaitMatchesCheck(t)
	tc.removeAtEnd(t, unwantedClass)
	cluster.Must(t, tc.Control(ctx, "pause", "kube-apiserver"))
	time.Sleep(8 * time.Second)
	cluster.Must(t, tc.Control(ctx, "cont", "kube-apiserver"))
	began := time.Now()
	cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
	tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	tc.awaitMatchesCheck(t)
	t.Logf("right %s after it went on", time.Since(began).Round(time.Millisecond))
}

// TestEtcdRestarts tests that a restart of etcd below the API server loses no change.
func TestEtcdRestarts(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	tc.startOperator(t, "", nil)
	tc.awaitMatchesCheck(t)
	tc.removeAtEnd(t, unwantedClass)
	cluster.Must(t, tc.Control(ctx, "kill", "etcd"))
	time.Sleep(3 * time.Second)
	cluster.Must(t, tc.Control(ctx, "start", "etcd"))
	cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
	tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	tc.awaitMatchesCheck(t)
}
