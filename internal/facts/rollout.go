package facts

import (
	"fmt"
	"math"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// rolloutDeadline bounds the rollouts that have no deadline of their own: those of DaemonSets and StatefulSets, and of
// any workload whose controller never looks at it. It is the default of a Deployment's progressDeadlineSeconds.
const rolloutDeadline = 10 * time.Minute

// Rollout is what is kept of a workload's spec and status to judge its health.
type Rollout struct {
	// HasStatus is false where the object holds no status because it comes from a file.
	HasStatus bool
	// Desired, Updated, Ready, Available and Total count pods. Desired is -1 where nobody has counted yet.
	Desired, Total, Updated, Ready, Available int32
	// Generation is that of the spec, ObservedGeneration the one that the status is about.
	Generation, ObservedGeneration int64
	// Deadline is a Deployment's progressDeadlineSeconds, 0 for other kinds.
	Deadline int32
	// Progressing and Reason are the status and reason of a Deployment's Progressing condition.
	Progressing, Reason string
	// DeploymentAvailable is the status of a Deployment's Available condition.
	DeploymentAvailable string
	// OnDelete is the update strategy that waits for somebody to delete pods.
	OnDelete bool
	// IsPaused is a Deployment's spec.paused.
	IsPaused bool
	// IsDeleting says that the object is being deleted.
	IsDeleting bool
	// StartedAt is when the rollout began, as far as is told: when the spec was last written. A Deployment's Progressing
	// condition does not tell that: it stays True from one rollout to the next, and is updated with each pod.
	StartedAt time.Time
	// WrittenAt is when somebody who wrote the spec last wrote anything, which is Changed until Dated knows better.
	WrittenAt time.Time
	// IsUndated says that the spec was written after the object was made and that nothing tells when, as in a dump without
	// managed fields. Changed is when the object was made then.
	IsUndated bool
	// ModifiedAt is when anything but the status was last written, be it the spec or a label. A Deployment's generation counts
	// annotations too.
	ModifiedAt time.Time
	// ScaledUpAt is since when more pods are wanted than the ScaledFrom that ran, and not all of them run yet: an autoscaler or a
	// person asked for more, or a node came. Zero where that is not so, or where nobody saw it begin: the object does not
	// tell, because the API server dates no write to the scale subresource.
	ScaledUpAt time.Time
	ScaledFrom int32
}

// equal compares all but when it was written: a write that changes nothing else means nothing.
func (r Rollout) equal(o Rollout) bool {
	r.StartedAt, r.WrittenAt, r.IsUndated, r.ModifiedAt = o.StartedAt, o.WrittenAt, o.IsUndated, o.ModifiedAt
	r.ScaledUpAt, r.ScaledFrom = o.ScaledUpAt, o.ScaledFrom
	return r == o
}

// HealthAssessment is the health of a workload.
type HealthAssessment struct {
	Health v1alpha1.Health
	// Message says what is wrong or under way; empty where nothing is.
	Message string
	// IsIdle says that the workload wants no pods because no node asks for one: healthy, and no proof that anything runs.
	IsIdle bool
	// ValidUntil is when the judgement must be made again although nothing changed, because a deadline passes; zero for never.
	ValidUntil time.Time
}

// AssessHealth says how healthy the workload is. complete says that this generation was already seen rolled out, so that
// missing replicas are no longer those of a rollout.
//
// kstatus decides whether the workload is as its spec wants it. What it calls in progress is told apart here: a rollout
// within its deadline is Progressing, replicas that are missing outside a rollout are Degraded.
func (w *Workload) AssessHealth(now time.Time, complete bool) HealthAssessment {
	r := w.Rollout
	if !r.HasStatus {
		return HealthAssessment{Health: v1alpha1.HealthNotObserved}
	}
	if r.IsDeleting {
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: "is being deleted"}
	}
	if r.Generation == r.ObservedGeneration && r.Desired == 0 {
		if w.Kind == "DaemonSet" {
			return HealthAssessment{Health: v1alpha1.HealthHealthy, IsIdle: true, Message: "no node takes a pod of it"}
		}
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: "is scaled to zero"}
	}
	result, err := status.Compute(w.toKstatusObject())
	if err != nil {
		return HealthAssessment{Health: v1alpha1.HealthUnknown, Message: err.Error()}
	}
	switch result.Status {
	case status.CurrentStatus:
		return HealthAssessment{Health: v1alpha1.HealthHealthy}
	case status.FailedStatus:
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: r.podCounts() + "; its rollout made no progress within its deadline"}
	default:
	}
	if r.hasEnoughPods() && r.Generation == r.ObservedGeneration && !w.isRollingOut(complete) {
		return HealthAssessment{Health: v1alpha1.HealthHealthy} // surplus pods are going away
	}
	if until := r.ScaledUpAt.Add(rolloutDeadline); r.isScalingUp() && now.Before(until) {
		return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: "is scaling up" + timeText(" since ", r.ScaledUpAt) + r.progress(), ValidUntil: until}
	}
	if !w.isRollingOut(complete) {
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: r.podCounts()}
	}
	underWay, began := "is rolling out"+r.startText(" since ")+r.progress(), r.StartedAt
	switch {
	case r.Generation != r.ObservedGeneration:
		// The counts are those of an earlier generation. The change may be a rollout, or an annotation alone.
		underWay, began = "was changed"+timeText(" at ", r.ModifiedAt)+", and no controller has looked at it yet", r.ModifiedAt
	case r.IsPaused && r.hasEnoughPods():
		return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: "is paused half way through its rollout" + r.startText(", begun at ") + r.progress()}
	case r.Deadline > 0 && !r.IsPaused:
		// The controller watches this deadline itself, and tells by the Progressing condition.
		return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: underWay}
	}
	until := began.Add(rolloutDeadline)
	if !now.Before(until) {
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: fmt.Sprintf("%s; its rollout is not done after %s", r.podCounts(), rolloutDeadline)}
	}
	return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: underWay, ValidUntil: until}
}

