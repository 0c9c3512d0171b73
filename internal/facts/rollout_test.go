package facts

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func int32Pointer(n int32) *int32 { return &n }

// deployment returns a Deployment of three pods with the defaults of the API server, and a Progressing condition.
func deployment(updated, available int32, progressing, reason string) *appsv1.Deployment {
	state := "True"
	if available < 3 {
		state = "False"
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "d", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       appsv1.DeploymentSpec{Replicas: int32Pointer(3), ProgressDeadlineSeconds: int32Pointer(600)},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 1,
			Replicas:           3,
			UpdatedReplicas:    updated,
			ReadyReplicas:      available,
			AvailableReplicas:  available,
			Conditions: []appsv1.DeploymentCondition{
				{Type: "Progressing", Status: corev1.ConditionStatus(progressing), Reason: reason},
				{Type: "Available", Status: corev1.ConditionStatus(state)},
			},
		},
	}
}

func daemonSet(updated, available int32) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "d", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Status: appsv1.DaemonSetStatus{
			ObservedGeneration:     1,
			DesiredNumberScheduled: 3,
			CurrentNumberScheduled: 3,
			UpdatedNumberScheduled: updated,
			NumberReady:            available,
			NumberAvailable:        available,
		},
	}
}

func statefulSet(updated, available int32) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "s", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       appsv1.StatefulSetSpec{Replicas: int32Pointer(3)},
		Status: appsv1.StatefulSetStatus{
			ObservedGeneration: 1,
			Replicas:           3,
			UpdatedReplicas:    updated,
			ReadyReplicas:      available,
			AvailableReplicas:  available,
			CurrentRevision:    "old",
			UpdateRevision:     "new",
		},
	}
	if updated == 3 {
		s.Status.CurrentRevision = "new"
	}
	return s
}

func modify[T any](object T, change func(T)) T {
	change(object)
	return object
}

