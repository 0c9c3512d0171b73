package conformance

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const year = 365 * 24 * time.Hour

// TestGracePeriodAfterClockWasAhead checks that a grace period ends in time although the failure was recorded by a clock that was a year
// ahead.
func TestGracePeriodAfterClockWasAhead(t *testing.T) {
	w := newWorld(t, "gracePeriod: 5m\n"+specWith("anyOf: [{component: alpha}]"))
	w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
	w.evaluate()
	w.now = w.now.Add(year)
	w.setDeployments()
	w.evaluate()
	w.wantConformant(metav1.ConditionTrue, ReasonGrace)

	w.now = w.now.Add(-year)
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

// collectTimes collects all times in a value by reflection, so that it includes fields that are added later.
func collectTimes(v reflect.Value) []metav1.Time {
	if at, ok := reflect.TypeAssert[metav1.Time](v); ok {
		return []metav1.Time{at}
	}
	var found []metav1.Time
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			found = collectTimes(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			found = append(found, collectTimes(field)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, collectTimes(v.Index(i))...)
		}
	default:
	}
	return found
}

// TestAttestationFollowsClock checks that an attestation is expired exactly if its expiry is in the past, after any jump of the clock.
func TestAttestationFollowsClock(t *testing.T) {
	w := newWorld(t, specWith("attestation: {by: us, reason: it is outside, expires: 2027-06-30T00:00:00Z}"))
	for _, jump := range []time.Duration{0, year, -2 * year, year, year, -year} {
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

// TestRandomClockJumps checks, for random changes of the cluster and jumps of the clock, that the status has no time in the future, that
// verdicts are right, that a failure is reported after the grace period, and that an unchanged status is not written.
func TestRandomClockJumps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, "gracePeriod: 5m\n"+specWith("anyOf: [{component: alpha}]"))
		w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
		w.evaluate()
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			jump := rapid.Int64Range(int64(-year/time.Second), int64(year/time.Second)).Draw(rt, "jump")
			scale := rapid.SampledFrom([]int{1, 3600, 86400}).Draw(rt, "scale")
			w.now = w.now.Add(time.Duration(jump) * time.Second / time.Duration(scale))
			there := rapid.Bool().Draw(rt, "there")
			if w.setDeployments(); there {
				w.setDeployments(healthyDeployment("net", "example/alpha:v1.0.0"))
			}
			result := w.evaluate()
			if result.RequeueAfter <= 0 {
				rt.Fatalf("evaluate again in %s", result.RequeueAfter)
			}
			r := w.requirement("it")
			if (r.Verdict == v1alpha1.VerdictSatisfied) != there {
				rt.Fatalf("it is there: %v, and the verdict is %s", there, r.Verdict)
			}
			for _, at := range collectTimes(reflect.ValueOf(w.status)) {
				if at.After(w.now.Add(clockSkew)) {
					rt.Fatalf("at %s the status has the time %s", w.now, at)
				}
			}
			if conformant := w.condition(v1alpha1.ConditionConformant); r.FailingSince != nil && w.now.Sub(r.FailingSince.Time) > 5*time.Minute &&
				conformant.Status != metav1.ConditionFalse {
				rt.Fatalf("it is failing since %s, and at %s Conformant is %s", r.FailingSince, w.now, conformant.Status)
			}
			if again := w.evaluate(); again.Changed {
				rt.Fatalf("nothing changed, and the status is another: %+v", w.status)
			}
		}
	})
}
