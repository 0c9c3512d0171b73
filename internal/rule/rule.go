package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/library"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Resource is a resource that rules read. An empty Version is the preferred version of the API server.
type Resource struct {
	Group, Version, Resource string
}

// String returns the name of the resource as in kubectl, for example backups.velero.io.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Resource
	}
	return r.Resource + "." + r.Group
}

// NewResource converts a ResourceReference.
func NewResource(reference v1alpha1.ResourceReference) Resource {
	return Resource{Group: reference.Group, Version: reference.Version, Resource: reference.Resource}
}

// Related is a further resource that a rule reads as related.NAME.
type Related struct {
	Name     string
	Resource Resource
}

// Rule is a rule of a profile or a definition. Its expressions are compiled once, by Compile or on first use: most rules of a large catalog
// are never evaluated. It is safe for concurrent use.
type Rule struct {
	Spec  v1alpha1.Rule
	Scope Scope
	// MinPercentFrom is the parameter with the percentage of objects that must satisfy the rule; may be empty.
	MinPercentFrom string
	// Resources are the resources whose objects the rule is evaluated on.
	Resources []Resource
	Related   []Related

	// yieldsText is true if the expression evaluates to a string instead of a bool.
	yieldsText   bool
	id           string
	loadPrograms func() (*programs, field.ErrorList)
}

// New returns the rule of a spec.
func New(spec *v1alpha1.Rule, scope Scope, minPercentFrom string) *Rule {
	r := &Rule{Spec: *spec, Scope: scope, MinPercentFrom: minPercentFrom}
	return r.init()
}

// NewMatchRule returns a rule whose expression evaluates to a string for each object, for example a version.
func NewMatchRule(resource v1alpha1.ResourceReference, match, expression string) *Rule {
	r := &Rule{Spec: v1alpha1.Rule{Resource: &resource, Match: match, Expression: expression}, yieldsText: true}
	return r.init()
}

// NewSelection returns a rule whose outcome lists the objects that match. No object satisfies it.
func NewSelection(resource v1alpha1.ResourceReference, match string) *Rule {
	r := &Rule{Spec: v1alpha1.Rule{Resource: &resource, Match: match, Expression: "false"}}
	return r.init()
}

func (r *Rule) init() *Rule {
	if r.Spec.Resource != nil {
		r.Resources = append(r.Resources, NewResource(*r.Spec.Resource))
	}
	for _, reference := range r.Spec.Resources {
		r.Resources = append(r.Resources, NewResource(reference))
	}
	for _, related := range r.Spec.Related {
		r.Related = append(r.Related, Related{related.Name, NewResource(related.Resource)})
	}
	spec, _ := json.Marshal(r.Spec) // cannot fail: it has only strings and numbers
	r.id = fmt.Sprintf("%d %t %s %s", r.Scope, r.yieldsText, r.MinPercentFrom, spec)
	r.loadPrograms = sync.OnceValues(r.compile)
	return r
}

// IsList reports whether the rule is evaluated on the list of all objects.
func (r *Rule) IsList() bool { return r.Spec.ListExpression != "" }

// AllResources returns all resources that the rule reads: Resources first, then those of Related.
func (r *Rule) AllResources() []Resource {
	all := slices.Clone(r.Resources)
	for _, related := range r.Related {
		all = append(all, related.Resource)
	}
	return all
}

// quantifier returns how many objects must satisfy the rule.
func (r *Rule) quantifier() v1alpha1.Quantifier {
	if r.Spec.Require == "" {
		return v1alpha1.RequireAll
	}
	return r.Spec.Require
}

// isSatisfiedByEmpty reports whether the rule is satisfied if no object matches it.
func (r *Rule) isSatisfiedByEmpty() bool {
	if r.Spec.WhenEmpty == "" {
		return r.quantifier() == v1alpha1.RequireAll
	}
	return r.Spec.WhenEmpty == v1alpha1.EmptySatisfied
}

