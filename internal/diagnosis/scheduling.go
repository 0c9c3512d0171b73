package diagnosis

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// scaleUpPatience is how long the machine of a new node may take after the autoscaler asked for it.
const scaleUpPatience = 5 * time.Minute

// gatePatience is how long a scheduling gate may stay. The controllers that use one remove it within seconds.
const gatePatience = time.Minute

// findPending returns a finding if the pod is not scheduled.
func (d *diagnoser) findPending() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodPending || pod.Spec.NodeName != "" {
		return nil
	}
	if len(pod.Spec.SchedulingGates) > 0 {
		return d.findGated()
	}
	age := d.now.Sub(pod.CreationTimestamp.Time)
	scheduled := conditionOf(pod, corev1.PodScheduled)
	message, since := "", pod.CreationTimestamp.Time
	switch event := d.latestEvent("FailedScheduling"); {
	case scheduled != nil && scheduled.Status == corev1.ConditionFalse:
		message, since = scheduled.Message, scheduled.LastTransitionTime.Time
	case event != nil:
		message, since = event.Message, firstObserved(event)
	case age < time.Minute:
		return healthy // the scheduler has not handled it yet
	default:
		scheduler := cmp.Or(pod.Spec.SchedulerName, corev1.DefaultSchedulerName)
		return &finding{
			symptom: Unschedulable, meaning: "No scheduler has handled the pod.", since: since,
			causes:   []string{"the scheduler " + scheduler + " is not running, has no leader or hangs"},
			commands: []string{"kubectl -n kube-system get pods,leases | grep scheduler"},
		}
	}
	if age < schedulingPatience || d.isScalingUp() {
		return healthy
	}
	f := &finding{symptom: Unschedulable, meaning: "No node fits the pod.", since: since}
	if node := pinnedNode(pod); node != "" {
		f.meaning = "The pod must run on the node " + node + ", which does not fit it."
		f.commands = append(f.commands, "kubectl describe node "+node)
	}
	isUnbound := d.explainClaims(f, message)
	d.explainScheduling(f, message)
	if !isUnbound {
		f.commands = append(f.commands, "kubectl get nodes -o wide", "kubectl describe nodes | grep -A8 'Allocated resources'")
	}
	return f
}

// isScalingUp reports whether an autoscaler is adding a node for the pod: cluster-autoscaler, or karpenter.
func (d *diagnoser) isScalingUp() bool {
	event := d.latestEvent("TriggeredScaleUp", "Nominated")
	return event != nil && d.now.Sub(lastObserved(event)) < scaleUpPatience
}

// findGated returns a finding if nobody removes the scheduling gates of a pod. Kueue keeps its own until its queue has room.
func (d *diagnoser) findGated() *finding {
	var gates []string
	for _, gate := range d.Pod.Spec.SchedulingGates {
		if !strings.HasPrefix(gate.Name, "kueue.x-k8s.io/") {
			gates = append(gates, gate.Name)
		}
	}
	if len(gates) == 0 || d.now.Sub(d.Pod.CreationTimestamp.Time) < gatePatience {
		return healthy
	}
	return &finding{
		symptom: Unschedulable, since: d.Pod.CreationTimestamp.Time,
		meaning: "The scheduler does not handle the pod before its scheduling gates are removed.",
		causes: []string{
			"nobody has removed the scheduling gate " + shorten(strings.Join(gates, ", ")) +
				": its controller does not run, or does not know the pod",
		},
		commands: []string{"kubectl -n " + d.Pod.Namespace + " get pod " + d.Pod.Name + " -o jsonpath='{.spec.schedulingGates}'"},
	}
}

// pinnedNode returns the only node that a pod may run on, as that of a DaemonSet; empty if there is none.
func pinnedNode(pod *corev1.Pod) string {
	affinity := pod.Spec.Affinity
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	name := ""
	for _, term := range affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, field := range term.MatchFields {
			if field.Key == "metadata.name" && field.Operator == corev1.NodeSelectorOpIn && len(field.Values) == 1 {
				name = field.Values[0]
			}
		}
	}
	if !areSafeNames(name) {
		return ""
	}
	return name
}

// schedulingReasons matches the reasons in the message of the scheduler: "0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had …".
var schedulingReasons = regexp.MustCompile(`(\d+) ([^,]+?)(?:,|\.(?: |$)|$)`)

