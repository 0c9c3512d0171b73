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
	// terminationSlack is how long after its grace period a pod may still exist.
	terminationSlack = time.Minute
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
	f := &finding{symptom: NodeLost, commands: commands}
	ready := readyCondition(d.Node)
	switch {
	case d.IsNodeGone:
		f.meaning = fmt.Sprintf("The node %s does not exist anymore, and the pod has not been deleted yet.", name)
		f.causes = []string{
			"the node was deleted or scaled down, and the controller manager has not deleted the pod yet",
			"the pod has a finalizer, or its StatefulSet waits until the pod is deleted",
		}
	case ready != nil && ready.Status == corev1.ConditionUnknown:
		f.meaning = fmt.Sprintf("The node %s has not reported since %s. The state of the pod is unknown.",
			name, ready.LastHeartbeatTime.UTC().Format("2006-01-02 15:04:05 UTC"))
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
		symptom: StuckTerminating,
		meaning: fmt.Sprintf("The pod should have terminated by %s and still exists.",
			pod.DeletionTimestamp.UTC().Format("2006-01-02 15:04:05 UTC")),
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
	if d.isReplaced() {
		return healthy
	}
	if d.isEvicted() {
		return d.newEvicted()
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
	message := strings.TrimSpace(pod.Status.Reason + " " + pod.Status.Message)
	f := &finding{symptom: Error, meaning: "The pod failed: " + orNone(shorten(message)) + "."}
	switch pod.Status.Reason {
	case "DeadlineExceeded":
		f.causes = []string{"it ran longer than its activeDeadlineSeconds"}
	case "UnexpectedAdmissionError", "NodeAffinity", "OutOfcpu", "OutOfmemory", "OutOfpods", "NodePorts":
		f.causes = []string{
			"the kubelet rejected the pod, because the node changed after the scheduler chose it: " + shorten(pod.Status.Message),
		}
	default:
		f.causes = []string{"unknown; see its events"}
	}
	return f
}

// isReplaced reports whether the failure does not matter anymore: the Job of the pod completed without it, or its workload replaced it
// some time ago.
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
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
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

// isEvicted reports whether the kubelet evicted the pod. If its program exits with code 0, the phase is Succeeded at first, and only the
// event says that it was evicted.
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
		symptom:  Evicted,
		meaning:  "The kubelet of the node " + orNone(d.Pod.Spec.NodeName) + " evicted the pod: " + orNone(shorten(message)),
		commands: []string{"kubectl describe node " + d.Pod.Spec.NodeName},
	}
	switch lower := strings.ToLower(message); {
	case containsAny(lower, "exceeds the limit", "exceeds its local ephemeral", "usage exceeds"):
		f.causes = []string{"it wrote more than its ephemeral-storage limit or the sizeLimit of its emptyDir allows"}
	case strings.Contains(lower, "memory"):
		f.causes = []string{
			"the node ran out of memory, and the pod used more than it requests",
			"the memory requests of the pods on the node are too low",
		}
	case containsAny(lower, "ephemeral-storage", "disk", "inodes"):
		f.causes = []string{
			"the disk of the node is full: images, logs or emptyDir volumes",
			"the pod has no ephemeral-storage request, so it is evicted first",
		}
	case strings.Contains(lower, "pid"):
		f.causes = []string{"the node ran out of process IDs"}
	default:
		f.causes = []string{"the node ran short of a resource; see its conditions and events"}
	}
	return f
}

// findPending returns a finding if the pod is not scheduled.
func (d *diagnoser) findPending() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodPending || pod.Spec.NodeName != "" {
		return nil
	}
	if len(pod.Spec.SchedulingGates) > 0 {
		return healthy // not scheduled on purpose
	}
	scheduled := conditionOf(pod, corev1.PodScheduled)
	message := ""
	switch {
	case scheduled != nil && scheduled.Status == corev1.ConditionFalse:
		message = scheduled.Message
	case d.latestEvent("FailedScheduling") != nil:
		message = d.latestEvent("FailedScheduling").Message
	case d.now.Sub(pod.CreationTimestamp.Time) < time.Minute:
		return healthy // the scheduler has not handled it yet
	default:
		return &finding{
			symptom: Unschedulable, meaning: "No scheduler has handled the pod.",
			causes:   []string{"the scheduler " + schedulerOf(pod) + " is not running", "the scheduler has no leader or hangs"},
			commands: []string{"kubectl -n kube-system get pods,leases | grep scheduler"},
		}
	}
	if d.now.Sub(pod.CreationTimestamp.Time) < schedulingPatience {
		return healthy
	}
	if f := d.findUnboundClaim(message); f != nil {
		return f
	}
	return &finding{
		symptom: Unschedulable, meaning: "No node fits the pod: " + orNone(shorten(message)), causes: schedulingCauses(message),
		commands: []string{"kubectl get nodes -o wide", "kubectl describe nodes | grep -A8 'Allocated resources'"},
	}
}

