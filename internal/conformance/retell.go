package conformance

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Retell finds in a status what turned since a time, for a leader that does not know whether the one before it, or a write
// of its own that was never answered, came to tell of it. It returns the result that led to the status, as far as the status
// shows it, and the status before it as far as conditions go.
//
// What a requirement was before is not known any more. A flapping that ended is not found, which is why it is told before the
// status is written, and neither is a requirement that came to hold with another spec.
func Retell(status *v1alpha1.PlatformProfileStatus, since time.Time) (before v1alpha1.PlatformProfileStatus, result Result) {
	result.Status = *status
	recent := func(at *metav1.Time) bool { return at != nil && !at.Time.Before(since) }
	conformant := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant)
	// What turned Conformant: flapping requirements alone, or others too.
	damped, others := false, false
	for _, l := range status.Layers {
		for _, r := range l.Requirements {
			if !recent(r.LastTransitionTime) {
				continue
			}
			if conformant != nil && r.LastTransitionTime.Equal(&conformant.LastTransitionTime) {
				damped, others = damped || r.Flapping != nil, others || r.Flapping == nil
			}
			turned := slices.ContainsFunc(r.RecentTurns, func(t metav1.Time) bool { return t.Equal(r.LastTransitionTime) })
			switch {
			case r.Flapping != nil && r.Flapping.Turns == flapTurns:
				result.Flaps = append(result.Flaps, Flap{Layer: l.Name, Began: true, Spell: *r.Flapping, Now: r})
			case r.Flapping == nil && (turned || !holds(r.Verdict)):
				result.Transitions = append(result.Transitions, Transition{Layer: l.Name, Now: r, Retold: true})
			}
		}
	}
	for _, c := range status.Conditions {
		if !recent(&c.LastTransitionTime) || c.Type == v1alpha1.ConditionConformant && damped && !others {
			before.Conditions = append(before.Conditions, c)
		}
	}
	return before, result
}
