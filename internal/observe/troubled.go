package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/pager"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// podsEach bounds how many pods of one workload are looked at: what ails fifty of them ails the others.
const podsEach = 50

// strays bounds how many pods without an unhealthy workload are looked at because a warning names them.
const strays = 500

// Troubled are the pods worth a closer look, with what lies behind them, and the workloads of which no pod can be made.
type Troubled struct {
	Cases     []diagnosis.Case
	Uncreated []v1alpha1.Diagnosis
	// Unread says what could not be looked at, or was passed over, each thing once.
	Unread []string
}

// Diagnose diagnoses all of them, the worst first. hints are what definitions say that labels of pods mean.
func (t *Troubled) Diagnose(hints []v1alpha1.PodHint, now time.Time) []v1alpha1.Diagnosis {
	found := slices.Clone(t.Uncreated)
	for _, c := range t.Cases {
		c.Hints = hints
		found = append(found, diagnosis.Diagnose(c, now)...)
	}
	diagnosis.Sort(found)
	return found
}

// Trouble looks for troubled pods in a namespace, or in all for "". Of a cluster of healthy pods it reads none: it lists
// the pods of workloads that are unhealthy, by selector and page by page, pods that do not run, and single pods that a
// warning names. Logs and Secrets are never read.
func Trouble(ctx context.Context, clients Clients, namespace string, now time.Time) (*Troubled, error) {
	t := &trouble{clients: clients, namespace: namespace, now: now, pods: map[types.UID]*corev1.Pod{}, found: &Troubled{}}
	for _, look := range []func(context.Context) error{t.workloads, t.jobs, t.idle, t.warned} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	return t.found, t.behind(ctx)
}

// Diagnose tells an inventory what is wrong with the pods of its degraded workloads, and with no others. Of a cluster
// whose components are healthy it reads nothing.
func Diagnose(ctx context.Context, clients Clients, i *inventory.Inventory, now time.Time) error {
	snapshot := i.Snapshot()
	degraded := snapshot.ToDiagnose()
	for _, ref := range i.Diagnosed() {
		if !slices.Contains(degraded, ref) {
			i.Diagnose(ref, nil)
		}
	}
	var errs []error
	for _, ref := range degraded {
		t := &trouble{clients: clients, now: now, pods: map[types.UID]*corev1.Pod{}, found: &Troubled{}}
		if err := errors.Join(t.workload(ctx, ref), t.behind(ctx)); err != nil {
			errs = append(errs, err)
			continue
		}
		i.Diagnose(ref, t.found.Diagnose(snapshot.Catalog.PodHints(), now))
	}
	return errors.Join(errs...)
}

// workload takes in the pods of one workload.
func (t *trouble) workload(ctx context.Context, ref facts.Ref) error {
	apps := t.clients.Typed.AppsV1()
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
	return t.podsOf(ctx, workload, selector, failure)
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

type trouble struct {
	clients   Clients
	namespace string
	now       time.Time

	mu    sync.Mutex
	pods  map[types.UID]*corev1.Pod
	found *Troubled
}

// each calls a function for each object of a paged list.
func each[T runtime.Object](ctx context.Context, list func(context.Context, metav1.ListOptions) (T, error), options metav1.ListOptions, do func(runtime.Object) error) error {
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return list(ctx, options)
	})
	p.PageSize = pageSize
	return p.EachListItem(ctx, options, do)
}

// unread notes what could not be looked at. An API server that refuses is no error: what can be seen is diagnosed.
func (t *trouble) unread(what string, err error) {
	text := "could not look at " + what + ": " + err.Error()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.found.Unread, text) {
		t.found.Unread = append(t.found.Unread, text)
	}
}

