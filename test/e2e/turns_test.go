package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// restartOperator stops the operator and starts another, whose only state is what the API server stores.
func restartOperator(t *testing.T) {
	t.Helper()
	env.operator.Stop()
	var err error
	env.operator, err = env.Run(context.Background(), "--leader-elect", "--leader-election-namespace", cluster.Namespace)
	cluster.Must(t, err)
}

// TestEvents asserts that each transition is an event of its own, even if the same one recurs within moments, and that an
// operator that restarts publishes none of them again.
func TestEvents(t *testing.T) {
	ctx := context.Background()
	class := cluster.StorageClass("unwanted")
	t.Cleanup(func() { cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, class))) })
	profile := createProfile(t, "transitions",
		cluster.Layer("storage", cluster.StorageClassRule("classes", "object.metadata.name != 'unwanted'", "no unwanted class")))
	profile.AwaitLast(t, "the check holds", cluster.VerdictIs("storage", "classes", v1alpha1.VerdictSatisfied))
	for range 3 {
		profile.AwaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed,
			func() { cluster.Must(t, env.Client.Create(ctx, class.DeepCopy())) })
		profile.AwaitVerdict(t, "storage", "classes", v1alpha1.VerdictSatisfied,
			func() { cluster.Must(t, env.Client.Delete(ctx, class.DeepCopy())) })
	}
	// The first evaluation makes it Conformant.
	const want = "CheckFailed 3, Conformant 4, NotConformant 3, Satisfied 3"
	published := func() string {
		list := &eventsv1.EventList{}
		cluster.Must(t, env.Client.List(ctx, list))
		counts := map[string]int{}
		for _, event := range list.Items {
			if event.Regarding.Name != "transitions" {
				continue
			}
			counts[event.Reason]++
			if event.Series != nil {
				t.Errorf("two transitions are one event: %+v", event)
			}
			if event.Reason == "CheckFailed" &&
				(event.Type != corev1.EventTypeWarning || !strings.HasPrefix(event.Note, "storage/classes (was Satisfied): ")) {
				t.Errorf("the event is %+v", event)
			}
		}
		var all []string
		for _, reason := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, fmt.Sprintf("%s %d", reason, counts[reason]))
		}
		return strings.Join(all, ", ")
	}
	cluster.Eventually(t, "the events are "+want, func() (bool, string) {
		got := published()
		return got == want, got
	})
	restartOperator(t)
	env.Barrier(t) // the operator leads again
	if got := published(); got != want {
		t.Errorf("after a restart the events are %s, want %s", got, want)
	}
}

// TestTimeTurns asserts that a verdict that depends on the time changes within half a minute, although nothing changes in the
// cluster.
func TestTimeTurns(t *testing.T) {
	t.Parallel()
	until := time.Now().Truncate(time.Second).Add(8 * time.Second)
	class := cluster.StorageClass("lent")
	class.Annotations = map[string]string{"example.com/until": until.UTC().Format(time.RFC3339)}
	cluster.Must(t, env.Client.Create(context.Background(), class))
	t.Cleanup(func() { cluster.Must(t, env.Client.Delete(context.Background(), class)) })
	profile := createProfile(t, "time-turns", cluster.Layer("storage", cluster.StorageClassRule("lent",
		"object.metadata.?annotations[?'example.com/until'].optMap(t, timestamp(string(t)) > now).orValue(true)",
		"no class is older than allowed")))
	profile.AwaitLast(t, "the check holds", cluster.VerdictIs("storage", "lent", v1alpha1.VerdictSatisfied))
	// Rules that read the time are evaluated every half minute.
	failed := profile.Await(t, until, "the check fails when its time has come",
		cluster.VerdictIs("storage", "lent", v1alpha1.VerdictCheckFailed))
	t.Logf("it failed %s after its time had come", failed.Time.Sub(until).Round(time.Millisecond))
}

