// Package podcases collects the failing pods and workloads of a cluster or of a dump, with the objects that package diagnosis needs for
// each.
package podcases

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Pods are the failing pods, and the workloads that may fail without one.
type Pods struct {
	Cases     []diagnosis.Case
	Workloads []diagnosis.Workload
	// Examined counts what was read to find them.
	Examined Examined
	// Unreadable lists what cannot be read or was left out, without duplicates.
	Unreadable []string
}

// Examined counts the objects that were read.
type Examined struct{ Pods, Workloads, Namespaces int }

// Diagnose returns all diagnoses, most severe first. hints are the pod hints of all definitions.
func (p *Pods) Diagnose(hints []v1alpha1.PodHint, now time.Time) []v1alpha1.Diagnosis {
	byWorkload := map[v1alpha1.WorkloadReference][]v1alpha1.Diagnosis{}
	for _, c := range p.Cases {
		c.Hints = hints
		for _, d := range diagnosis.Diagnose(c, now) {
			byWorkload[d.Workload] = append(byWorkload[d.Workload], d)
		}
	}
	for _, w := range p.Workloads {
		reference := diagnosis.ReferenceOf(w.Object)
		byWorkload[reference] = diagnosis.DiagnoseWorkload(w, byWorkload[reference], now)
	}
	var diagnoses []v1alpha1.Diagnosis
	for _, found := range byWorkload {
		diagnoses = append(diagnoses, found...)
	}
	diagnosis.Sort(diagnoses)
	return diagnoses
}

// The resources that are read.
var (
	pods         = rule.Resource{Resource: "pods"}
	nodes        = rule.Resource{Resource: "nodes"}
	claims       = rule.Resource{Resource: "persistentvolumeclaims"}
	events       = rule.Resource{Resource: "events"}
	classes      = rule.Resource{Group: "storage.k8s.io", Resource: "storageclasses"}
	jobs         = rule.Resource{Group: "batch", Resource: "jobs"}
	cronJobs     = rule.Resource{Group: "batch", Resource: "cronjobs"}
	deployments  = rule.Resource{Group: "apps", Resource: "deployments"}
	replicaSets  = rule.Resource{Group: "apps", Resource: "replicasets"}
	daemonSets   = rule.Resource{Group: "apps", Resource: "daemonsets"}
	statefulSets = rule.Resource{Group: "apps", Resource: "statefulsets"}
	budgets      = rule.Resource{Group: "policy", Resource: "poddisruptionbudgets"}
	autoscalers  = rule.Resource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}
)

// workloads are the resources of the objects that are diagnosed beside pods.
var workloads = []rule.Resource{deployments, replicaSets, daemonSets, statefulSets, jobs, cronJobs, autoscalers, budgets}

const (
	// maxPods is the maximum number of pods that are diagnosed of a workload. More would not add symptoms.
	maxPods = 50
	// maxNodes is the maximum number of nodes that are compared with a pod that waits for one.
	maxNodes = 5000
)

// reader reads objects from a cluster or from a dump.
type reader interface {
	// get returns an object, or a NotFound error if it does not exist.
	get(context.Context, rule.Resource, types.NamespacedName) (runtime.Object, error)
	// list calls do with each object of a resource in a namespace, or in all namespaces for "".
	list(ctx context.Context, resource rule.Resource, namespace string, options metav1.ListOptions, do func(runtime.Object) error) error
	// listEvents returns the events of an object with a kind, namespace and name.
	listEvents(context.Context, corev1.ObjectReference) ([]corev1.Event, error)
}

// errNotInDump means that a dump contains no object of a kind, so that it is unknown whether an object exists.
var errNotInDump = errors.New("not in the files")

// collector builds the cases of pods and workloads.
type collector struct {
	reader reader
	now    time.Time
	pods   map[types.NamespacedName]*corev1.Pod
	// counts are the pods of each workload.
	counts map[v1alpha1.WorkloadReference]int
	// reads caches the functions that read an object or a list, because several pods may need the same one.
	reads sync.Map
	// superseded are the Jobs of CronJobs that finished before another one.
	superseded map[types.NamespacedName]bool

	mu    sync.Mutex
	found Pods
}

func newCollector(r reader, now time.Time) *collector {
	return &collector{
		reader: r, now: now, pods: map[types.NamespacedName]*corev1.Pod{}, counts: map[v1alpha1.WorkloadReference]int{},
		superseded: map[types.NamespacedName]bool{},
	}
}

