package report

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
)

// Profile returns a profile with a requirement for each component, whose version range is from the oldest installation to the next major
// version.
func (d Discovery) Profile(name string) *v1alpha1.PlatformProfile {
	profile := &v1alpha1.PlatformProfile{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfile"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	for _, layer := range sortedLayers(d.Components) {
		profileLayer := v1alpha1.Layer{Name: layer}
		for _, component := range d.Components {
			if component.Layer != layer {
				continue
			}
			requirement := v1alpha1.Requirement{
				Name:  component.Name,
				AnyOf: []v1alpha1.ComponentChoice{{Component: component.Name, Version: versionRange(component.Installations)}},
			}
			if !hasHealthyInstallation(component.Installations) {
				requirement.Health = v1alpha1.RequireAnyHealth
			}
			profileLayer.Requirements = append(profileLayer.Requirements, requirement)
		}
		profile.Spec.Layers = append(profile.Spec.Layers, profileLayer)
	}
	return profile
}

// hasHealthyInstallation reports whether the health of an installation satisfies a requirement.
func hasHealthyInstallation(installations []Installation) bool {
	for _, i := range installations {
		if i.Health != v1alpha1.HealthDegraded && i.Health != v1alpha1.HealthUnknown {
			return true
		}
	}
	return false
}

// versionRange returns the range from the oldest version to the next major version. It has no upper bound for versions before 1.0.
func versionRange(installations []Installation) string {
	lowest := ""
	for _, i := range installations {
		version, ok := catalog.ParseVersion(i.Version)
		if !ok || i.VersionOf != "" {
			return "" // an unknown version is outside of any range
		}
		if low, ok := catalog.ParseVersion(lowest); !ok || version.LessThan(low) {
			lowest = i.Version
		}
	}
	low, ok := catalog.ParseVersion(lowest)
	if !ok {
		return ""
	}
	if low.Prerelease() != "" {
		return ">=" + low.String()
	}
	if low.Major() == 0 {
		return fmt.Sprintf(">=%d.%d", low.Major(), low.Minor())
	}
	return fmt.Sprintf(">=%d.%d <%d", low.Major(), low.Minor(), low.Major()+1)
}
