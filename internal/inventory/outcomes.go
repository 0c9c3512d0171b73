package inventory

import (
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// How finely rules see the time: what they say of the same objects is kept until the next step. A backup that grows too old is
// noticed that much later at most. To look at ten thousand objects again takes a rule tens of milliseconds, so that for each
// thousand of them a step is as much longer.
const (
	clockStep   = 10 * time.Second
	longestStep = time.Minute
	manyObjects = 1000
)

// clock is the time as a rule over so many objects sees it.
func clock(now time.Time, objects int) time.Time {
	return now.Truncate(min(longestStep, clockStep*time.Duration(max(1, objects/manyObjects))))
}

// Question is one rule with all that its outcome depends on, beside the objects of the resource that it is about.
type Question struct {
	Program *rule.Program
	// Explain says what is wrong where the rule does not hold; nil where fixed words do.
	Explain *rule.Program
	// Params tells apart the same rule with other parameters.
	Params string
	// Version is that of the installation, and VersionFrom what told it; for rules of a component alone.
	Version     string
	VersionFrom v1alpha1.VersionOrigin
	// Related are the further resources that it sees, by name.
	Related map[string]*Resource
}

// Outcome is what a rule yielded.
type Outcome struct {
	Holds bool
	// Message says what is wrong; empty where the rule holds or does not explain itself.
	Message string
	// Err is rule.ErrTooCostly, or says what is wrong with the expression.
	Err error
}

// outcomes keeps what rules said of the objects of one revision, so that twenty profiles that ask the same do not each look
// at ten thousand objects. It goes with the revision.
type outcomes struct {
	mu   sync.Mutex
	kept map[outcomeKey]keptOutcome
}

type outcomeKey struct {
	program     *rule.Program
	params      string
	version     string
	versionFrom v1alpha1.VersionOrigin
}

type keptOutcome struct {
	related uint64    // the highest revision of the related resources
	at      time.Time // the step of the clock; zero for a rule that does not look at it
	Outcome
}

// Ask runs a rule over the resource, or returns what it said of the same objects at the same step of the clock. params are
// those that q.Params stands for.
func (r *Resource) Ask(q Question, params rule.Params, now time.Time) Outcome {
	// Revisions come from one counter, so that the highest moves whenever one of them does.
	var related uint64
	objects := r.Objects.Len()
	for _, other := range q.Related {
		related = max(related, other.Revision)
		objects += other.Objects.Len()
	}
	at := time.Time{}
	if q.Program.UsesNow() || q.Explain != nil && q.Explain.UsesNow() {
		now = clock(now, objects)
		at = now
	}
	if r.outcomes == nil {
		return r.run(q, params, related, now)
	}
	key := outcomeKey{program: q.Program, params: q.Params}
	if q.Program.UsesVersion() || q.Explain != nil && q.Explain.UsesVersion() {
		key.version, key.versionFrom = q.Version, q.VersionFrom
	}
	r.outcomes.mu.Lock()
	defer r.outcomes.mu.Unlock()
	if kept, ok := r.outcomes.kept[key]; ok && kept.related == related && kept.at.Equal(at) {
		return kept.Outcome
	}
	outcome := r.run(q, params, related, now)
	if r.outcomes.kept == nil {
		r.outcomes.kept = map[outcomeKey]keptOutcome{}
	}
	r.outcomes.kept[key] = keptOutcome{related, at, outcome}
	return outcome
}

func (r *Resource) run(q Question, params rule.Params, related uint64, now time.Time) Outcome {
	in := rule.Input{
		Objects: r.Objects, Related: make(map[string][]any, len(q.Related)), RelatedRevision: related, Params: params, ParamsText: q.Params,
		Now: now, Version: q.Version, VersionFrom: string(q.VersionFrom),
	}
	for name, other := range q.Related {
		in.Related[name] = other.Objects.All()
	}
	outcome := Outcome{}
	outcome.Holds, outcome.Err = q.Program.Holds(in)
	if q.Explain != nil && !outcome.Holds && outcome.Err == nil {
		// An explanation that fails on what is there explains nothing.
		outcome.Message, _ = q.Explain.Text(in)
	}
	return outcome
}
