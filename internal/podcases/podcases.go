// Package podcases collects the failing pods of a cluster or of a dump, with the objects that package diagnosis needs for each.
package podcases

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Pods are the failing pods, and the diagnoses of workloads whose pods cannot be created.
type Pods struct {
	Cases     []diagnosis.Case
	Uncreated []v1alpha1.Diagnosis
	// Unreadable lists what cannot be read or was left out, without duplicates.
	Unreadable []string
}

// Diagnose returns all diagnoses, most severe first. hints are the pod hints of all definitions.
func (p *Pods) Diagnose(hints []v1alpha1.PodHint, now time.Time) []v1alpha1.Diagnosis {
	diagnoses := slices.Clone(p.Uncreated)
	for _, c := range p.Cases {
		c.Hints = hints
		diagnoses = append(diagnoses, diagnosis.Diagnose(c, now)...)
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
	deployments  = rule.Resource{Group: "apps", Resource: "deployments"}
	daemonSets   = rule.Resource{Group: "apps", Resource: "daemonsets"}
	statefulSets = rule.Resource{Group: "apps", Resource: "statefulsets"}
)

// reader reads the objects that pods depend on, from a cluster or from a dump.
type reader interface {
	// get returns an object, or a NotFound error if it does not exist.
	get(context.Context, rule.Resource, types.NamespacedName) (runtime.Object, error)
	// listEvents returns the events of objects with a kind, namespace and name.
	listEvents(context.Context, corev1.ObjectReference) ([]corev1.Event, error)
}

// errNotInDump means that a dump contains no object of a kind, so that it is unknown whether an object exists.
var errNotInDump = errors.New("not in the files")

// collector builds the cases of pods.
type collector struct {
	reader reader
	pods   map[types.NamespacedName]*corev1.Pod

	// reads caches the functions that read an object, because several pods may need the same one.
	reads sync.Map

	mu    sync.Mutex
	found Pods
}

func newCollector(r reader) *collector {
	return &collector{reader: r, pods: map[types.NamespacedName]*corev1.Pod{}}
}

func (c *collector) add(pod *corev1.Pod) { c.pods[nameOf(pod.Namespace, pod.Name)] = pod }

func nameOf(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
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

// addUncreated adds a workload whose pods cannot be created. If failure is empty, it is taken from the events of the workload.
func (c *collector) addUncreated(ctx context.Context, workload v1alpha1.WorkloadReference, failure string) {
	if failure == "" {
		for _, event := range c.eventsOf(ctx, corev1.ObjectReference{Kind: workload.Kind, Namespace: workload.Namespace, Name: workload.Name}) {
			if event.Reason == "FailedCreate" {
				failure = event.Message
			}
		}
	}
	if failure != "" {
		c.found.Uncreated = append(c.found.Uncreated, diagnosis.NewFailedCreate(workload, failure))
	}
}

// replicaFailure returns why the pods of a Deployment cannot be created; empty if they can, and for other workloads.
func replicaFailure(workload runtime.Object) string {
	if d, isDeployment := workload.(*appsv1.Deployment); isDeployment {
		for _, condition := range d.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
				return condition.Message
			}
		}
	}
	return ""
}

// collect reads the events, claims, node and Job of each pod.
func (c *collector) collect(ctx context.Context) (*Pods, error) {
	for _, pod := range c.pods {
		c.found.Cases = append(c.found.Cases, diagnosis.Case{Pod: pod})
	}
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
	if owner := diagnosis.OwnerOf(pod); owner.Kind == "Job" {
		result.Job, _ = read[*batchv1.Job](ctx, c, jobs, nameOf(owner.Namespace, owner.Name))
	}
	if pod.Status.Phase != corev1.PodPending {
		return
	}
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

// read returns an object, which is read only once, or nil and an error.
func read[T runtime.Object](ctx context.Context, c *collector, resource rule.Resource, name types.NamespacedName) (T, error) {
	get, _ := c.reads.LoadOrStore(resource.String()+" "+name.String(), sync.OnceValues(func() (runtime.Object, error) {
		return c.reader.get(ctx, resource, name)
	}))
	object, err := get.(func() (runtime.Object, error))()
	c.noteUnreadable(resource.Resource, err)
	result, _ := object.(T)
	return result, err
}
