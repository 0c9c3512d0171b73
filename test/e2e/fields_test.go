package e2e

import (
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// The operator caches only those fields of a resource that rules read. A profile that is created later and reads further fields
// must be evaluated on them from its first verdict on. The verdicts of the first profile must not change meanwhile.
func TestAProfileThatReadsFurtherFields(t *testing.T) {
	ctx := t.Context()
	expands := true
	class := &storagev1.StorageClass{Provisioner: "storage.example.com", AllowVolumeExpansion: &expands}
	class.Name = "important"
	cluster.Must(t, env.Client.Create(ctx, class))
	t.Cleanup(func() { _ = env.Client.Delete(t.Context(), class) })
	asks := func(expression string) v1alpha1.Layer {
		return v1alpha1.Layer{Name: "core", Requirements: []v1alpha1.Requirement{{Name: "class", Rule: &v1alpha1.Rule{
			Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
			Expression: expression, Require: v1alpha1.RequireAny, Message: "the class is not as it should be",
		}}}}
	}
	verdicts := func(p *cluster.WatchedProfile) map[v1alpha1.Verdict]bool {
		found := map[v1alpha1.Verdict]bool{}
		states, _ := p.States()
		for _, state := range states {
			for _, layer := range state.Profile.Status.Layers {
				found[layer.Requirements[0].Verdict] = true
			}
		}
		return found
	}
	settled := func(p *v1alpha1.PlatformProfile) bool { return len(p.Status.Layers) > 0 }

	first := createProfile(t, "reads-provisioners", asks("object.metadata.name == 'important' && object.provisioner == 'storage.example.com'"))
	first.Await(t, time.Time{}, "it is evaluated", settled)
	second := createProfile(t, "reads-expansion", asks("object.metadata.name == 'important' && object.?allowVolumeExpansion.orValue(false)"))
	second.Await(t, time.Time{}, "it is evaluated", settled)
	env.Barrier(t) // a verdict that should not come is there now
	for name, s := range map[string]*cluster.WatchedProfile{"the first": first, "the second": second} {
		if got := verdicts(s); len(got) != 1 || !got[v1alpha1.VerdictSatisfied] {
			t.Errorf("%s profile had the verdicts %v: %+v", name, got, s.Last().Status.Layers)
		}
	}
}
