package controllers

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// PlatformWaiverReconciler reports in the status of a waiver whether it is in use. Only the leader runs it. Which requirements a waiver
// covers is decided when the profile is evaluated.
type PlatformWaiverReconciler struct {
	Client  client.Client
	Schemas *Schemas
	// Now returns the current time.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=platformprofile.dev,resources=platformwaivers,verbs=get;list;watch
// +kubebuilder:rbac:groups=platformprofile.dev,resources=platformwaivers/status,verbs=patch

// Reconcile writes the status of a waiver if it changed.
func (r *PlatformWaiverReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	waiver := &v1alpha1.PlatformWaiver{}
	if err := r.Client.Get(ctx, request.NamespacedName, waiver); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !r.Schemas.isMatching() {
		return reconcile.Result{RequeueAfter: time.Minute}, nil
	}
	profile := &v1alpha1.PlatformProfile{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: waiver.Spec.Profile}, profile); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
		profile = nil
	}
	now := r.Now()
	status := &v1alpha1.PlatformWaiverStatus{
		ObservedGeneration: waiver.Generation, LastTransitionTime: waiver.Status.LastTransitionTime,
	}
	status.State, status.Message = conformance.AssessWaiver(waiver, profile, now)
	if status.State != waiver.Status.State {
		second := metav1.NewTime(now.Truncate(time.Second))
		status.LastTransitionTime = &second
	}
	result := reconcile.Result{RequeueAfter: max(0, waiver.Spec.Expires.Sub(now))} // the schema requires it
	if equality.Semantic.DeepEqual(status, &waiver.Status) {
		return result, nil
	}
	if err := writeWaiverStatus(ctx, r.Client, waiver, status); err != nil {
		return retryConflict(err)
	}
	statusWrites.WithLabelValues("PlatformWaiver").Inc()
	return result, nil
}

// SetupWithManager registers the reconciler. It runs when a waiver changes, and when its profile is evaluated.
func (r *PlatformWaiverReconciler) SetupWithManager(mgr ctrl.Manager) error {
	isWritten := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.PlatformWaiver{}, builder.WithPredicates(specChanged)).
		Watches(&v1alpha1.PlatformProfile{}, handler.EnqueueRequestsFromMapFunc(r.waiversOfProfile), isWritten).
		WithOptions(controller.Options{
			ReconciliationTimeout: 30 * time.Second, RateLimiter: newRateLimiter(), CacheSyncTimeout: cacheSyncTimeout,
		}).
		Complete(r)
}

// waiversOfProfile returns a request for each waiver of a profile.
func (r *PlatformWaiverReconciler) waiversOfProfile(ctx context.Context, profile client.Object) []reconcile.Request {
	waivers, err := listWaivers(ctx, r.Client, profile.GetName())
	if err != nil {
		return nil // the cache returns an error only while it stops
	}
	requests := make([]reconcile.Request, 0, len(waivers))
	for _, waiver := range waivers {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: waiver.Name}})
	}
	return requests
}

// profileOfWaiver returns a request for the profile of a waiver.
func profileOfWaiver(_ context.Context, object client.Object) []reconcile.Request {
	waiver, isWaiver := object.(*v1alpha1.PlatformWaiver)
	if !isWaiver {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: waiver.Spec.Profile}}}
}

// listWaivers returns the waivers of a profile from the cache.
func listWaivers(ctx context.Context, c client.Reader, profile string) ([]*v1alpha1.PlatformWaiver, error) {
	list := &v1alpha1.PlatformWaiverList{}
	if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil { // they are only read
		return nil, err
	}
	waivers := make([]*v1alpha1.PlatformWaiver, 0, len(list.Items))
	for i := range list.Items {
		waivers = append(waivers, &list.Items[i])
	}
	return conformance.WaiversOf(profile, waivers), nil
}
