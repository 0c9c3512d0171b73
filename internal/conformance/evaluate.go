package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/text"
)

// maxUndeclared bounds the list of undeclared components.
const maxUndeclared = 256

// Result is the outcome of an evaluation.
type Result struct {
	Status v1alpha1.PlatformProfileStatus
	// Changed reports whether the status differs from the previous one and must be written.
	Changed bool
	// Transitions are the verdicts that changed, in the order of the spec.
	Transitions []Transition
	// Diagnosed are the requirements that failed earlier and now have their first diagnosis, in the order of the spec.
	Diagnosed []DiagnosedRequirement
	// RequeueAfter is when to evaluate next if nothing changes; never zero.
	RequeueAfter time.Duration
}

// Transition is a change of a verdict.
type Transition struct {
	Layer string
	From  v1alpha1.Verdict // empty for a new requirement
	Now   v1alpha1.RequirementStatus
	// Diagnosis is the worst diagnosis behind a failing verdict; nil if there is none yet.
	Diagnosis *v1alpha1.Diagnosis
}

// IsFailure reports whether the new verdict is a failing one.
func (t Transition) IsFailure() bool { return !isGood(t.Now.Verdict) }

// DiagnosedRequirement is a requirement that failed before its pods were diagnosed.
type DiagnosedRequirement struct {
	Layer string
	Now   v1alpha1.RequirementStatus
	// Diagnosis is the worst diagnosis; never nil.
	Diagnosis *v1alpha1.Diagnosis
}

// Evaluate evaluates a profile against a snapshot, with its waivers. Transition times continue from before, the last written status.
// generation is that of the spec that p was compiled from.
func Evaluate(
	p *Profile, s *inventory.Snapshot, before *v1alpha1.PlatformProfileStatus, generation int64, now time.Time,
	waivers ...*v1alpha1.PlatformWaiver,
) Result {
	second := metav1.NewTime(now.Truncate(time.Second))
	e := &evaluation{
		profile: p, snapshot: s, waivers: waivers, before: before, generation: generation, now: second, requeueAfter: p.Interval(),
	}
	status := v1alpha1.PlatformProfileStatus{
		ObservedGeneration: generation,
		LastChangeTime:     e.clampToNow(before.LastChangeTime),
	}
	requirements := 0
	for i := range p.layers {
		requirements += len(p.layers[i].requirements)
	}
	e.limits = limitsFor(requirements)
	summary := &v1alpha1.Summary{}
	for i := range p.layers {
		status.Layers = append(status.Layers, e.evaluateLayer(&p.layers[i], summary, now))
	}
	status.Summary, status.Score = summary, formatScore(summary)
	status.Diagnoses, status.DiagnosesOmitted = e.diagnoses.worst()
	status.Undeclared = e.undeclared()
	status.Conditions = e.conditions(&status, generation, now)
	status.Reason = summarizeFailures(&status, p.spec)
	if status.Reason == "" && !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionConformant) {
		status.Reason = "undeclared: Unknown"
	}

	result := Result{Transitions: e.transitions, Diagnosed: e.diagnosed, RequeueAfter: e.requeueAfter}
	if before.LastChangeTime == nil || !isEqual(&status, before) {
		result.Changed = true
		status.LastChangeTime = &e.now
	}
	result.Status = status
	return result
}

// formatScore returns the text for the column: "17/18", or "16/18 (2 waived)".
func formatScore(s *v1alpha1.Summary) string {
	text := fmt.Sprintf("%d/%d", s.Satisfied, s.Required)
	if s.Waived > 0 {
		text += fmt.Sprintf(" (%d waived)", s.Waived)
	}
	return text
}

type evaluation struct {
	profile      *Profile
	snapshot     *inventory.Snapshot
	waivers      []*v1alpha1.PlatformWaiver
	before       *v1alpha1.PlatformProfileStatus
	generation   int64
	now          metav1.Time // in whole seconds, as the API stores it
	requeueAfter time.Duration
	transitions  []Transition
	diagnosed    []DiagnosedRequirement
	diagnoses    diagnosisCollector
	limits       limits
}

// requeueNoLaterThan schedules the next evaluation for the time at which its result changes, if that is earlier.
func (e *evaluation) requeueNoLaterThan(at, now time.Time) {
	if wait := at.Sub(now); !at.IsZero() && wait > 0 && wait < e.requeueAfter {
		e.requeueAfter = wait
	}
}

