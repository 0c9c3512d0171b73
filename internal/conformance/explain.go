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

// Explanation is the chain from a requirement to its verdict.
type Explanation struct {
	Profile     string            `json:"profile"`
	Layer       string            `json:"layer"`
	Requirement string            `json:"requirement"`
	Severity    v1alpha1.Severity `json:"severity"`
	// Request is what the requirement asks for, in sentences.
	Request []string `json:"request"`
	// Sources are what was read, or is unreadable.
	Sources []ExplainedSource `json:"sources"`
	// Components are the components that the requirement names, in its order, whether installed or not.
	Components []ExplainedComponent `json:"components"`
	// Rules are the rule or the checks of the requirement, with their outcomes.
	Rules []ExplainedRule `json:"rules"`

	Verdict     v1alpha1.Verdict `json:"verdict"`
	Message     string           `json:"message"`
	Remediation string           `json:"remediation,omitempty"`
	// Waived is the waiver that covers the verdict; nil if there is none.
	Waived *v1alpha1.AppliedWaiver `json:"waived,omitempty"`
	// Conformant is the consequence of the verdict for the profile.
	Conformant string `json:"conformant"`
}

// ExplainedSource is one source of facts or of objects.
type ExplainedSource struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Objects int    `json:"objects"`
	Reason  string `json:"reason,omitempty"`
}

// ExplainedComponent is one component with its installations and leftovers.
type ExplainedComponent struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // the requested range
	// IsRival marks a component that the requirement does not name, and that must not be installed beside the named ones.
	IsRival       bool                    `json:"rival,omitempty"`
	IsDefined     bool                    `json:"defined"`
	Installations []ExplainedInstallation `json:"installations"`
	Leftovers     []v1alpha1.Evidence     `json:"leftovers,omitempty"`
	// UnreadableSources are the reasons for which the component may exist undetected.
	UnreadableSources []string `json:"unreadable,omitempty"`
}

// ExplainedInstallation is one installation with its own verdict.
type ExplainedInstallation struct {
	Namespace string `json:"namespace,omitempty"`
	Version   string `json:"version,omitempty"`
	// ChartVersion is the version of the declared chart or package, if Version is unknown.
	ChartVersion string               `json:"chartVersion,omitempty"`
	ManagedBy    string               `json:"managedBy,omitempty"`
	Variant      string               `json:"variant,omitempty"`
	Health       v1alpha1.Health      `json:"health"`
	Reason       string               `json:"reason,omitempty"`
	Verdict      v1alpha1.Verdict     `json:"verdict,omitempty"`
	Message      string               `json:"message,omitempty"`
	Evidence     []v1alpha1.Evidence  `json:"evidence"`
	Diagnoses    []v1alpha1.Diagnosis `json:"diagnoses,omitempty"`
}

// ExplainedRule is a rule or a check with its own verdict.
type ExplainedRule struct {
	Name      string `json:"name"`
	Component string `json:"component,omitempty"`
	Resource  string `json:"resource"`
	// Expression is the CEL expression of a rule in the profile.
	Expression string           `json:"expression,omitempty"`
	Parameters map[string]any   `json:"parameters,omitempty"`
	Verdict    v1alpha1.Verdict `json:"verdict"`
	Message    string           `json:"message"`
	// Matched counts the objects that the rule selects, and Satisfied those that satisfy it.
	Matched   int `json:"matched"`
	Satisfied int `json:"satisfied"`
	// Objects decide the outcome: the first few that fail, or that satisfy a rule which requires one.
	Objects []v1alpha1.Evidence `json:"objects,omitempty"`
	// Skipped is the reason for which the check does not count; empty if it counts.
	Skipped string `json:"skipped,omitempty"`
}

// Names returns the requirements of a profile as LAYER/NAME, in the order of the spec.
func (p *Profile) Names() []string {
	var all []string
	for _, l := range p.layers {
		for i := range l.requirements {
			all = append(all, l.name+"/"+l.requirements[i].Name)
		}
	}
	return all
}

