package rule

import (
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// maxRounds is how many rounds all loops of a run may take together. It is enough for some hundred thousand objects. Rounds are
// counted and not timed: what a rule says does not depend on how busy the machine is. What a round may cost is bounded by
// maxEstimatedCost, and by what follows.
const maxRounds = 1_000_000

// A round of a loop may call functions whose work grows with what objects hold: one comparison of two lists of ten thousand
// objects takes as long as all rounds together may, and text that is put together with itself thirty times fills any memory.
// So what functions do is counted too, as it comes, in about nanoseconds and in bytes.
const (
	maxWork = 1 << 29 // half a second
	maxMade = 64 << 20
)

// What one step costs, in about nanoseconds.
const (
	costOfNode    = 64  // an element of a list or a field of an object that is looked at
	costOfCompile = 256 // a character of a regular expression that is compiled when the rule runs
)

// budget is what is left of one run.
type budget struct{ work, made, rounds int64 }

func (b *budget) reset() { b.work, b.made, b.rounds = maxWork, maxMade, maxRounds }

// loop takes the rounds of a loop from what is left, before it runs: it may end sooner.
func (b *budget) loop(rounds int64) { b.take(budget{rounds: rounds}) }

// less is what was spent until no more than another was left.
func (b budget) less(left budget) budget {
	return budget{b.work - left.work, b.made - left.made, b.rounds - left.rounds}
}

// take takes what was spent when something was found from what is left now.
func (b *budget) take(spent budget) {
	b.rounds -= min(spent.rounds, maxRounds+1)
	b.spend(spent.work, spent.made)
}

// spend takes from what is left; where nothing is, the run ends at once.
func (b *budget) spend(work, made int64) {
	if work < 0 || made < 0 { // the product of two sizes is beyond counting
		work = maxWork + 1
	}
	b.work -= min(work, maxWork+1)
	b.made -= min(made, maxMade+1)
	if b.work < 0 || b.made < 0 || b.rounds < 0 {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: ErrTooCostly.Error()})
	}
}

// charged is a node whose work is counted. That it is a call is hidden, because what optimises calls later would take the
// counting away.
type charged struct{ interpreter.InterpretableV2 }

// constructed counts the lists and maps that an expression writes out.
type constructed struct {
	interpreter.InterpretableV2
	budget *budget
	made   int64
}

// Exec implements interpreter.InterpretableV2.
func (c *constructed) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	c.budget.spend(0, c.made)
	return c.InterpretableV2.Exec(frame)
}

// Eval implements interpreter.Interpretable.
func (c *constructed) Eval(activation interpreter.Activation) ref.Val {
	return c.Exec(interpreter.AsFrame(activation))
}

// counting has every function whose work is not the same for all arguments count it. bindings are the functions by overload.
func counting(b *budget, bindings map[string]*functions.Overload) func(interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	return func(node interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		switch inner := node.(type) {
		case interpreter.InterpretableConstructor:
			if elements := inner.InitVals(); !constant(elements) {
				const each = 32
				return &constructed{node, b, int64(len(elements)) * each}, nil
			}
		case interpreter.InterpretableCall:
			cost, counted := costs[inner.Function()]
			if !counted || constant(inner.Args()) && !expands[inner.Function()] {
				return node, nil
			}
			run := implementation(inner, bindings)
			if run == nil {
				return node, nil
			}
			if regular, run := compiledPattern(inner); run != nil {
				return charged{interpreter.NewCall(inner.ID(), inner.Function(), inner.OverloadID(), inner.Args(), func(args ...ref.Val) ref.Val {
					b.spend(matching(args[0], regular), 0)
					return run(args...)
				})}, nil
			}
			return charged{interpreter.NewCall(inner.ID(), inner.Function(), inner.OverloadID(), inner.Args(), func(args ...ref.Val) ref.Val {
				b.spend(cost(args, b.work))
				return types.LabelErrNode(inner.ID(), run(args...))
			})}, nil
		}
		return node, nil
	}
}

func constant(nodes []interpreter.InterpretableV2) bool {
	for _, node := range nodes {
		if _, ok := node.(interpreter.InterpretableConst); !ok {
			return false
		}
	}
	return true
}

// implementation is the function that a call runs; nil for one that takes errors as arguments, which costs nothing.
func implementation(call interpreter.InterpretableCall, bindings map[string]*functions.Overload) functions.FunctionOp {
	switch call.Function() {
	case operators.Equals:
		return func(args ...ref.Val) ref.Val { return types.Equal(args[0], args[1]) }
	case operators.NotEquals:
		return func(args ...ref.Val) ref.Val { return types.Bool(types.Equal(args[0], args[1]) != types.True) }
	}
	bound := bindings[call.OverloadID()]
	if bound == nil {
		bound = bindings[call.Function()]
	}
	if bound == nil || bound.NonStrict {
		return nil
	}
	return func(args ...ref.Val) ref.Val {
		switch {
		case bound.OperandTrait != 0 && !args[0].Type().HasTrait(bound.OperandTrait):
			return types.MaybeNoSuchOverloadErr(args[0])
		case bound.Unary != nil && len(args) == 1:
			return bound.Unary(args[0])
		case bound.Binary != nil && len(args) == 2:
			return bound.Binary(args[0], args[1])
		case bound.Function != nil:
			return bound.Function(args...)
		}
		return types.MaybeNoSuchOverloadErr(args[0])
	}
}

