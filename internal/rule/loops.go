package rule

import (
	"slices"
	"unique"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// Most rules loop over the objects and ask the same of each: whether it holds of all, or of one, or of which. Such a loop is
// run over one section of the objects after the other, and what came out is kept with the section. It costs the same, and comes out
// the same, as if it were run over all at once.

// loop is a loop over all objects whose outcome follows from its outcomes over their sections.
type loop struct {
	kind loopKind
	// sees are the variables besides the objects that the outcome depends on.
	params, version, related, now bool
}

type loopKind int

const (
	universal   loopKind = iota // objects.all(o, …)
	existential                 // objects.exists(o, …)
	selective                   // objects.filter(o, …)
)

// loops are those of an expression, and the ranges of all loops in it, each by the number of its node.
type loops struct {
	over   map[int64]loop
	ranges map[int64]bool
}

func loopsOf(checked *ast.AST) loops {
	found := loops{over: map[int64]loop{}, ranges: map[int64]bool{}}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(checked), ast.KindMatcher(ast.ComprehensionKind)) {
		if l, ok := loopOf(e); ok {
			found.over[e.ID()] = l
		} else if over := e.AsComprehension().IterRange(); over.Kind() != ast.ListKind || over.AsList().Size() > 0 { // optMap loops over nothing
			found.ranges[over.ID()] = true
		}
	}
	return found
}

// loopOf recognises a loop by what the macros of CEL expand to.
func loopOf(e ast.NavigableExpr) (loop, bool) {
	c := e.AsComprehension()
	if !isIdent(c.IterRange(), "objects") || c.HasIterVar2() || !isIdent(c.Result(), c.AccuVar()) {
		return loop{}, false
	}
	l := loop{}
	step, first := c.LoopStep(), c.AccuInit()
	switch {
	case first.Kind() == ast.LiteralKind && first.AsLiteral() == types.True && isCall(step, operators.LogicalAnd):
		l.kind = universal
	case first.Kind() == ast.LiteralKind && first.AsLiteral() == types.False && isCall(step, operators.LogicalOr):
		l.kind = existential
	case first.Kind() == ast.ListKind && first.AsList().Size() == 0 && isCall(step, operators.Conditional) && addsItself(step, c):
		l.kind = selective
	default:
		return loop{}, false
	}
	if l.kind != selective && !isIdent(step.AsCall().Args()[0], c.AccuVar()) {
		return loop{}, false
	}
	for _, mention := range ast.MatchDescendants(e, ast.KindMatcher(ast.IdentKind)) {
		if mention.ID() == c.IterRange().ID() || bound(mention, e) {
			continue
		}
		switch mention.AsIdent() {
		case "params":
			l.params = true
		case "version", "versionFrom":
			l.version = true
		case "related":
			l.related = true
		case "now":
			l.now = true
		default:
			return loop{}, false // all objects again, or what a loop around this one is at
		}
	}
	return l, true
}

// addsItself tells whether a step adds the object to those found so far, or nothing.
func addsItself(step ast.Expr, c ast.ComprehensionExpr) bool {
	args := step.AsCall().Args()
	if !isCall(args[1], operators.Add) || !isIdent(args[2], c.AccuVar()) {
		return false
	}
	added := args[1].AsCall().Args()
	return isIdent(added[0], c.AccuVar()) && added[1].Kind() == ast.ListKind && added[1].AsList().Size() == 1 &&
		isIdent(added[1].AsList().Elements()[0], c.IterVar())
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

func isCall(e ast.Expr, function string) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == function
}

// bound tells whether a variable that is mentioned in a loop is one of the loop, or of one inside of it.
func bound(mention, loop ast.NavigableExpr) bool {
	for at := mention; at.ID() != loop.ID(); {
		around, _ := at.Parent()
		if around.Kind() == ast.ComprehensionKind {
			c := around.AsComprehension()
			var binds []string
			switch at.ID() {
			case c.IterRange().ID(), c.AccuInit().ID():
			case c.Result().ID():
				binds = []string{c.AccuVar()}
			default:
				binds = []string{c.AccuVar(), c.IterVar(), c.IterVar2()}
			}
			if slices.Contains(binds, mention.AsIdent()) {
				return true
			}
		}
		at = around
	}
	return false
}

// question is a loop with what tells apart the answers to it that are kept beside each other.
type question struct {
	program              *Program
	loop                 int64
	params               string
	version, versionFrom string
}

// answered is what a loop found in a section. Sections have few of them, one after the other, rather than a map: one of ten thousand
// objects that changes has a rule look at dozens.
type answered struct {
	asked unique.Handle[question]
	answer
}

// known is the answer to a question that is kept with the section.
func (s *section) known(asked unique.Handle[question]) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.found {
		if s.found[n].asked == asked {
			return s.found[n].answer, true
		}
	}
	return answer{}, false
}

// keep keeps an answer with the section, in place of an older one.
func (s *section) keep(asked unique.Handle[question], now answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.found {
		if s.found[n].asked == asked {
			s.found[n].answer = now
			return
		}
	}
	if len(s.found) >= maxQuestions {
		s.found = nil
	}
	s.found = append(s.found, answered{asked, now})
}

// answer is the outcome of a loop over a section, and what it cost.
type answer struct {
	related uint64  // the revision of the related lists that it was found with
	span    Span    // zero where time does not matter
	outcome ref.Val // of a loop that selects, nil where it selects none
	spent   budget
}

