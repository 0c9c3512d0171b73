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

// maxUndeclared bounds the list of components that no requirement mentions.
const maxUndeclared = 256

// Result is what an evaluation comes to.
type Result struct {
	Status v1alpha1.PlatformProfileStatus
	// Changed says that the status differs from the one before, and must be written.
	Changed bool
	// Transitions are the verdicts that turned, in the order of the spec.
	Transitions []Transition
	// Diagnosed are the verdicts that turned earlier and whose cause is known now, in the order of the spec.
	Diagnosed []DiagnosedRequirement
	// RequeueAfter is when to evaluate next although nothing changes; never zero.
	RequeueAfter time.Duration
}

// Transition is a verdict that turned.
type Transition struct {
	Layer string
	From  v1alpha1.Verdict // empty for a requirement that is new
	Now   v1alpha1.RequirementStatus
	// Diagnosis is the worst that is wrong with the pods behind a verdict that does not hold; nil where nothing is known yet.
	Diagnosis *v1alpha1.Diagnosis
}

// IsFailure tells whether the verdict turned to one that does not hold.
func (t Transition) IsFailure() bool { return !isGood(t.Now.Verdict) }

// DiagnosedRequirement is about a verdict that turned before anything was known of the pods behind it, and is known now.
type DiagnosedRequirement struct {
	Layer string
	Now   v1alpha1.RequirementStatus
	// Diagnosis is the worst that is wrong with the pods; never nil.
	Diagnosis *v1alpha1.Diagnosis
}

// Evaluate says what holds of a profile in a snapshot. before is the status that was written last, from which it takes
// since when things are as they are; generation is that of the spec that p was compiled from.
func Evaluate(p *Profile, s *inventory.Snapshot, before *v1alpha1.PlatformProfileStatus, generation int64, now time.Time) Result {
	second := metav1.NewTime(now.Truncate(time.Second))
	e := &evaluation{profile: p, snapshot: s, before: before, generation: generation, now: second, again: p.Interval()}
	status := v1alpha1.PlatformProfileStatus{
		ObservedGeneration: generation,
		LastChangeTime:     e.notAfterNow(before.LastChangeTime),
	}
	requirements := 0
	for i := range p.layers {
		requirements += len(p.layers[i].requirements)
	}
	e.room = limitsFor(requirements)
	summary := &v1alpha1.Summary{}
	for i := range p.layers {
		status.Layers = append(status.Layers, e.evaluateLayer(&p.layers[i], summary, now))
	}
	status.Summary, status.Score = summary, fmt.Sprintf("%d/%d", summary.Satisfied, summary.Required)
	status.Diagnoses, status.DiagnosesOmitted = e.diagnoses.worst()
	status.Undeclared = e.undeclared()
	status.Conditions = e.conditions(&status, generation, now)
	status.Reason = reason(&status, p.spec)
	if status.Reason == "" && !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionConformant) {
		status.Reason = "undeclared: cannot tell"
	}

	result := Result{Transitions: e.transitions, Diagnosed: e.insights, RequeueAfter: e.again}
	if before.LastChangeTime == nil || !isSame(&status, before) {
		result.Changed = true
		status.LastChangeTime = &e.now
	}
	result.Status = status
	return result
}

type evaluation struct {
	profile     *Profile
	snapshot    *inventory.Snapshot
	before      *v1alpha1.PlatformProfileStatus
	generation  int64
	now         metav1.Time // in whole seconds, as the API stores it
	again       time.Duration
	transitions []Transition
	insights    []DiagnosedRequirement
	diagnoses   diagnosisCollector
	room        limits
}

// requeueAt has the evaluation made again at a time when it comes out differently.
func (e *evaluation) requeueAt(at, now time.Time) {
	if wait := at.Sub(now); !at.IsZero() && wait > 0 && wait < e.again {
		e.again = wait
	}
}

