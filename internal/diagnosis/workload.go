package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const (
	// metricPatience is how long an autoscaler may be without its metric: the metrics of new pods take as long
	// (horizontal-pod-autoscaler-cpu-initialization-period, kube-controller-manager v1.37).
	metricPatience = 5 * time.Minute
	// drainPatience is how long a cordoned node may keep its pods.
	drainPatience = 5 * time.Minute
	// rolloutPatience is how long a rollout may be without progress before it has a symptom of its own: its pods have theirs by then.
	rolloutPatience = time.Minute
	// creationPatience is how long a workload may be without any pod.
	creationPatience = 10 * time.Minute
	// eventRelevance is how long an event of a workload counts: as long as the API server keeps it.
	eventRelevance = time.Hour
)

// Workload is an object that has pods made, or decides about them, with what it depends on.
type Workload struct {
	// Object is a Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, HorizontalPodAutoscaler or PodDisruptionBudget.
	Object runtime.Object
	// Events are the warnings about the object and, if it is a Deployment, about its ReplicaSets.
	Events []corev1.Event
	// HasJobs is true if the object is a CronJob whose last finished Job exists.
	HasJobs bool
	// Draining are the pods of a PodDisruptionBudget on nodes that keep no other pods although they are cordoned.
	Draining []*corev1.Pod
	// CordonedAt is when the node of the first of them was cordoned; zero if that is unknown.
	CordonedAt time.Time
}

// workloadDiagnoser diagnoses one workload.
type workloadDiagnoser struct {
	Workload
	now  time.Time
	pods []v1alpha1.Diagnosis
	ref  v1alpha1.WorkloadReference
	meta metav1.Object
}

// DiagnoseWorkload returns what is wrong with a workload beside its pods. pods are the diagnoses of its pods. It returns them, too: a
// failed Job replaces those of its failed pods.
func DiagnoseWorkload(w Workload, pods []v1alpha1.Diagnosis, now time.Time) []v1alpha1.Diagnosis {
	d := &workloadDiagnoser{Workload: w, now: now, pods: pods, ref: ReferenceOf(w.Object), meta: w.Object.(metav1.Object)}
	var found *finding
	switch object := w.Object.(type) {
	case *batchv1.Job:
		if failed := jobCondition(object, batchv1.JobFailed); failed != nil {
			return d.addJobFailed(object, failed)
		}
		found = d.findNotCreated()
	case *batchv1.CronJob:
		found = d.findNotScheduled(object)
	case *autoscalingv2.HorizontalPodAutoscaler:
		found = d.findNoMetric(object)
	case *policyv1.PodDisruptionBudget:
		found = d.findBlockedDrain(object)
	case *appsv1.Deployment:
		if found = d.findNotCreated(); found == nil {
			found = d.findNoProgress(object)
		}
	default:
		found = d.findNotCreated()
	}
	if found == nil {
		return pods
	}
	return append(slices.Clone(pods), d.diagnosis(found))
}

func (d *workloadDiagnoser) diagnosis(f *finding) v1alpha1.Diagnosis {
	kind := strings.ToLower(d.ref.Kind)
	commands := append(slices.Clone(f.commands), fmt.Sprintf("kubectl -n %s describe %s %s", d.ref.Namespace, kind, d.ref.Name))
	if !areSafeNames(d.ref.Namespace, d.ref.Name) {
		commands = nil
	}
	return v1alpha1.Diagnosis{
		Workload: d.ref, Symptom: f.symptom, Since: sinceOf(f.since, d.meta.GetCreationTimestamp().Time), Meaning: f.meaning,
		LikelyCauses: f.causes, Commands: unique(commands),
	}
}

// explain adds what reports say about the symptom.
func (d *workloadDiagnoser) explain(f *finding, vars map[string]string, reports []report) {
	if vars == nil {
		vars = map[string]string{}
	}
	vars["namespace"], vars["workload"] = d.ref.Namespace, d.ref.Name
	e := explain(f.symptom, vars, reports)
	f.causes, f.commands = append(f.causes, e.all()...), append(f.commands, e.commands...)
	if f.since.IsZero() {
		f.since = e.since
	}
}

// reports returns the reports of the recent events with the reasons.
func (d *workloadDiagnoser) reports(reasons ...string) []report {
	return eventReports(d.Events, func(e *corev1.Event) bool {
		return slices.Contains(reasons, e.Reason) && d.now.Sub(lastObserved(e)) < eventRelevance
	})
}

