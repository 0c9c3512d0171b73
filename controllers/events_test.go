package controllers

import (
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// eventTexts returns the events of an evaluation, each as "kind reason note".
func eventTexts(before *v1alpha1.PlatformProfileStatus, result *conformance.Result) []string {
	var events []string
	for _, n := range eventsOf(before, result) {
		events = append(events, n.kind+" "+n.reason+" "+n.note)
	}
	return events
}

func conformant(value metav1.ConditionStatus) v1alpha1.PlatformProfileStatus {
	return v1alpha1.PlatformProfileStatus{
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionConformant, Status: value, Message: "the message"}},
	}
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d events, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got event\n%s\nwant\n%s", got[i], want[i])
		}
	}
}

func TestTransitionEvents(t *testing.T) {
	before, after := conformant("True"), conformant("False")
	transition := func(from, to v1alpha1.Verdict) conformance.Transition {
		return conformance.Transition{
			Layer: "network",
			From:  from,
			Now:   v1alpha1.RequirementStatus{Name: "cni", Verdict: to, Message: "in words"},
		}
	}
	wantEvents(t,
		eventTexts(&before, &conformance.Result{Status: after, Transitions: []conformance.Transition{transition("Satisfied", "Missing")}}),
		"Warning Missing network/cni (was Satisfied): in words", "Warning NotConformant the message")
	wantEvents(t,
		eventTexts(&after, &conformance.Result{Status: before, Transitions: []conformance.Transition{transition("Missing", "Satisfied")}}),
		"Normal Satisfied network/cni (was Missing): in words", "Normal Conformant the message")
	wantEvents(t,
		eventTexts(&after,
			&conformance.Result{Status: after, Transitions: []conformance.Transition{transition("", "Satisfied"), transition("", "Missing")}}),
		"Warning Missing network/cni: in words")
}

func TestTransitionEventNamesSymptom(t *testing.T) {
	before := conformant("True")
	why := &v1alpha1.Diagnosis{Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}, Symptom: "CrashLoop"}
	transition := func(message string) *conformance.Result {
		now := v1alpha1.RequirementStatus{Name: "it", Verdict: v1alpha1.VerdictVersionMismatch, Message: message}
		return &conformance.Result{
			Status:      before,
			Transitions: []conformance.Transition{{Layer: "apps", From: v1alpha1.VerdictSatisfied, Now: now, Diagnosis: why}},
		}
	}
	wantEvents(t, eventTexts(&before, transition("outside the range")),
		"Warning VersionMismatch apps/it (was Satisfied): outside the range; Deployment shop/web: CrashLoop")
	wantEvents(t, eventTexts(&before, transition("down; Deployment shop/web: CrashLoop: it ends soon")),
		"Warning VersionMismatch apps/it (was Satisfied): down; Deployment shop/web: CrashLoop: it ends soon")
}

func TestDiagnosedEvent(t *testing.T) {
	before := conformant("False")
	why := &v1alpha1.Diagnosis{
		Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"},
		Symptom:  "CrashLoop",
		Meaning:  "It ends soon.",
	}
	found := conformance.DiagnosedRequirement{
		Layer:     "apps",
		Now:       v1alpha1.RequirementStatus{Name: "it", Verdict: v1alpha1.VerdictDegraded},
		Diagnosis: why,
	}
	wantEvents(t, eventTexts(&before, &conformance.Result{Status: before, Diagnosed: []conformance.DiagnosedRequirement{found}}),
		"Warning Diagnosed apps/it is Degraded because of Deployment shop/web: CrashLoop: It ends soon.")
}

func TestLongNoteIsTruncatedBetweenCharacters(t *testing.T) {
	before := conformant("True")
	after := conformant("False")
	after.Conditions[0].Message = "x" + strings.Repeat("ü", 1000)
	got := eventTexts(&before, &conformance.Result{Status: after})
	if len(got) != 1 || !utf8.ValidString(got[0]) || !strings.HasSuffix(got[0], "ü…") || len(got[0]) > 1024+len("Warning NotConformant ") {
		t.Errorf("%d bytes: %q", len(got[0]), got)
	}
}
