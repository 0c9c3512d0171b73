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

// ErrTooCostly means that the evaluation was stopped because it exceeded its cost limit or its deadline.
var ErrTooCostly = errors.New("the expression costs too much to evaluate")

// listDeadline limits the evaluation of an expression over a list.
const listDeadline = time.Second

// passBudget limits the cost of evaluating a rule on all of its objects once. It is about ten seconds.
const passBudget = 10 * celconfig.RuntimeCELCostBudget

// Params are the values of a check's parameters: string, int64 or time.Duration.
type Params map[string]any

// Input holds the values of the variables other than the objects.
type Input struct {
	Params Params
	// Related returns the objects of a related list. It is called when an expression first reads the list.
	Related func(name string) ([]any, error)
	Now     time.Time
	// Version is the version of the component, and VersionFrom its VersionOrigin. Both are empty if the version is unknown.
	Version, VersionFrom string
}

// run evaluates a rule for one input. It is not safe for concurrent use.
type run struct {
	*programs
	input   Input
	related *lazy.MapValue
	// sharedValues are the values of the shared variables.
	sharedValues map[string]ref.Val
	cost         uint64
}

func (r *Rule) newRun(input Input) (*run, error) {
	p, errs := r.loadPrograms()
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	if input.Params == nil {
		input.Params = Params{}
	}
	newRun := &run{programs: p, input: input, related: lazy.NewMapValue(types.MapType), sharedValues: map[string]ref.Val{}}
	for _, related := range r.Related {
		newRun.related.Append(related.Name, func(*lazy.MapValue) ref.Val {
			objects, err := input.Related(related.Name)
			if err != nil {
				return types.WrapErr(err)
			}
			return types.DefaultTypeAdapter.NativeToValue(objects)
		})
	}
	return newRun, nil
}

// activation resolves the variables for one object, or for one list of objects.
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
	if value, ok := a.sharedValues[v.name]; ok {
		return value
	}
	value, err := a.call(v.program)
	if err != nil {
		value = types.WrapErr(err)
	}
	if v.isShared {
		a.sharedValues[v.name] = value
	}
	return value
}

// call evaluates an expression.
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
	cancelled := interpreter.EvalCancelledError{}
	if errors.As(err, &cancelled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTooCostly) {
		return nil, ErrTooCostly
	}
	if err != nil && strings.HasPrefix(err.Error(), "internal error:") {
		// The cost tracker of the library panics if a function gets an error instead of a list, for example for a missing field.
		return nil, errors.New("function called on a value of the wrong type, or on a missing field")
	}
	if err != nil {
		return nil, errors.New(text.Truncate(err.Error(), maxText)) // it may quote values of the object
	}
	return value, nil
}

// matches reports whether the object matches the rule.
func (a *activation) matches() (bool, error) {
	if a.match == nil {
		return true, nil
	}
	return toBool(a.call(a.match))
}

// evaluateText evaluates an expression that returns a string.
func (a *activation) evaluateText(p *program) (string, error) {
	value, err := a.call(p)
	if err != nil {
		return "", err
	}
	s, ok := value.Value().(string)
	if !ok {
		return "", fmt.Errorf("the expression evaluated to %s, must evaluate to string", value.Type().TypeName())
	}
	return text.Truncate(s, maxText), nil
}

// explainFailure returns the result of messageExpression; empty if the rule has none, or if it fails.
func (a *activation) explainFailure() string {
	if a.message == nil {
		return ""
	}
	message, err := a.evaluateText(a.message)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(message)
}

func toBool(value ref.Val, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression evaluated to %s, must evaluate to bool", value.Type().TypeName())
	}
	return bool(b), nil
}

var _ cel.Activation = (*activation)(nil)
