package rule

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// What a rule reads is found by following, through its expression, where each value comes from. A value is followed as far
// as it is taken apart: by a field, an index, a loop. Where it is used whole, all of it counts as read. What is not
// understood counts as used whole, so that the answer errs on the side of too much.

// fieldPath is where in the rule's input a value may come from.
type fieldPath struct {
	// of is "" for an object that the rule is about, or the name of a related list for one of those.
	of   string
	path []string
	// lists is how many lists the value stands in: objects is one list of objects.
	lists int
}

func (p fieldPath) equal(o fieldPath) bool {
	return p.of == o.of && p.lists == o.lists && slices.Equal(p.path, o.path)
}

func (p fieldPath) below(name string) fieldPath {
	return fieldPath{of: p.of, path: append(slices.Clip(p.path), name)}
}

// origins are all places that a value may come from; none for one that the rule makes itself.
type origins []fieldPath

func (o origins) with(more origins) origins {
	for _, p := range more {
		if !slices.ContainsFunc(o, p.equal) {
			o = append(slices.Clip(o), p)
		}
	}
	return o
}

// fieldAnalysis collects what an expression reads.
type fieldAnalysis struct {
	fields map[string]*Fields
	scope  map[string]origins
	// variables are where the values of the rule's variables come from.
	variables map[string]origins
	deep      int // how many loops stand around
}

// analyzeFields returns the fields that a rule reads, of the objects that it is about under "" and of each related list under its name.
func analyzeFields(p *programs) map[string]*Fields {
	r := &fieldAnalysis{fields: map[string]*Fields{"": {}}, scope: map[string]origins{}, variables: map[string]origins{}}
	for _, v := range p.variables {
		r.variables[v.name] = r.follow(v.expression)
	}
	r.use(r.follow(p.main.expression))
	for _, also := range []*program{p.match, p.message} {
		if also != nil {
			r.use(r.follow(also.expression))
		}
	}
	return r.fields
}

func (r *fieldAnalysis) of(name string) *Fields {
	if r.fields[name] == nil {
		r.fields[name] = &Fields{}
	}
	return r.fields[name]
}

// use notes that values are used whole.
func (r *fieldAnalysis) use(values origins) {
	for _, p := range values {
		at := r.of(p.of).addPath(p.path)
		at.Add(AllFields())
	}
}

// touch notes that it matters whether values are there, and nothing of what they are.
func (r *fieldAnalysis) touch(values origins) origins {
	for _, p := range values {
		if p.lists == 0 {
			r.of(p.of).addPath(p.path)
		}
	}
	return values
}

// field follows values into a field of theirs.
func (r *fieldAnalysis) field(values origins, name string) origins {
	var found origins
	for _, p := range values {
		if p.lists > 0 {
			r.use(origins{p}) // a field of a list: a mistake, which must stay one
			continue
		}
		found = append(found, p.below(name))
	}
	return r.touch(found)
}

// elements follows values into their elements, or into the values of a map.
func (r *fieldAnalysis) elements(values origins) origins {
	var found origins
	for _, p := range values {
		if p.lists > 0 {
			found = found.with(origins{{of: p.of, path: p.path, lists: p.lists - 1}})
			continue
		}
		found = found.with(origins{p.below(each)})
	}
	return r.touch(found)
}

// maxDepth bounds how often loops in loops are followed.
const maxDepth = 12

func (r *fieldAnalysis) follow(expr ast.Expr) origins {
	switch expr.Kind() {
	case ast.IdentKind:
		return r.variable(expr.AsIdent())
	case ast.SelectKind:
		s := expr.AsSelect()
		if r.isFree(s.Operand(), varRelated) {
			return r.relatedList(s.FieldName())
		}
		if r.isFree(s.Operand(), varVariables) {
			return r.variables[s.FieldName()]
		}
		found := r.field(r.follow(s.Operand()), s.FieldName())
		if s.IsTestOnly() {
			return nil // has(): that it is there has been noted
		}
		return found
	case ast.CallKind:
		return r.call(expr.AsCall())
	case ast.ListKind:
		var found origins
		for _, element := range expr.AsList().Elements() {
			for _, p := range r.follow(element) {
				p.lists++
				found = found.with(origins{p})
			}
		}
		return found
	case ast.MapKind:
		for _, entry := range expr.AsMap().Entries() {
			r.use(r.follow(entry.AsMapEntry().Key()))
			r.use(r.follow(entry.AsMapEntry().Value()))
		}
	case ast.StructKind:
		for _, field := range expr.AsStruct().Fields() {
			r.use(r.follow(field.AsStructField().Value()))
		}
	case ast.ComprehensionKind:
		return r.loop(expr.AsComprehension())
	default:
	}
	return nil
}