// workloads lists the pods of workloads that are not healthy.
func (t *trouble) workloads(ctx context.Context) error {
	look := func(object runtime.Object, selector *metav1.LabelSelector, failure string, also bool) error {
		fact, err := facts.Of(object, true)
		if err != nil {
			return err
		}
		w := fact.(*facts.Workload)
		// Scaled to zero on purpose, or wanted by no node: there are no pods to diagnose.
		if judged := w.Judge(t.now, false); !also && (judged.Health == v1alpha1.HealthHealthy || w.Rollout.Desired == 0 && failure == "") {
			return nil
		}
		return t.podsOf(ctx, v1alpha1.WorkloadReference{Kind: w.Kind, Namespace: w.Namespace, Name: w.Name}, selector, failure)
	}
	apps := t.clients.Typed.AppsV1()
	for what, list := range map[string]func() error{
		"Deployments": func() error {
			return each(ctx, apps.Deployments(t.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
				d := o.(*appsv1.Deployment)
				going := d.Status.TerminatingReplicas != nil && *d.Status.TerminatingReplicas > 0
				return look(d, d.Spec.Selector, replicaFailure(d), going)
			})
		},
		"DaemonSets": func() error {
			return each(ctx, apps.DaemonSets(t.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
				return look(o, o.(*appsv1.DaemonSet).Spec.Selector, "", false)
			})
		},
		"StatefulSets": func() error {
			return each(ctx, apps.StatefulSets(t.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
				return look(o, o.(*appsv1.StatefulSet).Spec.Selector, "", false)
			})
		},
	} {
		if err := list(); err != nil {
			if !apierrors.IsForbidden(err) {
				return fmt.Errorf("listing %s: %w", what, err)
			}
			t.unread(what, err)
		}
	}
	return nil
}

// podsOf takes in the pods of a workload. Where there are none, its controller says why.
func (t *trouble) podsOf(ctx context.Context, workload v1alpha1.WorkloadReference, selector *metav1.LabelSelector, failure string) error {
	chosen, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", workload.Kind, workload.Namespace, workload.Name, err)
	}
	if chosen.Empty() {
		return nil // it would choose every pod of the namespace
	}
	some, suspects := false, 0
	err = each(ctx, t.clients.Typed.CoreV1().Pods(workload.Namespace).List, metav1.ListOptions{LabelSelector: chosen.String()}, func(o runtime.Object) error {
		pod := o.(*corev1.Pod)
		if diagnosis.Owner(pod) != workload {
			return nil // another's whose labels are alike
		}
		some = true
		if !diagnosis.Suspicious(pod) {
			return nil
		}
		if suspects++; suspects <= podsEach {
			t.pods[pod.UID] = pod
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the pods of %s %s/%s: %w", workload.Kind, workload.Namespace, workload.Name, err)
	}
	if suspects > podsEach {
		t.unread(fmt.Sprintf("%d further pods of %s %s/%s", suspects-podsEach, workload.Kind, workload.Namespace, workload.Name), fmt.Errorf("%d of them are enough", podsEach))
	}
	if failure == "" && !some {
		events, err := t.events(ctx, workload.Kind, workload.Namespace, workload.Name)
		if err != nil {
			t.unread("events", err)
		}
		failure = uncreated(events)
	}
	if failure != "" {
		t.found.Uncreated = append(t.found.Uncreated, diagnosis.Uncreated(workload, failure))
	}
	return nil
}

// uncreated is what a controller says of pods that it cannot make; empty where it says nothing.
func uncreated(events []corev1.Event) string {
	for _, event := range slices.Backward(events) {
		if event.Reason == "FailedCreate" {
			return event.Message
		}
	}
	return ""
}

// jobs lists the pods of Jobs that fail.
func (t *trouble) jobs(ctx context.Context) error {
	err := each(ctx, t.clients.Typed.BatchV1().Jobs(t.namespace).List, metav1.ListOptions{}, func(o runtime.Object) error {
		job := o.(*batchv1.Job)
		ready := int32(0)
		if job.Status.Ready != nil {
			ready = *job.Status.Ready
		}
		if job.Status.CompletionTime != nil || job.Status.Failed == 0 && job.Status.Active <= ready {
			return nil
		}
		return t.podsOf(ctx, v1alpha1.WorkloadReference{Kind: "Job", Namespace: job.Namespace, Name: job.Name}, job.Spec.Selector, "")
	})
	if apierrors.IsForbidden(err) {
		t.unread("Jobs", err)
		return nil
	}
	return err
}

// idle takes in the pods that neither run nor are done, whosever they are. The API server picks them out.
func (t *trouble) idle(ctx context.Context) error {
	notWell := fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodRunning)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)))
	perOwner := map[v1alpha1.WorkloadReference]int{}
	return each(ctx, t.clients.Typed.CoreV1().Pods(t.namespace).List, metav1.ListOptions{FieldSelector: notWell.String()}, func(o runtime.Object) error {
		pod := o.(*corev1.Pod)
		owner := diagnosis.Owner(pod)
		if perOwner[owner]++; perOwner[owner] <= podsEach {
			t.pods[pod.UID] = pod
		}
		return nil
	})
}

