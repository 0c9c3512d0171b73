package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// requirementOutcome is the verdict on one requirement, with its texts and evidence.
type requirementOutcome struct {
	verdict      v1alpha1.Verdict
	component    *catalog.Component
	installation *inventory.Installation
	message      string
	remediation  string
	evidence     []v1alpha1.Evidence
}

// evaluator evaluates single requirements against a snapshot.
type evaluator struct {
	snapshot *inventory.Snapshot
	now      time.Time
	// validUntil is when an outcome changes although the snapshot does not; zero if never.
	validUntil time.Time
}

// evaluateRequirement returns the outcome of one requirement.
func (ev *evaluator) evaluateRequirement(r *requirement) requirementOutcome {
	switch {
	case r.invalidReason != "":
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, message: "the requirement is invalid: " + r.invalidReason,
			remediation: "Correct the field in the profile.",
		}
	case r.Attestation != nil:
		return ev.evaluateAttestation(r.Attestation)
	case r.rule != nil:
		return ev.evaluateRule(r)
	case r.Presence == v1alpha1.PresenceAbsent:
		return evaluateAbsent(r, ev.snapshot)
	}
	return ev.evaluatePresent(r)
}

func (ev *evaluator) evaluateAttestation(a *v1alpha1.Attestation) requirementOutcome {
	statement := fmt.Sprintf("attested by %s: %s", a.By, a.Reason)
	if a.URL != "" {
		statement += " (" + a.URL + ")"
	}
	if a.Expires == nil {
		return requirementOutcome{verdict: v1alpha1.VerdictAttested, message: statement}
	}
	expiry := a.Expires.UTC().Format("2006-01-02 15:04 UTC")
	if !ev.now.Before(a.Expires.Time) {
		return requirementOutcome{
			verdict: v1alpha1.VerdictExpired, message: "the attestation expired at " + expiry + "; " + statement,
			remediation: "Have " + a.By + " confirm the attestation and set a later 'expires', " +
				"or replace it with a requirement that the operator can evaluate.",
		}
	}
	ev.expireAt(a.Expires.Time)
	return requirementOutcome{verdict: v1alpha1.VerdictAttested, message: statement + "; expires " + expiry}
}

// evaluateRule returns the outcome of a requirement that contains a rule.
func (ev *evaluator) evaluateRule(r *requirement) requirementOutcome {
	outcome := ev.snapshot.Outcome(r.rule.Key)
	message := r.Rule.Message
	if outcome.State == facts.NotServed {
		return requirementOutcome{
			verdict:     v1alpha1.VerdictMissing,
			message:     "the cluster does not serve " + resourceNames(r.rule.Rule) + ", which the rule reads: " + message,
			remediation: "Install the CustomResourceDefinition, or correct the resource in the profile.",
		}
	}
	o := verdictOfRule(r.rule.Rule, outcome)
	switch o.verdict {
	case v1alpha1.VerdictSatisfied:
		o.message = message
	case v1alpha1.VerdictCheckFailed:
		o.message = "the rule is not satisfied: " + message
		if explained := outcome.Explain(r.rule.Rule, ""); explained != "" {
			o.message += ": " + explained
		}
	default: // verdictOfRule sets the message
	}
	return o
}

// verdictOfRule returns the verdict for the outcome of a rule, with a message if the rule could not be evaluated.
func verdictOfRule(r *rule.Rule, outcome *rule.Outcome) requirementOutcome {
	switch {
	case outcome.State == facts.Pending:
		reason := outcome.Reason
		if reason == "" {
			reason = "the rule over " + resourceNames(r) + " has not been evaluated yet"
		}
		return requirementOutcome{verdict: v1alpha1.VerdictUnknown, message: reason}
	case outcome.State.IsUnreadable():
		return unknownOutcome([]string{outcome.Reason})
	case errors.Is(outcome.Err, rule.ErrTooCostly):
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, message: "cannot evaluate the rule over " + resourceNames(r) + ": " + outcome.Err.Error(),
			remediation: "Make the expression cheaper: do not nest loops over lists, " +
				"and move what is the same for all objects to a variable that does not use object.",
		}
	case outcome.Err != nil:
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, message: "cannot evaluate the rule over " + resourceNames(r) + ": " + outcome.Err.Error(),
			remediation: "Guard fields that objects may lack with optional access, for example object.?status.?phase.orValue('').",
		}
	}
	o := requirementOutcome{verdict: v1alpha1.VerdictSatisfied, evidence: ruleEvidence(outcome)}
	if !outcome.IsSatisfied {
		o.verdict = v1alpha1.VerdictCheckFailed
		o.remediation = "Inspect the objects: kubectl get " + strings.ReplaceAll(resourceNames(r), " and ", ",") + " -A"
	}
	return o
}

