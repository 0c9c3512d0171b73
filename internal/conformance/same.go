package conformance

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// isSame says whether a status equals the stored one, in which conditions of others are left out.
func isSame(status, stored *v1alpha1.PlatformProfileStatus) bool {
	a, b := *status, *stored
	a.Conditions, b.Conditions = sortByType(status.Conditions), sortByType(OwnConditions(stored.Conditions))
	return equality.Semantic.DeepEqual(&a, &b)
}

// sortByType returns conditions in the order of their types: the API server keeps them in an order of its own.
func sortByType(conditions []metav1.Condition) []metav1.Condition {
	return slices.SortedFunc(slices.Values(conditions), func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
}
