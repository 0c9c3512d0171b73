package conformance

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// requirementOutcome is the verdict on one requirement with what to say about it.
type requirementOutcome struct {
	verdict      v1alpha1.Verdict
	component    *catalog.Component
	installation *inventory.Installation
	message      string
	remediation  string
	evidence     []v1alpha1.Evidence
}

// evaluator is what verdicts are made from.
type evaluator struct {
	snapshot *inventory.Snapshot
	now      time.Time
	// until is when an outcome changes although the snapshot does not; zero for never.
	until time.Time
}

// evaluateRequirement decides one requirement.
func (j *evaluator) evaluateRequirement(r *requirement) requirementOutcome {
	switch {
	case r.broken != "":
		return requirementOutcome{verdict: v1alpha1.VerdictUnknown, message: "the requirement cannot be judged as it is written: " + r.broken, remediation: "Correct the field in the profile."}
	case r.Attestation != nil:
		return j.evaluateAttestation(r.Attestation)
	case r.rule != nil:
		return j.evaluateRule(r)
	case r.Presence == v1alpha1.PresenceAbsent:
		return evaluateAbsent(r, j.snapshot)
	}
	return j.evaluatePresent(r)
}

func (j *evaluator) evaluateAttestation(a *v1alpha1.Attestation) requirementOutcome {
	vouched := fmt.Sprintf("%s vouches for it: %s", a.By, a.Reason)
	if a.URL != "" {
		vouched += " (" + a.URL + ")"
	}
	if a.Expires == nil {
		return requirementOutcome{verdict: v1alpha1.VerdictAttested, message: vouched}
	}
	day := a.Expires.UTC().Format("2006-01-02 15:04 UTC")
	if !j.now.Before(a.Expires.Time) {
		return requirementOutcome{
			verdict: v1alpha1.VerdictExpired, message: "the attestation expired at " + day + "; " + vouched,
			remediation: "Have " + a.By + " confirm it again and set a later 'expires', or ask for what can be seen in the cluster.",
		}
	}
	if j.until.IsZero() || a.Expires.Time.Before(j.until) {
		j.until = a.Expires.Time
	}
	return requirementOutcome{verdict: v1alpha1.VerdictAttested, message: vouched + "; expires " + day}
}

// evaluateRule is the verdict on a requirement with a rule of its own.
func (j *evaluator) evaluateRule(r *requirement) requirementOutcome {
	came := j.snapshot.Outcome(r.rule.Key)
	message := r.Rule.Message
	if came.State == facts.NotServed {
		return requirementOutcome{
			verdict: v1alpha1.VerdictMissing, message: "the cluster serves no " + resourceNames(r.rule.Rule) + ", which the rule reads: " + message,
			remediation: "Install what brings the CustomResourceDefinition, or correct the resource in the profile.",
		}
	}
	o := verdictOfRule(r.rule.Rule, came)
	switch o.verdict {
	case v1alpha1.VerdictSatisfied:
		o.message = message
	case v1alpha1.VerdictCheckFailed:
		o.message = "does not hold: " + message
		if explained := came.Explain(r.rule.Rule, ""); explained != "" {
			o.message += ": " + explained
		}
	default:
	}
	return o
}

// verdictOfRule turns the outcome of a rule into a verdict, with a message where the rule could not be evaluated.
func verdictOfRule(r *rule.Rule, came *rule.Outcome) requirementOutcome {
	switch {
	case came.State == facts.Pending:
		reason := came.Reason
		if reason == "" {
			reason = resourceNames(r) + " were not read yet"
		}
		return requirementOutcome{verdict: v1alpha1.VerdictUnknown, message: reason}
	case came.State.IsUnreadable():
		return unknownOutcome([]string{came.Reason})
	case errors.Is(came.Err, rule.ErrTooCostly):
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, message: "the rule over " + resourceNames(r) + " could not be evaluated: " + came.Err.Error(),
			remediation: "Make the expression cheaper: do not nest loops over lists, and compute what is the same for all objects in a variable that does not use object.",
		}
	case came.Err != nil:
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, message: "the rule over " + resourceNames(r) + " could not be evaluated: " + came.Err.Error(),
			remediation: "Guard fields that objects may lack with optional access, for example object.?status.?phase.orValue('').",
		}
	}
	o := requirementOutcome{verdict: v1alpha1.VerdictSatisfied, evidence: ruleEvidence(came)}
	if !came.IsSatisfied {
		o.verdict, o.remediation = v1alpha1.VerdictCheckFailed, "Look at the objects: kubectl get "+strings.ReplaceAll(resourceNames(r), " and ", ",")+" -A"
	}
	return o
}

