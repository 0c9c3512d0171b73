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
	// minWriteInterval is the least time between two writes of one status: five a second in a storm, and none delayed in quiet.
	minWriteInterval = 200 * time.Millisecond
	// maxSyncWait is how long an evaluation waits at most for what its profile depends on to sync. What fails, or is not
	// answered, is unreadable long before that; what is left then is a list that is on its way, and who evaluated and wrote
	// meanwhile would take the API server's time from it.
	maxSyncWait = time.Minute
	// syncReportDelay is how long that goes on before the status of a new spec says so.
	syncReportDelay = time.Second
)

// Reader evaluates instances of rules, and reads what they and definitions need read. source.Sources is one.
type Reader interface {
	Read(instances []rule.Instance, configMaps []catalog.ConfigMap)
}

// PlatformProfileReconciler evaluates profiles when the inventory or they themselves change, and writes their status. It
// runs in every replica; the leader alone evaluates and writes. A standby compiles the profiles and has read what their
// rules read, so that it takes over with nothing left to read.
type PlatformProfileReconciler struct {
	Client      client.Client
	Inventory   *inventory.Inventory
	Definitions *Definitions
	Reader      Reader
	Schemas     *Schemas
	// Recorder publishes events on transitions, after the status is written.
	Recorder events.EventRecorder
	// Elected is closed once this replica leads.
	Elected <-chan struct{}
	// HasRecovered reports whether the API server answers, and what was unreadable while it did not was read again; nil where
	// nobody knows.
	HasRecovered func() bool
	// Now is the clock.
	Now func() time.Time

	readMu  sync.Mutex               // held while it is found out what to read, and asked for: see read
	mu       sync.Mutex               // guards profiles, not the states in it
	profiles map[string]*profileState // by the profiles' names
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
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles;clusterrolebindings,verbs=list;watch

// Reconcile evaluates one profile, writes its status where it differs, and then publishes an event for each transition.
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
		return reconcile.Result{}, nil // once the CRDs match, and once the definitions are read, every known profile is queued again
	}
	r.compile(state, profile)
	if !isClosed(r.Elected) {
		return reconcile.Result{}, nil // once it leads, every profile is queued again
	}
	return r.evaluate(ctx, state, profile)
}

// evaluate evaluates a profile, and writes the status where it differs from the one before.
func (r *PlatformProfileReconciler) evaluate(ctx context.Context, state *profileState, profile *v1alpha1.PlatformProfile) (reconcile.Result, error) {
	// What is written follows the status that it was computed from, whatever the cache has seen since.
	before := state.writer.newest(profile)
	if profile.Spec.Suspend {
		return r.suspend(ctx, state, profile, before)
	}
	if state.writer.metrics.Load() == nil {
		state.writer.setMetrics(before.status, before.status.ObservedGeneration) // that of the leader before, until something else is found
	}
	if wait := r.syncWait(state); wait > 0 {
		return r.reportWait(ctx, state, profile, before, wait)
	}
	if wait := minWriteInterval - time.Since(state.writer.lastWriteTime); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	start := time.Now()
	result := conformance.Evaluate(state.compiled.Load().Profile, r.Inventory.Snapshot(), before.status, profile.Generation, r.Now())
	evaluationSeconds.Observe(time.Since(start).Seconds())
	if !result.Changed {
		state.writer.setMetrics(before.status, before.status.ObservedGeneration)
		return reconcile.Result{RequeueAfter: result.RequeueAfter}, nil
	}
	// What is alarmed on is what was found, be it written or not.
	state.writer.setMetrics(&result.Status, before.status.ObservedGeneration)
	if r.HasRecovered != nil && !r.HasRecovered() {
		// After an outage everything is unreadable for a moment. Who wrote then would report a failure that is over. While it
		// lasts, nothing could be written anyway.
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

// suspend writes that a profile is suspended, where its status does not say so.
func (r *PlatformProfileReconciler) suspend(ctx context.Context, state *profileState, profile *v1alpha1.PlatformProfile, before storedStatus) (reconcile.Result, error) {
	state.writer.setMetrics(before.status, before.status.ObservedGeneration)
	status, isChanged := conformance.SuspendedStatus(before.status, profile.Generation, r.Now())
	if !isChanged {
		return reconcile.Result{}, nil
	}
	return retryConflict(state.writer.write(ctx, r.Client, profile, before.resourceVersion, &status))
}

// syncWait returns how long the evaluation waits at most for what the profile depends on to sync, so that an operator that
// starts, or a rule that is new, shows no passing Unknown. Nothing is left of it where all has synced.
func (r *PlatformProfileReconciler) syncWait(state *profileState) time.Duration {
	now := time.Now()
	state.waitingSince.CompareAndSwap(nil, &now) // before it is checked: what syncs after the check queues the profile
	if r.Inventory.HasSyncedFor(state.compiled.Load()) {
		state.waitingSince.Store(nil)
		return 0
	}
	return maxSyncWait - now.Sub(*state.waitingSince.Load())
}

// reportWait writes that the evaluation of a new spec waits, once that takes long. What it waits for queues the profile; a
// call after a delay is needed for this report, and for the end of the wait.
func (r *PlatformProfileReconciler) reportWait(ctx context.Context, state *profileState, profile *v1alpha1.PlatformProfile, before storedStatus, wait time.Duration) (reconcile.Result, error) {
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
		Message: "waiting for everything that the profile asks for to be read for the first time",
	}) {
		if err := state.writer.write(ctx, r.Client, profile, before.resourceVersion, status); err != nil {
			return retryConflict(err)
		}
	}
	return reconcile.Result{RequeueAfter: wait}, nil
}

// SetupWithManager registers the reconciler: it runs when a profile's spec changes and when the inventory does.
func (r *PlatformProfileReconciler) SetupWithManager(mgr ctrl.Manager) error {
	everywhere := false
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.PlatformProfile{}, builder.WithPredicates(specChanged)).
		WatchesRawSource(source.Func(r.onInventory)).
		WithOptions(controller.Options{
			RateLimiter:           newRateLimiter(),
			CacheSyncTimeout:      cacheSyncTimeout,
			ReconciliationTimeout: 30 * time.Second,
			// The API server takes tens of milliseconds for a status of fifty requirements: one profile's is not to wait for
			// those of the others. More at once would each take longer, and tell what was found longer ago.
			MaxConcurrentReconciles: 4,
			NeedLeaderElection:      &everywhere,
		}).
		Complete(r)
}

// specChanged passes what has another spec, and what is another object of the same name: one that was deleted and created again
// while the watch was broken comes as an update, of the same generation.
var specChanged = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e ctrlevent.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() },
})

// cacheSyncTimeout is how long a controller waits for the API server before it gives up. It is not for the operator to end
// because the API server does: until then it is not ready, and says so.
const cacheSyncTimeout = 24 * time.Hour

// newRateLimiter must not outlast an outage by minutes.
func newRateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](50*time.Millisecond, 5*time.Second)
}

// onInventory queues the profiles that a change of the inventory concerns, and no others; and all of them once the CRDs
// match, the definitions are read, and this replica leads.
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
		if change.Catalog || isClosed(r.Elected) { // a standby evaluates nothing; it compiles
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

// isClosed reports whether a channel that nothing is sent to is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
