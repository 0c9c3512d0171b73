package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	// terminationSlack is how long after its grace period a pod may still exist.
	terminationSlack = time.Minute
	// detachPatience is how long a volume may take to be detached from another node: as long as the kubelet waits for it
	// (podAttachAndMountTimeout, kubelet v1.37).
	detachPatience = 2*time.Minute + 3*time.Second
	// reportRelevance is how long a report counts beside newer ones: longer than the kubelet waits between two attempts.
	reportRelevance = 15 * time.Minute
	// jobPatience is how long a Job may take to decide after a pod failed: it waits for finalizers and before it retries.
	jobPatience = 30 * time.Second
	// schedulingPatience is how long a new pod may wait for a node, and its claims for a volume. Autoscalers and provisioners take a few
	// seconds.
	schedulingPatience = 5 * time.Second
	// failureRelevance is how long a failed pod is reported after its workload has replaced it.
	failureRelevance = time.Hour
)

// healthy is returned if the pod needs no further diagnosis, whatever the states of its containers are.
var healthy = &finding{}

// diagnosePod returns the finding of the whole pod; nil if its containers must be diagnosed.
func (d *diagnoser) diagnosePod() []finding {
	for _, find := range []func() *finding{
		d.findNodeLost, d.findStuckTerminating, d.findFailed, d.findPending, d.findCreating, d.findCompleted,
	} {
		switch f := find(); f {
		case nil:
		case healthy:
			return []finding{}
		default:
			return []finding{*f}
		}
	}
	return nil
}

// findNodeLost returns a finding if the node of the pod is gone or does not report.
func (d *diagnoser) findNodeLost() *finding {
	pod := d.Pod
	hasEnded := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "NodeLost"
	if pod.Spec.NodeName == "" || hasEnded {
		return nil
	}
	name := pod.Spec.NodeName
	commands := []string{"kubectl describe node " + name, "kubectl get nodes -o wide"}
	f := &finding{symptom: NodeLost, commands: commands, isNode: true}
	ready := readyCondition(d.Node)
	switch {
	case d.IsNodeGone:
		f.meaning = fmt.Sprintf("The node %s does not exist anymore, and the pod has not been deleted yet.", name)
		f.causes = []string{
			"the node was deleted or scaled down, and the controller manager has not deleted the pod yet",
			"the pod has a finalizer, or its StatefulSet waits until the pod is deleted",
		}
	case ready != nil && ready.Status == corev1.ConditionUnknown:
		f.since = ready.LastTransitionTime.Time
		f.meaning = fmt.Sprintf("The node %s has not reported since %s. The state of the pod is unknown.",
			name, formatTime(ready.LastHeartbeatTime.Time))
		f.causes = []string{
			"the machine is down or cannot reach the API server: " + shorten(ready.Reason+": "+ready.Message),
			"the kubelet on it has stopped or hangs",
		}
	case pod.Status.Reason == "NodeLost" || pod.Status.Phase == corev1.PodUnknown:
		f.meaning = fmt.Sprintf("The node %s of the pod is lost.", name)
		f.causes = []string{"the machine is down or cannot reach the API server", "the kubelet on it has stopped or hangs"}
	default:
		return nil
	}
	return f
}

