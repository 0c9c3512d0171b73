package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	apply "github.com/platformprofile/platformprofile/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// fieldOwner owns the status of both kinds. It is the only writer, from the first day, so that fields that go out of use
// can be removed.
const fieldOwner = client.FieldOwner("platformprofile")

// storedStatus is a status and the resource version of the profile that has it.
type storedStatus struct {
	status          *v1alpha1.PlatformProfileStatus
	resourceVersion string
}

// statusWriter writes the status of one profile. It belongs to the worker of the profile's key, of which controller-runtime
// runs one at a time, so that it needs no lock.
type statusWriter struct {
	// lastWrite is the status that was written last, if any, and lastWriteTime is when. The worker alone uses them.
	lastWrite     storedStatus
	lastWriteTime time.Time
	// metrics is nil before the first status is known. The worker stores it; metrics are collected by others, who load it.
	metrics atomic.Pointer[metricsStatus]
}

// metricsStatus is the status that metrics show: the one that is written, or is to be where it could not be. It is immutable.
type metricsStatus struct {
	status *v1alpha1.PlatformProfileStatus
	// observedGeneration is the generation that the written one is about.
	observedGeneration int64
}

// newest returns the written status while the cached profile is older, and the cached one from then on. The cache lags behind
// the API server: an evaluation of a status from there would see the one before, and date the same transition anew.
func (w *statusWriter) newest(profile *v1alpha1.PlatformProfile) storedStatus {
	if w.lastWrite.status != nil {
		if order, err := resourceversion.CompareResourceVersion(profile.ResourceVersion, w.lastWrite.resourceVersion); err == nil && order < 0 {
			return w.lastWrite
		}
	}
	return storedStatus{&profile.Status, profile.ResourceVersion}
}

// write writes a status by server-side apply. The resource version is that of the status before: where somebody wrote since,
// the API server refuses with a conflict. So a leader that was paused past its lease writes nothing over what its successor
// wrote, and publishes no event for it.
func (w *statusWriter) write(ctx context.Context, c client.Client, profile *v1alpha1.PlatformProfile, resourceVersion string, status *v1alpha1.PlatformProfileStatus) error {
	// The UID keeps the status from landing on another profile of the same name.
	configuration := apply.PlatformProfile(profile.Name).WithUID(profile.UID).WithResourceVersion(resourceVersion).WithStatus(apply.PlatformProfileStatus())
	if err := convert(status, configuration.Status); err != nil {
		return err
	}
	if err := c.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the status of PlatformProfile %s: %w", profile.Name, err)
	}
	w.lastWrite, w.lastWriteTime = storedStatus{status, *configuration.ResourceVersion}, time.Now()
	w.setMetrics(status, status.ObservedGeneration)
	statusWrites.WithLabelValues("PlatformProfile").Inc()
	log.FromContext(ctx).Info("wrote the status", "score", status.Score, "reason", status.Reason)
	return nil
}

// setMetrics sets the status that metrics show, which must not change any more, and the generation that the written one is about.
func (w *statusWriter) setMetrics(status *v1alpha1.PlatformProfileStatus, observedGeneration int64) {
	w.metrics.Store(&metricsStatus{status, observedGeneration})
}

// writeDefinitionStatus writes the status of a definition by server-side apply, unless somebody wrote since it was read.
func writeDefinitionStatus(ctx context.Context, c client.Client, definition *v1alpha1.PlatformComponent, status *v1alpha1.PlatformComponentStatus) error {
	configuration := apply.PlatformComponent(definition.Name).WithUID(definition.UID).WithResourceVersion(definition.ResourceVersion).
		WithStatus(apply.PlatformComponentStatus())
	if err := convert(status, configuration.Status); err != nil {
		return err
	}
	if err := c.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the status of PlatformComponent %s: %w", definition.Name, err)
	}
	return nil
}

// convert brings a status into the shape of its apply configuration, which has the same JSON.
func convert(status, into any) error {
	data, err := json.Marshal(status)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// retryConflict turns a write that was refused because somebody else wrote first into another try, once the cache has seen
// that. One to an object that is gone needs none.
func retryConflict(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: minWriteInterval}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}
