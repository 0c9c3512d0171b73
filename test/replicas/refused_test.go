package replicas

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// TestLeaderKilledBeforeItWrites shows that what no status tells any more once it is written, the end of a flapping and what
// was wrong with a definition, is told all the same, and once, where a leader dies between telling and writing.
func TestLeaderKilledBeforeItWrites(t *testing.T) {
	ctx := context.Background()
	began := metav1.NewTime(time.Now().Add(-2 * time.Hour).Truncate(time.Second))
	calm := flapped(t, "flapped", began)
	broken := &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: "broken"}, Spec: v1alpha1.PlatformComponentSpec{
		Layer: "workloads", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Names: []string{"broken"}}}},
		Health: &v1alpha1.HealthRules{Rules: []v1alpha1.HealthRule{{Name: "nonsense", Rule: v1alpha1.Rule{Resource: &v1alpha1.ResourceReference{Group: "apps", Resource: "deployments"}, Expression: "object.nonsense()", Message: "never"}}}},
	}}
	must(t, env.Client.Create(ctx, broken))
	t.Cleanup(func() { must(t, env.Client.Delete(context.Background(), broken)) })
	allow := refuse(t, calm)

	leader, standby := pair(t, "", short)
	const ended, invalid = "FlappingEnded", "InvalidDefinition"
	within(t, 30*time.Second, "the leader tells of both", func() bool {
		return eventsOn(t, "PlatformProfile", calm.Name)[ended] > 0 && eventsOn(t, "PlatformComponent", broken.Name)[invalid] > 0
	})
	leader.signal(t, syscall.SIGKILL)
	must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(calm), calm))
	must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(broken), broken))
	if calm.Status.Layers[0].Requirements[0].Flapping == nil || len(broken.Status.Conditions) > 0 {
		t.Fatal("the leader wrote what it was not allowed to")
	}
	allow()

	within(t, short+30*time.Second, "the standby writes both", func() bool {
		must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(calm), calm))
		must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(broken), broken))
		return calm.Status.Layers[0].Requirements[0].Flapping == nil && len(broken.Status.Conditions) > 0
	})
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	time.Sleep(time.Second) // for what is told twice
	if got := eventsOn(t, "PlatformProfile", calm.Name); got[ended] != 1 {
		t.Errorf("%d events tell of %s, want 1: %v", got[ended], ended, got)
	}
	if got := eventsOn(t, "PlatformComponent", broken.Name); got[invalid] != 1 {
		t.Errorf("%d events tell of %s, want 1: %v", got[invalid], invalid, got)
	}
}

// flapped is a profile whose requirement flapped and has been still since a time.
func flapped(t *testing.T, name string, since metav1.Time) *v1alpha1.PlatformProfile {
	t.Helper()
	p := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PlatformProfileSpec{
		Layers: []v1alpha1.Layer{{Name: "storage", Requirements: []v1alpha1.Requirement{{Name: "class", Rule: &v1alpha1.Rule{
			Resource: &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"}, ListExpression: "objects.size() >= 0", Message: "never",
		}}}}},
	}}
	must(t, env.Client.Create(context.Background(), p))
	t.Cleanup(func() { must(t, env.Client.Delete(context.Background(), p)) })
	p.Status = v1alpha1.PlatformProfileStatus{
		ObservedGeneration: p.Generation, LastChangeTime: &since,
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionConformant, Status: metav1.ConditionTrue, Reason: "AllSatisfied", LastTransitionTime: since}},
		Layers: []v1alpha1.LayerStatus{{Name: "storage", Verdict: v1alpha1.VerdictSatisfied, Satisfied: 1, Total: 1, Requirements: []v1alpha1.RequirementStatus{{
			Name: "class", Verdict: v1alpha1.VerdictSatisfied, Severity: v1alpha1.SeverityRequired, LastTransitionTime: &since,
			RecentTurns: slices.Repeat([]metav1.Time{since}, 5), Flapping: &v1alpha1.Flapping{Since: since, Turns: 5},
		}}}},
	}
	must(t, env.Client.Status().Update(context.Background(), p))
	return p
}

// refuse has the API server refuse every status, of which that of a profile is one, until allow is called.
func refuse(t *testing.T, profile *v1alpha1.PlatformProfile) (allow func()) {
	t.Helper()
	ctx := context.Background()
	rule := admissionv1.NamedRuleWithOperations{}
	rule.APIGroups, rule.APIVersions, rule.Operations = []string{v1alpha1.GroupVersion.Group}, []string{"*"}, []admissionv1.OperationType{admissionv1.Update}
	rule.Resources = []string{"platformprofiles/status", "platformcomponents/status"}
	forbidden := metav1.StatusReasonForbidden
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "no-status"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{rule}},
		Validations:      []admissionv1.Validation{{Expression: "false", Message: "not now", Reason: &forbidden}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "no-status"}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	must(t, env.Client.Create(ctx, policy))
	must(t, env.Client.Create(ctx, binding))
	allow = func() {
		must(t, client.IgnoreNotFound(env.Client.Delete(ctx, binding)))
		must(t, client.IgnoreNotFound(env.Client.Delete(ctx, policy)))
	}
	t.Cleanup(allow)
	within(t, 30*time.Second, "statuses are refused", func() bool {
		err := env.Client.Status().Update(ctx, profile.DeepCopy(), client.DryRunAll)
		return apierrors.IsForbidden(err)
	})
	return allow
}
