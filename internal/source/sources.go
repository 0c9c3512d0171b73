package source

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Sources feeds an inventory from an API server by watches, from Run until its context ends.
type Sources struct {
	clients   Clients
	inventory *inventory.Inventory
	log       logr.Logger

	connection *connection

	// reading is held while sources are started and stopped. A source that is being stopped may report a CRD at that moment, and
	// that takes mu: mu is never held while one is stopped.
	reading sync.Mutex

	mu      sync.Mutex
	run     context.Context //nolint:containedctx // of Run, for sources that are added later; nil before
	watched map[string]*source
	wg      sync.WaitGroup
}

// New returns the sources of an inventory. They read nothing before Run.
func New(clients Clients, i *inventory.Inventory, log logr.Logger) *Sources {
	s := &Sources{clients: clients, inventory: i, log: log, watched: map[string]*source{}}
	s.connection = newConnection(s)
	for _, k := range facts.Kinds() {
		s.add(kindOf(k), k.SourceName(), &consumers{facts: s.factConsumer(k.SourceName())}, facts.Pending)
	}
	return s
}

// NeedLeaderElection says that a standby watches too, so that it takes over with a full inventory.
func (s *Sources) NeedLeaderElection() bool { return false }

// Run watches until the context ends.
func (s *Sources) Run(ctx context.Context) error {
	s.reading.Lock()
	s.mu.Lock()
	s.run = ctx
	s.mu.Unlock()
	for _, w := range s.all() {
		s.start(w)
	}
	s.reading.Unlock()
	for _, run := range []func(context.Context){s.inventory.Rules.Run, s.connection.watch, s.reviewAccess, s.keepDiagnoses, s.keepDeadlines} {
		s.wg.Go(func() { run(ctx) })
	}
	<-ctx.Done()
	s.wg.Wait()
	return nil
}

// Start implements the manager's Runnable.
func (s *Sources) Start(ctx context.Context) error { return s.Run(ctx) }

