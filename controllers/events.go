package controllers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

const (
	// maxNote is the length that events are given, below the 1,024 bytes that the API allows.
	maxNote = 1000
	// maxAction is the length that the API allows an event's action.
	maxAction = 128
)

// event is what the recorder is given about a profile.
type event struct {
	kind, reason, action, note string
}

// eventsOf are the events on the transitions from one status to the next. The action names the requirement, so that the
// recorder does not count two requirements as one series.
func eventsOf(before *v1alpha1.PlatformProfileStatus, result *conformance.Result) []event {
	var found []event
	add := func(kind, reason, action, note string) {
		found = append(found, event{kind, reason, text.Bound(action, maxAction), text.Bound(note, maxNote)})
	}
	for _, t := range result.Transitions {
		if !t.IsFailure() && t.From == "" {
			continue // a new requirement that holds
		}
		kind, was := corev1.EventTypeNormal, ""
		if t.IsFailure() {
			kind = corev1.EventTypeWarning
		}
		if t.From != "" {
			was = fmt.Sprintf(" (was %s)", t.From)
		}
		name := t.Layer + "/" + t.Now.Name
		add(kind, string(t.Now.Verdict), "Evaluate "+name, name+was+": "+withSymptom(t.Now.Message, t.Diagnosis))
	}
	for _, e := range result.Diagnosed {
		name := e.Layer + "/" + e.Now.Name
		add(corev1.EventTypeWarning, "Diagnosed", "Diagnose "+name, fmt.Sprintf("%s is %s because of %s: %s", name, e.Now.Verdict, conformance.SymptomText(e.Diagnosis), e.Diagnosis.Meaning))
	}
	old := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionConformant)
	now := meta.FindStatusCondition(result.Status.Conditions, v1alpha1.ConditionConformant)
	switch {
	case now == nil || old != nil && old.Status == now.Status:
	case now.Status == metav1.ConditionTrue:
		add(corev1.EventTypeNormal, "Conformant", "Evaluate", now.Message)
	case now.Status == metav1.ConditionFalse:
		add(corev1.EventTypeWarning, "NotConformant", "Evaluate", now.Message)
	default:
		add(corev1.EventTypeWarning, "ConformanceUnknown", "Evaluate", now.Message)
	}
	if stalled := meta.FindStatusCondition(result.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
		if was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionStalled); was == nil || was.Message != stalled.Message {
			add(corev1.EventTypeWarning, stalled.Reason, "Compile", stalled.Message)
		}
	}
	return found
}

// withSymptom is a message with what is wrong with the pods behind it, where it does not say so itself. Often nothing is
// known yet: diagnoses come a moment after the verdict, which waits for none.
func withSymptom(message string, leading *v1alpha1.Diagnosis) string {
	if leading == nil || strings.Contains(message, conformance.SymptomText(leading)) {
		return message
	}
	return message + "; " + conformance.SymptomText(leading)
}
