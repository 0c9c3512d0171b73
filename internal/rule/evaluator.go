package rule

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/common/types/ref"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Instance is a rule with the values of its parameters: what an outcome is recorded for.
type Instance struct {
	*Rule
	Params Params
	// Component is the one whose version the rule sees; empty for a profile's rule.
	Component string
	// Key tells the instance apart from others: rules that read the same, with the same parameters, are the same.
	Key string
}

// NewInstance returns an instance of a rule.
func NewInstance(r *Rule, params Params, component string) Instance {
	return Instance{r, params, component, fmt.Sprint(component, " ", params, " ", r.id)} // fmt sorts the keys of maps
}

// minPercent is the share of the objects that must satisfy the rule.
func (i Instance) minPercent() int {
	if share, ok := i.Params[i.MinPercentFrom].(int64); ok && i.MinPercentFrom != "" {
		return int(min(share, 100))
	}
	if i.Spec.MinPercent > 0 {
		return int(i.Spec.MinPercent)
	}
	return 100
}

// Recorder takes the outcomes of rules. It is called by one goroutine at a time, and must not call the Evaluator but for SetVersion.
type Recorder interface {
	// RecordOutcome takes an instance's outcome, by its key; nil for an instance that is evaluated no more.
	RecordOutcome(key string, outcome *Outcome)
	// RecordResource takes the state of a resource that rules read, and how many objects it has.
	RecordResource(resource Resource, state facts.SourceState, reason string, objects int)
	// ForgetResource says that no rule reads a resource any more.
	ForgetResource(resource Resource)
}

// evaluateTimed is how often rules that depend on the time are evaluated again.
const evaluateTimed = 30 * time.Second

// restFactor times as long as an instance took to evaluate, it is not evaluated again: it takes at most a tenth of a core.
const restFactor = 9

// Evaluator keeps of objects what rules read, and evaluates instances of rules when objects arrive or change. One goroutine, that
// of Run or Flush, evaluates them all: CEL runs nowhere else, and under no lock that those who bring objects wait for.
type Evaluator struct {
	// Observe, where it is set before rules are evaluated, is called with the time that each evaluation of an instance took, and
	// whether all of its objects were evaluated or only those that changed.
	Observe func(all bool, took time.Duration)

	now      func() time.Time
	recorder Recorder
	wake     chan struct{}

	budget uint64 // passBudget

	running   sync.Mutex // held while instances are evaluated
	recording sync.Mutex // held while an outcome is recorded, or let go, so that none outlives its instance

	mu          sync.Mutex // guards what follows, and what it guards of evaluations
	resources   map[Resource]*resource
	evaluations map[string]*evaluation
	versions    map[string]componentVersion
}

type componentVersion struct{ version, from string }

// resource is what is kept of a resource.
type resource struct {
	state   facts.SourceState
	reason  string
	objects map[string]Object
}

// evaluation is what is kept of an instance.
type evaluation struct {
	Instance

	// Guarded by the evaluator's mu: what must be evaluated, all objects or those changed of each of the rule's resources, and
	// not before when.
	all     bool
	changed []map[string]bool
	due     time.Time

	// Used by the goroutine that evaluates.
	shared  map[string]ref.Val
	results []map[string]result // of each of the rule's resources, by the objects' keys
	counts  [3]int              // of results
	texts   map[string]string   // of a text rule
	outcome *Outcome
}

// result is what a rule came to for one object that it is about.
type result uint8

const (
	failing result = iota
	satisfying
	erring
)

// NewEvaluator returns an evaluator without rules. now is the clock that rules see.
func NewEvaluator(now func() time.Time, recorder Recorder) *Evaluator {
	return &Evaluator{
		now: now, recorder: recorder, wake: make(chan struct{}, 1), budget: passBudget,
		resources: map[Resource]*resource{}, evaluations: map[string]*evaluation{}, versions: map[string]componentVersion{},
	}
}

// SetInstances replaces the instances that are evaluated.
func (v *Evaluator) SetInstances(instances []Instance) {
	v.recording.Lock()
	defer v.recording.Unlock()
	wanted := make(map[string]bool, len(instances))
	var gone []string
	v.mu.Lock()
	for _, instance := range instances {
		key := instance.Key
		wanted[key] = true
		if v.evaluations[key] == nil {
			v.evaluations[key] = &evaluation{Instance: instance, all: true}
		}
	}
	for key := range v.evaluations {
		if !wanted[key] {
			delete(v.evaluations, key)
			gone = append(gone, key)
		}
	}
	v.mu.Unlock()
	for _, key := range gone {
		v.recorder.RecordOutcome(key, nil)
	}
	v.signal()
}

