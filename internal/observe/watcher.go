package observe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/internal/facts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
)

// watcher watches one source for as long as it is wanted.
type watcher struct {
	live   *Live
	kind   kind
	name   string
	sink   sink
	kicked chan struct{}
	cancel context.CancelFunc
	ended  chan struct{} // closed when the watcher has ended

	// telling is held while the sink is told something and that is noted: a list and a failure at the same moment must not have
	// one of them told last and the other noted last.
	telling sync.Mutex

	mu       sync.Mutex
	end      context.CancelFunc // ends the present watch, nil where there is none
	gvr      schema.GroupVersionResource
	rechecks bool // a look is under way at whether the watched version is still the served one
	refused  bool
	word     bool // of the CRD came, and was not yet acted upon
	sight    facts.SourceState
	silent   bool      // it was told that it does not answer
	failing  time.Time // when it ceased to answer; zero while it does
	cause    string    // what it answers instead, or why nothing
	outage   time.Time // when the API server was last seen not to answer at all
	heard    time.Time
	opened   time.Time // when the first of the watches was opened that came right after each other
	opens    int       // how many that are
}

// stop ends the watcher, and returns when it delivers nothing more.
func (w *watcher) stop() {
	if w.cancel != nil {
		w.cancel()
		<-w.ended
	}
}

// kick has a waiting watcher try again at once.
func (w *watcher) kick() {
	select {
	case w.kicked <- struct{}{}:
	default:
	}
}

// recheckDelays are how long after word of a CRD to see whether the version that is watched is still the one to watch: the
// API server serves what changed a moment after it said so.
var recheckDelays = []time.Duration{200 * time.Millisecond, time.Second, 4 * time.Second}

// resourceChanged ends a watch of a resource whose CRD went, and wakes one that waits for its CRD.
func (w *watcher) resourceChanged(gone bool) {
	if gone {
		w.interrupt()
	}
	w.mu.Lock()
	w.word = true
	w.mu.Unlock()
	w.kick()
}

// recheckSoon has a watch that goes on looked at: it may be that another version is served now. The caller holds the
// feeder's lock.
func (w *watcher) recheckSoon(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rechecks || ctx == nil || ctx.Err() != nil {
		return
	}
	w.rechecks = true
	w.live.wg.Add(1)
	go func() {
		defer w.live.wg.Done()
		w.recheck(ctx)
	}()
}

// recheck ends a watch of a version that is served no more, or not the first choice.
func (w *watcher) recheck(ctx context.Context) {
	began := time.Now()
	for _, delay := range recheckDelays {
		select {
		case <-ctx.Done():
		case <-time.After(delay - time.Since(began)):
		}
		w.mu.Lock()
		if delay == recheckDelays[len(recheckDelays)-1] {
			w.rechecks = false // word that comes from here on has its own looks
		}
		watched, looking := w.gvr, w.end != nil
		w.mu.Unlock()
		if !looking || ctx.Err() != nil {
			continue
		}
		served, err := serve(ctx, w.live.clients, w.kind.resource)
		if errors.Is(err, errNotServed) || err == nil && served != watched {
			w.interrupt()
		}
	}
}

// takeWord tells, once, whether word of the CRD came.
func (w *watcher) takeWord() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	word := w.word
	w.word = false
	return word
}

// interrupt ends the present watch; the watcher looks again.
func (w *watcher) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil {
		w.end()
	}
}

