package conformance

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// isEqual reports whether a status equals the stored one, ignoring conditions of other writers.
func isEqual(status, stored *v1alpha1.PlatformProfileStatus) bool {
	a, b := *status, *stored
	a.Conditions, b.Conditions = sortByType(status.Conditions), sortByType(ManagedConditions(stored.Conditions))
	return equality.Semantic.DeepEqual(&a, &b)
}

// sortByType sorts conditions by type, because the API server may return them in another order.
func sortByType(conditions []metav1.Condition) []metav1.Condition {
	return slices.SortedFunc(slices.Values(conditions), func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
}
