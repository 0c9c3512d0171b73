package rule

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"

	"github.com/platformprofile/platformprofile/internal/text"
)

// Kind says which variables a rule sees and what it yields.
type Kind int

// The kinds of rules.
const (
	// Check sees objects and now, and yields a bool.
	Check Kind = iota
	// NamedCheck sees objects, related, now, params, version and versionFrom, and yields a bool.
	NamedCheck
	// Health sees objects and related, and yields a bool.
	Health
	// Version sees objects, and yields a string.
	Version
	// HealthMessage sees what Health sees, and yields a string.
	HealthMessage
	// NamedCheckMessage sees what NamedCheck sees, and yields a string.
	NamedCheckMessage
)

// ErrTooCostly is returned by a rule that was cut off because it ran up its cost limit.
var ErrTooCostly = errors.New("the expression costs too much to evaluate")

const (
	// maxEstimatedCost refuses rules that compare every object with every other and then some. The estimate is an upper
	// bound over sizes that are assumed.
	maxEstimatedCost = celconfig.RuntimeCELCostBudget
)

// assumedObjects and the other sizes are what the estimate takes for what it cannot know.
const (
	assumedObjects  = 1000
	assumedRelated  = 50 // classes and drivers, that many objects refer to
	assumedElements = 20
	assumedText     = 256
)

// Program is a compiled rule. It is safe for concurrent use.
type Program struct {
	idle        atomic.Pointer[run] // that of who ran it last; nil before, and while it is used
	plan        func() (*run, error)
	restless    bool
	usesVersion bool
	reads       map[string]*Fields
}

// Params are the values of a named check's parameters, each of its type: string, int64 or time.Duration.
type Params map[string]any

// Input is what a rule sees; each kind of rule of it what Kind says.
type Input struct {
	Objects *Objects
	// Related are lists of further contents, by name. RelatedRevision is another one whenever one of them is; 0 where nobody
	// counts.
	Related         map[string][]any
	RelatedRevision uint64
	// Params have a text that tells them apart from others; empty where there is none.
	Params     Params
	ParamsText string
	Now        time.Time
	// Version is that of the component the rule belongs to, and VersionFrom what told it: a VersionOrigin. Both are empty
	// where nothing tells.
	Version, VersionFrom string
}

// Restless tells whether the outcome may be another one at any time: what the rule does with the time is more than to
// compare it.
func (p *Program) Restless() bool { return p.restless }

// UsesVersion tells whether the outcome can change with the component's version.
func (p *Program) UsesVersion() bool { return p.usesVersion }

// Reads are the fields of each object that the rule reads. related is the name of a related list, or "" for the objects
// themselves. It never changes.
func (p *Program) Reads(related string) *Fields {
	if fields := p.reads[related]; fields != nil {
		return fields
	}
	if fields := p.reads[each]; fields != nil && related != "" {
		return Everything() // of related lists whose names it computes
	}
	return &Fields{}
}

// Holds runs a rule that yields a bool. The error is ErrTooCostly or says what went wrong in the expression, for instance
// a field that an object does not have.
func (p *Program) Holds(in Input) (bool, error) {
	holds, _, err := p.HoldsWithin(in)
	return holds, err
}

// HoldsWithin is Holds, and says when the outcome, be it an error, is the same for the same input but for the time.
func (p *Program) HoldsWithin(in Input) (bool, Span, error) {
	out, span, err := p.run(in)
	if err != nil {
		return false, span, err
	}
	holds, ok := out.(bool)
	if !ok {
		return false, span, fmt.Errorf("the expression yields %T, not true or false", out)
	}
	return holds, span, nil
}

// Text runs a rule that yields a string, which is cut to a few thousand bytes.
func (p *Program) Text(in Input) (string, error) {
	text, _, err := p.TextWithin(in)
	return text, err
}

// TextWithin is Text, and says when the outcome is the same, as HoldsWithin does.
func (p *Program) TextWithin(in Input) (string, Span, error) {
	out, span, err := p.run(in)
	if err != nil {
		return "", span, err
	}
	text, ok := out.(string)
	if !ok {
		return "", span, fmt.Errorf("the expression yields %T, not a string", out)
	}
	return bounded(text), span, nil
}

func (p *Program) run(in Input) (any, Span, error) {
	if in.Params == nil {
		in.Params = Params{}
	}
	related := make(map[string]any, len(in.Related))
	for name, objects := range in.Related {
		related[name] = objects
	}
	r := p.idle.Swap(nil)
	if r == nil {
		planned, err := p.plan()
		if err != nil {
			return nil, Span{}, err
		}
		r = planned
	}
	defer p.idle.Store(r)
	in.Now = in.Now.Round(0) // by the clock of the wall, which may be set, and not by one that only runs
	r.budget.reset()
	r.clock = clock{now: in.Now}
	if p.restless {
		r.clock.restless()
	}
	out, _, err := r.program.Eval(map[string]any{
		inputName: &in, "objects": func() any { return in.Objects.All() }, "related": related, "params": map[string]any(in.Params), "now": types.Timestamp{Time: in.Now},
		"version": in.Version, "versionFrom": in.VersionFrom,
	})
	if cut := (interpreter.EvalCancelledError{}); errors.As(err, &cut) {
		return nil, r.clock.span, ErrTooCostly
	}
	if err != nil {
		return nil, r.clock.span, errors.New(bounded(err.Error())) // it may quote what objects hold
	}
	return out.Value(), r.clock.span, nil
}