func nameOf(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// add adds a pod if it may fail, at most maxPods of each workload.
func (c *collector) add(pod *corev1.Pod) {
	if !diagnosis.NeedsDiagnosis(pod, c.now) {
		return
	}
	owner := diagnosis.OwnerOf(pod)
	if c.counts[owner]++; c.counts[owner] <= maxPods {
		c.pods[nameOf(pod.Namespace, pod.Name)] = pod
	} else {
		c.noteUnreadable(fmt.Sprintf("all pods of %s %s/%s", owner.Kind, owner.Namespace, owner.Name), fmt.Errorf("limited to %d", maxPods))
	}
}

// noteUnreadable records what cannot be read. A denied request is no error: what can be read is diagnosed.
func (c *collector) noteUnreadable(what string, err error) {
	if err == nil || apierrors.IsNotFound(err) || errors.Is(err, errNotInDump) {
		return
	}
	text := "cannot read " + what + ": " + err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.found.Unreadable, text) {
		c.found.Unreadable = append(c.found.Unreadable, text)
	}
}

// collectAll collects the failing pods and workloads of a namespace, or of all namespaces for "".
func (c *collector) collectAll(ctx context.Context, namespace string) (*Pods, error) {
	namespaces := map[string]bool{}
	allNodes := c.nodes(ctx)
	isCordoned := map[string]bool{}
	for _, node := range allNodes {
		isCordoned[node.Name] = node.Spec.Unschedulable
	}
	running := map[string][]*corev1.Pod{} // on cordoned nodes
	err := c.reader.list(ctx, pods, namespace, metav1.ListOptions{}, func(object runtime.Object) error {
		pod := object.(*corev1.Pod)
		c.found.Examined.Pods++
		namespaces[pod.Namespace] = true
		c.add(pod)
		if pod.Status.Phase == corev1.PodRunning && isCordoned[pod.Spec.NodeName] {
			running[pod.Spec.NodeName] = append(running[pod.Spec.NodeName], pod)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var objects []runtime.Object
	for _, resource := range workloads {
		err := c.reader.list(ctx, resource, namespace, metav1.ListOptions{}, func(object runtime.Object) error {
			meta := object.(metav1.Object)
			c.found.Examined.Workloads++
			namespaces[meta.GetNamespace()] = true
			c.prime(resource, object)
			objects = append(objects, object)
			return nil
		})
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			c.noteUnreadable(resource.Resource, err)
		} else if err != nil {
			return nil, err
		}
	}
	c.found.Examined.Namespaces = len(namespaces)
	warnings, err := c.warnings(ctx, namespace)
	if err != nil {
		return nil, err
	}
	c.addWorkloads(objects, warnings, drainingNodes(allNodes, running))
	return c.collect(ctx)
}

// warnings returns the warnings about all objects that are no pods. The events of a ReplicaSet are those of its Deployment.
func (c *collector) warnings(ctx context.Context, namespace string) (map[v1alpha1.WorkloadReference][]corev1.Event, error) {
	found := map[v1alpha1.WorkloadReference][]corev1.Event{}
	options := metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.kind!=Pod"}
	err := c.reader.list(ctx, events, namespace, options, func(object runtime.Object) error {
		event := object.(*corev1.Event)
		about := event.InvolvedObject
		if event.Type == corev1.EventTypeWarning && about.Kind != "Pod" {
			reference := v1alpha1.WorkloadReference{Kind: about.Kind, Namespace: about.Namespace, Name: about.Name}
			found[reference] = append(found[reference], *event)
		}
		return nil
	})
	if apierrors.IsForbidden(err) {
		c.noteUnreadable(events.Resource, err)
		err = nil
	}
	return found, err
}

// addWorkloads adds the workloads: of a Deployment with the warnings about its ReplicaSets, and of a CronJob only the last finished Job.
func (c *collector) addWorkloads(
	objects []runtime.Object, warnings map[v1alpha1.WorkloadReference][]corev1.Event, draining []drainingNode,
) {
	last := map[v1alpha1.WorkloadReference]*batchv1.Job{}
	for _, object := range objects {
		reference := diagnosis.ReferenceOf(object)
		meta := object.(metav1.Object)
		owner := metav1.GetControllerOf(meta)
		if owner == nil {
			continue
		}
		ownerReference := v1alpha1.WorkloadReference{Kind: owner.Kind, Namespace: reference.Namespace, Name: owner.Name}
		switch o := object.(type) {
		case *appsv1.ReplicaSet:
			if o.Spec.Replicas == nil || *o.Spec.Replicas > 0 {
				warnings[ownerReference] = append(warnings[ownerReference], warnings[reference]...)
			}
		case *batchv1.Job:
			if finishedAt(o).IsZero() {
				continue
			}
			if other := last[ownerReference]; other != nil && finishedAt(other).After(finishedAt(o)) {
				c.superseded[nameOf(o.Namespace, o.Name)] = true
			} else {
				if other != nil {
					c.superseded[nameOf(other.Namespace, other.Name)] = true
				}
				last[ownerReference] = o
			}
		}
	}
	known := map[v1alpha1.WorkloadReference]bool{}
	for _, object := range objects {
		known[diagnosis.ReferenceOf(object)] = true
	}
	for _, object := range objects {
		reference := diagnosis.ReferenceOf(object)
		w := diagnosis.Workload{Object: object, Events: warnings[reference]}
		switch o := object.(type) {
		case *appsv1.ReplicaSet:
			if metav1.GetControllerOf(o) != nil {
				continue
			}
			// A dump may contain a ReplicaSet without its owner: the name of its Deployment precedes the last hyphen.
			name := o.Name[:max(0, strings.LastIndex(o.Name, "-"))]
			if known[v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: o.Namespace, Name: name}] {
				continue
			}
		case *batchv1.Job:
			if c.superseded[nameOf(o.Namespace, o.Name)] {
				continue
			}
		case *batchv1.CronJob:
			w.HasJobs = last[reference] != nil
		case *policyv1.PodDisruptionBudget:
			addDraining(&w, o, draining)
		}
		c.found.Workloads = append(c.found.Workloads, w)
	}
}

// finishedAt returns when a Job completed or failed; zero if it has not.
func finishedAt(job *batchv1.Job) time.Time {
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return condition.LastTransitionTime.Time
		}
	}
	if job.Status.CompletionTime != nil {
		return job.Status.CompletionTime.Time
	}
	return time.Time{}
}

