package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestResidueIsNoInstallation shows that what an uninstall leaves behind, and what runs beside a product, is not the
// product. It runs before the platform is installed.
func TestResidueIsNoInstallation(t *testing.T) {
	ctx := context.Background()
	for _, variant := range []string{"istio/crds-only", "istio/application-with-sidecar", "vault/injector-only"} {
		objects, err := env.Apply(ctx, filepath.Join(cluster.Fixtures(), variant), "default")
		must(t, err)
		t.Cleanup(func() {
			for _, object := range objects {
				if object.GetKind() != "Namespace" {
					must(t, client.IgnoreNotFound(env.Client.Delete(ctx, object.DeepCopy())))
				}
			}
		})
	}
	profile := create(t, "residue",
		v1alpha1.Layer{Name: "mesh", Requirements: []v1alpha1.Requirement{anyOf("istio", "istio", "")}},
		v1alpha1.Layer{Name: "security", Requirements: []v1alpha1.Requirement{anyOf("vault", "vault", "")}},
	)
	profile.settles(t, 10*time.Second, "the leftovers are reported", func(p *v1alpha1.PlatformProfile) bool {
		istio, vault := find(p, "mesh", "istio"), find(p, "security", "vault")
		return istio != nil && vault != nil && strings.Contains(istio.Message, "leftover resources") && strings.Contains(vault.Message, "leftover resources")
	})
	time.Sleep(500 * time.Millisecond) // anything that would still turn the verdicts has arrived
	for layer, component := range map[string]string{"mesh": "istio", "security": "vault"} {
		r := find(profile.last(), layer, component)
		if r.Verdict != v1alpha1.VerdictMissing || r.Component != "" {
			t.Errorf("%s: got %s: %s", component, r.Verdict, r.Message)
		}
		if len(r.Evidence) == 0 {
			t.Errorf("%s: nothing shows what was left behind", component)
		}
		for _, e := range r.Evidence {
			if strings.Contains(e.Signal, "proxyv2") {
				t.Errorf("%s: a sidecar counts as a trace: %+v", component, e)
			}
		}
		t.Logf("%s: %s", component, r.Message)
	}
}
