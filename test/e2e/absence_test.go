package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestResidueIsNoInstallation asserts that the leftovers of an uninstall, and what runs beside a product, do not count as an
// installation. It runs before the platform is installed.
func TestResidueIsNoInstallation(t *testing.T) {
	ctx := context.Background()
	for _, variant := range []string{"istio/crds-only", "istio/application-with-sidecar", "vault/injector-only"} {
		objects, err := env.Apply(ctx, filepath.Join(cluster.Fixtures(), variant), "default")
		cluster.Must(t, err)
		t.Cleanup(func() {
			for _, object := range objects {
				if object.GetKind() != "Namespace" {
					cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, object.DeepCopy())))
				}
			}
		})
	}
	profile := createProfile(t, "leftovers",
		cluster.Layer("mesh", cluster.AnyOf("istio", "istio", "")),
		cluster.Layer("security", cluster.AnyOf("vault", "vault", "")),
	)
	profile.AwaitLast(t, "the leftovers are reported", func(p *v1alpha1.PlatformProfile) bool {
		istio, vault := cluster.FindRequirement(p, "mesh", "istio"), cluster.FindRequirement(p, "security", "vault")
		return istio != nil && vault != nil && strings.Contains(istio.Message, "leftover resources") &&
			strings.Contains(vault.Message, "leftover resources")
	})
	env.Barrier(t) // anything that would still change the verdicts has arrived
	for layer, component := range map[string]string{"mesh": "istio", "security": "vault"} {
		r := cluster.FindRequirement(profile.Last(), layer, component)
		if r.Verdict != v1alpha1.VerdictMissing || r.Component != "" {
			t.Errorf("%s: got %s: %s", component, r.Verdict, r.Message)
		}
		if len(r.Evidence) == 0 {
			t.Errorf("%s: no evidence names the leftovers", component)
		}
		for _, e := range r.Evidence {
			if strings.Contains(e.Signal, "proxyv2") {
				t.Errorf("%s: a sidecar counts as a leftover: %+v", component, e)
			}
		}
		t.Logf("%s: %s", component, r.Message)
	}
}