// cached holds what was compiled, so that a rule that twenty profiles share is compiled once.
var cached = newCache(1024)

// Compile compiles a rule. The error says what is wrong with the expression, and where in it.
func Compile(kind Kind, expression string) (*Program, error) {
	return cached.get(cacheKey{kind, expression}, func() (*Program, error) { return compile(kind, expression) })
}

func compile(kind Kind, expression string) (*Program, error) {
	env, err := environmentOf(kind)
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, errors.New(bounded(oneLine(issues.Err().Error())))
	}
	want := cel.BoolType
	if kind == Version || kind == HealthMessage || kind == NamedCheckMessage {
		want = cel.StringType
	}
	if got := checked.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression must yield %s, not %s", want, got)
	}
	estimate, err := env.EstimateCost(checked, &library.CostEstimator{SizeEstimator: assumedSizes{}})
	if err != nil {
		return nil, err
	}
	if estimate.Max > maxEstimatedCost {
		return nil, fmt.Errorf("the expression costs too much: about %.1g for %d objects, and %.1g is the limit; do not compare every object with every other, and do not nest loops over objects",
			float64(estimate.Max), assumedObjects, float64(maxEstimatedCost))
	}
	if _, err := plan(nil, checked); err != nil {
		return nil, errors.New(bounded(err.Error()))
	}
	expr := checked.NativeRep().Expr()
	_, restless := movesOf(expr)
	program := &Program{
		restless: restless, usesVersion: mentions(expr, "version") || mentions(expr, "versionFrom"), reads: readsOf(expr),
	}
	// Of a large catalog few rules ever run, because few of its components are there. So what has been compiled is let go, and
	// compiled once more where a rule runs for the first time, or for two at once.
	program.plan = func() (*run, error) {
		checked, issues := env.Compile(expression)
		if issues.Err() != nil {
			return nil, issues.Err()
		}
		return plan(program, checked)
	}
	return program, nil
}

// maxText bounds what a rule says and what is said of it, in bytes. What people are shown of it is shorter still.
const maxText = 4096

func bounded(long string) string { return text.Short(long, maxText) }

// Shown is what a message shows of an expression: its beginning tells which one it is.
func Shown(expression string) string {
	const enough = 80
	return text.Short(expression, enough)
}

// language is the CEL language level: that of the API server this is built against, less one release for skew.
var language = sync.OnceValues(func() (*environment.EnvSet, error) {
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	return base.Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions:        []cel.EnvOption{cel.Variable("objects", cel.ListType(cel.DynType))},
	})
})

var environments sync.Map // Kind to *cel.Env

func environmentOf(kind Kind) (*cel.Env, error) {
	if env, ok := environments.Load(kind); ok {
		return env.(*cel.Env), nil
	}
	base, err := language()
	if err != nil {
		return nil, err
	}
	var variables []cel.EnvOption
	named := kind == NamedCheck || kind == NamedCheckMessage
	if kind == Check || named {
		variables = append(variables, cel.Variable("now", cel.TimestampType))
	}
	if named || kind == Health || kind == HealthMessage {
		variables = append(variables, cel.Variable("related", cel.MapType(cel.StringType, cel.ListType(cel.DynType))))
	}
	if named {
		variables = append(variables, cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
			cel.Variable("version", cel.StringType), cel.Variable("versionFrom", cel.StringType))
	}
	extended, err := base.Extend(environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: variables})
	if err != nil {
		return nil, err
	}
	env := extended.NewExpressionsEnv()
	environments.Store(kind, env)
	return env, nil
}

// assumedSizes tells the cost estimate how large things are that no schema bounds.
type assumedSizes struct{}

// EstimateSize implements checker.CostEstimator.
func (assumedSizes) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	path := element.Path()
	if len(path) == 1 && path[0] == "objects" {
		return &checker.SizeEstimate{Min: 0, Max: assumedObjects}
	}
	if len(path) > 1 && path[0] == "related" {
		return &checker.SizeEstimate{Min: 0, Max: assumedRelated}
	}
	size := uint64(assumedElements)
	if kind := element.Type(); kind != nil && (kind.Kind() == types.StringKind || kind.Kind() == types.BytesKind) {
		size = assumedText
	}
	return &checker.SizeEstimate{Min: 0, Max: size}
}

// EstimateCallCost implements checker.CostEstimator; the library's own estimates stand.
func (assumedSizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// mentions tells whether an expression uses a variable.
func mentions(expr ast.Expr, variable string) bool {
	found := false
	ast.PostOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == variable {
			found = true
		}
	}))
	return found
}

// oneLine folds CEL's drawing of where the mistake is into a sentence fit for a condition.
func oneLine(s string) string {
	lines := strings.Split(s, "\n")
	kept := lines[:0]
	for _, line := range lines {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "|") {
			kept = append(kept, strings.TrimPrefix(trimmed, "ERROR: <input>:"))
		}
	}
	return strings.Join(kept, "; ")
}