// explainScheduling adds the causes in the message of the scheduler, sorted by the number of nodes. The reasons of other nodes than the one
// that a pod is pinned to come last: most of them run a pod of the same DaemonSet.
func (d *diagnoser) explainScheduling(f *finding, message string) {
	type part struct {
		nodes   int
		isNoise bool
		cause   string
	}
	var parts []part
	hasClaimCause := len(f.causes) > 0
	isPinned := pinnedNode(d.Pod) != ""
	for _, counted := range countedReasons(message) {
		if hasClaimCause && aboutClaims.MatchString(counted.reason) {
			continue
		}
		g := &finding{symptom: Unschedulable}
		d.explain(g, []report{{reason: "FailedScheduling", message: counted.reason, source: "the scheduler"}})
		p := part{
			counted.nodes, isPinned && (strings.Contains(counted.reason, "affinity/selector") || strings.Contains(counted.reason, "free ports")),
			fmt.Sprintf("%d of the nodes: %s", counted.nodes, g.causes[0]),
		}
		if strings.Contains(counted.reason, "taint") {
			p.cause += d.fittingTaints()
		}
		parts, f.commands = append(parts, p), append(f.commands, g.commands...)
	}
	slices.SortStableFunc(parts, func(a, b part) int {
		switch {
		case a.isNoise == b.isNoise:
			return b.nodes - a.nodes
		case a.isNoise:
			return 1
		}
		return -1
	})
	relevant := slices.IndexFunc(parts, func(p part) bool { return p.isNoise })
	if node := pinnedNode(d.Pod); isPinned && (relevant == 1 || len(parts) == 1) { // the one reason left is that of the node
		_, cause, _ := strings.Cut(parts[0].cause, ": ")
		parts[0].cause = "the node " + node + ": " + cause
	}
	for _, p := range parts {
		f.causes = append(f.causes, p.cause)
	}
	f.causes = unique(f.causes)
	reports := d.reports("FailedResourceClaimCreation")
	switch {
	case len(parts) > 1:
		f.causes = append(f.causes[:min(2, len(f.causes))], quoteOf(report{message: message, source: "the scheduler"}))
	case len(f.causes) == 0:
		g := &finding{symptom: Unschedulable}
		d.explain(g, append(reports, report{reason: "FailedScheduling", message: message, source: "the scheduler"}))
		f.causes, f.commands = g.causes, append(f.commands, g.commands...)
	}
	if refused := d.reports("NotTriggerScaleUp"); len(refused) > 0 {
		g := &finding{symptom: Unschedulable}
		d.explain(g, refused)
		f.causes = append(f.causes, g.causes[0])
	}
}

type countedReason struct {
	nodes  int
	reason string
}

// countedReasons returns the reasons of the scheduler that say of how many nodes they are.
func countedReasons(message string) []countedReason {
	nodes, list, _ := strings.Cut(message, ": ")
	list, _, _ = strings.Cut(list, " preemption:")
	if !strings.HasSuffix(nodes, "nodes are available") || list == "" || list[0] < '0' || list[0] > '9' {
		return nil
	}
	var found []countedReason
	for _, match := range schedulingReasons.FindAllStringSubmatch(list, -1) {
		count, _ := strconv.Atoi(match[1])
		found = append(found, countedReason{count, strings.TrimSuffix(strings.TrimSpace(match[2]), ".")})
	}
	return found
}

