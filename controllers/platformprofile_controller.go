package controllers

import (
	"context"
	"slices"
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
	"sigs.k8s.io/controller-runtime/pkg/log"
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
	// writeGap is the least time between two writes of one status: five a second in a storm, and none delayed in quiet.
	writeGap = 200 * time.Millisecond
	// firstLook is how long an evaluation waits at most for the first look at what its profile depends on. What fails, or is
	// not answered, is out of sight long before that; what is left then is a list that is on its way, and who judged and wrote
	// meanwhile would take the API server's time from it.
	firstLook = time.Minute
	// saysThatItLooks is how long that goes on before the status of a new spec says so.
	saysThatItLooks = time.Second
	// lookAgain is how often an evaluation asks that begins to wait; one that waits for long asks less often.
	lookAgain = 20 * time.Millisecond
)

// Reader evaluates instances of rules, and reads what they and definitions need read. observe.Live is one.
type Reader interface {
	Read(instances []rule.Instance, configMaps []catalog.ConfigMap)
}

// PlatformProfileReconciler evaluates profiles when the inventory or they themselves change, and writes their status. It
// runs in every replica; the leader alone evaluates and writes. A standby compiles the profiles and has read what their
// rules read, so that it takes over with nothing left to look at.
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
	// Settled tells whether the API server answers, and what was out of sight while it did not is seen again; nil where nobody
	// knows.
	Settled func() bool
	// Now is the clock.
	Now func() time.Time

	reading  sync.Mutex // one who finds out what to read, and asks for it, at a time
	mu       sync.Mutex
	profiles map[string]*evaluated
}

// evaluated is what is kept of a profile between evaluations.
type evaluated struct {
	uid        types.UID
	generation int64
	catalog    *catalog.Catalog
	compiled   *conformance.Profile
	spec       *v1alpha1.PlatformProfileSpec
	// waitingSince is when the evaluation of this generation began to wait for the first look.
	waitingSince time.Time
	status       lastStatus
	wrote        time.Time
	// shown is what metrics show: the status as it stands, or as it is to be where it could not be written. observed is the
	// generation that the written one is about.
	shown    *v1alpha1.PlatformProfileStatus
	observed int64
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

// Reconcile evaluates one profile, writes its status where it differs, and then
// publishes an event for each transition.
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
	kept := r.entry(profile)
	if !r.Schemas.match() {
		return reconcile.Result{}, nil // once the CRDs match, every known profile is queued again
	}
	if !r.Definitions.Ready() {
		return reconcile.Result{RequeueAfter: lookAgain}, nil
	}
	r.compile(kept, profile)
	if !isClosed(r.Elected) {
		return reconcile.Result{}, nil // once it leads, every profile is queued again
	}
	before, version := kept.status.newest(profile)
	// What is written follows the status that it was computed from, whatever the cache has seen since.
	profile.ResourceVersion = version
	if kept.shown == nil {
		r.show(kept, before) // what the leader before wrote stands until something else is found
	}
	return r.evaluate(ctx, kept, profile, before)
}

