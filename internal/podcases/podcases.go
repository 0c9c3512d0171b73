// Package podcases collects the pods in trouble of a cluster or of a dump, with what diagnosis needs to know of each.
package podcases

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
)

// Pods are the pods in trouble, and the workloads of which no pod can be created.
type Pods struct {
	Cases     []diagnosis.Case
	Uncreated []v1alpha1.Diagnosis
	// Unread says what could not be read, or was left out, each thing once.
	Unread []string
}

// Diagnose diagnoses all of them, the worst first. hints are what definitions say that labels of pods mean.
func (p *Pods) Diagnose(hints []v1alpha1.PodHint, now time.Time) []v1alpha1.Diagnosis {
	found := slices.Clone(p.Uncreated)
	for _, c := range p.Cases {
		c.Hints = hints
		found = append(found, diagnosis.Diagnose(c, now)...)
	}
	diagnosis.Sort(found)
	return found
}

// reader reads what pods depend on, from a cluster or from a dump. What does not exist is an error of NotFound.
type reader interface {
	node(context.Context, types.NamespacedName) (*corev1.Node, error)
	class(context.Context, types.NamespacedName) (*storagev1.StorageClass, error)
	job(context.Context, types.NamespacedName) (*batchv1.Job, error)
	claim(context.Context, types.NamespacedName) (*corev1.PersistentVolumeClaim, error)
	events(ctx context.Context, kind string, of types.NamespacedName) ([]corev1.Event, error)
}

// errNotHeld says that a dump holds nothing of a kind, so that nobody can say whether an object exists.
var errNotHeld = errors.New("the files hold none")

// collector makes cases of pods.
type collector struct {
	reader reader

	mu    sync.Mutex
	found *Pods
	pods  map[types.NamespacedName]*corev1.Pod
}

func newCollector(r reader) *collector {
	return &collector{reader: r, found: &Pods{}, pods: map[types.NamespacedName]*corev1.Pod{}}
}

func (c *collector) add(pod *corev1.Pod) { c.pods[nameOf(pod.Namespace, pod.Name)] = pod }

func nameOf(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// unread notes what could not be read. An API server that refuses is no error: what can be read is diagnosed.
func (c *collector) unread(what string, err error) {
	if err == nil || apierrors.IsNotFound(err) || errors.Is(err, errNotHeld) {
		return
	}
	text := "could not look at " + what + ": " + err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.found.Unread, text) {
		c.found.Unread = append(c.found.Unread, text)
	}
}

// addUncreated adds a workload of which no pod can be created. Where failure is empty, its events say why.
func (c *collector) addUncreated(ctx context.Context, workload v1alpha1.WorkloadReference, failure string) {
	if failure == "" {
		events, err := c.reader.events(ctx, workload.Kind, nameOf(workload.Namespace, workload.Name))
		c.unread("events", err)
		for _, event := range events {
			if event.Reason == "FailedCreate" {
				failure = event.Message
			}
		}
	}
	if failure != "" {
		c.found.Uncreated = append(c.found.Uncreated, diagnosis.NewFailedCreate(workload, failure))
	}
}

// collect reads what each pod depends on: its events, its claims, its node, its Job.
func (c *collector) collect(ctx context.Context) (*Pods, error) {
	nodes, classes, jobs := &shared[*corev1.Node]{get: c.reader.node}, &shared[*storagev1.StorageClass]{get: c.reader.class}, &shared[*batchv1.Job]{get: c.reader.job}
	for _, pod := range c.pods {
		c.found.Cases = append(c.found.Cases, diagnosis.Case{Pod: pod})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range c.found.Cases {
		one := &c.found.Cases[i]
		group.Go(func() error {
			pod := one.Pod
			var err error
			one.Events = c.eventsOf(ctx, "Pod", nameOf(pod.Namespace, pod.Name), pod.UID)
			if name := pod.Spec.NodeName; name != "" {
				one.Node, err = nodes.read(ctx, nameOf("", name))
				one.IsNodeGone = apierrors.IsNotFound(err)
				c.unread("nodes", err)
			}
			if owner := diagnosis.OwnerOf(pod); owner.Kind == "Job" {
				one.Job, err = jobs.read(ctx, nameOf(owner.Namespace, owner.Name))
				c.unread("jobs", err)
			}
			if pod.Status.Phase == corev1.PodPending {
				for _, name := range claimsOf(pod) {
					one.Claims = append(one.Claims, c.claim(ctx, nameOf(pod.Namespace, name), classes))
				}
			}
			return ctx.Err()
		})
	}
	return c.found, group.Wait()
}

func (c *collector) claim(ctx context.Context, name types.NamespacedName, classes *shared[*storagev1.StorageClass]) diagnosis.Claim {
	found := diagnosis.Claim{Name: name.Name}
	claim, err := c.reader.claim(ctx, name)
	c.unread("persistentvolumeclaims", err)
	if err != nil {
		found.IsUnreadable = !apierrors.IsNotFound(err)
		return found
	}
	found.Claim = claim
	if claim.Status.Phase == corev1.ClaimBound {
		return found
	}
	if class := claim.Spec.StorageClassName; class != nil && *class != "" {
		found.Class, err = classes.read(ctx, nameOf("", *class))
		c.unread("storageclasses", err)
	}
	found.Events = c.eventsOf(ctx, "PersistentVolumeClaim", name, claim.UID)
	return found
}

// eventsOf are the events of this very object, not of an earlier one of the same name.
func (c *collector) eventsOf(ctx context.Context, kind string, of types.NamespacedName, uid types.UID) []corev1.Event {
	events, err := c.reader.events(ctx, kind, of)
	c.unread("events", err)
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