// drainingNode is a cordoned node with the pods on it that a drain would evict.
type drainingNode struct {
	pods       []*corev1.Pod
	cordonedAt time.Time
}

// drainingNodes returns the cordoned nodes. A drain leaves the pods of DaemonSets, and those without a controller.
func drainingNodes(all []*corev1.Node, running map[string][]*corev1.Pod) []drainingNode {
	var found []drainingNode
	for _, node := range all {
		if !node.Spec.Unschedulable {
			continue
		}
		d := drainingNode{}
		for _, taint := range node.Spec.Taints {
			if taint.Key == corev1.TaintNodeUnschedulable && taint.TimeAdded != nil {
				d.cordonedAt = taint.TimeAdded.Time
			}
		}
		for _, pod := range running[node.Name] {
			if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind != "DaemonSet" && owner.Kind != "Node" {
				d.pods = append(d.pods, pod)
			}
		}
		found = append(found, d)
	}
	return found
}

// addDraining adds the pods of a budget on a cordoned node where it selects all that a drain would evict. Otherwise the node may only be
// cordoned.
func addDraining(w *diagnosis.Workload, budget *policyv1.PodDisruptionBudget, draining []drainingNode) {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil || selector.Empty() {
		return
	}
	for _, node := range draining {
		isSelected := func(pod *corev1.Pod) bool {
			return pod.Namespace == budget.Namespace && selector.Matches(labels.Set(pod.Labels))
		}
		if len(node.pods) > 0 && !slices.ContainsFunc(node.pods, func(pod *corev1.Pod) bool { return !isSelected(pod) }) {
			w.Draining, w.CordonedAt = node.pods, node.cordonedAt
			return
		}
	}
}

// collect reads the events and dependencies of each pod.
func (c *collector) collect(ctx context.Context) (*Pods, error) {
	for _, pod := range c.pods {
		c.found.Cases = append(c.found.Cases, diagnosis.Case{Pod: pod})
	}
	slices.SortFunc(c.found.Cases, func(a, b diagnosis.Case) int {
		return cmp.Or(strings.Compare(a.Pod.Namespace, b.Pod.Namespace), strings.Compare(a.Pod.Name, b.Pod.Name))
	})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range c.found.Cases {
		group.Go(func() error {
			c.complete(ctx, &c.found.Cases[i])
			return ctx.Err()
		})
	}
	return &c.found, group.Wait()
}