// watch lists and watches until the context ends, and says in between what it could not see.
func (w *watcher) watch(ctx context.Context) {
	// A CRD is served a moment after word of it: right after that the looks are close together, five seconds long.
	quick := wait.Backoff{Duration: 40 * time.Millisecond, Factor: 1.15, Steps: 21, Jitter: 0.2}
	slow := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 1.5, Cap: 10 * time.Second, Steps: 20, Jitter: 0.2}
	unsure := wait.Backoff{Duration: time.Second, Factor: 2, Cap: retryUnasked, Steps: 30, Jitter: 0.2}
	var afterWord wait.Backoff // no word yet
	backoff, askAgain := slow, unsure
	for ctx.Err() == nil {
		started := time.Now()
		err := w.look(ctx)
		if time.Since(started) > patience {
			backoff, askAgain = slow, unsure // it went well for a while, or took so long that a pause adds little
		}
		var pause time.Duration
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			// A watch that is ended as soon as it is open must not become one list after the other.
			if time.Since(started) < time.Second {
				pause = backoff.Step()
			}
		case errors.Is(err, errNotServed):
			w.lose(facts.NotServed, "")
			if pause = retryUnasked; afterWord.Steps > 0 {
				pause = afterWord.Step()
			}
		case apierrors.IsNotFound(err) && !w.kind.optional && !w.mayReturn():
			// Nobody brings word of what Kubernetes itself serves.
			w.lose(facts.NotServed, "")
			pause = askAgain.Step()
		case isRefusal(err) && !w.justBack():
			w.setRefused(true)
			w.lose(facts.Unreadable, refused(w.kind.resource, w.source()))
			pause = askAgain.Step()
		default:
			w.live.log.V(1).Info("a source does not answer", "source", w.name, "error", err.Error())
			since := w.ceased(err.Error())
			if time.Since(since) > patience || w.neverSeen() {
				w.fail()
			}
			pause = backoff.Step()
			if apierrors.IsNotFound(err) && afterWord.Steps > 0 {
				pause = afterWord.Step() // it is said to be served and is not found: it is on its way, or going
			}
		}
		select {
		case <-ctx.Done():
		case <-w.kicked:
			if w.takeWord() {
				afterWord = quick
			}
		case <-time.After(pause):
		}
	}
}

// isRefusal tells whether an answer says that the operator may not.
func isRefusal(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// mayReturn tells whether a kind of Kubernetes' own that is not found is to be waited for: what was there a moment ago is not
// served no more because of one answer.
func (w *watcher) mayReturn() bool {
	failing := w.failedSince()
	return w.inSight() && (failing.IsZero() || time.Since(failing) < patience)
}

// justBack tells whether the API server did not answer until a moment ago. One that has just started does not know the
// roles yet, and refuses everybody: that is not to be believed.
func (w *watcher) justBack() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.outage.IsZero() && time.Since(w.outage) < patience
}

// look lists and watches once: until the watch ends, fails or is interrupted.
func (w *watcher) look(ctx context.Context) error {
	outer := ctx
	ctx, cancel := context.WithCancel(withNotice(ctx, w.unreached))
	defer cancel()
	w.mu.Lock()
	w.end = cancel
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.end = nil
		w.mu.Unlock()
	}()
	gvr := schema.GroupVersionResource{}
	if w.kind.optional {
		var err error
		if gvr, err = serve(ctx, w.live.clients, w.kind.resource); err != nil {
			return interrupted(ctx, outer, err)
		}
	}
	w.mu.Lock()
	w.gvr, w.refused = gvr, false
	w.mu.Unlock()
	gate := &gate{sink: w.sink, watcher: w}
	var reader cache.ListerWatcher = gate.reader(w.kind.by(w.live.clients, gvr))
	if strip := w.sink.Transformer(); strip != nil { // of roles nothing is kept
		reader = listFirst{reader.(*cache.ListWatch), strip}
	}
	reflector := cache.NewReflectorWithOptions(reader, nil, gate, cache.ReflectorOptions{
		Name:            "platformprofile/" + w.name,
		TypeDescription: w.source(),
		Backoff:         &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Cap: 3 * time.Second, Steps: 8, Jitter: 0.5},
	})
	err := reflector.ListAndWatchWithContext(ctx)
	if gate.final != nil {
		err = gate.final
	}
	return interrupted(ctx, outer, err)
}

// interrupted is no error where a look was ended on purpose.
func interrupted(ctx, outer context.Context, err error) error {
	if ctx.Err() == nil && outer.Err() == nil {
		return err
	}
	return nil
}

