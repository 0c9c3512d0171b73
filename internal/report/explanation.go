package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// WriteExplanation writes for people why a requirement has its verdict, from what was asked to what to do.
func WriteExplanation(w io.Writer, e *conformance.Explanation) error {
	p := &lineWriter{w: w}
	// Names and messages come from the cluster, and must not steer the terminal.
	say := func(format string, args ...any) { p.line("%s", text.Printable(fmt.Sprintf(format, args...))) }
	head := func(text string) {
		p.line("")
		say("%s", text)
	}
	say("%s/%s of PlatformProfile %s: %s (%s)", e.Layer, e.Requirement, e.Profile, e.Verdict, e.Severity)

	head("What was asked:")
	for _, text := range e.Request {
		say("  - %s", text)
	}
	if len(e.Sources) > 0 {
		head("What was looked at:")
		for _, source := range e.Sources {
			say("  %s", formatSource(source))
		}
	}
	if len(e.Components) > 0 {
		head("What was found:")
		writeExplainedComponents(say, e)
	}
	if len(e.Rules) > 0 {
		head("Which checks ran:")
		for _, rule := range e.Rules {
			writeExplainedRule(say, rule)
		}
	}
	head("Why it is " + string(e.Verdict) + ":")
	say("  %s", e.Message)
	say("  For the profile: %s.", e.Conformant)
	if e.Remediation != "" {
		head("What to do:")
		say("  %s", e.Remediation)
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
		return s.Name + ": the cluster does not serve it, so there can be none"
	}
	reason := s.Reason
	if reason == "" {
		reason = "it was not read yet"
	}
	return s.Name + ": cannot be read: " + reason
}

// writeExplainedComponents tells of what is there first, and of all that is not in one line: a capability may have many providers.
func writeExplainedComponents(say func(string, ...any), e *conformance.Explanation) {
	var absent []string
	for _, c := range e.Components {
		switch {
		case !c.IsDefined:
			say("  %s: nobody defines it", c.Name)
		case len(c.Installations) == 0 && len(c.Leftovers) == 0 && len(c.UnreadableSources) == 0:
			absent = append(absent, c.Name)
		default:
			writeExplainedComponent(say, c, e.Message)
		}
	}
	if len(absent) > 0 {
		say("  nothing of %s", strings.Join(absent, ", "))
	}
}

func writeExplainedComponent(say func(string, ...any), c conformance.ExplainedComponent, told string) {
	role := ""
	if c.IsRival {
		role = ", which is not asked for"
	}
	for _, one := range c.Installations {
		say("  %s %s%s: %s%s", c.Name, orDash(strings.TrimSpace(one.Version+" "+one.Variant)), inNamespace(one.Namespace), one.Health, role)
		if one.Reason != "" {
			say("    because %s", one.Reason)
		}
		if one.Verdict != "" && !isGood(one.Verdict) && one.Message != told {
			say("    by itself %s: %s", one.Verdict, one.Message)
		}
		for _, evidence := range one.Evidence {
			say("    shown by %s", formatEvidence(evidence))
		}
		for _, d := range one.Diagnoses {
			say("    %s: %s", conformance.SymptomText(&d), d.Meaning)
			for _, command := range d.Commands {
				say("      %s", command)
			}
		}
	}
	if len(c.Installations) == 0 && len(c.Leftovers) > 0 {
		say("  %s: no installation, only what an uninstall leaves behind", c.Name)
		for _, evidence := range c.Leftovers {
			say("    left: %s", formatEvidence(evidence))
		}
	}
	for _, reason := range c.UnreadableSources {
		say("  %s: cannot be told: %s", c.Name, reason)
	}
}

func writeExplainedRule(say func(string, ...any), r conformance.ExplainedRule) {
	name := r.Name
	if r.Component != "" {
		name = r.Component + "'s " + name
	}
	outcome := string(r.Verdict)
	if r.Skipped != "" {
		outcome = "not judged, because " + r.Skipped
	}
	say("  %s over %s: %s", name, r.Resource, outcome)
	for _, parameter := range slices.Sorted(maps.Keys(r.Parameters)) {
		say("    %s = %v", parameter, r.Parameters[parameter])
	}
	if r.Expression != "" {
		say("    %s", r.Expression)
	}
	if r.Skipped != "" {
		return
	}
	if r.Matched > 0 {
		say("    %d of %d objects satisfy it", r.Satisfied, r.Matched)
	}
	say("    %s", r.Message)
	for _, object := range r.Objects {
		say("    object: %s", formatEvidence(object))
	}
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in " + namespace
}

func formatEvidence(e v1alpha1.Evidence) string {
	name := e.Name
	if e.Namespace != "" {
		name = e.Namespace + "/" + name
	}
	text := e.Kind + " " + name
	if e.Signal != "" {
		text += " (" + e.Signal + ")"
	}
	return text
}