func (c *collector) complete(ctx context.Context, result *diagnosis.Case) {
	pod := result.Pod
	result.Events = c.eventsOf(ctx, corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
	if name := pod.Spec.NodeName; name != "" {
		var err error
		result.Node, err = read[*corev1.Node](ctx, c, nodes, nameOf("", name))
		result.IsNodeGone = apierrors.IsNotFound(err)
	}
	switch owner := diagnosis.OwnerOf(pod); owner.Kind {
	case "Job":
		result.Job, _ = read[*batchv1.Job](ctx, c, jobs, nameOf(owner.Namespace, owner.Name))
		result.IsJobSuperseded = c.superseded[nameOf(owner.Namespace, owner.Name)]
	case "StatefulSet":
		result.StatefulSet, _ = read[*appsv1.StatefulSet](ctx, c, statefulSets, nameOf(owner.Namespace, owner.Name))
	}
	if pod.Status.Phase != corev1.PodPending {
		return
	}
	result.Nodes = c.nodes(ctx)
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			result.Claims = append(result.Claims, c.claim(ctx, nameOf(pod.Namespace, volume.PersistentVolumeClaim.ClaimName)))
		case volume.Ephemeral != nil:
			result.Claims = append(result.Claims, c.claim(ctx, nameOf(pod.Namespace, pod.Name+"-"+volume.Name)))
		}
	}
}

func (c *collector) claim(ctx context.Context, name types.NamespacedName) diagnosis.Claim {
	claim, err := read[*corev1.PersistentVolumeClaim](ctx, c, claims, name)
	result := diagnosis.Claim{Name: name.Name, Claim: claim, IsUnreadable: err != nil && !apierrors.IsNotFound(err)}
	if claim == nil || claim.Status.Phase == corev1.ClaimBound {
		return result
	}
	if class := claim.Spec.StorageClassName; class != nil && *class != "" {
		result.Class, _ = read[*storagev1.StorageClass](ctx, c, classes, nameOf("", *class))
	}
	result.Events = c.eventsOf(ctx, corev1.ObjectReference{
		Kind: "PersistentVolumeClaim", Namespace: name.Namespace, Name: name.Name, UID: claim.UID,
	})
	return result
}

// eventsOf returns the events of an object, without those of an earlier object with the same name.
func (c *collector) eventsOf(ctx context.Context, object corev1.ObjectReference) []corev1.Event {
	found, err := c.reader.listEvents(ctx, object)
	c.noteUnreadable(events.Resource, err)
	return slices.DeleteFunc(found, func(e corev1.Event) bool {
		return object.UID != "" && e.InvolvedObject.UID != "" && e.InvolvedObject.UID != object.UID
	})
}

// nodes returns all nodes, which are listed once, sorted by name.
func (c *collector) nodes(ctx context.Context) []*corev1.Node {
	list, _ := c.reads.LoadOrStore("all nodes", sync.OnceValue(func() []*corev1.Node {
		var found []*corev1.Node
		err := c.reader.list(ctx, nodes, "", metav1.ListOptions{}, func(object runtime.Object) error {
			if len(found) < maxNodes {
				found = append(found, object.(*corev1.Node))
				c.prime(nodes, object)
			}
			return nil
		})
		c.noteUnreadable(nodes.Resource, err)
		slices.SortFunc(found, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
		return found
	}))
	return list.(func() []*corev1.Node)()
}

// prime caches an object of a list.
func (c *collector) prime(resource rule.Resource, object runtime.Object) {
	meta := object.(metav1.Object)
	c.reads.Store(keyOf(resource, nameOf(meta.GetNamespace(), meta.GetName())), func() (runtime.Object, error) { return object, nil })
}

func keyOf(resource rule.Resource, name types.NamespacedName) string {
	return resource.String() + " " + name.String()
}

// read returns an object, which is read only once, or nil and an error.
func read[T runtime.Object](ctx context.Context, c *collector, resource rule.Resource, name types.NamespacedName) (T, error) {
	get, _ := c.reads.LoadOrStore(keyOf(resource, name), sync.OnceValues(func() (runtime.Object, error) {
		return c.reader.get(ctx, resource, name)
	}))
	object, err := get.(func() (runtime.Object, error))()
	c.noteUnreadable(resource.Resource, err)
	result, _ := object.(T)
	return result, err
}
