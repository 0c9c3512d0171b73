package resilience

import (
	"context"
	"fmt"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestNoEventWithoutAStatus tests that no event is published while a status cannot be written, and one of each once it can.
func TestNoEventWithoutAStatus(t *testing.T) {
	tc := acquireCluster(t)
	tc.startPair(t, "", shortLease)
	p := tc.createWatchedProfile(t, "refused", 0)
	profile := &v1alpha1.PlatformProfile{}
	cluster.Must(t, tc.Client.Get(context.Background(), client.ObjectKey{Name: p.Name}, profile))
	allow := tc.refuseStatuses(t, profile)
	broken := &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: "broken"}, Spec: v1alpha1.PlatformComponentSpec{
		Layer:   "workloads",
		Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Names: []string{"broken"}}}},
		Health: &v1alpha1.HealthRules{
			Rules: []v1alpha1.HealthRule{
				{
					Name: "nonsense",
					Rule: v1alpha1.Rule{
						Resource:   &v1alpha1.ResourceReference{Group: "apps", Resource: "deployments"},
						Expression: "object.nonsense()",
						Message:    "never",
					},
				},
			},
		},
	}}
	began := time.Now()
	cluster.Must(t, tc.Client.Create(context.Background(), broken))
	t.Cleanup(func() { cluster.Must(t, tc.Client.Delete(context.Background(), broken)) })
	p.createClass(t)
	cluster.Eventually(t, "both statuses are refused twice", func() (bool, string) {
		refused := map[string]int{}
		for _, request := range tc.requests(t, began) {
			if o := request.ObjectRef; o != nil && o.Subresource == "status" && request.ResponseStatus != nil && request.ResponseStatus.Code == 403 {
				refused[o.Name]++
			}
		}
		return refused[p.Name] > 1 && refused[broken.Name] > 1, fmt.Sprint(refused)
	})
	p.assertEventsAtMost(t, map[string]int{"CheckFailed": 0, "NotConformant": 0})
	const invalid = "InvalidDefinition"
	if got := tc.countEvents(t, "PlatformComponent", broken.Name); got[invalid] != 0 {
		t.Errorf("events are on a definition whose status was not written: %v", got)
	}
	allow()
	p.Await(t, began, "the status is written", hasVerdict(v1alpha1.VerdictCheckFailed))
	p.awaitEvents(t, map[string]int{"CheckFailed": 1, "NotConformant": 1})
	cluster.Eventually(t, "the mistake is published", func() (bool, string) {
		events := tc.countEvents(t, "PlatformComponent", broken.Name)
		return events[invalid] == 1, fmt.Sprint(events)
	})
}

// refuseStatuses makes the API server refuse every status until allow is called.
func (tc *testCluster) refuseStatuses(t *testing.T, profile *v1alpha1.PlatformProfile) (allow func()) {
	t.Helper()
	ctx := context.Background()
	rule := admissionregistrationv1.NamedRuleWithOperations{}
	rule.APIGroups, rule.APIVersions, rule.Operations =
		[]string{v1alpha1.GroupVersion.Group}, []string{"*"}, []admissionregistrationv1.OperationType{admissionregistrationv1.Update}
	rule.Resources = []string{"platformprofiles/status", "platformcomponents/status"}
	forbidden := metav1.StatusReasonForbidden
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-status"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{rule}},
			Validations:      []admissionregistrationv1.Validation{{Expression: "false", Message: "not now", Reason: &forbidden}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-status"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	cluster.Must(t, tc.Client.Create(ctx, policy))
	cluster.Must(t, tc.Client.Create(ctx, binding))
	allow = func() {
		cluster.Must(t, client.IgnoreNotFound(tc.Client.Delete(ctx, binding)))
		cluster.Must(t, client.IgnoreNotFound(tc.Client.Delete(ctx, policy)))
	}
	t.Cleanup(allow)
	cluster.Eventually(t, "statuses are refused", func() (bool, string) {
		err := tc.Client.Status().Update(ctx, profile.DeepCopy(), client.DryRunAll)
		return apierrors.IsForbidden(err), fmt.Sprint(err)
	})
	return allow
}