// evaluate evaluates a profile of which before is the status, and writes the status where it differs.
func (r *PlatformProfileReconciler) evaluate(ctx context.Context, kept *evaluated, profile *v1alpha1.PlatformProfile, before *v1alpha1.PlatformProfileStatus) (reconcile.Result, error) {
	if profile.Spec.Suspend {
		status, changed := conformance.Suspended(before, profile.Generation, r.Now())
		r.show(kept, before)
		return outdated(r.writeIf(ctx, changed, kept, profile, status))
	}
	if wait, err := r.awaitFirstLook(ctx, kept, profile, before); err != nil {
		return outdated(err)
	} else if wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if wait := writeGap - time.Since(kept.wrote); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	start := time.Now()
	result := conformance.Evaluate(kept.compiled, r.Inventory.Snapshot(), before, profile.Generation, r.Now())
	evaluationSeconds.Observe(time.Since(start).Seconds())
	if !result.Changed {
		r.show(kept, before)
		return reconcile.Result{RequeueAfter: result.Again}, nil
	}
	if r.Settled != nil && !r.Settled() {
		// After an outage everything is out of sight for a moment. Who wrote then would tell of a failure that is over. While it
		// lasts, nothing could be written anyway.
		r.showUnwritten(kept, &result.Status, before.ObservedGeneration)
		return reconcile.Result{RequeueAfter: writeGap}, nil
	}
	if err := r.writeIf(ctx, true, kept, profile, result.Status); err != nil {
		// What is alarmed on is what was found, be it written or not.
		r.showUnwritten(kept, &result.Status, before.ObservedGeneration)
		return outdated(err)
	}
	for _, e := range eventsOf(before, &result) {
		r.Recorder.Eventf(profile, nil, e.kind, e.reason, e.action, "%s", e.note)
	}
	return reconcile.Result{RequeueAfter: result.Again}, nil
}

// entry returns what is kept of a profile.
func (r *PlatformProfileReconciler) entry(profile *v1alpha1.PlatformProfile) *evaluated {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.profiles == nil {
		r.profiles = map[string]*evaluated{}
	}
	kept := r.profiles[profile.Name]
	if kept == nil || kept.uid != profile.UID {
		kept = &evaluated{uid: profile.UID}
		r.profiles[profile.Name] = kept
	}
	return kept
}

// compile compiles a profile whose spec changed, or for which the catalog did, and has read what its rules need.
func (r *PlatformProfileReconciler) compile(kept *evaluated, profile *v1alpha1.PlatformProfile) {
	current := r.Inventory.Catalog()
	if kept.compiled != nil && kept.generation == profile.Generation && kept.catalog == current {
		return
	}
	spec := profile.Spec.DeepCopy()
	compiled := conformance.Compile(spec, current)
	r.mu.Lock()
	kept.spec, kept.compiled, kept.generation, kept.catalog = spec, compiled, profile.Generation, current
	kept.waitingSince = time.Time{}
	r.mu.Unlock()
	r.read(current)
}

// read has the resources read that profiles and definitions ask for. It must not be called under the lock: the reader
// changes the inventory, and that calls back. What is asked for last is what was found out last: else a profile that was
// compiled meanwhile would have nothing read for it.
func (r *PlatformProfileReconciler) read(c *catalog.Catalog) {
	r.reading.Lock()
	defer r.reading.Unlock()
	instances := slices.Clone(c.Instances())
	r.mu.Lock()
	for _, kept := range r.profiles {
		if kept.compiled != nil && !kept.spec.Suspend {
			instances = append(instances, kept.compiled.Instances()...)
		}
	}
	r.mu.Unlock()
	r.Reader.Read(instances, c.ConfigMaps())
}

func (r *PlatformProfileReconciler) forget(name string) {
	r.mu.Lock()
	_, known := r.profiles[name]
	delete(r.profiles, name)
	r.mu.Unlock()
	if known {
		r.read(r.Inventory.Catalog())
	}
}

// awaitFirstLook tells how long to wait for what was not looked at yet before asking again, 0 where all was: so that an
// operator that starts, or a rule that is new, shows no passing Unknown. A spec that waits for long says so by the condition
// Reconciling.
func (r *PlatformProfileReconciler) awaitFirstLook(ctx context.Context, kept *evaluated, profile *v1alpha1.PlatformProfile, before *v1alpha1.PlatformProfileStatus) (time.Duration, error) {
	if r.Inventory.HasSyncedFor(kept.compiled) {
		kept.waitingSince = time.Time{}
		return 0, nil
	}
	now := time.Now()
	if kept.waitingSince.IsZero() {
		kept.waitingSince = now
	}
	waited := now.Sub(kept.waitingSince)
	if waited > firstLook {
		return 0, nil
	}
	wait := min(max(waited/10, lookAgain), 10*lookAgain)
	if waited < saysThatItLooks || before.ObservedGeneration == profile.Generation {
		return wait, nil
	}
	status := *before.DeepCopy()
	status.Conditions = conformance.Own(status.Conditions)
	changed := meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: "FirstLook", ObservedGeneration: profile.Generation,
		Message: "waiting for the first look at everything that the profile asks for",
	})
	return wait, r.writeIf(ctx, changed, kept, profile, status)
}

