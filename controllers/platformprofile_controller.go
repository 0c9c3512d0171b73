package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

const (
	// minWriteInterval is the minimum time between two writes of one status. It delays only writes in quick succession.
	minWriteInterval = 200 * time.Millisecond
	// maxSyncWait is how long an evaluation waits for the sources of its profile to sync. Sources that fail are unreadable long before;
	// what remains is a long list, which status writes would only slow down.
	maxSyncWait = time.Minute
	// syncReportDelay is how long an evaluation of a new spec waits before the status reports it.
	syncReportDelay = time.Second
)

// Reader reads the resources of rule instances, and the single objects of definitions. source.Sources implements it.
type Reader interface {
	Read(instances []rule.Instance, objects []catalog.NamedObject)
}

// PlatformProfileReconciler evaluates a profile when its spec, a waiver or the inventory changes, and writes its status. It runs in every
// replica. Only the leader evaluates and writes. A standby compiles the profiles and reads their resources, so that it can take over at
// once.
type PlatformProfileReconciler struct {
	Client      client.Client
	Inventory   *inventory.Inventory
	Definitions *Definitions
	Reader      Reader
	Schemas     *Schemas
	// Recorder publishes events on transitions, after the status has been written.
	Recorder events.EventRecorder
	// Elected is closed once this replica is the leader.
	Elected <-chan struct{}
	// HasRecovered reports whether the API server responds, and all sources have synced again since it last did not. It may be nil.
	HasRecovered func() bool
	// Now returns the current time.
	Now func() time.Time

	readMu   sync.Mutex               // held by updateReads
	mu       sync.Mutex               // guards the map, not the states in it
	profiles map[string]*profileState // by name
}

// +kubebuilder:rbac:groups=platformprofile.dev,resources=platformprofiles,verbs=get;list;watch
// +kubebuilder:rbac:groups=platformprofile.dev,resources=platformprofiles/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,namespace=default,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=platformprofile-system,resources=leases,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=platformprofile-system,resources=leases,resourceNames=platformprofile.dev,verbs=get;update
// +kubebuilder:rbac:groups="",namespace=platformprofile-system,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
// +kubebuilder:rbac:groups=apps,resources=deployments;daemonsets;statefulsets,verbs=get;list;watch
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods;events,verbs=list
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get
// +kubebuilder:rbac:groups=storage.k8s.io,resources=storageclasses;csidrivers,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingressclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=node.k8s.io,resources=runtimeclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations;mutatingwebhookconfigurations,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiregistration.k8s.io,resources=apiservices,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gatewayclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=helm.toolkit.fluxcd.io,resources=helmreleases,verbs=get;list;watch
// +kubebuilder:rbac:groups=argoproj.io,resources=applications,verbs=get;list;watch
// +kubebuilder:rbac:groups=operators.coreos.com,resources=subscriptions,verbs=get;list;watch
// +kubebuilder:rbac:groups=helm.cattle.io,resources=helmcharts,verbs=get;list;watch
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles;clusterrolebindings,verbs=list;watch

// Reconcile evaluates one profile, writes its status if it changed, and then publishes an event for each transition.
func (r *PlatformProfileReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	profile := &v1alpha1.PlatformProfile{}
	if err := r.Client.Get(ctx, request.NamespacedName, profile); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(request.Name)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !profile.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	state := r.stateOf(profile)
	if !r.Schemas.isMatching() || !r.Definitions.Ready() {
		return reconcile.Result{}, nil // onInventory queues every profile once the CRDs match and the definitions have been read
	}
	r.compile(state, profile)
	if !isClosed(r.Elected) {
		return reconcile.Result{}, nil // onInventory queues every profile once this replica is elected
	}
	return r.evaluate(ctx, state, profile)
}