func TestAssessHealth(t *testing.T) {
	deadline := noon.Add(10 * time.Minute)
	for name, test := range map[string]struct {
		object   any
		file     bool          // the object is from a file
		after    time.Duration // the creation
		complete bool          // the rollout was complete before
		want     v1alpha1.Health
		message  string
		until    time.Time
		idle     bool
	}{
		"a Deployment that runs":                   {object: deployment(3, 3, "True", "NewReplicaSetAvailable"), want: v1alpha1.HealthHealthy},
		"a Deployment that rolls out":              {object: deployment(1, 2, "True", "ReplicaSetUpdated"), want: v1alpha1.HealthProgressing, message: "is rolling out"},
		"a Deployment not observed yet":            {object: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 1, CreationTimestamp: metav1.NewTime(noon)}}, want: v1alpha1.HealthProgressing, until: deadline},
		"a Deployment that is never observed":      {object: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 1, CreationTimestamp: metav1.NewTime(noon)}}, after: 10 * time.Minute, want: v1alpha1.HealthDegraded, message: "did not complete within 10m"},
		"a Deployment whose deadline passed":       {object: deployment(1, 2, "False", "ProgressDeadlineExceeded"), want: v1alpha1.HealthDegraded, message: "2 of 3 pods are available; its rollout made no progress within its deadline"},
		"a Deployment that lost a pod":             {object: deployment(3, 2, "True", "NewReplicaSetAvailable"), want: v1alpha1.HealthDegraded, message: "2 of 3 pods are available"},
		"a Deployment that lost its only pod":      {object: modify(deployment(1, 0, "True", "NewReplicaSetAvailable"), func(d *appsv1.Deployment) { d.Spec.Replicas, d.Status.Replicas = int32Pointer(1), 1 }), want: v1alpha1.HealthDegraded, message: "its only pod is not available"},
		"a Deployment scaled to zero":              {object: modify(deployment(0, 0, "True", "NewReplicaSetAvailable"), func(d *appsv1.Deployment) { d.Spec.Replicas = int32Pointer(0) }), want: v1alpha1.HealthDegraded, message: "is scaled to zero"},
		"a Deployment paused half rolled out":      {object: modify(deployment(1, 3, "Unknown", "DeploymentPaused"), setPaused), want: v1alpha1.HealthProgressing, message: "paused"},
		"a Deployment paused for an hour":          {object: modify(deployment(1, 3, "Unknown", "DeploymentPaused"), setPaused), after: time.Hour, want: v1alpha1.HealthProgressing, message: "paused"},
		"a Deployment paused short of pods":        {object: modify(deployment(1, 2, "Unknown", "DeploymentPaused"), setPaused), after: 10*time.Minute - time.Second, want: v1alpha1.HealthProgressing, until: deadline},
		"a Deployment paused short of pods, late":  {object: modify(deployment(1, 2, "Unknown", "DeploymentPaused"), setPaused), after: 10 * time.Minute, want: v1alpha1.HealthDegraded, message: "2 of 3 pods are available; its rollout did not complete within 10m"},
		"a Deployment paused that lost a pod":      {object: modify(deployment(3, 2, "Unknown", "DeploymentPaused"), setPaused), want: v1alpha1.HealthDegraded, message: "2 of 3"},
		"a Deployment whose surplus goes away":     {object: modify(deployment(3, 3, "True", "NewReplicaSetAvailable"), func(d *appsv1.Deployment) { d.Status.Replicas = 4 }), want: v1alpha1.HealthHealthy},
		"a Deployment without a deadline, new":     {object: modify(deployment(3, 2, "", ""), removeDeadline), want: v1alpha1.HealthProgressing, until: deadline},
		"a Deployment without a deadline, done":    {object: modify(deployment(3, 2, "", ""), removeDeadline), complete: true, want: v1alpha1.HealthDegraded},
		"a Deployment without a deadline, late":    {object: modify(deployment(3, 2, "", ""), removeDeadline), after: 10 * time.Minute, want: v1alpha1.HealthDegraded},
		"a Deployment that is being deleted":       {object: modify(deployment(3, 3, "True", "NewReplicaSetAvailable"), func(d *appsv1.Deployment) { d.DeletionTimestamp = &metav1.Time{Time: noon} }), want: v1alpha1.HealthDegraded, message: "is being deleted"},
		"a Deployment in a file":                   {object: &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: int32Pointer(3)}}, file: true, want: v1alpha1.HealthNotObserved},
		"a Deployment in a dump":                   {object: deployment(3, 2, "True", "NewReplicaSetAvailable"), file: true, want: v1alpha1.HealthDegraded},
		"a DaemonSet that runs":                    {object: daemonSet(3, 3), want: v1alpha1.HealthHealthy},
		"a DaemonSet that rolls out":               {object: daemonSet(1, 2), want: v1alpha1.HealthProgressing, until: deadline},
		"a DaemonSet a second before its deadline": {object: daemonSet(1, 2), after: 10*time.Minute - time.Second, want: v1alpha1.HealthProgressing, until: deadline},
		"a DaemonSet at its deadline":              {object: daemonSet(1, 2), after: 10 * time.Minute, want: v1alpha1.HealthDegraded, message: "2 of 3 pods are available; its rollout did not complete within 10m"},
		"a DaemonSet that lost a pod":              {object: daemonSet(3, 2), complete: true, want: v1alpha1.HealthDegraded, message: "2 of 3 pods are available"},
		"a DaemonSet for no node":                  {object: modify(daemonSet(0, 0), func(d *appsv1.DaemonSet) { d.Status.DesiredNumberScheduled, d.Status.CurrentNumberScheduled = 0, 0 }), want: v1alpha1.HealthHealthy, idle: true, message: "no node matches its node selector"},
		"a DaemonSet not observed yet":             {object: modify(daemonSet(0, 0), func(d *appsv1.DaemonSet) { d.Status = appsv1.DaemonSetStatus{} }), want: v1alpha1.HealthProgressing, until: deadline},
		"a DaemonSet that waits for deletions":     {object: modify(daemonSet(1, 3), func(d *appsv1.DaemonSet) { d.Spec.UpdateStrategy.Type = "OnDelete" }), want: v1alpha1.HealthHealthy},
		"a DaemonSet of pods of another version":   {object: daemonSet(1, 3), after: time.Hour, want: v1alpha1.HealthDegraded, message: "1 of 3 pods are up to date"},
		"a DaemonSet in a file":                    {object: &appsv1.DaemonSet{}, file: true, want: v1alpha1.HealthNotObserved},
		"a DaemonSet changed just now":             {object: modify(daemonSet(3, 3), func(d *appsv1.DaemonSet) { d.Generation = 2 }), complete: false, want: v1alpha1.HealthProgressing, until: deadline},
		"a StatefulSet that runs":                  {object: statefulSet(3, 3), want: v1alpha1.HealthHealthy},
		"a StatefulSet that no longer counts":      {object: modify(statefulSet(3, 3), func(s *appsv1.StatefulSet) { s.Status.UpdatedReplicas = 0 }), want: v1alpha1.HealthHealthy},
		"a StatefulSet that rolls out":             {object: statefulSet(1, 3), want: v1alpha1.HealthProgressing, until: deadline},
		"a StatefulSet that is stuck":              {object: statefulSet(1, 2), after: 10 * time.Minute, want: v1alpha1.HealthDegraded, message: "2 of 3"},
		"a StatefulSet that lost a pod":            {object: statefulSet(3, 2), complete: true, want: v1alpha1.HealthDegraded, message: "2 of 3"},
		"a StatefulSet scaled to zero":             {object: modify(statefulSet(0, 0), func(s *appsv1.StatefulSet) { s.Spec.Replicas, s.Status.Replicas = int32Pointer(0), 0 }), want: v1alpha1.HealthDegraded, message: "scaled to zero"},
		"a StatefulSet that waits for deletions":   {object: modify(statefulSet(1, 3), func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = "OnDelete" }), want: v1alpha1.HealthHealthy},
		"a StatefulSet held back by a partition":   {object: modify(statefulSet(1, 3), setPartition(2)), want: v1alpha1.HealthHealthy},
		"a StatefulSet within its partition":       {object: modify(statefulSet(0, 3), setPartition(2)), want: v1alpha1.HealthProgressing, until: deadline},
		"a StatefulSet in a file":                  {object: &appsv1.StatefulSet{}, file: true, want: v1alpha1.HealthNotObserved},
	} {
		t.Run(name, func(t *testing.T) {
			fact, err := Extract(test.object, !test.file)
			if err != nil {
				t.Fatal(err)
			}
			got := fact.(*Workload).AssessHealth(noon.Add(test.after), test.complete)
			if got.Health != test.want || got.IsIdle != test.idle || !got.ValidUntil.Equal(test.until) {
				t.Errorf("got %s (%s), idle %v, until %s; want %s, %v, %s",
					got.Health, got.Message, got.IsIdle, got.ValidUntil, test.want, test.idle, test.until)
			}
			if !strings.Contains(got.Message, test.message) {
				t.Errorf("the message is %q, want %q", got.Message, test.message)
			}
		})
	}
}

