package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/openreports"
	"github.com/platformprofile/platformprofile/internal/text"
)

const (
	// reportInterval is how often a report is read even if the status did not change: it is written again if somebody deleted it, and to the
	// preferred API once the cluster serves that.
	reportInterval = 10 * time.Minute
	// reportRetryInterval is how often a report is tried again that cannot be written for a reason that only a person can remove.
	reportRetryInterval = 30 * time.Second
)

// ReportReconciler writes a report on each profile when its status changes, for policy dashboards. It runs only on the leader, and only if
// reports are switched on. Its permissions are not those of the manager role: config/reports grants them.
type ReportReconciler struct {
	// Profiles reads profiles from the cache.
	Profiles client.Reader
	// Reports reads and writes reports.
	Reports dynamic.Interface
	// ListServed returns the names of the resources that the cluster serves in a group and version.
	ListServed func(schema.GroupVersion) (map[string]bool, error)
	// Recorder publishes why a report cannot be written.
	Recorder events.EventRecorder

	// problems are why reports were not written, by profile. Only the worker uses them.
	problems map[string]string
}

// Reconcile writes the report on one profile if it differs. A problem that only a person can solve is logged and published once.
func (r *ReportReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	profile := &v1alpha1.PlatformProfile{}
	if err := r.Profiles.Get(ctx, request.NamespacedName, profile); err != nil {
		delete(r.problems, request.Name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !profile.DeletionTimestamp.IsZero() || profile.Status.LastChangeTime == nil {
		return reconcile.Result{}, nil // the garbage collector deletes the report; without an evaluation there is none
	}
	api, err := r.servedAPI()
	if err != nil {
		return reconcile.Result{}, err
	}
	retry := reconcile.Result{RequeueAfter: reportRetryInterval}
	if api == nil {
		r.setProblem(ctx, profile, "ReportNotServed", "the cluster serves neither clusterreports of openreports.io/v1alpha1 nor "+
			"clusterpolicyreports of wgpolicyk8s.io/v1alpha2; install the CRDs of openreports.io, or remove the flag --reports")
		return retry, nil
	}
	switch err := r.write(ctx, api, profile); {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: minWriteInterval}, nil
	case apierrors.IsForbidden(err):
		r.setProblem(ctx, profile, "ReportForbidden", err.Error()+
			"; to grant the permission, apply config/reports or set reports.enabled in the values of the chart")
		return retry, nil
	case apierrors.IsInvalid(err):
		r.setProblem(ctx, profile, "ReportInvalid", err.Error())
		return retry, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	delete(r.problems, profile.Name)
	return reconcile.Result{RequeueAfter: reportInterval}, nil
}

// servedAPI returns the first API for reports that the cluster serves; nil if it serves none.
func (r *ReportReconciler) servedAPI() (*openreports.API, error) {
	for i := range openreports.APIs {
		api := &openreports.APIs[i]
		served, err := r.ListServed(api.GroupVersion())
		if err != nil {
			return nil, err
		}
		if served[api.Resource] {
			return api, nil
		}
	}
	return nil, nil //nolint:nilnil // none is served, which is no error
}

// write writes the report by server-side apply, unless it is stored already.
func (r *ReportReconciler) write(ctx context.Context, api *openreports.API, profile *v1alpha1.PlatformProfile) error {
	wanted, err := api.Object(openreports.New(profile))
	if err != nil {
		return err
	}
	name, reports := wanted.GetName(), r.Reports.Resource(api.GroupVersionResource)
	stored, err := reports.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		stored = &unstructured.Unstructured{}
	case err != nil:
		return fmt.Errorf("reading the report %s: %w", name, err)
	case openreports.IsUpToDate(stored, wanted):
		return nil
	}
	// If the report was written since it was read, the API server responds with a conflict.
	wanted.SetResourceVersion(stored.GetResourceVersion())
	if _, err := reports.Apply(ctx, name, wanted, metav1.ApplyOptions{FieldManager: string(fieldOwner), Force: true}); err != nil {
		return fmt.Errorf("writing the report %s: %w", name, err)
	}
	log.FromContext(ctx).Info("wrote the report", "kind", api.Kind, "report", name)
	return nil
}

// setProblem logs and publishes why the report on a profile is not written, unless it has done so before. Each problem has its own reason,
// because the recorder aggregates events with the same reason.
func (r *ReportReconciler) setProblem(ctx context.Context, profile *v1alpha1.PlatformProfile, reason, problem string) {
	if r.problems[profile.Name] == problem {
		return
	}
	r.problems[profile.Name] = problem
	log.FromContext(ctx).Info("the report is not written", "reason", reason, "problem", problem)
	r.Recorder.Eventf(profile, nil, corev1.EventTypeWarning, reason, "Report", "%s", text.Bound(problem, maxNote))
}

// SetupWithManager registers the reconciler. It runs when the status of a profile changes.
func (r *ReportReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.problems = map[string]string{}
	return ctrl.NewControllerManagedBy(mgr).
		Named("report").
		For(&v1alpha1.PlatformProfile{}, builder.WithPredicates(statusChanged)).
		WithOptions(controller.Options{
			RateLimiter: newRateLimiter(), CacheSyncTimeout: cacheSyncTimeout, ReconciliationTimeout: 30 * time.Second,
		}).
		Complete(r)
}

// statusChanged passes objects with a new status or UID.
var statusChanged = predicate.Funcs{
	UpdateFunc: func(e ctrlevent.UpdateEvent) bool {
		before, isProfile := e.ObjectOld.(*v1alpha1.PlatformProfile)
		now, isAlso := e.ObjectNew.(*v1alpha1.PlatformProfile)
		return isProfile && isAlso && (before.UID != now.UID || !equality.Semantic.DeepEqual(before.Status, now.Status))
	},
}