// ruleEvidence returns the objects that decide the outcome of a rule.
func ruleEvidence(outcome *rule.Outcome) []v1alpha1.Evidence {
	evidence := make([]v1alpha1.Evidence, 0, len(outcome.Objects))
	for _, object := range outcome.Objects {
		evidence = append(evidence, object.Evidence())
	}
	return evidence
}

// resourceNames joins the names of the resources that a rule selects.
func resourceNames(r *rule.Rule) string {
	names := make([]string, 0, len(r.Resources))
	for _, resource := range r.Resources {
		names = append(names, resource.String())
	}
	return strings.Join(names, " and ")
}

func evaluateAbsent(r *requirement, s *inventory.Snapshot) requirementOutcome {
	var unreadable []string
	var undetermined *requirementOutcome
	for _, c := range r.choices {
		component := s.Component(c.component)
		if component == nil {
			continue
		}
		for i := range component.Installations {
			installation := &component.Installations[i]
			if c.version != nil && installation.Version == "" {
				undetermined = &requirementOutcome{
					verdict: v1alpha1.VerdictUnknown, component: component.Definition, installation: installation, evidence: installation.Evidence,
					message: fmt.Sprintf("%s is installed%s; its version could not be determined, so the forbidden range %s cannot be evaluated",
						c.component, inNamespace(installation), c.text),
					remediation: versionAdvice,
				}
				continue // another copy may still be forbidden for certain
			}
			if c.version != nil && !isInRange(c, installation) {
				continue
			}
			return requirementOutcome{
				verdict: v1alpha1.VerdictForbidden, component: component.Definition, installation: installation, evidence: installation.Evidence,
				message:     "must not be installed: " + describeInstallation(component.Definition, installation),
				remediation: "Remove " + component.Definition.DisplayName + ", or allow it in the profile.",
			}
		}
		unreadable = append(unreadable, component.UnreadableSources...)
	}
	switch {
	case undetermined != nil:
		return *undetermined
	case len(unreadable) > 0:
		return unknownOutcome(unreadable)
	}
	return requirementOutcome{verdict: v1alpha1.VerdictSatisfied, message: notInstalled(r.choices)}
}

func (ev *evaluator) evaluatePresent(r *requirement) requirementOutcome {
	s := ev.snapshot
	if conflict, found := findConflict(r, s); found {
		return conflict
	}
	best, unreadable := ev.evaluateChoices(r)
	switch {
	case best != nil && isGood(best.verdict):
		if unreadable := unreadableRivals(r, s); len(unreadable) > 0 {
			return unknownOutcome(unreadable)
		}
		return *best
	case len(unreadable) > 0:
		return unknownOutcome(unreadable)
	case best != nil:
		return *best
	}
	return missingOutcome(r, s)
}

// evaluateChoices returns the best outcome of the installations of all choices, nil without installations, and the unreadable sources
// that may contain another installation.
func (ev *evaluator) evaluateChoices(r *requirement) (best *requirementOutcome, unreadable []string) {
	for _, c := range r.choices {
		component := ev.snapshot.Component(c.component)
		if component == nil {
			continue
		}
		if len(component.Installations) == 0 || component.IsPartlyUnreadable {
			unreadable = append(unreadable, component.UnreadableSources...)
		}
		if component.IsPartlyUnreadable {
			continue // its version and health may be incomplete
		}
		for i := range component.Installations {
			o := ev.evaluateInstallation(r, c, component.Definition, &component.Installations[i])
			if best == nil || severityRank(o.verdict) < severityRank(best.verdict) {
				best = &o
			}
		}
	}
	return best, unreadable
}

// missingOutcome returns the outcome of a requirement for which nothing is installed.
func missingOutcome(r *requirement, s *inventory.Snapshot) requirementOutcome {
	o := requirementOutcome{
		verdict: v1alpha1.VerdictMissing, message: notInstalled(r.choices), remediation: installAdvice(r, s.Catalog),
	}
	if r.Capability != "" {
		o.message = "no component that provides " + r.Capability + " is installed; candidates: " + joinNames(r.choices)
	}
	if r.undefinedReason != "" {
		o.message, o.remediation = r.undefinedReason, "Correct the name in the profile, or apply a PlatformComponent for it."
	}
	for _, c := range r.choices {
		if component := s.Component(c.component); component != nil && len(component.Installations) == 0 && len(component.Leftovers) > 0 {
			o.message, o.evidence = o.message+"; "+describeLeftovers(r, component), component.Leftovers
			break
		}
	}
	for _, c := range r.choices {
		if component := s.Component(c.component); component != nil && len(component.FailedDeclarations) > 0 {
			o.message += "; " + strings.Join(component.FailedDeclarations, "; ")
		}
	}
	return o
}