// ruleEvidence are the objects that the outcome of a rule follows from.
func ruleEvidence(came *rule.Outcome) []v1alpha1.Evidence {
	evidence := make([]v1alpha1.Evidence, 0, len(came.Objects))
	for _, object := range came.Objects {
		evidence = append(evidence, object.Evidence())
	}
	return evidence
}

// resourceNames are the resources that a rule is about.
func resourceNames(r *rule.Rule) string {
	names := make([]string, 0, len(r.Resources))
	for _, resource := range r.Resources {
		names = append(names, resource.String())
	}
	return strings.Join(names, " and ")
}

func evaluateAbsent(r *requirement, s *inventory.Snapshot) requirementOutcome {
	var blindSpots []string
	var unjudged *requirementOutcome
	for _, c := range r.choices {
		component := s.Component(c.component)
		if component == nil {
			continue
		}
		for i := range component.Installations {
			installation := &component.Installations[i]
			if c.version != nil && installation.Version == "" {
				unjudged = &requirementOutcome{
					verdict: v1alpha1.VerdictUnknown, component: component.Definition, installation: installation, evidence: installation.Evidence,
					message:     fmt.Sprintf("%s is installed%s, and nothing tells its version: whether it is one of %s cannot be judged", c.component, inNamespace(installation), c.text),
					remediation: tellVersion,
				}
				continue // another copy may certainly be forbidden
			}
			if c.version != nil && !isInRange(c, installation) {
				continue
			}
			return requirementOutcome{
				verdict: v1alpha1.VerdictForbidden, component: component.Definition, installation: installation, evidence: installation.Evidence,
				message:     "must not be there: " + describeInstallation(component.Definition, installation),
				remediation: "Remove " + component.Definition.DisplayName + ", or allow it in the profile.",
			}
		}
		blindSpots = append(blindSpots, component.UnreadableSources...)
	}
	switch {
	case unjudged != nil:
		return *unjudged
	case len(blindSpots) > 0:
		return unknownOutcome(blindSpots)
	}
	return requirementOutcome{verdict: v1alpha1.VerdictSatisfied, message: "none of " + joinNames(r.choices) + " is installed"}
}

func (j *evaluator) evaluatePresent(r *requirement) requirementOutcome {
	s := j.snapshot
	if conflict, found := findConflict(r, s); found {
		return conflict
	}
	var best *requirementOutcome
	var blindSpots []string
	var residue []v1alpha1.Evidence
	left := ""
	for _, c := range r.choices {
		component := s.Component(c.component)
		if component == nil {
			continue
		}
		if len(component.Installations) == 0 || component.IsPartlyUnreadable {
			blindSpots = append(blindSpots, component.UnreadableSources...)
		}
		if len(component.Installations) == 0 && len(component.Leftovers) > 0 && left == "" {
			left, residue = describeLeftovers(component), component.Leftovers
		}
		if component.IsPartlyUnreadable {
			continue // part of it may be out of sight: neither its version nor its health can be trusted
		}
		for i := range component.Installations {
			o := j.evaluateInstallation(r, c, component.Definition, &component.Installations[i])
			if best == nil || severityRank(o.verdict) < severityRank(best.verdict) {
				best = &o
			}
		}
	}
	switch {
	case best != nil && isGood(best.verdict):
		if unseen := unreadableRivals(r, s); len(unseen) > 0 {
			return unknownOutcome(unseen)
		}
		return *best
	case len(blindSpots) > 0:
		return unknownOutcome(blindSpots)
	case best != nil:
		return *best
	}
	o := requirementOutcome{verdict: v1alpha1.VerdictMissing, message: "not installed: " + joinNames(r.choices), evidence: residue, remediation: installAdvice(r, s.Catalog)}
	switch {
	case r.Capability != "":
		o.message = "nothing is installed that provides " + r.Capability + ": " + joinNames(r.choices) + " would"
	case len(r.choices) > 1:
		o.message = "none of them is installed: " + joinNames(r.choices)
	}
	if r.undefined != "" {
		o.message, o.remediation = r.undefined, "Correct the name in the profile, or apply a PlatformComponent for it."
	}
	if left != "" {
		o.message += "; " + left
	}
	return o
}

