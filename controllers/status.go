package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	apply "github.com/platformprofile/platformprofile/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// fieldOwner owns the status of both kinds. It is the only writer, from the first day, so that fields that go out of use
// can be removed.
const fieldOwner = client.FieldOwner("platformprofile")

// lastStatus is the status that was written last. The cache of profiles lags behind the API server: an evaluation that
// took its status from there would see the one before, and date the same transition anew.
type lastStatus struct {
	resourceVersion string
	status          *v1alpha1.PlatformProfileStatus
}

// newest is the written status while the cached profile is older, and the cached one from then on; with the resource
// version that it is of.
func (l lastStatus) newest(profile *v1alpha1.PlatformProfile) (*v1alpha1.PlatformProfileStatus, string) {
	if l.status == nil {
		return &profile.Status, profile.ResourceVersion
	}
	order, err := resourceversion.CompareResourceVersion(profile.ResourceVersion, l.resourceVersion)
	if err == nil && order < 0 {
		return l.status, l.resourceVersion
	}
	return &profile.Status, profile.ResourceVersion
}

// writeProfileStatus writes a status by server-side apply, and returns the resource version that this made. The profile's
// own resource version is that of the status before: where somebody wrote since, the API server refuses with a conflict. So
// a leader that was paused past its lease writes nothing over what its successor wrote, and publishes no event for it.
func writeProfileStatus(ctx context.Context, c client.Client, profile *v1alpha1.PlatformProfile, status *v1alpha1.PlatformProfileStatus) (string, error) {
	// The UID keeps the status from landing on another profile of the same name.
	configuration := apply.PlatformProfile(profile.Name).WithUID(profile.UID).WithResourceVersion(profile.ResourceVersion).WithStatus(apply.PlatformProfileStatus())
	if err := convert(status, configuration.Status); err != nil {
		return "", err
	}
	if err := c.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership); err != nil {
		return "", fmt.Errorf("writing the status of PlatformProfile %s: %w", profile.Name, err)
	}
	return resourceVersionOf(configuration.ResourceVersion), nil
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

// outdated turns a write that was refused because somebody else wrote first into another try, once the cache has seen that.
// One to an object that is gone needs none.
func outdated(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: writeGap}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

func resourceVersionOf(version *string) string {
	if version == nil {
		return ""
	}
	return *version
}