// versionAdvice is the remediation for an installation whose version could not be determined.
const versionAdvice = "Use an image with a version tag, or set the label app.kubernetes.io/version."

// unreadableRivals returns the unreadable sources that may contain a second implementation, if only one is allowed. As long as there
// are any, exclusivity is unknown.
func unreadableRivals(r *requirement, s *inventory.Snapshot) []string {
	var unreadable []string
	if r.Exclusive {
		for _, rival := range r.rivals {
			if component := s.Component(rival); component != nil && len(component.Installations) == 0 {
				unreadable = append(unreadable, component.UnreadableSources...)
			}
		}
	}
	return unreadable
}

// findConflict returns a Conflict if only one implementation is allowed and more than one is installed.
func findConflict(r *requirement, s *inventory.Snapshot) (requirementOutcome, bool) {
	if !r.Exclusive {
		return requirementOutcome{}, false
	}
	var found []string
	var evidence []v1alpha1.Evidence
	var first *inventory.Component
	for _, rival := range r.rivals {
		component := s.Component(rival)
		if component == nil || len(component.Installations) == 0 {
			continue
		}
		if first == nil {
			first = component
		}
		found = append(found, describeInstallation(component.Definition, &component.Installations[0]))
		leading := component.Installations[0].Evidence
		evidence = append(evidence, leading[:min(4, len(leading))]...)
	}
	if len(found) < 2 {
		return requirementOutcome{}, false
	}
	return requirementOutcome{
		verdict: v1alpha1.VerdictConflict, component: first.Definition, installation: &first.Installations[0],
		evidence:    evidence[:min(16, len(evidence))],
		message:     fmt.Sprintf("%d implementations are installed where one is allowed: %s", len(found), strings.Join(found, "; ")),
		remediation: "Remove all but one of them.",
	}, true
}

// evaluateInstallation returns the outcome for one installation of one choice.
func (ev *evaluator) evaluateInstallation(
	r *requirement, c choice, component *catalog.Component, installation *inventory.Installation,
) requirementOutcome {
	o := requirementOutcome{
		verdict: v1alpha1.VerdictSatisfied, component: component, installation: installation, evidence: installation.Evidence,
		message: describeInstallation(component, installation),
	}
	if c.version != nil {
		if installation.Version == "" {
			o.verdict = v1alpha1.VerdictUnknown
			o.message = fmt.Sprintf("%s is installed%s; its version could not be determined%s, so the range %s cannot be evaluated",
				component.Name, inNamespace(installation), chartText(installation), c.text)
			o.remediation = versionAdvice
			return o
		}
		if !isInRange(c, installation) {
			o.verdict = v1alpha1.VerdictVersionMismatch
			o.message = fmt.Sprintf("%s %s%s is outside the range %s", component.Name, installation.Version, inNamespace(installation), c.text)
			o.remediation = fmt.Sprintf("Install a version of %s in the range %s.", component.DisplayName, c.text)
			return o
		}
	}
	if r.Health != v1alpha1.RequireAnyHealth {
		switch installation.Health {
		case v1alpha1.HealthDegraded:
			o.verdict, o.remediation = v1alpha1.VerdictDegraded, inspectAdvice(component, installation)
			if len(installation.Diagnoses) > 0 {
				leading := &installation.Diagnoses[0]
				o.message += "; " + SymptomText(leading) + ": " + leading.Meaning
			}
			return o
		case v1alpha1.HealthUnknown:
			o.verdict, o.remediation = v1alpha1.VerdictUnknown, inspectAdvice(component, installation)
			return o
		default: // good enough
		}
	}
	for _, named := range r.checks {
		if component.Check(named.Name) != named.NamedCheck {
			continue // the check belongs to another choice
		}
		if failed := ev.evaluateNamedCheck(named, component, installation); !isGood(failed.verdict) {
			o.verdict, o.message, o.remediation = failed.verdict, failed.message, failed.remediation
			if len(failed.evidence) > 0 {
				o.evidence = failed.evidence
			}
			return o
		}
	}
	return o
}

// evaluateNamedCheck returns the outcome of a named check of a component.
func (ev *evaluator) evaluateNamedCheck(c check, component *catalog.Component, installation *inventory.Installation) requirementOutcome {
	if c.Rule == nil {
		return ev.evaluateCommonCheck(c, component, installation)
	}
	outcome := ev.snapshot.Outcome(c.instance.Key)
	label := "check " + c.Name + " of " + component.Name
	if outcome.State == facts.NotServed {
		return requirementOutcome{
			verdict: v1alpha1.VerdictCheckFailed, message: label + ": the cluster does not serve " + resourceNames(c.Rule),
			remediation: "Install the CustomResourceDefinitions of " + component.DisplayName + ".",
		}
	}
	o := verdictOfRule(c.Rule, outcome)
	switch {
	case o.verdict == v1alpha1.VerdictCheckFailed:
		o.message = label + " is not satisfied: " + outcome.Explain(c.Rule, c.Message)
	case o.verdict == v1alpha1.VerdictSatisfied:
		o.message = label + " is satisfied"
	case !outcome.State.IsUnreadable():
		o.message = label + ": " + o.message
	}
	return o
}

