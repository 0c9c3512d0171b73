package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
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
	"github.com/platformprofile/platformprofile/internal/openreports"
	"github.com/platformprofile/platformprofile/internal/text"
)

const (
	// reportInterval is how often a report is read even if the status did not change, so that it is written again if somebody deleted it.
	reportInterval = 10 * time.Minute
	// serveTimeout is how long after a change of its CRD the API server may take to serve a resource. Until then, discovery is repeated
	// every serveInterval.
	serveTimeout  = 15 * time.Second
	serveInterval = 500 * time.Millisecond
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
	// OnAPIChange registers a function that is called with the name of an API group when the resources that it serves may have changed.
	OnAPIChange func(func(group string))
	// OnAccessChange registers a function that is called when the permissions of the operator may have changed.
	OnAccessChange func(func())
	// Recorder publishes why a report cannot be written.
	Recorder events.EventRecorder

	// problems are why reports were not written, by profile. Only the worker uses them.
	problems map[string]string
	// hasProblems is true if there are any.
	hasProblems atomic.Bool
	// apiChange is when the APIs for reports last changed.
	apiChange atomic.Pointer[time.Time]
	// changes receives a value when every report must be looked at again.
	changes chan struct{}
}

// Reconcile writes the report on one profile if it differs. A problem that only a person can solve is logged and published once.
func (r *ReportReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	profile := &v1alpha1.PlatformProfile{}
	if err := r.Profiles.Get(ctx, request.NamespacedName, profile); err != nil {
		r.clearProblem(request.Name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !profile.DeletionTimestamp.IsZero() || profile.Status.LastChangeTime == nil {
		return reconcile.Result{}, nil // the garbage collector deletes the report; without an evaluation there is none
	}
	api, err := r.servedAPI()
	if err != nil {
		return reconcile.Result{}, err
	}
	done := reconcile.Result{RequeueAfter: reportInterval}
	change := r.apiChange.Load()
	isSettling := change != nil && time.Since(*change) < serveTimeout
	if isSettling && (api == nil || api.Resource != openreports.APIs[0].Resource) {
		done.RequeueAfter = serveInterval // the preferred API may be served soon
	}
	if api == nil {
		if isSettling {
			return done, nil
		}
		r.setProblem(ctx, profile, "ReportNotServed", "the cluster serves neither clusterreports of openreports.io/v1alpha1 nor "+
			"clusterpolicyreports of wgpolicyk8s.io/v1alpha2; install the CRDs of openreports.io, or remove the flag --reports")
		return done, nil
	}
	switch err := r.write(ctx, api, profile); {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: minWriteInterval}, nil
	case apierrors.IsForbidden(err):
		r.setProblem(ctx, profile, "ReportForbidden", err.Error()+
			"; to grant the permission, apply config/reports or set reports.enabled in the values of the chart")
		return done, nil
	case apierrors.IsInvalid(err):
		r.setProblem(ctx, profile, "ReportInvalid", err.Error())
		return done, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	r.clearProblem(profile.Name)
	return done, nil
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
	r.hasProblems.Store(true)
	log.FromContext(ctx).Info("the report is not written", "reason", reason, "problem", problem)
	r.Recorder.Eventf(profile, nil, corev1.EventTypeWarning, reason, "Report", "%s", text.Bound(problem, maxNote))
}

func (r *ReportReconciler) clearProblem(profile string) {
	delete(r.problems, profile)
	r.hasProblems.Store(len(r.problems) > 0)
}

// SetupWithManager registers the reconciler. It runs when the status of a profile changes, and for every profile when the APIs for reports
// or the permissions change.
func (r *ReportReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.problems, r.changes = map[string]string{}, make(chan struct{}, 1)
	r.OnAPIChange(r.onAPIChange)
	r.OnAccessChange(func() {
		if r.hasProblems.Load() {
			r.signalChange()
		}
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("report").
		For(&v1alpha1.PlatformProfile{}, builder.WithPredicates(statusChanged)).
		WatchesRawSource(source.Func(r.queueOnChange)).
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

// onAPIChange records that the resources of a group may have changed. It runs in every replica.
func (r *ReportReconciler) onAPIChange(group string) {
	if !slices.ContainsFunc(openreports.APIs, func(api openreports.API) bool { return api.Group == group }) {
		return
	}
	now := time.Now()
	r.apiChange.Store(&now)
	r.signalChange()
}

func (r *ReportReconciler) signalChange() {
	select {
	case r.changes <- struct{}{}:
	default:
	}
}

// queueOnChange queues every profile after a change of the APIs for reports, or of the permission to write them.
func (r *ReportReconciler) queueOnChange(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.changes:
			}
			list := &v1alpha1.PlatformProfileList{}
			if err := r.Profiles.List(ctx, list); err != nil {
				log.FromContext(ctx).Error(err, "listing the profiles after a change that affects all reports")
			}
			for i := range list.Items {
				queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
	}()
	return nil
}
