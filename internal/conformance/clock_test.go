package conformance

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const aYear = 365 * 24 * time.Hour

// TestAClockThatWasAheadHoldsNothingBack shows that a grace period ends when it is due by the clock as it is, although the failure
// was dated by one that was a year ahead.
func TestAClockThatWasAheadHoldsNothingBack(t *testing.T) {
	w := newWorld(t, "gracePeriod: 5m\n"+asks("anyOf: [{component: alpha}]"))
	w.runs(running("net", "example/alpha:v1.0.0"))
	w.evaluate()
	w.now = w.now.Add(aYear)
	w.runs()
	w.evaluate()
	w.wantConformant(metav1.ConditionTrue, ReasonGrace)

	w.now = w.now.Add(-aYear)
	w.evaluate()
	if since := w.requirement("it").FailingSince; since.After(w.now) {
		t.Errorf("at %s it is failing since %s", w.now, since)
	}
	if result := w.evaluate(); result.Changed {
		t.Errorf("nothing changed, and the status is written again: %+v", w.status)
	}
	w.now = w.now.Add(6 * time.Minute)
	w.evaluate()
	w.wantConformant(metav1.ConditionFalse, ReasonFailing)
}

// timesIn are all times that a value holds, found by reflection: whichever is added one day is among them.
func timesIn(v reflect.Value) []metav1.Time {
	if at, ok := reflect.TypeAssert[metav1.Time](v); ok {
		return []metav1.Time{at}
	}
	var found []metav1.Time
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			found = timesIn(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			found = append(found, timesIn(field)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, timesIn(v.Index(i))...)
		}
	default:
	}
	return found
}

// TestAnAttestationFollowsTheClock shows that one is expired exactly while the clock says so, wherever it jumps.
func TestAnAttestationFollowsTheClock(t *testing.T) {
	w := newWorld(t, asks("attestation: {by: us, reason: it is outside, expires: 2027-06-30T00:00:00Z}"))
	for _, jump := range []time.Duration{0, aYear, -2 * aYear, aYear, aYear, -aYear} {
		w.now = w.now.Add(jump)
		w.evaluate()
		want := v1alpha1.VerdictAttested
		if !w.now.Before(time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)) {
			want = v1alpha1.VerdictExpired
		}
		if is := w.requirement("it").Verdict; is != want {
			t.Errorf("at %s it is %s", w.now, is)
		}
	}
}

// TestAnyClock shows for random turns of the product and jumps of the clock that no time of the status lies ahead, that
// verdicts are right, that a failure older than the grace period is told, and that nothing is written when nothing changed.
func TestAnyClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, "gracePeriod: 5m\n"+asks("anyOf: [{component: alpha}]"))
		w.runs(running("net", "example/alpha:v1.0.0"))
		w.evaluate()
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			w.now = w.now.Add(time.Duration(rapid.Int64Range(int64(-aYear/time.Second), int64(aYear/time.Second)).Draw(rt, "jump")) * time.Second / time.Duration(rapid.SampledFrom([]int{1, 3600, 86400}).Draw(rt, "scale")))
			there := rapid.Bool().Draw(rt, "there")
			if w.runs(); there {
				w.runs(running("net", "example/alpha:v1.0.0"))
			}
			result := w.evaluate()
			if result.RequeueAfter <= 0 {
				rt.Fatalf("evaluate again in %s", result.RequeueAfter)
			}
			r := w.requirement("it")
			if (r.Verdict == v1alpha1.VerdictSatisfied) != there {
				rt.Fatalf("it is there: %v, and the verdict is %s", there, r.Verdict)
			}
			for _, at := range timesIn(reflect.ValueOf(w.status)) {
				if at.After(w.now.Add(clockSkew)) {
					rt.Fatalf("at %s the status says %s", w.now, at)
				}
			}
			if conformant := w.condition(v1alpha1.ConditionConformant); r.FailingSince != nil && w.now.Sub(r.FailingSince.Time) > 5*time.Minute && conformant.Status != metav1.ConditionFalse {
				rt.Fatalf("it is failing since %s, and at %s Conformant is %s", r.FailingSince, w.now, conformant.Status)
			}
			if again := w.evaluate(); again.Changed {
				rt.Fatalf("nothing changed, and the status is another: %+v", w.status)
			}
		}
	})
}
