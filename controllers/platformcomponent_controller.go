package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Reasons of the conditions of a PlatformComponent.
const (
	// reasonInUse means that the definition extends the catalog.
	reasonInUse = "InUse"
	// reasonOverrides means that the definition overrides the built-in definition of the same name.
	reasonOverrides = "OverridesBuiltin"
	// reasonInvalid means that the definition has errors and is not in use.
	reasonInvalid = "InvalidDefinition"
)

// PlatformComponentReconciler updates the catalog with a definition, and reports in its status whether the definition is in use. It runs
// in every replica. Only the leader writes.
type PlatformComponentReconciler struct {
	Client      client.Client
	Inventory   *inventory.Inventory
	Definitions *Definitions
	Schemas     *Schemas
	// Recorder publishes the errors of a definition, after the status has been written.
	Recorder events.EventRecorder
	// Elected is closed once this replica is the leader.
	Elected <-chan struct{}
	// Now returns the current time.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=platformprofile.dev,resources=platformcomponents,verbs=get;list;watch
// +kubebuilder:rbac:groups=platformprofile.dev,resources=platformcomponents/status,verbs=patch

// Reconcile adds a definition to the catalog or removes it, and writes its status if it changed.
func (r *PlatformComponentReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := &v1alpha1.PlatformComponent{}
	if err := r.Client.Get(ctx, request.NamespacedName, object); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.Definitions.drop(request.Name)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	compiled := r.Definitions.put(object)
	if !isClosed(r.Elected) || !r.Schemas.isMatching() {
		return reconcile.Result{}, nil
	}
	status := r.status(object, compiled)
	stored := object.Status.DeepCopy()
	stored.Conditions = managedConditions(stored.Conditions)
	if equality.Semantic.DeepEqual(status, stored) {
		return reconcile.Result{}, nil
	}
	if err := writeDefinitionStatus(ctx, r.Client, object, status); err != nil {
		return retryConflict(err)
	}
	statusWrites.WithLabelValues("PlatformComponent").Inc()
	before := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionAccepted)
	now := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionAccepted)
	if now.Status == metav1.ConditionFalse && (before == nil || before.Message != now.Message) {
		r.Recorder.Eventf(object, nil, corev1.EventTypeWarning, now.Reason, "Compile", "%s", text.Bound(now.Message, maxNote))
	}
	return reconcile.Result{}, nil
}

// status returns the new status of a definition.
func (r *PlatformComponentReconciler) status(object *v1alpha1.PlatformComponent, compiled *definition) *v1alpha1.PlatformComponentStatus {
	status := object.Status.DeepCopy()
	status.Conditions = managedConditions(status.Conditions)
	status.ObservedGeneration = object.Generation
	set := func(kind string, value metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: object.Generation,
			LastTransitionTime: metav1.NewTime(r.Now().Truncate(time.Second)),
		})
	}
	_, overrides := r.Definitions.builtin[object.Name]
	if len(compiled.errs) > 0 {
		message := errorText(compiled)
		if overrides {
			message += "; the built-in definition remains in use"
		}
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, reasonInvalid, message)
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, reasonInvalid, message)
		set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonInvalid, message)
		status.Installations = 0
		return status
	}
	reason, message := reasonInUse, "the definition extends the catalog"
	if overrides {
		reason, message = reasonOverrides, "the definition overrides the built-in definition of the same name"
	}
	set(v1alpha1.ConditionAccepted, metav1.ConditionTrue, reason, message)
	set(v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	// The snapshot may still use the previous catalog. When it changes to the new one, the definition is queued again.
	if component := r.Inventory.Snapshot().Component(object.Name); component != nil && component.Definition == compiled.component {
		status.Installations = int32(min(len(component.Installations), 1<<30))
	}
	return status
}

// managedConditions returns the conditions that the operator writes.
func managedConditions(stored []metav1.Condition) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(stored), func(c metav1.Condition) bool {
		return c.Type != v1alpha1.ConditionAccepted && c.Type != v1alpha1.ConditionReady && c.Type != v1alpha1.ConditionStalled
	})
}

// errorText joins the first few errors of a definition, each with its field path.
func errorText(compiled *definition) string {
	const limit = 5
	texts := make([]string, 0, limit)
	for _, err := range compiled.errs[:min(limit, len(compiled.errs))] {
		texts = append(texts, err.Error())
	}
	if more := len(compiled.errs) - limit; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	const maxMessage = 2048
	return text.Bound(strings.Join(texts, "; "), maxMessage)
}

// SetupWithManager registers the reconciler. It runs when a definition or its installations change, and for every definition once the
// replica is elected.
func (r *PlatformComponentReconciler) SetupWithManager(mgr ctrl.Manager) error {
	needLeaderElection := false
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.PlatformComponent{}, builder.WithPredicates(specChanged)).
		WatchesRawSource(source.Func(r.onChange)).
		WithOptions(controller.Options{
			NeedLeaderElection: &needLeaderElection, ReconciliationTimeout: 30 * time.Second, RateLimiter: newRateLimiter(),
			CacheSyncTimeout: cacheSyncTimeout,
		}).
		Complete(r)
}

func (r *PlatformComponentReconciler) onChange(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	add := func(names ...string) {
		for _, name := range names {
			if ctx.Err() == nil && r.Definitions.isApplied(name) {
				queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
			}
		}
	}
	r.Inventory.OnChange(func(change inventory.Change) { add(change.Components...) })
	r.Schemas.onChange(func() { add(r.Definitions.names()...) })
	go func() {
		select {
		case <-ctx.Done():
		case <-r.Elected:
			add(r.Inventory.Catalog().Names()...)
			add(r.Definitions.invalidNames()...)
		}
	}()
	return nil
}