func readyCondition(node *corev1.Node) *corev1.NodeCondition {
	if node == nil {
		return nil
	}
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// findStuckTerminating returns a finding if the pod exists long after its deletion timestamp, which is the end of its grace period.
func (d *diagnoser) findStuckTerminating() *finding {
	pod := d.Pod
	if pod.DeletionTimestamp == nil {
		return nil
	}
	late := d.now.Sub(pod.DeletionTimestamp.Time)
	if late <= terminationSlack {
		return healthy // its status has no meaning while it is terminating
	}
	f := &finding{
		symptom: StuckTerminating, since: pod.DeletionTimestamp.Time,
		meaning: fmt.Sprintf("The pod should have terminated by %s and still exists.",
			formatTime(pod.DeletionTimestamp.Time)),
	}
	if len(pod.Finalizers) > 0 {
		f.causes = append(f.causes, "the finalizer "+strings.Join(pod.Finalizers, ", ")+" has not been removed by its controller")
		f.commands = append(f.commands, "kubectl -n "+pod.Namespace+" get pod "+pod.Name+" -o jsonpath='{.metadata.finalizers}'")
	}
	if event := d.latestEvent("FailedKillPod", "FailedUnmount", "FailedUnMount"); event != nil {
		f.causes = append(f.causes, "the kubelet cannot terminate it: "+shorten(event.Message))
	}
	if len(f.causes) == 0 {
		f.causes = append(f.causes,
			"the kubelet of the node "+orNone(pod.Spec.NodeName)+" cannot terminate it: a process cannot be killed, or a volume cannot be unmounted",
			"a container ignores SIGTERM, and its grace period is long")
	}
	if pod.Spec.NodeName != "" {
		f.commands = append(f.commands, "kubectl describe node "+pod.Spec.NodeName)
	}
	return f
}

func orNone(name string) string {
	if name == "" {
		return "(none)"
	}
	return name
}

// findFailed returns a finding if the pod has phase Failed.
func (d *diagnoser) findFailed() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodFailed {
		return nil
	}
	if d.isReplaced() || d.isJobDeciding(d.failedAt()) {
		return healthy
	}
	if d.isEvicted() {
		return d.newEvicted()
	}
	if f := d.findRefused(); f != nil {
		return f
	}
	for i := range pod.Status.InitContainerStatuses {
		status := &pod.Status.InitContainerStatuses[i]
		if status.State.Terminated != nil && status.State.Terminated.ExitCode != 0 && !d.isSidecar(status.Name) {
			f := d.newInitFailed(status)
			return &f
		}
	}
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		ended := status.State.Terminated
		if ended == nil || ended.ExitCode == 0 && ended.Reason != "OOMKilled" {
			continue
		}
		f := d.newEnded(status, ended)
		return &f
	}
	f := &finding{symptom: Error, meaning: "The pod failed: " + orNone(pod.Status.Reason) + ".", since: d.failedAt()}
	if pod.Status.Reason == "DeadlineExceeded" {
		f.causes = []string{"it ran longer than its activeDeadlineSeconds"}
		return f
	}
	f.causes = []string{"its status has no reason; see its events"}
	if pod.Status.Message != "" {
		f.causes = []string{quoteOf(report{message: pod.Status.Message})}
	}
	return f
}

// findRefused returns a finding if the kubelet did not admit the pod: then no container was ever created.
func (d *diagnoser) findRefused() *finding {
	status := d.Pod.Status
	if status.Reason == "" || !strings.HasPrefix(status.Message, "Pod was rejected") && !slices.Contains(refusals, status.Reason) &&
		!strings.HasPrefix(status.Reason, "OutOf") {
		return nil
	}
	f := &finding{
		symptom: Refused, since: d.failedAt(), commands: []string{"kubectl describe node " + d.Pod.Spec.NodeName},
		meaning: fmt.Sprintf("The kubelet of the node %s refused the pod (%s). It does not start anymore",
			orNone(d.Pod.Spec.NodeName), status.Reason),
	}
	if OwnerOf(d.Pod).Kind == "Pod" {
		f.meaning += ": delete it and create it again."
	} else {
		f.meaning += "; its controller makes a new one."
	}
	d.explain(f, []report{{reason: status.Reason, message: cmp.Or(status.Message, status.Reason)}})
	f.commands = append(f.commands, "kubectl get pods -A -o wide --field-selector spec.nodeName="+d.Pod.Spec.NodeName)
	return f
}

// refusals are the reasons of the kubelet for not admitting a pod: kubelet v1.37, pkg/kubelet/lifecycle, nodeshutdown, sysctl and
// cm/topologymanager. "OutOf" and the name of a resource is another one.
var refusals = []string{
	"UnexpectedAdmissionError", "UnexpectedPredicateFailureType", "NodeAffinity", "NodeName", "NodePorts", "NodeUnschedulable",
	"TaintToleration", "TopologyAffinityError", "SMTAlignmentError", "NodeShutdown", "PodOSSelectorNodeLabelDoesNotMatch",
	"PodOSNotSupported", "InvalidNodeInfo", "InitContainerRestartPolicyForbidden", "SupplementalGroupsPolicyNotSupported",
	"PodLevelResourcesNotSupported", "AppArmor", "SysctlForbidden", "VolumeAttachmentLimitExceeded", "UnknownReason",
}

// isReplaced reports whether the failure does not matter anymore: the Job of the pod completed without it, or its workload replaced it
// some time ago.
func (d *diagnoser) isReplaced() bool {
	if d.IsJobSuperseded {
		return true
	}
	if d.Job != nil {
		return d.Job.Status.CompletionTime != nil || hasJobCondition(d.Job, batchv1.JobComplete)
	}
	if owner := OwnerOf(d.Pod); owner.Kind == "Pod" || owner.Kind == "Job" {
		return false
	}
	return !d.failedAt().IsZero() && d.now.Sub(d.failedAt()) > failureRelevance
}

// isJobDeciding reports whether the Job of the pod has not decided yet whether it retries after a failure.
func (d *diagnoser) isJobDeciding(failed time.Time) bool {
	return d.Job != nil && !hasJobCondition(d.Job, batchv1.JobFailed) && d.now.Sub(failed) < jobPatience
}

