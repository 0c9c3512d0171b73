package security

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

func newWaiver(name string, lasts time.Duration) *v1alpha1.PlatformWaiver {
	return &v1alpha1.PlatformWaiver{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.PlatformWaiverSpec{
			Profile: "production", Requirement: "network/cni", Verdicts: []v1alpha1.Verdict{v1alpha1.VerdictMissing}, Reason: "it comes",
			By: "us", Expires: new(metav1.NewTime(time.Now().Add(lasts))),
		},
	}
}

// TestWhoDeclaresAndWhoWaives asserts that the roles for people separate both.
func TestWhoDeclaresAndWhoWaives(t *testing.T) {
	ctx := context.Background()
	declares, waives := userWithRoles(t, "declares", "platformprofile-editor"), userWithRoles(t, "waives", "platformprofile-waiver-editor")
	waiver := newWaiver("separate", time.Hour)
	if err := declares.Create(ctx, waiver.DeepCopy()); !apierrors.IsForbidden(err) {
		t.Errorf("who declares can waive: %v", err)
	}
	if err := waives.Create(ctx, profileReading("separate")); !apierrors.IsForbidden(err) {
		t.Errorf("who waives can declare: %v", err)
	}
	cluster.Must(t, waives.Create(ctx, waiver))
	cluster.Must(t, waives.List(ctx, &v1alpha1.PlatformProfileList{}))
	waiver.Status.State = v1alpha1.WaiverActive
	if err := waives.Status().Update(ctx, waiver.DeepCopy()); !apierrors.IsForbidden(err) {
		t.Errorf("who waives can write the status: %v", err)
	}
	cluster.Must(t, waives.Delete(ctx, waiver))
}

// TestWaiversEndSoon asserts that with config/admission a waiver lasts 90 days at most.
func TestWaiversEndSoon(t *testing.T) {
	ctx := context.Background()
	const day = 24 * time.Hour
	policy := filepath.Join(cluster.Root(), "config", "admission", "waivers.yaml")
	out, err := env.Kubectl(ctx, "apply", "--server-side", "-f", policy)
	if err != nil {
		t.Fatal(out)
	}
	t.Cleanup(func() { _, _ = env.Kubectl(ctx, "delete", "-f", policy) })
	cluster.Eventually(t, "the policy is in force", func() (bool, string) {
		err := env.Client.Create(ctx, newWaiver("long", 91*day), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "allows waivers of 2160 hours at most"), ""
	})
	short := newWaiver("short", 89*day)
	cluster.Must(t, env.Client.Create(ctx, short))
	cluster.Must(t, env.Client.Delete(ctx, short))
}