// SetVersion sets the version of a component, which its checks see, and where it comes from.
func (v *Evaluator) SetVersion(component, version, from string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if set := (componentVersion{version, from}); v.versions[component] != set {
		v.versions[component] = set
		v.markDue(func(e *evaluation) bool { return e.Component == component && e.UsesVersion() })
	}
}

// markDue has instances evaluated on all objects. The caller holds the lock.
func (v *Evaluator) markDue(which func(*evaluation) bool) {
	for _, e := range v.evaluations {
		if !e.all && which(e) {
			e.all = true
			v.signal()
		}
	}
}

func (v *Evaluator) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// Run evaluates instances when something that they see changes, and every half minute those that depend on the time, until the
// context ends.
func (v *Evaluator) Run(ctx context.Context) {
	ticker := time.NewTicker(evaluateTimed)
	defer ticker.Stop()
	for {
		var due <-chan time.Time
		if next := v.evaluateDue(time.Now()); !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-v.wake:
		case <-due:
		case <-ticker.C:
			v.Refresh()
		}
	}
}

// Refresh has the rules evaluated again that depend on the time.
func (v *Evaluator) Refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.markDue(func(e *evaluation) bool { return e.UsesNow() })
}

// Flush evaluates everything that must be, and returns when all outcomes are recorded.
func (v *Evaluator) Flush() {
	for v.evaluateDue(time.Time{}); v.hasWork(); {
		v.evaluateDue(time.Time{})
	}
}

func (v *Evaluator) hasWork() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.evaluations {
		if e.mustRun() {
			return true
		}
	}
	return false
}

func (e *evaluation) mustRun() bool { return e.all || len(e.changed) > 0 }

// evaluateDue evaluates the instances that must be and whose rest is over, in the order of their keys; a zero time stands for all
// of them. It returns when the next one is due; zero for none.
func (v *Evaluator) evaluateDue(now time.Time) (next time.Time) {
	v.running.Lock()
	defer v.running.Unlock()
	var due []*evaluation
	v.mu.Lock()
	for _, e := range v.evaluations {
		switch {
		case !e.mustRun():
		case now.IsZero() || !now.Before(e.due):
			due = append(due, e)
		case next.IsZero() || e.due.Before(next):
			next = e.due
		}
	}
	v.mu.Unlock()
	slices.SortFunc(due, func(a, b *evaluation) int { return strings.Compare(a.Key, b.Key) })
	for _, e := range due {
		began := time.Now()
		all := v.evaluate(e)
		took := time.Since(began)
		if v.Observe != nil {
			v.Observe(all, took)
		}
		v.mu.Lock()
		e.due = time.Now().Add(restFactor * took)
		v.mu.Unlock()
	}
	return next
}

// work is what an instance is evaluated on.
type work struct {
	state  facts.SourceState
	reason string
	// objects are those to evaluate, and gone the keys of those that are not there any more, of each of the rule's resources.
	objects [][]Object
	gone    [][]string
	all     bool
	version componentVersion
}

// takeWork returns what must be evaluated of an instance, and has it forgotten.
func (v *Evaluator) takeWork(e *evaluation) work {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := work{all: e.all || e.IsList() || e.results == nil, version: v.versions[e.Component]}
	changed := e.changed
	e.all, e.changed = false, nil
	w.state, w.reason = v.stateOf(e.Rule)
	if w.state != facts.Synced {
		return w
	}
	w.objects, w.gone = make([][]Object, len(e.Resources)), make([][]string, len(e.Resources))
	for i, name := range e.Resources {
		kept := v.resources[name].objects
		if w.all {
			w.objects[i] = slices.Collect(maps.Values(kept))
			continue
		}
		for key := range changed[i] {
			if object, ok := kept[key]; ok {
				w.objects[i] = append(w.objects[i], object)
			} else {
				w.gone[i] = append(w.gone[i], key)
			}
		}
	}
	return w
}

// stateOf is the state of all resources that a rule sees together. Those of several that are not served count as empty, as long as
// one is.
func (v *Evaluator) stateOf(r *Rule) (facts.SourceState, string) {
	served := false
	for i, name := range r.AllResources() {
		known := v.resources[name]
		if known == nil || known.state == facts.Pending {
			reason := name.String() + " were not read yet"
			if known != nil && known.reason != "" {
				reason = known.reason
			}
			return facts.Pending, reason
		}
		if known.state.IsUnreadable() {
			return known.state, known.reason
		}
		served = served || i < len(r.Resources) && known.state == facts.Synced
	}
	if !served {
		return facts.NotServed, ""
	}
	return facts.Synced, ""
}

