package report

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
)

// Profile declares what was found: one requirement for each component, layer by layer, with a version range from the
// oldest copy found up to the next major version.
func (d Discovery) Profile(name string) *v1alpha1.PlatformProfile {
	profile := &v1alpha1.PlatformProfile{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfile"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	for _, layer := range sortedLayers(d.Components) {
		declared := v1alpha1.Layer{Name: layer}
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
			declared.Requirements = append(declared.Requirements, requirement)
		}
		profile.Spec.Layers = append(profile.Spec.Layers, declared)
	}
	return profile
}

// hasHealthyInstallation tells whether one copy at least is in a health that satisfies a requirement.
func hasHealthyInstallation(installations []Installation) bool {
	for _, i := range installations {
		if i.Health != v1alpha1.HealthDegraded && i.Health != v1alpha1.HealthUnknown {
			return true
		}
	}
	return false
}

// versionRange is the range that one would choose by hand: from the oldest version found, to before the next major one. A
// version before 1.0 has no major one to wait for.
func versionRange(installations []Installation) string {
	lowest := ""
	for _, i := range installations {
		version, ok := catalog.ParseVersion(i.Version)
		if !ok {
			return "" // a copy whose version nobody can tell would fail any range
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
