package rule

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

// The variables that expressions see.
const (
	varObject      = "object"
	varObjects     = "objects"
	varRelated     = "related"
	varVariables   = "variables"
	varParams      = "params"
	varNow         = "now"
	varVersion     = "version"
	varVersionFrom = "versionFrom"
)

// Scope says which variables the expressions of a rule see.
type Scope int

// The scopes of rules.
const (
	// ProfileScope is that of a profile's rule and of a health rule: object or objects, related, variables and now.
	ProfileScope Scope = iota
	// CheckScope is that of a component's check: ProfileScope, and params, version and versionFrom.
	CheckScope
)

// baseEnvironment is the language level of the API server that this program is built against, less one release for skew.
var baseEnvironment = sync.OnceValue(func() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
})

// environmentOptions is what an environment differs by: the scope of a rule, and whether its expressions see objects rather than object.
type environmentOptions struct {
	scope Scope
	list  bool
}

var environments sync.Map // shape to *cel.Env: a rule that had one of its own would keep it in memory

// newEnvironment returns the environment that expressions are compiled in.
func newEnvironment(s environmentOptions) (*cel.Env, error) {
	if env, ok := environments.Load(s); ok {
		return env.(*cel.Env), nil
	}
	declared := []cel.EnvOption{
		cel.Variable(varRelated, cel.MapType(cel.StringType, cel.ListType(cel.DynType))),
		cel.Variable(varVariables, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varNow, cel.TimestampType),
	}
	if s.list {
		declared = append(declared, cel.Variable(varObjects, cel.ListType(cel.DynType)))
	} else {
		declared = append(declared, cel.Variable(varObject, cel.DynType))
	}
	if s.scope == CheckScope {
		declared = append(declared, cel.Variable(varParams, cel.MapType(cel.StringType, cel.DynType)),
			cel.Variable(varVersion, cel.StringType), cel.Variable(varVersionFrom, cel.StringType))
	}
	set, err := baseEnvironment().Extend(environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: declared})
	if err != nil {
		return nil, err
	}
	env := set.NewExpressionsEnv()
	environments.Store(s, env)
	return env, nil
}

// The sizes that the cost estimate assumes of what has no schema.
const (
	assumedObjects  = 1000
	assumedRelated  = 50
	assumedElements = 20
	assumedText     = 256
)

// sizeEstimator says how large values without a schema are assumed to be.
type sizeEstimator struct{}

var _ checker.CostEstimator = sizeEstimator{}

// EstimateSize implements checker.CostEstimator.
func (sizeEstimator) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	path := element.Path()
	size := uint64(assumedElements)
	switch kind := element.Type(); {
	case len(path) == 1 && path[0] == varObjects:
		size = assumedObjects
	case len(path) > 1 && path[0] == varRelated:
		size = assumedRelated
	case kind != nil && (kind.Kind() == types.StringKind || kind.Kind() == types.BytesKind):
		size = assumedText
	}
	return &checker.SizeEstimate{Min: 0, Max: size}
}

// EstimateCallCost implements checker.CostEstimator: the library's own estimates apply.
func (sizeEstimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
