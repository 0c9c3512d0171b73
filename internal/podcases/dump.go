package podcases

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// Dump holds what was read from files.
type Dump interface {
	// Each calls a function with the objects of a resource, in the order in which they were read.
	Each(rule.Resource, func(*unstructured.Unstructured) error) error
}

// OfDump collects pods of a namespace of a dump, or of all for "".
func OfDump(dump Dump, namespace string) (*Pods, error) {
	r := &dumpReader{}
	c := newCollector(r)
	isElsewhere := func(other string) bool { return namespace != "" && other != namespace }
	hasPods := map[v1alpha1.WorkloadReference]bool{}
	failures := map[types.NamespacedName]string{}
	var err error
	read := func(one error) { err = errors.Join(err, one) }
	read(eachOf(dump, "", "pods", func(name types.NamespacedName, pod *corev1.Pod) {
		if isElsewhere(pod.Namespace) {
			return
		}
		hasPods[diagnosis.OwnerOf(pod)] = true
		if delete(c.pods, name); diagnosis.NeedsDiagnosis(pod) {
			c.pods[name] = pod
		}
	}))
	read(eachOf(dump, "apps", "deployments", func(name types.NamespacedName, d *appsv1.Deployment) {
		if !isElsewhere(d.Namespace) {
			failures[name] = replicaFailure(d)
		}
	}))
	wanted, lacking := map[about]bool{}, map[v1alpha1.WorkloadReference]bool{}
	for name, pod := range c.pods {
		wanted[about{"Pod", name}] = true
		for _, claim := range claimsOf(pod) {
			wanted[about{"PersistentVolumeClaim", nameOf(pod.Namespace, claim)}] = true
		}
	}
	read(r.read(dump, func(of about) bool {
		workload := v1alpha1.WorkloadReference{Kind: of.kind, Namespace: of.name.Namespace, Name: of.name.Name}
		if slices.Contains(withoutPods, of.kind) && !hasPods[workload] && !isElsewhere(workload.Namespace) {
			lacking[workload] = true
		}
		return lacking[workload] || wanted[of]
	}))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	for name, failure := range failures {
		if failure != "" {
			c.addUncreated(ctx, v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: name.Namespace, Name: name.Name}, failure)
		}
	}
	for workload := range lacking {
		c.addUncreated(ctx, workload, "")
	}
	return c.collect(ctx)
}

// withoutPods are the kinds of which only events say that their pods cannot be created.
var withoutPods = []string{"StatefulSet", "DaemonSet", "Job"}

// DiagnoseDump records in an inventory what is wrong with the pods of its degraded workloads, as far as a dump holds them.
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
	all := pods.Diagnose(snapshot.Catalog.PodHints(), now)
	for _, ref := range degraded {
		workload := v1alpha1.WorkloadReference{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
		i.SetDiagnoses(ref, slices.DeleteFunc(slices.Clone(all), func(one v1alpha1.Diagnosis) bool { return one.Workload != workload }))
	}
	return nil
}

// about is the object that an event is about.
type about struct {
	kind string
	name types.NamespacedName
}

// dumpReader reads from a dump. Of Events it keeps those that are wanted: there are many.
type dumpReader struct {
	nodes   map[types.NamespacedName]*corev1.Node
	classes map[types.NamespacedName]*storagev1.StorageClass
	jobs    map[types.NamespacedName]*batchv1.Job
	claims  map[types.NamespacedName]*corev1.PersistentVolumeClaim
	byAbout map[about][]corev1.Event
}

func (r *dumpReader) read(dump Dump, isWanted func(about) bool) error {
	events := map[types.NamespacedName]*corev1.Event{}
	var errs [5]error
	r.nodes, errs[0] = all[corev1.Node](dump, "", "nodes")
	r.classes, errs[1] = all[storagev1.StorageClass](dump, "storage.k8s.io", "storageclasses")
	r.jobs, errs[2] = all[batchv1.Job](dump, "batch", "jobs")
	r.claims, errs[3] = all[corev1.PersistentVolumeClaim](dump, "", "persistentvolumeclaims")
	errs[4] = eachOf(dump, "", "events", func(name types.NamespacedName, event *corev1.Event) {
		delete(events, name)
		if isWanted(aboutOf(event)) {
			events[name] = event
		}
	})
	r.byAbout = map[about][]corev1.Event{}
	for _, event := range events {
		r.byAbout[aboutOf(event)] = append(r.byAbout[aboutOf(event)], *event)
	}
	for _, some := range r.byAbout {
		slices.SortFunc(some, func(a, b corev1.Event) int { return cmp.Compare(a.Name, b.Name) })
	}
	return errors.Join(errs[:]...)
}

func aboutOf(event *corev1.Event) about {
	of := event.InvolvedObject
	return about{of.Kind, nameOf(of.Namespace, of.Name)}
}

func (r *dumpReader) node(_ context.Context, name types.NamespacedName) (*corev1.Node, error) {
	return find(r.nodes, name)
}

func (r *dumpReader) class(_ context.Context, name types.NamespacedName) (*storagev1.StorageClass, error) {
	return find(r.classes, name)
}

func (r *dumpReader) job(_ context.Context, name types.NamespacedName) (*batchv1.Job, error) {
	return find(r.jobs, name)
}

func (r *dumpReader) claim(_ context.Context, name types.NamespacedName) (*corev1.PersistentVolumeClaim, error) {
	return find(r.claims, name)
}

func (r *dumpReader) events(_ context.Context, kind string, of types.NamespacedName) ([]corev1.Event, error) {
	return slices.Clone(r.byAbout[about{kind, of}]), nil
}

// find returns an object. A dump without any object of the kind says nothing of the absence of one.
func find[T any](objects map[types.NamespacedName]*T, name types.NamespacedName) (*T, error) {
	switch object := objects[name]; {
	case object != nil:
		return object, nil
	case len(objects) == 0:
		return nil, errNotHeld
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{}, name.String())
}

func all[T any](dump Dump, group, resource string) (map[types.NamespacedName]*T, error) {
	objects := map[types.NamespacedName]*T{}
	err := eachOf(dump, group, resource, func(name types.NamespacedName, object *T) { objects[name] = object })
	return objects, err
}

// eachOf calls a function with the objects of a resource in their Go type.
func eachOf[T any](dump Dump, group, resource string, do func(types.NamespacedName, *T)) error {
	return dump.Each(rule.Resource{Group: group, Resource: resource}, func(content *unstructured.Unstructured) error {
		object, name := new(T), nameOf(content.GetNamespace(), content.GetName())
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, object); err != nil {
			return fmt.Errorf("%s %s: %w", resource, name, err)
		}
		do(name, object)
		return nil
	})
}