// Compile compiles the expressions. Each error has the field below path, and says what to change.
func (r *Rule) Compile(path *field.Path) field.ErrorList {
	_, errs := r.loadPrograms()
	withPath := make(field.ErrorList, 0, len(errs))
	for _, err := range errs {
		copied := *err
		copied.Field = path.Child(err.Field).String()
		withPath = append(withPath, &copied)
	}
	return withPath
}

// programs are the compiled expressions of a rule.
type programs struct {
	match     *program // nil if every object matches
	variables []variable
	main      *program
	message   *program // nil if there is none

	reads                map[string]*Fields
	usesNow, usesVersion bool
}

// variable is a compiled variable. A shared variable has the same value for all objects.
type variable struct {
	name     string
	isShared bool
	*program
}

// program is a compiled expression.
type program struct {
	cel.Program
	expression ast.Expr
}

// compiler compiles the expressions of one rule in one environment.
type compiler struct {
	env       *cel.Env
	limit     uint64
	variables map[string]bool // those that are declared so far
	errs      field.ErrorList
}

// newCompiler returns a compiler for expressions on one object or, with isList, on the list of all objects.
func newCompiler(scope Scope, isList bool) (*compiler, error) {
	c := &compiler{variables: map[string]bool{}, limit: celconfig.PerCallLimit}
	if isList {
		c.limit = celconfig.RuntimeCELCostBudget // one call evaluates all objects
	}
	var err error
	c.env, err = newEnvironment(environmentOptions{scope, isList})
	return c, err
}

func (r *Rule) compile() (*programs, field.ErrorList) {
	c, err := newCompiler(r.Scope, r.IsList())
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("expression"), err)}
	}
	p := &programs{}
	for i, v := range r.Spec.Variables {
		compiled := c.compile(field.NewPath("variables").Index(i).Child("expression"), v.Expression, nil)
		if compiled == nil {
			return nil, c.errs // without consequential errors where the variable is used
		}
		p.variables = append(p.variables, variable{name: v.Name, program: compiled})
		c.variables[v.Name] = true
	}
	name, expression, resultType := "expression", r.Spec.Expression, cel.BoolType
	if r.IsList() {
		name, expression = "listExpression", r.Spec.ListExpression
	}
	if r.yieldsText {
		resultType = cel.StringType
	}
	p.main = c.compile(field.NewPath(name), expression, resultType)
	if r.Spec.MessageExpression != "" {
		p.message = c.compile(field.NewPath("messageExpression"), r.Spec.MessageExpression, cel.StringType)
	}
	if r.Spec.Match != "" {
		matchCompiler := c
		if r.IsList() {
			// match is evaluated on one object. It has no variables: those of a list rule depend on the objects that match.
			if matchCompiler, err = newCompiler(r.Scope, false); err != nil {
				return nil, field.ErrorList{field.InternalError(field.NewPath("match"), err)}
			}
		}
		p.match = matchCompiler.compile(field.NewPath("match"), r.Spec.Match, cel.BoolType)
		if matchCompiler != c {
			c.errs = append(c.errs, matchCompiler.errs...)
		}
	}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	p.analyze(len(r.Resources))
	return p, nil
}

// compile compiles an expression. It returns nil if the expression is invalid. A nil resultType allows any type.
func (c *compiler) compile(path *field.Path, expression string, resultType *cel.Type) *program {
	reject := func(detail string) *program {
		c.errs = append(c.errs, field.Invalid(path, text.Truncate(expression, maxExcerpt), text.Truncate(detail, maxText)))
		return nil
	}
	checked, issues := c.env.Compile(expression)
	if issues.Err() != nil {
		return reject(joinLines(issues.Err().Error()))
	}
	expr := checked.NativeRep().Expr()
	for _, name := range variableNames(expr) {
		if !c.variables[name] {
			return reject(fmt.Sprintf("variable %q is not declared before this expression: add it to variables, or correct the name", name))
		}
	}
	if actual := checked.OutputType(); resultType != nil && !actual.IsExactType(resultType) && !actual.IsExactType(cel.DynType) {
		return reject(fmt.Sprintf("the expression must evaluate to %s, not %s", resultType, actual))
	}
	estimate, err := c.env.EstimateCost(checked, &library.CostEstimator{SizeEstimator: sizeEstimator{}})
	if err != nil {
		return reject(err.Error())
	}
	if estimate.Max > c.limit {
		return reject(fmt.Sprintf("the expression costs too much: the estimated cost %.1g exceeds the limit %.1g; "+
			"do not compare every object with every other, and do not nest loops over lists", float64(estimate.Max), float64(c.limit)))
	}
	celProgram, err := c.env.Program(checked, cel.CostLimit(c.limit), cel.InterruptCheckFrequency(celconfig.CheckFrequency))
	if err != nil {
		return reject(err.Error())
	}
	return &program{celProgram, expr}
}