// fittingTaints returns the taints of the nodes that the pod could otherwise run on.
func (d *diagnoser) fittingTaints() string {
	nodes := map[string][]string{}
	var taints []string
	required := nodeaffinity.GetRequiredNodeAffinity(d.Pod)
	for _, node := range d.Nodes {
		if fits, err := required.Match(node); err != nil || !fits {
			continue
		}
		for i := range node.Spec.Taints {
			taint := &node.Spec.Taints[i]
			isTolerated := slices.ContainsFunc(d.Pod.Spec.Tolerations, func(t corev1.Toleration) bool {
				return t.ToleratesTaint(klog.Background(), taint, true)
			})
			if taint.Effect == corev1.TaintEffectPreferNoSchedule || isTolerated {
				continue
			}
			name := taint.ToString()
			if nodes[name] == nil {
				taints = append(taints, name)
			}
			nodes[name] = append(nodes[name], node.Name)
		}
	}
	slices.SortStableFunc(taints, func(a, b string) int { return cmp.Or(len(nodes[b])-len(nodes[a]), strings.Compare(a, b)) })
	const maxTaints = 3
	texts := make([]string, 0, maxTaints)
	for _, taint := range taints[:min(maxTaints, len(taints))] {
		slices.Sort(nodes[taint])
		text := taint + " on " + nodes[taint][0]
		if more := len(nodes[taint]) - 1; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		if entry, _ := find(Unschedulable, report{reason: "Taint", message: taint}); entry != nil {
			e := explain(Unschedulable, nil, []report{{reason: "Taint", message: taint}})
			text += " (" + e.causes[0] + ")"
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return ""
	}
	return ": " + shorten(strings.Join(texts, "; "))
}

// aboutClaims matches messages of the scheduler about claims that are not bound.
var aboutClaims = regexp.MustCompile(
	`(?i)persistentvolumeclaim|persistent volumes|binding volumes|pvc\(s\)|enough free storage|"VolumeBinding"`)

// explainClaims adds why a claim of the pod is not bound, and reports whether the scheduler says that it is not.
func (d *diagnoser) explainClaims(f *finding, message string) bool {
	if !aboutClaims.MatchString(message) || strings.Contains(message, "ReadWriteOncePod") {
		return false // a volume may be provisioned after the pod is scheduled
	}
	f.symptom, f.meaning = VolumeClaimUnbound, "A PersistentVolumeClaim of the pod is not bound, so the pod cannot start."
	index := slices.IndexFunc(d.Claims, func(c Claim) bool {
		return !c.IsUnreadable && (c.Claim == nil || c.Claim.Status.Phase != corev1.ClaimBound)
	})
	if index < 0 {
		return true
	}
	unbound := &d.Claims[index]
	describe := fmt.Sprintf("kubectl -n %s describe pvc %s", d.Pod.Namespace, unbound.Name)
	if unbound.Claim == nil {
		f.meaning = fmt.Sprintf("The pod mounts the PersistentVolumeClaim %s, which does not exist in %s.", unbound.Name, d.Pod.Namespace)
		f.causes = []string{"the claim was not created, was deleted, or has another name"}
		f.commands = append(f.commands, fmt.Sprintf("kubectl -n %s get pvc", d.Pod.Namespace))
		return true
	}
	f.meaning = fmt.Sprintf("The PersistentVolumeClaim %s is not bound (%s), so the pod cannot start.",
		unbound.Name, unbound.Claim.Status.Phase)
	f.commands = append(f.commands, describe)
	d.explain(f, eventReports(unbound.Events, func(*corev1.Event) bool { return true }))
	if len(f.causes) < 2 { // nothing, or a text that no entry is for
		f.causes = append(f.causes, classCause(unbound))
	}
	f.commands = append(f.commands, "kubectl get storageclasses,csidrivers", "kubectl get pv")
	return true
}

// classCause returns what is wrong with the StorageClass of a claim, or who must make its volume.
func classCause(c *Claim) string {
	switch wanted := c.Claim.Spec.StorageClassName; {
	case c.Claim.Status.Phase == corev1.ClaimLost:
		return "its volume " + c.Claim.Spec.VolumeName + " does not exist anymore"
	case wanted == nil:
		return "it has no storageClassName, and there was no default StorageClass when it was created"
	case *wanted == "":
		return "it requires an existing volume (storageClassName is empty), and none matches its size and access modes"
	case c.Class == nil:
		return "its StorageClass " + *wanted + " does not exist"
	case c.Class.Provisioner == "kubernetes.io/no-provisioner":
		return "its StorageClass " + *wanted + " does not provision volumes, and no existing volume matches its size, access modes and node"
	case c.Class.VolumeBindingMode != nil && *c.Class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer:
		return "the volume is provisioned after the pod is scheduled, and the provisioner " + c.Class.Provisioner + " has not provisioned it"
	default:
		return "the provisioner " + c.Class.Provisioner + " of the StorageClass " + *wanted + " is not running, or cannot provision the volume"
	}
}
