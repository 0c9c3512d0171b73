package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// The symptoms. Their names are part of the API.
const (
	Unschedulable         = "Unschedulable"
	VolumeClaimUnbound    = "VolumeClaimUnbound"
	VolumeMountFailed     = "VolumeMountFailed"
	SandboxFailed         = "SandboxFailed"
	ImagePullFailed       = "ImagePullFailed"
	ConfigMissing         = "ConfigMissing"
	ContainerCreateFailed = "ContainerCreateFailed"
	CrashLoop             = "CrashLoop"
	OOMKilled             = "OOMKilled"
	InitFailed            = "InitFailed"
	NotReady              = "NotReady"
	LivenessRestarts      = "LivenessRestarts"
	Evicted               = "Evicted"
	NodeLost              = "NodeLost"
	PodsNotCreated        = "PodsNotCreated"
	JobFailed             = "JobFailed"
	CronJobNotScheduled   = "CronJobNotScheduled"
	Refused               = "Refused"
	Error                 = "Error"
	StuckTerminating      = "StuckTerminating"
	CompletedUnexpectedly = "CompletedUnexpectedly"
)

// Symptoms lists all symptoms, most severe first: those that prevent a pod from running before those that prevent it from serving.
var Symptoms = []string{
	NodeLost, PodsNotCreated, Unschedulable, VolumeClaimUnbound, VolumeMountFailed, SandboxFailed, ImagePullFailed, ConfigMissing,
	ContainerCreateFailed, InitFailed, OOMKilled, CrashLoop, CompletedUnexpectedly, Refused, JobFailed, Error, Evicted, CronJobNotScheduled,
	LivenessRestarts, NotReady, StuckTerminating,
}

// Case is a pod with the objects that it depends on.
type Case struct {
	Pod *corev1.Pod
	// Job is the Job that owns the pod, if there is one and it exists.
	Job *batchv1.Job
	// IsJobSuperseded is true if the Job is a run of a CronJob, and a later run has finished.
	IsJobSuperseded bool
	// StatefulSet is the StatefulSet that owns the pod, if there is one and it exists.
	StatefulSet *appsv1.StatefulSet
	// Node is the node of the pod; nil if the pod is not scheduled or the node cannot be read.
	Node *corev1.Node
	// IsNodeGone is true if the node does not exist anymore.
	IsNodeGone bool
	// Nodes are the nodes of the cluster, if the pod waits for one or for a volume; nil if they cannot be read.
	Nodes []*corev1.Node
	// Claims are the claims that the pod mounts, in the order of its volumes.
	Claims []Claim
	// Events are the events of the pod, in any order.
	Events []corev1.Event
	// Hints are the pod hints of all definitions.
	Hints []v1alpha1.PodHint
}

// Claim is a PersistentVolumeClaim that a pod mounts.
type Claim struct {
	Name string
	// Claim is nil if it does not exist or IsUnreadable is true.
	Claim *corev1.PersistentVolumeClaim
	// IsUnreadable is true if the claim cannot be read.
	IsUnreadable bool
	// Class is the StorageClass of the claim; nil if it does not exist.
	Class *storagev1.StorageClass
	// Events are the events of the claim.
	Events []corev1.Event
}

// OwnerOf returns the workload of a pod: its DaemonSet, StatefulSet or Job, the Deployment of its ReplicaSet, or the pod itself if it
// has no controller.
func OwnerOf(pod *corev1.Pod) v1alpha1.WorkloadReference {
	controller := metav1.GetControllerOf(pod)
	if controller == nil {
		return v1alpha1.WorkloadReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name}
	}
	owner := v1alpha1.WorkloadReference{Kind: controller.Kind, Namespace: pod.Namespace, Name: controller.Name}
	if hash := pod.Labels["pod-template-hash"]; controller.Kind == "ReplicaSet" && hash != "" {
		if name, ok := strings.CutSuffix(controller.Name, "-"+hash); ok {
			owner.Kind, owner.Name = "Deployment", name
		}
	}
	return owner
}

