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
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// startAgain ends the operator and starts another, which knows nothing but what the API server stores.
func startAgain(t *testing.T) {
	t.Helper()
	env.operator.Stop()
	var err error
	env.operator, err = env.Run(context.Background(), "--leader-elect", "--leader-election-namespace", cluster.Namespace)
	must(t, err)
}

// TestEvents shows that each transition is an event of its own, also where the same one comes again in a moment, and that an
// operator that starts publishes none of them again.
func TestEvents(t *testing.T) {
	ctx := context.Background()
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "unwanted"}, Provisioner: "example.com/unwanted"}
	t.Cleanup(func() { must(t, client.IgnoreNotFound(env.Client.Delete(ctx, class))) })
	profile := create(t, "transitions", v1alpha1.Layer{Name: "storage", Requirements: []v1alpha1.Requirement{{Name: "classes", Rule: &v1alpha1.Rule{
		Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"},
		Expression: "object.metadata.name != 'unwanted'", Message: "no unwanted class",
	}}}})
	profile.settles(t, 10*time.Second, "the check holds", verdictIs("storage", "classes", v1alpha1.VerdictSatisfied))
	for range 3 {
		profile.flips(t, "storage", "classes", v1alpha1.VerdictCheckFailed, func() { must(t, env.Client.Create(ctx, class.DeepCopy())) })
		profile.flips(t, "storage", "classes", v1alpha1.VerdictSatisfied, func() { must(t, env.Client.Delete(ctx, class.DeepCopy())) })
	}
	// The first evaluation makes it Conformant.
	const want = "CheckFailed 3, Conformant 4, NotConformant 3, Satisfied 3"
	published := func() string {
		list := &eventsv1.EventList{}
		must(t, env.Client.List(ctx, list))
		counts := map[string]int{}
		for _, event := range list.Items {
			if event.Regarding.Name != "transitions" {
				continue
			}
			counts[event.Reason]++
			if event.Series != nil {
				t.Errorf("two transitions are one event: %+v", event)
			}
			if event.Reason == "CheckFailed" && (event.Type != corev1.EventTypeWarning || !strings.HasPrefix(event.Note, "storage/classes (was Satisfied): ")) {
				t.Errorf("the event is %+v", event)
			}
		}
		var all []string
		for _, reason := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, fmt.Sprintf("%s %d", reason, counts[reason]))
		}
		return strings.Join(all, ", ")
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return published() == want, nil }); err != nil {
		t.Fatalf("the events are %s, want %s", published(), want)
	}
	startAgain(t)
	probe := create(t, "transitions-probe", v1alpha1.Layer{Name: "core", Requirements: []v1alpha1.Requirement{anyOf("kubernetes", "kubernetes", "")}})
	probe.settles(t, 30*time.Second, "the operator leads again", verdictIs("core", "kubernetes", v1alpha1.VerdictSatisfied))
	if got := published(); got != want {
		t.Errorf("after a restart the events are %s, want %s", got, want)
	}
}

// TestTimeTurns shows that a requirement turns within half a minute of its time, although nothing changes in the cluster.
func TestTimeTurns(t *testing.T) {
	until := time.Now().Truncate(time.Second).Add(8 * time.Second)
	class := &storagev1.StorageClass{Provisioner: "example.com/lent"}
	class.Name, class.Annotations = "lent", map[string]string{"example.com/until": until.UTC().Format(time.RFC3339)}
	must(t, env.Client.Create(context.Background(), class))
	t.Cleanup(func() { must(t, env.Client.Delete(context.Background(), class)) })
	profile := create(t, "time-turns", v1alpha1.Layer{Name: "storage", Requirements: []v1alpha1.Requirement{{Name: "lent", Rule: &v1alpha1.Rule{
		Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"},
		Expression: "object.metadata.?annotations[?'example.com/until'].optMap(t, timestamp(string(t)) > now).orValue(true)", Message: "no class is kept for too long",
	}}}})
	profile.settles(t, 6*time.Second, "the check holds", verdictIs("storage", "lent", v1alpha1.VerdictSatisfied))
	// Rules that look at the time are evaluated every half minute.
	const tick = 30 * time.Second
	if _, took := profile.await(t, until, 2*tick, "the check fails when its time has come", verdictIs("storage", "lent", v1alpha1.VerdictCheckFailed)); took > tick+limit {
		t.Errorf("it turned %s after its time had come", took)
	}
}

