package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

const (
	// terminationSlack is how long after its grace period a pod may still be there: the kubelet and the API server take
	// turns to take it away.
	terminationSlack = time.Minute
	// schedulingPatience is how long a new pod may wait for a node, and its claims for a volume: an autoscaler or a
	// provisioner needs some seconds for what will be well.
	schedulingPatience = 5 * time.Second
	// failureRelevance is how long a pod that failed and was replaced is still news.
	failureRelevance = time.Hour
)

// healthy is the finding that the pod as a whole is as it should be, whatever its containers show.
var healthy = &finding{}

// diagnosePod looks for a symptom of the pod as a whole; nil where only its containers can tell.
func (d *diagnoser) diagnosePod() []finding {
	for _, look := range []func() *finding{d.findNodeLost, d.findStuckTerminating, d.findFailed, d.findPending, d.findCreating, d.findCompleted} {
		switch f := look(); f {
		case nil:
		case healthy:
			return []finding{}
		default:
			return []finding{*f}
		}
	}
	return nil
}

// findNodeLost tells whether the pod's node is gone or does not answer.
func (d *diagnoser) findNodeLost() *finding {
	pod := d.Pod
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "NodeLost" {
		return nil
	}
	name := pod.Spec.NodeName
	also := []string{"kubectl describe node " + name, "kubectl get nodes -o wide"}
	f := &finding{symptom: NodeLost, commands: also}
	ready := readyCondition(d.Node)
	switch {
	case d.IsNodeGone:
		f.meaning = fmt.Sprintf("The node %s does not exist any more, and nobody has taken the pod away yet.", name)
		f.causes = []string{
			"the node was deleted or scaled away, and the pod is to be collected by the controller manager",
			"the pod has a finalizer, or its StatefulSet waits until somebody deletes it",
		}
	case ready != nil && ready.Status == corev1.ConditionUnknown:
		f.meaning = fmt.Sprintf("The node %s has not reported since %s: whether the pod still runs there, nobody knows.", name, ready.LastHeartbeatTime.UTC().Format("2006-01-02 15:04:05 UTC"))
		f.causes = []string{
			"the machine is down or cut off from the API server: " + shorten(ready.Reason+": "+ready.Message),
			"the kubelet on it has stopped or hangs",
		}
	case pod.Status.Reason == "NodeLost" || pod.Status.Phase == corev1.PodUnknown:
		f.meaning = fmt.Sprintf("The node %s was lost with the pod on it.", name)
		f.causes = []string{"the machine is down or cut off from the API server", "the kubelet on it has stopped or hangs"}
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

// findStuckTerminating tells whether the pod should long be gone. Its deletion timestamp is when its grace period ends.
func (d *diagnoser) findStuckTerminating() *finding {
	pod := d.Pod
	if pod.DeletionTimestamp == nil {
		return nil
	}
	late := d.now.Sub(pod.DeletionTimestamp.Time)
	if late <= terminationSlack {
		return healthy // on its way out: nothing that it still shows means anything
	}
	f := &finding{
		symptom: StuckTerminating,
		meaning: fmt.Sprintf("The pod was to be gone by %s, and is still there.", pod.DeletionTimestamp.UTC().Format("2006-01-02 15:04:05 UTC")),
	}
	in := "kubectl -n " + pod.Namespace + " "
	if len(pod.Finalizers) > 0 {
		f.causes = append(f.causes, "the finalizer "+strings.Join(pod.Finalizers, ", ")+" holds it: what has set it has not taken it away")
		f.commands = append(f.commands, in+"get pod "+pod.Name+" -o jsonpath='{.metadata.finalizers}'")
	}
	if event := d.latestEvent("FailedKillPod", "FailedUnmount", "FailedUnMount"); event != nil {
		f.causes = append(f.causes, "the kubelet cannot end it: "+shorten(event.Message))
	}
	if len(f.causes) == 0 {
		f.causes = append(f.causes,
			"the kubelet of the node "+orNone(pod.Spec.NodeName)+" does not get it ended: a process that cannot be killed, a volume that cannot be unmounted",
			"a container does not end on SIGTERM, and its grace period is long")
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

// findFailed tells of a pod that ended for good without success.
func (d *diagnoser) findFailed() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodFailed {
		return nil
	}
	if d.isReplaced() {
		return healthy
	}
	if d.isEvicted() {
		return d.newEvicted()
	}
	for i := range pod.Status.InitContainerStatuses {
		if status := &pod.Status.InitContainerStatuses[i]; status.State.Terminated != nil && status.State.Terminated.ExitCode != 0 && !d.isSidecar(status.Name) {
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
	f := &finding{symptom: Error, meaning: "The pod failed as a whole: " + orNone(shorten(strings.TrimSpace(pod.Status.Reason+" "+pod.Status.Message))) + "."}
	switch pod.Status.Reason {
	case "DeadlineExceeded":
		f.causes = []string{"it ran longer than its activeDeadlineSeconds allow"}
	case "UnexpectedAdmissionError", "NodeAffinity", "OutOfcpu", "OutOfmemory", "OutOfpods", "NodePorts":
		f.causes = []string{"the kubelet refused it, because the node had changed after the scheduler chose it: " + shorten(pod.Status.Message)}
	default:
		f.causes = []string{"what ended it stands in its events"}
	}
	return f
}

// isReplaced tells whether the failure is over: its Job goes on or succeeded without the pod, or it is old news of a
// workload that replaces its pods.
func (d *diagnoser) isReplaced() bool {
	if d.Job != nil {
		return d.Job.Status.CompletionTime != nil || hasJobCondition(d.Job, batchv1.JobComplete)
	}
	if owner := OwnerOf(d.Pod); owner.Kind == "Pod" || owner.Kind == "Job" {
		return false
	}
	return !d.failedAt().IsZero() && d.now.Sub(d.failedAt()) > failureRelevance
}

func hasJobCondition(job *batchv1.Job, kind batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == kind && c.Status == corev1.ConditionTrue })
}

// failedAt is when the pod failed, as far as it tells.
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

// isEvicted tells whether the kubelet has evicted the pod. For a moment the pod of an evicted program that ends with success
// has Succeeded and says nothing else: the event comes first.
func (d *diagnoser) isEvicted() bool {
	if d.Pod.Status.Reason == "Evicted" || d.latestEvent("Evicted") != nil {
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
		symptom: Evicted, meaning: "The kubelet of the node " + orNone(d.Pod.Spec.NodeName) + " put the pod out: " + orNone(shorten(message)),
		commands: []string{"kubectl describe node " + d.Pod.Spec.NodeName},
	}
	switch lower := strings.ToLower(message); {
	case strings.Contains(lower, "exceeds the limit") || strings.Contains(lower, "exceeds its local ephemeral") || strings.Contains(lower, "usage exceeds"):
		f.causes = []string{"it wrote more to its disk than its ephemeral-storage limit or its emptyDir's sizeLimit allows"}
	case strings.Contains(lower, "memory"):
		f.causes = []string{"the node ran out of memory, and the pod used more than it had requested", "requests are set too low for what runs on the node"}
	case strings.Contains(lower, "ephemeral-storage") || strings.Contains(lower, "disk") || strings.Contains(lower, "inodes"):
		f.causes = []string{"the node's disk ran full: images, logs or emptyDir volumes", "the pod has no ephemeral-storage request, so it is put out first"}
	case strings.Contains(lower, "pid"):
		f.causes = []string{"the node ran out of process IDs"}
	default:
		f.causes = []string{"the node ran short of a resource; its conditions and events tell which"}
	}
	return f
}

// findPending tells why a pod has no node.
func (d *diagnoser) findPending() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodPending || pod.Spec.NodeName != "" {
		return nil
	}
	if len(pod.Spec.SchedulingGates) > 0 {
		return healthy // somebody holds it back on purpose
	}
	scheduled := conditionOf(pod, corev1.PodScheduled)
	message := ""
	switch {
	case scheduled != nil && scheduled.Status == corev1.ConditionFalse:
		message = scheduled.Message
	case d.latestEvent("FailedScheduling") != nil:
		message = d.latestEvent("FailedScheduling").Message
	case d.now.Sub(pod.CreationTimestamp.Time) < time.Minute:
		return healthy // nobody has looked at it yet
	default:
		return &finding{
			symptom: Unschedulable, meaning: "No scheduler has looked at the pod.",
			causes:   []string{"the scheduler " + schedulerOf(pod) + " that it asks for does not run", "the scheduler has no leader or hangs"},
			commands: []string{"kubectl -n kube-system get pods,leases | grep scheduler"},
		}
	}
	if d.now.Sub(pod.CreationTimestamp.Time) < schedulingPatience {
		return healthy
	}
	if f := d.findUnboundClaim(message); f != nil {
		return f
	}
	causes := schedulingCauses(message)
	return &finding{
		symptom: Unschedulable, meaning: "No node takes the pod: " + orNone(shorten(message)), causes: causes,
		commands: []string{"kubectl get nodes -o wide", "kubectl describe nodes | grep -A8 'Allocated resources'"},
	}
}

func schedulerOf(pod *corev1.Pod) string {
	if pod.Spec.SchedulerName == "" {
		return corev1.DefaultSchedulerName
	}
	return pod.Spec.SchedulerName
}

// schedulingReasons takes the scheduler's message apart: "0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had …".
var schedulingReasons = regexp.MustCompile(`(\d+) ([^,]+?)(?:,|\.(?: |$)|$)`)

// schedulingMeanings say in words what to do about what the scheduler says of nodes.
var schedulingMeanings = []struct{ says, means string }{
	{"Insufficient cpu", "they have less free CPU than it requests: lower the request, free some or add nodes"},
	{"Insufficient memory", "they have less free memory than it requests: lower the request, free some or add nodes"},
	{"Insufficient ephemeral-storage", "they have less free ephemeral storage than it requests"},
	{"Insufficient", "they lack a resource that it requests, for instance a device whose plugin does not run"},
	{"Too many pods", "they run as many pods as their kubelet allows"},
	{"untolerated taint", "they carry a taint that it does not tolerate"},
	{"didn't match Pod's node affinity/selector", "they do not have the labels that its nodeSelector or node affinity asks for"},
	{"were unschedulable", "they are cordoned"},
	{"didn't match pod anti-affinity", "they run pods that its anti-affinity keeps away from"},
	{"didn't match pod affinity", "they do not run the pods that its affinity asks for"},
	{"didn't match pod topology spread", "they would make the spread uneven that its topologySpreadConstraints ask for"},
	{"free ports", "the host port that it asks for is taken there"},
	{"volume node affinity conflict", "the volume that it is bound to is reachable from other nodes only, often of another zone"},
	{"exceed max volume count", "they have as many volumes attached as they can"},
	{"not match requested topology", "its volume cannot be made in their zone"},
}

// schedulingCauses ranks what the scheduler says by the number of nodes that it says it of.
func schedulingCauses(message string) []string {
	type cause struct {
		nodes int
		text  string
	}
	var found []cause
	_, list, _ := strings.Cut(message, ": ")
	list, _, _ = strings.Cut(list, " preemption:")
	for _, match := range schedulingReasons.FindAllStringSubmatch(list, -1) {
		nodes := 0
		_, _ = fmt.Sscan(match[1], &nodes)
		said := strings.TrimSuffix(strings.TrimSpace(match[2]), ".")
		for _, word := range schedulingMeanings {
			if strings.Contains(said, word.says) {
				found = append(found, cause{nodes, fmt.Sprintf("%d of the nodes: %s (%s)", nodes, word.means, shorten(said))})
				break
			}
		}
	}
	slices.SortStableFunc(found, func(a, b cause) int { return b.nodes - a.nodes })
	var causes []string
	for _, c := range found {
		causes = append(causes, c.text)
	}
	switch {
	case len(causes) > 0:
		return causes
	case strings.Contains(message, "no nodes available"):
		return []string{"the cluster has no nodes that pods may be put on"}
	case strings.Contains(message, "quota"):
		return []string{"a quota forbids it: " + shorten(message)}
	}
	return []string{"what the scheduler says: " + shorten(message)}
}

// findUnboundClaim tells whether it is a claim that keeps the pod from a node.
func (d *diagnoser) findUnboundClaim(message string) *finding {
	var bad *Claim
	for i := range d.Claims {
		c := &d.Claims[i]
		if !c.IsUnreadable && (c.Claim == nil || c.Claim.Status.Phase != corev1.ClaimBound) {
			bad = c
			break
		}
	}
	spoken := strings.Contains(message, "PersistentVolumeClaim") || strings.Contains(message, "persistentvolumeclaim") || strings.Contains(message, "persistent volumes")
	if !spoken {
		return nil // an unbound claim whose volume is made once the pod has a node is not what keeps it from one
	}
	if bad == nil {
		return &finding{symptom: VolumeClaimUnbound, meaning: "A claim of the pod has no volume: " + shorten(message), causes: []string{shorten(message)}}
	}
	f := &finding{symptom: VolumeClaimUnbound, commands: []string{fmt.Sprintf("kubectl -n %s describe pvc %s", d.Pod.Namespace, bad.Name), "kubectl get storageclasses,csidrivers"}}
	if bad.Claim == nil {
		f.meaning = fmt.Sprintf("The pod mounts the PersistentVolumeClaim %s, and there is none of this name in %s.", bad.Name, d.Pod.Namespace)
		f.causes = []string{"the claim was not made, was deleted, or is called differently"}
		f.commands = []string{fmt.Sprintf("kubectl -n %s get pvc", d.Pod.Namespace)}
		return f
	}
	f.meaning = fmt.Sprintf("The PersistentVolumeClaim %s has no volume (%s), so the pod cannot start.", bad.Name, bad.Claim.Status.Phase)
	f.causes = claimCauses(bad)
	return f
}

func claimCauses(c *Claim) []string {
	var causes []string
	if event := latestEvent(c.Events, "ProvisioningFailed", "FailedBinding"); event != nil {
		causes = append(causes, shorten(event.Message))
	}
	wanted := c.Claim.Spec.StorageClassName
	switch {
	case c.Claim.Status.Phase == corev1.ClaimLost:
		causes = append(causes, "the volume that it was bound to, "+c.Claim.Spec.VolumeName+", does not exist any more")
	case wanted == nil:
		causes = append(causes, "it names no StorageClass, and when it was made none was the default")
	case *wanted == "":
		causes = append(causes, "it asks for a volume made by hand (storageClassName is empty), and none fits its size and access modes")
	case c.Class == nil:
		causes = append(causes, "its StorageClass "+*wanted+" does not exist")
	case c.Class.Provisioner == "kubernetes.io/no-provisioner":
		causes = append(causes, "its StorageClass "+*wanted+" makes no volumes, and none made by hand fits its size, access modes and node")
	case c.Class.VolumeBindingMode != nil && *c.Class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer:
		causes = append(causes, "the volume is made once the pod has a node, and the provisioner "+c.Class.Provisioner+" did not make it")
	default:
		causes = append(causes, "the provisioner "+c.Class.Provisioner+" of the StorageClass "+*wanted+" does not run, or cannot make the volume")
	}
	return causes
}

// findCreating tells what keeps the containers of a pod on a node from being made.
func (d *diagnoser) findCreating() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodPending || pod.Spec.NodeName == "" {
		return nil
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if waiting := status.State.Waiting; waiting == nil || waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" && waiting.Reason != "" {
			return nil // past the sandbox and the volumes: the containers tell
		}
	}
	volume := d.latestEvent("FailedMount", "FailedAttachVolume", "FailedMapVolume")
	sandbox := d.latestEvent("FailedCreatePodSandBox", "NetworkNotReady", "FailedPodSandBoxStatus")
	if volume != nil && (sandbox == nil || lastObserved(volume).After(lastObserved(sandbox))) {
		return &finding{
			symptom: VolumeMountFailed, meaning: "A volume of the pod cannot be mounted on " + pod.Spec.NodeName + ": " + shorten(volume.Message),
			causes: mountCauses(volume.Message), commands: d.claimCommands(),
		}
	}
	if sandbox != nil {
		return &finding{
			symptom: SandboxFailed, meaning: "The pod's sandbox with its network cannot be made on " + pod.Spec.NodeName + ": " + shorten(sandbox.Message),
			causes:   sandboxCauses(sandbox.Message),
			commands: []string{"kubectl describe node " + pod.Spec.NodeName, "kubectl get pods -A -o wide --field-selector spec.nodeName=" + pod.Spec.NodeName},
		}
	}
	return nil
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

// notFoundPattern finds what a message of the kubelet says is not there.
var notFoundPattern = regexp.MustCompile(`(?i)(configmap|secret|persistentvolumeclaim)s? "([^"]+)" not found`)

func mountCauses(message string) []string {
	if found := notFoundPattern.FindStringSubmatch(message); found != nil {
		return []string{"the " + kindName(found[1]) + " " + found[2] + " that it mounts does not exist in its namespace"}
	}
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "multi-attach"):
		return []string{"the volume is still attached to another node, where a pod holds it or the node is lost", "a volume for one node (ReadWriteOnce) is asked for on two"}
	case strings.Contains(lower, "references non-existent") && strings.Contains(lower, "key"):
		return []string{"a key that it mounts is not in the ConfigMap or Secret"}
	case strings.Contains(lower, "driver name") && strings.Contains(lower, "not found"):
		return []string{"the CSI driver's node plugin does not run on the node"}
	case strings.Contains(lower, "hostpath type check failed"):
		return []string{"the path on the node is not there, or is not what the hostPath's type asks for"}
	case strings.Contains(lower, "permission denied") || strings.Contains(lower, "access denied"):
		return []string{"the storage refuses the node: export rules, credentials or keys"}
	case strings.Contains(lower, "timed out"):
		return []string{"the storage does not answer from the node: network, the CSI driver's node plugin, or a volume still attached elsewhere"}
	}
	return []string{shorten(message)}
}