// evaluate evaluates a profile, and writes the status if it changed.
func (r *PlatformProfileReconciler) evaluate(
	ctx context.Context, state *profileState, profile *v1alpha1.PlatformProfile,
) (reconcile.Result, error) {
	// The new status must follow the status that it was computed from, even if the cache has a newer profile.
	before := state.writer.newest(profile)
	if profile.Spec.Suspend {
		return r.suspend(ctx, state, profile, before)
	}
	if state.writer.metrics.Load() == nil {
		state.writer.setMetrics(before.status, before.status.ObservedGeneration) // the previous leader's status, until it changes
	}
	if wait := r.syncWait(state); wait > 0 {
		return r.reportWait(ctx, state, profile, before, wait)
	}
	if wait := minWriteInterval - time.Since(state.writer.lastWriteTime); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	waivers, err := listWaivers(ctx, r.Client, profile.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	start := time.Now()
	result := conformance.Evaluate(
		state.compiled.Load().Profile, r.Inventory.Snapshot(), before.status, profile.Generation, r.Now(), waivers...)
	evaluationSeconds.Observe(time.Since(start).Seconds())
	if !result.Changed {
		state.writer.setMetrics(before.status, before.status.ObservedGeneration)
		return reconcile.Result{RequeueAfter: result.RequeueAfter}, nil
	}
	// Alerts must use the new status even if it cannot be written.
	state.writer.setMetrics(&result.Status, before.status.ObservedGeneration)
	if r.HasRecovered != nil && !r.HasRecovered() {
		// Right after an outage sources are still unreadable. A write at that time would report a failure that is over.
		return reconcile.Result{RequeueAfter: minWriteInterval}, nil
	}
	if err := state.writer.write(ctx, r.Client, profile, before.resourceVersion, &result.Status); err != nil {
		return retryConflict(err)
	}
	for _, e := range eventsOf(before.status, &result) {
		r.Recorder.Eventf(profile, nil, e.kind, e.reason, e.action, "%s", e.note)
	}
	return reconcile.Result{RequeueAfter: result.RequeueAfter}, nil
}

// suspend writes the status of a suspended profile.
func (r *PlatformProfileReconciler) suspend(
	ctx context.Context, state *profileState, profile *v1alpha1.PlatformProfile, before storedStatus,
) (reconcile.Result, error) {
	state.writer.setMetrics(before.status, before.status.ObservedGeneration)
	status, isChanged := conformance.SuspendedStatus(before.status, profile.Generation, r.Now())
	if !isChanged {
		return reconcile.Result{}, nil
	}
	return retryConflict(state.writer.write(ctx, r.Client, profile, before.resourceVersion, &status))
}

// syncWait returns how long the evaluation must still wait for the sources of the profile to sync; 0 if all have synced. The wait avoids
// a transient Unknown when the operator starts or a rule is new.
func (r *PlatformProfileReconciler) syncWait(state *profileState) time.Duration {
	now := time.Now()
	state.waitingSince.CompareAndSwap(nil, &now) // set before the check, so that a source that syncs after it queues the profile
	if r.Inventory.HasSyncedFor(state.compiled.Load()) {
		state.waitingSince.Store(nil)
		return 0
	}
	return maxSyncWait - now.Sub(*state.waitingSince.Load())
}

// reportWait sets the Reconciling condition once the evaluation of a new spec has waited for syncReportDelay. Sources that sync queue the
// profile; the requeue is only for the report and for the end of the wait.
func (r *PlatformProfileReconciler) reportWait(
	ctx context.Context, state *profileState, profile *v1alpha1.PlatformProfile, before storedStatus, wait time.Duration,
) (reconcile.Result, error) {
	if before.status.ObservedGeneration == profile.Generation {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if delay := wait - (maxSyncWait - syncReportDelay); delay > 0 {
		return reconcile.Result{RequeueAfter: delay}, nil
	}
	status := before.status.DeepCopy()
	status.Conditions = conformance.ManagedConditions(status.Conditions)
	if meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: "Syncing", ObservedGeneration: profile.Generation,
		Message: "waiting for the initial list of the resources that the profile depends on",
	}) {
		if err := state.writer.write(ctx, r.Client, profile, before.resourceVersion, status); err != nil {
			return retryConflict(err)
		}
	}
	return reconcile.Result{RequeueAfter: wait}, nil
}

// SetupWithManager registers the reconciler. It runs when the spec of a profile, one of its waivers, or the inventory changes.
func (r *PlatformProfileReconciler) SetupWithManager(mgr ctrl.Manager) error {
	needLeaderElection := false
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.PlatformProfile{}, builder.WithPredicates(specChanged)).
		Watches(&v1alpha1.PlatformWaiver{}, handler.EnqueueRequestsFromMapFunc(profileOfWaiver), builder.WithPredicates(specChanged)).
		WatchesRawSource(source.Func(r.onInventory)).
		WithOptions(controller.Options{
			RateLimiter:           newRateLimiter(),
			CacheSyncTimeout:      cacheSyncTimeout,
			ReconciliationTimeout: 30 * time.Second,
			// The API server takes tens of milliseconds to write a large status, which must not delay the other profiles. With more
			// workers each write takes longer, and the statuses are older when they are written.
			MaxConcurrentReconciles: 4,
			NeedLeaderElection:      &needLeaderElection,
		}).
		Complete(r)
}

// specChanged passes objects with a new generation or UID. After a broken watch, an object that was deleted and created again arrives as
// an update with the same generation.
var specChanged = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e ctrlevent.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() },
})

// cacheSyncTimeout is how long a controller waits for its cache. It is long because the operator must not exit while the API server is
// down: it is not ready instead.
const cacheSyncTimeout = 24 * time.Hour

// newRateLimiter returns a rate limiter with a short maximum delay, so that reconciles resume soon after an outage.
func newRateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](50*time.Millisecond, 5*time.Second)
}

// onInventory queues the profiles that a change of the inventory affects. It queues all profiles once the CRDs match, once the
// definitions have been read, and once this replica is elected.
func (r *PlatformProfileReconciler) onInventory(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	add := func(isQueued func(*profileState) bool) {
		for name, state := range r.states() {
			if ctx.Err() == nil && isQueued(state) {
				queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
			}
		}
	}
	addAll := func() { add(func(*profileState) bool { return true }) }
	r.Inventory.OnChange(func(change inventory.Change) {
		if change.Catalog || isClosed(r.Elected) { // a standby only compiles
			add(func(state *profileState) bool { return state.isAffectedBy(change) })
		}
	})
	r.Schemas.onChange(addAll)
	for _, signal := range []<-chan struct{}{r.Definitions.ready, r.Elected} {
		go func() {
			select {
			case <-ctx.Done():
			case <-signal:
				addAll()
			}
		}()
	}
	return nil
}

// isClosed reports whether a channel without values is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
