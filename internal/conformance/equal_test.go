package conformance

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestIsEqualIgnoresConditionsOfOthers(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: alpha}]"))
	w.evaluate()
	stored := w.status.DeepCopy()
	stored.Conditions = append([]metav1.Condition{{Type: "BackedUp", Status: metav1.ConditionTrue}}, stored.Conditions...)
	if !isEqual(&w.status, stored) {
		t.Error("a condition of another owner counts as a change")
	}
	stored.Conditions[0].Type = v1alpha1.ConditionStalled
	if isEqual(&w.status, stored) {
		t.Error("a removed condition does not count as a change")
	}
}
