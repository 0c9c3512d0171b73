package podcases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
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

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

const (
	// pageSize is how many objects a page of a list holds.
	pageSize = 500
	// maxPods is the maximum number of pods that are read of a workload. More would not add symptoms.
	maxPods = 50
	// maxUnownedPods is the maximum number of pods of healthy workloads that are read because of an event.
	maxUnownedPods = 500
)

// workloads are the kinds whose pods are diagnosed.
var workloads = map[string]rule.Resource{"Deployment": deployments, "DaemonSet": daemonSets, "StatefulSet": statefulSets, "Job": jobs}

// OfCluster collects the failing pods of a namespace, or of all namespaces for "". It lists the pods of unhealthy workloads by selector,
// the pods that are not running, and gets the pods that have warning events. It reads no logs and no Secrets.
func OfCluster(ctx context.Context, client kubernetes.Interface, namespace string, now time.Time) (*Pods, error) {
	c := newCluster(client, namespace, now)
	if err := c.addOfWorkloads(ctx); err != nil {
		return nil, err
	}
	notRunning := metav1.ListOptions{FieldSelector: "status.phase!=Running,status.phase!=Succeeded"}
	if err := c.addPods(ctx, namespace, notRunning, func(v1alpha1.WorkloadReference) bool { return true }); err != nil {
		return nil, err
	}
	if err := c.addWarned(ctx); err != nil {
		return nil, err
	}
	return c.collect(ctx)
}

// Diagnose updates the diagnoses of an inventory: those of the pods of its degraded workloads, and no others. It reads nothing from the
// cluster if no workload is degraded.
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
		c := newCluster(client, "", now)
		workload, err := c.get(ctx, workloads[ref.Kind], nameOf(ref.Namespace, ref.Name))
		if err == nil {
			err = c.addPodsOf(ctx, ref.Kind, workload)
		}
		if err == nil {
			_, err = c.collect(ctx)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
			continue
		}
		i.SetDiagnoses(ref, c.found.Diagnose(snapshot.Catalog.PodHints(), now))
	}
	return errors.Join(errs...)
}

// cluster selects the pods of a cluster to diagnose.
type cluster struct {
	*collector
	clusterReader
	namespace string
	now       time.Time
}

func newCluster(client kubernetes.Interface, namespace string, now time.Time) *cluster {
	r := clusterReader{
		"": client.CoreV1().RESTClient(), "apps": client.AppsV1().RESTClient(),
		"batch": client.BatchV1().RESTClient(), "storage.k8s.io": client.StorageV1().RESTClient(),
	}
	return &cluster{newCollector(r), r, namespace, now}
}

