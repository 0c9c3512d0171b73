package source

import (
	"time"

	"github.com/platformprofile/platformprofile/internal/facts"
)

const (
	// patience is how long a source may fail before that is reported to its consumers. A restart of the API server takes less.
	patience = 15 * time.Second
	// answerDeadline is how long a request may have no answer before that counts as a failure.
	answerDeadline = 15 * time.Second
	// restartDelay is the delay of a restart after a change of the CRD. The API server needs a moment to serve the change, and keeps
	// watches of the former version open for minutes.
	restartDelay = 300 * time.Millisecond
	// settleTime is how long after a change of its CRD a resource that is not found is looked for in short intervals.
	settleTime = 5 * time.Second
	// longPause is how often a source that is refused or not served is tried again without a reason to. CRDs and roles are watched, so that
	// most of the time there is one.
	longPause = 10 * time.Minute
)

// Phase is what a source is doing.
type Phase int

// The phases of a source.
const (
	Waiting  Phase = iota // until RetryAt
	Reading               // a request has no answer yet: discovery, a page of the list, or the watch
	Watching              // the watch is open
)

// State is the state of one source. It is a value: On returns the state that follows an event.
type State struct {
	// Known is the state that was last reported to the consumers.
	Known facts.SourceState
	Phase Phase
	// IsListed says that there is a list that a watch can continue from.
	IsListed bool
	// FailingSince is when the source ceased to answer; zero while it answers. Cause is what it answers instead.
	FailingSince time.Time
	Cause        string
	// LastHeard is when the source was last listed, or its watch last sent an event or a bookmark; zero for never.
	LastHeard time.Time

	// Silence is how long a watch may send nothing before it counts as hung.
	Silence time.Duration

	retryAt   time.Time // while Waiting: when to read again
	restartAt time.Time // when to restart because the CRD changed; zero for never
	failures  int       // in a row
	askedAt   time.Time // while Reading: when the request was sent
	openedAt  time.Time // when the last watch was opened
	crdAt     time.Time // when the CRD last changed
	outageAt  time.Time // when a request last was not answered, or a watch ended by itself: the API server may have restarted
}

// EventType is a kind of event of a source.
type EventType int

// The events of a source.
const (
	Tick            EventType = iota // Deadline has passed
	Answered                         // a request was answered, and another one is sent: discovery, or a page of a list
	Listed                           // the list is complete
	WatchOpened                      // a watch is open
	Received                         // the watch sent an event or a bookmark
	Interrupted                      // what was read or watched ended because of the action Interrupt
	WatchEnded                       // the watch ended by itself
	WatchExpired                     // the version to continue from is too old
	FoundNotServed                   // discovery does not list the resource
	FoundNothing                     // 404
	Refused                          // 401 or 403
	Unavailable                      // 429, or no connection: the watch can continue where it was
	Failed                           // any other error
	CRDChanged                       // the CRD, or the APIService, came, changed or went
	CRDListed                        // the CRD is in a list
	AccessGranted                    // an access review allows to list and watch
	AccessDenied                     // an access review does not
	APIServerIsBack                  // the API server answers again
)

// Event is an event of a source. Message describes a failure.
type Event struct {
	Type    EventType
	Message string
}

// Actions are what the loop must do after a transition.
type Actions struct {
	// Read starts discovery, the list where IsListed is false, and the watch.
	Read bool
	// Interrupt ends what is being read or watched. The event Interrupted follows.
	Interrupt bool
	// Report reports Known to the consumers, which then drop their objects.
	Report bool
}

// On returns the state after an event, and the actions. It is pure.
func (s State) On(e Event, now time.Time) (State, Actions) {
	actions := Actions{}
	switch e.Type {
	case Tick:
		return s.onTick(now)
	case Answered:
		s.askedAt = now
	case Listed:
		s.IsListed, s.LastHeard, s.askedAt = true, now, now
		if s.Known == facts.Synced { // else the watch decides
			s.FailingSince = time.Time{}
		}
	case WatchOpened:
		s.Phase, s.Known = Watching, facts.Synced
		s.openedAt, s.LastHeard, s.FailingSince = now, now, time.Time{}
	case Received:
		s.LastHeard, s.FailingSince, s.failures = now, time.Time{}, 0
	case Interrupted, WatchEnded:
		if e.Type == WatchEnded {
			s.outageAt = now
		}
		if s.Phase == Watching && now.Sub(s.openedAt) < time.Second && s.LastHeard.Equal(s.openedAt) {
			s.IsListed = s.IsListed && s.failures == 0 // a watch that ends at once, again and again, shows nothing: list instead
			s = s.retry(now)
		} else {
			s.Phase, s.retryAt = Waiting, now
		}
	case WatchExpired:
		s.IsListed = false
		s = s.retry(now)
	case FoundNotServed:
		if s.isAfterOutage(now) && now.Sub(s.crdAt) > settleTime { // an API server that has just started does not serve all resources yet
			s = s.fail(e.Message, now).retry(now)
		} else {
			actions.Report = s.setKnown(facts.NotServed)
			s = s.wait(now, longPause, longPause)
		}
	case FoundNothing:
		if s.Known != facts.Synced || s.isOverdue(now) {
			actions.Report = s.setKnown(facts.NotServed)
			s = s.wait(now, time.Second, longPause)
		} else { // one answer is no absence
			s.IsListed = false
			s = s.fail(e.Message, now).retry(now)
		}
	case Refused:
		if s.isAfterOutage(now) { // an API server that has just started refuses everybody
			s = s.fail(e.Message, now).retry(now)
		} else {
			actions.Report = s.setKnown(facts.Forbidden)
			s = s.wait(now, time.Second, longPause)
		}
	case Unavailable, Failed:
		s.IsListed = s.IsListed && e.Type == Unavailable
		s.outageAt = now
		s = s.fail(e.Message, now).retry(now)
		if s.Known == facts.Pending || s.isOverdue(now) { // at its start, the operator must report soon what it cannot read
			actions.Report = s.setKnown(facts.Failing)
		}
	case CRDChanged:
		s.crdAt, s.failures = now, 0
		if s.Phase == Waiting {
			s.retryAt = now
		} else {
			s.restartAt = now.Add(restartDelay)
		}
	case CRDListed:
		if s.Known == facts.NotServed && s.Phase == Waiting {
			s.crdAt, s.retryAt = now, now
		}
	case AccessGranted:
		if s.Known == facts.Forbidden && s.Phase == Waiting {
			s.retryAt = now
		}
	case AccessDenied:
		actions.Interrupt = s.Phase != Waiting
	case APIServerIsBack:
		if !s.FailingSince.IsZero() && s.Phase == Waiting {
			s.retryAt = now
		}
	}
	return s, actions
}

