package conformance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestRetell(t *testing.T) {
	since := time.Date(2027, 1, 2, 3, 0, 0, 0, time.UTC)
	long, now := metav1.NewTime(since.Add(-time.Hour)), metav1.NewTime(since.Add(time.Second))
	spell := func(turns int32) *v1alpha1.Flapping { return &v1alpha1.Flapping{Since: long, Turns: turns} }
	conformant := func(at metav1.Time) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionConformant, Status: metav1.ConditionFalse, LastTransitionTime: at}}
	}
	for name, test := range map[string]struct {
		conditions   []metav1.Condition
		requirements []v1alpha1.RequirementStatus
		transitions  []string
		flaps        []string
		stood        bool // Conformant was as it is
	}{
		"what turned bad lately is told": {conformant(now), []v1alpha1.RequirementStatus{
			{Name: "new", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &now}, {Name: "old", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &long},
		}, []string{"new"}, nil, false},
		"what came to hold is told, what is new and holds is not": {conformant(long), []v1alpha1.RequirementStatus{
			{Name: "mended", Verdict: v1alpha1.VerdictSatisfied, LastTransitionTime: &now, RecentTurns: []metav1.Time{long, now}},
			{Name: "new", Verdict: v1alpha1.VerdictSatisfied, LastTransitionTime: &now, RecentTurns: []metav1.Time{long}},
		}, []string{"mended"}, nil, true},
		"that it began to flap is told, another turn is not, nor what turned with it": {conformant(now), []v1alpha1.RequirementStatus{
			{Name: "begins", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &now, Flapping: spell(flapTurns)},
			{Name: "goes-on", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &now, Flapping: spell(flapTurns + 1)},
		}, nil, []string{"begins"}, true},
		"what else turned Conformant is news": {conformant(now), []v1alpha1.RequirementStatus{
			{Name: "flaps", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &now, Flapping: spell(flapTurns + 1)},
			{Name: "new", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &now},
		}, []string{"new"}, nil, false},
		"a grace period that ended is news": {conformant(now), []v1alpha1.RequirementStatus{
			{Name: "old", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &long},
		}, nil, nil, false},
		"nothing was evaluated yet": {nil, []v1alpha1.RequirementStatus{{Name: "odd", Verdict: v1alpha1.VerdictMissing}}, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			status := v1alpha1.PlatformProfileStatus{Conditions: test.conditions, Layers: []v1alpha1.LayerStatus{{Name: "network", Requirements: test.requirements}}}
			before, result := Retell(&status, since)
			var transitions, flaps []string
			for _, found := range result.Transitions {
				transitions = append(transitions, found.Now.Name)
			}
			for _, found := range result.Flaps {
				flaps = append(flaps, found.Now.Name)
			}
			got := fmt.Sprint(transitions, flaps, len(before.Conditions) == 1)
			if want := fmt.Sprint(test.transitions, test.flaps, test.stood); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestWhatAnEvaluationTellsIsRetold holds Retell against Evaluate: from the status alone comes what the evaluation found.
func TestWhatAnEvaluationTellsIsRetold(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int) metav1.Time { return metav1.NewTime(now.Add(time.Duration(seconds) * time.Second)) }
	old := v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Severity: v1alpha1.SeverityRequired}
	for turns := range flapTurns + 2 {
		e := &evaluation{now: metav1.NewTime(now), generation: 1, before: &v1alpha1.PlatformProfileStatus{ObservedGeneration: 1}, again: time.Hour}
		before := old.DeepCopy()
		for i := range turns {
			before.RecentTurns = append(before.RecentTurns, at(i-turns))
		}
		before.RecentTurns = before.RecentTurns[max(0, turns-flapTurns):]
		if turns >= flapTurns {
			before.Flapping = &v1alpha1.Flapping{Since: before.RecentTurns[0], Turns: int32(turns)}
		}
		judged := v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictMissing, Severity: v1alpha1.SeverityRequired, LastTransitionTime: &e.now}
		flap := e.flap(&judged, before, now)
		_, result := Retell(&v1alpha1.PlatformProfileStatus{Layers: []v1alpha1.LayerStatus{{Name: "network", Requirements: []v1alpha1.RequirementStatus{judged}}}}, now.Add(-time.Minute))
		if began := flap != nil && flap.Began; began != (len(result.Flaps) == 1) {
			t.Errorf("after %d turns: a flap began: %t, and retold are %v", turns, began, result.Flaps)
		}
		// A turn of what flaps is told by no event.
		if told := judged.Flapping == nil; told != slices.ContainsFunc(result.Transitions, func(x Transition) bool { return x.Now.Name == "cni" && x.Retold }) {
			t.Errorf("after %d turns: the turn is told: %t, and retold are %v", turns, told, result.Transitions)
		}
	}
}