// WithRolloutStart is the workload with its rollout dated as before, where no other can have begun since: the generation is the same,
// or nobody who writes the spec wrote anything. The first sees through a label that looks like a write to the spec, the
// second through an annotation that counts as another generation.
func (w *Workload) WithRolloutStart(before *Workload) *Workload {
	if before == nil {
		return w
	}
	was, is := before.Rollout, w.Rollout
	same := was.Generation == is.Generation || !is.WrittenAt.IsZero() && !is.WrittenAt.After(was.WrittenAt)
	if !same || was.IsUndated || was.StartedAt.IsZero() || !was.StartedAt.Before(is.StartedAt) {
		return w
	}
	dated := *w
	dated.Rollout.StartedAt = was.StartedAt
	return &dated
}

// isRollingOut tells whether a rollout is under way.
func (w *Workload) isRollingOut(complete bool) bool {
	r := w.Rollout
	if r.Generation != r.ObservedGeneration {
		return true
	}
	if w.Kind == "Deployment" {
		// The condition is absent without a deadline, and for a moment after the Deployment was made.
		if r.Progressing == "" {
			return !complete
		}
		return r.Progressing == string(corev1.ConditionTrue) && r.Reason != "NewReplicaSetAvailable" ||
			r.IsPaused && r.Updated < r.Desired
	}
	if r.Desired < 0 {
		return true
	}
	if r.Updated < r.Desired && !r.OnDelete && !complete {
		return true
	}
	return !complete
}

// WithScaleUpSince is the workload with since when it is scaled up, as seen by what it was before. failed says whether it was Degraded
// then: pods that are added to such as fail make nothing better.
func (w *Workload) WithScaleUpSince(before *Workload, failed func() bool, now time.Time) *Workload {
	if before == nil {
		return w
	}
	was, is := before.Rollout, w.Rollout
	if is.Generation != was.Generation && !is.ModifiedAt.After(was.ModifiedAt) {
		is.ModifiedAt = now // by a write that nothing dates
	}
	switch {
	case is.Generation == is.ObservedGeneration && is.hasEnoughPods():
	case !was.ScaledUpAt.IsZero():
		is.ScaledUpAt, is.ScaledFrom = was.ScaledUpAt, was.ScaledFrom
	case was.Desired > 0 && is.Desired > was.Desired && !failed():
		is.ScaledUpAt, is.ScaledFrom = now, was.Desired
	}
	if is == w.Rollout {
		return w
	}
	grown := *w
	grown.Rollout = is
	return &grown
}

// isScalingUp tells whether nothing is missing but pods that were added. In a rollout there are pods of two kinds.
func (r Rollout) isScalingUp() bool {
	return !r.ScaledUpAt.IsZero() && r.Generation == r.ObservedGeneration && r.Updated >= r.Total && r.Available >= r.ScaledFrom && r.Ready >= r.ScaledFrom
}

