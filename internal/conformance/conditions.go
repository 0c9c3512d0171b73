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
	// ReasonAllHold is the reason of Conformant if every Required requirement is satisfied.
	ReasonAllHold = "AllRequirementsHold"
	// ReasonWaived is the reason of Conformant if Required requirements fail and all of them are waived.
	ReasonWaived = "ConformantWithWaivers"
	// ReasonFailing is the reason of Conformant if a Required requirement fails.
	ReasonFailing = "RequirementsFailing"
	// ReasonGrace is the reason of Conformant while all failures are within the grace period.
	ReasonGrace = "WithinGracePeriod"
	// ReasonCannotTell is the reason of Conformant if no Required requirement fails and at least one is Unknown.
	ReasonCannotTell = "CannotTell"
	// ReasonUndeclared is the reason of Conformant if all requirements are satisfied and a forbidden undeclared component is installed.
	ReasonUndeclared = "UndeclaredComponents"
	// ReasonEvaluated is the reason of Ready once the generation has been evaluated.
	ReasonEvaluated = "Evaluated"
	// ReasonInvalidSpec is the reason of Stalled and Ready if the spec has errors.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonSuspended is the reason of Ready while the profile is suspended.
	ReasonSuspended = "Suspended"
)

// conditions returns all conditions of an evaluated profile. Reconciling is not among them: it exists only until a generation has been
// evaluated.
func (e *evaluation) conditions(status *v1alpha1.PlatformProfileStatus, generation int64, now time.Time) []metav1.Condition {
	var built []metav1.Condition
	set := func(kind string, value metav1.ConditionStatus, reason, message string) {
		condition := metav1.Condition{
			Type: kind, Status: value, Reason: reason, Message: text.Bound(message, maxCondition),
			ObservedGeneration: generation, LastTransitionTime: e.now,
		}
		if old := meta.FindStatusCondition(e.before.Conditions, kind); old != nil && old.Status == value {
			condition.LastTransitionTime = *e.clampToNow(&old.LastTransitionTime)
		}
		built = append(built, condition)
	}
	errs := e.specErrors()
	value, reason, message := e.conformantCondition(status, now)
	set(v1alpha1.ConditionConformant, value, reason, message)
	if len(errs) == 0 {
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, ReasonEvaluated, "the current generation has been evaluated")
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

// specErrors returns the errors of the spec, including those that occur only with the objects of the cluster.
func (e *evaluation) specErrors() []string {
	texts := make([]string, 0, len(e.profile.Errors))
	for _, err := range e.profile.Errors {
		texts = append(texts, err.Error())
	}
	return append(texts, e.costlyRules()...)
}

// costlyRules returns an error for each rule that exceeded its cost limit on the objects of the cluster, with its field path, sorted.
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
				if c.Rule != nil {
					report(c.path, c.instance.Key)
				}
			}
		}
	}
	slices.Sort(costly)
	return slices.Compact(costly)
}

func (e *evaluation) conformantCondition(status *v1alpha1.PlatformProfileStatus, now time.Time) (metav1.ConditionStatus, string, string) {
	value, reason, message := e.summarizeLayers(status.Layers, v1alpha1.ConditionConformant, now)
	if e.profile.spec.Undeclared != v1alpha1.UndeclaredForbid || value == metav1.ConditionFalse {
		return value, reason, message
	}
	if len(status.Undeclared) > 0 {
		return metav1.ConditionFalse, ReasonUndeclared, "installed but not declared by any requirement: " + undeclaredNames(status)
	}
	if unreadable := e.snapshot.UnreadableSources(); value == metav1.ConditionTrue && len(unreadable) > 0 {
		return metav1.ConditionUnknown, ReasonCannotTell, "cannot determine whether undeclared components are installed: " + joinTexts(unreadable)
	}
	return value, reason, message
}

// UndeclaredUnknownReason returns why it is unknown whether undeclared components are installed, if that alone makes Conformant Unknown.
func UndeclaredUnknownReason(status *v1alpha1.PlatformProfileStatus) string {
	for _, layer := range status.Layers {
		for i := range layer.Requirements {
			if r := &layer.Requirements[i]; r.Severity != v1alpha1.SeverityRecommended && !isMet(r) {
				return ""
			}
		}
	}
	c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant)
	if c != nil && c.Status == metav1.ConditionUnknown {
		return c.Message
	}
	return ""
}

// summarizeLayers returns the status, reason and message of a condition over some layers. Within the grace period a failure does not
// change a condition that is True; a condition that is not True becomes False at once.
func (e *evaluation) summarizeLayers(
	layers []v1alpha1.LayerStatus, condition string, now time.Time,
) (value metav1.ConditionStatus, reason, message string) {
	var failing, unknown, waived boundedList
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
			name := r.Name
			if condition == v1alpha1.ConditionConformant {
				name = layers[i].Name + "/" + name
			}
			if r.Waived != nil {
				waived.add(func() string { return name + " is " + string(r.Verdict) + " and " + DescribeWaiver(r.Waived) })
				continue
			}
			text := func() string {
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
				e.requeueNoLaterThan(end, now)
				return metav1.ConditionTrue, ReasonGrace, "within the grace period of " + grace.String() + ": " + message
			}
		}
		return metav1.ConditionFalse, ReasonFailing, message
	case unknown.count > 0:
		return metav1.ConditionUnknown, ReasonCannotTell, unknown.String()
	case waived.count > 0:
		return metav1.ConditionTrue, ReasonWaived, fmt.Sprintf("%d of %d Required requirements are satisfied, %d waived: %s",
			required-waived.count, required, waived.count, waived.String())
	}
	return metav1.ConditionTrue, ReasonAllHold, fmt.Sprintf("all %d Required requirements are satisfied", required)
}

func (p *Profile) gracePeriod() time.Duration {
	if p.spec.GracePeriod == nil {
		return 0
	}
	return p.spec.GracePeriod.Duration
}

// boundedList holds the first few of many texts, and their count.
type boundedList struct {
	texts []string
	count int
}

// add adds a text. It calls the function only if there is room.
func (l *boundedList) add(text func() string) {
	const limit = 4
	if l.count++; len(l.texts) < limit {
		l.texts = append(l.texts, text())
	}
}

// String joins the texts, and appends how many more there are.
func (l *boundedList) String() string {
	text := strings.Join(l.texts, "; ")
	if more := l.count - len(l.texts); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func joinTexts(texts []string) string {
	var list boundedList
	for _, text := range texts {
		list.add(func() string { return text })
	}
	return list.String()
}

// SuspendedStatus returns the status of a suspended profile: the last verdicts and a Ready condition with the reason Suspended.
func SuspendedStatus(
	before *v1alpha1.PlatformProfileStatus, generation int64, now time.Time,
) (status v1alpha1.PlatformProfileStatus, isChanged bool) {
	status = *before.DeepCopy()
	status.ObservedGeneration = generation
	status.Conditions = ManagedConditions(status.Conditions)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	changed := meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonSuspended, ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		Message:            "evaluation is suspended; the verdicts are those of the last evaluation",
	})
	return status, changed || before.ObservedGeneration != generation
}

// ManagedConditions returns the conditions that the operator writes. Applying conditions of other writers would take their ownership.
func ManagedConditions(stored []metav1.Condition) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(stored), func(c metav1.Condition) bool {
		switch c.Type {
		case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
			return false
		}
		return !strings.HasSuffix(c.Type, v1alpha1.ConditionConformant) // Conformant, or the condition of a layer
	})
}