// Explain explains the verdict on a requirement. name is LAYER/NAME, or NAME if it is unique. The error lists the valid names.
func (p *Profile) Explain(
	name string, s *inventory.Snapshot, now time.Time, waivers ...*v1alpha1.PlatformWaiver,
) (*Explanation, error) {
	var layer string
	var r *requirement
	var matches []string
	for i := range p.layers {
		for j := range p.layers[i].requirements {
			candidate := &p.layers[i].requirements[j]
			fullName := p.layers[i].name + "/" + candidate.Name
			if name == fullName || name == candidate.Name {
				layer, r = p.layers[i].name, candidate
				matches = append(matches, fullName)
			}
		}
	}
	switch {
	case len(matches) == 0:
		return nil, fmt.Errorf("the profile has no requirement %q; it has %s", name, strings.Join(p.Names(), ", "))
	case len(matches) > 1:
		return nil, fmt.Errorf("more than one requirement is named %q: specify %s", name, strings.Join(matches, " or "))
	}
	ev := &evaluator{snapshot: s, now: now}
	o := ev.evaluateRequirement(r)
	e := &Explanation{
		Layer: layer, Requirement: r.Name, Severity: r.Severity, Request: r.describeRequest(),
		Verdict: o.verdict, Message: o.message, Remediation: o.remediation,
		Sources: r.explainSources(s), Components: []ExplainedComponent{}, Rules: []ExplainedRule{},
	}
	if isGood(o.verdict) {
		e.Remediation = ""
	}
	single := &evaluation{waivers: waivers, limits: limitsFor(1)}
	status := single.newRequirementStatus(r, o)
	e.Waived = single.findWaiver(layer, &status, now)
	e.Conformant = describeConsequence(&status, e.Waived != nil)
	for _, c := range r.choices {
		e.Components = append(e.Components, ev.explainChoice(r, c))
	}
	for _, rival := range r.rivals {
		component := s.Component(rival)
		isChoice := slices.ContainsFunc(r.choices, func(c choice) bool { return c.component == rival })
		if !r.Exclusive || isChoice || component == nil {
			continue
		}
		if len(component.Installations) > 0 || len(component.UnreadableSources) > 0 {
			explained := explainComponent(component)
			explained.IsRival = true
			e.Components = append(e.Components, explained)
		}
	}
	if r.rule != nil {
		e.Rules = append(e.Rules, ev.explainRule(r.rule, ExplainedRule{Name: r.Name, Expression: r.Rule.Expression + r.Rule.ListExpression}, o))
	}
	for _, c := range r.checks {
		e.Rules = append(e.Rules, ev.explainCheck(r, c)...)
	}
	return e, nil
}

func describeConsequence(r *v1alpha1.RequirementStatus, isWaived bool) string {
	switch {
	case isGood(r.Verdict):
		return "the requirement is satisfied"
	case r.Severity == v1alpha1.SeverityRecommended:
		return "the requirement is not satisfied, but it is only Recommended: the profile can be conformant without it"
	case isWaived:
		return "the requirement is not satisfied, but it is waived: the profile can be conformant without it"
	case r.Verdict == v1alpha1.VerdictUnknown:
		return "the requirement is Required and Unknown: Conformant is Unknown, unless another Required requirement fails"
	}
	return "the requirement is Required and not satisfied: the profile is not conformant"
}

// describeRequest describes in sentences what a requirement asks for.
func (r *requirement) describeRequest() []string {
	var sentences []string
	add := func(format string, args ...any) { sentences = append(sentences, fmt.Sprintf(format, args...)) }
	not := ""
	if r.Presence == v1alpha1.PresenceAbsent {
		not = "not "
	}
	switch {
	case r.Attestation != nil:
		add("%s attests what the operator cannot evaluate in the cluster", r.Attestation.By)
	case r.Rule != nil:
		add("a rule over %s is satisfied: %s", resourceNames(rule.New(r.Rule, rule.ProfileScope, "")), r.Rule.Message)
	case r.Capability != "":
		add("a component that provides %s is %sinstalled", r.Capability, not)
	case len(r.AnyOf) > 0:
		choices := make([]string, 0, len(r.AnyOf))
		for _, c := range r.AnyOf {
			choices = append(choices, strings.TrimSpace(c.Component+" "+c.Version))
		}
		add("%s is %sinstalled", strings.Join(choices, " or "), not)
	}
	if len(r.choices) > 0 && not == "" {
		if r.Health == v1alpha1.RequireAnyHealth {
			add("its health can be any")
		} else {
			add("it is Healthy or Progressing")
		}
	}
	if r.Exclusive {
		add("no other implementation is installed")
	}
	for _, c := range r.Checks {
		add("its check %s is satisfied", c.Name)
	}
	if r.invalidReason != "" {
		add("the requirement is invalid: %s", r.invalidReason)
	}
	return sentences
}