// analyze determines which variables are shared, which fields the expressions read, and whether they use now and version. kinds is the
// number of resources of the rule.
func (p *programs) analyze(kinds int) {
	expressions := []ast.Expr{p.main.expression}
	if p.message != nil {
		expressions = append(expressions, p.message.expression)
	}
	if p.match != nil {
		expressions = append(expressions, p.match.expression)
	}
	isPerObject := map[string]bool{}
	for i := range p.variables {
		v := &p.variables[i]
		v.isShared = !usesVariable(v.expression, varObject) && !usesVariable(v.expression, varObjects) &&
			!slices.ContainsFunc(variableNames(v.expression), func(name string) bool { return isPerObject[name] })
		isPerObject[v.name] = !v.isShared
		expressions = append(expressions, v.expression)
	}
	uses := func(name string) bool {
		return slices.ContainsFunc(expressions, func(e ast.Expr) bool { return usesVariable(e, name) })
	}
	p.usesNow, p.usesVersion = uses(varNow), uses(varVersion) || uses(varVersionFrom)
	p.reads = analyzeFields(p)
	if kinds > 1 {
		p.reads[""].markShared()
	}
}

// variableNames returns the names of the rule's variables that an expression uses.
func variableNames(expr ast.Expr) []string {
	var names []string
	ast.PostOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.SelectKind && isIdent(e.AsSelect().Operand(), varVariables):
			names = append(names, e.AsSelect().FieldName())
		case e.Kind() == ast.CallKind && len(e.AsCall().Args()) == 2 && isIdent(e.AsCall().Args()[0], varVariables):
			if key, ok := e.AsCall().Args()[1].AsLiteral().(types.String); ok {
				names = append(names, string(key))
			}
		}
	}))
	return names
}

// usesVariable reports whether an expression uses a variable of the environment.
func usesVariable(expr ast.Expr, variable string) bool {
	found := false
	ast.PostOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) { found = found || isIdent(e, variable) }))
	return found
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// UsesNow reports whether an expression uses now.
func (r *Rule) UsesNow() bool {
	p, _ := r.loadPrograms()
	return p != nil && p.usesNow
}

// UsesVersion reports whether an expression uses version or versionFrom.
func (r *Rule) UsesVersion() bool {
	p, _ := r.loadPrograms()
	return p != nil && p.usesVersion
}

// ReadFields returns the fields that the rule reads of each object or, for a name, of each object of that related list. The result must not
// be modified.
func (r *Rule) ReadFields(related string) *Fields {
	p, _ := r.loadPrograms()
	if p == nil {
		return &Fields{}
	}
	if fields := p.reads[related]; fields != nil {
		return fields
	}
	if fields := p.reads[anyElement]; fields != nil && related != "" {
		return AllFields() // the rule computes the name of a related list
	}
	return &Fields{}
}

const (
	// maxText limits results of expressions and error messages, in bytes.
	maxText = 1024
	// maxExcerpt limits the part of an expression that an error quotes, in bytes.
	maxExcerpt = 80
)

// joinLines converts a CEL error, which marks the position on separate lines, to one line.
func joinLines(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "|") {
			lines = append(lines, strings.TrimPrefix(trimmed, "ERROR: <input>:"))
		}
	}
	return strings.Join(lines, "; ")
}