// compiledPattern compiles the regular expression of a call that names it outright, once, and tells how large it is.
func compiledPattern(call interpreter.InterpretableCall) (int64, functions.FunctionOp) {
	args := call.Args()
	if call.Function() != "matches" || len(args) != 2 {
		return 0, nil
	}
	pattern, ok := args[1].(interpreter.InterpretableConst)
	if !ok {
		return 0, nil
	}
	text, ok := pattern.Value().Value().(string)
	if !ok {
		return 0, nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return 0, nil // refused where the expression is compiled
	}
	return steps(text), func(args ...ref.Val) ref.Val {
		in, ok := args[0].Value().(string)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[0])
		}
		return types.Bool(compiled.MatchString(in))
	}
}

// steps are those of the machine that a regular expression becomes: "a{1000}" is short, and has a thousand.
func steps(pattern string) int64 {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 1
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 1
	}
	return int64(len(program.Inst))
}

// matching is what a regular expression of so many steps costs over a text: each character may take each step.
func matching(text ref.Val, steps int64) int64 { return (textSize(text) + 1) * (8 + 2*steps) }

// cost is what a call takes and makes. left is how much is worth counting.
type cost func(args []ref.Val, left int64) (work, made int64)

// expands are functions that make much of little, so that constants are no reason to let them be.
var expands = map[string]bool{"lists.range": true, "format": true, "replace": true, "findAll": true, "matches": true, "find": true}

// costs are those of the functions that take longer the more there is. Every other takes the same for all arguments.
var costs = map[string]cost{
	operators.Equals: comparing, operators.NotEquals: comparing,
	operators.Less: comparing, operators.LessEquals: comparing, operators.Greater: comparing, operators.GreaterEquals: comparing,
	operators.In: finding, "sets.contains": crossing, "sets.equivalent": crossing, "sets.intersects": crossing, "includes": finding,
	operators.Add: adding, "join": joining,
	"matches": matchingAny, "find": matchingAny, "findAll": matchingAll,
	"replace": replacing, "split": splitting, "format": formatting,
	"indexOf": scanning, "lastIndexOf": scanning, "contains": onceOver, "startsWith": onceOver, "endsWith": onceOver,
	"lowerAscii": copying, "upperAscii": copying, "trim": copying, "substring": copying, "reverse": copying, "charAt": copying, "strings.quote": copying,
	"string": copying, "bytes": copying, "size": onceOver,
	"url": copying, "isURL": copying, "quantity": onceOver, "isQuantity": onceOver, "ip": onceOver, "isIP": onceOver, "cidr": onceOver, "isCIDR": onceOver,
	"semver": copying, "isSemver": copying, "validate": copying, "timestamp": onceOver, "duration": onceOver, "int": onceOver, "uint": onceOver, "double": onceOver,
	"distinct": crossingItself, "sort": sorting, "@sortByAssociatedKeys": sorting, "isSorted": walking, "sum": walking, "min": walking, "max": walking,
	"flatten": walking, "slice": walking, "lists.range": ranging, "first": onceOver, "last": onceOver,
}

func comparing(args []ref.Val, left int64) (int64, int64) {
	a, b := args[0], args[1]
	if sizeA, ok := a.(traits.Sizer); ok {
		if sizeB, ok := b.(traits.Sizer); ok && holds(a) && holds(b) && sizeA.Size() != sizeB.Size() {
			return 1, 0
		}
	}
	if !holds(a) && !holds(b) {
		return 1 + min(textSize(a), textSize(b))/8, 0
	}
	first := deep(a, left)
	return min(first, deep(b, first)), 0
}

func finding(args []ref.Val, left int64) (int64, int64) {
	list, sought := args[1], args[0]
	if _, ok := list.(traits.Lister); !ok {
		if list, sought = args[0], args[1]; !isList(list) {
			return 1, 0 // a key of a map
		}
	}
	if !holds(sought) {
		return length(list) * costOfNode, 0
	}
	return deep(list, left), 0
}

// crossing compares each with each.
func crossing(args []ref.Val, left int64) (int64, int64) {
	if length(args[0]) == 0 || length(args[1]) == 0 {
		return 1, 0
	}
	return times(length(args[0]), deep(args[1], left)), 0
}

func crossingItself(args []ref.Val, left int64) (int64, int64) {
	return times(length(args[0]), deep(args[0], left)), 0
}