// scaledUpWorkload returns a Deployment that was scaled from two to three pods at noon.
func scaledUpWorkload(change func(*Rollout)) *Workload {
	fact, err := Extract(deployment(3, 2, "True", "NewReplicaSetAvailable"), true)
	if err != nil {
		panic(err)
	}
	w := fact.(*Workload)
	w.Rollout.ScaledUpAt, w.Rollout.ScaledFrom = noon, 2
	change(&w.Rollout)
	return w
}

func TestAssessHealthOfScaleUp(t *testing.T) {
	deadline := noon.Add(10 * time.Minute)
	for name, test := range map[string]struct {
		change  func(*Rollout)
		after   time.Duration
		want    v1alpha1.Health
		message string
	}{
		"the added pod is awaited":       {func(*Rollout) {}, 0, v1alpha1.HealthProgressing, "is scaling up since 2027-01-02T12:00:00Z, 2 of 3 pods are up to date and available"},
		"the added pod is awaited still": {func(*Rollout) {}, 10*time.Minute - time.Second, v1alpha1.HealthProgressing, "is scaling up since"},
		"the added pod never came":       {func(*Rollout) {}, 10 * time.Minute, v1alpha1.HealthDegraded, "2 of 3 pods are available"},
		"another failed meanwhile":       {func(r *Rollout) { r.Available = 1 }, 0, v1alpha1.HealthDegraded, "1 of 3 pods are available"},
		"another is not ready":           {func(r *Rollout) { r.Ready = 1 }, 0, v1alpha1.HealthDegraded, ""},
		"nobody observed it":             {func(r *Rollout) { r.ScaledUpAt = time.Time{} }, 0, v1alpha1.HealthDegraded, "2 of 3 pods are available"},
		"it rolls out as well":           {func(r *Rollout) { r.Updated, r.Reason = 1, "ReplicaSetUpdated" }, 0, v1alpha1.HealthProgressing, "is rolling out"},
		"all are there":                  {func(r *Rollout) { r.Available, r.Ready = 3, 3 }, 0, v1alpha1.HealthHealthy, ""},
	} {
		got := scaledUpWorkload(test.change).AssessHealth(noon.Add(test.after), true)
		if got.Health != test.want || !strings.HasPrefix(got.Message, test.message) {
			t.Errorf("%s: it is %s, %q; want %s, %q", name, got.Health, got.Message, test.want, test.message)
		}
		if strings.HasPrefix(test.message, "is scaling up") && !got.ValidUntil.Equal(deadline) {
			t.Errorf("%s: valid until %s", name, got.ValidUntil)
		}
	}
}