// tellVersion is what to do about an installation whose version nothing tells.
const tellVersion = "Deploy it with a version tag, or with the label app.kubernetes.io/version."

// unreadableRivals says what could not be looked at that may hold a second implementation, where only one is allowed: that
// there is one alone cannot be said then.
func unreadableRivals(r *requirement, s *inventory.Snapshot) []string {
	var unseen []string
	if r.Exclusive {
		for _, rival := range r.rivals {
			if component := s.Component(rival); component != nil && len(component.Installations) == 0 {
				unseen = append(unseen, component.UnreadableSources...)
			}
		}
	}
	return unseen
}

// findConflict looks for a second implementation where only one is allowed.
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
		shown := component.Installations[0].Evidence
		evidence = append(evidence, shown[:min(4, len(shown))]...)
	}
	if len(found) < 2 {
		return requirementOutcome{}, false
	}
	return requirementOutcome{
		verdict: v1alpha1.VerdictConflict, component: first.Definition, installation: &first.Installations[0], evidence: evidence[:min(16, len(evidence))],
		message:     fmt.Sprintf("%d implementations are installed where one is allowed: %s", len(found), strings.Join(found, "; ")),
		remediation: "Remove all but one of them.",
	}, true
}

// evaluateInstallation judges one installation of one choice.
func (j *evaluator) evaluateInstallation(r *requirement, c choice, component *catalog.Component, installation *inventory.Installation) requirementOutcome {
	o := requirementOutcome{verdict: v1alpha1.VerdictSatisfied, component: component, installation: installation, evidence: installation.Evidence, message: describeInstallation(component, installation)}
	if c.version != nil {
		if installation.Version == "" {
			o.verdict = v1alpha1.VerdictUnknown
			o.message = fmt.Sprintf("%s is installed%s, and nothing tells its version: the range %s cannot be judged", component.Name, inNamespace(installation), c.text)
			o.remediation = tellVersion
			return o
		}
		if !isInRange(c, installation) {
			o.verdict = v1alpha1.VerdictVersionMismatch
			o.message = fmt.Sprintf("%s %s%s is outside the range %s", component.Name, installation.Version, inNamespace(installation), c.text)
			o.remediation = fmt.Sprintf("Bring %s into the range %s.", component.DisplayName, c.text)
			return o
		}
	}
	if r.Health != v1alpha1.RequireAnyHealth {
		switch installation.Health {
		case v1alpha1.HealthDegraded:
			o.verdict, o.remediation = v1alpha1.VerdictDegraded, inspectAdvice(component, installation)
			if len(installation.Diagnoses) > 0 {
				why := &installation.Diagnoses[0]
				o.message += "; " + SymptomText(why) + ": " + why.Meaning
			}
			return o
		case v1alpha1.HealthUnknown:
			o.verdict, o.remediation = v1alpha1.VerdictUnknown, inspectAdvice(component, installation)
			return o
		default:
		}
	}
	for _, named := range r.checks {
		if component.Checks[named.Name] != named.NamedCheck {
			continue // another choice offers it
		}
		if failed := j.evaluateNamedCheck(named, component); !isGood(failed.verdict) {
			o.verdict, o.message, o.remediation = failed.verdict, failed.message, failed.remediation
			if len(failed.evidence) > 0 {
				o.evidence = failed.evidence
			}
			return o
		}
	}
	return o
}