// TestRollouts shows that a rollout says since when it is under way, and that only another rollout changes that: neither
// who annotates or labels the workload, nor an operator that starts in between.
func TestRollouts(t *testing.T) {
	ctx := context.Background()
	must(t, env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "rolling"}}))
	definition := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{
		Layer: "workloads", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"acme/rolling-server"}}}},
	}}
	definition.Name = "acme-rolling"
	must(t, env.Client.Create(ctx, definition))
	server := deployment("rolling", "server", "acme/rolling-server:v1.0.0")
	three := int32(3)
	server.Spec.Replicas, server.Spec.Template.Spec.NodeSelector = &three, map[string]string{"no": "such-node"}
	must(t, env.Client.Create(ctx, server))
	t.Cleanup(func() {
		must(t, env.Client.Delete(ctx, server))
		must(t, env.Client.Delete(ctx, definition))
	})
	profile := create(t, "rolling", v1alpha1.Layer{Name: "workloads", Requirements: []v1alpha1.Requirement{anyOf("server", "acme-rolling", "")}})
	says := func(since time.Time) func(*v1alpha1.PlatformProfile) bool {
		want := fmt.Sprintf("Deployment rolling/server: is rolling out since %s, 0 of 3 pods are up to date and available", since.UTC().Format(time.RFC3339))
		return func(p *v1alpha1.PlatformProfile) bool {
			r := find(p, "workloads", "server")
			return r != nil && r.Verdict == v1alpha1.VerdictSatisfied && r.Health == v1alpha1.HealthProgressing && strings.HasSuffix(r.Message, want)
		}
	}
	began := server.CreationTimestamp.Time
	written := profile.settles(t, 10*time.Second, "it rolls out", says(began)).ResourceVersion

	time.Sleep(1100 * time.Millisecond) // times are stored in whole seconds
	patch := client.MergeFrom(server.DeepCopy())
	server.Labels = map[string]string{"written": "by-whom-the-spec-was"}
	must(t, env.Client.Patch(ctx, server, patch))
	time.Sleep(limit)
	if last := profile.last(); !says(began)(last) || last.ResourceVersion != written {
		t.Errorf("a label began another rollout, or wrote another status: %s", said(last))
	}
	annotate := func(value string) {
		t.Helper()
		if out, err := env.Kubectl(ctx, "-n", "rolling", "annotate", "--overwrite", "deployment", "server", "seen="+value); err != nil {
			t.Fatalf("kubectl annotate: %v\n%s", err, out)
		}
		time.Sleep(limit)
		must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(server), server))
	}
	annotate("once")
	if last := profile.last(); !says(began)(last) {
		t.Errorf("an annotation began another rollout: %s", said(last))
	}

	image(t, server, "acme/rolling-server:v1.0.1")
	for _, entry := range server.ManagedFields {
		if entry.Subresource == "" && entry.Time.After(began) {
			began = entry.Time.Time
		}
	}
	profile.settles(t, 10*time.Second, "another rollout begins", says(began))
	time.Sleep(1100 * time.Millisecond)
	annotate("twice")
	startAgain(t)
	probe := create(t, "rolling-probe", v1alpha1.Layer{Name: "core", Requirements: []v1alpha1.Requirement{anyOf("kubernetes", "kubernetes", "")}})
	probe.settles(t, 30*time.Second, "the operator leads again", verdictIs("core", "kubernetes", v1alpha1.VerdictSatisfied))
	time.Sleep(limit)
	if last := profile.last(); !says(began)(last) {
		t.Errorf("an operator that starts again dates the rollout otherwise, want %s: %s", began.UTC(), said(last))
	}
}

// TestScalingUp shows that pods that an autoscaler adds are awaited, and no failure until they run: the verdict does not
// turn, and nobody is paged.
func TestScalingUp(t *testing.T) {
	ctx := context.Background()
	must(t, env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "scaling"}}))
	definition := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{
		Layer: "workloads", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"acme/scaling-server"}}}},
	}}
	definition.Name = "acme-scaling"
	must(t, env.Client.Create(ctx, definition))
	server := deployment("scaling", "server", "acme/scaling-server:v1.0.0")
	server.Spec.MinReadySeconds = 3
	must(t, env.Client.Create(ctx, server))
	t.Cleanup(func() {
		must(t, env.Client.Delete(ctx, server))
		must(t, env.Client.Delete(ctx, definition))
	})
	profile := create(t, "scaling", v1alpha1.Layer{Name: "workloads", Requirements: []v1alpha1.Requirement{anyOf("server", "acme-scaling", "")}})
	health := func(want v1alpha1.Health) func(*v1alpha1.PlatformProfile) bool {
		return func(p *v1alpha1.PlatformProfile) bool {
			r := find(p, "workloads", "server")
			return r != nil && r.Health == want
		}
	}
	profile.settles(t, 60*time.Second, "it runs", health(v1alpha1.HealthHealthy))

	scaled := time.Now()
	if out, err := env.Kubectl(ctx, "-n", "scaling", "scale", "deployment", "server", "--replicas=4"); err != nil {
		t.Fatalf("kubectl scale: %v\n%s", err, out)
	}
	during, _ := profile.await(t, scaled, 30*time.Second, "it scales up", func(p *v1alpha1.PlatformProfile) bool {
		r := find(p, "workloads", "server")
		return r != nil && strings.Contains(r.Message, "Deployment scaling/server: is scaling up since ")
	})
	t.Log(find(during, "workloads", "server").Message)
	profile.settles(t, 60*time.Second, "it is scaled up", health(v1alpha1.HealthHealthy))
	profile.mu.Lock()
	defer profile.mu.Unlock()
	for _, state := range profile.states {
		if r := find(state.profile, "workloads", "server"); state.at.After(scaled) && r.Verdict != v1alpha1.VerdictSatisfied {
			t.Errorf("%s after it was scaled up it was %s: %s", state.at.Sub(scaled), r.Verdict, r.Message)
		}
	}
}