// maxQuestions bounds what is kept with a section. Where there are more questions, all are asked anew.
const maxQuestions = 128

// inputName is the variable by which loops find the input. No expression can name it.
const inputName = "@input"

// sectioned is a loop that is run over one section of the objects after the other.
type sectioned struct {
	interpreter.InterpretableV2
	loop
	program *Program
	run     *run
}

// Eval implements interpreter.Interpretable.
func (p *sectioned) Eval(activation interpreter.Activation) ref.Val {
	return p.Exec(interpreter.AsFrame(activation))
}

// Exec implements interpreter.InterpretableV2.
func (p *sectioned) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	found, _ := frame.ResolveName(inputName)
	in, ok := found.(*Input)
	if !ok {
		return p.InterpretableV2.Exec(frame)
	}
	p.run.budget.loop(int64(in.Objects.Len()))
	root := in.Objects.split()
	if root == nil {
		return p.InterpretableV2.Exec(frame)
	}
	outcome := p.over(root, p.asking(in, frame))
	if outcome == nil {
		return types.NewRefValList(types.DefaultTypeAdapter, nil)
	}
	return outcome
}

// parts is the outcome over a section that follows from those over its parts.
func (p *sectioned) parts(of *section, a asking) ref.Val {
	var failed ref.Val
	var selected []ref.Val
	for _, part := range of.parts {
		outcome := p.over(part, a)
		switch {
		case types.IsUnknownOrError(outcome):
			if p.kind == selective {
				return outcome
			}
			if failed == nil {
				failed = outcome // unless a later object decides
			}
		case p.kind == selective:
			if outcome != nil {
				selected = appendAll(selected, outcome)
			}
		case outcome == types.Bool(p.kind == existential):
			return outcome
		}
	}
	switch {
	case failed != nil:
		return failed
	case p.kind == selective:
		return types.NewRefValList(types.DefaultTypeAdapter, selected)
	}
	return types.Bool(p.kind == universal)
}

// asking is one run of a loop over all sections.
type asking struct {
	in       *Input
	frame    *interpreter.ExecutionFrame
	question unique.Handle[question]
	keeps    bool // whether answers may be kept
}

func (p *sectioned) asking(in *Input, frame *interpreter.ExecutionFrame) asking {
	asked := question{program: p.program, loop: p.ID()}
	if p.params {
		asked.params = in.ParamsText
	}
	if p.version {
		asked.version, asked.versionFrom = in.Version, in.VersionFrom
	}
	return asking{in, frame, unique.Make(asked), (!p.params || in.ParamsText != "" || len(in.Params) == 0) &&
		(!p.related || in.RelatedRevision != 0 || len(in.Related) == 0)}
}

// over is the outcome of the loop over a section: of one that selects, nil where it selects nothing.
func (p *sectioned) over(of *section, a asking) ref.Val {
	now := answer{}
	if p.related {
		now.related = a.in.RelatedRevision
	}
	if a.keeps {
		if kept, ok := of.known(a.question); ok && kept.related == now.related && kept.span.Holds(a.in.Now) {
			p.run.budget.take(kept.spent)
			p.run.clock.within(kept.span)
			return kept.outcome
		}
	}
	before, outer := p.run.budget, p.run.clock.span
	p.run.clock.span = Span{}
	if of.parts != nil {
		now.outcome = p.parts(of, a)
	} else {
		inner := a.frame.Push(&within{of.contents})
		now.outcome = p.InterpretableV2.Exec(inner)
		inner.Pop()
	}
	now.spent = before.less(p.run.budget)
	if p.now {
		if p.program.restless {
			p.run.clock.restless()
		}
		now.span = p.run.clock.span
	}
	p.run.clock.within(outer)
	keeps := a.keeps
	switch out := now.outcome.(type) {
	case traits.Lister:
		const few = sectionSize / 2
		n, _ := out.Size().(types.Int)
		if n == 0 {
			now.outcome = nil
		}
		keeps = keeps && n <= few // a loop that selects most would keep all objects a second time
	case *types.Err:
		const short = 256
		keeps = keeps && len(out.String()) <= short // it may quote what an object holds
	}
	if keeps {
		of.keep(a.question, now)
	}
	return now.outcome
}

func appendAll(to []ref.Val, list ref.Val) []ref.Val {
	for i := list.(traits.Lister).Iterator(); i.HasNext() == types.True; {
		to = append(to, i.Next())
	}
	return to
}

// within is what a loop sees that is run over a section: of the objects, those of the section.
type within struct{ objects []any }

// ResolveName implements interpreter.Activation.
func (w *within) ResolveName(name string) (any, bool) {
	if name == "objects" {
		return w.objects, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (w *within) Parent() interpreter.Activation { return nil }

// ranged is what a loop loops over. Its rounds are counted before they begin.
type ranged struct {
	interpreter.InterpretableV2
	budget *budget
}

// Eval implements interpreter.Interpretable.
func (r *ranged) Eval(activation interpreter.Activation) ref.Val {
	return r.Exec(interpreter.AsFrame(activation))
}

// Exec implements interpreter.InterpretableV2.
func (r *ranged) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	over := r.InterpretableV2.Exec(frame)
	if holds(over) {
		r.budget.loop(length(over))
	}
	return over
}
