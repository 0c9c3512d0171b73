package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// newest is the written status while the cached profile is older, and the cached one from then on.
func (l lastStatus) newest(profile *v1alpha1.PlatformProfile) *v1alpha1.PlatformProfileStatus {
	if l.status == nil {
		return &profile.Status
	}
	order, err := resourceversion.CompareResourceVersion(profile.ResourceVersion, l.resourceVersion)
	if err == nil && order < 0 {
		return l.status
	}
	return &profile.Status
}

// writeProfileStatus writes a status by server-side apply, and returns the resource version that this made.
func writeProfileStatus(ctx context.Context, c client.Client, profile *v1alpha1.PlatformProfile, status *v1alpha1.PlatformProfileStatus) (string, error) {
	// The UID keeps the status from landing on another profile of the same name.
	configuration := apply.PlatformProfile(profile.Name).WithUID(profile.UID).WithStatus(apply.PlatformProfileStatus())
	if err := convert(status, configuration.Status); err != nil {
		return "", err
	}
	if err := c.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership); err != nil {
		return "", fmt.Errorf("writing the status of PlatformProfile %s: %w", profile.Name, err)
	}
	return resourceVersionOf(configuration.ResourceVersion), nil
}

// writeDefinitionStatus writes the status of a definition by server-side apply.
func writeDefinitionStatus(ctx context.Context, c client.Client, definition *v1alpha1.ComponentDefinition, status *v1alpha1.ComponentDefinitionStatus) error {
	configuration := apply.ComponentDefinition(definition.Name).WithUID(definition.UID).WithStatus(apply.ComponentDefinitionStatus())
	if err := convert(status, configuration.Status); err != nil {
		return err
	}
	if err := c.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the status of ComponentDefinition %s: %w", definition.Name, err)
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

func resourceVersionOf(version *string) string {
	if version == nil {
		return ""
	}
	return *version
}