// addOfWorkloads adds the pods of unhealthy workloads.
func (c *cluster) addOfWorkloads(ctx context.Context) error {
	for kind, resource := range workloads {
		err := c.list(ctx, resource, c.namespace, metav1.ListOptions{}, func(workload runtime.Object) error {
			if isHealthy(workload, c.now) {
				return nil
			}
			return c.addPodsOf(ctx, kind, workload)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isHealthy reports whether no pod of a workload is missing, failing or terminating.
func isHealthy(workload runtime.Object, now time.Time) bool {
	switch w := workload.(type) {
	case *batchv1.Job:
		isReady := w.Status.Active == 0 || w.Status.Ready != nil && *w.Status.Ready >= w.Status.Active
		return w.Status.CompletionTime != nil || w.Status.Failed == 0 && isReady
	case *appsv1.Deployment:
		if w.Status.TerminatingReplicas != nil && *w.Status.TerminatingReplicas > 0 {
			return false
		}
	}
	fact, _ := facts.Extract(workload, true) // never fails for the other kinds
	w := fact.(*facts.Workload)
	// Scaled to zero, or no node matches: there are no pods to diagnose.
	isIdle := w.Rollout.Desired == 0 && replicaFailure(workload) == ""
	return isIdle || w.AssessHealth(now, false).Health == v1alpha1.HealthHealthy
}

func selectorOf(workload runtime.Object) *metav1.LabelSelector {
	switch w := workload.(type) {
	case *appsv1.Deployment:
		return w.Spec.Selector
	case *appsv1.DaemonSet:
		return w.Spec.Selector
	case *appsv1.StatefulSet:
		return w.Spec.Selector
	case *batchv1.Job:
		return w.Spec.Selector
	}
	return nil
}

// addPodsOf adds the pods of a workload, or the reason why they cannot be created.
func (c *cluster) addPodsOf(ctx context.Context, kind string, workload runtime.Object) error {
	object := workload.(metav1.Object)
	reference := v1alpha1.WorkloadReference{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName()}
	selector, err := metav1.LabelSelectorAsSelector(selectorOf(workload))
	if err != nil || selector.String() == "" {
		return err // an empty selector would select every pod of the namespace
	}
	hasPods := false
	options := metav1.ListOptions{LabelSelector: selector.String()}
	err = c.addPods(ctx, reference.Namespace, options, func(owner v1alpha1.WorkloadReference) bool {
		isOwner := owner == reference // selectors of workloads may overlap
		hasPods = hasPods || isOwner
		return isOwner
	})
	if err != nil {
		return fmt.Errorf("listing the pods of %s %s/%s: %w", kind, reference.Namespace, reference.Name, err)
	}
	if failure := replicaFailure(workload); failure != "" || !hasPods {
		c.addUncreated(ctx, reference, failure)
	}
	return nil
}

// addPods adds the failing pods of a list whose owner is wanted, at most maxPods of each owner.
func (c *cluster) addPods(
	ctx context.Context, namespace string, options metav1.ListOptions, isWanted func(v1alpha1.WorkloadReference) bool,
) error {
	counts := map[v1alpha1.WorkloadReference]int{}
	return c.list(ctx, pods, namespace, options, func(object runtime.Object) error {
		pod := object.(*corev1.Pod)
		owner := diagnosis.OwnerOf(pod)
		if !isWanted(owner) || !diagnosis.NeedsDiagnosis(pod) {
			return nil
		}
		if counts[owner]++; counts[owner] <= maxPods {
			c.add(pod)
		} else {
			c.noteUnreadable(fmt.Sprintf("all pods of %s %s/%s", owner.Kind, owner.Namespace, owner.Name), fmt.Errorf("limited to %d", maxPods))
		}
		return nil
	})
}

// addWarned adds failing pods that have warning events or are being killed.
func (c *cluster) addWarned(ctx context.Context) error {
	healthy := map[types.NamespacedName]bool{}
	for _, selector := range []string{"involvedObject.kind=Pod,type=Warning", "involvedObject.kind=Pod,reason=Killing"} {
		err := c.list(ctx, events, c.namespace, metav1.ListOptions{FieldSelector: selector}, func(event runtime.Object) error {
			about := event.(*corev1.Event).InvolvedObject
			name := nameOf(about.Namespace, about.Name)
			if c.pods[name] != nil || healthy[name] || len(healthy) > maxUnownedPods {
				return nil
			}
			object, err := c.get(ctx, pods, name)
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
			if pod, exists := object.(*corev1.Pod); exists && pod.UID == about.UID && diagnosis.NeedsDiagnosis(pod) {
				c.add(pod)
			} else {
				healthy[name] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// list calls do for each object of a resource, page by page. A denied list is only recorded, unless it is that of pods.
func (c *cluster) list(
	ctx context.Context, resource rule.Resource, namespace string, options metav1.ListOptions, do func(runtime.Object) error,
) error {
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.request(resource, namespace).VersionedParams(&options, clientscheme.ParameterCodec).Do(ctx).Get()
	})
	p.PageSize = pageSize
	err := p.EachListItem(ctx, options, do)
	if apierrors.IsForbidden(err) && resource != pods {
		c.noteUnreadable(resource.Resource, err)
		return nil
	}
	return err
}

// clusterReader reads from an API server. It maps API groups to clients.
type clusterReader map[string]rest.Interface

func (r clusterReader) request(resource rule.Resource, namespace string) *rest.Request {
	return r[resource.Group].Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource.Resource)
}

func (r clusterReader) get(ctx context.Context, resource rule.Resource, name types.NamespacedName) (runtime.Object, error) {
	return r.request(resource, name.Namespace).Name(name.Name).Do(ctx).Get()
}

func (r clusterReader) listEvents(ctx context.Context, about corev1.ObjectReference) ([]corev1.Event, error) {
	selector := fields.Set{"involvedObject.kind": about.Kind, "involvedObject.name": about.Name}
	options := metav1.ListOptions{FieldSelector: selector.String(), Limit: pageSize}
	list := &corev1.EventList{}
	err := r.request(events, about.Namespace).VersionedParams(&options, clientscheme.ParameterCodec).Do(ctx).Into(list)
	return list.Items, err
}
