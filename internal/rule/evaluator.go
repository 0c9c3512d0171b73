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

// Instance is a rule with parameter values. It has one Outcome.
type Instance struct {
	*Rule
	Params Params
	// Component is the component whose version the rule may use; empty for the rule of a profile.
	Component string
	// Key identifies the instance. Equal rules with equal parameters have the same key.
	Key string
}

// NewInstance returns an instance of a rule.
func NewInstance(r *Rule, params Params, component string) Instance {
	return Instance{r, params, component, fmt.Sprint(component, " ", params, " ", r.id)} // fmt sorts the keys of maps
}

// minPercent returns the percentage of objects that must satisfy the rule.
func (i Instance) minPercent() int {
	if percent, ok := i.Params[i.MinPercentFrom].(int64); ok && i.MinPercentFrom != "" {
		return int(min(percent, 100))
	}
	if i.Spec.MinPercent > 0 {
		return int(i.Spec.MinPercent)
	}
	return 100
}

// Recorder records the outcomes of rules. Its methods must not call the Evaluator, except for SetVersion.
type Recorder interface {
	// RecordOutcome records the outcome of an instance, by its key; nil if the instance is removed.
	RecordOutcome(key string, outcome *Outcome)
	// RecordResource records the state of a resource that rules read, and how many objects it has.
	RecordResource(resource Resource, state facts.SourceState, reason string, objects int)
	// ForgetResource is called when no rule reads a resource anymore.
	ForgetResource(resource Resource)
}

// refreshInterval is how often rules that use now are evaluated again.
const refreshInterval = 30 * time.Second

// idleFactor limits an instance to a tenth of a core: it is not evaluated again before this multiple of the time that its evaluation took.
const idleFactor = 9

// Evaluator caches the fields of objects that rules read, and evaluates instances of rules when objects are added or change. Only Run and
// Flush evaluate CEL, one instance at a time, and without a lock that sources wait for.
type Evaluator struct {
	// Observe, if set, is called after each evaluation of an instance, with the time that it took, and whether it evaluated all objects or
	// only those that changed. It must be set before the first evaluation.
	Observe func(all bool, took time.Duration)

	now      func() time.Time
	recorder Recorder
	wake     chan struct{}

	budget uint64 // passBudget

	runMu    sync.Mutex // held while instances are evaluated
	recordMu sync.Mutex // held while an outcome is recorded or removed, so that none is recorded for a removed instance

	mu          sync.Mutex // guards the fields below, and the first group of fields of each evaluation
	resources   map[Resource]*resource
	evaluations map[string]*evaluation
	versions    map[string]componentVersion
}

type componentVersion struct{ version, from string }

// resource is the cache of a resource.
type resource struct {
	state   facts.SourceState
	reason  string
	objects map[string]Object
}

// evaluation is the state of an instance.
type evaluation struct {
	Instance

	// Guarded by Evaluator.mu: whether to evaluate all objects, or the changed objects of each of the rule's resources, and the earliest time.
	needsFullRun bool
	changedKeys  []map[string]bool
	notBefore    time.Time

	// Guarded by Evaluator.runMu.
	sharedValues map[string]ref.Val
	results      []map[string]result // for each of the rule's resources, by object key
	counts       [3]int              // of results
	texts        map[string]string   // of a NewMatchRule, by object key
	outcome      *Outcome
}

// result is the result of a rule for one matching object.
type result uint8

const (
	resultFailed result = iota
	resultSatisfied
	resultError
)

// NewEvaluator returns an evaluator without rules. now returns the value of the variable now.
func NewEvaluator(now func() time.Time, recorder Recorder) *Evaluator {
	return &Evaluator{
		now: now, recorder: recorder, wake: make(chan struct{}, 1), budget: passBudget,
		resources: map[Resource]*resource{}, evaluations: map[string]*evaluation{}, versions: map[string]componentVersion{},
	}
}

// SetInstances replaces the instances that are evaluated.
func (v *Evaluator) SetInstances(instances []Instance) {
	v.recordMu.Lock()
	defer v.recordMu.Unlock()
	wanted := make(map[string]bool, len(instances))
	var removed []string
	v.mu.Lock()
	for _, instance := range instances {
		key := instance.Key
		wanted[key] = true
		if v.evaluations[key] == nil {
			v.evaluations[key] = &evaluation{Instance: instance, needsFullRun: true}
		}
	}
	for key := range v.evaluations {
		if !wanted[key] {
			delete(v.evaluations, key)
			removed = append(removed, key)
		}
	}
	v.mu.Unlock()
	for _, key := range removed {
		v.recorder.RecordOutcome(key, nil)
	}
	v.signal()
}

