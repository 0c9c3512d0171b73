package report

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

// WriteConformance writes the status of a profile for people.
func WriteConformance(w io.Writer, profile *v1alpha1.PlatformProfile, look TableOptions) error {
	status := &profile.Status
	conformant := "Unknown"
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant); c != nil {
		conformant = string(c.Status)
	}
	if _, err := fmt.Fprintf(w, "PlatformProfile %s   conformant: %s   score: %s\n\n", text.Printable(profile.Name), look.paint(conditionColour(conformant), conformant), text.Printable(status.Score)); err != nil {
		return err
	}
	columns := []string{"LAYER", "REQUIREMENT", "VERDICT", "COMPONENT", "VERSION", "HEALTH", "NAMESPACE"}
	if look.Wide {
		columns = append(columns, "SINCE", "EVIDENCE", "MESSAGE")
	}
	t := newTable(w, look, columns...)
	for _, layer := range status.Layers {
		for i := range layer.Requirements {
			r := &layer.Requirements[i]
			verdict := string(r.Verdict)
			if r.Severity == v1alpha1.SeverityRecommended {
				verdict += " (recommended)"
			}
			cells := []cell{
				{text: layer.Name}, {text: r.Name}, {verdict, verdictColour(r)}, {text: orDash(r.Component)}, {text: orDash(r.Version)},
				{orDash(string(r.Health)), healthColour(r.Health)}, {text: orDash(r.Namespace)},
			}
			if look.Wide {
				since := ""
				if r.LastTransitionTime != nil {
					since = r.LastTransitionTime.UTC().Format("2006-01-02 15:04")
				}
				cells = append(cells, cell{text: orDash(since)}, cell{text: summarizeEvidence(r.Evidence)}, cell{text: orDash(r.Message)})
			}
			t.cells(cells...)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, layer := range status.Layers {
		for _, r := range layer.Requirements {
			if isGood(r.Verdict) && r.Health != v1alpha1.HealthProgressing {
				continue // of what holds only a rollout is worth a word
			}
			if _, err := fmt.Fprintf(w, "\n%s/%s is %s: %s\n", text.Printable(layer.Name), text.Printable(r.Name), look.paint(verdictColour(&r), string(r.Verdict)), text.Printable(r.Message)); err != nil {
				return err
			}
			if r.Remediation != "" {
				if _, err := fmt.Fprintf(w, "  %s\n", text.Printable(r.Remediation)); err != nil {
					return err
				}
			}
		}
	}
	if err := writeDiagnoses(w, status); err != nil {
		return err
	}
	if len(status.Undeclared) > 0 {
		if _, err := fmt.Fprintln(w, "\nInstalled and mentioned by no requirement:"); err != nil {
			return err
		}
		for _, u := range status.Undeclared {
			if _, err := fmt.Fprintf(w, "  %s\n", text.Printable(u.Component+" "+orDash(u.Version)+" "+u.Namespace)); err != nil {
				return err
			}
		}
	}
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionStalled); c != nil {
		if _, err := fmt.Fprintf(w, "\nMistakes in the profile: %s\n", text.Printable(c.Message)); err != nil {
			return err
		}
	}
	return nil
}

func conditionColour(status string) colour {
	switch status {
	case "True":
		return green
	case "False":
		return red
	}
	return yellow
}

func verdictColour(r *v1alpha1.RequirementStatus) colour {
	switch levelOf(r) {
	case levelNone:
		return green
	case levelError:
		return red
	}
	return yellow
}

func healthColour(h v1alpha1.Health) colour {
	switch h {
	case v1alpha1.HealthHealthy:
		return green
	case v1alpha1.HealthDegraded:
		return red
	case v1alpha1.HealthProgressing:
		return cyan
	case v1alpha1.HealthUnknown:
		return yellow
	}
	return 0
}

// writeDiagnoses writes what is wrong with pods, a line for each thing.
func writeDiagnoses(w io.Writer, status *v1alpha1.PlatformProfileStatus) error {
	if len(status.Diagnoses) == 0 {
		return nil
	}
	p := &lineWriter{w: w}
	p.line("\nWhat is wrong with pods, the worst first:")
	for _, one := range status.Diagnoses {
		p.line("  %s", text.Printable(fmt.Sprintf("%s  %s %s/%s%s: %s", one.Symptom, one.Workload.Kind, one.Workload.Namespace, one.Workload.Name, formatPod(one, 1), one.Meaning)))
	}
	if status.DiagnosesOmitted > 0 {
		p.line("  and %d more: platformprofile diagnose", status.DiagnosesOmitted)
	}
	return p.err
}
