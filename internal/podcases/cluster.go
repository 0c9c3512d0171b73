package podcases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// pageSize is how many objects a page of a list holds.
const pageSize = 500

// OfCluster collects the failing pods and workloads of a namespace, or of all namespaces for "". It lists pods and workloads page by page
// and keeps those that may fail. It reads no logs and no Secrets.
func OfCluster(ctx context.Context, client kubernetes.Interface, namespace string, now time.Time) (*Pods, error) {
	return newCollector(newClusterReader(client), now).collectAll(ctx, namespace)
}

// componentWorkloads are the kinds of workloads that an inventory contains.
var componentWorkloads = map[string]rule.Resource{"Deployment": deployments, "DaemonSet": daemonSets, "StatefulSet": statefulSets}

// Diagnose updates the diagnoses of an inventory: those of its degraded workloads and their pods, which it lists by selector. It reads
// nothing from the cluster if no workload is degraded.
func Diagnose(ctx context.Context, client kubernetes.Interface, i *inventory.Inventory, now time.Time) error {
	snapshot := i.Snapshot()
	degraded := snapshot.DegradedWorkloads()
	for _, ref := range i.DiagnosedWorkloads() {
		if !slices.Contains(degraded, ref) {
			i.SetDiagnoses(ref, nil)
		}
	}
	var errs []error
	for _, ref := range degraded {
		c := newCollector(newClusterReader(client), now)
		workload, err := c.reader.get(ctx, componentWorkloads[ref.Kind], nameOf(ref.Namespace, ref.Name))
		if err == nil {
			err = c.collectWorkload(ctx, componentWorkloads[ref.Kind], workload)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
			continue
		}
		i.SetDiagnoses(ref, c.found.Diagnose(snapshot.Catalog.PodHints(), now))
	}
	return errors.Join(errs...)
}

// collectWorkload collects a workload and its pods.
func (c *collector) collectWorkload(ctx context.Context, resource rule.Resource, workload runtime.Object) error {
	reference := diagnosis.ReferenceOf(workload)
	c.prime(resource, workload)
	selector, err := metav1.LabelSelectorAsSelector(selectorOf(workload))
	if err != nil || selector.Empty() {
		return err // an empty selector would select every pod of the namespace
	}
	options := metav1.ListOptions{LabelSelector: selector.String()}
	err = c.reader.list(ctx, pods, reference.Namespace, options, func(object runtime.Object) error {
		if pod := object.(*corev1.Pod); diagnosis.OwnerOf(pod) == reference { // selectors of workloads may overlap
			c.add(pod)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the pods of %s %s/%s: %w", reference.Kind, reference.Namespace, reference.Name, err)
	}
	about := corev1.ObjectReference{Kind: reference.Kind, Namespace: reference.Namespace, Name: reference.Name}
	c.found.Workloads = append(c.found.Workloads, diagnosis.Workload{Object: workload, Events: c.eventsOf(ctx, about)})
	_, err = c.collect(ctx)
	return err
}

func selectorOf(workload runtime.Object) *metav1.LabelSelector {
	switch w := workload.(type) {
	case *appsv1.Deployment:
		return w.Spec.Selector
	case *appsv1.DaemonSet:
		return w.Spec.Selector
	case *appsv1.StatefulSet:
		return w.Spec.Selector
	}
	return nil
}

// clusterReader reads from an API server. It maps API groups to clients.
type clusterReader map[string]rest.Interface

func newClusterReader(client kubernetes.Interface) clusterReader {
	return clusterReader{
		"": client.CoreV1().RESTClient(), "apps": client.AppsV1().RESTClient(), "batch": client.BatchV1().RESTClient(),
		"storage.k8s.io": client.StorageV1().RESTClient(), "policy": client.PolicyV1().RESTClient(),
		"autoscaling": client.AutoscalingV2().RESTClient(),
	}
}

func (r clusterReader) request(resource rule.Resource, namespace string) *rest.Request {
	return r[resource.Group].Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource.Resource)
}

func (r clusterReader) get(ctx context.Context, resource rule.Resource, name types.NamespacedName) (runtime.Object, error) {
	return r.request(resource, name.Namespace).Name(name.Name).Do(ctx).Get()
}

func (r clusterReader) list(
	ctx context.Context, resource rule.Resource, namespace string, options metav1.ListOptions, do func(runtime.Object) error,
) error {
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return r.request(resource, namespace).VersionedParams(&options, clientscheme.ParameterCodec).Do(ctx).Get()
	})
	p.PageSize = pageSize
	return p.EachListItem(ctx, options, do)
}

func (r clusterReader) listEvents(ctx context.Context, about corev1.ObjectReference) ([]corev1.Event, error) {
	selector := fields.Set{"involvedObject.kind": about.Kind, "involvedObject.name": about.Name}
	options := metav1.ListOptions{FieldSelector: selector.String(), Limit: pageSize}
	list := &corev1.EventList{}
	err := r.request(events, about.Namespace).VersionedParams(&options, clientscheme.ParameterCodec).Do(ctx).Into(list)
	return list.Items, err
}
