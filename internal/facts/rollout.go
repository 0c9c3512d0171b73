package facts

import (
	"fmt"
	"math"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// rolloutDeadline applies where no progressDeadlineSeconds does: to DaemonSets and StatefulSets, and to any workload that its controller
// does not observe. It is the default of progressDeadlineSeconds.
const rolloutDeadline = 10 * time.Minute

// Rollout holds the fields of a workload's spec and status from which its health follows.
type Rollout struct {
	// HasStatus is false for an object from a file that has no status.
	HasStatus bool
	// Desired, Total, Updated, Ready and Available count pods. Desired is -1 before the DaemonSet controller has set it.
	Desired, Total, Updated, Ready, Available int32
	// Generation is that of the spec, ObservedGeneration that of the status.
	Generation, ObservedGeneration int64
	// Deadline is a Deployment's progressDeadlineSeconds, 0 for other kinds.
	Deadline int32
	// Progressing and Reason are the status and reason of a Deployment's Progressing condition.
	Progressing, Reason string
	// DeploymentAvailable is the status of a Deployment's Available condition.
	DeploymentAvailable string
	// OnDelete is true for the OnDelete update strategy.
	OnDelete bool
	// IsPaused is a Deployment's spec.paused.
	IsPaused bool
	// IsDeleting is true if the object has a deletion timestamp.
	IsDeleting bool
	// StartedAt is when the rollout started: the last write of the spec by managedFields, or the creation. The Progressing condition does
	// not have this time: it stays True from one rollout to the next, and every pod updates it.
	StartedAt time.Time
	// WrittenAt is the last write of any manager of the spec; zero if managedFields have none. WithRolloutStart may set StartedAt to an
	// earlier time, and never changes WrittenAt.
	WrittenAt time.Time
	// IsUndated is true if the spec was written after the creation and managedFields do not say when, as in some dumps. StartedAt is the
	// creation then.
	IsUndated bool
	// ModifiedAt is the last write to anything but the status: the spec, or for example a label. Annotations count too in a Deployment's
	// generation.
	ModifiedAt time.Time
	// ScaledUpAt is when the desired pods increased from ScaledFrom, by a person, an autoscaler or a new node, until all of them run. It is
	// zero at other times, and if nobody observed the increase: managedFields have no time for the scale subresource.
	ScaledUpAt time.Time
	ScaledFrom int32
}

// equal ignores the times: a write that changes nothing else is irrelevant.
func (r Rollout) equal(o Rollout) bool {
	r.StartedAt, r.WrittenAt, r.IsUndated, r.ModifiedAt = o.StartedAt, o.WrittenAt, o.IsUndated, o.ModifiedAt
	r.ScaledUpAt, r.ScaledFrom = o.ScaledUpAt, o.ScaledFrom
	return r == o
}

// HealthAssessment is the health of a workload.
type HealthAssessment struct {
	Health v1alpha1.Health
	// Message says what is wrong or in progress; empty if nothing is.
	Message string
	// IsIdle is true for a DaemonSet that no node matches: it is healthy, but it does not prove that anything runs.
	IsIdle bool
	// ValidUntil is when a deadline passes and the health must be assessed again; zero for never.
	ValidUntil time.Time
}

// AssessHealth returns the health of the workload. complete is true if the rollout of this generation was complete before: missing replicas
// are then Degraded.
//
// kstatus decides whether the workload matches its spec. Where kstatus reports InProgress, a rollout within its deadline is Progressing,
// and missing replicas without a rollout are Degraded.
func (w *Workload) AssessHealth(now time.Time, complete bool) HealthAssessment {
	r := w.Rollout
	if !r.HasStatus {
		return HealthAssessment{Health: v1alpha1.HealthNotObserved}
	}
	if r.IsDeleting {
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: "is being deleted"}
	}
	if w.Kind == "CronJob" {
		if r.IsPaused {
			return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: "is suspended"}
		}
		return HealthAssessment{Health: v1alpha1.HealthHealthy}
	}
	if r.Generation == r.ObservedGeneration && r.Desired == 0 {
		if w.Kind == "DaemonSet" {
			return HealthAssessment{
				Health: v1alpha1.HealthHealthy, IsIdle: true, Message: "no node matches its node selector, affinity and tolerations",
			}
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
		return w.assessInProgress(now, complete)
	}
}