// SetVersion sets the version of a component, and its VersionOrigin.
func (v *Evaluator) SetVersion(component, version, from string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if current := (componentVersion{version, from}); v.versions[component] != current {
		v.versions[component] = current
		v.markPending(func(e *evaluation) bool { return e.Component == component && e.UsesVersion() })
	}
}

// markPending marks the selected instances for an evaluation on all objects. The caller holds mu.
func (v *Evaluator) markPending(selects func(*evaluation) bool) {
	for _, e := range v.evaluations {
		if !e.needsFullRun && selects(e) {
			e.needsFullRun = true
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

// Run evaluates instances when their objects change, and those that use now at the refreshInterval, until the context is done.
func (v *Evaluator) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		var timer <-chan time.Time
		if next := v.evaluatePending(time.Now()); !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-v.wake:
		case <-timer:
		case <-ticker.C:
			v.Refresh()
		}
	}
}

// Refresh marks the instances that use now for evaluation.
func (v *Evaluator) Refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.markPending(func(e *evaluation) bool { return e.UsesNow() })
}

// Flush evaluates all pending instances, and returns when their outcomes are recorded.
func (v *Evaluator) Flush() {
	for v.evaluatePending(time.Time{}); v.hasPending(); {
		v.evaluatePending(time.Time{})
	}
}

func (v *Evaluator) hasPending() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.evaluations {
		if e.isPending() {
			return true
		}
	}
	return false
}

func (e *evaluation) isPending() bool { return e.needsFullRun || len(e.changedKeys) > 0 }

// evaluatePending evaluates the pending instances that are due now, sorted by key; for a zero time all that are pending. It returns when
// the next instance is due; zero if none is pending.
func (v *Evaluator) evaluatePending(now time.Time) (next time.Time) {
	v.runMu.Lock()
	defer v.runMu.Unlock()
	var due []*evaluation
	v.mu.Lock()
	for _, e := range v.evaluations {
		switch {
		case !e.isPending():
		case now.IsZero() || !now.Before(e.notBefore):
			due = append(due, e)
		case next.IsZero() || e.notBefore.Before(next):
			next = e.notBefore
		}
	}
	v.mu.Unlock()
	slices.SortFunc(due, func(a, b *evaluation) int { return strings.Compare(a.Key, b.Key) })
	for _, e := range due {
		start := time.Now()
		isFull := v.evaluate(e)
		took := time.Since(start)
		if v.Observe != nil {
			v.Observe(isFull, took)
		}
		v.mu.Lock()
		e.notBefore = time.Now().Add(idleFactor * took)
		v.mu.Unlock()
	}
	return next
}

// work is the input of one evaluation of an instance.
type work struct {
	state  facts.SourceState
	reason string
	// objects are the objects to evaluate, and deletedKeys the keys of deleted objects, for each of the rule's resources.
	objects     [][]Object
	deletedKeys [][]string
	isFull      bool
	version     componentVersion
}

// takeWork returns the pending work of an instance, which is not pending anymore.
func (v *Evaluator) takeWork(e *evaluation) work {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := work{isFull: e.needsFullRun || e.IsList() || e.results == nil, version: v.versions[e.Component]}
	changed := e.changedKeys
	e.needsFullRun, e.changedKeys = false, nil
	w.state, w.reason = v.stateOf(e.Rule)
	if w.state != facts.Synced {
		return w
	}
	w.objects, w.deletedKeys = make([][]Object, len(e.Resources)), make([][]string, len(e.Resources))
	for i, name := range e.Resources {
		cached := v.resources[name].objects
		if w.isFull {
			w.objects[i] = slices.Collect(maps.Values(cached))
			continue
		}
		for key := range changed[i] {
			if object, ok := cached[key]; ok {
				w.objects[i] = append(w.objects[i], object)
			} else {
				w.deletedKeys[i] = append(w.deletedKeys[i], key)
			}
		}
	}
	return w
}

// stateOf returns the combined state of all resources that a rule reads, and the reason. It is NotServed only if none of the rule's
// Resources is served. The caller holds mu.
func (v *Evaluator) stateOf(r *Rule) (facts.SourceState, string) {
	isServed := false
	for i, name := range r.AllResources() {
		resource := v.resources[name]
		if resource == nil || resource.state == facts.Pending {
			reason := name.String() + " has not synced yet"
			if resource != nil && resource.reason != "" {
				reason = resource.reason
			}
			return facts.Pending, reason
		}
		if resource.state.IsUnreadable() {
			return resource.state, resource.reason
		}
		isServed = isServed || i < len(r.Resources) && resource.state == facts.Synced
	}
	if !isServed {
		return facts.NotServed, ""
	}
	return facts.Synced, ""
}