// kindOf returns the kind of an object that is diagnosed beside pods; objects of a list do not have one.
func kindOf(object runtime.Object) string {
	switch object.(type) {
	case *appsv1.Deployment:
		return "Deployment"
	case *appsv1.ReplicaSet:
		return "ReplicaSet"
	case *appsv1.StatefulSet:
		return "StatefulSet"
	case *appsv1.DaemonSet:
		return "DaemonSet"
	case *batchv1.Job:
		return "Job"
	case *batchv1.CronJob:
		return "CronJob"
	case *policyv1.PodDisruptionBudget:
		return "PodDisruptionBudget"
	default:
		return "HorizontalPodAutoscaler"
	}
}

// ReferenceOf returns the reference of an object that is diagnosed.
func ReferenceOf(object runtime.Object) v1alpha1.WorkloadReference {
	meta := object.(metav1.Object)
	return v1alpha1.WorkloadReference{Kind: kindOf(object), Namespace: meta.GetNamespace(), Name: meta.GetName()}
}

// podCounts returns how many pods a workload should have and has, and whether its controller has handled it.
func podCounts(object runtime.Object) (desired, existing int32, isObserved bool) {
	replicas := func(n *int32) int32 {
		if n == nil {
			return 1
		}
		return *n
	}
	switch w := object.(type) {
	case *appsv1.Deployment:
		return replicas(w.Spec.Replicas), min(w.Status.Replicas, w.Status.UpdatedReplicas), w.Status.ObservedGeneration > 0
	case *appsv1.ReplicaSet:
		return replicas(w.Spec.Replicas), w.Status.Replicas, w.Status.ObservedGeneration > 0
	case *appsv1.StatefulSet:
		return replicas(w.Spec.Replicas), w.Status.Replicas, w.Status.ObservedGeneration > 0
	case *appsv1.DaemonSet:
		return w.Status.DesiredNumberScheduled, w.Status.CurrentNumberScheduled, w.Status.ObservedGeneration > 0
	case *batchv1.Job:
		if w.Status.CompletionTime != nil || hasJobCondition(w, batchv1.JobComplete) || w.Spec.Suspend != nil && *w.Spec.Suspend {
			return 0, 0, true
		}
		desired = replicas(w.Spec.Parallelism)
		if w.Spec.Completions != nil {
			desired = min(desired, *w.Spec.Completions-w.Status.Succeeded)
		}
		return desired, w.Status.Active, w.Status.StartTime != nil
	}
	return 0, 0, false
}

// replicaFailure returns the condition of a Deployment whose pods cannot be created, or nil.
func replicaFailure(object runtime.Object) *appsv1.DeploymentCondition {
	return deploymentCondition(object, appsv1.DeploymentReplicaFailure, corev1.ConditionTrue)
}

func deploymentCondition(
	object runtime.Object, kind appsv1.DeploymentConditionType, status corev1.ConditionStatus,
) *appsv1.DeploymentCondition {
	if w, isDeployment := object.(*appsv1.Deployment); isDeployment {
		for i := range w.Status.Conditions {
			if c := &w.Status.Conditions[i]; c.Type == kind && c.Status == status {
				return c
			}
		}
	}
	return nil
}

// findNotCreated returns a finding if the controller cannot create pods of the workload, even if some exist.
func (d *workloadDiagnoser) findNotCreated() *finding {
	desired, existing, isObserved := podCounts(d.Object)
	reports := d.reports("FailedCreate", "ReplicaSetCreateError", "FailedUpdate")
	f := &finding{symptom: PodsNotCreated, since: first(reports)}
	if condition := replicaFailure(d.Object); condition != nil {
		f.since = condition.LastTransitionTime.Time
		reports = append(reports, report{reason: "FailedCreate", message: condition.Message, source: "the controller", first: f.since})
	} else if existing >= desired {
		return nil
	}
	f.meaning = fmt.Sprintf("The controller cannot create the pods of the %s: %d of %d exist.", d.ref.Kind, existing, desired)
	if len(reports) == 0 {
		isNew := d.now.Sub(d.meta.GetCreationTimestamp().Time) < creationPatience
		if existing > 0 || isNew || !isObserved || len(d.pods) > 0 || d.ref.Kind == "Job" {
			return nil
		}
		f.meaning = fmt.Sprintf("No pod of the %s exists, and %d should.", d.ref.Kind, desired)
		f.causes = []string{"its controller gives no reason: its events have expired, or the controller manager does not run"}
	}
	d.explain(f, nil, reports)
	f.commands = append(f.commands,
		fmt.Sprintf("kubectl -n %s get events --field-selector reason=FailedCreate --sort-by=.lastTimestamp", d.ref.Namespace))
	return f
}

