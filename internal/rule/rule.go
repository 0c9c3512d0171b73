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

// Resource names a resource of the API that rules read. Version is empty where the server's preferred one will do.
type Resource struct {
	Group, Version, Resource string
}

// String is the resource as kubectl names it, for instance backups.velero.io.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Resource
	}
	return r.Resource + "." + r.Group
}

// NewResource converts a reference of the API.
func NewResource(reference v1alpha1.ResourceReference) Resource {
	return Resource{Group: reference.Group, Version: reference.Version, Resource: reference.Resource}
}

// Related is a further resource that a rule sees, under a name.
type Related struct {
	Name     string
	Resource Resource
}

// Rule is a rule of the API, ready to be compiled. Its expressions are compiled once, by Compile or when they are first needed: of
// the rules of a large catalog few are ever evaluated. It is safe for concurrent use.
type Rule struct {
	Spec  v1alpha1.Rule
	Scope Scope
	// MinPercentFrom is the parameter that holds the share of objects that must satisfy the rule; empty where none does.
	MinPercentFrom string
	// Resources are those whose objects the rule is about, and Related those that its expressions see beside.
	Resources []Resource
	Related   []Related

	// text says that the expression yields text about an object, and no predicate.
	text     bool
	id       string
	compiled func() (*programs, field.ErrorList)
}

// New returns a rule of the API.
func New(spec *v1alpha1.Rule, scope Scope, minPercentFrom string) *Rule {
	r := &Rule{Spec: *spec, Scope: scope, MinPercentFrom: minPercentFrom}
	return r.init()
}

// NewMatchRule returns a rule whose expression yields text about an object, for instance a version.
func NewMatchRule(resource v1alpha1.ResourceReference, match, expression string) *Rule {
	r := &Rule{Spec: v1alpha1.Rule{Resource: &resource, Match: match, Expression: expression}, text: true}
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
	spec, _ := json.Marshal(r.Spec) // it holds strings and numbers alone
	r.id = fmt.Sprintf("%d %t %s %s", r.Scope, r.text, r.MinPercentFrom, spec)
	r.compiled = sync.OnceValues(r.compile)
	return r
}

// IsList reports whether the rule is about the list of all objects.
func (r *Rule) IsList() bool { return r.Spec.ListExpression != "" }

// AllResources are all resources that the rule sees: those that it is about first.
func (r *Rule) AllResources() []Resource {
	all := slices.Clone(r.Resources)
	for _, related := range r.Related {
		all = append(all, related.Resource)
	}
	return all
}

// quantifier is how many objects must satisfy the rule.
func (r *Rule) quantifier() v1alpha1.Quantifier {
	if r.Spec.Require == "" {
		return v1alpha1.RequireAll
	}
	return r.Spec.Require
}

// isSatisfiedByNone reports whether the rule holds when it is about no object.
func (r *Rule) isSatisfiedByNone() bool {
	if r.Spec.WhenEmpty == "" {
		return r.quantifier() == v1alpha1.RequireAll
	}
	return r.Spec.WhenEmpty == v1alpha1.EmptySatisfied
}

// Compile compiles the rule's expressions. Errors name the field below path and say what to change.
func (r *Rule) Compile(path *field.Path) field.ErrorList {
	_, errs := r.compiled()
	below := make(field.ErrorList, 0, len(errs))
	for _, err := range errs {
		moved := *err
		moved.Field = path.Child(err.Field).String()
		below = append(below, &moved)
	}
	return below
}

// programs are the compiled expressions of a rule.
type programs struct {
	match     *program // nil where the rule is about every object
	variables []variable
	main      *program
	message   *program // nil where there is none

	reads                map[string]*Fields
	usesNow, usesVersion bool
}

// variable is a compiled variable. A shared one has the same value for every object.
type variable struct {
	name   string
	shared bool
	*program
}

// program is a compiled expression.
type program struct {
	cel.Program
	expression ast.Expr
}

// compiler compiles the expressions of one rule that see the same variables.
type compiler struct {
	env       *cel.Env
	limit     uint64
	variables map[string]bool // those that were compiled so far
	errs      field.ErrorList
}

// newCompiler returns a compiler of expressions about one object or, with list, about the list of all.
func newCompiler(scope Scope, list bool) (*compiler, error) {
	c := &compiler{variables: map[string]bool{}, limit: celconfig.PerCallLimit}
	if list {
		c.limit = celconfig.RuntimeCELCostBudget // of all objects in one call
	}
	var err error
	c.env, err = newEnvironment(environmentOptions{scope, list})
	return c, err
}