func (e *evaluation) evaluateLayer(l *layer, summary *v1alpha1.Summary, now time.Time) v1alpha1.LayerStatus {
	status := v1alpha1.LayerStatus{
		Name: l.name, Verdict: v1alpha1.VerdictSatisfied, Requirements: make([]v1alpha1.RequirementStatus, 0, len(l.requirements)),
	}
	old := findRequirements(e.before, l.name)
	for i := range l.requirements {
		r := &l.requirements[i]
		ev := &evaluator{snapshot: e.snapshot, now: now}
		o := ev.evaluateRequirement(r)
		e.requeueNoLaterThan(ev.validUntil, now)
		diagnoses := o.diagnoses()
		e.diagnoses.add(diagnoses, r.Severity != v1alpha1.SeverityRecommended)
		e.diagnoses.countSkipped(o, e.snapshot)
		previous := old.find(r.Name, i)
		current := e.withTransitionTime(e.newRequirementStatus(r, o), previous)
		current.Waived = e.findWaiver(l.name, &current, now)
		leading := leadingDiagnosis(diagnoses)
		if previous == nil || previous.Verdict != current.Verdict {
			t := Transition{Layer: l.name, Now: current, Diagnosis: leading}
			if previous != nil {
				t.From = previous.Verdict
			}
			e.transitions = append(e.transitions, t)
		} else if leading != nil && mentionsSymptom(current.Message, leading) && !mentionsSymptom(previous.Message, leading) {
			e.diagnosed = append(e.diagnosed, DiagnosedRequirement{Layer: l.name, Now: current, Diagnosis: leading})
		}
		if previous == nil && isGood(current.Verdict) {
			current.LastTransitionTime = nil // it has not changed yet
		}
		status.Requirements = append(status.Requirements, current)
		status.Total++
		isSatisfied := isGood(current.Verdict)
		if isSatisfied {
			status.Satisfied++
		}
		countVerdict(summary, &current, isSatisfied)
		if current.Severity != v1alpha1.SeverityRecommended && current.Waived == nil && isWorse(current.Verdict, status.Verdict) {
			status.Verdict = current.Verdict
		}
	}
	return status
}

// isWorse reports whether a makes a layer worse than b. For a layer, every failure is worse than Unknown.
func isWorse(a, b v1alpha1.Verdict) bool {
	weight := func(v v1alpha1.Verdict) int {
		switch {
		case isGood(v):
			return 0
		case v == v1alpha1.VerdictUnknown:
			return 1
		}
		return 1 + severityRank(v)
	}
	return weight(a) > weight(b)
}

func countVerdict(summary *v1alpha1.Summary, r *v1alpha1.RequirementStatus, isSatisfied bool) {
	if r.Severity == v1alpha1.SeverityRecommended {
		summary.Recommended++
		if isSatisfied {
			summary.RecommendedSatisfied++
		}
		return
	}
	summary.Required++
	switch {
	case isSatisfied:
		summary.Satisfied++
	case r.Waived != nil:
		summary.Waived++
	case r.Verdict == v1alpha1.VerdictUnknown:
		summary.Unknown++
	default:
		summary.Failed++
	}
}

// newRequirementStatus returns the status of a requirement without its times.
func (e *evaluation) newRequirementStatus(r *requirement, o requirementOutcome) v1alpha1.RequirementStatus {
	status := v1alpha1.RequirementStatus{
		Name: r.Name, Verdict: o.verdict, Severity: r.Severity, Message: text.Bound(o.message, e.limits.text),
		Evidence: e.limits.selectEvidence(o.evidence, isGood(o.verdict)),
	}
	if status.Severity != v1alpha1.SeverityRecommended {
		status.Severity = "" // Required, or a severity that this version does not support
	}
	if !isGood(o.verdict) {
		status.Remediation = text.Bound(o.remediation, e.limits.text)
	}
	if o.component != nil {
		status.Component = o.component.Name
	}
	if o.installation != nil {
		i := o.installation
		status.Version, status.Health, status.Namespace = i.Version, i.Health, text.Bound(i.Namespace, maxName)
		status.ManagedBy = text.Bound(i.ManagedBy, e.limits.text)
		if o.verdict == v1alpha1.VerdictSatisfied && status.Health == v1alpha1.HealthHealthy && i.Variant == "" {
			status.Message = "" // it would only repeat the other fields
		}
	}
	return status
}

