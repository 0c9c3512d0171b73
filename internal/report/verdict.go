package report

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// isGood reports whether a verdict satisfies a requirement.
func isGood(v v1alpha1.Verdict) bool {
	return v == v1alpha1.VerdictSatisfied || v == v1alpha1.VerdictAttested
}

// resultLevel is the severity of a requirement in reports.
type resultLevel int

const (
	// levelNone means that the requirement is satisfied.
	levelNone resultLevel = iota
	// levelWaived means that it is not satisfied, and waived.
	levelWaived
	// levelNote means that it is Recommended and not satisfied.
	levelNote
	// levelWarning means that it is Required and its verdict is Unknown.
	levelWarning
	// levelError means that it is Required and not satisfied.
	levelError
)

func levelOf(r *v1alpha1.RequirementStatus) resultLevel {
	switch {
	case isGood(r.Verdict):
		return levelNone
	case r.Waived != nil:
		return levelWaived
	}
	return failureLevel(r)
}

// failureLevel returns the level of a requirement that is not satisfied, whether it is waived or not.
func failureLevel(r *v1alpha1.RequirementStatus) resultLevel {
	switch {
	case r.Severity == v1alpha1.SeverityRecommended:
		return levelNote
	case r.Verdict == v1alpha1.VerdictUnknown:
		return levelWarning
	}
	return levelError
}

// specErrors returns the errors in the spec of a profile; empty if there are none.
func specErrors(profile *v1alpha1.PlatformProfile) string {
	if c := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
		return text.Printable(c.Message)
	}
	return ""
}

// messageWithRemediation returns the message and the remediation of a requirement.
func messageWithRemediation(r *v1alpha1.RequirementStatus) string {
	message := text.Printable(r.Message)
	if r.Remediation != "" {
		message += "\n" + text.Printable(r.Remediation)
	}
	return message
}

// undeclaredComponents returns the undeclared components with version and namespace.
func undeclaredComponents(profile *v1alpha1.PlatformProfile) []string {
	texts := make([]string, 0, len(profile.Status.Undeclared))
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

// undeclaredUnknownReason returns why it is unknown whether undeclared components are installed, if that alone makes Conformant Unknown.
func undeclaredUnknownReason(profile *v1alpha1.PlatformProfile) string {
	return text.Printable(conformance.UndeclaredUnknownReason(&profile.Status))
}