func (e *evaluation) evaluateLayer(l *layer, summary *v1alpha1.Summary, now time.Time) v1alpha1.LayerStatus {
	status := v1alpha1.LayerStatus{Name: l.name, Verdict: v1alpha1.VerdictSatisfied, Requirements: make([]v1alpha1.RequirementStatus, 0, len(l.requirements))}
	old := findRequirements(e.before, l.name)
	for i := range l.requirements {
		r := &l.requirements[i]
		j := &evaluator{snapshot: e.snapshot, now: now}
		o := j.evaluateRequirement(r)
		e.requeueAt(j.until, now)
		why := o.diagnoses()
		e.diagnoses.add(why, r.Severity != v1alpha1.SeverityRecommended)
		e.diagnoses.countSkipped(o, e.snapshot)
		was := old.find(r.Name, i)
		judged := e.withTransitionTime(e.newRequirementStatus(r, o), was)
		if was == nil || was.Verdict != judged.Verdict {
			t := Transition{Layer: l.name, Now: judged, Diagnosis: leadingDiagnosis(why)}
			if was != nil {
				t.From = was.Verdict
			}
			e.transitions = append(e.transitions, t)
		} else if found := leadingDiagnosis(why); found != nil && mentionsSymptom(judged.Message, found) && !mentionsSymptom(was.Message, found) {
			e.insights = append(e.insights, DiagnosedRequirement{Layer: l.name, Now: judged, Diagnosis: found})
		}
		if was == nil && isGood(judged.Verdict) {
			judged.LastTransitionTime = nil // it has not changed yet
		}
		status.Requirements = append(status.Requirements, judged)
		status.Total++
		ok := isGood(judged.Verdict)
		if ok {
			status.Satisfied++
		}
		countVerdict(summary, &judged, ok)
		if judged.Severity != v1alpha1.SeverityRecommended && worseOf(judged.Verdict, status.Verdict) {
			status.Verdict = judged.Verdict
		}
	}
	return status
}

