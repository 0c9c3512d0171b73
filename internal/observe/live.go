package observe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

const (
	// patience is how long a source may fail to answer before it counts as out of sight. A restart of the API server is over
	// within it.
	patience = 15 * time.Second
	// askVersion is how often the API server is asked for its version.
	askVersion = 10 * time.Minute
	// retryUnasked is how often a source that is refused or not served is tried again when no word of changed permissions,
	// or of its CRD, comes: they bring it back at once.
	retryUnasked = 10 * time.Minute
)

// Live feeds an inventory from an API server by watches, from Run until its context ends.
type Live struct {
	clients   Clients
	inventory *inventory.Inventory
	log       logr.Logger

	apiServer *inventory.Feed

	mu       sync.Mutex
	run      context.Context // nil before Run
	watchers map[string]*watcher
	wg       sync.WaitGroup
}

// NewLive returns a feeder of an inventory. It reads nothing before Run.
func NewLive(clients Clients, i *inventory.Inventory, log logr.Logger) *Live {
	l := &Live{clients: clients, inventory: i, log: log, apiServer: i.Feed(catalog.APIServerSource), watchers: map[string]*watcher{}}
	for _, k := range kinds() {
		l.add(k, k.resource.String(), l.factSink(k.resource.String()))
	}
	return l
}

// NeedLeaderElection says that a standby watches too, so that it takes over with a full inventory.
func (l *Live) NeedLeaderElection() bool { return false }

// Run watches until the context ends.
func (l *Live) Run(ctx context.Context) error {
	l.mu.Lock()
	l.run = ctx
	for _, w := range l.watchers {
		l.start(w)
	}
	l.mu.Unlock()
	l.wg.Add(4)
	go func() { defer l.wg.Done(); l.keepDiagnoses(ctx) }()
	go func() { defer l.wg.Done(); l.keepVersion(ctx) }()
	go func() { defer l.wg.Done(); l.watchPermissions(ctx) }()
	go func() { defer l.wg.Done(); l.keepDeadlines(ctx) }()
	<-ctx.Done()
	l.wg.Wait()
	return nil
}

// Start implements the manager's Runnable.
func (l *Live) Start(ctx context.Context) error { return l.Run(ctx) }

// Read has the inventory fed with these fields of objects and these ConfigMaps, and with no others: watches that nobody
// asks for any more end. Where fields are asked for that were not kept so far, the resource is read anew; until then it
// counts as not looked at.
func (l *Live) Read(reads catalog.Reads, configMaps []catalog.ConfigMap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := map[string]bool{}
	for resource, fields := range reads {
		name := "rules/" + resource.String() + "/" + resource.Version
		wanted[name] = true
		known := l.watchers[name]
		switch {
		case known == nil:
		case known.sink.(*objectSink).fields.Cover(fields):
			continue
		default:
			known.stop()
			known.sink.lose(inventory.Pending, "")
		}
		l.add(objectsOf(resource), name, &objectSink{l.inventory.ResourceFeed(resource), fields})
		l.start(l.watchers[name])
	}
	for _, c := range configMaps {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		wanted[name] = true
		if l.watchers[name] == nil {
			l.add(configMap(c), name, &factSink{feed: l.inventory.Feed(name)})
			l.start(l.watchers[name])
		}
	}
	for name, w := range l.watchers {
		if w.onDemand() && !wanted[name] {
			delete(l.watchers, name)
			w.stop()
			w.sink.close()
		}
	}
}

func (l *Live) factSink(source string) *factSink {
	s := &factSink{feed: l.inventory.Feed(source)}
	if source == crdSource {
		s.changed = l.crdChanged
	}
	return s
}

func (l *Live) add(k kind, name string, s sink) {
	l.watchers[name] = &watcher{live: l, kind: k, name: name, sink: s, kicked: make(chan struct{}, 1)}
}

// start runs a watcher, if the feeder itself runs. The caller holds the lock.
func (l *Live) start(w *watcher) {
	if l.run == nil || l.run.Err() != nil || w.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(l.run)
	w.cancel, w.ended = cancel, make(chan struct{})
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		defer close(w.ended)
		w.watch(ctx)
	}()
}

// crdChanged tells the watchers of a resource that its CRD came, changed or went.
func (l *Live) crdChanged(crd string, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watchers {
		if w.kind.optional && w.kind.resource.String() == crd {
			w.resourceChanged(gone)
		}
	}
}

