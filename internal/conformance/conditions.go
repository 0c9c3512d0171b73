package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Reasons of conditions.
const (
	// ReasonAllHold is Conformant's reason when every Required requirement holds.
	ReasonAllHold = "AllRequirementsHold"
	// ReasonFailing is Conformant's reason when one does not.
	ReasonFailing = "RequirementsFailing"
	// ReasonGrace is Conformant's reason while a failure is younger than the grace period.
	ReasonGrace = "WithinGracePeriod"
	// ReasonCannotTell is Conformant's reason when none fails and one could not be judged.
	ReasonCannotTell = "CannotTell"
	// ReasonUndeclared is Conformant's reason when all hold and something is installed that the profile forbids.
	ReasonUndeclared = "UndeclaredComponents"
	// ReasonEvaluated is Ready's reason once the generation was evaluated.
	ReasonEvaluated = "Evaluated"
	// ReasonInvalidSpec is Stalled's reason, and Ready's with it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonSuspended is Ready's reason while the profile is suspended.
	ReasonSuspended = "Suspended"
)

// conditions builds all conditions of a profile that was evaluated. Reconciling is not among them: it is there only
// while a generation waits for its evaluation.
func (e *evaluation) conditions(status *v1alpha1.PlatformProfileStatus, generation int64, now time.Time) []metav1.Condition {
	var built []metav1.Condition
	set := func(kind string, value metav1.ConditionStatus, reason, message string) {
		condition := metav1.Condition{
			Type: kind, Status: value, Reason: reason, Message: text.Bound(message, maxCondition), ObservedGeneration: generation, LastTransitionTime: e.now,
		}
		if old := meta.FindStatusCondition(e.before.Conditions, kind); old != nil && old.Status == value {
			condition.LastTransitionTime = *e.notAfterNow(&old.LastTransitionTime)
		}
		built = append(built, condition)
	}
	errs := e.specErrors()
	value, reason, message := e.conformant(status, now)
	set(v1alpha1.ConditionConformant, value, reason, message)
	if len(errs) == 0 {
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, ReasonEvaluated, "this generation is evaluated whenever something changes")
	} else {
		text := strings.Join(errs[:min(5, len(errs))], "; ") + moreText(len(errs)-5)
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, ReasonInvalidSpec, text)
		set(v1alpha1.ConditionStalled, metav1.ConditionTrue, ReasonInvalidSpec, text)
	}
	for i := range status.Layers {
		condition := e.profile.layers[i].condition
		value, reason, message := e.summarizeLayers(status.Layers[i:i+1], condition, now)
		set(condition, value, reason, message)
	}
	return built
}

// specErrors are those of the spec and those that only real objects showed.
func (e *evaluation) specErrors() []string {
	texts := make([]string, 0, len(e.profile.Errors))
	for _, err := range e.profile.Errors {
		texts = append(texts, err.Error())
	}
	return append(texts, e.costlyRules()...)
}

// costlyRules are the mistakes that only real objects showed: rules that were stopped because of their cost, each with its place in
// the spec, sorted.
func (e *evaluation) costlyRules() []string {
	var costly []string
	report := func(path *field.Path, key string) {
		if err := e.snapshot.Outcome(key).Err; errors.Is(err, rule.ErrTooCostly) {
			costly = append(costly, path.String()+": "+err.Error())
		}
	}
	for i := range e.profile.layers {
		for j := range e.profile.layers[i].requirements {
			r := &e.profile.layers[i].requirements[j]
			if r.rule != nil {
				report(r.path, r.rule.Key)
			}
			for _, c := range r.checks {
				report(c.path, c.instance.Key)
			}
		}
	}
	slices.Sort(costly)
	return slices.Compact(costly)
}

func (e *evaluation) conformant(status *v1alpha1.PlatformProfileStatus, now time.Time) (metav1.ConditionStatus, string, string) {
	value, reason, message := e.summarizeLayers(status.Layers, v1alpha1.ConditionConformant, now)
	if e.profile.spec.Undeclared != v1alpha1.UndeclaredForbid || value == metav1.ConditionFalse {
		return value, reason, message
	}
	if len(status.Undeclared) > 0 {
		return metav1.ConditionFalse, ReasonUndeclared, "installed and mentioned by no requirement: " + undeclaredNames(status)
	}
	if unseen := e.snapshot.UnreadableSources(); value == metav1.ConditionTrue && len(unseen) > 0 {
		return metav1.ConditionUnknown, ReasonCannotTell, "whether anything undeclared is installed cannot be said: " + joinTexts(unseen)
	}
	return value, reason, message
}