// evaluate evaluates an instance and records its outcome where it differs. It reports whether that was on all of its objects.
func (v *Evaluator) evaluate(e *evaluation) (all bool) {
	w := v.takeWork(e)
	var outcome *Outcome
	switch {
	case w.state != facts.Synced:
		e.results = nil
		outcome = &Outcome{State: w.state, Reason: w.reason}
	case e.IsList():
		outcome = v.evaluateList(e, w)
	default:
		outcome = v.evaluateObjects(e, w)
	}
	if reflect.DeepEqual(e.outcome, outcome) {
		return w.all
	}
	e.outcome = outcome
	v.recording.Lock()
	defer v.recording.Unlock()
	v.mu.Lock()
	wanted := v.evaluations[e.Key] == e
	v.mu.Unlock()
	if wanted {
		v.recorder.RecordOutcome(e.Key, outcome)
	}
	return w.all
}

func (v *Evaluator) start(e *evaluation, w work) (*run, error) {
	started, err := e.newRun(Input{
		Params: e.Params, Now: v.now(), Version: w.version.version, VersionFrom: w.version.from,
		Related: func(name string) ([]any, error) {
			at := slices.IndexFunc(e.Related, func(r Related) bool { return r.Name == name })
			return decodeAll(v.objectsOf(e.Related[at].Resource))
		},
	})
	if err != nil {
		return nil, err
	}
	if w.all {
		e.shared = map[string]ref.Val{}
	}
	started.shared = e.shared
	return started, nil
}

// objectsOf are the objects of a resource, sorted by their keys.
func (v *Evaluator) objectsOf(name Resource) []Object {
	v.mu.Lock()
	var all []Object
	if r := v.resources[name]; r != nil {
		all = slices.Collect(maps.Values(r.objects))
	}
	v.mu.Unlock()
	sortObjects(all)
	return all
}

func sortObjects(all []Object) {
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
}

func decodeAll(objects []Object) ([]any, error) {
	decoded := make([]any, 0, len(objects))
	for _, object := range objects {
		content, err := object.decode()
		if err != nil {
			return nil, err
		}
		decoded = append(decoded, content)
	}
	return decoded, nil
}

// evaluateList evaluates a rule about the list of all objects.
func (v *Evaluator) evaluateList(e *evaluation, w work) *Outcome {
	outcome := &Outcome{State: facts.Synced}
	r, err := v.start(e, w)
	if err != nil {
		return &Outcome{State: facts.Synced, Err: err}
	}
	matching := []any{}
	for _, objects := range w.objects {
		sortObjects(objects)
		for _, object := range objects {
			content, err := object.decode()
			if err != nil {
				return &Outcome{State: facts.Synced, Err: err}
			}
			matches, err := (&activation{run: r, object: content}).matches()
			if err != nil {
				return &Outcome{State: facts.Synced, Err: nameObject(err, object)}
			}
			if matches {
				matching = append(matching, content)
			}
		}
	}
	outcome.Matched = len(matching)
	a := r.bind(nil, matching)
	outcome.IsSatisfied, outcome.Err = toBool(a.call(r.main))
	if outcome.Err == nil && !outcome.IsSatisfied {
		outcome.Message = a.explainFailure()
	}
	return outcome
}

// evaluateObjects evaluates a rule about single objects, on those that are in work.
func (v *Evaluator) evaluateObjects(e *evaluation, w work) *Outcome {
	if w.all {
		e.counts, e.texts = [3]int{}, map[string]string{}
		e.results = make([]map[string]result, len(e.Resources))
		for i := range e.results {
			e.results[i] = map[string]result{}
		}
	}
	for i, keys := range w.gone {
		for _, key := range keys {
			e.forget(i, key)
		}
	}
	if !slices.ContainsFunc(w.objects, func(objects []Object) bool { return len(objects) > 0 }) && e.matched() == 0 {
		return &Outcome{State: facts.Synced, IsSatisfied: e.isSatisfiedByNone()} // without compiling a rule that may never be needed
	}
	r, err := v.start(e, w)
	if err != nil {
		return &Outcome{State: facts.Synced, Err: err}
	}
	for i, objects := range w.objects {
		for _, object := range objects {
			e.forget(i, object.Key)
			if r.cost > v.budget {
				e.results = nil // so that all objects are evaluated when one changes
				return &Outcome{State: facts.Synced, Err: ErrTooCostly}
			}
			e.evaluateObject(r, i, object)
		}
	}
	return v.summarize(e, r)
}

func (e *evaluation) forget(i int, key string) {
	if was, ok := e.results[i][key]; ok {
		delete(e.results[i], key)
		delete(e.texts, key)
		e.counts[was]--
	}
}

// matched is how many objects the rule is about.
func (e *evaluation) matched() int {
	return e.counts[failing] + e.counts[satisfying] + e.counts[erring]
}