// findNoProgress returns a finding if a rollout does not progress although none of its pods has a symptom.
func (d *workloadDiagnoser) findNoProgress(w *appsv1.Deployment) *finding {
	condition := deploymentCondition(w, appsv1.DeploymentProgressing, corev1.ConditionFalse)
	if condition == nil || condition.Reason != "ProgressDeadlineExceeded" || len(d.pods) > 0 ||
		d.now.Sub(condition.LastTransitionTime.Time) < rolloutPatience {
		return nil
	}
	return &finding{
		symptom: Error, since: condition.LastTransitionTime.Time,
		meaning: fmt.Sprintf("The rollout of the Deployment made no progress within its deadline: %d of %d pods are updated, %d are available.",
			w.Status.UpdatedReplicas, w.Status.Replicas, w.Status.AvailableReplicas),
		causes: []string{
			"its new pods are not available within progressDeadlineSeconds (ProgressDeadlineExceeded)",
			quoteOf(report{message: condition.Message, source: "the deployment controller"}),
		},
		commands: []string{fmt.Sprintf("kubectl -n %s rollout status deployment %s", d.ref.Namespace, d.ref.Name)},
	}
}

func jobCondition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func hasJobCondition(job *batchv1.Job, kind batchv1.JobConditionType) bool {
	return jobCondition(job, kind) != nil
}

// addJobFailed returns the diagnosis of a failed Job instead of those of its failed pods.
func (d *workloadDiagnoser) addJobFailed(job *batchv1.Job, failed *batchv1.JobCondition) []v1alpha1.Diagnosis {
	f := &finding{symptom: JobFailed, since: failed.LastTransitionTime.Time, meaning: "The Job failed (" + failed.Reason + ")."}
	if owner := metav1.GetControllerOf(job); owner != nil && owner.Kind == "CronJob" {
		f.meaning = "The last run of the CronJob " + owner.Name + " failed (" + failed.Reason + ")."
	}
	limit, deadline := int32(6), "" // the API server's default
	if job.Spec.BackoffLimit != nil {
		limit = *job.Spec.BackoffLimit
	}
	if job.Spec.ActiveDeadlineSeconds != nil {
		deadline = fmt.Sprintf("%d s", *job.Spec.ActiveDeadlineSeconds)
	}
	d.explain(f, map[string]string{"backoffLimit": fmt.Sprint(limit), "activeDeadline": deadline},
		[]report{{reason: failed.Reason, message: cmp.Or(failed.Message, failed.Reason), source: "the job controller", first: f.since}})
	var others []v1alpha1.Diagnosis
	var ended *v1alpha1.Diagnosis
	for i := range d.pods {
		if d.pods[i].Symptom == Error {
			ended = &d.pods[i]
		} else {
			others = append(others, d.pods[i])
		}
	}
	switch {
	case ended != nil:
		f.meaning += " " + ended.Meaning
		f.causes = append(f.causes[:min(1, len(f.causes))], ended.LikelyCauses...)
		f.commands = append(f.commands, ended.Commands...)
	case len(others) == 0:
		f.causes = append(f.causes, "its pods are gone, with their logs; failed pods are kept with restartPolicy Never and without "+
			"ttlSecondsAfterFinished")
	}
	diagnosis := d.diagnosis(f)
	if ended != nil {
		diagnosis.Pod, diagnosis.Container = ended.Pod, ended.Container
	}
	return append(others, diagnosis)
}