func schedulerOf(pod *corev1.Pod) string {
	if pod.Spec.SchedulerName == "" {
		return corev1.DefaultSchedulerName
	}
	return pod.Spec.SchedulerName
}

// schedulingReasons matches the reasons in the message of the scheduler: "0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had …".
var schedulingReasons = regexp.MustCompile(`(\d+) ([^,]+?)(?:,|\.(?: |$)|$)`)

// schedulingMeanings maps the reasons of the scheduler to causes.
var schedulingMeanings = []struct{ reason, meaning string }{
	{"Insufficient cpu", "less free CPU than the pod requests: lower the request, free CPU or add nodes"},
	{"Insufficient memory", "less free memory than the pod requests: lower the request, free memory or add nodes"},
	{"Insufficient ephemeral-storage", "less free ephemeral storage than the pod requests"},
	{"Insufficient", "not enough of a resource that the pod requests, for example because a device plugin is not running"},
	{"Too many pods", "the kubelet runs its maximum number of pods"},
	{"untolerated taint", "a taint that the pod does not tolerate"},
	{"didn't match Pod's node affinity/selector", "no labels that match the nodeSelector or node affinity of the pod"},
	{"were unschedulable", "cordoned"},
	{"didn't match pod anti-affinity", "pods that the anti-affinity of the pod excludes"},
	{"didn't match pod affinity", "no pods that match the affinity of the pod"},
	{"didn't match pod topology spread", "the topologySpreadConstraints of the pod would be violated"},
	{"free ports", "the host port of the pod is in use"},
	{"volume node affinity conflict", "the volume of the pod is only reachable from other nodes, often in another zone"},
	{"exceed max volume count", "the maximum number of volumes is attached"},
	{"not match requested topology", "the volume of the pod cannot be provisioned in the zone of the node"},
}

// schedulingCauses returns the causes in the message of the scheduler, sorted by the number of nodes.
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
		reason := strings.TrimSuffix(strings.TrimSpace(match[2]), ".")
		for _, known := range schedulingMeanings {
			if strings.Contains(reason, known.reason) {
				found = append(found, cause{nodes, fmt.Sprintf("%d of the nodes: %s (%s)", nodes, known.meaning, shorten(reason))})
				break
			}
		}
	}
	slices.SortStableFunc(found, func(a, b cause) int { return b.nodes - a.nodes })
	causes := make([]string, 0, len(found))
	for _, c := range found {
		causes = append(causes, c.text)
	}
	switch {
	case len(causes) > 0:
		return causes
	case strings.Contains(message, "no nodes available"):
		return []string{"the cluster has no schedulable nodes"}
	case strings.Contains(message, "quota"):
		return []string{"a quota is exceeded: " + shorten(message)}
	}
	return []string{"the message of the scheduler: " + shorten(message)}
}

// findUnboundClaim returns a finding if the pod cannot be scheduled because of a claim.
func (d *diagnoser) findUnboundClaim(message string) *finding {
	var unbound *Claim
	for i := range d.Claims {
		c := &d.Claims[i]
		if !c.IsUnreadable && (c.Claim == nil || c.Claim.Status.Phase != corev1.ClaimBound) {
			unbound = c
			break
		}
	}
	isAboutClaim := containsAny(message, "PersistentVolumeClaim", "persistentvolumeclaim", "persistent volumes")
	if !isAboutClaim {
		return nil // a volume may be provisioned after the pod is scheduled
	}
	if unbound == nil {
		message = shorten(message)
		return &finding{
			symptom: VolumeClaimUnbound,
			meaning: "A PersistentVolumeClaim of the pod is not bound: " + message,
			causes:  []string{message},
		}
	}
	f := &finding{symptom: VolumeClaimUnbound, commands: []string{
		fmt.Sprintf("kubectl -n %s describe pvc %s", d.Pod.Namespace, unbound.Name), "kubectl get storageclasses,csidrivers",
	}}
	if unbound.Claim == nil {
		f.meaning = fmt.Sprintf("The pod mounts the PersistentVolumeClaim %s, which does not exist in %s.", unbound.Name, d.Pod.Namespace)
		f.causes = []string{"the claim was not created, was deleted, or has another name"}
		f.commands = []string{fmt.Sprintf("kubectl -n %s get pvc", d.Pod.Namespace)}
		return f
	}
	f.meaning = fmt.Sprintf("The PersistentVolumeClaim %s is not bound (%s), so the pod cannot start.",
		unbound.Name, unbound.Claim.Status.Phase)
	f.causes = claimCauses(unbound)
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
		causes = append(causes, "its volume "+c.Claim.Spec.VolumeName+" does not exist anymore")
	case wanted == nil:
		causes = append(causes, "it has no storageClassName, and there was no default StorageClass when it was created")
	case *wanted == "":
		causes = append(causes, "it requires an existing volume (storageClassName is empty), and none matches its size and access modes")
	case c.Class == nil:
		causes = append(causes, "its StorageClass "+*wanted+" does not exist")
	case c.Class.Provisioner == "kubernetes.io/no-provisioner":
		causes = append(causes,
			"its StorageClass "+*wanted+" does not provision volumes, and no existing volume matches its size, access modes and node")
	case c.Class.VolumeBindingMode != nil && *c.Class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer:
		causes = append(causes,
			"the volume is provisioned after the pod is scheduled, and the provisioner "+c.Class.Provisioner+" has not provisioned it")
	default:
		causes = append(causes,
			"the provisioner "+c.Class.Provisioner+" of the StorageClass "+*wanted+" is not running, or cannot provision the volume")
	}
	return causes
}

