package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

// The symptoms, named as DESIGN's stable output shape names them.
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
	Error                 = "Error"
	StuckTerminating      = "StuckTerminating"
	CompletedUnexpectedly = "CompletedUnexpectedly"
)

// Symptoms are all symptoms, the worst first: what keeps a pod from existing before what keeps it from serving.
var Symptoms = []string{
	NodeLost, Unschedulable, VolumeClaimUnbound, VolumeMountFailed, SandboxFailed, ImagePullFailed, ConfigMissing, ContainerCreateFailed,
	InitFailed, OOMKilled, CrashLoop, CompletedUnexpectedly, Error, Evicted, LivenessRestarts, NotReady, StuckTerminating,
}

// Case is a pod with what lies behind it.
type Case struct {
	Pod *corev1.Pod
	// Job is the Job that the pod belongs to; nil where it belongs to none or the Job is gone.
	Job *batchv1.Job
	// Node is the one that the pod was put on; nil where it is on none or could not be read.
	Node *corev1.Node
	// IsNodeGone says that the node does not exist any more.
	IsNodeGone bool
	// Claims are those that the pod mounts, in the order of its volumes.
	Claims []Claim
	// Events are those about the pod, in any order.
	Events []corev1.Event
	// Hints are what definitions say that labels of pods mean.
	Hints []v1alpha1.PodHint
}

// Claim is a PersistentVolumeClaim that a pod mounts.
type Claim struct {
	Name string
	// Claim is nil where there is none of this name, or where Unread is true.
	Claim *corev1.PersistentVolumeClaim
	// IsUnreadable says that it could not be looked at.
	IsUnreadable bool
	// Class is its StorageClass; nil where there is none of that name.
	Class *storagev1.StorageClass
	// Events are those about the claim.
	Events []corev1.Event
}

// OwnerOf names the workload that a pod belongs to: the Deployment behind its ReplicaSet, its DaemonSet, StatefulSet or Job,
// or the pod itself where nobody owns it.
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

// Diagnose says what is wrong with a pod: one symptom of the pod as a whole, or one for each container that has one. It
// returns nothing for a pod that is well, starting or done.
func Diagnose(c Case, now time.Time) []v1alpha1.Diagnosis {
	d := &diagnoser{Case: c, now: now}
	found := d.diagnosePod()
	if found == nil {
		found = d.diagnoseContainers()
	}
	diagnoses := make([]v1alpha1.Diagnosis, 0, len(found))
	for _, f := range found {
		diagnoses = append(diagnoses, v1alpha1.Diagnosis{
			Workload: OwnerOf(c.Pod), Pod: c.Pod.Name, Container: f.container, Symptom: f.symptom,
			Meaning: f.meaning, LikelyCauses: f.causes, Commands: d.commands(f),
		})
		d.addHint(&diagnoses[len(diagnoses)-1])
	}
	return diagnoses
}

// addHint adds what definitions know of the pod's labels. They are what the program in it says of itself, so that they matter
// only while it runs.
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

// Sort orders diagnoses by how bad they are, then by name.
func Sort(diagnoses []v1alpha1.Diagnosis) {
	slices.SortStableFunc(diagnoses, func(a, b v1alpha1.Diagnosis) int {
		return cmp.Or(slices.Index(Symptoms, a.Symptom)-slices.Index(Symptoms, b.Symptom),
			strings.Compare(a.Workload.Namespace, b.Workload.Namespace), strings.Compare(a.Workload.Kind, b.Workload.Kind),
			strings.Compare(a.Workload.Name, b.Workload.Name), strings.Compare(a.Pod, b.Pod), strings.Compare(a.Container, b.Container))
	})
}

// NeedsDiagnosis tells whether a pod is worth a closer look, with its events and what lies behind it.
func NeedsDiagnosis(pod *corev1.Pod) bool {
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
	if condition := conditionOf(pod, corev1.PodReady); condition == nil || condition.Status != corev1.ConditionTrue {
		return true
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if status.LastTerminationState.Terminated != nil {
			return true
		}
	}
	return false
}

// diagnoser looks at one pod.
type diagnoser struct {
	Case
	now time.Time
}

// finding is one symptom.
type finding struct {
	symptom, container, meaning string
	causes                      []string
	// usePreviousLogs says that the container's last run tells more than the present one.
	usePreviousLogs bool
	// commands are further commands that show it, before the general ones.
	commands []string
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// latestEvent is the latest event with one of these reasons, nil where there is none.
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

// lastObserved is when an event was last seen; its fields depend on which of the two APIs it was written by.
func lastObserved(e *corev1.Event) time.Time {
	at := e.CreationTimestamp.Time
	for _, other := range []time.Time{e.FirstTimestamp.Time, e.LastTimestamp.Time, e.EventTime.Time} {
		if other.After(at) {
			at = other
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	return at
}

// commands are those that show a finding, with the names filled in.
func (d *diagnoser) commands(f finding) []string {
	in := fmt.Sprintf("kubectl -n %s ", d.Pod.Namespace)
	if !d.hasSafeNames(f.container) {
		return nil
	}
	commands := slices.Clone(f.commands)
	if f.container != "" && f.usePreviousLogs {
		commands = append(commands, in+fmt.Sprintf("logs %s -c %s --previous --tail=50", d.Pod.Name, f.container))
	}
	commands = append(commands, in+"describe pod "+d.Pod.Name)
	if f.container == "" || !f.usePreviousLogs {
		commands = append(commands, in+fmt.Sprintf("get events --field-selector involvedObject.name=%s --sort-by=.lastTimestamp", d.Pod.Name))
	}
	return commands
}

// hasSafeNames tells whether all names that stand in commands are such as the API server lets through. Files may hold any, and a
// command that is shown to be copied must not do what a name says.
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

// shorten is a message of the cluster in one line, cut to what a person reads.
func shorten(message string) string {
	const longest = 240
	return text.Truncate(strings.Join(strings.Fields(message), " "), longest)
}
