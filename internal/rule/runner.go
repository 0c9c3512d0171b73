package rule

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apiserver/pkg/cel/library"
)

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

// run is one run at a time of a compiled rule, with what it may still spend.
type run struct {
	program cel.Program
	budget  budget
	clock   clock
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

// plan makes a program's expression ready to run.
func plan(of *Program, checked *cel.Ast) (*run, error) {
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
	counted, found := counting(&r.budget, bindings), loopsOf(checked.NativeRep())
	moves, _ := movesOf(checked.NativeRep().Expr())
	r.program, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(func(node interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		// What is taken of a loop's outcome has the number of the loop, and is none.
		_, taken := node.(interpreter.InterpretableAttribute)
		id := node.ID()
		call, _ := node.(interpreter.InterpretableCall)
		if l, ok := found.over[id]; ok && !taken {
			node = &sectioned{node, l, of, r}
		} else if node, err = counted(node); err != nil {
			return nil, err
		}
		if pace, ok := moves[id]; ok && call != nil {
			node = movingOf(call, node, pace, r)
		}
		if found.ranges[id] {
			node = &ranged{node, &r.budget}
		}
		return node, nil
	}))
	return r, err
}
