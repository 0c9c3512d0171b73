package observe

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/rule"
)

const (
	// patience is how long a source may fail to answer before it counts as out of sight. A restart of the API server is over
	// within it.
	patience = 15 * time.Second
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
	back      chan struct{} // rings when a source answers that did not

	mu       sync.Mutex
	run      context.Context // nil before Run
	watchers map[string]*watcher
	wg       sync.WaitGroup
}

// NewLive returns a feeder of an inventory. It reads nothing before Run.
func NewLive(clients Clients, i *inventory.Inventory, log logr.Logger) *Live {
	l := &Live{clients: clients, inventory: i, log: log, apiServer: i.Feed(catalog.APIServerSource), back: make(chan struct{}, 1), watchers: map[string]*watcher{}}
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
	l.wg.Add(5)
	go func() { defer l.wg.Done(); l.inventory.Rules.Run(ctx) }()
	go func() { defer l.wg.Done(); l.keepDiagnoses(ctx) }()
	go func() { defer l.wg.Done(); l.keepContact(ctx) }()
	go func() { defer l.wg.Done(); l.watchPermissions(ctx) }()
	go func() { defer l.wg.Done(); l.keepDeadlines(ctx) }()
	<-ctx.Done()
	l.wg.Wait()
	return nil
}

// Start implements the manager's Runnable.
func (l *Live) Start(ctx context.Context) error { return l.Run(ctx) }

// Read has these instances of rules evaluated and these ConfigMaps read, and no others: watches that nobody needs any more end.
// Where an instance reads fields that were not kept so far, the resource is listed again; until then it is Pending.
func (l *Live) Read(instances []rule.Instance, configMaps []catalog.ConfigMap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.inventory.Rules.SetInstances(instances) // once none of them can see objects without their fields
	wanted := map[string]bool{}
	for resource, fields := range rule.ReadsOf(instances) {
		name := "rules/" + resource.String() + "/" + resource.Version
		wanted[name] = true
		known := l.watchers[name]
		switch {
		case known == nil:
		case known.sink.(*objectSink).fields.Cover(fields):
			continue
		default:
			known.stop()
			known.lose(facts.Pending, "")
		}
		l.add(objectsOf(resource, fields), name, &objectSink{l.inventory.Rules.Feed(resource), fields})
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
	switch source {
	case crdSource:
		s.changed = l.crdChanged
	case apiServiceSource:
		s.changed = l.apiServiceChanged
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
			if err := podcases.Diagnose(ctx, l.clients.Typed, l.inventory, time.Now()); err != nil && ctx.Err() == nil {
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

// keepDeadlines has the inventory judge again when a rollout's deadline passes. It looks every minute, because a clock that
// jumps brings a deadline nearer than any timer knows.
func (l *Live) keepDeadlines(ctx context.Context) {
	const least, most = time.Second, time.Minute
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
			timer.Reset(min(most, max(least, time.Until(next))))
		}
	}
}