func (r *fieldAnalysis) variable(name string) origins {
	if bound, ok := r.scope[name]; ok {
		return bound
	}
	switch name {
	case varObject:
		return origins{{}}
	case varObjects:
		return origins{{lists: 1}}
	case varRelated:
		r.of(each) // by a name that is not known beforehand: all of every list
	case varVariables:
		for _, values := range r.variables {
			r.use(values)
		}
	}
	return nil // now, params, or a type
}

// isFree reports whether an expression is a variable of the environment, and not one of a loop that has its name.
func (r *fieldAnalysis) isFree(e ast.Expr, name string) bool {
	return isIdent(e, name) && r.scope[name] == nil
}

func (r *fieldAnalysis) relatedList(name string) origins {
	r.of(name)
	return origins{{of: name, lists: 1}}
}

func (r *fieldAnalysis) call(call ast.CallExpr) origins {
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.OptSelect, operators.Index, operators.OptIndex:
		if len(args) != 2 {
			break
		}
		key, constant := args[1].AsLiteral().(types.String)
		if args[1].Kind() != ast.LiteralKind {
			constant = false
			r.use(r.follow(args[1]))
		}
		if constant && r.isFree(args[0], varRelated) {
			return r.relatedList(string(key))
		}
		if constant && r.isFree(args[0], varVariables) {
			return r.variables[string(key)]
		}
		operand := r.follow(args[0])
		if constant {
			return r.field(operand, string(key))
		}
		return r.elements(operand)
	case operators.Conditional:
		r.use(r.follow(args[0]))
		return r.follow(args[1]).with(r.follow(args[2]))
	case operators.Add:
		return r.follow(args[0]).with(r.follow(args[1]))
	case operators.In:
		if args[0].Kind() == ast.LiteralKind {
			r.elements(r.follow(args[1]))
			return nil
		}
	case "size":
		if target := firstOptional(call); target != nil {
			for _, p := range r.follow(target) {
				if p.lists == 0 { // how many objects there are is known whatever is kept of them
					r.elements(origins{p})
				}
			}
			return nil
		}
	case "hasValue":
		r.follow(call.Target())
		return nil
	case "orValue", "or", "value", "optional.of", "dyn":
		var found origins
		if call.IsMemberFunction() {
			found = r.follow(call.Target())
		}
		for _, arg := range args {
			found = found.with(r.follow(arg))
		}
		return found
	}
	if call.IsMemberFunction() {
		r.use(r.follow(call.Target()))
	}
	for _, arg := range args {
		r.use(r.follow(arg))
	}
	return nil
}

func firstOptional(call ast.CallExpr) ast.Expr {
	if call.IsMemberFunction() && len(call.Args()) == 0 {
		return call.Target()
	}
	if !call.IsMemberFunction() && len(call.Args()) == 1 {
		return call.Args()[0]
	}
	return nil
}

// loop follows a comprehension: what its variables are bound to, round by round, until the accumulator holds what it holds.
func (r *fieldAnalysis) loop(c ast.ComprehensionExpr) origins {
	r.deep++
	defer func() { r.deep-- }()
	over := r.follow(c.IterRange())
	if r.deep > maxDepth {
		r.use(over)
	}
	defer r.bind(c.IterVar(), r.elements(over))()
	if c.HasIterVar2() {
		defer r.bind(c.IterVar2(), r.elements(over))()
	}
	accumulated := r.follow(c.AccuInit())
	unbind := r.bind(c.AccuVar(), accumulated)
	defer func() { unbind() }()
	for round := 0; ; round++ {
		r.scope[c.AccuVar()] = accumulated
		r.use(r.follow(c.LoopCondition()))
		grown := accumulated.with(r.follow(c.LoopStep()))
		if len(grown) == len(accumulated) {
			break
		}
		accumulated = grown
		if round == 3 { // it grows with each round
			r.use(accumulated)
			break
		}
	}
	r.scope[c.AccuVar()] = accumulated
	return r.follow(c.Result())
}

// bind gives a variable its values, and returns what gives it back the former ones.
func (r *fieldAnalysis) bind(name string, values origins) (unbind func()) {
	former, was := r.scope[name]
	if values == nil {
		values = origins{}
	}
	r.scope[name] = values
	return func() {
		if was {
			r.scope[name] = former
		} else {
			delete(r.scope, name)
		}
	}
}
