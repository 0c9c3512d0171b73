package fill

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
)

// ProfileName is the name of a profile.
func ProfileName(i int) string { return fmt.Sprintf("profile-%02d", i) }

// ownLayer is the layer that asks for a profile's own components.
const ownLayer = "own"

// Owner is the profile that asks for a custom component. The requirement is named after the component.
func Owner(component int) string { return ProfileName(component / OwnComponents) }

func (f *filler) profiles(ctx context.Context) error {
	missing, err := absent(f.installed)
	if err != nil {
		return err
	}
	return Each(ctx, f.scale.Profiles, func(ctx context.Context, i int) error {
		return made("a profile", f.Objects.Create(ctx, profile(i, f.installed, missing)))
	})
}

// absent are the components of the catalog that no real install brings.
func absent(installed []string) ([]string, error) {
	components, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, component := range components {
		if !slices.Contains(installed, component.Name) && component.Name != "kubernetes" && component.Name != "argo-cd" &&
			component.Name != "cert-manager" {
			names = append(names, component.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// profile asks for five components of its own, for what every platform has, and for a share of the catalog that differs
// from profile to profile. Rules read nodes, StorageClasses, Argo CD's Applications and cert-manager's Certificates.
func profile(i int, installed, missing []string) *v1alpha1.PlatformProfile {
	own := v1alpha1.Layer{Name: ownLayer}
	for n := range OwnComponents {
		name := ComponentName(i*OwnComponents + n)
		own.Requirements = append(own.Requirements,
			v1alpha1.Requirement{Name: name, AnyOf: []v1alpha1.ComponentChoice{{Component: name, Version: ">=1.0.0"}}})
	}
	platform := v1alpha1.Layer{Name: "platform", Requirements: []v1alpha1.Requirement{
		{
			Name:   "cluster",
			AnyOf:  []v1alpha1.ComponentChoice{{Component: "kubernetes", Version: ">=1.30"}},
			Checks: checks("nodes-ready", "default-storage-class", "version-skew"),
		},
		{Name: "container-runtime", AnyOf: []v1alpha1.ComponentChoice{{Component: "containerd", Version: ">=1.7"}}},
		{Name: "no-docker", AnyOf: []v1alpha1.ComponentChoice{{Component: "docker"}}, Presence: v1alpha1.PresenceAbsent},
		{Name: "cni", Capability: "cni"},
		{Name: "ingress", Capability: "ingress"},
		{
			Name:   "gitops",
			AnyOf:  []v1alpha1.ComponentChoice{{Component: "argo-cd", Version: ">=2"}},
			Checks: checks("applications-synced", "applications-healthy"),
		},
		{
			Name:   "certificates",
			AnyOf:  []v1alpha1.ComponentChoice{{Component: "cert-manager"}},
			Checks: checks("certificates-ready", "certificates-unexpired"),
		},
		{Name: "default-class", Rule: &v1alpha1.Rule{
			Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
			Expression: "object.metadata.?annotations[?'storageclass.kubernetes.io/is-default-class'].orValue('') == 'true'",
			Require:    v1alpha1.RequireAny,
			Message:    "a default StorageClass",
		}},
		{Name: "ci", Attestation: &v1alpha1.Attestation{By: "platform-team", Reason: "hosted runners, outside the cluster"}},
	}}
	left := Requirements - len(own.Requirements) - len(platform.Requirements)
	found := v1alpha1.Layer{Name: "catalog"}
	for n := range min(left*3/4, len(installed)) {
		found.Requirements = append(found.Requirements, asked(installed[(i*3+n)%len(installed)], v1alpha1.SeverityRequired))
	}
	wished := v1alpha1.Layer{Name: "wishes"}
	for n := range left - len(found.Requirements) {
		wished.Requirements = append(wished.Requirements, asked(missing[(i*11+n)%len(missing)], v1alpha1.SeverityRecommended))
	}
	layers := []v1alpha1.Layer{own, platform, wished}
	if len(found.Requirements) > 0 {
		layers = append(layers, found)
	}
	// Nothing but changes is to cause an evaluation while it is counted.
	return &v1alpha1.PlatformProfile{
		ObjectMeta: metav1.ObjectMeta{Name: ProfileName(i)},
		Spec:       v1alpha1.PlatformProfileSpec{Interval: &metav1.Duration{Duration: 24 * time.Hour}, Layers: layers},
	}
}

func asked(component string, severity v1alpha1.Severity) v1alpha1.Requirement {
	return v1alpha1.Requirement{Name: component, Severity: severity, AnyOf: []v1alpha1.ComponentChoice{{Component: component}}}
}

func checks(names ...string) []v1alpha1.CheckReference {
	references := make([]v1alpha1.CheckReference, 0, len(names))
	for _, name := range names {
		references = append(references, v1alpha1.CheckReference{Name: name})
	}
	return references
}