// assessInProgress returns the health of a workload that does not match its spec, or of which kstatus cannot determine that it does.
func (w *Workload) assessInProgress(now time.Time, complete bool) HealthAssessment {
	r := w.Rollout
	if r.hasEnoughPods() && r.Generation == r.ObservedGeneration && !w.isRollingOut(complete) {
		return HealthAssessment{Health: v1alpha1.HealthHealthy} // surplus pods are going away
	}
	if until := r.ScaledUpAt.Add(rolloutDeadline); r.isScalingUp() && now.Before(until) {
		message := "is scaling up" + timeText(" since ", r.ScaledUpAt) + r.progress()
		return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: message, ValidUntil: until}
	}
	if !w.isRollingOut(complete) {
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: r.podCounts()}
	}
	message, startedAt := "is rolling out"+r.startText(" since ")+r.progress(), r.StartedAt
	switch {
	case r.Generation != r.ObservedGeneration:
		// The counts are those of an earlier generation. The change may be a rollout, or only an annotation.
		message, startedAt = "was changed"+timeText(" at ", r.ModifiedAt)+", and no controller has observed the change yet", r.ModifiedAt
	case r.IsPaused && r.hasEnoughPods():
		message = "is paused during its rollout" + r.startText(", which started at ") + r.progress()
		return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: message}
	case r.Deadline > 0 && !r.IsPaused:
		// The controller reports in the Progressing condition when this deadline passes.
		return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: message}
	}
	until := startedAt.Add(rolloutDeadline)
	if !now.Before(until) {
		message = fmt.Sprintf("%s; its rollout did not complete within %s", r.podCounts(), rolloutDeadline)
		return HealthAssessment{Health: v1alpha1.HealthDegraded, Message: message}
	}
	return HealthAssessment{Health: v1alpha1.HealthProgressing, Message: message, ValidUntil: until}
}

// WithRolloutStart returns the workload with the StartedAt of its former state, if no new rollout can have started since: the generation is
// the same, though a label may look like a write of the spec, or no manager of the spec wrote anything, though an annotation may have
// increased the generation.
func (w *Workload) WithRolloutStart(before *Workload) *Workload {
	if before == nil {
		return w
	}
	former, current := before.Rollout, w.Rollout
	isSameRollout := former.Generation == current.Generation || !current.WrittenAt.IsZero() && !current.WrittenAt.After(former.WrittenAt)
	if !isSameRollout || former.IsUndated || former.StartedAt.IsZero() || !former.StartedAt.Before(current.StartedAt) {
		return w
	}
	dated := *w
	dated.Rollout.StartedAt = former.StartedAt
	return &dated
}