// Read has these instances of rules evaluated and these ConfigMaps read, and no others: watches that nobody needs any more end.
// Where an instance reads fields that were not kept so far, the resource is listed again; until then its rules are Pending.
func (s *Sources) Read(instances []rule.Instance, configMaps []catalog.ConfigMap) {
	s.reading.Lock()
	defer s.reading.Unlock()
	defer s.inventory.Rules.SetInstances(instances) // once none of them can see objects without their fields
	wanted := map[string]bool{}
	for name, source := range rulesBySource(instances, s.inventory.Rules) {
		wanted[name] = true
		s.readFor(name, source)
	}
	for _, c := range configMaps {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		wanted[name] = true
		if s.watched[name] == nil {
			s.start(s.add(kindOfConfigMap(c), name, &consumers{facts: s.factConsumer(name)}, facts.Pending))
		}
	}
	for name, w := range s.watched {
		taken := w.consumers.(*consumers)
		switch {
		case wanted[name]:
		case taken.facts == nil || w.kind.configMap != (catalog.ConfigMap{}):
			s.mu.Lock()
			delete(s.watched, name)
			s.mu.Unlock()
			w.stop()
			taken.close()
		case len(taken.rules) > 0:
			// The facts are still wanted. The watch goes on without the rules.
			w.stop()
			for _, rules := range taken.rules {
				rules.feed.Close()
			}
			k := w.kind
			k.fields = nil
			s.restart(w, k, &consumers{facts: taken.facts})
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
	for resource, read := range rule.CollectFields(instances) {
		k, name := kindOfResource(resource)
		if fields[name] == nil {
			fields[name] = &rule.Fields{}
		}
		fields[name].Add(read)
		source := sources[name]
		k.fields = fields[name]
		source.kind = k
		source.rules = append(source.rules, &ruleConsumer{resource, read, evaluator.Source(resource)})
		sources[name] = source
	}
	return sources
}

// readFor has a source read for rules, beside the facts that are taken from it.
func (s *Sources) readFor(name string, source ruledSource) {
	known := s.watched[name]
	if known == nil {
		s.start(s.add(source.kind, name, &consumers{rules: source.rules}, facts.Pending))
		return
	}
	taken := known.consumers.(*consumers)
	kept := func(wanted *ruleConsumer) bool {
		return slices.ContainsFunc(taken.rules, func(r *ruleConsumer) bool {
			return r.resource == wanted.resource && r.fields.Includes(wanted.fields)
		})
	}
	if len(taken.rules) == len(source.rules) && !slices.ContainsFunc(source.rules, func(r *ruleConsumer) bool { return !kept(r) }) {
		return
	}
	known.stop()
	for _, rules := range source.rules {
		if !kept(rules) {
			rules.feed.SetState(facts.Pending, "")
		}
	}
	for _, before := range taken.rules {
		if !slices.ContainsFunc(source.rules, func(r *ruleConsumer) bool { return r.resource == before.resource }) {
			before.feed.Close()
		}
	}
	s.restart(known, source.kind, &consumers{facts: taken.facts, rules: source.rules})
}

// restart reads a source, which was stopped, for other consumers. What was known of it stays until it is listed again.
func (s *Sources) restart(before *source, k kind, taken *consumers) {
	known := facts.Pending
	if taken.facts != nil {
		known = before.state.Load().Known
	}
	s.start(s.add(k, before.name, taken, known))
}

func (s *Sources) factConsumer(source string) *factConsumer {
	f := &factConsumer{feed: s.inventory.Source(source)}
	switch source {
	case crdSource:
		f.changed = s.onCRD
	case apiServiceSource:
		f.changed = s.onAPIService
	}
	return f
}

// The sources that say which resources are served.
const (
	crdSource        = "customresourcedefinitions.apiextensions.k8s.io"
	apiServiceSource = "apiservices.apiregistration.k8s.io"
)

// onCRD says to the sources of a resource that its CRD is there, came, changed or went.
func (s *Sources) onCRD(e EventType, crd string) {
	for _, w := range s.all() {
		if w.kind.version == "" && w.kind.resource.String() == crd {
			w.post(e)
		}
	}
}

// onAPIService says to the sources of an API group that an APIService of it came, changed or went. There is one for each version that is
// served, and its name is that of the version and the group, for example "v1beta1.metrics.k8s.io".
func (s *Sources) onAPIService(e EventType, name string) {
	_, group, _ := strings.Cut(name, ".")
	for _, w := range s.all() {
		if w.kind.version == "" && w.kind.resource.Group == group {
			w.post(e)
		}
	}
}

func (s *Sources) add(k kind, name string, c consumer, known facts.SourceState) *source {
	w := newSource(k, name, s.clients, c, known, s.connection.suspect)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched[name] = w
	return w
}

// start runs a source, if the sources themselves run. The caller holds reading.
func (s *Sources) start(w *source) {
	s.mu.Lock()
	run := s.run
	s.mu.Unlock()
	if run == nil || run.Err() != nil || w.cancel != nil {
		return
	}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(run)
	s.wg.Go(func() { w.run(ctx) })
}

// all returns the sources of this moment.
func (s *Sources) all() []*source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.watched))
}

const (
	// diagnoseSoon is how long after a change degraded workloads are diagnosed: their pods fail a moment after them.
	diagnoseSoon = 500 * time.Millisecond
	// diagnoseAgain is how often, while there are any: what is wrong with a pod changes without its workload.
	diagnoseAgain = 20 * time.Second
)

// keepDiagnoses keeps what is wrong with the pods of degraded workloads. While none is degraded it asks for nothing. Every
// replica does, so that a standby takes over with the same to say.
func (s *Sources) keepDiagnoses(ctx context.Context) {
	changed := s.inventory.Changes()
	var told []facts.Ref // the workloads that were diagnosed last
	for again := false; ; {
		if again || !slices.Equal(told, s.inventory.Snapshot().DegradedWorkloads()) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(diagnoseSoon):
			}
			told = s.inventory.Snapshot().DegradedWorkloads()
			if err := podcases.Diagnose(ctx, s.clients.Typed, s.inventory, time.Now()); err != nil && ctx.Err() == nil {
				s.log.V(1).Info("degraded workloads could not be diagnosed", "error", err.Error())
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
func (s *Sources) keepDeadlines(ctx context.Context) {
	const least, most = time.Second, time.Minute
	timer := time.NewTimer(least)
	defer timer.Stop()
	changed := s.inventory.Changes()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
		if next := s.inventory.RecheckDeadlines(); !next.IsZero() {
			timer.Reset(min(most, max(least, time.Until(next))))
		}
	}
}
