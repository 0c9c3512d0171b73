package source

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"

	"github.com/platformprofile/platformprofile/internal/facts"
)

const (
	// requestTimeout is how long a request may have no answer before it is given up. The API server itself gives up what takes a minute.
	requestTimeout = 70 * time.Second
	// pageSize is how many objects a page of a list holds: it bounds what is in memory of a list before it is stripped.
	pageSize = 500
)

// source is one resource that is watched for its consumers. One goroutine, run, owns its state; others read a copy and post events.
//
// It does the work of client-go's Reflector, which retries 429 and refused connections without reporting them.
type source struct {
	kind      kind
	name      string
	clients   Clients
	consumers consumer
	// recovered is called when the source is read again after it was reported to fail.
	recovered func()

	posted chan Event
	state  atomic.Pointer[State]
	cancel context.CancelFunc // nil before it is started
	ended  chan struct{}      // closed when run has returned
}

func newSource(k kind, name string, clients Clients, c consumer, known facts.SourceState, recovered func()) *source {
	w := &source{
		kind:      k,
		name:      name,
		clients:   clients,
		consumers: c,
		recovered: recovered,
		posted:    make(chan Event, 16),
		ended:     make(chan struct{}),
	}
	w.state.Store(&State{Known: known, Silence: clients.WatchSilence})
	return w
}

// stop ends the watch, and returns when the consumers are called no more.
func (w *source) stop() {
	if w.cancel != nil {
		w.cancel()
		<-w.ended
	}
}

// post has an event handled. One that does not find room is dropped: those before it have the source read again anyway.
func (w *source) post(e EventType) {
	select {
	case w.posted <- Event{Type: e}:
	default:
	}
}

// message is an event of the reader, with what was read.
type message struct {
	Event
	position position
	list     []*stripped     // Listed
	object   *stripped       // Received; nil for a bookmark
	change   watch.EventType // of the object
}

// position is where a watch continues.
type position struct {
	gvr     schema.GroupVersionResource
	version string
}