// findNotScheduled returns a finding if a CronJob does not start Jobs, or if its last run failed and the Job is gone.
func (d *workloadDiagnoser) findNotScheduled(w *batchv1.CronJob) *finding {
	last, successful := w.Status.LastScheduleTime, w.Status.LastSuccessfulTime
	f := &finding{symptom: CronJobNotScheduled}
	if last != nil {
		f.since = last.Time
	}
	if w.Spec.Suspend != nil && *w.Spec.Suspend {
		if last == nil && w.Generation <= 1 {
			return nil // created to be started by hand
		}
		f.meaning = "The CronJob is suspended, so it starts no Jobs."
		f.causes = []string{"spec.suspend is true: it was suspended after its last run, and not resumed"}
		f.commands = []string{fmt.Sprintf("kubectl -n %s get cronjob %s -o yaml", d.ref.Namespace, d.ref.Name)}
		return f
	}
	reports := d.reports("FailedNeedsStart", "TooManyMissedTimes", "MissSchedule", "UnParseableCronJobSchedule", "UnparseableSchedule",
		"InvalidSchedule", "UnknownTimeZone", "FailedCreate")
	reports = slices.DeleteFunc(reports, func(r report) bool { return last != nil && last.After(r.last) })
	if len(reports) > 0 {
		f.meaning = "The CronJob does not start Jobs at their times (" + w.Spec.Schedule + ")."
		if last != nil {
			f.meaning += " It last started one at " + formatTime(last.Time) + "."
		}
		f.since = first(reports)
		d.explain(f, nil, reports)
		f.commands = append(f.commands, fmt.Sprintf("kubectl -n %s get cronjob %s -o yaml", d.ref.Namespace, d.ref.Name))
		return f
	}
	if last == nil || successful == nil || d.HasJobs || len(w.Status.Active) > 0 || !last.After(successful.Time) {
		return nil
	}
	f.symptom = JobFailed
	f.meaning = fmt.Sprintf("The last run of the CronJob, at %s, did not succeed. The last that did ended at %s.",
		formatTime(last.Time), formatTime(successful.Time))
	f.causes = []string{"the Job failed, and it is gone with its pods and their logs: keep failed Jobs with failedJobsHistoryLimit"}
	f.commands = []string{fmt.Sprintf("kubectl -n %s get jobs", d.ref.Namespace)}
	return f
}

// findNoMetric returns a finding if an autoscaler cannot read its metric or its target.
func (d *workloadDiagnoser) findNoMetric(w *autoscalingv2.HorizontalPodAutoscaler) *finding {
	for _, c := range w.Status.Conditions {
		if c.Status != corev1.ConditionFalse || c.Type == autoscalingv2.ScalingLimited || c.Reason == "ScalingDisabled" ||
			!slices.Contains([]autoscalingv2.HorizontalPodAutoscalerConditionType{autoscalingv2.ScalingActive, autoscalingv2.AbleToScale}, c.Type) ||
			d.now.Sub(c.LastTransitionTime.Time) < metricPatience {
			continue
		}
		f := &finding{symptom: Error, since: c.LastTransitionTime.Time}
		f.meaning = fmt.Sprintf("The HorizontalPodAutoscaler does not scale %s %s: it cannot read its metric (%s).",
			w.Spec.ScaleTargetRef.Kind, w.Spec.ScaleTargetRef.Name, c.Reason)
		if c.Type == autoscalingv2.AbleToScale {
			f.meaning = fmt.Sprintf("The HorizontalPodAutoscaler cannot scale %s %s (%s).",
				w.Spec.ScaleTargetRef.Kind, w.Spec.ScaleTargetRef.Name, c.Reason)
		}
		d.explain(f, nil, []report{{reason: c.Reason, message: c.Message, source: "the autoscaler", first: c.LastTransitionTime.Time}})
		return f
	}
	return nil
}

// findBlockedDrain returns a finding if a PodDisruptionBudget keeps a cordoned node from being drained.
func (d *workloadDiagnoser) findBlockedDrain(w *policyv1.PodDisruptionBudget) *finding {
	if len(d.Draining) == 0 || w.Status.DisruptionsAllowed > 0 || !d.CordonedAt.IsZero() && d.now.Sub(d.CordonedAt) < drainPatience {
		return nil
	}
	pod := d.Draining[0]
	f := &finding{
		symptom: Error, since: d.CordonedAt,
		meaning: fmt.Sprintf("The PodDisruptionBudget keeps the node %s from being drained: %d of its pods run there, and none may be evicted.",
			pod.Spec.NodeName, len(d.Draining)),
		commands: []string{"kubectl get pods -A -o wide --field-selector spec.nodeName=" + pod.Spec.NodeName},
	}
	if !areSafeNames(pod.Spec.NodeName) {
		f.commands = nil
	}
	status := w.Status
	if status.DesiredHealthy >= status.ExpectedPods {
		f.causes = []string{fmt.Sprintf("the PodDisruptionBudget requires all of its %d pods to be healthy, so it never allows an eviction: "+
			"add a replica, or lower minAvailable", status.ExpectedPods)}
	} else {
		f.causes = []string{fmt.Sprintf("the PodDisruptionBudget requires %d healthy pods, and %d of %d are: the others must become ready first",
			status.DesiredHealthy, status.CurrentHealthy, status.ExpectedPods)}
	}
	return f
}
