package conformance

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const (
	// flapTurns within flapWindow make a requirement flap, and flapWindow without any ends it. Five turns are three times
	// down: two failures in half an hour may have two causes, a third has the same one. What is less often than that is
	// told turn by turn, and what is more often tells nothing new by its turns.
	flapTurns  = 5
	flapWindow = 30 * time.Minute
)

// Flap is a requirement that began to flap, or that was still for so long that it does no more.
type Flap struct {
	Layer string
	// Began is false where it ended.
	Began bool
	// Spell is what it has come to, or had come to when it ended.
	Spell v1alpha1.Flapping
	Now   v1alpha1.RequirementStatus
	// Leading is the worst that is wrong with its pods, as of a Transition.
	Leading *v1alpha1.Diagnosis
}

// Holds tells whether the requirement holds now.
func (f Flap) Holds() bool { return holds(f.Now.Verdict) }

// Damped tells whether nothing but flapping requirements turned, so that what turned with them is no news either.
func (r *Result) Damped() bool {
	return len(r.Transitions) > 0 && !slices.ContainsFunc(r.Transitions, func(t Transition) bool { return t.Now.Flapping == nil })
}

// flap says of a requirement how often it turned lately and whether it flaps, and returns what is new of that; nil where
// nothing is. All that it knows of earlier turns is in the status before, so that neither a restart nor another leader
// makes it forget one.
func (e *evaluation) flap(status, old *v1alpha1.RequirementStatus, now time.Time) *Flap {
	if old == nil {
		return nil
	}
	var news *Flap
	status.RecentTurns, status.Flapping = old.RecentTurns, old.Flapping
	if old.Flapping != nil && !now.Before(stillUntil(old.RecentTurns)) {
		status.RecentTurns, status.Flapping = nil, nil
		news = &Flap{Spell: *old.Flapping}
	}
	// A verdict that turned with another spec is its author's doing.
	if holds(old.Verdict) != holds(status.Verdict) && e.before.ObservedGeneration == e.generation {
		e.turn(status)
	}
	if status.Flapping != nil {
		e.wake(stillUntil(status.RecentTurns), now)
		status.Message = Bounded(flapped("flapping:", status.Flapping)+"; "+status.Message, e.room.text)
		if old.Flapping == nil {
			news = &Flap{Began: true, Spell: *status.Flapping}
		}
	}
	return news
}

// turn notes that a requirement turned just now.
func (e *evaluation) turn(status *v1alpha1.RequirementStatus) {
	begin := e.now.Add(-flapWindow)
	recent := slices.DeleteFunc(slices.Clone(status.RecentTurns), func(t metav1.Time) bool { return !t.After(begin) })
	recent = append(recent, e.now)
	status.RecentTurns = recent[max(0, len(recent)-flapTurns):]
	switch {
	case status.Flapping != nil:
		status.Flapping = &v1alpha1.Flapping{Since: status.Flapping.Since, Turns: status.Flapping.Turns + 1}
	case len(status.RecentTurns) == flapTurns:
		status.Flapping = &v1alpha1.Flapping{Since: status.RecentTurns[0], Turns: flapTurns}
	}
}

// stillUntil is when the requirement has been still for long enough, unless it turns again.
func stillUntil(turns []metav1.Time) time.Time {
	if len(turns) == 0 {
		return time.Time{}
	}
	return turns[len(turns)-1].Add(flapWindow)
}

// flapped says how often something turned, behind a lead.
func flapped(lead string, f *v1alpha1.Flapping) string {
	return fmt.Sprintf("%s turned %d times since %s", lead, f.Turns, f.Since.UTC().Format(time.RFC3339))
}

// flapping are the requirements that flap, each with what say makes of it.
func flapping(status *v1alpha1.PlatformProfileStatus, say func(name string, f *v1alpha1.Flapping) string) []string {
	var said []string
	for _, l := range status.Layers {
		for _, r := range l.Requirements {
			if r.Flapping != nil {
				said = append(said, say(l.Name+"/"+r.Name, r.Flapping))
			}
		}
	}
	return said
}