// evaluate evaluates an instance, and records its outcome if it has changed. It reports whether it evaluated all objects.
func (v *Evaluator) evaluate(e *evaluation) (isFull bool) {
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
		return w.isFull
	}
	e.outcome = outcome
	v.recordMu.Lock()
	defer v.recordMu.Unlock()
	v.mu.Lock()
	isCurrent := v.evaluations[e.Key] == e
	v.mu.Unlock()
	if isCurrent {
		v.recorder.RecordOutcome(e.Key, outcome)
	}
	return w.isFull
}

func (v *Evaluator) startRun(e *evaluation, w work) (*run, error) {
	r, err := e.newRun(Input{
		Params: e.Params, Now: v.now(), Version: w.version.version, VersionFrom: w.version.from,
		Related: func(name string) ([]any, error) {
			i := slices.IndexFunc(e.Related, func(r Related) bool { return r.Name == name })
			return decodeObjects(v.listObjects(e.Related[i].Resource))
		},
	})
	if err != nil {
		return nil, err
	}
	if w.isFull {
		e.sharedValues = map[string]ref.Val{}
	}
	r.sharedValues = e.sharedValues
	return r, nil
}

// listObjects returns the objects of a resource, sorted by key.
func (v *Evaluator) listObjects(name Resource) []Object {
	v.mu.Lock()
	var objects []Object
	if r := v.resources[name]; r != nil {
		objects = slices.Collect(maps.Values(r.objects))
	}
	v.mu.Unlock()
	sortObjects(objects)
	return objects
}

func sortObjects(objects []Object) {
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
}