// TestRollouts asserts that the message of a rollout contains its start, and that only another rollout changes it: neither an
// annotation or a label of the workload, nor a restart of the operator.
func TestRollouts(t *testing.T) {
	ctx := context.Background()
	cluster.Must(t, env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "rolling"}}))
	definition := cluster.Component("acme-rolling", "acme/rolling-server")
	cluster.Must(t, env.Client.Create(ctx, definition))
	server := cluster.Deployment("rolling", "server", "acme/rolling-server:v1.0.0")
	three := int32(3)
	server.Spec.Replicas, server.Spec.Template.Spec.NodeSelector = &three, map[string]string{"no": "such-node"}
	cluster.Must(t, env.Client.Create(ctx, server))
	t.Cleanup(func() {
		cluster.Must(t, env.Client.Delete(ctx, server))
		cluster.Must(t, env.Client.Delete(ctx, definition))
	})
	profile := createProfile(t, "rolling", cluster.Layer("workloads", cluster.AnyOf("server", "acme-rolling", "")))
	rollingOutSince := func(since time.Time) func(*v1alpha1.PlatformProfile) bool {
		want := fmt.Sprintf("Deployment rolling/server: is rolling out since %s, 0 of 3 pods are up to date and available", since.UTC().Format(time.RFC3339))
		return func(p *v1alpha1.PlatformProfile) bool {
			r := cluster.FindRequirement(p, "workloads", "server")
			return r != nil && r.Verdict == v1alpha1.VerdictSatisfied && r.Health == v1alpha1.HealthProgressing && strings.HasSuffix(r.Message, want)
		}
	}
	began := server.CreationTimestamp.Time
	first := profile.AwaitLast(t, "it rolls out", rollingOutSince(began))
	// A Deployment that is created after a change is observed after it.
	marker := cluster.Component("acme-marker", "acme/marker")
	cluster.Must(t, env.Client.Create(ctx, marker))
	t.Cleanup(func() { cluster.Must(t, env.Client.Delete(ctx, marker)) })
	markers := createProfile(t, "rolling-markers", cluster.Layer("workloads", cluster.AnyOf("marker", "acme-marker", "")))
	markers.AwaitLast(t, "there is no marker", cluster.VerdictIs("workloads", "marker", v1alpha1.VerdictMissing))
	last := func() *v1alpha1.PlatformProfile {
		t.Helper()
		workload := cluster.Deployment("rolling", "marker", "acme/marker:v1.0.0")
		markers.AwaitVerdict(t, "workloads", "marker", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, env.Client.Create(ctx, workload)) })
		markers.AwaitVerdict(t, "workloads", "marker", v1alpha1.VerdictMissing, func() { cluster.Must(t, env.Client.Delete(ctx, workload)) })
		stored := &v1alpha1.PlatformProfile{}
		cluster.Must(t, env.Client.Get(ctx, client.ObjectKey{Name: "rolling"}, stored))
		return stored
	}

	time.Sleep(1100 * time.Millisecond) // times are stored in whole seconds
	written := last()
	if written.ResourceVersion != first.ResourceVersion {
		t.Logf("while the definition of the marker came, the status became:\n%s", diff.Diff(first, written))
	}
	patch := client.MergeFrom(server.DeepCopy())
	server.Labels = map[string]string{"written": "by-whom-the-spec-was"}
	cluster.Must(t, env.Client.Patch(ctx, server, patch))
	if last := last(); !rollingOutSince(began)(last) || last.ResourceVersion != written.ResourceVersion {
		t.Errorf("a label began another rollout, or wrote another status:\n%s", diff.Diff(written, last))
	}
	annotate := func(value string) {
		t.Helper()
		if out, err := env.Kubectl(ctx, "-n", "rolling", "annotate", "--overwrite", "deployment", "server", "seen="+value); err != nil {
			t.Fatalf("kubectl annotate: %v\n%s", err, out)
		}
		cluster.Must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(server), server))
	}
	annotate("once")
	if last := last(); !rollingOutSince(began)(last) {
		t.Errorf("an annotation began another rollout: %s", cluster.Summary(last))
	}

	time.Sleep(1100 * time.Millisecond) // times are stored in whole seconds
	image(t, server, "acme/rolling-server:v1.0.1")
	for _, entry := range server.ManagedFields {
		if entry.Subresource == "" && entry.Time.After(began) {
			began = entry.Time.Time
		}
	}
	profile.AwaitLast(t, "another rollout begins", rollingOutSince(began))
	time.Sleep(1100 * time.Millisecond)
	annotate("twice")
	restartOperator(t)
	env.Barrier(t) // the operator leads again
	if last := last(); !rollingOutSince(began)(last) {
		t.Errorf("an operator that starts again dates the rollout otherwise, want %s: %s", began.UTC(), cluster.Summary(last))
	}
}

// TestScalingUp asserts that pods that an autoscaler adds are no failure until they run: the verdict does not change, and
// nobody is paged.
func TestScalingUp(t *testing.T) {
	ctx := context.Background()
	cluster.Must(t, env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "scaling"}}))
	definition := cluster.Component("acme-scaling", "acme/scaling-server")
	cluster.Must(t, env.Client.Create(ctx, definition))
	server := cluster.Deployment("scaling", "server", "acme/scaling-server:v1.0.0")
	server.Spec.MinReadySeconds = 3
	cluster.Must(t, env.Client.Create(ctx, server))
	t.Cleanup(func() {
		cluster.Must(t, env.Client.Delete(ctx, server))
		cluster.Must(t, env.Client.Delete(ctx, definition))
	})
	profile := createProfile(t, "scaling", cluster.Layer("workloads", cluster.AnyOf("server", "acme-scaling", "")))
	health := func(want v1alpha1.Health) func(*v1alpha1.PlatformProfile) bool {
		return func(p *v1alpha1.PlatformProfile) bool {
			r := cluster.FindRequirement(p, "workloads", "server")
			return r != nil && r.Health == want
		}
	}
	profile.AwaitLast(t, "it runs", health(v1alpha1.HealthHealthy))

	scaled := time.Now()
	if out, err := env.Kubectl(ctx, "-n", "scaling", "scale", "deployment", "server", "--replicas=4"); err != nil {
		t.Fatalf("kubectl scale: %v\n%s", err, out)
	}
	during := profile.Await(t, scaled, "it scales up", func(p *v1alpha1.PlatformProfile) bool {
		r := cluster.FindRequirement(p, "workloads", "server")
		return r != nil && strings.Contains(r.Message, "Deployment scaling/server: is scaling up since ")
	})
	t.Log(cluster.FindRequirement(during.Profile, "workloads", "server").Message)
	profile.AwaitLast(t, "it is scaled up", health(v1alpha1.HealthHealthy))
	states, _ := profile.States()
	for _, state := range states {
		if r := cluster.FindRequirement(state.Profile, "workloads", "server"); state.Time.After(scaled) &&
			r.Verdict != v1alpha1.VerdictSatisfied {
			t.Errorf("%s after it was scaled up it was %s: %s", state.Time.Sub(scaled), r.Verdict, r.Message)
		}
	}
}
