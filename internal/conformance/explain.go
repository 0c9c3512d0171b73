package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Explanation is the whole chain from what a requirement asks for to its verdict.
type Explanation struct {
	Profile     string            `json:"profile"`
	Layer       string            `json:"layer"`
	Requirement string            `json:"requirement"`
	Severity    v1alpha1.Severity `json:"severity"`
	// Request is what the requirement asks for, a sentence each.
	Request []string `json:"asked"`
	// Sources are what was looked at, or could not be.
	Sources []ExplainedSource `json:"sources"`
	// Components are those that the requirement is about, found or not, in the order in which it names them.
	Components []ExplainedComponent `json:"components"`
	// Rules are the checks that the requirement asks for, with what they came to.
	Rules []ExplainedRule `json:"rules"`

	Verdict     v1alpha1.Verdict `json:"verdict"`
	Message     string           `json:"message"`
	Remediation string           `json:"remediation,omitempty"`
	// Conformant says what the verdict means for the profile.
	Conformant string `json:"conformant"`
}

// ExplainedSource is one source of facts or of objects.
type ExplainedSource struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Objects int    `json:"objects"`
	Reason  string `json:"reason,omitempty"`
}

// ExplainedComponent is what was found of one component.
type ExplainedComponent struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // the range that is asked for
	// IsRival says that it is not asked for, and that it may not be there beside what is.
	IsRival       bool                    `json:"rival,omitempty"`
	IsDefined     bool                    `json:"defined"`
	Installations []ExplainedInstallation `json:"installations"`
	Leftovers     []v1alpha1.Evidence     `json:"residue,omitempty"`
	// UnreadableSources is what could not be looked at that might prove it.
	UnreadableSources []string `json:"blind,omitempty"`
}

// ExplainedInstallation is one copy, and how it was judged by itself.
type ExplainedInstallation struct {
	Namespace string               `json:"namespace,omitempty"`
	Version   string               `json:"version,omitempty"`
	Variant   string               `json:"variant,omitempty"`
	Health    v1alpha1.Health      `json:"health"`
	Reason    string               `json:"why,omitempty"`
	Verdict   v1alpha1.Verdict     `json:"verdict,omitempty"`
	Message   string               `json:"message,omitempty"`
	Evidence  []v1alpha1.Evidence  `json:"evidence"`
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses,omitempty"`
}

// ExplainedRule is a check, and what it came to by itself.
type ExplainedRule struct {
	Name      string `json:"name"`
	Component string `json:"component,omitempty"`
	Resource  string `json:"resource"`
	// Expression is the CEL of a rule of the profile's own.
	Expression string           `json:"expression,omitempty"`
	Parameters map[string]any   `json:"parameters,omitempty"`
	Verdict    v1alpha1.Verdict `json:"verdict"`
	Message    string           `json:"message"`
	// Matched is how many objects the rule is about, and Satisfied how many of them satisfy it.
	Matched   int `json:"matched"`
	Satisfied int `json:"satisfied"`
	// Objects are those that the outcome follows from: the first few that fail, or that satisfy a rule which asks for one.
	Objects []v1alpha1.Evidence `json:"objects,omitempty"`
	// Skipped says why the check did not count; empty where it did.
	Skipped string `json:"skipped,omitempty"`
}

// Names are the requirements of a profile, each as LAYER/NAME, in the order of the spec.
func (p *Profile) Names() []string {
	var all []string
	for _, l := range p.layers {
		for i := range l.requirements {
			all = append(all, l.name+"/"+l.requirements[i].Name)
		}
	}
	return all
}

