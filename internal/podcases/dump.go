package podcases

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Dump contains the objects of files.
type Dump interface {
	// Each calls do with each object of a resource, in the order of the files.
	Each(resource rule.Resource, do func(*unstructured.Unstructured) error) error
}

// OfDump collects the failing pods and workloads of a namespace of a dump, or of all namespaces for "".
func OfDump(dump Dump, namespace string, now time.Time) (*Pods, error) {
	r := &dumpReader{objects: map[rule.Resource]map[types.NamespacedName]runtime.Object{}}
	c := newCollector(r, now)
	if err := r.read(dump, c); err != nil {
		return nil, err
	}
	return c.collectAll(context.Background(), namespace)
}

// DiagnoseDump sets the diagnoses of the degraded workloads of an inventory, as far as a dump contains their pods.
func DiagnoseDump(dump Dump, i *inventory.Inventory, now time.Time) error {
	snapshot := i.Snapshot()
	degraded := snapshot.DegradedWorkloads()
	if len(degraded) == 0 {
		return nil
	}
	pods, err := OfDump(dump, "", now)
	if err != nil {
		return err
	}
	diagnoses := pods.Diagnose(snapshot.Catalog.PodHints(), now)
	for _, ref := range degraded {
		workload := v1alpha1.WorkloadReference{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
		i.SetDiagnoses(ref, slices.DeleteFunc(slices.Clone(diagnoses), func(d v1alpha1.Diagnosis) bool { return d.Workload != workload }))
	}
	return nil
}

// dumpReader reads from a dump.
type dumpReader struct {
	objects map[rule.Resource]map[types.NamespacedName]runtime.Object
	// events are those of events, by the object that they are about.
	events map[corev1.ObjectReference][]corev1.Event
}

// prototypes are the Go types of the resources that are read.
var prototypes = map[rule.Resource]runtime.Object{
	pods: &corev1.Pod{}, nodes: &corev1.Node{}, claims: &corev1.PersistentVolumeClaim{}, classes: &storagev1.StorageClass{},
	deployments: &appsv1.Deployment{}, replicaSets: &appsv1.ReplicaSet{}, daemonSets: &appsv1.DaemonSet{}, statefulSets: &appsv1.StatefulSet{},
	jobs: &batchv1.Job{}, cronJobs: &batchv1.CronJob{}, budgets: &policyv1.PodDisruptionBudget{},
	autoscalers: &autoscalingv2.HorizontalPodAutoscaler{}, events: &corev1.Event{},
}

// read reads all objects. A later copy of an object replaces an earlier one. Of events, which are many, it keeps those of failing pods, and
// those of other objects.
func (r *dumpReader) read(dump Dump, c *collector) error {
	for resource, prototype := range prototypes {
		objects := map[types.NamespacedName]runtime.Object{}
		r.objects[resource] = objects
		if err := eachObject(dump, resource, prototype, c.noteUnreadable, func(name types.NamespacedName, object runtime.Object) {
			objects[name] = object
		}); err != nil {
			return err
		}
	}
	r.events = map[corev1.ObjectReference][]corev1.Event{}
	maps.DeleteFunc(r.objects[events], func(_ types.NamespacedName, object runtime.Object) bool {
		event := object.(*corev1.Event)
		involved := event.InvolvedObject
		about := corev1.ObjectReference{Kind: involved.Kind, Namespace: involved.Namespace, Name: involved.Name}
		if about.Kind == "Pod" {
			pod, exists := r.objects[pods][nameOf(about.Namespace, about.Name)].(*corev1.Pod)
			if !exists || !diagnosis.NeedsDiagnosis(pod, c.now) {
				return true
			}
		}
		r.events[about] = append(r.events[about], *event)
		return false
	})
	return nil
}

// get returns an object. If the dump contains no object of the kind, it is unknown whether the object exists.
func (r *dumpReader) get(_ context.Context, resource rule.Resource, name types.NamespacedName) (runtime.Object, error) {
	switch object := r.objects[resource][name]; {
	case object != nil:
		return object, nil
	case len(r.objects[resource]) == 0:
		return nil, errNotInDump
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{}, name.String())
}

// list ignores the options, whose selectors only save requests.
func (r *dumpReader) list(
	_ context.Context, resource rule.Resource, namespace string, _ metav1.ListOptions, do func(runtime.Object) error,
) error {
	names := slices.SortedFunc(maps.Keys(r.objects[resource]), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, name := range names {
		if namespace != "" && name.Namespace != namespace {
			continue
		}
		if err := do(r.objects[resource][name]); err != nil {
			return err
		}
	}
	return nil
}

// listEvents returns the events sorted by name, like an API server.
func (r *dumpReader) listEvents(_ context.Context, about corev1.ObjectReference) ([]corev1.Event, error) {
	about.UID = ""
	return slices.SortedFunc(slices.Values(r.events[about]), func(a, b corev1.Event) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// eachObject calls do with each object of a resource, in the Go type of the prototype, and note with each that cannot be read.
func eachObject(
	dump Dump,
	resource rule.Resource,
	prototype runtime.Object,
	note func(what string, err error),
	do func(types.NamespacedName, runtime.Object),
) error {
	return dump.Each(resource, func(content *unstructured.Unstructured) error {
		object, name := prototype.DeepCopyObject(), nameOf(content.GetNamespace(), content.GetName())
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, object); err != nil {
			note(resource.Resource+" "+name.String(), err)
			return nil
		}
		do(name, object)
		return nil
	})
}
