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
	// maxNote bounds the note of an event, below the 1,024 bytes that the API allows.
	maxNote = 1000
	// maxAction is the limit of the API for the action of an event.
	maxAction = 128
)

// event contains the arguments for the event recorder.
type event struct {
	kind, reason, action, note string
}

// eventsOf returns the events for the transitions from one status to the next. The action names the requirement, so that the recorder
// does not aggregate the events of two requirements.
func eventsOf(before *v1alpha1.PlatformProfileStatus, result *conformance.Result) []event {
	var all []event
	add := func(kind, reason, action, note string) {
		all = append(all, event{kind, reason, text.Bound(action, maxAction), text.Bound(note, maxNote)})
	}
	for _, t := range result.Transitions {
		if !t.IsFailure() && t.From == "" {
			continue // a new requirement that is satisfied
		}
		kind, previous := corev1.EventTypeNormal, ""
		if t.IsFailure() {
			kind = corev1.EventTypeWarning
		}
		if t.From != "" {
			previous = fmt.Sprintf(" (was %s)", t.From)
		}
		name := t.Layer + "/" + t.Now.Name
		note := name + previous + ": " + withSymptom(t.Now.Message, t.Diagnosis)
		if t.Now.Waived != nil {
			note += "; " + conformance.DescribeWaiver(t.Now.Waived)
		}
		add(kind, string(t.Now.Verdict), "Evaluate "+name, note)
	}
	for _, e := range result.Diagnosed {
		name := e.Layer + "/" + e.Now.Name
		note := fmt.Sprintf("%s is %s because of %s: %s", name, e.Now.Verdict, conformance.SymptomText(e.Diagnosis), e.Diagnosis.Meaning)
		add(corev1.EventTypeWarning, "Diagnosed", "Diagnose "+name, note)
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
		previous := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionStalled)
		if previous == nil || previous.Message != stalled.Message {
			add(corev1.EventTypeWarning, stalled.Reason, "Compile", stalled.Message)
		}
	}
	return all
}

// withSymptom appends the leading symptom to a message that does not mention it. Often there is none yet, because the verdict does not
// wait for the diagnosis.
func withSymptom(message string, leading *v1alpha1.Diagnosis) string {
	if leading == nil || strings.Contains(message, conformance.SymptomText(leading)) {
		return message
	}
	return message + "; " + conformance.SymptomText(leading)
}
