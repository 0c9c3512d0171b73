package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// WriteExplanation writes the explanation of a verdict as text.
func WriteExplanation(w io.Writer, e *conformance.Explanation) error {
	p := &lineWriter{w: w}
	p.line("%s/%s of PlatformProfile %s: %s (%s)", e.Layer, e.Requirement, e.Profile, e.Verdict, e.Severity)

	p.heading("Requirement:")
	for _, text := range e.Request {
		p.line("  - %s", text)
	}
	if len(e.Sources) > 0 {
		p.heading("Resources:")
		for _, source := range e.Sources {
			p.line("  %s", formatSource(source))
		}
	}
	if len(e.Components) > 0 {
		p.heading("Components:")
		writeExplainedComponents(p, e)
	}
	if len(e.Rules) > 0 {
		p.heading("Checks:")
		for _, rule := range e.Rules {
			writeExplainedRule(p, rule)
		}
	}
	p.heading("Reason for " + string(e.Verdict) + ":")
	p.line("  %s", e.Message)
	p.line("  Effect on the profile: %s.", e.Conformant)
	if e.Waived != nil {
		p.line("  PlatformWaiver %s: %s", e.Waived.Waiver, conformance.DescribeWaiver(e.Waived))
	}
	if e.Remediation != "" {
		p.heading("Remediation:")
		p.line("  %s", e.Remediation)
	}
	return p.err
}

func formatSource(s conformance.ExplainedSource) string {
	switch s.State {
	case "Synced":
		if s.Objects == 1 {
			return s.Name + ": 1 object"
		}
		return fmt.Sprintf("%s: %d objects", s.Name, s.Objects)
	case "NotServed":
		return s.Name + ": not served by the cluster"
	}
	if s.Reason == "" {
		return s.Name + ": not read yet"
	}
	return s.Reason
}

// writeExplainedComponents writes the components that are installed or may be, and the names of all others in one line.
func writeExplainedComponents(p *lineWriter, e *conformance.Explanation) {
	var notInstalled []string
	for _, c := range e.Components {
		switch {
		case !c.IsDefined:
			p.line("  %s: not defined", c.Name)
		case len(c.Installations) == 0 && len(c.Leftovers) == 0 && len(c.UnreadableSources) == 0:
			notInstalled = append(notInstalled, c.Name)
		default:
			writeExplainedComponent(p, c, e.Message)
		}
	}
	if len(notInstalled) > 0 {
		p.line("  not installed: %s", strings.Join(notInstalled, ", "))
	}
}

func writeExplainedComponent(p *lineWriter, c conformance.ExplainedComponent, verdictMessage string) {
	role := ""
	if c.IsRival {
		role = " (not allowed by the requirement)"
	}
	for _, i := range c.Installations {
		p.line("  %s %s%s: %s%s", c.Name, orDash(strings.TrimSpace(i.Version+" "+i.Variant)), inNamespace(i.Namespace), i.Health, role)
		if i.ChartVersion != "" {
			p.line("    version of the chart: %s", i.ChartVersion)
		}
		if i.ManagedBy != "" {
			p.line("    managed by: %s", i.ManagedBy)
		}
		if i.Reason != "" {
			p.line("    reason: %s", i.Reason)
		}
		if i.Verdict != "" && !isGood(i.Verdict) && i.Message != verdictMessage {
			p.line("    %s: %s", i.Verdict, i.Message)
		}
		for _, evidence := range i.Evidence {
			p.line("    evidence: %s", formatEvidence(evidence))
		}
		for _, d := range i.Diagnoses {
			p.line("    %s: %s", conformance.SymptomText(&d), d.Meaning)
			for _, command := range d.Commands {
				p.line("      %s", command)
			}
		}
	}
	if len(c.Installations) == 0 && len(c.Leftovers) > 0 {
		p.line("  %s: not installed, only leftovers", c.Name)
		for _, evidence := range c.Leftovers {
			p.line("    leftover: %s", formatEvidence(evidence))
		}
	}
	for _, reason := range c.UnreadableSources {
		p.line("  %s: unknown: %s", c.Name, reason)
	}
}

func writeExplainedRule(p *lineWriter, r conformance.ExplainedRule) {
	name := r.Name
	if r.Component != "" {
		name = r.Component + "'s " + name
	}
	outcome := string(r.Verdict)
	if r.Skipped != "" {
		outcome = "not evaluated: " + r.Skipped
	}
	p.line("  %s over %s: %s", name, r.Resource, outcome)
	for _, parameter := range slices.Sorted(maps.Keys(r.Parameters)) {
		p.line("    %s = %v", parameter, r.Parameters[parameter])
	}
	if r.Expression != "" {
		p.line("    %s", r.Expression)
	}
	if r.Skipped != "" {
		return
	}
	if r.Matched > 0 {
		p.line("    satisfied by %d of %d objects", r.Satisfied, r.Matched)
	}
	p.line("    %s", r.Message)
	for _, object := range r.Objects {
		p.line("    object: %s", formatEvidence(object))
	}
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in " + namespace
}

func formatObject(e v1alpha1.Evidence) string {
	if e.Namespace == "" {
		return e.Kind + " " + e.Name
	}
	return e.Kind + " " + e.Namespace + "/" + e.Name
}

func formatEvidence(e v1alpha1.Evidence) string {
	text := formatObject(e)
	if e.Signal != "" {
		text += " (" + e.Signal + ")"
	}
	return text
}
