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
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

const (
	// pageSize is how many objects a page of a list holds.
	pageSize = 500
	// maxPods bounds how many pods of one workload are read: what ails fifty of them ails the others.
	maxPods = 50
	// maxStrays bounds how many pods without an unhealthy workload are read because an event names them.
	maxStrays = 500
)

// OfCluster collects pods of a namespace, or of all for "". Of a cluster of healthy pods it reads none: it lists the pods of
// workloads that are unhealthy, by selector and page by page, pods that do not run, and single pods that a warning names. Logs
// and Secrets are never read.
func OfCluster(ctx context.Context, client kubernetes.Interface, namespace string, now time.Time) (*Pods, error) {
	c := newCluster(client, namespace, now)
	for _, add := range []func(context.Context) error{c.addOfWorkloads, c.addOfJobs, c.addIdle, c.addWarned} {
		if err := add(ctx); err != nil {
			return nil, err
		}
	}
	return c.collect(ctx)
}

// Diagnose records in an inventory what is wrong with the pods of its degraded workloads, and with no others. Of a cluster
// whose components are healthy it reads nothing.
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
		if err := c.addOfWorkload(ctx, ref); err != nil {
			errs = append(errs, err)
			continue
		}
		found, err := c.collect(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		i.SetDiagnoses(ref, found.Diagnose(snapshot.Catalog.PodHints(), now))
	}
	return errors.Join(errs...)
}

// cluster chooses pods of a cluster.
type cluster struct {
	*collector
	client    kubernetes.Interface
	namespace string
	now       time.Time
}

func newCluster(client kubernetes.Interface, namespace string, now time.Time) *cluster {
	return &cluster{newCollector(clusterReader{client}), client, namespace, now}
}

// addOfWorkload adds the pods of one workload.
func (c *cluster) addOfWorkload(ctx context.Context, ref facts.Ref) error {
	apps := c.client.AppsV1()
	workload := v1alpha1.WorkloadReference{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
	var selector *metav1.LabelSelector
	var err error
	failure := ""
	switch v1alpha1.WorkloadKind(ref.Kind) {
	case v1alpha1.KindDeployment:
		var d *appsv1.Deployment
		if d, err = apps.Deployments(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			selector, failure = d.Spec.Selector, replicaFailure(d)
		}
	case v1alpha1.KindDaemonSet:
		var d *appsv1.DaemonSet
		if d, err = apps.DaemonSets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			selector = d.Spec.Selector
		}
	case v1alpha1.KindStatefulSet:
		var s *appsv1.StatefulSet
		if s, err = apps.StatefulSets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			selector = s.Spec.Selector
		}
	}
	if apierrors.IsNotFound(err) || err == nil && selector == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return c.addPodsOf(ctx, workload, selector, failure)
}

// replicaFailure is why a Deployment's pods cannot be made; empty where they can.
func replicaFailure(d *appsv1.Deployment) string {
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return condition.Message
		}
	}
	return ""
}

// each calls a function for each object of a paged list.
func each[T runtime.Object](ctx context.Context, list func(context.Context, metav1.ListOptions) (T, error), options metav1.ListOptions, do func(runtime.Object) error) error {
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return list(ctx, options)
	})
	p.PageSize = pageSize
	return p.EachListItem(ctx, options, do)
}

// addOfWorkloads adds the pods of workloads that are not healthy.
func (c *cluster) addOfWorkloads(ctx context.Context) error {
	add := func(object runtime.Object, selector *metav1.LabelSelector, failure string, also bool) error {
		fact, err := facts.Extract(object, true)
		if err != nil {
			return err
		}
		w := fact.(*facts.Workload)
		// Scaled to zero on purpose, or wanted by no node: there are no pods to diagnose.
		if judged := w.AssessHealth(c.now, false); !also && (judged.Health == v1alpha1.HealthHealthy || w.Rollout.Desired == 0 && failure == "") {
			return nil
		}
		return c.addPodsOf(ctx, v1alpha1.WorkloadReference{Kind: w.Kind, Namespace: w.Namespace, Name: w.Name}, selector, failure)
	}
	apps := c.client.AppsV1()
	for what, list := range map[string]func() error{
		"Deployments": func() error {
			return each(ctx, apps.Deployments(c.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
				d := o.(*appsv1.Deployment)
				going := d.Status.TerminatingReplicas != nil && *d.Status.TerminatingReplicas > 0
				return add(d, d.Spec.Selector, replicaFailure(d), going)
			})
		},
		"DaemonSets": func() error {
			return each(ctx, apps.DaemonSets(c.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
				return add(o, o.(*appsv1.DaemonSet).Spec.Selector, "", false)
			})
		},
		"StatefulSets": func() error {
			return each(ctx, apps.StatefulSets(c.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
				return add(o, o.(*appsv1.StatefulSet).Spec.Selector, "", false)
			})
		},
	} {
		if err := list(); err != nil {
			if !apierrors.IsForbidden(err) {
				return fmt.Errorf("listing %s: %w", what, err)
			}
			c.unread(what, err)
		}
	}
	return nil
}

