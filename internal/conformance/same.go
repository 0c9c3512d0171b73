package conformance

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// same tells whether a status says the same as the one that is stored. Conditions that are stored beside its own are those
// of others: none of its own goes without something else of the status. A list that is empty and one that is not there are
// the same, as they are in what the API stores. Requirements and conditions, of which there are many, are compared field by field: by reflection
// it takes longer than the evaluation. A test sees to it that no field is forgotten.
func same(a, b *v1alpha1.PlatformProfileStatus) bool {
	if !slices.EqualFunc(a.Layers, b.Layers, sameLayer) {
		return false
	}
	for i := range a.Conditions {
		stored := meta.FindStatusCondition(b.Conditions, a.Conditions[i].Type)
		if stored == nil || !sameCondition(&a.Conditions[i], stored) {
			return false
		}
	}
	restA, restB := *a, *b
	restA.Layers, restB.Layers, restA.Conditions, restB.Conditions = nil, nil, nil, nil
	return equality.Semantic.DeepEqual(restA, restB)
}

func sameCondition(a, b *metav1.Condition) bool {
	return a.Type == b.Type && a.Status == b.Status && a.ObservedGeneration == b.ObservedGeneration && a.Reason == b.Reason && a.Message == b.Message &&
		a.LastTransitionTime.Equal(&b.LastTransitionTime)
}

func sameLayer(a, b v1alpha1.LayerStatus) bool {
	return a.Name == b.Name && a.Verdict == b.Verdict && a.Satisfied == b.Satisfied && a.Total == b.Total &&
		slices.EqualFunc(a.Requirements, b.Requirements, sameRequirement)
}

func sameRequirement(a, b v1alpha1.RequirementStatus) bool {
	return a.Name == b.Name && a.Verdict == b.Verdict && a.Severity == b.Severity && a.Component == b.Component && a.Version == b.Version &&
		a.Health == b.Health && a.Namespace == b.Namespace && a.Message == b.Message && a.Remediation == b.Remediation &&
		slices.Equal(a.Evidence, b.Evidence) && a.LastTransitionTime.Equal(b.LastTransitionTime) && a.FailingSince.Equal(b.FailingSince) &&
		slices.EqualFunc(a.RecentTurns, b.RecentTurns, func(x, y metav1.Time) bool { return x.Equal(&y) }) && sameFlapping(a.Flapping, b.Flapping)
}

func sameFlapping(a, b *v1alpha1.Flapping) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Turns == b.Turns && a.Since.Equal(&b.Since)
}
