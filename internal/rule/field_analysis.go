package rule

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// The field analysis determines which fields of the objects an expression reads. It computes for each subexpression from which fields its
// value may come. Field selections, indexes and comprehensions extend these paths. A value that is used in any other way counts as read
// with all fields below, so that the result may have too many fields but never too few.

// fieldPath is a field that a value may come from.
type fieldPath struct {
	// relatedName is the related list of the object; empty for an object that the rule is evaluated on.
	relatedName string
	path        []string
	// listDepth is the number of lists around the value: 1 for objects, a list of objects.
	listDepth int
}

func (p fieldPath) equal(other fieldPath) bool {
	return p.relatedName == other.relatedName && p.listDepth == other.listDepth && slices.Equal(p.path, other.path)
}

func (p fieldPath) child(name string) fieldPath {
	return fieldPath{relatedName: p.relatedName, path: append(slices.Clip(p.path), name)}
}

// fieldPaths are all fields that a value may come from; empty for a computed value.
type fieldPaths []fieldPath

func (p fieldPaths) union(other fieldPaths) fieldPaths {
	for _, path := range other {
		if !slices.ContainsFunc(p, path.equal) {
			p = append(slices.Clip(p), path)
		}
	}
	return p
}

// fieldAnalysis collects the fields that the expressions of a rule read.
type fieldAnalysis struct {
	fields    map[string]*Fields    // by the name of the related list
	scope     map[string]fieldPaths // of the variables of comprehensions
	variables map[string]fieldPaths // of the variables of the rule
	loopDepth int
}

// analyzeFields returns the fields that a rule reads, by the name of the related list; "" for the objects that it is evaluated on.
func analyzeFields(p *programs) map[string]*Fields {
	a := &fieldAnalysis{fields: map[string]*Fields{"": {}}, scope: map[string]fieldPaths{}, variables: map[string]fieldPaths{}}
	for _, v := range p.variables {
		a.variables[v.name] = a.pathsOf(v.expression)
	}
	a.markRead(a.pathsOf(p.main.expression))
	for _, optional := range []*program{p.match, p.message} {
		if optional != nil {
			a.markRead(a.pathsOf(optional.expression))
		}
	}
	return a.fields
}

func (a *fieldAnalysis) fieldsOf(name string) *Fields {
	if a.fields[name] == nil {
		a.fields[name] = &Fields{}
	}
	return a.fields[name]
}

// markRead marks values as read with all fields below.
func (a *fieldAnalysis) markRead(values fieldPaths) {
	for _, p := range values {
		a.fieldsOf(p.relatedName).addPath(p.path).Add(AllFields())
	}
}

// markPresence marks values as tested for presence, and returns them.
func (a *fieldAnalysis) markPresence(values fieldPaths) fieldPaths {
	for _, p := range values {
		if p.listDepth == 0 {
			a.fieldsOf(p.relatedName).addPath(p.path)
		}
	}
	return values
}

// fieldPathsBelow returns the paths of a field of the values.
func (a *fieldAnalysis) fieldPathsBelow(values fieldPaths, name string) fieldPaths {
	var paths fieldPaths
	for _, p := range values {
		if p.listDepth > 0 {
			a.markRead(fieldPaths{p}) // a field of a list is an error, which must also occur on the pruned object
			continue
		}
		paths = append(paths, p.child(name))
	}
	return a.markPresence(paths)
}

// elementPaths returns the paths of the elements of lists, and of the values of maps.
func (a *fieldAnalysis) elementPaths(values fieldPaths) fieldPaths {
	var paths fieldPaths
	for _, p := range values {
		if p.listDepth > 0 {
			paths = paths.union(fieldPaths{{relatedName: p.relatedName, path: p.path, listDepth: p.listDepth - 1}})
			continue
		}
		paths = paths.union(fieldPaths{p.child(anyElement)})
	}
	return a.markPresence(paths)
}

// maxLoopDepth limits the analysis of nested comprehensions.
const maxLoopDepth = 12

// pathsOf returns the paths of an expression's value, and marks the fields that its evaluation reads.
func (a *fieldAnalysis) pathsOf(expr ast.Expr) fieldPaths {
	switch expr.Kind() {
	case ast.IdentKind:
		return a.identPaths(expr.AsIdent())
	case ast.SelectKind:
		s := expr.AsSelect()
		if a.isFree(s.Operand(), varRelated) {
			return a.relatedListPaths(s.FieldName())
		}
		if a.isFree(s.Operand(), varVariables) {
			return a.variables[s.FieldName()]
		}
		paths := a.fieldPathsBelow(a.pathsOf(s.Operand()), s.FieldName())
		if s.IsTestOnly() {
			return nil // has() returns a bool
		}
		return paths
	case ast.CallKind:
		return a.callPaths(expr.AsCall())
	case ast.ListKind:
		var paths fieldPaths
		for _, element := range expr.AsList().Elements() {
			for _, p := range a.pathsOf(element) {
				p.listDepth++
				paths = paths.union(fieldPaths{p})
			}
		}
		return paths
	case ast.MapKind:
		for _, entry := range expr.AsMap().Entries() {
			a.markRead(a.pathsOf(entry.AsMapEntry().Key()))
			a.markRead(a.pathsOf(entry.AsMapEntry().Value()))
		}
	case ast.StructKind:
		for _, field := range expr.AsStruct().Fields() {
			a.markRead(a.pathsOf(field.AsStructField().Value()))
		}
	case ast.ComprehensionKind:
		return a.comprehensionPaths(expr.AsComprehension())
	default: // a literal reads no field
	}
	return nil
}

