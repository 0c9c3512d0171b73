package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// newWaiver returns a waiver of one verdict.
func newWaiver(name, profile, requirement string, verdict v1alpha1.Verdict, end time.Time) *v1alpha1.PlatformWaiver {
	return &v1alpha1.PlatformWaiver{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.PlatformWaiverSpec{
			Profile: profile, Requirement: requirement, Verdicts: []v1alpha1.Verdict{verdict}, Reason: "a migration", By: "ann",
			Expires: new(metav1.NewTime(end)),
		},
	}
}

// TestWaiver asserts that a waiver makes a failing profile conformant until it ends, to the second, and that its status follows.
func TestWaiver(t *testing.T) {
	ctx := context.Background()
	class := cluster.StorageClass("tolerated")
	cluster.Must(t, env.Client.Create(ctx, class))
	t.Cleanup(func() { cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, class))) })
	profile := createProfile(t, "waived",
		cluster.Layer("storage", cluster.StorageClassRule("classes", "object.metadata.name != 'tolerated'", "no class is tolerated")))
	conformantIs := func(value metav1.ConditionStatus, reason string) func(*v1alpha1.PlatformProfile) bool {
		return func(p *v1alpha1.PlatformProfile) bool {
			c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionConformant)
			return c != nil && c.Status == value && c.Reason == reason
		}
	}
	profile.AwaitLast(t, "it fails", conformantIs(metav1.ConditionFalse, "RequirementsFailing"))
	state := func(waiver string) func() (bool, string) {
		return func() (bool, string) {
			stored := &v1alpha1.PlatformWaiver{}
			cluster.Must(t, env.Client.Get(ctx, client.ObjectKey{Name: waiver}, stored))
			return stored.Status.ObservedGeneration == stored.Generation, string(stored.Status.State) + ": " + stored.Status.Message
		}
	}
	awaitState := func(waiver, want string) {
		t.Helper()
		cluster.Eventually(t, "the waiver "+waiver+" is "+want, func() (bool, string) {
			isObserved, text := state(waiver)()
			return isObserved && text == want, text
		})
	}
	create := func(name string, end time.Time, verdict v1alpha1.Verdict) {
		waiver := newWaiver(name, "waived", "storage/classes", verdict, end)
		cluster.Must(t, env.Client.Create(ctx, waiver))
		t.Cleanup(func() { cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, waiver))) })
	}
	create("other-verdict", time.Now().Add(time.Hour), v1alpha1.VerdictMissing)
	awaitState("other-verdict", "Unused: storage/classes is CheckFailed: the waiver covers Missing and not CheckFailed")

	created := time.Now()
	end := created.Truncate(time.Second).Add(8 * time.Second)
	create("migration", end, v1alpha1.VerdictCheckFailed)
	waived := profile.Await(t, created, "it is waived", conformantIs(metav1.ConditionTrue, "ConformantWithWaivers"))
	t.Logf("the profile conforms %s after the waiver was created", waived.Time.Sub(created).Round(time.Millisecond))
	if p := profile.Last(); p.Status.Score != "0/1 (1 waived)" || p.Status.Layers[0].Requirements[0].Verdict != v1alpha1.VerdictCheckFailed {
		t.Errorf("the score is %s, and the verdict %s", p.Status.Score, p.Status.Layers[0].Requirements[0].Verdict)
	}
	awaitState("migration", "Active: storage/classes is CheckFailed")
	const series = `platformprofile_waiver_expiry_timestamp_seconds{layer="storage",profile="waived",requirement="classes",waiver="migration"}`
	if metrics := scrape(t); !strings.Contains(metrics, series) {
		t.Error("there is no metric of the waiver")
	}

	ended := profile.Await(t, created, "the waiver ends", conformantIs(metav1.ConditionFalse, "RequirementsFailing"))
	t.Logf("the profile ceased to conform %s after the end of the waiver", ended.Time.Sub(end).Round(time.Millisecond))
	if c := meta.FindStatusCondition(profile.Last().Status.Conditions, v1alpha1.ConditionConformant); c.LastTransitionTime.Time.Before(end) ||
		c.LastTransitionTime.After(end.Add(5*time.Second)) { // a busy machine may be late
		t.Errorf("the waiver ended at %s, and its end was %s", c.LastTransitionTime, end)
	}
	expired := strings.Replace(end.UTC().Format("2006-01-02 15:04:05 UTC"), ":00 UTC", " UTC", 1)
	awaitState("migration", "Expired: expired at "+expired)
	if strings.Contains(scrape(t), series) {
		t.Error("there is a metric of a waiver that ended")
	}

	cluster.Must(t, env.Client.Delete(ctx, class))
	awaitState("other-verdict", "Unused: storage/classes is Satisfied")
}