// evaluateNamedCheck judges a named check of a component.
func (j *evaluator) evaluateNamedCheck(c check, component *catalog.Component) requirementOutcome {
	came := j.snapshot.Outcome(c.instance.Key)
	label := component.Name + "'s check " + c.Name
	if came.State == facts.NotServed {
		return requirementOutcome{
			verdict: v1alpha1.VerdictCheckFailed, message: label + ": the cluster serves no " + resourceNames(c.Rule),
			remediation: "Install the CustomResourceDefinitions of " + component.DisplayName + ".",
		}
	}
	o := verdictOfRule(c.Rule, came)
	switch {
	case o.verdict == v1alpha1.VerdictCheckFailed:
		o.message = label + " does not hold: " + came.Explain(c.Rule, c.Message)
	case o.verdict == v1alpha1.VerdictSatisfied:
		o.message = label + " holds"
	case !came.State.IsUnreadable():
		o.message = label + ": " + o.message
	}
	return o
}

// unknownOutcome is the verdict where the operator could not look.
func unknownOutcome(reasons []string) requirementOutcome {
	seen := map[string]bool{}
	var distinct []string
	for _, reason := range reasons {
		if !seen[reason] {
			seen[reason] = true
			distinct = append(distinct, reason)
		}
	}
	o := requirementOutcome{verdict: v1alpha1.VerdictUnknown, message: "cannot look: " + strings.Join(distinct, "; ")}
	if strings.Contains(o.message, "permission to list and watch is missing") {
		o.remediation = "Give the operator's ServiceAccount the permission, for example by a ClusterRole with the label platformprofile.dev/aggregate-to-operator: \"true\"."
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
	if installation.Variant != "" {
		text += " (" + installation.Variant + ")"
	}
	text += inNamespace(installation) + " is " + string(installation.Health)
	if installation.Message != "" {
		text += ": " + installation.Message
	}
	return text
}

func inNamespace(installation *inventory.Installation) string {
	if installation.Namespace == "" {
		return ""
	}
	return " in " + installation.Namespace
}

func describeLeftovers(component *inventory.Component) string {
	first := component.Leftovers[0]
	text := fmt.Sprintf("only traces of %s are there, no installation: %s %s", component.Definition.Name, first.Kind, first.Name)
	if more := len(component.Leftovers) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// joinNames lists the choices, with their ranges.
func joinNames(choices []choice) string {
	const shown = 6
	var texts []string
	for i, c := range choices {
		if i == shown {
			texts = append(texts, fmt.Sprintf("%d more", len(choices)-shown))
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

// installAdvice says how the first choice that has instructions is installed.
func installAdvice(r *requirement, c *catalog.Catalog) string {
	for _, option := range r.choices {
		if component := c.Component(option.component); component != nil && component.Remediation.Install != "" {
			return "Install " + component.DisplayName + ": " + component.Remediation.Install
		}
	}
	return "Install one of " + joinNames(r.choices) + "."
}

// inspectAdvice says where to look first when an installation is degraded.
func inspectAdvice(component *catalog.Component, installation *inventory.Installation) string {
	if component.Remediation.Degraded != "" {
		return "Look first at: " + component.Remediation.Degraded
	}
	if installation.Namespace != "" {
		return "Look first at: kubectl -n " + installation.Namespace + " get deployments,daemonsets,statefulsets,pods"
	}
	return "See " + component.Homepage
}

func isGood(v v1alpha1.Verdict) bool {
	return v == v1alpha1.VerdictSatisfied || v == v1alpha1.VerdictAttested
}

// severityRank orders verdicts from the one that holds to the one that is worst; Unknown comes before what is known to be bad,
// because an installation that fails is no reason to overlook one that cannot be judged.
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
	default:
		return 9 // Missing
	}
}