func sorting(args []ref.Val, left int64) (int64, int64) {
	return times(deep(args[0], left), int64(bits.Len64(uint64(length(args[0]))))), length(args[0]) * 16 //nolint:gosec // a length
}

func walking(args []ref.Val, left int64) (int64, int64) {
	return deep(args[0], left), length(args[0]) * 16
}

func ranging(args []ref.Val, _ int64) (int64, int64) {
	if n, ok := args[0].(types.Int); ok && n > 0 {
		return 0, times(int64(n), 32)
	}
	return 1, 0
}

func adding(args []ref.Val, _ int64) (int64, int64) {
	made := textSize(args[0]) + textSize(args[1])
	return 1 + made, made + 32
}

func joining(args []ref.Val, left int64) (int64, int64) {
	work := deep(args[0], left)
	made := work
	if len(args) > 1 {
		made += times(length(args[0]), textSize(args[1]))
	}
	return work, made
}

func matchingAny(args []ref.Val, _ int64) (int64, int64) {
	pattern, ok := args[1].(types.String)
	if !ok {
		return 1, 0
	}
	return int64(len(pattern))*costOfCompile + matching(args[0], steps(string(pattern))), 0
}

// matchingAll may find every character.
func matchingAll(args []ref.Val, left int64) (int64, int64) {
	const eachWork, eachMade = 512, 32
	work, _ := matchingAny(args, left)
	return work + eachWork*textSize(args[0]), eachMade * textSize(args[0])
}

func replacing(args []ref.Val, _ int64) (int64, int64) {
	text, ok := args[0].(types.String)
	old, okOld := args[1].(types.String)
	if !ok || !okOld {
		return 1, 0
	}
	found := int64(strings.Count(string(text), string(old)))
	made := int64(len(text)) + times(found, textSize(args[2]))
	return made, made
}

func splitting(args []ref.Val, _ int64) (int64, int64) {
	text, ok := args[0].(types.String)
	sep, okSep := args[1].(types.String)
	if !ok || !okSep {
		return 1, 0
	}
	pieces := int64(strings.Count(string(text), string(sep)) + 1)
	return int64(len(text)) + pieces*32, pieces * 32
}

// precision finds how many digits a format asks for.
var precision = regexp.MustCompile(`%\.(\d+)`)

func formatting(args []ref.Val, left int64) (int64, int64) {
	text, ok := args[0].(types.String)
	if !ok {
		return 1, 0
	}
	made := int64(len(text)) + deep(args[1], left)
	for _, digits := range precision.FindAllStringSubmatch(string(text), -1) {
		if len(digits[1]) > 3 {
			return maxWork + 1, 0
		}
		made += 1000
	}
	return made, made
}

func scanning(args []ref.Val, _ int64) (int64, int64) {
	if isList(args[0]) {
		return length(args[0]) * costOfNode, 0
	}
	return times(textSize(args[0])+1, textSize(args[1])+1), textSize(args[0]) * 4
}

func onceOver(args []ref.Val, _ int64) (int64, int64) { return 1 + textSize(args[0]), 0 }

func copying(args []ref.Val, _ int64) (int64, int64) {
	size := textSize(args[0])
	return 1 + 4*size, 4 * size
}

func times(a, b int64) int64 {
	const most = 1 << 40
	if a > 0 && b > most/a {
		return most
	}
	return a * b
}

func isList(v ref.Val) bool {
	_, ok := v.(traits.Lister)
	return ok
}

// holds tells whether a value holds others.
func holds(v ref.Val) bool {
	switch v.(type) {
	case traits.Lister, traits.Mapper:
		return true
	}
	return false
}

func length(v ref.Val) int64 {
	if sized, ok := v.(traits.Sizer); ok && holds(v) {
		if n, ok := sized.Size().(types.Int); ok {
			return int64(n)
		}
	}
	return 1
}

func textSize(v ref.Val) int64 {
	switch text := v.(type) {
	case types.String:
		return int64(len(text))
	case types.Bytes:
		return int64(len(text))
	}
	return 1
}

// deep is what looking at all of a value costs. It looks no further than what is left.
func deep(v ref.Val, left int64) int64 {
	total := int64(costOfNode)
	switch v := v.(type) {
	case *record:
		for _, value := range v.values {
			if total += deep(value, left-total); total > left {
				return total
			}
		}
	case traits.Mapper:
		for i := v.Iterator(); i.HasNext() == types.True; {
			key := i.Next()
			value, _ := v.Find(key)
			if total += textSize(key) + deep(value, left-total); total > left {
				return total
			}
		}
	case traits.Lister:
		for i := v.Iterator(); i.HasNext() == types.True; {
			if total += deep(i.Next(), left-total); total > left {
				return total
			}
		}
	default:
		return costOfNode + textSize(v)
	}
	return total
}