// Diagnose returns what is wrong with a pod: either one symptom of the whole pod, or one for each failing container. It returns
// nothing for a pod that is healthy, starting or completed.
func Diagnose(c Case, now time.Time) []v1alpha1.Diagnosis {
	d := &diagnoser{Case: c, now: now}
	found := d.diagnosePod()
	if found == nil {
		found = d.diagnoseContainers()
	}
	if len(found) == 0 {
		if f := d.findUnsatisfied(); f != nil {
			found = []finding{*f}
		}
	}
	diagnoses := make([]v1alpha1.Diagnosis, 0, len(found))
	for i := range found {
		f := &found[i]
		diagnosis := v1alpha1.Diagnosis{
			Workload: OwnerOf(c.Pod), Pod: c.Pod.Name, Container: f.container, Symptom: f.symptom,
			Since: sinceOf(f.since, c.Pod.CreationTimestamp.Time), Meaning: f.meaning, LikelyCauses: f.causes, Commands: d.commands(f),
		}
		if f.isNode {
			diagnosis.Node = c.Pod.Spec.NodeName
		}
		d.addHint(&diagnosis)
		d.addNextOrdinals(&diagnosis)
		diagnoses = append(diagnoses, diagnosis)
	}
	return diagnoses
}

// sinceOf returns the first time that is known.
func sinceOf(times ...time.Time) *metav1.Time {
	for _, at := range times {
		if !at.IsZero() {
			return &metav1.Time{Time: at.UTC().Truncate(time.Second)}
		}
	}
	return nil
}

// addNextOrdinals adds what a StatefulSet does not do while one of its pods is not ready.
func (d *diagnoser) addNextOrdinals(diagnosis *v1alpha1.Diagnosis) {
	set := d.StatefulSet
	if set == nil || set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement || set.Spec.Replicas == nil ||
		slices.Contains([]string{OOMKilled, LivenessRestarts, Error}, diagnosis.Symptom) && isReady(d.Pod) {
		return
	}
	if missing := *set.Spec.Replicas - set.Status.Replicas; missing > 0 {
		diagnosis.Meaning += fmt.Sprintf(" The StatefulSet creates its other %d pods only after this one is ready.", missing)
	}
	revision := d.Pod.Labels[appsv1.ControllerRevisionHashLabelKey]
	if revision != "" && set.Status.UpdateRevision != "" && revision != set.Status.UpdateRevision && d.Pod.DeletionTimestamp == nil {
		diagnosis.Meaning += " The pod has an earlier revision, and the StatefulSet does not replace a pod that is not ready: delete the pod."
		if areSafeNames(d.Pod.Namespace, d.Pod.Name) {
			diagnosis.Commands = append(diagnosis.Commands, "kubectl -n "+d.Pod.Namespace+" delete pod "+d.Pod.Name)
		}
	}
}

// addHint adds the hints that match the labels of the pod. The program sets these labels, so they count only while it runs.
func (d *diagnoser) addHint(diagnosis *v1alpha1.Diagnosis) {
	if !slices.Contains([]string{NotReady, LivenessRestarts}, diagnosis.Symptom) {
		return
	}
	for _, hint := range d.Hints {
		if !labels.SelectorFromSet(hint.Labels).Matches(labels.Set(d.Pod.Labels)) {
			continue
		}
		diagnosis.Meaning += " " + hint.Meaning
		if hint.Command != "" {
			command := "kubectl -n " + d.Pod.Namespace + " " + strings.ReplaceAll(hint.Command, "{pod}", d.Pod.Name)
			diagnosis.Commands = slices.Insert(diagnosis.Commands, 0, command)
		}
	}
}

// Sort sorts diagnoses by severity, then by name.
func Sort(diagnoses []v1alpha1.Diagnosis) {
	slices.SortStableFunc(diagnoses, func(a, b v1alpha1.Diagnosis) int {
		return cmp.Or(slices.Index(Symptoms, a.Symptom)-slices.Index(Symptoms, b.Symptom),
			strings.Compare(a.Workload.Namespace, b.Workload.Namespace), strings.Compare(a.Workload.Kind, b.Workload.Kind),
			strings.Compare(a.Workload.Name, b.Workload.Name), strings.Compare(a.Pod, b.Pod), strings.Compare(a.Container, b.Container))
	})
}

// NeedsDiagnosis reports whether a pod may have a symptom, so that its events and dependencies must be read.
func NeedsDiagnosis(pod *corev1.Pod, now time.Time) bool {
	if pod.DeletionTimestamp != nil {
		return true
	}
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		return pod.Spec.RestartPolicy == corev1.RestartPolicyAlways
	case corev1.PodRunning:
	default:
		return true
	}
	if !isReady(pod) || conditionOf(pod, corev1.PodResizePending) != nil || conditionOf(pod, corev1.PodResizeInProgress) != nil ||
		pod.Status.Resize != "" { // before Kubernetes 1.33 there is no condition
		return true
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if last := status.LastTerminationState.Terminated; last != nil && now.Sub(last.FinishedAt.Time) < chronicPeriod {
			return true
		}
	}
	return false
}

