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

// Sources are the watches that update an inventory from an API server.
type Sources struct {
	clients   Clients
	inventory *inventory.Inventory
	log       logr.Logger

	connection *connection

	// reading is held while sources are started and stopped. mu must not be held then: a stopping source may still report a change of a CRD,
	// for which it locks mu.
	reading sync.Mutex

	mu      sync.Mutex
	run     context.Context //nolint:containedctx // sources are added after Run has begun, and end with it; nil before Run
	watched map[string]*source
	wg      sync.WaitGroup
}

// New returns the sources of an inventory. They are not read before Run.
func New(clients Clients, i *inventory.Inventory, log logr.Logger) *Sources {
	s := &Sources{clients: clients, inventory: i, log: log, watched: map[string]*source{}}
	s.connection = newConnection(s)
	for _, k := range facts.Kinds() {
		s.add(kindOf(k), k.SourceName(), &consumers{facts: s.factConsumer(k.SourceName())}, facts.Pending)
	}
	return s
}

// NeedLeaderElection implements manager.LeaderElectionRunnable. A standby watches too, so that it takes over with a complete inventory.
func (s *Sources) NeedLeaderElection() bool { return false }

// Run runs the sources until the context is done.
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

// Start implements manager.Runnable.
func (s *Sources) Start(ctx context.Context) error { return s.Run(ctx) }

// Read sets the rule instances to evaluate and the ConfigMaps to read. It stops watches that are no longer needed. If an instance reads
// fields that are not cached, its resource is listed again, and its rules are Pending until then.
func (s *Sources) Read(instances []rule.Instance, configMaps []catalog.ConfigMap) {
	s.reading.Lock()
	defer s.reading.Unlock()
	defer s.inventory.Rules.SetInstances(instances) // last, so that no instance is evaluated on objects without its fields
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
			// Facts still need the source: restart it without the rules.
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
	kind  kind // with the fields of all rules
	rules []*ruleConsumer
}

// rulesBySource returns the sources that instances read, by name.
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

// readFor starts a source for rules. If it is already read, for facts or other rules, it is restarted unless it has all fields.
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

// restart starts a stopped source with other consumers. The facts stay cached until it is listed again.
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

// The sources that determine which resources are served.
const (
	crdSource        = "customresourcedefinitions.apiextensions.k8s.io"
	apiServiceSource = "apiservices.apiregistration.k8s.io"
)

// onCRD sends an event of a CRD to the sources of its resource.
func (s *Sources) onCRD(e EventType, crd string) {
	for _, w := range s.all() {
		if w.kind.version == "" && w.kind.resource.String() == crd {
			w.post(e)
		}
	}
}

// onAPIService sends an event of an APIService to the sources of its group. The name of an APIService is VERSION.GROUP, for example
// "v1beta1.metrics.k8s.io".
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

// start runs a source if Run was called. The caller holds reading.
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

// all returns the current sources.
func (s *Sources) all() []*source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.watched))
}

const (
	// diagnoseSoon is the delay after a change of the degraded workloads, because the status of pods may follow a moment later.
	diagnoseSoon = 500 * time.Millisecond
	// diagnoseAgain is the interval while there are degraded workloads, because pods change without their workloads.
	diagnoseAgain = 20 * time.Second
)

// keepDiagnoses updates the diagnoses of degraded workloads, until the context is done. It sends no request while none is degraded. Every
// replica does, so that a standby takes over with complete diagnoses.
func (s *Sources) keepDiagnoses(ctx context.Context) {
	changed := s.inventory.Changes()
	var told []facts.Ref // the workloads of the last diagnosis
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

// keepDeadlines rechecks the deadlines of the inventory when one passes, and at least once a minute while there is one, because the clock
// may jump.
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
