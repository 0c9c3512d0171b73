package report

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

// isGood tells whether a verdict is one that a requirement holds with.
func isGood(v v1alpha1.Verdict) bool {
	return v == v1alpha1.VerdictSatisfied || v == v1alpha1.VerdictAttested
}

// resultLevel is how much a requirement that does not hold weighs.
type resultLevel int

const (
	// levelNone says that it holds.
	levelNone resultLevel = iota
	// levelNote says that what is Recommended does not hold, which changes nothing about the outcome.
	levelNote
	// levelWarning says that what is Required could not be judged.
	levelWarning
	// levelError says that what is Required does not hold.
	levelError
)

func levelOf(r *v1alpha1.RequirementStatus) resultLevel {
	switch {
	case isGood(r.Verdict):
		return levelNone
	case r.Severity == v1alpha1.SeverityRecommended:
		return levelNote
	case r.Verdict == v1alpha1.VerdictUnknown:
		return levelWarning
	}
	return levelError
}

// specErrors are those in the profile itself; empty where it has none.
func specErrors(profile *v1alpha1.PlatformProfile) string {
	if c := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
		return text.Printable(c.Message)
	}
	return ""
}

// messageWithRemediation is a message with what to do about it.
func messageWithRemediation(r *v1alpha1.RequirementStatus) string {
	message := text.Printable(r.Message)
	if r.Remediation != "" {
		message += "\n" + text.Printable(r.Remediation)
	}
	return message
}

// undeclaredComponents are the components that no requirement mentions, in words.
func undeclaredComponents(profile *v1alpha1.PlatformProfile) []string {
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

// undeclaredUnknownReason says why nobody can tell whether anything undeclared is installed, where that alone keeps a profile
// from being conformant.
func undeclaredUnknownReason(profile *v1alpha1.PlatformProfile) string {
	for _, layer := range profile.Status.Layers {
		for i := range layer.Requirements {
			if levelOf(&layer.Requirements[i]) > levelNote {
				return ""
			}
		}
	}
	if c := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionConformant); c != nil && c.Status == metav1.ConditionUnknown {
		return text.Printable(c.Message)
	}
	return ""
}