func setPaused(d *appsv1.Deployment) { d.Spec.Paused = true }

func removeDeadline(d *appsv1.Deployment) {
	d.Spec.ProgressDeadlineSeconds, d.Status.Conditions = int32Pointer(math.MaxInt32), d.Status.Conditions[1:]
}

func setPartition(n int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &n}
	}
}

func TestIsComplete(t *testing.T) {
	for name, test := range map[string]struct {
		object any
		want   bool
	}{
		"all new":              {deployment(3, 3, "True", "NewReplicaSetAvailable"), true},
		"one missing":          {deployment(3, 2, "True", "ReplicaSetUpdated"), false},
		"one old":              {daemonSet(2, 3), false},
		"old ones are wanted":  {modify(daemonSet(2, 3), func(d *appsv1.DaemonSet) { d.Spec.UpdateStrategy.Type = "OnDelete" }), true},
		"changed a moment ago": {modify(daemonSet(3, 3), func(d *appsv1.DaemonSet) { d.Generation = 2 }), false},
		"not observed yet":     {&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Generation: 1}}, false},
	} {
		fact, err := Extract(test.object, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := fact.(*Workload).IsComplete(); got != test.want {
			t.Errorf("%s: complete is %v", name, got)
		}
	}
}

func TestRolloutMessage(t *testing.T) {
	of := func(desired, total, updated, available int32) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) {
			d.Spec.Replicas, d.Status.Replicas, d.Status.UpdatedReplicas = &desired, total, updated
			d.Status.ReadyReplicas, d.Status.AvailableReplicas = available, available
		}
	}
	rolling := func(changes ...func(*appsv1.Deployment)) *appsv1.Deployment {
		d := deployment(1, 2, "True", "ReplicaSetUpdated")
		for _, change := range changes {
			change(d)
		}
		return d
	}
	const noonText = "2027-01-02T12:00:00Z"
	for name, test := range map[string]struct {
		object any
		want   string
	}{
		"one pod replaced of five":       {rolling(of(5, 6, 2, 5)), "is rolling out since " + noonText + ", 1 of 5 pods are up to date and available"},
		"an install whose pods start":    {rolling(of(5, 5, 5, 3)), "is rolling out since " + noonText + ", 3 of 5 pods are up to date and available"},
		"an install whose pods are made": {rolling(of(5, 3, 3, 1)), "is rolling out since " + noonText + ", 1 of 5 pods are up to date and available"},
		"one pod alone":                  {rolling(of(1, 1, 1, 0)), "is rolling out since " + noonText + ", its only pod is not up to date and available yet"},
		"the last old pod going":         {rolling(of(3, 4, 3, 4)), "is rolling out since " + noonText + ", all 3 pods are up to date and available"},
		"the first of very many":         {rolling(of(1000, 1000, 200, 900)), "is rolling out since " + noonText + ", fewer than 250 of 1000 pods are up to date and available"},
		"half of very many":              {rolling(of(1000, 1000, 700, 900)), "is rolling out since " + noonText + ", at least 500 of 1000 pods are up to date and available"},
		"a DaemonSet":                    {daemonSet(2, 2), "is rolling out since " + noonText + ", 1 of 3 pods are up to date and available"},
		"a StatefulSet":                  {statefulSet(1, 3), "is rolling out since " + noonText + ", 1 of 3 pods are up to date and available"},
		"a paused one":                   {modify(deployment(1, 3, "Unknown", "DeploymentPaused"), setPaused), "is paused during its rollout, which started at " + noonText + ", 1 of 3 pods are up to date and available"},
		"one that is not observed yet":   {modify(daemonSet(3, 3), func(d *appsv1.DaemonSet) { d.Generation = 2; d.ManagedFields = managedFieldsAt(0, "", "f:spec") }), "was changed at " + noonText + ", and no controller has observed the change yet"},
		"a dump without the time":        {rolling(of(5, 6, 2, 5), func(d *appsv1.Deployment) { d.Generation, d.Status.ObservedGeneration = 2, 2 }), "is rolling out, 1 of 5 pods are up to date and available"},
	} {
		fact, err := Extract(test.object, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := fact.(*Workload).AssessHealth(noon, false); got.Health != v1alpha1.HealthProgressing || got.Message != test.want {
			t.Errorf("%s: it is %s with\n%q, want\n%q", name, got.Health, got.Message, test.want)
		}
	}
}