// failedAt returns when the pod failed, or the zero time.
func (d *diagnoser) failedAt() time.Time {
	var at time.Time
	for _, condition := range d.Pod.Status.Conditions {
		if condition.LastTransitionTime.After(at) {
			at = condition.LastTransitionTime.Time
		}
	}
	if at.IsZero() && d.Pod.Status.StartTime != nil {
		at = d.Pod.Status.StartTime.Time
	}
	return at
}

// isEvicted reports whether the kubelet ended the pod. If its program exits with code 0, the phase is Succeeded at first, and only the
// event says that it was evicted.
func (d *diagnoser) isEvicted() bool {
	status := d.Pod.Status
	if status.Reason == "Evicted" || status.Reason == "Preempting" || strings.Contains(status.Message, "imminent node shutdown") ||
		strings.Contains(status.Message, "Node is shutting") || d.latestEvent("Evicted") != nil {
		return true
	}
	condition := conditionOf(d.Pod, corev1.DisruptionTarget)
	return condition != nil && condition.Status == corev1.ConditionTrue && condition.Reason == corev1.PodReasonTerminationByKubelet
}

func (d *diagnoser) newEvicted() *finding {
	message := d.Pod.Status.Message
	if event := d.latestEvent("Evicted"); message == "" && event != nil {
		message = event.Message
	}
	f := &finding{
		symptom: Evicted, since: d.failedAt(), meaning: "The kubelet of the node " + orNone(d.Pod.Spec.NodeName) + " evicted the pod.",
		commands: []string{"kubectl describe node " + d.Pod.Spec.NodeName},
	}
	if condition := conditionOf(d.Pod, corev1.DisruptionTarget); condition != nil {
		f.since, message = condition.LastTransitionTime.Time, cmp.Or(message, condition.Message)
	}
	d.explain(f, []report{{reason: "Evicted", message: message}})
	if pressure := pressureOf(d.Node); pressure != "" {
		f.causes = append(f.causes, "the node still has "+pressure)
	}
	if len(f.causes) == 0 {
		f.causes = []string{"the kubelet gives no reason; see the conditions and events of the node"}
	}
	return f
}

// pressureOf returns the pressure conditions of a node.
func pressureOf(node *corev1.Node) string {
	var found []string
	if node != nil {
		for _, condition := range node.Status.Conditions {
			if strings.HasSuffix(string(condition.Type), "Pressure") && condition.Status == corev1.ConditionTrue {
				found = append(found, string(condition.Type))
			}
		}
	}
	return strings.Join(found, ", ")
}

// findCreating returns a finding if the volumes or the sandbox of a scheduled pod cannot be created. The sandbox of a pod that ran may be
// gone, too: then no container runs.
func (d *diagnoser) findCreating() *finding {
	pod := d.Pod
	volume, sandbox := d.creationReports()
	since := d.startedAt()
	if len(volume) > 0 && (len(sandbox) == 0 || latest(volume).After(latest(sandbox))) {
		if d.isMoving(volume) {
			return healthy
		}
		f := &finding{symptom: VolumeMountFailed, since: since}
		f.meaning = "A volume of the pod cannot be mounted on the node " + pod.Spec.NodeName + "."
		d.explain(f, volume)
		isAttached := slices.ContainsFunc(volume, func(r report) bool { return strings.Contains(r.message, multiAttach) })
		if lost := d.lostNodes(); lost != "" && isAttached {
			f.causes = slices.Insert(f.causes, 1, "these nodes do not report, so their volumes are not detached: "+lost+
				"; if they are gone, delete them or taint them with node.kubernetes.io/out-of-service")
		}
		f.commands = append(f.commands, d.claimCommands()...)
		return f
	}
	if len(sandbox) > 0 {
		f := &finding{symptom: SandboxFailed, since: since}
		f.meaning = "The sandbox of the pod cannot be created on the node " + pod.Spec.NodeName + "."
		if pod.Status.Phase == corev1.PodRunning {
			f.meaning = "The sandbox of the pod is gone, and a new one cannot be created on the node " + pod.Spec.NodeName + "."
			f.since = first(sandbox)
		}
		d.explain(f, append(sandbox, d.nodeReports()...))
		f.commands = append(f.commands, "kubectl describe node "+pod.Spec.NodeName,
			"kubectl get pods -A -o wide --field-selector spec.nodeName="+pod.Spec.NodeName)
		return f
	}
	return nil
}

// multiAttach begins the event of a volume that another node has.
const multiAttach = "Multi-Attach error"