// unknownOutcome returns the outcome of a requirement that depends on something unreadable.
func unknownOutcome(reasons []string) requirementOutcome {
	var distinct []string
	for _, reason := range reasons {
		if !slices.Contains(distinct, reason) {
			distinct = append(distinct, reason)
		}
	}
	o := requirementOutcome{verdict: v1alpha1.VerdictUnknown, message: strings.Join(distinct, "; ")}
	if strings.Contains(o.message, "permission to list and watch is missing") {
		o.remediation = "Grant the permission to the operator's ServiceAccount, for example with a ClusterRole that has the label " +
			`platformprofile.dev/aggregate-to-operator: "true".`
	}
	return o
}

func isInRange(c choice, installation *inventory.Installation) bool {
	return installation.SemVer != nil && c.version != nil && c.version.Check(installation.SemVer)
}

func describeInstallation(component *catalog.Component, installation *inventory.Installation) string {
	text := component.Name
	if installation.Version != "" {
		text += " " + installation.Version
	}
	if installation.ChartVersion != "" {
		text += " (chart " + installation.ChartVersion + ")"
	}
	if installation.Variant != "" {
		text += " (" + installation.Variant + ")"
	}
	text += inNamespace(installation) + " is " + string(installation.Health)
	if installation.Message != "" {
		text += ": " + installation.Message
	}
	return text
}

// chartText says which version of the chart is declared, if that of the product is unknown.
func chartText(installation *inventory.Installation) string {
	if installation.ChartVersion == "" {
		return ""
	}
	return " from version " + installation.ChartVersion + " of its chart"
}

func inNamespace(installation *inventory.Installation) string {
	if installation.Namespace == "" {
		return ""
	}
	return " in " + installation.Namespace
}

func describeLeftovers(r *requirement, component *inventory.Component) string {
	first := component.Leftovers[0]
	text := "leftover resources"
	if len(r.choices) > 1 {
		text += " of " + component.Definition.Name
	}
	text += fmt.Sprintf(": %s %s", first.Kind, first.Name)
	if more := len(component.Leftovers) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func notInstalled(choices []choice) string {
	if len(choices) == 1 {
		return joinNames(choices) + " is not installed"
	}
	return "none of these is installed: " + joinNames(choices)
}

// joinNames lists the first few choices with their version ranges.
func joinNames(choices []choice) string {
	const limit = 6
	var texts []string
	for i, c := range choices {
		if i == limit {
			texts = append(texts, fmt.Sprintf("%d more", len(choices)-limit))
			break
		}
		text := c.component
		if c.text != "" {
			text += " " + c.text
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// installAdvice returns the install instructions of the first choice that has some.
func installAdvice(r *requirement, c *catalog.Catalog) string {
	for _, option := range r.choices {
		if component := c.Component(option.component); component != nil && component.Remediation.Install != "" {
			return "Install " + component.DisplayName + ": " + component.Remediation.Install
		}
	}
	return "Install one of " + joinNames(r.choices) + "."
}

// inspectAdvice returns the first command or page to consult for a degraded installation.
func inspectAdvice(component *catalog.Component, installation *inventory.Installation) string {
	if component.Remediation.Degraded != "" {
		return "Start with: " + component.Remediation.Degraded
	}
	if installation.Namespace != "" {
		return "Start with: kubectl -n " + installation.Namespace + " get deployments,daemonsets,statefulsets,pods"
	}
	return "See " + component.Homepage
}

func isGood(v v1alpha1.Verdict) bool {
	return v == v1alpha1.VerdictSatisfied || v == v1alpha1.VerdictAttested
}

// severityRank orders verdicts from best to worst. Unknown comes before the failures: if one copy fails and the state of another is
// unknown, the requirement may still be satisfied.
func severityRank(v v1alpha1.Verdict) int {
	switch v {
	case v1alpha1.VerdictSatisfied:
		return 0
	case v1alpha1.VerdictAttested:
		return 1
	case v1alpha1.VerdictUnknown:
		return 2
	case v1alpha1.VerdictExpired:
		return 3
	case v1alpha1.VerdictCheckFailed:
		return 4
	case v1alpha1.VerdictVersionMismatch:
		return 5
	case v1alpha1.VerdictDegraded:
		return 6
	case v1alpha1.VerdictConflict:
		return 7
	case v1alpha1.VerdictForbidden:
		return 8
	default: // Missing
		return 9
	}
}
