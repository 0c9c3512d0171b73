package rule

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/version"
	apiservercel "k8s.io/apiserver/pkg/cel"
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

// variablesType is the type of the variable "variables" while a rule is compiled: an object with a field for each variable that
// was compiled so far.
func variablesType() *apiservercel.DeclType {
	return apiservercel.NewObjectType("platformprofile.variables", map[string]*apiservercel.DeclField{})
}

// newEnvironment returns the environment that a rule's expressions are compiled in. list says that they see objects rather than
// object.
func newEnvironment(scope Scope, list bool, variables *apiservercel.DeclType) (*cel.Env, error) {
	declared := []cel.EnvOption{
		cel.Variable(varRelated, cel.MapType(cel.StringType, cel.ListType(cel.DynType))),
		cel.Variable(varNow, cel.TimestampType),
		cel.Variable(varVariables, variables.CelType()),
	}
	if list {
		declared = append(declared, cel.Variable(varObjects, cel.ListType(cel.DynType)))
	} else {
		declared = append(declared, cel.Variable(varObject, cel.DynType))
	}
	if scope == CheckScope {
		declared = append(declared, cel.Variable(varParams, cel.MapType(cel.StringType, cel.DynType)),
			cel.Variable(varVersion, cel.StringType), cel.Variable(varVersionFrom, cel.StringType))
	}
	set, err := baseEnvironment().Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: declared, DeclTypes: []*apiservercel.DeclType{variables},
	})
	if err != nil {
		return nil, err
	}
	return set.NewExpressionsEnv(), nil
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