// withTransitionTime sets the times of a requirement, continuing from the previous status.
func (e *evaluation) withTransitionTime(status v1alpha1.RequirementStatus, old *v1alpha1.RequirementStatus) v1alpha1.RequirementStatus {
	status.LastTransitionTime = &e.now
	if !isGood(status.Verdict) {
		status.FailingSince = &e.now
	}
	if old == nil {
		return status
	}
	if old.Verdict == status.Verdict {
		status.LastTransitionTime = e.clampToNow(old.LastTransitionTime)
	}
	switch {
	case status.FailingSince == nil || isGood(old.Verdict):
	case old.FailingSince != nil:
		status.FailingSince = e.clampToNow(old.FailingSince)
	case old.LastTransitionTime != nil:
		// An older version or CRD stored no failingSince.
		status.FailingSince = e.clampToNow(old.LastTransitionTime)
	}
	return status
}

// requirements are the requirements of one layer in a status.
type requirements []v1alpha1.RequirementStatus

func findRequirements(status *v1alpha1.PlatformProfileStatus, layer string) requirements {
	for i := range status.Layers {
		if status.Layers[i].Name == layer {
			return status.Layers[i].Requirements
		}
	}
	return nil
}

// find returns the requirement with a name, or nil. It tries the likely index first.
func (r requirements) find(name string, likely int) *v1alpha1.RequirementStatus {
	if likely < len(r) && r[likely].Name == name {
		return &r[likely]
	}
	for i := range r {
		if r[i].Name == name {
			return &r[i]
		}
	}
	return nil
}

// undeclared lists the installations that no requirement declares, if the profile reports or forbids them.
func (e *evaluation) undeclared() []v1alpha1.UndeclaredComponent {
	if policy := e.profile.spec.Undeclared; policy != v1alpha1.UndeclaredReport && policy != v1alpha1.UndeclaredForbid {
		return nil
	}
	var found []v1alpha1.UndeclaredComponent
	for _, component := range e.snapshot.InstalledComponents() {
		// The cluster itself needs no declaration.
		if e.profile.components[component.Definition.Name] || component.Definition.Provides("orchestrator") {
			continue
		}
		for i := range component.Installations {
			if len(found) == maxUndeclared {
				return found
			}
			installation := &component.Installations[i]
			if e.profile.baseline[undeclaredKey{component.Definition.Name, installation.Namespace}] {
				continue
			}
			if bundler := e.snapshot.BundlerOf(component, installation); bundler != "" && e.profile.components[bundler] {
				continue // part of a declared component
			}
			found = append(found, v1alpha1.UndeclaredComponent{
				Component: component.Definition.Name, Version: installation.Version, Namespace: text.Bound(installation.Namespace, maxName),
			})
		}
	}
	return found
}

// summarizeFailures lists the layers that fail or are Unknown, short enough for a table column: few layers with their requirements, more
// layers by name.
func summarizeFailures(status *v1alpha1.PlatformProfileStatus, spec *v1alpha1.PlatformProfileSpec) string {
	const maxDetailed, maxNames = 2, 4
	var names, details []string
	for _, l := range status.Layers {
		if isGood(l.Verdict) {
			continue
		}
		var failing []string
		for _, r := range l.Requirements {
			if r.Severity != v1alpha1.SeverityRecommended && !isMet(&r) {
				failing = append(failing, r.Name+" "+string(r.Verdict))
			}
		}
		names = append(names, l.Name)
		details = append(details, l.Name+": "+strings.Join(failing[:min(maxDetailed, len(failing))], ", ")+moreText(len(failing)-maxDetailed))
	}
	if spec.Undeclared == v1alpha1.UndeclaredForbid && len(status.Undeclared) > 0 {
		names, details = append(names, "undeclared"), append(details, "undeclared: "+undeclaredNames(status))
	}
	if len(names) <= maxDetailed {
		return strings.Join(details, "; ")
	}
	return strings.Join(names[:min(maxNames, len(names))], ", ") + moreText(len(names)-maxNames)
}

func moreText(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(", %d more", n)
}

func undeclaredNames(status *v1alpha1.PlatformProfileStatus) string {
	unique := map[string]bool{}
	for _, u := range status.Undeclared {
		unique[u.Component] = true
	}
	names := slices.Sorted(maps.Keys(unique))
	return strings.Join(names[:min(3, len(names))], ", ") + moreText(len(names)-3)
}
