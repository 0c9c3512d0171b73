package rule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/lazy"

	"github.com/platformprofile/platformprofile/internal/text"
)

// ErrTooCostly is the error of an expression that was stopped because it exceeded its cost limit or its deadline.
var ErrTooCostly = errors.New("the expression costs too much to evaluate")

// listDeadline is how long an expression over a list may take.
const listDeadline = time.Second

// passBudget is the cost of one pass of a rule over all of its objects: about ten seconds. A rule that exceeds it is stopped.
const passBudget = 10 * celconfig.RuntimeCELCostBudget

// Params are the values of a check's parameters, each of its type: string, int64 or time.Duration.
type Params map[string]any

// Input is what expressions see beside the objects.
type Input struct {
	Params Params
	// Related returns the objects of a related list. It is called when an expression first needs the list.
	Related func(name string) ([]any, error)
	Now     time.Time
	// Version is that of the component that the rule belongs to, and VersionFrom where it comes from: a VersionOrigin. Both are
	// empty where it is not known.
	Version, VersionFrom string
}

// run evaluates a rule for one input. It is for one goroutine at a time.
type run struct {
	*programs
	input   Input
	related *lazy.MapValue
	// shared are the values of the variables that are the same for all objects.
	shared map[string]ref.Val
	cost   uint64
}

func (r *Rule) newRun(input Input) (*run, error) {
	p, errs := r.compiled()
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	if input.Params == nil {
		input.Params = Params{}
	}
	started := &run{programs: p, input: input, related: lazy.NewMapValue(types.MapType), shared: map[string]ref.Val{}}
	for _, related := range r.Related {
		started.related.Append(related.Name, func(*lazy.MapValue) ref.Val {
			objects, err := input.Related(related.Name)
			if err != nil {
				return types.WrapErr(err)
			}
			return types.DefaultTypeAdapter.NativeToValue(objects)
		})
	}
	return started, nil
}

// activation is what one call of the rule's expressions sees.
type activation struct {
	*run
	object, objects any
	variables       *lazy.MapValue
}

var _ interpreter.Activation = (*activation)(nil)

// ResolveName implements interpreter.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varObject:
		return a.object, a.object != nil
	case varObjects:
		return a.objects, a.objects != nil
	case varVariables:
		return a.variables, true
	case varRelated:
		return a.related, true
	case varParams:
		return map[string]any(a.input.Params), true
	case varNow:
		return types.Timestamp{Time: a.input.Now}, true
	case varVersion:
		return a.input.Version, true
	case varVersionFrom:
		return a.input.VersionFrom, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (a *activation) Parent() interpreter.Activation { return nil }

// bind returns the activation for an object, or for a list of objects.
func (r *run) bind(object, objects any) *activation {
	a := &activation{run: r, object: object, objects: objects}
	if len(r.variables) == 0 {
		return a
	}
	a.variables = lazy.NewMapValue(types.MapType)
	for _, v := range r.variables {
		a.variables.Append(v.name, func(*lazy.MapValue) ref.Val { return a.variableValue(v) })
	}
	return a
}

func (a *activation) variableValue(v variable) ref.Val {
	if value, ok := a.shared[v.name]; ok {
		return value
	}
	value, err := a.call(v.program)
	if err != nil {
		value = types.WrapErr(err)
	}
	if v.shared {
		a.shared[v.name] = value
	}
	return value
}

// call evaluates one expression.
func (a *activation) call(p *program) (ref.Val, error) {
	ctx := context.Background()
	if a.objects != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, listDeadline)
		defer cancel()
	}
	value, details, err := p.ContextEval(ctx, a)
	if details != nil && details.ActualCost() != nil {
		a.cost += *details.ActualCost()
	}
	if stopped := (interpreter.EvalCancelledError{}); errors.As(err, &stopped) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTooCostly) {
		return nil, ErrTooCostly
	}
	if err != nil && strings.HasPrefix(err.Error(), "internal error:") {
		// The cost tracker of the library's functions over lists panics when a list is an error, as that of a missing field.
		return nil, errors.New("a function was called on a value of the wrong type, or on a field that is missing")
	}
	if err != nil {
		return nil, errors.New(text.Truncate(err.Error(), maxText)) // it may quote what objects hold
	}
	return value, nil
}

// matches reports whether the rule is about the object.
func (a *activation) matches() (bool, error) {
	if a.match == nil {
		return true, nil
	}
	return toBool(a.call(a.match))
}

// evaluateText evaluates an expression that yields text.
func (a *activation) evaluateText(p *program) (string, error) {
	value, err := a.call(p)
	if err != nil {
		return "", err
	}
	written, ok := value.Value().(string)
	if !ok {
		return "", fmt.Errorf("the expression yields %s, not a string", value.Type().TypeName())
	}
	return text.Truncate(written, maxText), nil
}

// explainFailure returns what the rule's messageExpression yields; empty where there is none, and where it fails on what is there.
func (a *activation) explainFailure() string {
	if a.message == nil {
		return ""
	}
	explained, err := a.evaluateText(a.message)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(explained)
}

func toBool(value ref.Val, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression yields %s, not true or false", value.Type().TypeName())
	}
	return bool(holds), nil
}

var _ cel.Activation = (*activation)(nil)