// isRollingOut reports whether a rollout is in progress.
func (w *Workload) isRollingOut(complete bool) bool {
	r := w.Rollout
	if r.Generation != r.ObservedGeneration {
		return true
	}
	if w.Kind == "Deployment" {
		// The condition is absent without a deadline, and for a moment after the creation.
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

// WithScaleUpSince returns the workload with ScaledUpAt and ScaledFrom set, if it is scaled up compared to its former state. wasDegraded
// reports whether the former state is Degraded: a scale-up does not excuse pods that failed before.
func (w *Workload) WithScaleUpSince(before *Workload, wasDegraded func() bool, now time.Time) *Workload {
	if before == nil {
		return w
	}
	former, current := before.Rollout, w.Rollout
	if current.Generation != former.Generation && !current.ModifiedAt.After(former.ModifiedAt) {
		current.ModifiedAt = now // managedFields do not have the time of the write
	}
	switch {
	case current.Generation == current.ObservedGeneration && current.hasEnoughPods():
	case !former.ScaledUpAt.IsZero():
		current.ScaledUpAt, current.ScaledFrom = former.ScaledUpAt, former.ScaledFrom
	case former.Desired > 0 && current.Desired > former.Desired && !wasDegraded():
		current.ScaledUpAt, current.ScaledFrom = now, former.Desired
	}
	if current == w.Rollout {
		return w
	}
	scaled := *w
	scaled.Rollout = current
	return &scaled
}

// isScalingUp reports whether only added pods are missing. There is no rollout in progress: all pods are up to date.
func (r Rollout) isScalingUp() bool {
	return !r.ScaledUpAt.IsZero() && r.Generation == r.ObservedGeneration && r.Updated >= r.Total &&
		r.Available >= r.ScaledFrom && r.Ready >= r.ScaledFrom
}

// IsComplete reports whether the rollout of the current generation is complete.
func (w *Workload) IsComplete() bool {
	r := w.Rollout
	return r.HasStatus && r.Generation == r.ObservedGeneration && r.hasEnoughPods() && (r.Updated >= r.Desired || r.OnDelete)
}

// hasEnoughPods reports whether as many pods are ready and available as desired.
func (r Rollout) hasEnoughPods() bool {
	return r.Desired >= 0 && r.Available >= r.Desired && r.Ready >= r.Desired
}

func (r Rollout) podCounts() string {
	if r.Desired < 0 {
		return "no controller has observed it yet"
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

// startText returns when the rollout started, after a prefix; empty if the time is unknown.
func (r Rollout) startText(prefix string) string {
	if r.IsUndated {
		return ""
	}
	return timeText(prefix, r.StartedAt)
}

func timeText(prefix string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return prefix + t.UTC().Format(time.RFC3339)
}

// progress returns the progress of the rollout, after a comma.
//
// The text is part of the status of every profile that requires the workload, so each change of it is a write for each of them. It counts
// single pods below eight, and quarters from there: at most eight different texts, even for a DaemonSet on 5,000 nodes.
func (r Rollout) progress() string {
	switch {
	case r.Desired < 0:
		return ", no controller has observed it yet"
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

// readyPods returns how many pods are certainly both up to date and available. The status has only the two separate counts. The result is
// exact if all remaining old pods are available.
func (r Rollout) readyPods() int32 {
	if r.OnDelete {
		return min(r.Available, r.Desired)
	}
	return max(0, min(r.Updated+r.Available-r.Total, r.Updated, r.Available, r.Desired))
}

// toKstatusObject returns an object with only those fields that kstatus reads.
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
		// kstatus compares the names of the revisions to determine whether the update is complete.
		state["updateRevision"], state["currentRevision"] = "new", "new"
		if r.Updated < r.Desired {
			state["currentRevision"] = "old"
		}
	case "Pod":
		phase, ready := "Running", "True"
		if r.Ready == 0 {
			phase, ready = "Pending", "False"
		}
		state["phase"], state["conditions"] = phase, []any{map[string]any{"type": "Ready", "status": ready}}
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
		default: // ReplicaFailure is not part of a rollout
		}
	}
	return r
}

func daemonSetRollout(o *appsv1.DaemonSet, observed bool) Rollout {
	r := newRollout(o, observed || o.Status.ObservedGeneration > 0 || o.Status.DesiredNumberScheduled > 0)
	r.Desired, r.Total = o.Status.DesiredNumberScheduled, o.Status.CurrentNumberScheduled
	if o.Status.ObservedGeneration == 0 {
		r.Desired = -1 // the controller has not counted the nodes yet
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
		// The controller does not count updatedReplicas after the update is complete.
		r.Updated = o.Status.Replicas
	}
	r.ObservedGeneration = o.Status.ObservedGeneration
	r.OnDelete = o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	if update := o.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil && *update.Partition > 0 {
		// The partition excludes these pods from the update on purpose.
		r.Updated = min(r.Desired, r.Updated+*update.Partition)
	}
	return r
}

// cronJobRollout returns the rollout of a CronJob, which has no pods most of the time: only its suspension matters.
func cronJobRollout(o *batchv1.CronJob, observed bool) Rollout {
	r := newRollout(o, observed || o.Status.LastScheduleTime != nil)
	r.ObservedGeneration, r.IsPaused = r.Generation, o.Spec.Suspend != nil && *o.Spec.Suspend
	return r
}

// podRollout returns the rollout of a single Pod.
func podRollout(o *corev1.Pod) Rollout {
	r := newRollout(o, o.Status.Phase != "")
	r.Desired, r.Total, r.Updated, r.ObservedGeneration = 1, 1, 1, r.Generation
	for _, condition := range o.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			r.Ready, r.Available = 1, 1
		}
	}
	return r
}

func newRollout(o metav1.Object, observed bool) Rollout {
	r := Rollout{HasStatus: observed, Generation: o.GetGeneration(), IsDeleting: o.GetDeletionTimestamp() != nil}
	r.StartedAt, r.ModifiedAt, r.IsUndated = o.GetCreationTimestamp().Time, o.GetCreationTimestamp().Time, r.Generation > 1
	for _, entry := range o.GetManagedFields() {
		// A write to a subresource, status or scale, starts no rollout.
		if entry.Subresource != "" || entry.Time == nil {
			continue
		}
		// A write that only annotates or labels the workload starts none either.
		if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:spec":`) {
			r.setStart(entry.Time.Time)
		}
		r.ModifiedAt = laterTime(r.ModifiedAt, entry.Time.Time)
	}
	return r
}

func (r *Rollout) setStart(writtenAt time.Time) {
	r.StartedAt, r.IsUndated = laterTime(r.StartedAt, writtenAt), false
	r.WrittenAt = r.StartedAt
}

func laterTime(a, b time.Time) time.Time {
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
