package podcases

import (
	"cmp"
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// OfDump collects the failing pods of a namespace of a dump, or of all namespaces for "".
func OfDump(dump Dump, namespace string) (*Pods, error) {
	r := &dumpReader{map[rule.Resource]map[types.NamespacedName]runtime.Object{}, map[corev1.ObjectReference][]*corev1.Event{}}
	c := newCollector(r)
	isWanted := func(objectNamespace string) bool { return namespace == "" || objectNamespace == namespace }
	hasPods := map[v1alpha1.WorkloadReference]bool{}
	err := eachObject(dump, pods, &corev1.Pod{}, c.noteUnreadable, func(name types.NamespacedName, object runtime.Object) {
		pod := object.(*corev1.Pod)
		hasPods[diagnosis.OwnerOf(pod)] = true
		delete(c.pods, name) // a later copy replaces an earlier one
		if isWanted(pod.Namespace) && diagnosis.NeedsDiagnosis(pod) {
			c.add(pod)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := r.read(dump, c.pods, c.noteUnreadable); err != nil {
		return nil, err
	}
	ctx := context.Background()
	for name, deployment := range r.objects[deployments] {
		if failure := replicaFailure(deployment); failure != "" && isWanted(name.Namespace) {
			c.addUncreated(ctx, v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: name.Namespace, Name: name.Name}, failure)
		}
	}
	for about := range r.events {
		workload := v1alpha1.WorkloadReference{Kind: about.Kind, Namespace: about.Namespace, Name: about.Name}
		if _, isWorkload := workloads[about.Kind]; isWorkload && !hasPods[workload] && isWanted(about.Namespace) {
			c.addUncreated(ctx, workload, "")
		}
	}
	return c.collect(ctx)
}

// DiagnoseDump sets the diagnoses of the degraded workloads of an inventory, as far as a dump contains their pods.
func DiagnoseDump(dump Dump, i *inventory.Inventory, now time.Time) error {
	snapshot := i.Snapshot()
	degraded := snapshot.DegradedWorkloads()
	if len(degraded) == 0 {
		return nil
	}
	pods, err := OfDump(dump, "")
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
	events  map[corev1.ObjectReference][]*corev1.Event
}

// read reads the objects that pods depend on. Of events, which are many, it keeps those of these pods, of claims and of workloads.
func (r *dumpReader) read(dump Dump, pods map[types.NamespacedName]*corev1.Pod, note func(what string, err error)) error {
	for resource, prototype := range map[rule.Resource]runtime.Object{
		nodes: &corev1.Node{}, classes: &storagev1.StorageClass{}, jobs: &batchv1.Job{}, claims: &corev1.PersistentVolumeClaim{},
		deployments: &appsv1.Deployment{}, events: &corev1.Event{},
	} {
		objects := map[types.NamespacedName]runtime.Object{}
		r.objects[resource] = objects
		err := eachObject(dump, resource, prototype, note, func(name types.NamespacedName, object runtime.Object) {
			if event, isEvent := object.(*corev1.Event); isEvent {
				about := event.InvolvedObject
				_, isWorkload := workloads[about.Kind]
				if !isWorkload && about.Kind != "PersistentVolumeClaim" && (about.Kind != "Pod" || pods[nameOf(about.Namespace, about.Name)] == nil) {
					return
				}
			}
			objects[name] = object
		})
		if err != nil {
			return err
		}
	}
	for _, object := range r.objects[events] {
		event := object.(*corev1.Event)
		object := event.InvolvedObject
		about := corev1.ObjectReference{Kind: object.Kind, Namespace: object.Namespace, Name: object.Name}
		r.events[about] = append(r.events[about], event)
	}
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

// listEvents returns the events sorted by name, like an API server.
func (r *dumpReader) listEvents(_ context.Context, about corev1.ObjectReference) ([]corev1.Event, error) {
	about.UID = ""
	found := make([]corev1.Event, 0, len(r.events[about]))
	for _, event := range r.events[about] {
		found = append(found, *event)
	}
	slices.SortFunc(found, func(a, b corev1.Event) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
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
