package rule

import (
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// Rules mostly look at the time to compare it: whether something is older than an hour. How far both sides are apart tells
// when the comparison turns, so that what a rule said stands until the first of its comparisons does.

// errorStands is how long an error in place of a time stands. Mostly it is about what an object holds, and stands until that
// is mended; but what is centuries ahead is an error too, and need not be one for ever.
const errorStands = time.Minute

// clock is the time of a run, and when what comes out stands.
type clock struct {
	now  time.Time
	span Span
}

// within notes that the outcome may be another one outside of a span.
func (c *clock) within(s Span) { c.span = c.span.And(s) }

// restless notes that the outcome may be another one at any time.
func (c *clock) restless() { c.within(Span{c.now, c.now.Add(1)}) }

// Span is when something stands that time alone changes: from a time on, and until another. Zero times are no bounds.
type Span struct{ From, Until time.Time }

// Holds tells whether it stands at a time. That may lie before the one that it was found at: clocks are set back, and of two
// who ask at the same moment either may be first.
func (s Span) Holds(now time.Time) bool {
	return !now.Before(s.From) && (s.Until.IsZero() || now.Before(s.Until))
}

// And is when both stand.
func (s Span) And(other Span) Span {
	if other.From.After(s.From) {
		s.From = other.From
	}
	if s.Until.IsZero() || !other.Until.IsZero() && other.Until.Before(s.Until) {
		s.Until = other.Until
	}
	return s
}

// moves are the comparisons whose two sides time moves against each other, by the number of the node: 1 where the left one
// gains on the right one, -1 where it falls behind. restless says that the expression looks at the time in other ways too.
func movesOf(expr ast.Expr) (moves map[int64]int, restless bool) {
	moves = map[int64]int{}
	told := map[int64]bool{}
	ast.PostOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || !compares(e.AsCall().FunctionName()) {
			return
		}
		args := e.AsCall().Args()
		left, right := paceOf(args[0]), paceOf(args[1])
		switch pace := left.pace - right.pace; pace {
		case 1, -1:
			moves[e.ID()] = pace
		case 0: // both sides move alike
		default:
			return
		}
		for _, id := range append(left.by, right.by...) {
			told[id] = true
		}
	}))
	ast.PostOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) {
		restless = restless || isIdent(e, "now") && !told[e.ID()]
	}))
	return moves, restless
}

func compares(function string) bool {
	switch function {
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return true
	}
	return false
}

// pace is how many seconds an expression gains in one, and by which mentions of the time.
type pace struct {
	pace int
	by   []int64
}

func paceOf(e ast.Expr) pace {
	if isIdent(e, "now") {
		return pace{1, []int64{e.ID()}}
	}
	if !isCall(e, operators.Add) && !isCall(e, operators.Subtract) {
		return pace{} // whatever of the time is in it has to be told by comparisons of its own
	}
	args := e.AsCall().Args()
	left, right := paceOf(args[0]), paceOf(args[1])
	if isCall(e, operators.Subtract) {
		right.pace = -right.pace
	}
	return pace{left.pace + right.pace, append(left.by, right.by...)}
}

// moving is a comparison that notes when it turns.
type moving struct {
	interpreter.InterpretableV2
	left, right interpreter.InterpretableV2
	function    string
	pace        int
	clock       *clock
	budget      *budget
}

// movingOf has a comparison note when it turns. counted is the comparison whose work is counted.
func movingOf(call interpreter.InterpretableCall, counted interpreter.InterpretableV2, pace int, r *run) *moving {
	args := call.Args()
	return &moving{counted, args[0], args[1], call.Function(), pace, &r.clock, &r.budget}
}

// Eval implements interpreter.Interpretable.
func (m *moving) Eval(activation interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(activation))
}

// Exec implements interpreter.InterpretableV2.
func (m *moving) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	left, right := m.left.Exec(frame), m.right.Exec(frame)
	ahead, ok := apart(left, right)
	if !ok {
		m.clock.within(Span{m.clock.now.Add(-errorStands), m.clock.now.Add(errorStands)})
		return m.InterpretableV2.Exec(frame)
	}
	m.budget.spend(1, 0)
	turn := m.clock.now.Add(time.Duration(-m.pace) * ahead) // when both sides are equal
	if m.outcome(0) == m.outcome(time.Duration(-m.pace)) {  // which is as it was before
		turn = turn.Add(1)
	}
	if m.clock.now.Before(turn) {
		m.clock.within(Span{Until: turn})
	} else {
		m.clock.within(Span{From: turn})
	}
	return types.Bool(m.outcome(ahead))
}

// outcome is that of the comparison where the left side is ahead of the right one by so much.
func (m *moving) outcome(ahead time.Duration) bool {
	switch m.function {
	case operators.Less:
		return ahead < 0
	case operators.LessEquals:
		return ahead <= 0
	case operators.Greater:
		return ahead > 0
	}
	return ahead >= 0
}

// apart is by how much one time, or one duration, is ahead of another. What is centuries ahead is told to be less.
func apart(left, right ref.Val) (time.Duration, bool) {
	switch left := left.(type) {
	case types.Timestamp:
		if right, ok := right.(types.Timestamp); ok {
			return left.Sub(right.Time), true
		}
	case types.Duration:
		if right, ok := right.(types.Duration); ok {
			ahead := left.Duration - right.Duration
			return ahead, (ahead < 0) == (left.Duration < right.Duration) // no overflow
		}
	}
	return 0, false
}