func isReady(pod *corev1.Pod) bool {
	condition := conditionOf(pod, corev1.PodReady)
	return condition != nil && condition.Status == corev1.ConditionTrue
}

// diagnoser diagnoses one pod.
type diagnoser struct {
	Case
	now time.Time
}

// finding is one symptom.
type finding struct {
	symptom, container, meaning string
	causes                      []string
	// since is when it began; zero if that is unknown.
	since time.Time
	// isNode is true if the fault is one of the node of the pod.
	isNode bool
	// usePreviousLogs is true if the logs of the previous run of the container are needed.
	usePreviousLogs bool
	// commands come before the general ones.
	commands []string
}

// explain adds what reports say about the symptom.
func (d *diagnoser) explain(f *finding, reports []report) {
	vars := map[string]string{"namespace": d.Pod.Namespace, "pod": d.Pod.Name, "node": d.Pod.Spec.NodeName, "container": f.container}
	if d.Node != nil && d.Node.Status.NodeInfo.Architecture != "" {
		vars["arch"] = "(" + d.Node.Status.NodeInfo.Architecture + ")"
	}
	if f.container != "" {
		spec := d.specOf(f.container)
		vars["image"] = spec.Image
		for _, probe := range []*corev1.Probe{spec.ReadinessProbe, spec.LivenessProbe, spec.StartupProbe} {
			if probe != nil {
				vars["timeout"] = fmt.Sprintf("%d s", max(1, probe.TimeoutSeconds))
			}
		}
	}
	e := explain(f.symptom, vars, reports)
	f.causes = append(f.causes, e.all()...)
	f.commands = append(f.commands, e.commands...)
	f.isNode = f.isNode || e.isNode
	if f.since.IsZero() {
		f.since = e.since
	}
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// latestEvent returns the latest event of the pod with one of the reasons, or nil.
func (d *diagnoser) latestEvent(reasons ...string) *corev1.Event {
	return latestEvent(d.Events, reasons...)
}

func latestEvent(events []corev1.Event, reasons ...string) *corev1.Event {
	var found *corev1.Event
	for i := range events {
		if slices.Contains(reasons, events[i].Reason) && (found == nil || lastObserved(&events[i]).After(lastObserved(found))) {
			found = &events[i]
		}
	}
	return found
}

// firstObserved returns when an event first occurred.
func firstObserved(e *corev1.Event) time.Time {
	at := lastObserved(e)
	for _, timestamp := range []time.Time{e.CreationTimestamp.Time, e.FirstTimestamp.Time, e.EventTime.Time} {
		if !timestamp.IsZero() && timestamp.Before(at) {
			at = timestamp
		}
	}
	return at
}

// lastObserved returns when an event last occurred. Which fields are set depends on the API that it was written with.
func lastObserved(e *corev1.Event) time.Time {
	at := e.CreationTimestamp.Time
	for _, timestamp := range []time.Time{e.FirstTimestamp.Time, e.LastTimestamp.Time, e.EventTime.Time} {
		if timestamp.After(at) {
			at = timestamp
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	return at
}

// commands returns the commands to investigate a finding.
func (d *diagnoser) commands(f *finding) []string {
	kubectl := "kubectl -n " + d.Pod.Namespace + " "
	if !d.hasSafeNames(f.container) {
		return nil
	}
	commands := slices.Clone(f.commands)
	if f.container != "" && f.usePreviousLogs {
		commands = append(commands, kubectl+fmt.Sprintf("logs %s -c %s --previous --tail=50", d.Pod.Name, f.container))
	}
	commands = append(commands, kubectl+"describe pod "+d.Pod.Name)
	if f.container == "" || !f.usePreviousLogs {
		commands = append(commands, kubectl+"get events --field-selector involvedObject.name="+d.Pod.Name+" --sort-by=.lastTimestamp")
	}
	return unique(commands)
}

// unique removes duplicates and keeps the order.
func unique(texts []string) []string {
	kept := texts[:0]
	for _, text := range texts {
		if !slices.Contains(kept, text) {
			kept = append(kept, text)
		}
	}
	return kept
}

// hasSafeNames reports whether all names that commands contain are valid in Kubernetes. Files may contain any name, and a command that
// users copy must not run code from it.
func (d *diagnoser) hasSafeNames(container string) bool {
	names := []string{d.Pod.Namespace, d.Pod.Name, d.Pod.Spec.NodeName, container}
	for _, claim := range d.Claims {
		names = append(names, claim.Name)
	}
	return areSafeNames(names...)
}

func areSafeNames(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "-") || strings.ContainsFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
		})
	})
}