// IsComplete tells whether the present generation is seen rolled out.
func (w *Workload) IsComplete() bool {
	r := w.Rollout
	return r.HasStatus && r.Generation == r.ObservedGeneration && r.hasEnoughPods() && (r.Updated >= r.Desired || r.OnDelete)
}

// hasEnoughPods tells whether as many pods are available as are wanted.
func (r Rollout) hasEnoughPods() bool {
	return r.Desired >= 0 && r.Available >= r.Desired && r.Ready >= r.Desired
}

func (r Rollout) podCounts() string {
	if r.Desired < 0 {
		return "no controller has looked at it yet"
	}
	if r.Desired == 1 {
		if r.Available >= 1 {
			return "its pod is not up to date"
		}
		return "its only pod is not available"
	}
	if r.Available >= r.Desired {
		return fmt.Sprintf("%d of %d pods are up to date", r.Updated, r.Desired)
	}
	return fmt.Sprintf("%d of %d pods are available", r.Available, r.Desired)
}

// startText is when the rollout began, behind a lead; empty where nothing tells.
func (r Rollout) startText(lead string) string {
	if r.IsUndated {
		return ""
	}
	return timeText(lead, r.StartedAt)
}

func timeText(lead string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return lead + t.UTC().Format(time.RFC3339)
}

// progress says how far the rollout is, behind a comma.
//
// What it says ends up in the status of every profile that asks for the workload, and each difference is one more write
// of each of them. So it counts one by one only where pods are few, and from eight on in quarters: a rollout takes at most
// eight steps, be it of three pods or of a DaemonSet on five thousand nodes.
func (r Rollout) progress() string {
	switch {
	case r.Desired < 0:
		return ", no controller has looked at it yet"
	case r.Desired == 1:
		return ", its only pod is not up to date and available yet"
	}
	step := max(1, r.Desired/4)
	switch done := r.readyPods(); {
	case done >= r.Desired:
		return fmt.Sprintf(", all %d pods are up to date and available", r.Desired)
	case step == 1:
		return fmt.Sprintf(", %d of %d pods are up to date and available", done, r.Desired)
	case done < step:
		return fmt.Sprintf(", fewer than %d of %d pods are up to date and available", step, r.Desired)
	default:
		return fmt.Sprintf(", at least %d of %d pods are up to date and available", done-done%step, r.Desired)
	}
}

// readyPods is how many pods are certainly both up to date and available. The status counts the two apart; where every old pod
// that is left is available, as in a rollout that goes well, it is exactly that many.
func (r Rollout) readyPods() int32 {
	if r.OnDelete {
		return min(r.Available, r.Desired)
	}
	return max(0, min(r.Updated+r.Available-r.Total, r.Updated, r.Available, r.Desired))
}

// toKstatusObject gives kstatus the fields that it reads, and no more, so that nothing else has to be kept.
func (w *Workload) toKstatusObject() *unstructured.Unstructured {
	r := w.Rollout
	spec := map[string]any{}
	object := map[string]any{}
	state := map[string]any{"observedGeneration": r.ObservedGeneration}
	switch w.Kind {
	case "Deployment":
		spec["replicas"] = int64(r.Desired)
		spec["progressDeadlineSeconds"] = int64(math.MaxInt32)
		if r.Deadline > 0 {
			spec["progressDeadlineSeconds"] = int64(r.Deadline)
		}
		state["replicas"], state["updatedReplicas"] = int64(r.Total), int64(r.Updated)
		state["readyReplicas"], state["availableReplicas"] = int64(r.Ready), int64(r.Available)
		conditions := []any{}
		if r.Progressing != "" {
			conditions = append(conditions, map[string]any{"type": "Progressing", "status": r.Progressing, "reason": r.Reason})
		}
		if r.DeploymentAvailable != "" {
			conditions = append(conditions, map[string]any{"type": "Available", "status": r.DeploymentAvailable})
		}
		state["conditions"] = conditions
	case "StatefulSet":
		spec["replicas"] = int64(r.Desired)
		if r.OnDelete {
			spec["updateStrategy"] = map[string]any{"type": "OnDelete"}
		}
		state["replicas"], state["updatedReplicas"], state["currentReplicas"] = int64(r.Total), int64(r.Updated), int64(r.Updated)
		state["readyReplicas"] = int64(r.Ready)
		// kstatus compares the revisions' names to see whether the update is through.
		state["updateRevision"], state["currentRevision"] = "new", "new"
		if r.Updated < r.Desired {
			state["currentRevision"] = "old"
		}
	case "DaemonSet":
		state["desiredNumberScheduled"], state["currentNumberScheduled"] = int64(r.Desired), int64(r.Total)
		state["updatedNumberScheduled"] = int64(r.Updated)
		if r.OnDelete {
			state["updatedNumberScheduled"] = int64(r.Desired)
		}
		state["numberReady"], state["numberAvailable"] = int64(r.Ready), int64(r.Available)
	}
	object["apiVersion"], object["kind"] = w.APIVersion, w.Kind
	object["metadata"] = map[string]any{"name": w.Name, "namespace": w.Namespace, "generation": r.Generation}
	object["spec"], object["status"] = spec, state
	return &unstructured.Unstructured{Object: object}
}

