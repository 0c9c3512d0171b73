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

	// readMu is held while sources are started and stopped. mu must not be held then: a stopping source may still report a change of a CRD,
	// for which it locks mu.
	readMu sync.Mutex

	mu      sync.Mutex
	run     context.Context //nolint:containedctx // sources are added after Run has begun, and end with it; nil before Run
	sources map[string]*source
	wg      sync.WaitGroup
}

// New returns the sources of an inventory. They are not read before Run.
func New(clients Clients, i *inventory.Inventory, log logr.Logger) *Sources {
	s := &Sources{clients: clients, inventory: i, log: log, sources: map[string]*source{}}
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
	s.readMu.Lock()
	s.mu.Lock()
	s.run = ctx
	s.mu.Unlock()
	for _, w := range s.list() {
		s.start(w)
	}
	s.readMu.Unlock()
	for _, run := range []func(context.Context){s.inventory.Rules.Run, s.connection.watch, s.reviewAccess, s.updateDiagnoses,
		s.recheckDeadlines} {
		s.wg.Go(func() { run(ctx) })
	}
	<-ctx.Done()
	s.wg.Wait()
	return nil
}

// Start implements manager.Runnable.
func (s *Sources) Start(ctx context.Context) error { return s.Run(ctx) }

// Read sets the rule instances to evaluate and the single objects to read. It stops watches that are no longer needed. If an instance reads
// fields that are not cached, its resource is listed again, and its rules are Pending until then.
func (s *Sources) Read(instances []rule.Instance, objects []catalog.NamedObject) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	defer s.inventory.Rules.SetInstances(instances) // last, so that no instance is evaluated on objects without its fields
	wanted := map[string]bool{}
	for name, source := range rulesBySource(instances, s.inventory.Rules) {
		wanted[name] = true
		s.readForRules(name, source)
	}
	for _, object := range objects {
		name := object.Source()
		wanted[name] = true
		if s.sources[name] == nil {
			s.start(s.add(kindOfObject(object), name, &consumers{facts: s.factConsumer(name)}, facts.Pending))
		}
	}
	for name, w := range s.sources {
		current := w.consumers.(*consumers)
		switch {
		case wanted[name]:
		case current.facts == nil || w.kind.isSingle():
			s.mu.Lock()
			delete(s.sources, name)
			s.mu.Unlock()
			w.stop()
			current.close()
		case len(current.rules) > 0:
			// Facts still need the source: restart it without the rules.
			w.stop()
			for _, rules := range current.rules {
				rules.source.Close()
			}
			k := w.kind
			k.fields = nil
			s.restart(w, k, &consumers{facts: current.facts})
		}
	}
}

// ruleSource is a source that rules read.
type ruleSource struct {
	kind  kind // with the fields of all rules
	rules []*ruleConsumer
}

// rulesBySource returns the sources that instances read, by name.
func rulesBySource(instances []rule.Instance, evaluator *rule.Evaluator) map[string]ruleSource {
	sources, fields := map[string]ruleSource{}, map[string]*rule.Fields{}
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

// readForRules starts a source for rules. If it is already read, for facts or other rules, it is restarted unless it has all fields.
func (s *Sources) readForRules(name string, source ruleSource) {
	known := s.sources[name]
	if known == nil {
		s.start(s.add(source.kind, name, &consumers{rules: source.rules}, facts.Pending))
		return
	}
	current := known.consumers.(*consumers)
	isCovered := func(wanted *ruleConsumer) bool {
		return slices.ContainsFunc(current.rules, func(r *ruleConsumer) bool {
			return r.resource == wanted.resource && r.fields.Includes(wanted.fields)
		})
	}
	if len(current.rules) == len(source.rules) && !slices.ContainsFunc(source.rules, func(r *ruleConsumer) bool { return !isCovered(r) }) {
		return
	}
	known.stop()
	// A source that goes on for its facts reports only changes of its state: rules that are added get the state from here.
	state, reason := facts.Pending, ""
	if at := known.state.Load(); current.facts != nil && at.Known != facts.Synced {
		state, reason = at.Known, known.kind.reason(at.Known, at.FailingSince, at.Cause)
	}
	for _, rules := range source.rules {
		if !isCovered(rules) {
			rules.source.SetState(state, reason)
		}
	}
	for _, before := range current.rules {
		if !slices.ContainsFunc(source.rules, func(r *ruleConsumer) bool { return r.resource == before.resource }) {
			before.source.Close()
		}
	}
	s.restart(known, source.kind, &consumers{facts: current.facts, rules: source.rules})
}

// restart starts a stopped source with other consumers. The facts stay cached until it is listed again.
func (s *Sources) restart(before *source, k kind, current *consumers) {
	known := facts.Pending
	if current.facts != nil {
		known = before.state.Load().Known
	}
	s.start(s.add(k, before.name, current, known))
}

func (s *Sources) factConsumer(source string) *factConsumer {
	f := &factConsumer{source: s.inventory.Source(source)}
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
	for _, w := range s.list() {
		if w.kind.version == "" && w.kind.resource.String() == crd {
			w.post(e)
		}
	}
}

// onAPIService sends an event of an APIService to the sources of its group. The name of an APIService is VERSION.GROUP, for example
// "v1beta1.metrics.k8s.io".
func (s *Sources) onAPIService(e EventType, name string) {
	_, group, _ := strings.Cut(name, ".")
	for _, w := range s.list() {
		if w.kind.version == "" && w.kind.resource.Group == group {
			w.post(e)
		}
	}
}

func (s *Sources) add(k kind, name string, c consumer, known facts.SourceState) *source {
	w := newSource(k, name, s.clients, c, known, s.connection.check)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources[name] = w
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

// list returns the current sources.
func (s *Sources) list() []*source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sources))
}

const (
	// diagnoseDelay is the delay after a change of the degraded workloads, because the status of pods may follow a moment later.
	diagnoseDelay = 500 * time.Millisecond
	// diagnoseInterval is the interval while there are degraded workloads, because pods change without their workloads.
	diagnoseInterval = 20 * time.Second
)

// updateDiagnoses updates the diagnoses of degraded workloads, until the context is done. It sends no request while none is degraded. Every
// replica does, so that a standby takes over with complete diagnoses.
func (s *Sources) updateDiagnoses(ctx context.Context) {
	changed := s.inventory.Changes()
	var diagnosed []facts.Ref // the workloads of the last diagnosis
	for again := false; ; {
		if again || !slices.Equal(diagnosed, s.inventory.Snapshot().DegradedWorkloads()) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(diagnoseDelay):
			}
			diagnosed = s.inventory.Snapshot().DegradedWorkloads()
			if err := podcases.Diagnose(ctx, s.clients.Typed, s.inventory, time.Now()); err != nil && ctx.Err() == nil {
				s.log.V(1).Info("degraded workloads could not be diagnosed", "error", err.Error())
			}
		}
		var later <-chan time.Time
		if len(diagnosed) > 0 {
			later = time.After(diagnoseInterval)
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

// recheckDeadlines rechecks the deadlines of the inventory when one passes, and once a minute while there is one, because the clock may
// jump.
func (s *Sources) recheckDeadlines(ctx context.Context) {
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
