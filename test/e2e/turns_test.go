package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// TestFlapping shows that a requirement that keeps turning is told of as such, by one event, and that an operator that
// starts in between goes on counting.
func TestFlapping(t *testing.T) {
	class := func() *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "unwanted"}, Provisioner: "example.com/unwanted"}
	}
	profile := create(t, "flapping", v1alpha1.Layer{Name: "storage", Requirements: []v1alpha1.Requirement{{Name: "classes", Rule: &v1alpha1.Rule{
		Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"},
		Expression: "object.metadata.name != 'unwanted'", Message: "no unwanted class",
	}}}})
	profile.settles(t, 10*time.Second, "the check holds", verdictIs("storage", "classes", v1alpha1.VerdictSatisfied))
	turns := 0
	turn := func() *v1alpha1.RequirementStatus {
		t.Helper()
		verdict := v1alpha1.VerdictCheckFailed
		change := func() { must(t, env.Client.Create(context.Background(), class())) }
		if turns++; turns%2 == 0 {
			verdict = v1alpha1.VerdictSatisfied
			change = func() { must(t, env.Client.Delete(context.Background(), class())) }
		}
		r := profile.flips(t, "storage", "classes", verdict, change)
		time.Sleep(1100 * time.Millisecond) // times are stored in whole seconds
		return &r
	}
	t.Cleanup(func() { must(t, client.IgnoreNotFound(env.Client.Delete(context.Background(), class()))) })

	for range 3 {
		turn()
	}
	startAgain(t)
	probe := create(t, "flapping-probe", v1alpha1.Layer{Name: "core", Requirements: []v1alpha1.Requirement{anyOf("kubernetes", "kubernetes", "")}})
	probe.settles(t, 30*time.Second, "the operator leads again", verdictIs("core", "kubernetes", v1alpha1.VerdictSatisfied))
	if r := turn(); r.Flapping != nil || len(r.RecentTurns) != 4 {
		t.Fatalf("after four turns: %+v", r)
	}
	r := turn()
	if r.Flapping == nil || r.Flapping.Turns != 5 || !strings.HasPrefix(r.Message, "flapping: turned 5 times since ") {
		t.Errorf("after five turns: %+v", r)
	}
	r = turn()
	if r.Flapping == nil || r.Flapping.Turns != 6 || r.Verdict != v1alpha1.VerdictSatisfied {
		t.Errorf("after six turns: %+v", r)
	}
	last := profile.last()
	if c := condition(last, v1alpha1.ConditionFlapping); c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "storage/classes turned 6 times") {
		t.Errorf("the condition is %+v", c)
	}
	if c := condition(last, v1alpha1.ConditionConformant); c.Status != metav1.ConditionTrue || last.Status.Reason != "flapping: storage/classes" {
		t.Errorf("all holds, and Conformant is %s, the column %q", c.Status, last.Status.Reason)
	}

	list := &eventsv1.EventList{}
	must(t, env.Client.List(context.Background(), list))
	told := 0
	for _, event := range list.Items {
		if event.Regarding.Name != "flapping" || event.Reason != "Flapping" {
			continue
		}
		told++
		t.Log(event.Note)
		if event.Type != corev1.EventTypeWarning || event.Series != nil || !strings.Contains(event.Note, "storage/classes is CheckFailed, flapping: turned 5 times") {
			t.Errorf("the event is %+v", event)
		}
	}
	if told != 1 {
		t.Errorf("%d events tell that it flaps", told)
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