// summarizeLayers says whether the requirements of some layers hold. A failure younger than the grace period leaves a condition that
// was True as it was; one that never was True turns at once, because nothing vouches for it.
func (e *evaluation) summarizeLayers(layers []v1alpha1.LayerStatus, condition string, now time.Time) (metav1.ConditionStatus, string, string) {
	var failing, unknown boundedList
	required := 0
	var since *metav1.Time
	for i := range layers {
		for j := range layers[i].Requirements {
			r := &layers[i].Requirements[j]
			if r.Severity == v1alpha1.SeverityRecommended {
				continue
			}
			required++
			if isGood(r.Verdict) {
				continue
			}
			text := func() string {
				name := r.Name
				if condition == v1alpha1.ConditionConformant {
					name = layers[i].Name + "/" + name
				}
				return name + " is " + string(r.Verdict) + " since " + r.FailingSince.UTC().Format("2006-01-02 15:04:05 UTC") + ": " + r.Message
			}
			if r.Verdict == v1alpha1.VerdictUnknown {
				unknown.add(text)
				continue
			}
			failing.add(text)
			if since == nil || r.FailingSince.Before(since) {
				since = r.FailingSince
			}
		}
	}
	switch {
	case failing.count > 0:
		message := failing.String()
		if grace := e.profile.gracePeriod(); grace > 0 && meta.IsStatusConditionTrue(e.before.Conditions, condition) {
			if end := since.Add(grace); now.Before(end) {
				e.requeueAt(end, now)
				return metav1.ConditionTrue, ReasonGrace, "still within the grace period of " + grace.String() + ": " + message
			}
		}
		return metav1.ConditionFalse, ReasonFailing, message
	case unknown.count > 0:
		return metav1.ConditionUnknown, ReasonCannotTell, unknown.String()
	}
	return metav1.ConditionTrue, ReasonAllHold, fmt.Sprintf("all %d required requirements hold", required)
}

func (p *Profile) gracePeriod() time.Duration {
	if p.spec.GracePeriod == nil {
		return 0
	}
	return p.spec.GracePeriod.Duration
}

// boundedList are the first of some texts: where a hundred fail, a message names four.
type boundedList struct {
	texts []string
	count int
}

// add adds a text, which is made where it is named.
func (f *boundedList) add(text func() string) {
	const named = 4
	if f.count++; len(f.texts) < named {
		f.texts = append(f.texts, text())
	}
}

// String names them, and says how many there are beside.
func (f *boundedList) String() string {
	text := strings.Join(f.texts, "; ")
	if others := f.count - len(f.texts); others > 0 {
		text += fmt.Sprintf("; and %d more", others)
	}
	return text
}

func joinTexts(texts []string) string {
	var f boundedList
	for _, text := range texts {
		f.add(func() string { return text })
	}
	return f.String()
}

// SuspendedStatus is the status of a profile whose evaluation is suspended: what was found last, and that it is suspended. The
// second result says whether that differs from before.
func SuspendedStatus(before *v1alpha1.PlatformProfileStatus, generation int64, now time.Time) (v1alpha1.PlatformProfileStatus, bool) {
	status := *before.DeepCopy()
	status.ObservedGeneration = generation
	status.Conditions = OwnConditions(status.Conditions)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	changed := meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonSuspended, ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		Message:            "the evaluation is suspended: the verdicts are those that were found last",
	})
	return status, changed || before.ObservedGeneration != generation
}

// OwnConditions are those among stored conditions that the operator writes. Others may keep conditions of their own on a profile; to
// write theirs would be to claim them.
func OwnConditions(stored []metav1.Condition) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(stored), func(c metav1.Condition) bool {
		switch c.Type {
		case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
			return false
		}
		return !strings.HasSuffix(c.Type, v1alpha1.ConditionConformant) // that of a layer, or of all of them
	})
}