func (r *Rule) compile() (*programs, field.ErrorList) {
	c, err := newCompiler(r.Scope, r.IsList())
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("expression"), err)}
	}
	p := &programs{}
	for i, v := range r.Spec.Variables {
		value := c.compile(field.NewPath("variables").Index(i).Child("expression"), v.Expression, nil)
		if value == nil {
			return nil, c.errs // what uses it would be reported as well
		}
		p.variables = append(p.variables, variable{name: v.Name, program: value})
		c.variables[v.Name] = true
	}
	name, expression, want := "expression", r.Spec.Expression, cel.BoolType
	if r.IsList() {
		name, expression = "listExpression", r.Spec.ListExpression
	}
	if r.text {
		want = cel.StringType
	}
	p.main = c.compile(field.NewPath(name), expression, want)
	if r.Spec.MessageExpression != "" {
		p.message = c.compile(field.NewPath("messageExpression"), r.Spec.MessageExpression, cel.StringType)
	}
	if r.Spec.Match != "" {
		of := c
		if r.IsList() {
			// It is about one object all the same, and the variables are about the list of what matches.
			if of, err = newCompiler(r.Scope, false); err != nil {
				return nil, field.ErrorList{field.InternalError(field.NewPath("match"), err)}
			}
		}
		p.match = of.compile(field.NewPath("match"), r.Spec.Match, cel.BoolType)
		if of != c {
			c.errs = append(c.errs, of.errs...)
		}
	}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	p.analyze(len(r.Resources))
	return p, nil
}

// compile compiles one expression; nil where it has a mistake. A nil type stands for any.
func (c *compiler) compile(path *field.Path, expression string, want *cel.Type) *program {
	refuse := func(detail string) *program {
		c.errs = append(c.errs, field.Invalid(path, text.Truncate(expression, maxExcerpt), text.Truncate(detail, maxText)))
		return nil
	}
	checked, issues := c.env.Compile(expression)
	if issues.Err() != nil {
		return refuse(oneLine(issues.Err().Error()))
	}
	expr := checked.NativeRep().Expr()
	for _, name := range variablesIn(expr) {
		if !c.variables[name] {
			return refuse(fmt.Sprintf("there is no variable %q before it: add it to variables, or correct the name", name))
		}
	}
	if got := checked.OutputType(); want != nil && !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return refuse(fmt.Sprintf("the expression must yield %s, not %s", want, got))
	}
	estimate, err := c.env.EstimateCost(checked, &library.CostEstimator{SizeEstimator: sizeEstimator{}})
	if err != nil {
		return refuse(err.Error())
	}
	if estimate.Max > c.limit {
		return refuse(fmt.Sprintf("the expression costs too much: about %.1g, and the limit is %.1g; do not compare every object with every other, and do not nest loops over lists",
			float64(estimate.Max), float64(c.limit)))
	}
	run, err := c.env.Program(checked, cel.CostLimit(c.limit), cel.InterruptCheckFrequency(celconfig.CheckFrequency))
	if err != nil {
		return refuse(err.Error())
	}
	return &program{run, expr}
}

// analyze finds out which variables are shared, which fields the expressions of a rule about so many kinds read, and what else they
// use.
func (p *programs) analyze(kinds int) {
	all := []ast.Expr{p.main.expression}
	if p.message != nil {
		all = append(all, p.message.expression)
	}
	if p.match != nil {
		all = append(all, p.match.expression)
	}
	own := map[string]bool{}
	for i := range p.variables {
		v := &p.variables[i]
		v.shared = !mentions(v.expression, varObject) && !mentions(v.expression, varObjects) &&
			!slices.ContainsFunc(variablesIn(v.expression), func(name string) bool { return own[name] })
		own[v.name] = !v.shared
		all = append(all, v.expression)
	}
	uses := func(name string) bool {
		return slices.ContainsFunc(all, func(e ast.Expr) bool { return mentions(e, name) })
	}
	p.usesNow, p.usesVersion = uses(varNow), uses(varVersion) || uses(varVersionFrom)
	p.reads = analyzeFields(p)
	if kinds > 1 {
		p.reads[""].share()
	}
}

// variablesIn are the names of the rule's variables that an expression uses.
func variablesIn(expr ast.Expr) []string {
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

// mentions reports whether an expression uses a variable of the environment.
func mentions(expr ast.Expr, variable string) bool {
	found := false
	ast.PostOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) { found = found || isIdent(e, variable) }))
	return found
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// UsesNow reports whether the outcome depends on the time.
func (r *Rule) UsesNow() bool {
	p, _ := r.compiled()
	return p != nil && p.usesNow
}

// UsesVersion reports whether the outcome depends on the version of the component that the rule belongs to.
func (r *Rule) UsesVersion() bool {
	p, _ := r.compiled()
	return p != nil && p.usesVersion
}

// ReadFields are the fields of each object that the rule reads: of those that it is about, or of a related list by its name. They
// must not be changed.
func (r *Rule) ReadFields(related string) *Fields {
	p, _ := r.compiled()
	if p == nil {
		return &Fields{}
	}
	if fields := p.reads[related]; fields != nil {
		return fields
	}
	if fields := p.reads[each]; fields != nil && related != "" {
		return AllFields() // of related lists whose names it computes
	}
	return &Fields{}
}

const (
	// maxText bounds what an expression yields, and what is said about it, in bytes.
	maxText = 1024
	// maxExcerpt is how much of an expression is enough to recognise it in a message.
	maxExcerpt = 80
)

// oneLine makes of CEL's drawing of where a mistake is a sentence fit for a condition.
func oneLine(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "|") {
			lines = append(lines, strings.TrimPrefix(trimmed, "ERROR: <input>:"))
		}
	}
	return strings.Join(lines, "; ")
}