// SetupWithManager registers the reconciler: it runs when a profile's spec changes and when the inventory does.
func (r *PlatformProfileReconciler) SetupWithManager(mgr ctrl.Manager) error {
	everywhere := false
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.PlatformProfile{}, builder.WithPredicates(changed)).
		WatchesRawSource(source.Func(r.onInventory)).
		WithOptions(controller.Options{
			RateLimiter:           retries(),
			CacheSyncTimeout:      syncTimeout,
			ReconciliationTimeout: 30 * time.Second,
			// The API server takes tens of milliseconds for a status of fifty requirements: one profile's is not to wait for
			// those of the others. More at once would each take longer, and tell what was found longer ago.
			MaxConcurrentReconciles: 4,
			NeedLeaderElection:      &everywhere,
		}).
		Complete(r)
}

// changed passes what has another spec, and what is another object of the same name: one that was deleted and created again
// while the watch was broken comes as an update, of the same generation.
var changed = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e ctrlevent.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() },
})

// syncTimeout is how long a controller waits for the API server before it gives up. It is not for the operator to end
// because the API server does: until then it is not ready, and says so.
const syncTimeout = 24 * time.Hour

// retries must not outlast an outage by minutes.
func retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](50*time.Millisecond, 5*time.Second)
}

// onInventory queues the profiles that a change of the inventory concerns, and no others.
func (r *PlatformProfileReconciler) onInventory(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.Inventory.OnChange(func(change inventory.Change) {
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if !change.Catalog && !isClosed(r.Elected) {
			return // a standby evaluates nothing; it compiles
		}
		for name, kept := range r.profiles {
			if kept.compiled == nil || concerns(kept.compiled, change) {
				queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
			}
		}
	})
	all := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for name := range r.profiles {
			queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		}
	}
	r.Schemas.onChange(all)
	go func() {
		select {
		case <-ctx.Done():
		case <-r.Elected:
			all()
		}
	}()
	return nil
}

// isClosed tells whether a channel that nothing is sent to is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func concerns(p *conformance.Profile, change inventory.Change) bool {
	if change.Catalog {
		return true
	}
	for _, component := range change.Components {
		if p.Concerns(component) {
			return true
		}
	}
	return slices.ContainsFunc(p.RuleKeys(), func(key string) bool { return slices.Contains(change.Rules, key) })
}

// show has metrics show a status that is written.
func (r *PlatformProfileReconciler) show(kept *evaluated, status *v1alpha1.PlatformProfileStatus) {
	r.showUnwritten(kept, status, status.ObservedGeneration)
}

// showUnwritten has metrics show a status while the written one is still about another generation.
func (r *PlatformProfileReconciler) showUnwritten(kept *evaluated, status *v1alpha1.PlatformProfileStatus, observed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept.shown, kept.observed = status, observed
}

func (r *PlatformProfileReconciler) writeIf(ctx context.Context, changed bool, kept *evaluated, profile *v1alpha1.PlatformProfile, status v1alpha1.PlatformProfileStatus) error {
	if !changed {
		return nil
	}
	written, err := writeProfileStatus(ctx, r.Client, profile, &status)
	if err != nil {
		return err
	}
	kept.wrote = time.Now()
	statusWrites.WithLabelValues("PlatformProfile").Inc()
	kept.status = lastStatus{resourceVersion: written, status: &status}
	r.show(kept, &status)
	log.FromContext(ctx).Info("wrote the status", "score", status.Score, "reason", status.Reason)
	return nil
}