// Explain explains the verdict on a requirement, named LAYER/NAME, or NAME alone where one layer has it. The error says
// what there is.
func (p *Profile) Explain(name string, s *inventory.Snapshot, now time.Time) (*Explanation, error) {
	var layer string
	var r *requirement
	var fitting []string
	for i := range p.layers {
		for j := range p.layers[i].requirements {
			one := &p.layers[i].requirements[j]
			full := p.layers[i].name + "/" + one.Name
			if name == full || name == one.Name {
				layer, r = p.layers[i].name, one
				fitting = append(fitting, full)
			}
		}
	}
	switch {
	case len(fitting) == 0:
		return nil, fmt.Errorf("the profile has no requirement %q; it has %s", name, strings.Join(p.Names(), ", "))
	case len(fitting) > 1:
		return nil, fmt.Errorf("more than one requirement is called %q: say which one, %s", name, strings.Join(fitting, " or "))
	}
	j := &evaluator{snapshot: s, now: now}
	o := j.evaluateRequirement(r)
	e := &Explanation{
		Layer: layer, Requirement: r.Name, Severity: r.Severity, Request: r.describeRequest(), Verdict: o.verdict, Message: o.message, Remediation: o.remediation,
		Sources: r.explainSources(s), Components: []ExplainedComponent{}, Rules: []ExplainedRule{},
	}
	if isGood(o.verdict) {
		e.Remediation = ""
	}
	e.Conformant = explainMeaning(r.Severity, o.verdict)
	for _, c := range r.choices {
		e.Components = append(e.Components, j.explainChoice(r, c))
	}
	for _, rival := range r.rivals {
		named := slices.ContainsFunc(r.choices, func(c choice) bool { return c.component == rival })
		if component := s.Component(rival); r.Exclusive && !named && component != nil && (len(component.Installations) > 0 || len(component.UnreadableSources) > 0) {
			found := explainComponent(component)
			found.IsRival = true
			e.Components = append(e.Components, found)
		}
	}
	if r.rule != nil {
		e.Rules = append(e.Rules, j.explainRule(r.rule, ExplainedRule{Name: r.Name, Expression: r.Rule.Expression + r.Rule.ListExpression}, o))
	}
	for _, c := range r.checks {
		e.Rules = append(e.Rules, j.explainCheck(r, c)...)
	}
	return e, nil
}

func explainMeaning(severity v1alpha1.Severity, verdict v1alpha1.Verdict) string {
	switch {
	case isGood(verdict):
		return "it holds"
	case severity == v1alpha1.SeverityRecommended:
		return "it does not hold, and is only Recommended: the profile can be conformant without it"
	case verdict == v1alpha1.VerdictUnknown:
		return "it is Required and cannot be judged: whether the profile is conformant is Unknown, unless another requirement fails"
	}
	return "it is Required and does not hold: the profile is not conformant"
}

// describeRequest says in sentences what a requirement asks for.
func (r *requirement) describeRequest() []string {
	var asked []string
	say := func(format string, args ...any) { asked = append(asked, fmt.Sprintf(format, args...)) }
	not := ""
	if r.Presence == v1alpha1.PresenceAbsent {
		not = "not "
	}
	switch {
	case r.Attestation != nil:
		say("somebody's word for what cannot be seen in the cluster: that of %s", r.Attestation.By)
	case r.Rule != nil:
		say("a rule over %s holds: %s", resourceNames(rule.New(r.Rule, rule.ProfileScope, "")), r.Rule.Message)
	case r.Capability != "":
		say("a component that provides %s is %sinstalled", r.Capability, not)
	case len(r.AnyOf) > 0:
		choices := make([]string, 0, len(r.AnyOf))
		for _, c := range r.AnyOf {
			choices = append(choices, strings.TrimSpace(c.Component+" "+c.Version))
		}
		say("%s is %sinstalled", strings.Join(choices, " or "), not)
	}
	if len(r.choices) > 0 && not == "" {
		if r.Health == v1alpha1.RequireAnyHealth {
			say("in any health")
		} else {
			say("it is healthy, or being rolled out")
		}
	}
	if r.Exclusive {
		say("no other implementation is installed beside it")
	}
	for _, c := range r.Checks {
		say("its check %s holds", c.Name)
	}
	if r.broken != "" {
		say("it cannot be judged as it is written: %s", r.broken)
	}
	return asked
}