// findCreating returns a finding if the volumes or the sandbox of a scheduled pod cannot be created.
func (d *diagnoser) findCreating() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodPending || pod.Spec.NodeName == "" {
		return nil
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting := status.State.Waiting
		if waiting == nil || !slices.Contains([]string{"", "ContainerCreating", "PodInitializing"}, waiting.Reason) {
			return nil // sandbox and volumes exist
		}
	}
	volume := d.latestEvent("FailedMount", "FailedAttachVolume", "FailedMapVolume")
	sandbox := d.latestEvent("FailedCreatePodSandBox", "NetworkNotReady", "FailedPodSandBoxStatus")
	if volume != nil && (sandbox == nil || lastObserved(volume).After(lastObserved(sandbox))) {
		return &finding{
			symptom: VolumeMountFailed,
			meaning: "A volume of the pod cannot be mounted on the node " + pod.Spec.NodeName + ": " + shorten(volume.Message),
			causes:  mountCauses(volume.Message), commands: d.claimCommands(),
		}
	}
	if sandbox != nil {
		return &finding{
			symptom: SandboxFailed,
			meaning: "The network sandbox of the pod cannot be created on the node " + pod.Spec.NodeName + ": " + shorten(sandbox.Message),
			causes:  sandboxCauses(sandbox.Message),
			commands: []string{
				"kubectl describe node " + pod.Spec.NodeName,
				"kubectl get pods -A -o wide --field-selector spec.nodeName=" + pod.Spec.NodeName,
			},
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

// notFoundPattern matches the object that the kubelet does not find.
var notFoundPattern = regexp.MustCompile(`(?i)(configmap|secret|persistentvolumeclaim)s? "([^"]+)" not found`)

func mountCauses(message string) []string {
	if found := notFoundPattern.FindStringSubmatch(message); found != nil {
		return []string{"the " + kindName(found[1]) + " " + found[2] + " that it mounts does not exist in its namespace"}
	}
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "multi-attach"):
		return []string{
			"the volume is still attached to another node, where a pod uses it or the node is lost",
			"pods on two nodes use a volume for one node (ReadWriteOnce)",
		}
	case strings.Contains(lower, "references non-existent") && strings.Contains(lower, "key"):
		return []string{"a key that it mounts is not in the ConfigMap or Secret"}
	case strings.Contains(lower, "driver name") && strings.Contains(lower, "not found"):
		return []string{"the node plugin of the CSI driver is not running on the node"}
	case strings.Contains(lower, "hostpath type check failed"):
		return []string{"the path does not exist on the node, or does not have the type of the hostPath"}
	case containsAny(lower, "permission denied", "access denied"):
		return []string{"the storage denies access to the node: check export rules, credentials and keys"}
	case strings.Contains(lower, "timed out"):
		return []string{
			"the storage does not respond: check the network, the node plugin of the CSI driver, and whether the volume is attached to another node",
		}
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
	case containsAny(lower, "no ip", "ip addresses available", "failed to allocate for range"):
		return []string{"the address range of the node or subnet is exhausted"}
	case containsAny(lower, "cni", "network"):
		return []string{
			"the CNI plugin is not running or not configured on the node: check its DaemonSet",
			"the plugin fails: " + shorten(message),
		}
	case containsAny(lower, "runtimeclass", "no runtime for", "runtime handler"):
		return []string{"the handler of its RuntimeClass is not configured on the node"}
	case containsAny(lower, "sandbox image", "pause"):
		return []string{"the sandbox image (pause) cannot be pulled on the node"}
	}
	return []string{"the container runtime on the node fails: " + shorten(message)}
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
		symptom: CompletedUnexpectedly, meaning: "All containers of the pod exited with code 0. They are expected to keep running.",
		causes: []string{"the node was shut down", "the program completes its work and exits: use a Job"},
	}
}
