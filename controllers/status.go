package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	apply "github.com/platformprofile/platformprofile/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// fieldOwner owns the status of all kinds. Because it is the only writer, fields that a later version does not set are removed.
const fieldOwner = client.FieldOwner("platformprofile")

// storedStatus is a status with the resource version of its profile.
type storedStatus struct {
	status          *v1alpha1.PlatformProfileStatus
	resourceVersion string
}

// statusWriter writes the status of one profile. It belongs to the worker of the profile's key and needs no lock.
type statusWriter struct {
	// lastWrite is the last written status, if any, and lastWriteTime is when it was written. Only the worker uses them.
	lastWrite     storedStatus
	lastWriteTime time.Time
	// metrics is nil until there is a status. The worker stores it, and metric collection loads it.
	metrics atomic.Pointer[metricsStatus]
}

// metricsStatus is the status that metrics report: the last evaluated one, even if writing it failed. It is immutable.
type metricsStatus struct {
	status *v1alpha1.PlatformProfileStatus
	// observedGeneration is the observed generation of the written status.
	observedGeneration int64
}

// newest returns the last written status while the cached profile is older, and the cached status afterwards. An evaluation against a
// stale cached status would record the same transition again with a later time.
func (w *statusWriter) newest(profile *v1alpha1.PlatformProfile) storedStatus {
	if w.lastWrite.status != nil {
		if order, err := resourceversion.CompareResourceVersion(profile.ResourceVersion, w.lastWrite.resourceVersion); err == nil && order < 0 {
			return w.lastWrite
		}
	}
	return storedStatus{&profile.Status, profile.ResourceVersion}
}

// write writes a status by server-side apply. resourceVersion is that of the previous status: if the profile was written since, the API
// server responds with a conflict. A former leader that was paused beyond its lease therefore cannot overwrite the status of its
// successor, and publishes no event.
func (w *statusWriter) write(
	ctx context.Context, c client.Client, profile *v1alpha1.PlatformProfile, resourceVersion string, status *v1alpha1.PlatformProfileStatus,
) error {
	// The UID is a precondition: a new profile of the same name must not get this status.
	configuration := apply.PlatformProfile(profile.Name).WithUID(profile.UID).WithResourceVersion(resourceVersion).
		WithStatus(apply.PlatformProfileStatus())
	if err := applyStatus(ctx, c, "PlatformProfile "+profile.Name, status, configuration, configuration.Status); err != nil {
		return err
	}
	w.lastWrite, w.lastWriteTime = storedStatus{status, *configuration.ResourceVersion}, time.Now()
	w.setMetrics(status, status.ObservedGeneration)
	statusWrites.WithLabelValues("PlatformProfile").Inc()
	log.FromContext(ctx).Info("wrote the status", "score", status.Score, "reason", status.Reason)
	return nil
}

// setMetrics sets the status that metrics report, and the observed generation of the written status. The caller must not modify status
// afterwards.
func (w *statusWriter) setMetrics(status *v1alpha1.PlatformProfileStatus, observedGeneration int64) {
	w.metrics.Store(&metricsStatus{status, observedGeneration})
}

// writeDefinitionStatus writes the status of a definition by server-side apply. It fails with a conflict if the definition was written
// since it was read.
func writeDefinitionStatus(
	ctx context.Context, c client.Client, definition *v1alpha1.PlatformComponent, status *v1alpha1.PlatformComponentStatus,
) error {
	configuration := apply.PlatformComponent(definition.Name).WithUID(definition.UID).WithResourceVersion(definition.ResourceVersion).
		WithStatus(apply.PlatformComponentStatus())
	return applyStatus(ctx, c, "PlatformComponent "+definition.Name, status, configuration, configuration.Status)
}

// writeWaiverStatus writes the status of a waiver by server-side apply. It fails with a conflict if the waiver was written since it was
// read.
func writeWaiverStatus(
	ctx context.Context, c client.Client, waiver *v1alpha1.PlatformWaiver, status *v1alpha1.PlatformWaiverStatus,
) error {
	configuration := apply.PlatformWaiver(waiver.Name).WithUID(waiver.UID).WithResourceVersion(waiver.ResourceVersion).
		WithStatus(apply.PlatformWaiverStatus())
	return applyStatus(ctx, c, "PlatformWaiver "+waiver.Name, status, configuration, configuration.Status)
}

// applyStatus converts a status to that of an apply configuration, which has the same JSON, and applies the configuration. object names
// the object in an error.
func applyStatus(
	ctx context.Context, c client.Client, object string, status any, configuration runtime.ApplyConfiguration, converted any,
) error {
	data, err := json.Marshal(status)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, converted); err != nil {
		return err
	}
	if err := c.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the status of %s: %w", object, err)
	}
	return nil
}

// retryConflict requeues after a conflict, to give the cache time to catch up, and ignores that the object is deleted.
func retryConflict(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: minWriteInterval}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}