// lose says that the source is out of sight for a reason that does not change by itself, or that it is not served.
func (w *watcher) lose(sight facts.SourceState, reason string) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.mu.Lock()
	w.sight, w.silent, w.failing = sight, false, time.Time{}
	w.mu.Unlock()
	w.sink.lose(sight, reason)
}

// fail says that the source is out of sight because it does not answer. What is said first stays said until it answers: the
// words of each attempt differ, and each would be another status.
func (w *watcher) fail() {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.mu.Lock()
	if w.silent || w.failing.IsZero() {
		w.mu.Unlock()
		return
	}
	reason := unanswered(w.source(), w.failing, w.cause)
	w.sight, w.silent = facts.Unreadable, true
	w.mu.Unlock()
	w.live.clients.Contact.doubt() // before anybody judges by it
	w.sink.lose(facts.Unreadable, reason)
}

// failOverdue says so of a source that has not answered for too long while its look goes on: a request may be without an
// answer for long, and client-go waits and asks again by itself where an answer says when.
func (w *watcher) failOverdue() {
	if since := w.failedSince(); !since.IsZero() && time.Since(since) > patience {
		w.fail()
	}
}

// saw says that the source was listed, and rings where it had been said not to answer.
func (w *watcher) saw() {
	w.mu.Lock()
	was := w.silent
	w.sight, w.silent = facts.Synced, false
	w.mu.Unlock()
	w.answered()
	if was {
		select {
		case w.live.back <- struct{}{}:
		default:
		}
	}
}

// answered says that the source answers.
func (w *watcher) answered() {
	w.mu.Lock()
	w.failing, w.heard = time.Time{}, time.Now()
	w.mu.Unlock()
}

// hear notes that a watch has a word.
func (w *watcher) hear() {
	w.mu.Lock()
	w.heard, w.failing, w.opens = time.Now(), time.Time{}, 0
	w.mu.Unlock()
}

// mayOpen tells whether to open a watch now. One that ended three times as soon as it was open is not opened again before
// the source is listed and a pause is over: for one that expires client-go would do so a thousand times a second.
func (w *watcher) mayOpen() bool {
	const most = 3
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opens < most || time.Since(w.opened) > time.Second
}

// countOpen notes that a watch was opened. One that was refused does not count: that it is refused is to be told, and a list
// in between would pass for an answer.
func (w *watcher) countOpen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.opened) > time.Second {
		w.opened, w.opens = now, 0
	}
	w.opens++
}

func (w *watcher) lastHeard() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heard
}

// inSight tells whether the source is seen, as far as anybody was told.
func (w *watcher) inSight() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sight == facts.Synced
}

// ceased notes that the source does not answer, and why, and returns since when.
func (w *watcher) ceased(why string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.failing.IsZero()
	if first {
		w.failing = time.Now()
	}
	if first || !slices.Contains([]string{errBrokeOff.Error(), errEndsAtOnce.Error(), errLetGo.Error()}, why) {
		w.cause = why // what says less does not take the place of what says more
	}
	return w.failing
}

// unreached notes that a request was not answered, or not with what was asked for.
func (w *watcher) unreached(why string) {
	w.ceased(why)
	w.mu.Lock()
	w.outage = time.Now()
	w.mu.Unlock()
}

// failedSince is when the source ceased to answer; zero while it does.
func (w *watcher) failedSince() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing
}

// unsure tells whether the source does not answer at this moment, or was said not to and was not seen since.
func (w *watcher) unsure() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silent || !w.failing.IsZero()
}

func (w *watcher) setRefused(refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = refused
}

// isLooking tells whether the source is listed or watched at this moment.
func (w *watcher) isLooking() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end != nil
}

func (w *watcher) isRefused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// neverSeen tells whether the source has not been seen at all: nobody waits longer for it then, because an operator that
// starts must say soon what it cannot see.
func (w *watcher) neverSeen() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sight == facts.Pending
}

// source is the watcher's name as messages have it.
func (w *watcher) source() string { return w.kind.name() }