// explainSources are those that can prove what the requirement is about, and the resources that its rules read.
func (r *requirement) explainSources(s *inventory.Snapshot) []ExplainedSource {
	seen := map[string]ExplainedSource{}
	prove := func(name string) {
		component := s.Component(name)
		if component == nil {
			return
		}
		for _, source := range component.Definition.ProofSources() {
			at := s.SourceStatus(source)
			seen[source] = ExplainedSource{Name: source, State: at.State.String(), Objects: at.Objects, Reason: at.Reason}
		}
	}
	for _, c := range r.choices {
		prove(c.component)
	}
	if r.Exclusive {
		for _, rival := range r.rivals {
			prove(rival)
		}
	}
	read := func(resources []rule.Resource) {
		for _, resource := range resources {
			at := s.ResourceStatus(resource)
			seen[resource.String()] = ExplainedSource{Name: resource.String(), State: at.State.String(), Objects: at.Objects, Reason: at.Reason}
		}
	}
	if r.rule != nil {
		read(r.rule.AllResources())
	}
	for _, c := range r.checks {
		read(c.Rule.AllResources())
	}
	all := make([]ExplainedSource, 0, len(seen))
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		all = append(all, seen[name])
	}
	return all
}

func explainComponent(c *inventory.Component) ExplainedComponent {
	found := ExplainedComponent{Name: c.Definition.Name, IsDefined: true, Leftovers: c.Leftovers, UnreadableSources: c.UnreadableSources, Installations: []ExplainedInstallation{}}
	for i := range c.Installations {
		one := &c.Installations[i]
		found.Installations = append(found.Installations, ExplainedInstallation{
			Namespace: one.Namespace, Version: one.Version, Variant: one.Variant, Health: one.Health, Reason: one.Message, Evidence: one.Evidence, Diagnoses: one.Diagnoses,
		})
	}
	return found
}

func (j *evaluator) explainChoice(r *requirement, c choice) ExplainedComponent {
	component := j.snapshot.Component(c.component)
	if component == nil {
		return ExplainedComponent{Name: c.component, Version: c.text, Installations: []ExplainedInstallation{}}
	}
	found := explainComponent(component)
	found.Version = c.text
	if r.Presence == v1alpha1.PresenceAbsent || component.IsPartlyUnreadable {
		return found // a copy is not judged by itself
	}
	for i := range found.Installations {
		o := j.evaluateInstallation(r, c, component.Definition, &component.Installations[i])
		found.Installations[i].Verdict, found.Installations[i].Message = o.verdict, o.message
	}
	return found
}

// explainCheck runs a named check by itself, for each component that is asked for and offers it.
func (j *evaluator) explainCheck(r *requirement, c check) []ExplainedRule {
	var all []ExplainedRule
	for _, choice := range r.choices {
		component := j.snapshot.Component(choice.component)
		if component == nil || component.Definition.Checks[c.Name] != c.NamedCheck {
			continue
		}
		ran := j.explainRule(&c.instance, ExplainedRule{Name: c.Name, Component: choice.component, Parameters: checkParameters(c)}, j.evaluateNamedCheck(c, component.Definition))
		if len(component.Installations) == 0 {
			ran.Skipped = choice.component + " is not installed"
		}
		all = append(all, ran)
	}
	return all
}

// explainRule adds to an explanation what a rule came to.
func (j *evaluator) explainRule(instance *rule.Instance, explained ExplainedRule, o requirementOutcome) ExplainedRule {
	came := j.snapshot.Outcome(instance.Key)
	explained.Resource, explained.Verdict, explained.Message = resourceNames(instance.Rule), o.verdict, o.message
	explained.Matched, explained.Satisfied, explained.Objects = came.Matched, came.Satisfied, ruleEvidence(came)
	return explained
}

// checkParameters are the parameters of a check as text.
func checkParameters(c check) map[string]any {
	if len(c.instance.Params) == 0 {
		return nil
	}
	texts := make(map[string]any, len(c.instance.Params))
	for name, value := range c.instance.Params {
		texts[name] = fmt.Sprint(value)
	}
	return texts
}
