package report

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

// holds tells whether a verdict is one that a requirement holds with.
func holds(v v1alpha1.Verdict) bool {
	return v == v1alpha1.VerdictSatisfied || v == v1alpha1.VerdictAttested
}

// weight is how much a requirement that does not hold weighs.
type weight int

const (
	// fine says that it holds.
	fine weight = iota
	// advice says that what is Recommended does not hold, which changes nothing about the outcome.
	advice
	// doubt says that what is Required could not be judged.
	doubt
	// failure says that what is Required does not hold.
	failure
)

func weigh(r *v1alpha1.RequirementStatus) weight {
	switch {
	case holds(r.Verdict):
		return fine
	case r.Severity == v1alpha1.SeverityRecommended:
		return advice
	case r.Verdict == v1alpha1.VerdictUnknown:
		return doubt
	}
	return failure
}

// mistakes are those in the profile itself; empty where it has none.
func mistakes(profile *v1alpha1.PlatformProfile) string {
	if c := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
		return text.Printable(c.Message)
	}
	return ""
}

// advised is a message with what to do about it.
func advised(r *v1alpha1.RequirementStatus) string {
	message := text.Printable(r.Message)
	if r.Remediation != "" {
		message += "\n" + text.Printable(r.Remediation)
	}
	return message
}

// undeclared are the components that no requirement mentions, in words.
func undeclared(profile *v1alpha1.PlatformProfile) []string {
	var texts []string
	for _, u := range profile.Status.Undeclared {
		component := u.Component
		if u.Version != "" {
			component += " " + u.Version
		}
		if u.Namespace != "" {
			component += " in " + u.Namespace
		}
		texts = append(texts, text.Printable(component))
	}
	return texts
}

// unseenUndeclared says why nobody can tell whether anything undeclared is installed, where that alone keeps a profile
// from being conformant.
func unseenUndeclared(profile *v1alpha1.PlatformProfile) string {
	for _, layer := range profile.Status.Layers {
		for i := range layer.Requirements {
			if weigh(&layer.Requirements[i]) > advice {
				return ""
			}
		}
	}
	if c := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionConformant); c != nil && c.Status == metav1.ConditionUnknown {
		return text.Printable(c.Message)
	}
	return ""
}
