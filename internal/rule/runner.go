package rule

import (
	"context"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/ext"
	"k8s.io/apiserver/pkg/cel/library"
)

// maxRounds cuts off a run: how many rounds all of its loops may take together. It is enough for some hundred thousand
// objects. What a round may cost is bounded by maxEstimatedCost.
const maxRounds = 1_000_000

// runner runs what the API server's environment has compiled. That environment has every run keep count of its cost, which
// takes time that grows with the square of the rounds and is most of a run over thousands of objects, and it cannot be
// told not to. This one has the same functions, and counts rounds and what functions do.
var runner = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("objects", cel.ListType(cel.DynType)),
		cel.Variable("related", cel.MapType(cel.StringType, cel.ListType(cel.DynType))),
		cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("version", cel.StringType), cel.Variable("versionFrom", cel.StringType),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(ext.StringsVersion(2)), ext.Sets(), ext.TwoVarComprehensions(), ext.Lists(ext.ListsVersion(3)),
		library.URLs(), library.Regex(), library.Lists(), library.Quantity(), library.IP(), library.CIDR(), library.Format(),
		library.SemverLib(library.SemverVersion(1)),
	)
})

// cancelled has a run end the first time that it is asked whether it should, which is after maxRounds rounds. So it is
// counted and not timed: what a rule says does not depend on how busy the machine is.
var cancelled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// run is one run at a time of a compiled rule, with what it may still spend.
type run struct {
	program cel.Program
	budget  budget
}

// functionsByOverload are the functions of the runner's environment.
var functionsByOverload = sync.OnceValues(func() (map[string]*functions.Overload, error) {
	env, err := runner()
	if err != nil {
		return nil, err
	}
	all := map[string]*functions.Overload{}
	for _, function := range env.Functions() {
		bindings, err := function.Bindings()
		if err != nil {
			return nil, err
		}
		for _, bound := range bindings {
			all[bound.Operator] = bound
		}
	}
	return all, nil
})

func plan(checked *cel.Ast) (*run, error) {
	env, err := runner()
	if err != nil {
		return nil, err
	}
	bindings, err := functionsByOverload()
	if err != nil {
		return nil, err
	}
	r := &run{}
	r.budget.reset() // constants are computed here
	r.program, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(maxRounds), cel.CustomDecoratorV2(counting(&r.budget, bindings)))
	return r, err
}
