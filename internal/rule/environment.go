package rule

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

// The variables of expressions.
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

// Scope determines which variables the expressions of a rule have.
type Scope int

// The scopes of rules.
const (
	// ProfileScope is for rules of profiles and health rules: object or objects, related, variables and now.
	ProfileScope Scope = iota
	// CheckScope is for checks of components: those of ProfileScope, and params, version and versionFrom.
	CheckScope
)

// baseEnvironment is the environment of the API server that this program is built against, less one release for version skew.
var baseEnvironment = sync.OnceValue(func() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
})

// environmentOptions determine the variables of an environment. Expressions of a list have objects instead of object.
type environmentOptions struct {
	scope  Scope
	isList bool
}

var environments sync.Map // environmentOptions to *cel.Env, which are too large to have one for each rule

// newEnvironment returns the shared environment for the options.
func newEnvironment(options environmentOptions) (*cel.Env, error) {
	if env, ok := environments.Load(options); ok {
		return env.(*cel.Env), nil
	}
	variables := []cel.EnvOption{
		cel.Variable(varRelated, cel.MapType(cel.StringType, cel.ListType(cel.DynType))),
		cel.Variable(varVariables, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varNow, cel.TimestampType),
	}
	if options.isList {
		variables = append(variables, cel.Variable(varObjects, cel.ListType(cel.DynType)))
	} else {
		variables = append(variables, cel.Variable(varObject, cel.DynType))
	}
	if options.scope == CheckScope {
		variables = append(variables, cel.Variable(varParams, cel.MapType(cel.StringType, cel.DynType)),
			cel.Variable(varVersion, cel.StringType), cel.Variable(varVersionFrom, cel.StringType))
	}
	set, err := baseEnvironment().Extend(environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: variables})
	if err != nil {
		return nil, err
	}
	env := set.NewExpressionsEnv()
	environments.Store(options, env)
	return env, nil
}

// The sizes that the cost estimate assumes for values without a schema.
const (
	assumedObjects  = 1000
	assumedRelated  = 50
	assumedElements = 20
	assumedText     = 256
)

// sizeEstimator estimates the sizes of values without a schema.
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

// EstimateCallCost implements checker.CostEstimator. It returns nil: the estimates of the library apply.
func (sizeEstimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
