package controllers

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// announce tells of verdicts that turned, by events on the profile. Of a requirement that flaps it tells twice, when that
// begins and when it is over, and not each turn in between.
func (r *PlatformProfileReconciler) announce(profile *v1alpha1.PlatformProfile, before *v1alpha1.PlatformProfileStatus, result *conformance.Result) {
	for _, t := range result.Transitions {
		if !t.Bad() && t.From == "" || t.Now.Flapping != nil {
			continue // a new requirement that holds is no news, and neither is another turn of one that flaps
		}
		kind, was := "Normal", ""
		if t.Bad() {
			kind = "Warning"
		}
		if t.From != "" {
			was = fmt.Sprintf(" (was %s)", t.From)
		}
		name := t.Layer + "/" + t.Now.Name
		r.event(profile, kind, string(t.Now.Verdict), "Evaluate "+name, name+was+": "+explained(t.Now.Message, t.Leading))
	}
	for _, f := range result.Flaps {
		name := f.Layer + "/" + f.Now.Name
		if f.Began {
			r.event(profile, "Warning", "Flapping", "Evaluate "+name, fmt.Sprintf("%s is %s, %s", name, f.Now.Verdict, explained(f.Now.Message, f.Leading)))
			continue
		}
		// What ends in a failure was told by no event since.
		kind := "Normal"
		if !f.Holds() {
			kind = "Warning"
		}
		r.event(profile, kind, "FlappingEnded", "Evaluate "+name, fmt.Sprintf("%s is %s and flaps no more, after %d turns since %s: %s",
			name, f.Now.Verdict, f.Spell.Turns, f.Spell.Since.UTC().Format(time.RFC3339), explained(f.Now.Message, f.Leading)))
	}
	old := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionConformant)
	now := meta.FindStatusCondition(result.Status.Conditions, v1alpha1.ConditionConformant)
	switch {
	case now == nil || old != nil && old.Status == now.Status || result.Damped():
	case now.Status == metav1.ConditionTrue:
		r.event(profile, "Normal", "Conformant", "Evaluate", now.Message)
	case now.Status == metav1.ConditionFalse:
		r.event(profile, "Warning", "NotConformant", "Evaluate", now.Message)
	default:
		r.event(profile, "Warning", "ConformanceUnknown", "Evaluate", now.Message)
	}
	if stalled := meta.FindStatusCondition(result.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
		if was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionStalled); was == nil || was.Message != stalled.Message {
			r.event(profile, "Warning", stalled.Reason, "Compile", stalled.Message)
		}
	}
}

// explained is a message with what is wrong with the pods behind it, where it does not say so itself. Often nothing is
// known yet: diagnoses come a moment after the verdict, which waits for none.
func explained(message string, leading *v1alpha1.Diagnosis) string {
	if leading == nil || strings.Contains(message, conformance.Ailment(leading)) {
		return message
	}
	return message + "; " + conformance.Ailment(leading)
}

// maxNote is the length that the API allows an event's note.
const maxNote = 1000

// event records one event. Events that differ in nothing but their note count as one and the same: the action names the
// requirement, so that a requirement's event is not lost in that of another.
func (r *PlatformProfileReconciler) event(profile *v1alpha1.PlatformProfile, kind, reason, action, note string) {
	r.Recorder.Eventf(profile, nil, kind, reason, action, "%s", conformance.Bounded(note, maxNote))
}
