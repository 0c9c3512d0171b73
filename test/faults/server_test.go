package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const (
	unwanted = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: unwanted}, provisioner: example.com/unwanted}"
	second   = "{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: second}, spec: {ok: false}}"
)

// undone removes an object when the test ends.
func undone(t *testing.T, text string) {
	t.Cleanup(func() { must(t, remove(context.Background(), object(text))) })
}

// TestAPIServerRestarts shows that an API server that is killed and comes back, in seconds or after the operator's patience,
// leaves statuses that are right, and no word of what was out of sight.
func TestAPIServerRestarts(t *testing.T) {
	ctx := context.Background()
	o := launch(t, "", nil)
	agrees(t)
	for name, down := range map[string]time.Duration{"in seconds": 0, "after long": 25 * time.Second} {
		t.Run(name, func(t *testing.T) {
			undone(t, unwanted)
			must(t, env.Control(ctx, "kill", "kube-apiserver"))
			killed := time.Now()
			if down > 0 {
				time.Sleep(down)
				if age := contactAge(o); age < down-5*time.Second {
					t.Errorf("the API server is gone for %s, and the operator says that it answered %s ago", time.Since(killed), age)
				}
				sight := metric(o, `platformprofile_source_sight{sight="Blind",source="deployments.apps"}`)
				verdict := metric(o, `platformprofile_requirement_verdict{component="",layer="storage",profile="faults",requirement="classes",severity="Required",verdict="Unknown"}`)
				if sight != 1 || verdict != 1 {
					t.Errorf("metrics do not tell that nothing can be seen: sight %v, verdict %v", sight, verdict)
				}
			}
			must(t, env.Control(ctx, "start", "kube-apiserver"))
			began := time.Now()
			must(t, apply(ctx, object(unwanted)))
			turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
			t.Logf("right %s after the API server was ready", time.Since(began).Round(time.Millisecond))
			agrees(t)
			must(t, remove(ctx, object(unwanted)))
			turns(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
			agrees(t)
		})
	}
}

// TestAPIServerHangs shows that an API server that hangs is noticed within a minute, that readiness says so, and that all is
// right when it goes on.
func TestAPIServerHangs(t *testing.T) {
	ctx := context.Background()
	o := launch(t, "", nil)
	agrees(t)
	must(t, env.Control(ctx, "pause", "kube-apiserver"))
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			must(t, env.Control(ctx, "cont", "kube-apiserver"))
		}
	}
	t.Cleanup(resume)
	blind := await(t, "metrics tell that nothing can be seen", func() (bool, string) {
		return metric(o, `platformprofile_source_sight{sight="Blind",source="deployments.apps"}`) == 1, ""
	})
	var said string
	unready := await(t, "the operator is not ready", func() (bool, string) {
		ready, text := o.Ready(ctx)
		said = text
		return !ready, text
	})
	t.Logf("blind after %s, not ready %s later", blind.Round(time.Second), unready.Round(time.Second))
	if !strings.Contains(said, "inventory failed") {
		t.Errorf("readiness does not say what is wrong: %s", said)
	}
	resume()
	began := time.Now()
	await(t, "the operator is ready again", func() (bool, string) { return o.Ready(ctx) })
	agrees(t)
	t.Logf("right %s after it went on", time.Since(began).Round(time.Millisecond))
}

// TestEtcdRestarts shows that a restart of etcd under the API server changes nothing.
func TestEtcdRestarts(t *testing.T) {
	ctx := context.Background()
	launch(t, "", nil)
	agrees(t)
	undone(t, unwanted)
	must(t, env.Control(ctx, "kill", "etcd"))
	time.Sleep(3 * time.Second)
	must(t, env.Control(ctx, "start", "etcd"))
	must(t, apply(ctx, object(unwanted)))
	turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	agrees(t)
}