// keepVersion asks the API server for its version, now and then: it changes when the control plane is upgraded.
func (l *Live) keepVersion(ctx context.Context) {
	pause := 200 * time.Millisecond
	for {
		version, err := l.clients.Typed.Discovery().ServerVersion()
		if err == nil {
			l.apiServer.Replace([]facts.Fact{facts.APIServerOf(version.GitVersion)})
			pause = askVersion
		} else if pause != askVersion {
			l.apiServer.Lose(inventory.Blind, unanswered(catalog.APIServerSource, err))
			pause = min(2*pause, patience)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

const (
	// diagnoseSoon is how long after a change degraded workloads are diagnosed: their pods fail a moment after them.
	diagnoseSoon = 500 * time.Millisecond
	// diagnoseAgain is how often, while there are any: what is wrong with a pod changes without its workload.
	diagnoseAgain = 20 * time.Second
)

// keepDiagnoses keeps what is wrong with the pods of degraded workloads. While none is degraded it asks for nothing. Every
// replica does, so that a standby takes over with the same to say.
func (l *Live) keepDiagnoses(ctx context.Context) {
	changed := l.inventory.Changes()
	var told []facts.Ref // the workloads that were diagnosed last
	for again := false; ; {
		if again || !slices.Equal(told, l.inventory.Snapshot().ToDiagnose()) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(diagnoseSoon):
			}
			told = l.inventory.Snapshot().ToDiagnose()
			if err := Diagnose(ctx, l.clients, l.inventory, time.Now()); err != nil && ctx.Err() == nil {
				l.log.V(1).Info("degraded workloads could not be diagnosed", "error", err.Error())
			}
		}
		var later <-chan time.Time
		if len(told) > 0 {
			later = time.After(diagnoseAgain)
		}
		select {
		case <-ctx.Done():
			return
		case <-later:
			again = true
		case <-changed:
			again = false
		}
	}
}

// keepDeadlines has the inventory judge again when a rollout's deadline passes.
func (l *Live) keepDeadlines(ctx context.Context) {
	const least = time.Second
	timer := time.NewTimer(least)
	defer timer.Stop()
	changed := l.inventory.Changes()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
		if next := l.inventory.Pass(); !next.IsZero() {
			timer.Reset(max(least, time.Until(next)))
		}
	}
}

// watcher watches one source for as long as it is wanted.
type watcher struct {
	live   *Live
	kind   kind
	name   string
	sink   sink
	kicked chan struct{}
	cancel context.CancelFunc
	ended  chan struct{} // closed when the watcher has ended

	mu      sync.Mutex
	end     context.CancelFunc // ends the present watch, nil where there is none
	refused bool
	word    bool // of the CRD came, and was not yet acted upon
}

// onDemand tells whether the source is watched because a rule or definition asks for it.
func (w *watcher) onDemand() bool {
	_, objects := w.sink.(*objectSink)
	return objects || w.kind.resource.Resource == "configmaps"
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
	var afterWord wait.Backoff // no word yet
	backoff := slow
	var failing time.Time
	for ctx.Err() == nil {
		started := time.Now()
		err := w.look(ctx)
		if time.Since(started) > patience {
			failing, backoff = time.Time{}, slow // it went well for a while
		}
		var pause time.Duration
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, errNotServed) || apierrors.IsNotFound(err):
			failing = time.Time{}
			w.sink.lose(inventory.NotServed, "")
			if pause = retryUnasked; afterWord.Steps > 0 {
				pause = afterWord.Step()
			}
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			failing = time.Time{}
			w.setRefused(true)
			w.sink.lose(inventory.Blind, refused(w.kind.resource, w.source()))
			pause = retryUnasked
		default:
			if failing.IsZero() {
				failing = started
			}
			w.live.log.V(1).Info("a source does not answer", "source", w.name, "error", err.Error())
			if time.Since(failing) > patience || w.neverSeen() {
				w.sink.lose(inventory.Blind, unanswered(w.source(), err))
			}
			pause = backoff.Step()
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

// look lists and watches once: until the watch ends, fails or is interrupted.
func (w *watcher) look(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
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
			return err
		}
	}
	w.setRefused(false)
	listWatch := w.kind.by(w.live.clients, gvr)
	var reader cache.ListerWatcher = listWatch
	if w.kind.optional {
		reader = listFirst{listWatch, w.sink.Transformer()}
	}
	reflector := cache.NewReflectorWithOptions(reader, nil, w.sink, cache.ReflectorOptions{
		Name:            "platformprofile/" + w.name,
		TypeDescription: w.source(),
		Backoff:         &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Cap: 10 * time.Second, Steps: 8, Jitter: 0.5},
	})
	err := reflector.ListAndWatchWithContext(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
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

// neverSeen tells whether nobody waits longer for a source that has not been seen at all: an operator that starts must
// say soon what it cannot see.
func (w *watcher) neverSeen() bool { return !w.live.inventory.Settled() }

// source is the watcher's name as messages have it.
func (w *watcher) source() string {
	if w.kind.resource.Resource == "configmaps" {
		return w.name
	}
	return w.kind.resource.String()
}
