package conformance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// turns lets the product come or go, some time after the last turn.
func (w *world) turns(after time.Duration) Result {
	w.now = w.now.Add(after)
	if len(w.workloads) == 0 {
		w.runs(running("net", "example/alpha:v1.0.0"))
	} else {
		w.runs()
	}
	return w.evaluate()
}

// restart leaves of the operator's memory what the API server stores.
func (w *world) restart() {
	w.t.Helper()
	data, err := json.Marshal(w.status)
	if err != nil {
		w.t.Fatal(err)
	}
	w.status = v1alpha1.PlatformProfileStatus{}
	if err := json.Unmarshal(data, &w.status); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) flaps() bool {
	w.t.Helper()
	is := w.requirement("it").Flapping != nil
	if condition := meta.IsStatusConditionTrue(w.status.Conditions, v1alpha1.ConditionFlapping); condition != is {
		w.t.Errorf("the requirement flaps: %v; the condition Flapping is there: %v", is, condition)
	}
	return is
}

func TestARequirementThatKeepsTurningFlapsUntilItIsStill(t *testing.T) {
	w := newWorld(t, asks("anyOf: [{component: alpha}]"))
	w.runs(running("net", "example/alpha:v1.0.0"))
	w.evaluate()
	start := w.now.Add(time.Minute)
	for n := range 4 {
		if result := w.turns(time.Minute); w.flaps() || len(result.Flaps) > 0 || result.Damped() || result.Again != 10*time.Minute {
			t.Fatalf("it flaps after %d turns: %+v", n+1, result)
		}
		w.restart()
	}
	fifth := w.turns(time.Minute)
	if !w.flaps() || len(fifth.Flaps) != 1 || !fifth.Flaps[0].Began || fifth.Flaps[0].Holds() || fifth.Flaps[0].Layer != "network" || !fifth.Damped() {
		t.Fatalf("after the fifth turn: %+v", fifth)
	}
	got := w.requirement("it")
	if got.Verdict != v1alpha1.VerdictMissing || got.Flapping.Turns != 5 || !got.Flapping.Since.Time.Equal(start) {
		t.Errorf("it is %s, flapping %+v", got.Verdict, got.Flapping)
	}
	if want := "flapping: turned 5 times since 2027-01-02T03:05:05Z; not installed: alpha"; got.Message != want || fifth.Flaps[0].Now.Message != want {
		t.Errorf("it says %q, want %q", got.Message, want)
	}
	if c := w.condition(v1alpha1.ConditionFlapping); c.Reason != ReasonFlapping || c.Message != "network/it turned 5 times since 2027-01-02T03:05:05Z" {
		t.Errorf("the condition says %s: %s", c.Reason, c.Message)
	}
	if w.status.Reason != "network: it Missing; flapping: network/it" {
		t.Errorf("the column says %q", w.status.Reason)
	}
	since := w.condition(v1alpha1.ConditionFlapping).LastTransitionTime

	// It turns less often than it took, and flaps on. Conformant says each time what is so.
	w.restart()
	sixth := w.turns(20 * time.Minute)
	if !w.flaps() || len(sixth.Flaps) > 0 || !sixth.Damped() || w.requirement("it").Flapping.Turns != 6 || !w.requirement("it").Flapping.Since.Time.Equal(start) {
		t.Errorf("after the sixth turn: %+v", w.requirement("it"))
	}
	w.wantConformant("True", ReasonAllHold)
	if got := w.condition(v1alpha1.ConditionFlapping).LastTransitionTime; !got.Equal(&since) {
		t.Errorf("Flapping turned at %s", got)
	}
	if w.status.Reason != "flapping: network/it" {
		t.Errorf("the column says %q", w.status.Reason)
	}

	// Still for half an hour, it flaps no more, and nothing but time is needed for that.
	w.now = w.now.Add(29 * time.Minute)
	if result := w.evaluate(); result.Changed || result.Again != time.Minute {
		t.Errorf("a minute before the end: changed %v, again in %s", result.Changed, result.Again)
	}
	w.restart()
	w.now = w.now.Add(time.Minute)
	end := w.evaluate()
	if w.flaps() || !end.Changed || len(end.Flaps) != 1 || end.Flaps[0].Began || !end.Flaps[0].Holds() || end.Flaps[0].Spell.Turns != 6 || end.Again != 10*time.Minute {
		t.Errorf("at the end: %+v", end)
	}
	if got := w.requirement("it"); len(got.RecentTurns) > 0 || strings.Contains(got.Message, "flapping") || w.status.Reason != "" {
		t.Errorf("after it: %+v, column %q", got, w.status.Reason)
	}
	for n := range 4 {
		if w.turns(time.Minute); w.flaps() {
			t.Fatalf("it flaps again after %d turns", n+1)
		}
	}
}

