package inventory

import (
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// How finely rules see the time that do more with it than to compare it: what they say of the same objects is kept until the
// next step. To look at ten thousand objects again takes a rule tens of milliseconds, so that for each thousand of them a step is
// as much longer. All other rules tell themselves when what they say may turn.
const (
	clockStep   = 10 * time.Second
	longestStep = time.Minute
	manyObjects = 1000
)

// step is the one of the clock that a time is in, as a rule over so many objects sees it.
func step(now time.Time, objects int) rule.Span {
	long := min(longestStep, clockStep*time.Duration(max(1, objects/manyObjects)))
	from := now.Truncate(long)
	return rule.Span{From: from, Until: from.Add(long)}
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
	// Span is when it stands, as far as the time matters.
	Span rule.Span
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
	related uint64 // the highest revision of the related resources
	Outcome
}

// Ask runs a rule over the resource, or returns what it said of the same objects where that still stands. params are those that
// q.Params stands for.
func (r *Resource) Ask(q Question, params rule.Params, now time.Time) Outcome {
	// Revisions come from one counter, so that the highest moves whenever one of them does.
	var related uint64
	objects := r.Objects.Len()
	for _, other := range q.Related {
		related = max(related, other.Revision)
		objects += other.Objects.Len()
	}
	restless := q.Program.Restless() || q.Explain != nil && q.Explain.Restless()
	var within rule.Span
	if restless {
		within = step(now, objects)
		now = within.From
	}
	run := func() Outcome {
		outcome := r.run(q, params, related, now)
		if restless {
			outcome.Span = within
		}
		return outcome
	}
	if r.outcomes == nil {
		return run()
	}
	key := outcomeKey{program: q.Program, params: q.Params}
	if q.Program.UsesVersion() || q.Explain != nil && q.Explain.UsesVersion() {
		key.version, key.versionFrom = q.Version, q.VersionFrom
	}
	r.outcomes.mu.Lock()
	defer r.outcomes.mu.Unlock()
	if kept, ok := r.outcomes.kept[key]; ok && kept.related == related && kept.Span.Holds(now) {
		return kept.Outcome
	}
	outcome := run()
	if r.outcomes.kept == nil {
		r.outcomes.kept = map[outcomeKey]keptOutcome{}
	}
	r.outcomes.kept[key] = keptOutcome{related, outcome}
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
	outcome.Holds, outcome.Span, outcome.Err = q.Program.HoldsWithin(in)
	if q.Explain != nil && !outcome.Holds && outcome.Err == nil {
		// An explanation that fails on what is there explains nothing.
		text, explains, _ := q.Explain.TextWithin(in)
		outcome.Message, outcome.Span = text, outcome.Span.And(explains)
	}
	return outcome
}