// addPodsOf adds the pods of a workload. Where there are none, its controller says why.
func (c *cluster) addPodsOf(ctx context.Context, workload v1alpha1.WorkloadReference, selector *metav1.LabelSelector, failure string) error {
	chosen, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", workload.Kind, workload.Namespace, workload.Name, err)
	}
	if chosen.Empty() {
		return nil // it would choose every pod of the namespace
	}
	some, suspects := false, 0
	err = each(ctx, c.client.CoreV1().Pods(workload.Namespace).List, metav1.ListOptions{LabelSelector: chosen.String()}, func(o runtime.Object) error {
		pod := o.(*corev1.Pod)
		if diagnosis.OwnerOf(pod) != workload {
			return nil // another's whose labels are alike
		}
		some = true
		if !diagnosis.NeedsDiagnosis(pod) {
			return nil
		}
		if suspects++; suspects <= maxPods {
			c.add(pod)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the pods of %s %s/%s: %w", workload.Kind, workload.Namespace, workload.Name, err)
	}
	if suspects > maxPods {
		c.unread(fmt.Sprintf("%d further pods of %s %s/%s", suspects-maxPods, workload.Kind, workload.Namespace, workload.Name), fmt.Errorf("%d of them are enough", maxPods))
	}
	if failure != "" || !some {
		c.addUncreated(ctx, workload, failure)
	}
	return nil
}

// addOfJobs adds the pods of Jobs that fail.
func (c *cluster) addOfJobs(ctx context.Context) error {
	err := each(ctx, c.client.BatchV1().Jobs(c.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
		job := o.(*batchv1.Job)
		ready := int32(0)
		if job.Status.Ready != nil {
			ready = *job.Status.Ready
		}
		if job.Status.CompletionTime != nil || job.Status.Failed == 0 && job.Status.Active <= ready {
			return nil
		}
		return c.addPodsOf(ctx, v1alpha1.WorkloadReference{Kind: "Job", Namespace: job.Namespace, Name: job.Name}, job.Spec.Selector, "")
	})
	if apierrors.IsForbidden(err) {
		c.unread("Jobs", err)
		return nil
	}
	return err
}

// addIdle adds the pods that neither run nor are done, whosever they are. The API server picks them out.
func (c *cluster) addIdle(ctx context.Context) error {
	notWell := fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodRunning)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)))
	perOwner := map[v1alpha1.WorkloadReference]int{}
	return each(ctx, c.client.CoreV1().Pods(c.namespace).List, metav1.ListOptions{FieldSelector: notWell.String()}, func(o runtime.Object) error {
		pod := o.(*corev1.Pod)
		owner := diagnosis.OwnerOf(pod)
		if perOwner[owner]++; perOwner[owner] <= maxPods {
			c.add(pod)
		}
		return nil
	})
}

// addWarned adds single pods that run and that a warning names, or that are being ended.
func (c *cluster) addWarned(ctx context.Context) error {
	asked := map[types.NamespacedName]bool{}
	for name := range c.pods {
		asked[name] = true
	}
	for _, selector := range []string{"involvedObject.kind=Pod,type=Warning", "involvedObject.kind=Pod,reason=Killing"} {
		err := each(ctx, c.client.CoreV1().Events(c.namespace).List, metav1.ListOptions{FieldSelector: selector}, func(o runtime.Object) error {
			about := o.(*corev1.Event).InvolvedObject
			name := nameOf(about.Namespace, about.Name)
			if asked[name] || len(asked) > len(c.pods)+maxStrays {
				return nil
			}
			asked[name] = true
			pod, err := c.client.CoreV1().Pods(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return err
			case pod.UID == about.UID && diagnosis.NeedsDiagnosis(pod):
				c.add(pod)
			}
			return nil
		})
		if apierrors.IsForbidden(err) {
			c.unread("events", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing events: %w", err)
		}
	}
	return nil
}

// clusterReader reads from an API server.
type clusterReader struct{ client kubernetes.Interface }

func (r clusterReader) node(ctx context.Context, name types.NamespacedName) (*corev1.Node, error) {
	return r.client.CoreV1().Nodes().Get(ctx, name.Name, metav1.GetOptions{})
}

func (r clusterReader) class(ctx context.Context, name types.NamespacedName) (*storagev1.StorageClass, error) {
	return r.client.StorageV1().StorageClasses().Get(ctx, name.Name, metav1.GetOptions{})
}

func (r clusterReader) job(ctx context.Context, name types.NamespacedName) (*batchv1.Job, error) {
	return r.client.BatchV1().Jobs(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
}

func (r clusterReader) claim(ctx context.Context, name types.NamespacedName) (*corev1.PersistentVolumeClaim, error) {
	return r.client.CoreV1().PersistentVolumeClaims(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
}

func (r clusterReader) events(ctx context.Context, kind string, of types.NamespacedName) ([]corev1.Event, error) {
	selector := fields.Set{"involvedObject.kind": kind, "involvedObject.name": of.Name}.String()
	list, err := r.client.CoreV1().Events(of.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector, Limit: pageSize})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