// Each change of the text is a write of a status, so that a rollout must not have a text for each pod.
func TestProgressHasFewSteps(t *testing.T) {
	for _, desired := range []int32{2, 3, 7, 8, 9, 100, 5000} {
		texts := map[string]bool{}
		for done := range desired + 1 {
			r := Rollout{Desired: desired, Total: desired, Updated: done, Available: desired}
			texts[r.progress()] = true
		}
		if len(texts) > 8 || len(texts) < 3 {
			t.Errorf("a rollout of %d pods has %d texts", desired, len(texts))
		}
	}
}

// managedFieldsAt returns the managed fields of one write, some minutes after noon.
func managedFieldsAt(minutes int, subresource, field string) []metav1.ManagedFieldsEntry {
	at := metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))
	return []metav1.ManagedFieldsEntry{{Subresource: subresource, Time: &at, FieldsV1: metav1.NewFieldsV1(`{"` + field + `":{}}`)}}
}

// Annotations and replicas increase the generation of a Deployment. Neither starts a rollout, whose deadline would have passed for an
// old one.
func TestAnnotationIsNoRollout(t *testing.T) {
	for name, entries := range map[string][]metav1.ManagedFieldsEntry{
		"an annotation": slices.Concat(managedFieldsAt(0, "", "f:spec"), managedFieldsAt(6000, "", "f:metadata")),
	} {
		d := modify(deployment(3, 3, "True", "NewReplicaSetAvailable"), func(d *appsv1.Deployment) { d.Generation, d.ManagedFields = 2, entries })
		changed := noon.Add(6000 * time.Minute)
		fact, err := Extract(d, true)
		if err != nil {
			t.Fatal(err)
		}
		got := fact.(*Workload).AssessHealth(changed, false)
		if got.Health != v1alpha1.HealthProgressing || got.Message != "was changed at 2027-01-06T16:00:00Z, and no controller has observed the change yet" || !got.ValidUntil.Equal(changed.Add(10*time.Minute)) {
			t.Errorf("%s: it is %s (%s) until %s", name, got.Health, got.Message, got.ValidUntil)
		}
		if late := fact.(*Workload).AssessHealth(changed.Add(10*time.Minute), false); late.Health != v1alpha1.HealthDegraded {
			t.Errorf("%s: after the deadline it is %s", name, late.Health)
		}
	}
}

func TestRolloutStartsWithLastWriteOfSpec(t *testing.T) {
	entries := slices.Concat(managedFieldsAt(1, "", "f:spec"), managedFieldsAt(2, "", "f:metadata"), managedFieldsAt(3, "scale", "f:spec"),
		managedFieldsAt(4, "status", "f:status"))
	for name, test := range map[string]struct {
		object metav1.Object
		want   int
	}{
		"of a Deployment":  {deployment(1, 2, "True", "ReplicaSetUpdated"), 1},
		"of a DaemonSet":   {daemonSet(1, 2), 1},
		"of a StatefulSet": {statefulSet(1, 2), 1},
	} {
		test.object.SetManagedFields(entries)
		fact, err := Extract(test.object, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := fact.(*Workload).Rollout.StartedAt; !got.Equal(noon.Add(time.Duration(test.want) * time.Minute)) {
			t.Errorf("%s: it started at %s", name, got)
		}
	}
}

// A CronJob has no pods most of the time. It is unhealthy only if it is suspended.
func TestCronJobHealth(t *testing.T) {
	suspend := true
	for name, test := range map[string]struct {
		object *batchv1.CronJob
		want   v1alpha1.Health
	}{
		"scheduled": {&batchv1.CronJob{}, v1alpha1.HealthHealthy},
		"suspended": {&batchv1.CronJob{Spec: batchv1.CronJobSpec{Suspend: &suspend}}, v1alpha1.HealthDegraded},
	} {
		fact, err := Extract(test.object, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := fact.(*Workload).AssessHealth(time.Now(), false); got.Health != test.want {
			t.Errorf("%s: %s: %s", name, got.Health, got.Message)
		}
	}
}