func deploymentRollout(o *appsv1.Deployment, observed bool) Rollout {
	r := newRollout(o, observed || o.Status.ObservedGeneration > 0 || o.Status.Replicas > 0)
	r.Desired, r.Total = desiredReplicas(o.Spec.Replicas), o.Status.Replicas
	r.Updated, r.Ready, r.Available = o.Status.UpdatedReplicas, o.Status.ReadyReplicas, o.Status.AvailableReplicas
	r.ObservedGeneration, r.IsPaused = o.Status.ObservedGeneration, o.Spec.Paused
	if deadline := o.Spec.ProgressDeadlineSeconds; deadline != nil && *deadline != math.MaxInt32 {
		r.Deadline = *deadline
	}
	for _, condition := range o.Status.Conditions {
		switch condition.Type {
		case appsv1.DeploymentProgressing:
			r.Progressing, r.Reason = intern(string(condition.Status)), intern(condition.Reason)
		case appsv1.DeploymentAvailable:
			r.DeploymentAvailable = intern(string(condition.Status))
		default:
		}
	}
	return r
}

func daemonSetRollout(o *appsv1.DaemonSet, observed bool) Rollout {
	r := newRollout(o, observed || o.Status.ObservedGeneration > 0 || o.Status.DesiredNumberScheduled > 0)
	r.Desired, r.Total = o.Status.DesiredNumberScheduled, o.Status.CurrentNumberScheduled
	if o.Status.ObservedGeneration == 0 {
		r.Desired = -1 // nobody has counted the nodes yet
	}
	r.Updated, r.Ready, r.Available = o.Status.UpdatedNumberScheduled, o.Status.NumberReady, o.Status.NumberAvailable
	r.ObservedGeneration = o.Status.ObservedGeneration
	r.OnDelete = o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
	return r
}

func statefulSetRollout(o *appsv1.StatefulSet, observed bool) Rollout {
	r := newRollout(o, observed || o.Status.ObservedGeneration > 0 || o.Status.Replicas > 0)
	r.Desired, r.Total = desiredReplicas(o.Spec.Replicas), o.Status.Replicas
	r.Updated, r.Ready, r.Available = o.Status.UpdatedReplicas, o.Status.ReadyReplicas, o.Status.AvailableReplicas
	if o.Status.UpdateRevision != "" && o.Status.UpdateRevision == o.Status.CurrentRevision {
		// The controller stops counting updatedReplicas once the update is through.
		r.Updated = o.Status.Replicas
	}
	r.ObservedGeneration = o.Status.ObservedGeneration
	r.OnDelete = o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	if update := o.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil && *update.Partition > 0 {
		// A partition holds the update back on purpose.
		r.Updated = min(r.Desired, r.Updated+*update.Partition)
	}
	return r
}

func newRollout(o metav1.Object, observed bool) Rollout {
	r := Rollout{HasStatus: observed, Generation: o.GetGeneration(), IsDeleting: o.GetDeletionTimestamp() != nil}
	r.StartedAt, r.ModifiedAt, r.IsUndated = o.GetCreationTimestamp().Time, o.GetCreationTimestamp().Time, r.Generation > 1
	for _, entry := range o.GetManagedFields() {
		// Status and scale are written by themselves, and neither begins a rollout.
		if entry.Subresource != "" || entry.Time == nil {
			continue
		}
		// Whoever annotates or labels a workload begins none either.
		if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:spec":`) {
			r.setStart(entry.Time.Time)
		}
		r.ModifiedAt = laterOf(r.ModifiedAt, entry.Time.Time)
	}
	return r
}

func (r *Rollout) setStart(when time.Time) {
	r.StartedAt, r.IsUndated = laterOf(r.StartedAt, when), false
	r.WrittenAt = r.StartedAt
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func desiredReplicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}
