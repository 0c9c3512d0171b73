package rule

import (
	"context"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apiserver/pkg/cel/library"
)

// maxRounds cuts off a run: how many rounds all of its loops may take together. It is enough for some hundred thousand
// objects. What a round may cost is bounded by maxEstimatedCost.
const maxRounds = 1_000_000

// runner runs what the API server's environment has compiled. That environment has every run keep count of its cost, which
// takes time that grows with the square of the rounds and is most of a run over thousands of objects, and it cannot be
// told not to. This one has the same functions and counts rounds.
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

func plan(checked *cel.Ast) (cel.Program, error) {
	env, err := runner()
	if err != nil {
		return nil, err
	}
	return env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(maxRounds))
}
