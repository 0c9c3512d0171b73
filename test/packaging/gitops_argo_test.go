package packaging

import (
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/gitops"
)

func TestArgoCDGatesOnConformance(t *testing.T) {
	script := gitops.HealthCheck(t, "PlatformProfile")
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			status, message := gitops.Health(t, script, gitops.Object(t, state.profile))
			if status != state.argo {
				t.Errorf("Argo CD sees %s (%s), want %s", status, message, state.argo)
			}
			if message == "" {
				t.Error("Argo CD has nothing to say")
			}
			if name == "waived" && !strings.Contains(message, "security/sensor is Missing and waived until ") {
				t.Errorf("Argo CD does not say what is waived: %s", message)
			}
		})
	}
}

func TestArgoCDSeesDefinitions(t *testing.T) {
	script := gitops.HealthCheck(t, "PlatformComponent")
	accepted := func(generation int64, status string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"generation": int64(2)},
			"status": map[string]any{"conditions": []any{
				map[string]any{"type": "Accepted", "status": status, "observedGeneration": generation, "message": "said"},
			}},
		}
	}
	for name, test := range map[string]struct {
		object map[string]any
		want   string
	}{
		"in use":        {accepted(2, "True"), "Healthy"},
		"mistaken":      {accepted(2, "False"), "Degraded"},
		"changed since": {accepted(1, "True"), "Progressing"},
		"new":           {map[string]any{"metadata": map[string]any{"generation": int64(1)}}, "Progressing"},
	} {
		if status, _ := gitops.Health(t, script, test.object); status != test.want {
			t.Errorf("%s: Argo CD sees %s, want %s", name, status, test.want)
		}
	}
}