// warned takes in single pods that run and that a warning names, or that are being ended.
func (t *trouble) warned(ctx context.Context) error {
	asked := map[types.NamespacedName]bool{}
	for _, pod := range t.pods {
		asked[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = true
	}
	for _, selector := range []string{"involvedObject.kind=Pod,type=Warning", "involvedObject.kind=Pod,reason=Killing"} {
		err := each(ctx, t.clients.Typed.CoreV1().Events(t.namespace).List, metav1.ListOptions{FieldSelector: selector}, func(o runtime.Object) error {
			about := o.(*corev1.Event).InvolvedObject
			name := types.NamespacedName{Namespace: about.Namespace, Name: about.Name}
			if asked[name] || len(asked) > len(t.pods)+strays {
				return nil
			}
			asked[name] = true
			pod, err := t.clients.Typed.CoreV1().Pods(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return err
			case pod.UID == about.UID && diagnosis.Suspicious(pod):
				t.pods[pod.UID] = pod
			}
			return nil
		})
		if apierrors.IsForbidden(err) {
			t.unread("events", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing events: %w", err)
		}
	}
	return nil
}

// behind reads what lies behind each pod: its events, its claims, its node, its Job.
func (t *trouble) behind(ctx context.Context) error {
	nodes := &shared[*corev1.Node]{get: func(ctx context.Context, name types.NamespacedName) (*corev1.Node, error) {
		return t.clients.Typed.CoreV1().Nodes().Get(ctx, name.Name, metav1.GetOptions{})
	}}
	classes := &shared[*storagev1.StorageClass]{get: func(ctx context.Context, name types.NamespacedName) (*storagev1.StorageClass, error) {
		return t.clients.Typed.StorageV1().StorageClasses().Get(ctx, name.Name, metav1.GetOptions{})
	}}
	jobs := &shared[*batchv1.Job]{get: func(ctx context.Context, name types.NamespacedName) (*batchv1.Job, error) {
		return t.clients.Typed.BatchV1().Jobs(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	}}
	cases := make([]diagnosis.Case, 0, len(t.pods))
	for _, pod := range t.pods {
		cases = append(cases, diagnosis.Case{Pod: pod})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range cases {
		c := &cases[i]
		group.Go(func() error {
			events, err := t.events(ctx, "Pod", c.Pod.Namespace, c.Pod.Name)
			if err != nil {
				t.unread("events", err)
			}
			c.Events = ofObject(events, c.Pod.UID)
			if name := c.Pod.Spec.NodeName; name != "" {
				c.Node, err = nodes.read(ctx, types.NamespacedName{Name: name})
				if c.NodeGone = apierrors.IsNotFound(err); err != nil && !c.NodeGone {
					t.unread("nodes", err)
				}
			}
			if owner := diagnosis.Owner(c.Pod); owner.Kind == "Job" {
				if c.Job, err = jobs.read(ctx, types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}); err != nil && !apierrors.IsNotFound(err) {
					t.unread("jobs", err)
				}
			}
			if c.Pod.Status.Phase == corev1.PodPending {
				for _, name := range claimsOf(c.Pod) {
					c.Claims = append(c.Claims, t.claim(ctx, c.Pod.Namespace, name, classes))
				}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	t.found.Cases = cases
	return nil
}

func (t *trouble) claim(ctx context.Context, namespace, name string, classes *shared[*storagev1.StorageClass]) diagnosis.Claim {
	found := diagnosis.Claim{Name: name}
	claim, err := t.clients.Typed.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		if found.Unread = !apierrors.IsNotFound(err); found.Unread {
			t.unread("persistentvolumeclaims", err)
		}
		return found
	}
	found.Claim = claim
	if claim.Status.Phase == corev1.ClaimBound {
		return found
	}
	if class := claim.Spec.StorageClassName; class != nil && *class != "" {
		if found.Class, err = classes.read(ctx, types.NamespacedName{Name: *class}); err != nil && !apierrors.IsNotFound(err) {
			t.unread("storageclasses", err)
		}
	}
	events, err := t.events(ctx, "PersistentVolumeClaim", namespace, name)
	if err != nil {
		t.unread("events", err)
	}
	found.Events = ofObject(events, claim.UID)
	return found
}

func (t *trouble) events(ctx context.Context, kind, namespace, name string) ([]corev1.Event, error) {
	selector := fields.Set{"involvedObject.kind": kind, "involvedObject.name": name}.String()
	list, err := t.clients.Typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector, Limit: pageSize})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// ofObject leaves the events of this very object, not of an earlier one of the same name.
func ofObject(events []corev1.Event, uid types.UID) []corev1.Event {
	return slices.DeleteFunc(events, func(e corev1.Event) bool {
		return uid != "" && e.InvolvedObject.UID != "" && e.InvolvedObject.UID != uid
	})
}

// claimsOf are the names of the claims that a pod mounts, in the order of its volumes.
func claimsOf(pod *corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			names = append(names, pod.Name+"-"+volume.Name)
		}
	}
	return names
}

// shared reads each object once, for however many pods ask for it.
type shared[T any] struct {
	get func(context.Context, types.NamespacedName) (T, error)

	mu   sync.Mutex
	once map[types.NamespacedName]func() (T, error)
}

func (s *shared[T]) read(ctx context.Context, name types.NamespacedName) (T, error) {
	s.mu.Lock()
	if s.once == nil {
		s.once = map[types.NamespacedName]func() (T, error){}
	}
	reader := s.once[name]
	if reader == nil {
		reader = sync.OnceValues(func() (T, error) {
			object, err := s.get(ctx, name)
			if err != nil {
				var none T
				return none, err
			}
			return object, nil
		})
		s.once[name] = reader
	}
	s.mu.Unlock()
	return reader()
}

// Trouble looks for troubled pods among what was read, in a namespace or in all for "".
func (d *Dump) Trouble(namespace string) (*Troubled, error) {
	found := &Troubled{}
	pods := map[string]*corev1.Pod{} // the suspicious ones: the others are many, and tell only that their owner has pods
	owned := map[v1alpha1.WorkloadReference]bool{}
	failing := map[string]v1alpha1.Diagnosis{}
	err := errors.Join(
		eachOf(d, "", "pods", func(key string, pod *corev1.Pod) {
			if namespace != "" && pod.Namespace != namespace {
				return
			}
			owned[diagnosis.Owner(pod)] = true
			if delete(pods, key); diagnosis.Suspicious(pod) {
				pods[key] = pod
			}
		}),
		eachOf(d, "apps", "deployments", func(key string, deployment *appsv1.Deployment) {
			if namespace != "" && deployment.Namespace != namespace {
				return
			}
			delete(failing, key)
			if failure := replicaFailure(deployment); failure != "" {
				failing[key] = diagnosis.Uncreated(v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: deployment.Namespace, Name: deployment.Name}, failure)
			}
		}),
	)
	if err != nil {
		return nil, err
	}
	behind, err := d.behind(namespace, pods, owned)
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		found.Cases = append(found.Cases, behind.of(pod))
	}
	found.Uncreated = slices.AppendSeq(found.Uncreated, maps.Values(failing))
	for _, kind := range withoutPods {
		for _, event := range behind.events {
			workload := v1alpha1.WorkloadReference{Kind: kind, Namespace: event.InvolvedObject.Namespace, Name: event.InvolvedObject.Name}
			if event.InvolvedObject.Kind != kind || owned[workload] || namespace != "" && workload.Namespace != namespace {
				continue
			}
			owned[workload] = true
			if failure := uncreated(behind.about[kind+"/"+rule.KeyOf(workload.Namespace, workload.Name)]); failure != "" {
				found.Uncreated = append(found.Uncreated, diagnosis.Uncreated(workload, failure))
			}
		}
	}
	return found, nil
}

// withoutPods are the kinds of which only events tell that their pods could not be made.
var withoutPods = []string{"StatefulSet", "DaemonSet", "Job"}

// background is what lies behind troubled pods.
type background struct {
	nodes      map[string]*corev1.Node
	classes    map[string]*storagev1.StorageClass
	claims     map[string]*corev1.PersistentVolumeClaim
	jobs       map[string]*batchv1.Job
	events     map[string]*corev1.Event
	about      map[string][]corev1.Event // by kind, namespace and name
	readClaims bool                      // some claim was read
}

// behind reads what lies behind pods, and what events say of workloads without pods.
func (d *Dump) behind(namespace string, pods map[string]*corev1.Pod, owned map[v1alpha1.WorkloadReference]bool) (*background, error) {
	claimed, working, asked := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for key, pod := range pods {
		asked["Pod/"+key] = true
		for _, name := range claimsOf(pod) {
			claim := rule.KeyOf(pod.Namespace, name)
			claimed[claim], asked["PersistentVolumeClaim/"+claim] = true, true
		}
		if owner := diagnosis.Owner(pod); owner.Kind == "Job" {
			working[rule.KeyOf(owner.Namespace, owner.Name)] = true
		}
	}
	b := &background{
		nodes: map[string]*corev1.Node{}, classes: map[string]*storagev1.StorageClass{}, claims: map[string]*corev1.PersistentVolumeClaim{},
		jobs: map[string]*batchv1.Job{}, events: map[string]*corev1.Event{}, about: map[string][]corev1.Event{},
	}
	err := errors.Join(
		eachOf(d, "", "nodes", func(key string, node *corev1.Node) { b.nodes[key] = node }),
		eachOf(d, "storage.k8s.io", "storageclasses", func(key string, class *storagev1.StorageClass) { b.classes[key] = class }),
		eachOf(d, "", "persistentvolumeclaims", func(key string, claim *corev1.PersistentVolumeClaim) {
			b.readClaims = true
			if claimed[key] {
				b.claims[key] = claim
			}
		}),
		eachOf(d, "batch", "jobs", func(key string, job *batchv1.Job) {
			if working[key] {
				b.jobs[key] = job
			}
		}),
		eachOf(d, "", "events", func(key string, event *corev1.Event) {
			delete(b.events, key)
			of := event.InvolvedObject
			workload := v1alpha1.WorkloadReference{Kind: of.Kind, Namespace: of.Namespace, Name: of.Name}
			lacking := slices.Contains(withoutPods, of.Kind) && !owned[workload] && (namespace == "" || of.Namespace == namespace)
			if lacking || asked[of.Kind+"/"+rule.KeyOf(of.Namespace, of.Name)] {
				b.events[key] = event
			}
		}),
	)
	for _, event := range b.events {
		of := event.InvolvedObject.Kind + "/" + rule.KeyOf(event.InvolvedObject.Namespace, event.InvolvedObject.Name)
		b.about[of] = append(b.about[of], *event)
	}
	return b, err
}

// of is the case of a pod.
func (b *background) of(pod *corev1.Pod) diagnosis.Case {
	c := diagnosis.Case{Pod: pod, Node: b.nodes[rule.KeyOf("", pod.Spec.NodeName)], Events: ofObject(b.about["Pod/"+rule.KeyOf(pod.Namespace, pod.Name)], pod.UID)}
	// A dump without any node tells nothing of a node's absence.
	c.NodeGone = c.Node == nil && pod.Spec.NodeName != "" && len(b.nodes) > 0
	if owner := diagnosis.Owner(pod); owner.Kind == "Job" {
		c.Job = b.jobs[rule.KeyOf(owner.Namespace, owner.Name)]
	}
	for _, name := range claimsOf(pod) {
		claim := diagnosis.Claim{Name: name, Claim: b.claims[rule.KeyOf(pod.Namespace, name)], Unread: !b.readClaims}
		if claim.Claim != nil && claim.Claim.Spec.StorageClassName != nil {
			claim.Class = b.classes[rule.KeyOf("", *claim.Claim.Spec.StorageClassName)]
		}
		if claim.Claim != nil {
			claim.Events = ofObject(b.about["PersistentVolumeClaim/"+rule.KeyOf(pod.Namespace, name)], claim.Claim.UID)
		}
		c.Claims = append(c.Claims, claim)
	}
	return c
}

// Diagnose tells an inventory what is wrong with the pods of its degraded workloads, as far as the dump holds them.
func (d *Dump) Diagnose(i *inventory.Inventory, now time.Time) error {
	snapshot := i.Snapshot()
	degraded := snapshot.ToDiagnose()
	if len(degraded) == 0 {
		return nil
	}
	troubled, err := d.Trouble("")
	if err != nil {
		return err
	}
	all := troubled.Diagnose(snapshot.Catalog.PodHints(), now)
	for _, ref := range degraded {
		workload := v1alpha1.WorkloadReference{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
		i.Diagnose(ref, slices.DeleteFunc(slices.Clone(all), func(one v1alpha1.Diagnosis) bool { return one.Workload != workload }))
	}
	return nil
}

// eachOf calls a function with the objects of a resource among what was read, in their Go type, and with namespace and name.
func eachOf[T any](d *Dump, group, resource string, do func(string, *T)) error {
	wanted := rule.Resource{Group: group, Resource: resource}
	return d.each(func(r rule.Resource) bool { return r == wanted }, func(_ rule.Resource, content *unstructured.Unstructured) error {
		object, key := new(T), rule.KeyOf(content.GetNamespace(), content.GetName())
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, object); err != nil {
			return fmt.Errorf("%s %s: %w", resource, key, err)
		}
		do(key, object)
		return nil
	})
}