func TestTurnsThatAreFarApartAreNoFlapping(t *testing.T) {
	w := newWorld(t, asks("anyOf: [{component: alpha}]"))
	w.evaluate()
	for range 20 {
		// The first of five is half an hour old when the fifth comes.
		if w.turns(7*time.Minute + 30*time.Second); w.flaps() {
			t.Fatalf("it flaps: %v", w.requirement("it").RecentTurns)
		}
		if got := len(w.requirement("it").RecentTurns); got > 4 {
			t.Fatalf("%d turns are kept", got)
		}
	}
	if w.turns(7*time.Minute + 29*time.Second); !w.flaps() {
		t.Errorf("it does not flap: %v", w.requirement("it").RecentTurns)
	}
	for range 20 {
		w.turns(time.Second)
	}
	if got := w.requirement("it"); len(got.RecentTurns) != 5 || got.Flapping.Turns != 25 {
		t.Errorf("%d turns are kept of %d", len(got.RecentTurns), got.Flapping.Turns)
	}
}

func TestTurnsFromOneFailureToAnotherAreNone(t *testing.T) {
	w := newWorld(t, asks("anyOf: [{component: alpha, version: \">=2\"}]"))
	w.evaluate()
	for range 10 {
		if result := w.turns(time.Minute); len(result.Transitions) != 1 || w.flaps() {
			t.Fatalf("%+v", result)
		}
	}
}

func TestTurnsThatComeWithAnotherSpecAreItsAuthorsDoing(t *testing.T) {
	w := newWorld(t, asks("anyOf: [{component: alpha}]"))
	w.runs(running("net", "example/alpha:v1.0.0"))
	for generation := range int64(20) {
		name := []string{"alpha", "beta"}[generation%2]
		w.declare(asks("anyOf: [{component: " + name + "}]"))
		result := Evaluate(w.profile, w.inventory.Snapshot(), &w.status, generation+1, w.now)
		w.status = result.Status
		if len(result.Transitions) != 1 || w.flaps() {
			t.Fatalf("%+v", result)
		}
	}
}

func TestFlappingThatEndsInAFailureSaysSo(t *testing.T) {
	w := newWorld(t, asks("anyOf: [{component: alpha}]"))
	w.runs(running("net", "example/alpha:v1.0.0"))
	w.evaluate()
	for range 5 {
		w.turns(time.Minute)
	}
	w.now = w.now.Add(time.Hour)
	if end := w.evaluate(); len(end.Flaps) != 1 || end.Flaps[0].Began || end.Flaps[0].Holds() || len(end.Transitions) > 0 {
		t.Errorf("got %+v", end)
	}
	w.wantConformant("False", ReasonFailing)
}

func TestWhatTurnsBesideAFlappingRequirementIsNotDamped(t *testing.T) {
	w := newWorld(t, "layers: [{name: network, requirements: [{name: it, anyOf: [{component: alpha}]}, {name: other, anyOf: [{component: gamma}]}]}]")
	alpha, gamma := running("net", "example/alpha:v1.0.0"), running("reg", "example/gamma:v1.0.0")
	w.runs(alpha, gamma)
	w.evaluate()
	for n := range 6 {
		w.now = w.now.Add(time.Minute)
		if w.runs(gamma); n%2 == 1 {
			w.runs(alpha, gamma)
		}
		w.evaluate()
	}
	if !w.flaps() {
		t.Fatal("it does not flap")
	}
	w.runs()
	result := w.evaluate()
	var turned []string
	for _, transition := range result.Transitions {
		turned = append(turned, transition.Now.Name)
	}
	if !slices.Equal(turned, []string{"it", "other"}) || result.Damped() {
		t.Errorf("%v turned, damped %v", turned, result.Damped())
	}
	if got := w.requirement("other"); got.Flapping != nil || strings.Contains(got.Message, "flapping") {
		t.Errorf("the other flaps too: %+v", got)
	}
}