// onTick does what is due.
func (s State) onTick(now time.Time) (State, Actions) {
	actions := Actions{}
	isDue := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	switch {
	case s.Phase == Waiting && !now.Before(s.retryAt):
		s.Phase, s.askedAt, s.restartAt, actions.Read = Reading, now, time.Time{}, true
	case s.Phase == Reading && s.FailingSince.IsZero() && isDue(s.askedAt.Add(answerDeadline)):
		s = s.fail("no answer within "+answerDeadline.String(), now)
		s.outageAt = now
	case s.Phase == Watching && isDue(s.LastHeard.Add(s.Silence)):
		s = s.fail("the watch sent nothing for "+s.Silence.String(), now)
		s.Phase, s.askedAt, s.IsListed, actions.Interrupt = Reading, now, false, true
	}
	if isDue(s.restartAt) {
		s.restartAt, actions.Interrupt = time.Time{}, s.Phase != Waiting
	}
	if s.isOverdue(now) {
		actions.Report = s.setKnown(facts.Failing)
	}
	return s, actions
}

// Deadline is when a Tick is due; zero for never.
func (s State) Deadline() time.Time {
	var first time.Time
	consider := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	switch s.Phase {
	case Waiting:
		consider(s.retryAt)
	case Reading:
		if s.FailingSince.IsZero() {
			consider(s.askedAt.Add(answerDeadline))
		}
	case Watching:
		consider(s.LastHeard.Add(s.Silence))
	}
	if !s.restartAt.IsZero() {
		consider(s.restartAt)
	}
	if !s.FailingSince.IsZero() && s.Known != facts.Failing {
		consider(s.FailingSince.Add(patience))
	}
	return first
}

// IsUnsettled reports whether the source fails now, or was reported as failing and has not synced since.
func (s State) IsUnsettled() bool { return s.Known == facts.Failing || !s.FailingSince.IsZero() }

// isAfterOutage reports whether a request was not answered a moment ago, so that the API server may have just started.
func (s State) isAfterOutage(now time.Time) bool {
	return !s.outageAt.IsZero() && now.Sub(s.outageAt) <= patience
}

// isOverdue reports whether the source has failed for so long that its consumers must learn of it.
func (s State) isOverdue(now time.Time) bool {
	return !s.FailingSince.IsZero() && now.Sub(s.FailingSince) >= patience
}

// setKnown sets the state that consumers know, and reports whether it changed. The first cause of a failure stays: that of each attempt
// differs, and each would be another status.
func (s *State) setKnown(known facts.SourceState) (isNew bool) {
	isNew = s.Known != known
	s.Known = known
	if known != facts.Failing {
		s.FailingSince = time.Time{}
	}
	if isNew || known != facts.Failing {
		s.IsListed = false
	}
	return isNew
}

// fail notes a failure.
func (s State) fail(cause string, now time.Time) State {
	if s.FailingSince.IsZero() {
		s.FailingSince = now
	}
	s.Cause = cause
	return s
}

// retry waits for a while that grows with the failures in a row, from 0.2 to 10 s.
func (s State) retry(now time.Time) State { return s.wait(now, 200*time.Millisecond, 10*time.Second) }

// wait waits, twice as long after each failure in a row, up to a limit; not for long right after a change of the CRD.
func (s State) wait(now time.Time, first, limit time.Duration) State {
	if !s.openedAt.IsZero() && now.Sub(s.openedAt) > patience && s.Phase == Watching {
		s.failures = 0 // the watch went well for a while
	}
	delay := min(limit, first<<min(s.failures, 16))
	if now.Sub(s.crdAt) < settleTime {
		delay = min(delay, 200*time.Millisecond)
	}
	s.failures++
	s.Phase, s.retryAt = Waiting, now.Add(delay)
	return s
}
