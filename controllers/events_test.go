package controllers

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// announced are the events that an evaluation is told by, each as "kind reason note".
func announced(before *v1alpha1.PlatformProfileStatus, result *conformance.Result) []string {
	var told []string
	for _, n := range announce(before, result) {
		told = append(told, n.kind+" "+n.reason+" "+n.note)
	}
	return told
}

func conformant(value metav1.ConditionStatus) v1alpha1.PlatformProfileStatus {
	return v1alpha1.PlatformProfileStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionConformant, Status: value, Message: "so it is"}}}
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d events are sent, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("an event says\n%s\nwant\n%s", got[i], want[i])
		}
	}
}

func TestEventsOfVerdictsThatTurn(t *testing.T) {
	before, after := conformant("True"), conformant("False")
	turned := func(from, to v1alpha1.Verdict) conformance.Transition {
		return conformance.Transition{Layer: "network", From: from, Now: v1alpha1.RequirementStatus{Name: "cni", Verdict: to, Message: "in words"}}
	}
	wantEvents(t, announced(&before, &conformance.Result{Status: after, Transitions: []conformance.Transition{turned("Satisfied", "Missing")}}),
		"Warning Missing network/cni (was Satisfied): in words", "Warning NotConformant so it is")
	wantEvents(t, announced(&after, &conformance.Result{Status: before, Transitions: []conformance.Transition{turned("Missing", "Satisfied")}}),
		"Normal Satisfied network/cni (was Missing): in words", "Normal Conformant so it is")
	wantEvents(t, announced(&after, &conformance.Result{Status: after, Transitions: []conformance.Transition{turned("", "Satisfied"), turned("", "Missing")}}),
		"Warning Missing network/cni: in words")
}

func TestAnEventNamesWhatIsWrongWithThePods(t *testing.T) {
	before := conformant("True")
	why := &v1alpha1.Diagnosis{Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}, Symptom: "CrashLoop"}
	turned := func(message string) *conformance.Result {
		now := v1alpha1.RequirementStatus{Name: "it", Verdict: v1alpha1.VerdictVersionMismatch, Message: message}
		return &conformance.Result{Status: before, Transitions: []conformance.Transition{{Layer: "apps", From: v1alpha1.VerdictSatisfied, Now: now, Leading: why}}}
	}
	wantEvents(t, announced(&before, turned("outside the range")),
		"Warning VersionMismatch apps/it (was Satisfied): outside the range; Deployment shop/web: CrashLoop")
	wantEvents(t, announced(&before, turned("down; Deployment shop/web: CrashLoop: it ends soon")),
		"Warning VersionMismatch apps/it (was Satisfied): down; Deployment shop/web: CrashLoop: it ends soon")
}

func TestAnEventForACauseThatIsFoundLate(t *testing.T) {
	before := conformant("False")
	why := &v1alpha1.Diagnosis{Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}, Symptom: "CrashLoop", Meaning: "It ends soon."}
	found := conformance.Insight{Layer: "apps", Now: v1alpha1.RequirementStatus{Name: "it", Verdict: v1alpha1.VerdictDegraded}, Leading: why}
	wantEvents(t, announced(&before, &conformance.Result{Status: before, Insights: []conformance.Insight{found}}),
		"Warning Diagnosed apps/it is Degraded because of Deployment shop/web: CrashLoop: It ends soon.")
	found.Now.Flapping = &v1alpha1.Flapping{}
	wantEvents(t, announced(&before, &conformance.Result{Status: before, Insights: []conformance.Insight{found}}))
}

func TestEventsOfARequirementThatFlaps(t *testing.T) {
	holds, fails := conformant("True"), conformant("False")
	spell := v1alpha1.Flapping{Since: metav1.NewTime(time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)), Turns: 5}
	down := v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictMissing, Message: "flapping: in words", Flapping: &spell}
	up := v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Message: "flapping: in words", Flapping: &spell}
	transitions := func(now v1alpha1.RequirementStatus) []conformance.Transition {
		return []conformance.Transition{{Layer: "network", From: "Other", Now: now}}
	}
	wantEvents(t, announced(&holds, &conformance.Result{Status: fails, Transitions: transitions(down), Flaps: []conformance.Flap{{Layer: "network", Began: true, Spell: spell, Now: down}}}),
		"Warning Flapping network/cni is Missing, flapping: in words")
	wantEvents(t, announced(&fails, &conformance.Result{Status: holds, Transitions: transitions(up)}))
	wantEvents(t, announced(&holds, &conformance.Result{Status: fails, Transitions: transitions(down)}))
	// A grace period that passes while it is down is a turn of Conformant alone.
	wantEvents(t, announced(&holds, &conformance.Result{Status: fails}), "Warning NotConformant so it is")

	up.Flapping, up.Message = nil, "in words"
	down.Flapping, down.Message = nil, "in words"
	wantEvents(t, announced(&holds, &conformance.Result{Status: holds, Flaps: []conformance.Flap{{Layer: "network", Spell: spell, Now: up}}}),
		"Normal FlappingEnded network/cni is Satisfied and flaps no more, after 5 turns since 2027-01-02T03:04:05Z: in words")
	wantEvents(t, announced(&fails, &conformance.Result{Status: fails, Flaps: []conformance.Flap{{Layer: "network", Spell: spell, Now: down}}}),
		"Warning FlappingEnded network/cni is Missing and flaps no more, after 5 turns since 2027-01-02T03:04:05Z: in words")
}

func TestALongNoteIsCutBetweenCharacters(t *testing.T) {
	before := conformant("True")
	after := conformant("False")
	after.Conditions[0].Message = "x" + strings.Repeat("ü", 1000)
	got := announced(&before, &conformance.Result{Status: after})
	if len(got) != 1 || !utf8.ValidString(got[0]) || !strings.HasSuffix(got[0], "ü…") || len(got[0]) > 1024+len("Warning NotConformant ") {
		t.Errorf("%d bytes: %q", len(got[0]), got)
	}
}