// run lists and watches until the context ends. A list is delivered when the watch is open, unless the source is Synced already: a source
// that can be listed and not watched would otherwise change its state with each attempt.
func (w *source) run(ctx context.Context) {
	defer close(w.ended)
	state := *w.state.Load()
	var (
		at        position
		held      []*stripped
		reading   = make(chan message)
		interrupt = func() {}
		timer     = time.NewTimer(0)
	)
	for {
		var m message
		select {
		case <-ctx.Done():
			interrupt()
			if state.Phase != Waiting {
				for m := range reading {
					if m.isLast() {
						return
					}
				}
			}
			return
		case m = <-reading:
		case m.Event = <-w.posted:
		case <-timer.C:
		}
		before, now := state.Known, time.Now()
		var actions Actions
		state, actions = state.On(m.Event, now)
		switch m.Type {
		case Listed:
			at, held = m.position, m.list
		case WatchOpened, Received:
			at = m.position
		default: // nothing was read
		}
		if state.Known == facts.Synced && held != nil {
			w.consumers.replace(held)
			held = nil
		}
		if m.object != nil {
			if m.change == watch.Deleted {
				w.consumers.remove(m.object)
			} else {
				w.consumers.put(m.object)
			}
		}
		if actions.Report {
			w.consumers.setState(state.Known, w.kind.reason(state.Known, state.FailingSince, state.Cause))
		}
		current := state
		w.state.Store(&current) // after the consumers: what they have must not appear newer than it is
		if before == facts.Failing && state.Known == facts.Synced {
			w.recovered()
		}
		if !state.IsListed {
			at, held = position{}, nil
		}
		if actions.Interrupt {
			interrupt()
		}
		if actions.Read {
			readCtx, cancel := context.WithCancel(ctx)
			interrupt = cancel
			go w.read(readCtx, cancel, at, reading)
		}
		timer.Stop()
		if next := state.Deadline(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// isLast reports whether the reader ends with the message.
func (m message) isLast() bool { return m.Type >= Interrupted && m.Type <= Failed }

// read reads from a position, or lists where there is none, and watches. Its last message says how that ended.
func (w *source) read(ctx context.Context, cancel context.CancelFunc, from position, to chan<- message) {
	err := w.listAndWatch(ctx, from, func(m message) {
		select {
		case to <- m:
		case <-ctx.Done():
		}
	})
	last := message{Event: Event{Type: WatchEnded}}
	switch {
	case ctx.Err() != nil:
		last.Type = Interrupted
	case err != nil:
		last.Event = Event{eventTypeOf(err), err.Error()}
	}
	cancel()
	to <- last
}

func (w *source) listAndWatch(ctx context.Context, at position, send func(message)) error {
	gvr, err := w.kind.resolve(ctx, w.clients)
	if err != nil {
		return err
	}
	answered := func() { send(message{Event: Event{Type: Answered}}) }
	answered()
	client := w.kind.client(w.clients, gvr)
	if at.version == "" || at.gvr != gvr {
		list, version, err := list(ctx, client, w.consumers.strip, answered)
		if err != nil {
			return err
		}
		at = position{gvr, version}
		send(message{Event: Event{Type: Listed}, position: at, list: list})
	}
	open, err := openWatch(ctx, client, at.version)
	if err != nil {
		return err
	}
	defer open.Stop()
	send(message{Event: Event{Type: WatchOpened}, position: at})
	for event := range open.ResultChan() {
		if event.Type == watch.Error {
			return apierrors.FromObject(event.Object)
		}
		object, err := meta.Accessor(event.Object)
		if err != nil {
			return err
		}
		at.version = object.GetResourceVersion()
		m := message{Event: Event{Type: Received}, position: at, change: event.Type}
		if event.Type != watch.Bookmark {
			if m.object, err = w.consumers.strip(event.Object); err != nil {
				return err
			}
		}
		send(m)
	}
	return nil
}

// list lists all objects, stripped page by page, and returns the version that a watch continues from.
func list(
	ctx context.Context, client *cache.ListWatch, strip func(object any) (*stripped, error), answered func(),
) ([]*stripped, string, error) {
	version := ""
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errNoAnswer)
		defer cancel()
		page, err := client.ListWithContext(ctx, options)
		if err != nil {
			return nil, causeOf(ctx, err)
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		version = list.GetResourceVersion()
		answered()
		return page, nil
	})
	pages.PageSize, pages.PageBufferSize = pageSize, 0
	all := []*stripped{} // not nil: an empty list is one
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		one, err := strip(object)
		all = append(all, one)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return all, version, nil
}

// openWatch opens a watch that continues from a version.
func openWatch(ctx context.Context, client *cache.ListWatch, version string) (watch.Interface, error) {
	const least = 5 * time.Minute
	timeout := int64((least + rand.N(least)).Seconds()) //nolint:gosec // spreads the ends of watches, as the Reflector does
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(requestTimeout, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	options := metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &timeout}
	open, err := client.WatchWithContext(ctx, options)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	// client-go returns a watch without events where the connection broke before there was an answer.
	if reflect.TypeOf(open) == reflect.TypeOf(watch.NewEmptyWatch()) {
		return nil, errConnectionLost
	}
	return open, nil
}

var (
	errNoAnswer       = errors.New("no answer within " + requestTimeout.String())
	errConnectionLost = errors.New("the connection broke before there was an answer")
)

// causeOf returns why a request ended, where it ended because it took too long.
func causeOf(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errNoAnswer) {
		return errNoAnswer
	}
	return err
}

// eventTypeOf returns the event that an error is.
func eventTypeOf(err error) EventType {
	switch {
	case errors.Is(err, errNotServed):
		return FoundNotServed
	case apierrors.IsNotFound(err):
		return FoundNothing
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return Refused
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return WatchExpired
	case apierrors.IsTooManyRequests(err), utilnet.IsConnectionRefused(err), utilnet.IsConnectionReset(err), utilnet.IsProbableEOF(err),
		utilnet.IsTimeout(err), errors.Is(err, errConnectionLost), errors.Is(err, errNoAnswer):
		return Unavailable
	}
	return Failed
}