func (e *evaluation) evaluateObject(r *run, i int, object Object) {
	matches, came, err := true, erring, error(nil)
	content, err := object.decode()
	if err == nil {
		a := r.bind(content, nil)
		if matches, err = a.matches(); err == nil && matches {
			came, err = e.evaluateExpressions(a, object)
		}
	}
	if err != nil {
		came = erring
	} else if !matches {
		return
	}
	e.results[i][object.Key] = came
	e.counts[came]++
}

// evaluateExpressions evaluates the rule's expression on an object that it is about.
func (e *evaluation) evaluateExpressions(a *activation, object Object) (result, error) {
	if e.text {
		written, err := a.evaluateText(a.main)
		if err == nil && written != "" {
			e.texts[object.Key] = written
		}
		return satisfying, err
	}
	holds, err := toBool(a.call(a.main))
	if holds {
		return satisfying, err
	}
	return failing, err
}

// summarize makes an outcome of the results of all objects.
func (v *Evaluator) summarize(e *evaluation, r *run) *Outcome {
	outcome := &Outcome{State: facts.Synced, Matched: e.matched(), Satisfied: e.counts[satisfying]}
	if e.text {
		for _, written := range e.texts {
			if outcome.Text != "" && outcome.Text != written {
				return &Outcome{State: facts.Synced, Matched: e.matched()}
			}
			outcome.Text = written
		}
		return outcome
	}
	quantifier := e.quantifier()
	deciding := failing
	switch {
	case outcome.Matched == 0:
		outcome.IsSatisfied = e.isSatisfiedByNone()
	case quantifier == v1alpha1.RequireAny:
		outcome.IsSatisfied = outcome.Satisfied > 0
	case quantifier == v1alpha1.RequireExactlyOne:
		outcome.IsSatisfied = outcome.Satisfied == 1
	default:
		outcome.IsSatisfied = outcome.Satisfied*100 >= e.minPercent()*outcome.Matched
	}
	if quantifier != v1alpha1.RequireAll && outcome.Satisfied > 0 {
		deciding = satisfying
	}
	// What is known for certain counts: one object that fails is enough where all must satisfy the rule, and one that satisfies it
	// where any may. Otherwise an object that cannot be judged leaves the rule undecided.
	if erred := e.firstObjects(erring, 1); len(erred) > 0 && !e.hasDecided(outcome) {
		object := v.findObject(e, erred[0])
		content, err := object.decode()
		if err == nil {
			a := r.bind(content, nil)
			if _, err = a.matches(); err == nil {
				_, err = e.evaluateExpressions(a, object)
			}
		}
		outcome.IsSatisfied, outcome.Err = false, nameObject(err, object)
		return outcome
	}
	limit := maxObjects
	if outcome.IsSatisfied {
		if deciding == failing {
			return outcome
		}
		limit = 1
	}
	for _, ref := range e.firstObjects(deciding, limit) {
		object := v.findObject(e, ref)
		decided := DecidingObject{APIVersion: object.APIVersion, Kind: object.Kind, Key: object.Key}
		if content, err := object.decode(); err == nil && deciding == failing {
			decided.Message = r.bind(content, nil).explainFailure()
		}
		outcome.Objects = append(outcome.Objects, decided)
	}
	return outcome
}

// hasDecided reports whether objects that cannot be judged would not change the outcome, whatever they came to.
func (e *evaluation) hasDecided(o *Outcome) bool {
	switch e.quantifier() {
	case v1alpha1.RequireAny:
		return o.IsSatisfied
	case v1alpha1.RequireExactlyOne:
		return o.Satisfied > 1
	default:
		return o.IsSatisfied || (o.Satisfied+e.counts[erring])*100 < e.minPercent()*o.Matched
	}
}

// objectRef names an object of one of the rule's resources.
type objectRef struct {
	resource int
	key      string
}

// firstObjects are the first few objects with a result, by resource and key.
func (e *evaluation) firstObjects(which result, limit int) []objectRef {
	var found []objectRef
	if e.counts[which] == 0 {
		return nil
	}
	for i, results := range e.results {
		var keys []string
		for key, came := range results {
			if came != which || len(keys) == limit && key > keys[limit-1] {
				continue
			}
			at, _ := slices.BinarySearch(keys, key)
			keys = slices.Insert(keys, at, key)
			keys = keys[:min(limit, len(keys))]
		}
		for _, key := range keys {
			found = append(found, objectRef{i, key})
		}
	}
	return found[:min(limit, len(found))]
}

// findObject is what is kept of an object now; empty but for its key where it has gone.
func (v *Evaluator) findObject(e *evaluation, of objectRef) Object {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.resources[e.Resources[of.resource]]; r != nil {
		if object, ok := r.objects[of.key]; ok {
			return object
		}
	}
	return Object{Key: of.key, content: "{}"}
}

// nameObject names the object in an error.
func nameObject(err error, object Object) error {
	return fmt.Errorf("%s %s: %w", object.Kind, object.Key, err)
}