func kindName(kind string) string {
	switch strings.ToLower(kind) {
	case "configmap":
		return "ConfigMap"
	case "secret":
		return "Secret"
	}
	return "PersistentVolumeClaim"
}

func sandboxCauses(message string) []string {
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "no ip") || strings.Contains(lower, "ip addresses available") || strings.Contains(lower, "failed to allocate for range"):
		return []string{"the address range of the node or subnet is used up"}
	case strings.Contains(lower, "cni") || strings.Contains(lower, "network"):
		return []string{"the CNI plugin does not run on the node or is not configured there: look at its DaemonSet", "the plugin fails: " + shorten(message)}
	case strings.Contains(lower, "runtimeclass") || strings.Contains(lower, "no runtime for") || strings.Contains(lower, "runtime handler"):
		return []string{"the runtime that its RuntimeClass names is not set up on the node"}
	case strings.Contains(lower, "sandbox image") || strings.Contains(lower, "pause"):
		return []string{"the sandbox image (pause) cannot be pulled on the node"}
	}
	return []string{"the container runtime on the node fails: " + shorten(message)}
}

// findCompleted tells of a pod that ended well and should run.
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
		symptom: CompletedUnexpectedly, meaning: "Every container of the pod ended with success, where they should run for as long as the pod is there.",
		causes: []string{"the node shut down, or the pod was ended with it", "the program does its work and ends: it belongs into a Job"},
	}
}
