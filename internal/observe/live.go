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

	// reading is held while sources are started and stopped. A source that is being stopped may report a CRD at that moment, and
	// that takes mu: mu is never held while one is stopped.
	reading sync.Mutex

	mu       sync.Mutex
	run      context.Context // nil before Run
	watchers map[string]*watcher
	wg       sync.WaitGroup
}

// NewLive returns a feeder of an inventory. It reads nothing before Run.
func NewLive(clients Clients, i *inventory.Inventory, log logr.Logger) *Live {
	l := &Live{clients: clients, inventory: i, log: log, apiServer: i.Feed(catalog.APIServerSource), back: make(chan struct{}, 1), watchers: map[string]*watcher{}}
	for _, k := range kinds() {
		l.add(k, k.resource.String(), &consumers{facts: l.factConsumer(k.resource.String())})
	}
	return l
}

// NeedLeaderElection says that a standby watches too, so that it takes over with a full inventory.
func (l *Live) NeedLeaderElection() bool { return false }

// Run watches until the context ends.
func (l *Live) Run(ctx context.Context) error {
	l.reading.Lock()
	l.mu.Lock()
	l.run = ctx
	l.mu.Unlock()
	for _, w := range l.all() {
		l.start(w)
	}
	l.reading.Unlock()
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
// Where an instance reads fields that were not kept so far, the resource is listed again; until then its rules are Pending.
func (l *Live) Read(instances []rule.Instance, configMaps []catalog.ConfigMap) {
	l.reading.Lock()
	defer l.reading.Unlock()
	defer l.inventory.Rules.SetInstances(instances) // once none of them can see objects without their fields
	wanted := map[string]bool{}
	for name, source := range rulesBySource(instances, l.inventory.Rules) {
		wanted[name] = true
		l.readFor(name, source)
	}
	for _, c := range configMaps {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		wanted[name] = true
		if l.watchers[name] == nil {
			l.start(l.add(configMap(c), name, &consumers{facts: l.factConsumer(name)}))
		}
	}
	for name, w := range l.watchers {
		taken := w.sink.(*consumers)
		switch {
		case wanted[name]:
		case taken.facts == nil || w.kind.only != (catalog.ConfigMap{}):
			l.mu.Lock()
			delete(l.watchers, name)
			l.mu.Unlock()
			w.stop()
			w.sink.close()
		case len(taken.rules) > 0:
			// The facts are still wanted. The watch goes on without the rules.
			w.stop()
			for _, rules := range taken.rules {
				rules.feed.Close()
			}
			l.restart(w, w.kind, &consumers{facts: taken.facts})
		}
	}
}

// ruledSource is a source that rules read.
type ruledSource struct {
	kind  kind // that reads the fields of all of them
	rules []*ruleConsumer
}

// rulesBySource returns what instances of rules read of which source, by the names of the sources.
func rulesBySource(instances []rule.Instance, evaluator *rule.Evaluator) map[string]ruledSource {
	sources, fields := map[string]ruledSource{}, map[string]*rule.Fields{}
	for resource, read := range rule.ReadsOf(instances) {
		k, name := sourceOf(resource)
		if fields[name] == nil {
			fields[name] = &rule.Fields{}
		}
		fields[name].Add(read)
		source := sources[name]
		source.kind = k.readWith(fields[name])
		source.rules = append(source.rules, &ruleConsumer{resource, read, evaluator.Feed(resource)})
		sources[name] = source
	}
	return sources
}

// readFor has a source read for rules, beside the facts that are taken from it.
func (l *Live) readFor(name string, source ruledSource) {
	known := l.watchers[name]
	if known == nil {
		l.start(l.add(source.kind, name, &consumers{rules: source.rules}))
		return
	}
	taken := known.sink.(*consumers)
	kept := func(wanted *ruleConsumer) bool {
		return slices.ContainsFunc(taken.rules, func(r *ruleConsumer) bool {
			return r.resource == wanted.resource && r.fields.Cover(wanted.fields)
		})
	}
	if len(taken.rules) == len(source.rules) && !slices.ContainsFunc(source.rules, func(r *ruleConsumer) bool { return !kept(r) }) {
		return
	}
	known.stop()
	for _, rules := range source.rules {
		if !kept(rules) {
			rules.feed.Lose(facts.Pending, "")
		}
	}
	for _, before := range taken.rules {
		if !slices.ContainsFunc(source.rules, func(r *ruleConsumer) bool { return r.resource == before.resource }) {
			before.feed.Close()
		}
	}
	l.restart(known, source.kind, &consumers{facts: taken.facts, rules: source.rules})
}

// restart reads a source, whose watcher was stopped, for other consumers. What was known of it stays until it was listed again.
func (l *Live) restart(before *watcher, k kind, taken *consumers) {
	w := l.add(k, before.name, taken)
	if taken.facts != nil {
		w.mu.Lock()
		w.sight = before.sight // of a watcher that has ended
		w.mu.Unlock()
	}
	l.start(w)
}

func (l *Live) factConsumer(source string) *factConsumer {
	f := &factConsumer{feed: l.inventory.Feed(source)}
	switch source {
	case crdSource:
		f.changed = l.crdChanged
	case apiServiceSource:
		f.changed = l.apiServiceChanged
	}
	return f
}

func (l *Live) add(k kind, name string, s sink) *watcher {
	w := &watcher{live: l, kind: k, name: name, sink: s, kicked: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers[name] = w
	return w
}

// start runs a watcher, if the feeder itself runs. The caller holds reading.
func (l *Live) start(w *watcher) {
	l.mu.Lock()
	run := l.run
	l.mu.Unlock()
	if run == nil || run.Err() != nil || w.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(run)
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