// explainSources returns the sources that can prove the components of a requirement, and the resources that its rules read.
func (r *requirement) explainSources(s *inventory.Snapshot) []ExplainedSource {
	sources := map[string]ExplainedSource{}
	addComponent := func(name string) {
		component := s.Component(name)
		if component == nil {
			return
		}
		for _, source := range component.Definition.ProofSources() {
			status := s.SourceStatus(source)
			sources[source] = ExplainedSource{Name: source, State: status.State.String(), Objects: status.Objects, Reason: status.Reason}
		}
	}
	for _, c := range r.choices {
		addComponent(c.component)
	}
	if r.Exclusive {
		for _, rival := range r.rivals {
			addComponent(rival)
		}
	}
	addResources := func(resources []rule.Resource) {
		for _, resource := range resources {
			status, name := s.ResourceStatus(resource), resource.String()
			sources[name] = ExplainedSource{Name: name, State: status.State.String(), Objects: status.Objects, Reason: status.Reason}
		}
	}
	if r.rule != nil {
		addResources(r.rule.AllResources())
	}
	for _, c := range r.checks {
		addResources(c.Rule.AllResources())
	}
	sorted := make([]ExplainedSource, 0, len(sources))
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		sorted = append(sorted, sources[name])
	}
	return sorted
}

func explainComponent(c *inventory.Component) ExplainedComponent {
	explained := ExplainedComponent{
		Name: c.Definition.Name, IsDefined: true, Leftovers: c.Leftovers, UnreadableSources: c.UnreadableSources,
		Installations: []ExplainedInstallation{},
	}
	for i := range c.Installations {
		installation := &c.Installations[i]
		explained.Installations = append(explained.Installations, ExplainedInstallation{
			Namespace: installation.Namespace, Version: installation.Version, Variant: installation.Variant, Health: installation.Health,
			ChartVersion: installation.ChartVersion, ManagedBy: installation.ManagedBy,
			Reason: installation.Message, Evidence: installation.Evidence, Diagnoses: installation.Diagnoses,
		})
	}
	return explained
}

func (ev *evaluator) explainChoice(r *requirement, c choice) ExplainedComponent {
	component := ev.snapshot.Component(c.component)
	if component == nil {
		return ExplainedComponent{Name: c.component, Version: c.text, Installations: []ExplainedInstallation{}}
	}
	explained := explainComponent(component)
	explained.Version = c.text
	if r.Presence == v1alpha1.PresenceAbsent || component.IsPartlyUnreadable {
		return explained // the installations have no verdicts of their own
	}
	for i := range explained.Installations {
		o := ev.evaluateInstallation(r, c, component.Definition, &component.Installations[i])
		explained.Installations[i].Verdict, explained.Installations[i].Message = o.verdict, o.message
	}
	return explained
}

// explainCheck explains a named check for each requested component that offers it.
func (ev *evaluator) explainCheck(r *requirement, c check) []ExplainedRule {
	var all []ExplainedRule
	for _, choice := range r.choices {
		component := ev.snapshot.Component(choice.component)
		if component == nil || component.Definition.Check(c.Name) != c.NamedCheck {
			continue
		}
		explained := ExplainedRule{Name: c.Name, Component: choice.component, Parameters: checkParameters(c)}
		installation := &inventory.Installation{}
		if len(component.Installations) == 0 {
			explained.Skipped = choice.component + " is not installed"
		} else {
			installation = &component.Installations[0]
		}
		o := ev.evaluateNamedCheck(c, component.Definition, installation)
		if c.Rule == nil {
			explained.Resource, explained.Verdict, explained.Message = "the facts about releases", o.verdict, o.message
		} else {
			explained = ev.explainRule(&c.instance, explained, o)
		}
		all = append(all, explained)
	}
	return all
}

// explainRule adds the outcome of a rule to its explanation.
func (ev *evaluator) explainRule(instance *rule.Instance, explained ExplainedRule, o requirementOutcome) ExplainedRule {
	outcome := ev.snapshot.Outcome(instance.Key)
	explained.Resource, explained.Verdict, explained.Message = resourceNames(instance.Rule), o.verdict, o.message
	explained.Matched, explained.Satisfied, explained.Objects = outcome.Matched, outcome.Satisfied, ruleEvidence(outcome)
	return explained
}

// checkParameters returns the parameters of a check as text.
func checkParameters(c check) map[string]any {
	if len(c.params) == 0 {
		return nil
	}
	texts := make(map[string]any, len(c.params))
	for name, value := range c.params {
		texts[name] = fmt.Sprint(value)
	}
	return texts
}