// creationReports returns what is said about the volumes and the sandbox of a pod whose containers are not created yet, or not again.
func (d *diagnoser) creationReports() (volume, sandbox []report) {
	pod := d.Pod
	isRunning := pod.Status.Phase == corev1.PodRunning
	if pod.Spec.NodeName == "" || pod.Status.Phase != corev1.PodPending && !isRunning {
		return nil, nil
	}
	isCreating, ended := !isRunning, time.Time{}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting, terminated := status.State.Waiting, status.State.Terminated
		switch {
		case waiting != nil && slices.Contains([]string{"", "ContainerCreating", "PodInitializing"}, waiting.Reason):
			isCreating = true
		case waiting == nil && terminated != nil && isRunning:
			if terminated.FinishedAt.After(ended) {
				ended = terminated.FinishedAt.Time
			}
		default:
			return nil, nil // sandbox and volumes exist
		}
	}
	volume = d.reports("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedMountOnFilesystemMismatch",
		"VolumePermissionChangeInProgress")
	sandbox = d.reports("FailedCreatePodSandBox", "FailedCreatePodContainer", "NetworkNotReady", "FailedPodSandBoxStatus",
		"FailedPrepareDynamicResources")
	if isRunning { // only what happened since
		isOld := func(r report) bool { return r.last.Before(ended) || d.now.Sub(r.last) > reportRelevance }
		volume, sandbox = slices.DeleteFunc(volume, isOld), slices.DeleteFunc(sandbox, isOld)
	}
	if !isCreating {
		volume = nil
	}
	return volume, sandbox
}

// reports returns the reports of the events with the reasons, without those that were not observed for long while others were.
func (d *diagnoser) reports(reasons ...string) []report {
	reports := eventReports(d.Events, func(e *corev1.Event) bool { return slices.Contains(reasons, e.Reason) })
	newest := latest(reports)
	attached := d.latestEvent("SuccessfulAttachVolume")
	return slices.DeleteFunc(reports, func(r report) bool {
		if r.reason == "FailedAttachVolume" { // the attach controller reports it once
			return attached != nil && lastObserved(attached).After(r.last)
		}
		return newest.Sub(r.last) > reportRelevance
	})
}

func latest(reports []report) time.Time {
	var at time.Time
	for _, r := range reports {
		if r.last.After(at) {
			at = r.last
		}
	}
	return at
}

func first(reports []report) time.Time {
	at := latest(reports)
	for _, r := range reports {
		if r.first.Before(at) && !r.first.IsZero() {
			at = r.first
		}
	}
	return at
}

// isMoving reports whether a volume is still being detached from the node of an earlier pod, which takes a moment.
func (d *diagnoser) isMoving(reports []report) bool {
	return d.now.Sub(first(reports)) < detachPatience && d.lostNodes() == "" &&
		!slices.ContainsFunc(reports, func(r report) bool { return !strings.Contains(r.message, multiAttach) })
}

// lostNodes returns the names of the nodes that do not report.
func (d *diagnoser) lostNodes() string {
	var names []string
	for _, node := range d.Nodes {
		if ready := readyCondition(node); ready != nil && ready.Status == corev1.ConditionUnknown {
			names = append(names, node.Name)
		}
	}
	slices.Sort(names)
	return shorten(strings.Join(names, ", "))
}

// nodeReports returns what the kubelet says about the node, if the node is not ready.
func (d *diagnoser) nodeReports() []report {
	ready := readyCondition(d.Node)
	if ready == nil || ready.Status != corev1.ConditionFalse {
		return nil
	}
	return []report{{reason: "NodeNotReady", message: ready.Message, source: "the node", first: ready.LastTransitionTime.Time}}
}

// startedAt returns when the pod was scheduled.
func (d *diagnoser) startedAt() time.Time {
	if condition := conditionOf(d.Pod, corev1.PodScheduled); condition != nil && condition.Status == corev1.ConditionTrue {
		return condition.LastTransitionTime.Time
	}
	if d.Pod.Status.StartTime != nil {
		return d.Pod.Status.StartTime.Time
	}
	return d.Pod.CreationTimestamp.Time
}

func (d *diagnoser) claimCommands() []string {
	var commands []string
	for _, c := range d.Claims {
		commands = append(commands, fmt.Sprintf("kubectl -n %s describe pvc %s", d.Pod.Namespace, c.Name))
	}
	if len(commands) > 0 {
		commands = append(commands, "kubectl get volumeattachments")
	}
	return commands
}

// findCompleted returns a finding if the pod has phase Succeeded and should be running.
func (d *diagnoser) findCompleted() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodSucceeded {
		return nil
	}
	if owner := OwnerOf(pod); pod.Spec.RestartPolicy != corev1.RestartPolicyAlways || owner.Kind == "Job" {
		return healthy
	}
	if d.isEvicted() {
		return d.newEvicted()
	}
	return &finding{
		symptom: CompletedUnexpectedly, since: d.failedAt(),
		meaning: "All containers of the pod exited with code 0. They are expected to keep running.",
		causes:  []string{"the node was shut down", "the program completes its work and exits: use a Job"},
	}
}
