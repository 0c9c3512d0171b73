package report

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// WriteConformance writes the status of a profile as a table and text.
func WriteConformance(w io.Writer, profile *v1alpha1.PlatformProfile, options TableOptions) error {
	status := &profile.Status
	conformant := "Unknown"
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant); c != nil {
		conformant = string(c.Status)
	}
	p := &lineWriter{w: w}
	p.writeLine(fmt.Sprintf("PlatformProfile %s   conformant: %s   score: %s",
		text.Printable(profile.Name), options.paint(conditionColour(conformant), conformant), text.Printable(status.Score)))
	p.line("")
	columns := []string{"LAYER", "REQUIREMENT", "VERDICT", "COMPONENT", "VERSION", "HEALTH", "NAMESPACE"}
	if options.Wide {
		columns = append(columns, "SINCE", "EVIDENCE", "MESSAGE")
	}
	t := newTable(options, columns...)
	for _, layer := range status.Layers {
		for i := range layer.Requirements {
			r := &layer.Requirements[i]
			cells := []cell{
				{text: layer.Name}, {text: r.Name}, {verdictText(r), verdictColour(r)}, {text: orDash(r.Component)}, {text: orDash(r.Version)},
				{orDash(string(r.Health)), healthColour(r.Health)}, {text: orDash(r.Namespace)},
			}
			if options.Wide {
				since := ""
				if r.LastTransitionTime != nil {
					since = r.LastTransitionTime.UTC().Format("2006-01-02 15:04")
				}
				cells = append(cells, cell{text: orDash(since)}, cell{text: summarizeEvidence(r.Evidence)}, cell{text: orDash(r.Message)})
			}
			t.addCells(cells...)
		}
	}
	t.write(p)
	for _, layer := range status.Layers {
		for _, r := range layer.Requirements {
			if isGood(r.Verdict) && r.Health != v1alpha1.HealthProgressing {
				continue // a rollout is reported although its requirement is satisfied
			}
			p.line("")
			p.writeLine(fmt.Sprintf("%s/%s is %s: %s", text.Printable(layer.Name), text.Printable(r.Name),
				options.paint(verdictColour(&r), string(r.Verdict)), text.Printable(r.Message)))
			if r.Waived != nil {
				p.line("  %s", conformance.DescribeWaiver(r.Waived))
			}
			if r.Remediation != "" {
				p.line("  %s", r.Remediation)
			}
		}
	}
	if len(status.Diagnoses) > 0 {
		p.heading("Failing pods, most severe first:")
	}
	for _, d := range status.Diagnoses {
		p.line("  %s  %s %s/%s%s: %s", d.Symptom, d.Workload.Kind, d.Workload.Namespace, d.Workload.Name, formatPod(d, 1), d.Meaning)
	}
	if status.DiagnosesOmitted > 0 {
		p.line("  and %d more: platformprofile diagnose", status.DiagnosesOmitted)
	}
	if len(status.Undeclared) > 0 {
		p.heading("Undeclared components:")
	}
	for _, u := range status.Undeclared {
		p.line("  %s %s %s", u.Component, orDash(u.Version), u.Namespace)
	}
	if message := specErrors(profile); message != "" {
		p.heading("Errors in the profile: " + message)
	}
	return p.err
}

// verdictText returns the verdict for a table.
func verdictText(r *v1alpha1.RequirementStatus) string {
	verdict := string(r.Verdict)
	if r.Waived != nil {
		verdict += " (waived)"
	}
	if r.Severity == v1alpha1.SeverityRecommended {
		verdict += " (recommended)"
	}
	return verdict
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
	default:
		return yellow
	}
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
	default:
		return 0
	}
}