func (a *fieldAnalysis) identPaths(name string) fieldPaths {
	if bound, ok := a.scope[name]; ok {
		return bound
	}
	switch name {
	case varObject:
		return fieldPaths{{}}
	case varObjects:
		return fieldPaths{{listDepth: 1}}
	case varRelated:
		a.fieldsOf(anyElement) // the name of the list is computed: all fields of every list
	case varVariables:
		for _, values := range a.variables {
			a.markRead(values)
		}
	}
	return nil // now, params, or a type
}

// isFree reports whether an expression is a variable of the environment that no comprehension shadows.
func (a *fieldAnalysis) isFree(e ast.Expr, name string) bool {
	return isIdent(e, name) && a.scope[name] == nil
}

func (a *fieldAnalysis) relatedListPaths(name string) fieldPaths {
	a.fieldsOf(name)
	return fieldPaths{{relatedName: name, listDepth: 1}}
}

func (a *fieldAnalysis) callPaths(call ast.CallExpr) fieldPaths {
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.OptSelect, operators.Index, operators.OptIndex:
		if len(args) == 2 {
			return a.indexPaths(args[0], args[1])
		}
	case operators.Conditional:
		a.markRead(a.pathsOf(args[0]))
		return a.pathsOf(args[1]).union(a.pathsOf(args[2]))
	case operators.Add:
		return a.pathsOf(args[0]).union(a.pathsOf(args[1]))
	case operators.In:
		if args[0].Kind() == ast.LiteralKind {
			a.elementPaths(a.pathsOf(args[1]))
			return nil
		}
	case "size":
		if operand := sizeOperand(call); operand != nil {
			for _, p := range a.pathsOf(operand) {
				if p.listDepth == 0 { // the number of objects does not depend on their fields
					a.elementPaths(fieldPaths{p})
				}
			}
			return nil
		}
	case "hasValue":
		a.pathsOf(call.Target())
		return nil
	case "orValue", "or", "value", "optional.of", "dyn":
		var paths fieldPaths
		if call.IsMemberFunction() {
			paths = a.pathsOf(call.Target())
		}
		for _, arg := range args {
			paths = paths.union(a.pathsOf(arg))
		}
		return paths
	}
	if call.IsMemberFunction() {
		a.markRead(a.pathsOf(call.Target()))
	}
	for _, arg := range args {
		a.markRead(a.pathsOf(arg))
	}
	return nil
}

// indexPaths returns the paths of operand[index], and of operand.?index.
func (a *fieldAnalysis) indexPaths(operand, index ast.Expr) fieldPaths {
	key, isConstant := index.AsLiteral().(types.String)
	if index.Kind() != ast.LiteralKind {
		isConstant = false
		a.markRead(a.pathsOf(index))
	}
	switch {
	case !isConstant:
		return a.elementPaths(a.pathsOf(operand))
	case a.isFree(operand, varRelated):
		return a.relatedListPaths(string(key))
	case a.isFree(operand, varVariables):
		return a.variables[string(key)]
	}
	return a.fieldPathsBelow(a.pathsOf(operand), string(key))
}

// sizeOperand returns the operand of size(x) or x.size(); nil for another number of arguments.
func sizeOperand(call ast.CallExpr) ast.Expr {
	if call.IsMemberFunction() && len(call.Args()) == 0 {
		return call.Target()
	}
	if !call.IsMemberFunction() && len(call.Args()) == 1 {
		return call.Args()[0]
	}
	return nil
}

// comprehensionPaths returns the paths of a comprehension's result. It repeats the analysis until the paths of the accumulator are stable.
func (a *fieldAnalysis) comprehensionPaths(c ast.ComprehensionExpr) fieldPaths {
	a.loopDepth++
	defer func() { a.loopDepth-- }()
	iterRange := a.pathsOf(c.IterRange())
	if a.loopDepth > maxLoopDepth {
		a.markRead(iterRange)
	}
	defer a.bindVariable(c.IterVar(), a.elementPaths(iterRange))()
	if c.HasIterVar2() {
		defer a.bindVariable(c.IterVar2(), a.elementPaths(iterRange))()
	}
	accumulated := a.pathsOf(c.AccuInit())
	unbind := a.bindVariable(c.AccuVar(), accumulated)
	defer func() { unbind() }()
	for round := 0; ; round++ {
		a.scope[c.AccuVar()] = accumulated
		a.markRead(a.pathsOf(c.LoopCondition()))
		grown := accumulated.union(a.pathsOf(c.LoopStep()))
		if len(grown) == len(accumulated) {
			break
		}
		accumulated = grown
		if round == 3 { // the paths may grow in every round
			a.markRead(accumulated)
			break
		}
	}
	a.scope[c.AccuVar()] = accumulated
	return a.pathsOf(c.Result())
}

// bindVariable sets the paths of a variable, and returns a function that restores the former paths.
func (a *fieldAnalysis) bindVariable(name string, values fieldPaths) (unbind func()) {
	former, isShadowed := a.scope[name]
	if values == nil {
		values = fieldPaths{}
	}
	a.scope[name] = values
	return func() {
		if isShadowed {
			a.scope[name] = former
		} else {
			delete(a.scope, name)
		}
	}
}
