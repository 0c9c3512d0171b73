package packaging

import (
	"testing"

	"github.com/platformprofile/platformprofile/test/gitops"
)

func TestFluxGatesOnConformance(t *testing.T) {
	checks, _, _ := gitops.Expressions(t)
	if checks["apiVersion"] != "platformprofile.dev/v1alpha1" || checks["kind"] != "PlatformProfile" {
		t.Errorf("the expressions are about %v %v", checks["apiVersion"], checks["kind"])
	}
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			if status := gitops.FluxStatus(t, checks, gitops.Object(t, state.profile)); status != state.flux {
				t.Errorf("Flux sees %s, want %s", status, state.flux)
			}
		})
	}
}

func TestFluxOrdersTheKustomizations(t *testing.T) {
	_, first, dependsOn := gitops.Expressions(t)
	if len(dependsOn) != 1 || dependsOn[0].(map[string]any)["name"] != first {
		t.Errorf("the applications depend on %v, want %s", dependsOn, first)
	}
}