// worseOf orders what a layer says of itself: what is bad before what is unknown, and that before what holds.
func worseOf(a, b v1alpha1.Verdict) bool {
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

func countVerdict(summary *v1alpha1.Summary, r *v1alpha1.RequirementStatus, ok bool) {
	if r.Severity == v1alpha1.SeverityRecommended {
		summary.Recommended++
		if ok {
			summary.RecommendedSatisfied++
		}
		return
	}
	summary.Required++
	switch {
	case ok:
		summary.Satisfied++
	case r.Verdict == v1alpha1.VerdictUnknown:
		summary.Unknown++
	default:
		summary.Failed++
	}
}

// newRequirementStatus is what the status says of an outcome, but for what it says of times.
func (e *evaluation) newRequirementStatus(r *requirement, o requirementOutcome) v1alpha1.RequirementStatus {
	status := v1alpha1.RequirementStatus{
		Name: r.Name, Verdict: o.verdict, Severity: r.Severity, Message: text.Bound(o.message, e.room.text), Evidence: e.room.selectEvidence(o.evidence, isGood(o.verdict)),
	}
	if status.Severity != v1alpha1.SeverityRecommended {
		status.Severity = "" // Required, also where it is one that this version does not know
	}
	if !isGood(o.verdict) {
		status.Remediation = text.Bound(o.remediation, e.room.text)
	}
	if o.component != nil {
		status.Component = o.component.Name
	}
	if o.installation != nil {
		status.Version, status.Health, status.Namespace = o.installation.Version, o.installation.Health, text.Bound(o.installation.Namespace, maxName)
		if o.verdict == v1alpha1.VerdictSatisfied && status.Health == v1alpha1.HealthHealthy && o.installation.Variant == "" {
			status.Message = "" // component, version, health and namespace are all that it says
		}
	}
	return status
}

// withTransitionTime says since when a requirement is as it is, by what the status before says of it.
func (e *evaluation) withTransitionTime(status v1alpha1.RequirementStatus, old *v1alpha1.RequirementStatus) v1alpha1.RequirementStatus {
	status.LastTransitionTime = &e.now
	if !isGood(status.Verdict) {
		status.FailingSince = &e.now
	}
	if old == nil {
		return status
	}
	if old.Verdict == status.Verdict {
		status.LastTransitionTime = e.notAfterNow(old.LastTransitionTime)
	}
	switch {
	case status.FailingSince == nil || isGood(old.Verdict):
	case old.FailingSince != nil:
		status.FailingSince = e.notAfterNow(old.FailingSince)
	case old.LastTransitionTime != nil:
		// An older version, or an older CRD, stored no more.
		status.FailingSince = e.notAfterNow(old.LastTransitionTime)
	}
	return status
}

// requirements are what a status says of those of a layer.
type requirements []v1alpha1.RequirementStatus

func findRequirements(status *v1alpha1.PlatformProfileStatus, layer string) requirements {
	for i := range status.Layers {
		if status.Layers[i].Name == layer {
			return status.Layers[i].Requirements
		}
	}
	return nil
}

// find is the requirement of a name, which most likely stands where it stood; nil where there is none.
func (all requirements) find(name string, likely int) *v1alpha1.RequirementStatus {
	if likely < len(all) && all[likely].Name == name {
		return &all[likely]
	}
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// undeclared lists the installations that no requirement mentions, where the profile asks for it.
func (e *evaluation) undeclared() []v1alpha1.UndeclaredComponent {
	if policy := e.profile.spec.Undeclared; policy != v1alpha1.UndeclaredReport && policy != v1alpha1.UndeclaredForbid {
		return nil
	}
	var found []v1alpha1.UndeclaredComponent
	for _, component := range e.snapshot.InstalledComponents() {
		// The cluster itself is no component that anybody would forbid.
		if e.profile.components[component.Definition.Name] || component.Definition.Provides("orchestrator") {
			continue
		}
		for i := range component.Installations {
			if len(found) == maxUndeclared {
				return found
			}
			installation := &component.Installations[i]
			if whole := e.snapshot.BundlerOf(component, installation); whole != "" && e.profile.components[whole] {
				continue // a part of what is declared
			}
			found = append(found, v1alpha1.UndeclaredComponent{Component: component.Definition.Name, Version: installation.Version, Namespace: text.Bound(installation.Namespace, maxName)})
		}
	}
	return found
}

// reason names the layers that fail or cannot be judged, short enough for a table: with their requirements where they are
// few, by their names where they are many.
func reason(status *v1alpha1.PlatformProfileStatus, spec *v1alpha1.PlatformProfileSpec) string {
	const detailed, shown = 2, 4
	var names, details []string
	for _, l := range status.Layers {
		if isGood(l.Verdict) {
			continue
		}
		var failing []string
		for _, r := range l.Requirements {
			if r.Severity != v1alpha1.SeverityRecommended && !isGood(r.Verdict) {
				failing = append(failing, r.Name+" "+string(r.Verdict))
			}
		}
		names = append(names, l.Name)
		details = append(details, l.Name+": "+strings.Join(failing[:min(detailed, len(failing))], ", ")+moreText(len(failing)-detailed))
	}
	if spec.Undeclared == v1alpha1.UndeclaredForbid && len(status.Undeclared) > 0 {
		names, details = append(names, "undeclared"), append(details, "undeclared: "+undeclaredNames(status))
	}
	if len(names) <= detailed {
		return strings.Join(details, "; ")
	}
	return strings.Join(names[:min(shown, len(names))], ", ") + moreText(len(names)-shown)
}

func moreText(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(", %d more", n)
}

func undeclaredNames(status *v1alpha1.PlatformProfileStatus) string {
	set := map[string]bool{}
	for _, u := range status.Undeclared {
		set[u.Component] = true
	}
	all := slices.Sorted(maps.Keys(set))
	return strings.Join(all[:min(3, len(all))], ", ") + moreText(len(all)-3)
}