func decodeObjects(objects []Object) ([]any, error) {
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

// evaluateList evaluates a rule on the list of all matching objects.
func (v *Evaluator) evaluateList(e *evaluation, w work) *Outcome {
	outcome := &Outcome{State: facts.Synced}
	r, err := v.startRun(e, w)
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
				return &Outcome{State: facts.Synced, Err: wrapObjectError(err, object)}
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

// evaluateObjects evaluates a rule on each object of the work.
func (v *Evaluator) evaluateObjects(e *evaluation, w work) *Outcome {
	if w.isFull {
		e.counts, e.texts = [3]int{}, map[string]string{}
		e.results = make([]map[string]result, len(e.Resources))
		for i := range e.results {
			e.results[i] = map[string]result{}
		}
	}
	for i, keys := range w.deletedKeys {
		for _, key := range keys {
			e.removeResult(i, key)
		}
	}
	if !slices.ContainsFunc(w.objects, func(objects []Object) bool { return len(objects) > 0 }) && e.matchedCount() == 0 {
		return &Outcome{State: facts.Synced, IsSatisfied: e.isSatisfiedByEmpty()} // without compiling the rule
	}
	r, err := v.startRun(e, w)
	if err != nil {
		return &Outcome{State: facts.Synced, Err: err}
	}
	for i, objects := range w.objects {
		for _, object := range objects {
			e.removeResult(i, object.Key)
			if r.cost > v.budget {
				e.results = nil // the next change causes an evaluation of all objects
				return &Outcome{State: facts.Synced, Err: ErrTooCostly}
			}
			e.evaluateObject(r, i, object)
		}
	}
	return v.summarize(e, r)
}

func (e *evaluation) removeResult(i int, key string) {
	if former, ok := e.results[i][key]; ok {
		delete(e.results[i], key)
		delete(e.texts, key)
		e.counts[former]--
	}
}

// matchedCount returns the number of objects that match the rule.
func (e *evaluation) matchedCount() int {
	return e.counts[resultFailed] + e.counts[resultSatisfied] + e.counts[resultError]
}

func (e *evaluation) evaluateObject(r *run, i int, object Object) {
	matches, objectResult, err := true, resultError, error(nil)
	content, err := object.decode()
	if err == nil {
		a := r.bind(content, nil)
		if matches, err = a.matches(); err == nil && matches {
			objectResult, err = e.evaluateExpression(a, object)
		}
	}
	if err != nil {
		objectResult = resultError
	} else if !matches {
		return
	}
	e.results[i][object.Key] = objectResult
	e.counts[objectResult]++
}

// evaluateExpression evaluates the main expression on an object that matches the rule.
func (e *evaluation) evaluateExpression(a *activation, object Object) (result, error) {
	if e.yieldsText {
		text, err := a.evaluateText(a.main)
		if err == nil && text != "" {
			e.texts[object.Key] = text
		}
		return resultSatisfied, err
	}
	isSatisfied, err := toBool(a.call(a.main))
	if isSatisfied {
		return resultSatisfied, err
	}
	return resultFailed, err
}

// summarize returns the outcome of the results of all objects.
func (v *Evaluator) summarize(e *evaluation, r *run) *Outcome {
	outcome := &Outcome{State: facts.Synced, Matched: e.matchedCount(), Satisfied: e.counts[resultSatisfied]}
	if e.yieldsText {
		for _, text := range e.texts {
			if outcome.Text != "" && outcome.Text != text {
				return &Outcome{State: facts.Synced, Matched: e.matchedCount()}
			}
			outcome.Text = text
		}
		return outcome
	}
	quantifier := e.quantifier()
	deciding := resultFailed
	switch {
	case outcome.Matched == 0:
		outcome.IsSatisfied = e.isSatisfiedByEmpty()
	case quantifier == v1alpha1.RequireAny:
		outcome.IsSatisfied = outcome.Satisfied > 0
	case quantifier == v1alpha1.RequireExactlyOne:
		outcome.IsSatisfied = outcome.Satisfied == 1
	default:
		outcome.IsSatisfied = outcome.Satisfied*100 >= e.minPercent()*outcome.Matched
	}
	if quantifier != v1alpha1.RequireAll && outcome.Satisfied > 0 {
		deciding = resultSatisfied
	}
	// An error on one object makes the outcome an error, unless the other objects determine it: for All one that fails is enough, for Any one
	// that satisfies the rule.
	if failed := e.firstObjects(resultError, 1); len(failed) > 0 && !e.isDecided(outcome) {
		object := v.findObject(e, failed[0])
		content, err := object.decode()
		if err == nil {
			a := r.bind(content, nil)
			if _, err = a.matches(); err == nil {
				_, err = e.evaluateExpression(a, object)
			}
		}
		outcome.IsSatisfied, outcome.Err = false, wrapObjectError(err, object)
		return outcome
	}
	limit := maxObjects
	if outcome.IsSatisfied {
		if deciding == resultFailed {
			return outcome
		}
		limit = 1
	}
	for _, ref := range e.firstObjects(deciding, limit) {
		object := v.findObject(e, ref)
		decidingObject := DecidingObject{APIVersion: object.APIVersion, Kind: object.Kind, Key: object.Key}
		if content, err := object.decode(); err == nil && deciding == resultFailed {
			decidingObject.Message = r.bind(content, nil).explainFailure()
		}
		outcome.Objects = append(outcome.Objects, decidingObject)
	}
	return outcome
}

// isDecided reports whether the objects without an error determine the outcome.
func (e *evaluation) isDecided(o *Outcome) bool {
	switch e.quantifier() {
	case v1alpha1.RequireAny:
		return o.IsSatisfied
	case v1alpha1.RequireExactlyOne:
		return o.Satisfied > 1
	default:
		return o.IsSatisfied || (o.Satisfied+e.counts[resultError])*100 < e.minPercent()*o.Matched
	}
}

// objectRef names an object of one of the rule's resources.
type objectRef struct {
	resource int
	key      string
}

// firstObjects returns the first objects with a result, sorted by resource and key.
func (e *evaluation) firstObjects(wanted result, limit int) []objectRef {
	var refs []objectRef
	if e.counts[wanted] == 0 {
		return nil
	}
	for i, results := range e.results {
		var keys []string
		for key, objectResult := range results {
			if objectResult != wanted || len(keys) == limit && key > keys[limit-1] {
				continue
			}
			index, _ := slices.BinarySearch(keys, key)
			keys = slices.Insert(keys, index, key)
			keys = keys[:min(limit, len(keys))]
		}
		for _, key := range keys {
			refs = append(refs, objectRef{i, key})
		}
	}
	return refs[:min(limit, len(refs))]
}

// findObject returns the cached object; an object with only a key if it was deleted meanwhile.
func (v *Evaluator) findObject(e *evaluation, ref objectRef) Object {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.resources[e.Resources[ref.resource]]; r != nil {
		if object, ok := r.objects[ref.key]; ok {
			return object
		}
	}
	return Object{Key: ref.key, content: "{}"}
}

// wrapObjectError adds the object to an error.
func wrapObjectError(err error, object Object) error {
	return fmt.Errorf("%s %s: %w", object.Kind, object.Key, err)
}
