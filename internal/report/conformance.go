package report

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Conformance writes the status of a profile for people.
func Conformance(w io.Writer, profile *v1alpha1.PlatformProfile) error {
	status := &profile.Status
	conformant := "Unknown"
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant); c != nil {
		conformant = string(c.Status)
	}
	if _, err := fmt.Fprintf(w, "PlatformProfile %s   conformant: %s   score: %s\n\n", profile.Name, conformant, status.Score); err != nil {
		return err
	}
	t := newTable(w, "LAYER", "REQUIREMENT", "VERDICT", "COMPONENT", "VERSION", "HEALTH", "NAMESPACE")
	for _, layer := range status.Layers {
		for _, r := range layer.Requirements {
			verdict := string(r.Verdict)
			if r.Severity == v1alpha1.SeverityRecommended {
				verdict += " (recommended)"
			}
			t.row(layer.Name, r.Name, verdict, dash(r.Component), dash(r.Version), dash(string(r.Health)), dash(r.Namespace))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, layer := range status.Layers {
		for _, r := range layer.Requirements {
			holds := r.Verdict == v1alpha1.VerdictSatisfied || r.Verdict == v1alpha1.VerdictAttested
			if holds && r.Health != v1alpha1.HealthProgressing {
				continue // of what holds only a rollout is worth a word
			}
			if _, err := fmt.Fprintf(w, "\n%s/%s is %s: %s\n", layer.Name, r.Name, r.Verdict, printable(r.Message)); err != nil {
				return err
			}
			if r.Remediation != "" {
				if _, err := fmt.Fprintf(w, "  %s\n", printable(r.Remediation)); err != nil {
					return err
				}
			}
		}
	}
	if err := diagnosed(w, status); err != nil {
		return err
	}
	if len(status.Undeclared) > 0 {
		if _, err := fmt.Fprintln(w, "\nInstalled and mentioned by no requirement:"); err != nil {
			return err
		}
		for _, u := range status.Undeclared {
			if _, err := fmt.Fprintf(w, "  %s %s %s\n", u.Component, dash(u.Version), u.Namespace); err != nil {
				return err
			}
		}
	}
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionStalled); c != nil {
		if _, err := fmt.Fprintf(w, "\nMistakes in the profile: %s\n", printable(c.Message)); err != nil {
			return err
		}
	}
	return nil
}

// diagnosed writes what is wrong with pods, a line for each thing.
func diagnosed(w io.Writer, status *v1alpha1.PlatformProfileStatus) error {
	if len(status.Diagnoses) == 0 {
		return nil
	}
	p := &page{w: w}
	p.line("\nWhat is wrong with pods, the worst first:")
	for _, one := range status.Diagnoses {
		p.line("  %s", printable(fmt.Sprintf("%s  %s %s/%s%s: %s", one.Symptom, one.Workload.Kind, one.Workload.Namespace, one.Workload.Name, where(one, 1), one.Meaning)))
	}
	if status.DiagnosesOmitted > 0 {
		p.line("  and %d more: platformprofile diagnose", status.DiagnosesOmitted)
	}
	return p.err
}
