package uprobe

import (
	"fmt"
	"go/token"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// The conditions of whole calls may name what is known only when the call returns.
// They are taken apart where nothing is lost by it: what && joins at the top and
// needs arguments only is decided at the entry, and the rest at the return. What
// that needs of the arguments, numbers and bools, is computed at the entry and kept
// with the open call: behind pointers there may be something else by then.

// atReturn is what a function's conditions ask of its calls when they return, and what
// these and aggregations need of the entry.
type atReturn struct {
	// where are the conditions, texts what the user wrote of them.
	where []*capture.Expr
	texts []string
	// keep are the values of the entry that they need.
	keep []*capture.Expr
	// unwound says whether a call that panics meets them. Where that depends on its
	// arguments, unwoundIf is the condition, for the entry.
	unwound   expr.Outcome
	unwoundIf *capture.Expr
	// panicked is a condition that asks whether a call panicked, "" if none does.
	panicked string
}

// asks reports whether there are conditions of the return.
func (f *Func) asks() bool { return f.atReturn != nil && len(f.atReturn.texts) > 0 }

// dropsUnwound reports whether a call that panicked is not to be delivered, by the
// record of its entry.
func (f *Func) dropsUnwound(entry []byte) bool {
	if f.atReturn == nil {
		return false
	}
	if f.atReturn.unwoundIf != nil {
		return order.Uint64(entry[f.plan.Pair+capture.PairTime:]) == 0
	}
	return f.atReturn.unwound != expr.Met
}

// Names that conditions, and durationName also what is counted, have for what is
// known when the call returns. Parameters and results of the same name come first.
const (
	durationName = "duration"
	panickedName = "panicked"
)

// nameOfResult is the name of the i-th result by its position.
func nameOfResult(i int) string { return fmt.Sprintf("result%d", i) }

// returnScope is what conditions of whole calls can name: the parameters, then the
// results, and then what has names of this package.
type returnScope struct {
	*expr.Scope
	params, results int
	locations       []abi.Location // of the results
	// aliases are the results that a name by position means, by the number of the
	// name; duration and panicked are those of theirs, -1 without.
	aliases            map[int64]int64
	duration, panicked int64
}

// late reports whether a name is known only when the call returns.
func (s *returnScope) late(n int64) bool { return n >= int64(s.params) }

// returnScope adds what is known at the return to what conditions can name.
func (c *exprCompiler) returnScope(d *description) (*returnScope, error) {
	scope := *c.scope
	scope.Params = append([]abi.Param{}, scope.Params...)
	scope.Results = true
	s := &returnScope{Scope: &scope, params: len(scope.Params), aliases: map[int64]int64{}, duration: -1, panicked: -1}
	var results []Param
	if d.goCode && d.noResults == "" && d.results != nil && d.source != SourceNone {
		var err error
		if results, err = d.results(); err != nil {
			return nil, err
		}
	}
	for _, r := range results {
		scope.Params = append(scope.Params, abi.Param{Name: r.Name, Type: r.Type})
		s.locations = append(s.locations, c.b.readable(r.Location))
	}
	s.results = len(results)
	if t, ok := scope.Types.(*exprTypes); ok {
		scope.Types = &exprTypes{b: t.b, params: scope.Params}
	}
	taken := map[string]bool{}
	for _, p := range scope.Params {
		taken[p.Name] = true
	}
	add := func(name string, t *abi.Type) int64 {
		if taken[name] {
			return -1
		}
		scope.Params = append(scope.Params, abi.Param{Name: name, Type: t})
		return int64(len(scope.Params) - 1)
	}
	for i, r := range results {
		if r.Name == missingResult {
			break // those behind it may be others
		}
		if n := add(nameOfResult(i), r.Type); n >= 0 {
			s.aliases[n] = int64(s.params + i)
		}
	}
	s.duration = add(durationName, expr.DurationType)
	s.panicked = add(panickedName, &abi.Type{Name: "bool", Kind: abi.Bool, Size: 1, Align: 1})
	return s, nil
}

// what says what a name is that is known only when the call returns.
func (s *returnScope) what(n int64) string {
	name := s.Params[n].Name
	switch {
	case n == s.duration, n == s.panicked:
		return name
	case token.IsIdentifier(name):
		return "result " + name
	}
	return "result " + nameOfResult(int(n)-s.params)
}

// unknownAt says of an expression that an entry cannot compute, because of err,
// that it names what is known only at the return, if so, and whether that is known
// with WithResults.
func (c *exprCompiler) unknownAt(d *description, text string, err error, advice string, whole bool) error {
	s, serr := c.returnScope(d)
	if serr != nil {
		return err
	}
	e, cerr := expr.Compile(text, s.Scope)
	if cerr != nil {
		return err
	}
	if n := expr.Find(e.Root, s.late); n != nil {
		return &ExprError{
			Text: text, Column: n.Column, Message: s.what(s.real(n.N)) + " is known only when the call returns: " + advice, NeedsResults: whole,
		}
	}
	return err
}

// real returns the number of a result that is named by its position.
func (s *returnScope) real(n int64) int64 {
	if r, ok := s.aliases[n]; ok {
		return r
	}
	return n
}

// own gives results that are named by their position their own numbers.
func (s *returnScope) own(root *expr.Node) *expr.Node {
	return expr.Replace(root, func(n *expr.Node) *expr.Node {
		m := *n
		m.N = s.real(n.N)
		return &m
	})
}

// whole compiles a condition of whole calls for f.
func (c *exprCompiler) whole(f *Func, d *description, text string) error {
	s, err := c.returnScope(d)
	if err != nil {
		return err
	}
	e, err := expr.Condition(text, s.Scope)
	if err != nil {
		return exprError(err)
	}
	root := s.own(e.Root)
	if expr.Find(root, s.late) == nil {
		where, err := c.condition(text)
		if err == nil {
			f.where = append(f.where, where)
		}
		return err
	}
	if looksIntoMap(root) {
		return noMaps(text, root)
	}
	var early []*expr.Node
	for _, n := range expr.Conjuncts(root) {
		if expr.Find(n, s.late) == nil {
			early = append(early, n)
			continue
		}
		if err := c.later(f, s, text, n); err != nil {
			return err
		}
	}
	f.atReturn.texts = append(f.atReturn.texts, text)
	if len(early) == 0 {
		return nil
	}
	n := expr.All(early)
	if err := c.neverMet(text, n, nil); err != nil {
		return err
	}
	where, err := c.program(text, n, true)
	if err == nil {
		f.where = append(f.where, where)
	}
	return err
}

// later adds a conjunct that needs the return.
func (c *exprCompiler) later(f *Func, s *returnScope, text string, n *expr.Node) error {
	r := f.returned()
	if expr.Find(n, func(p int64) bool { return p == s.panicked }) != nil {
		r.panicked = text
	}
	fails := func(n *expr.Node, format string, args ...any) error {
		return &ExprError{Text: text, Column: n.Column, Message: fmt.Sprintf(format, args...), Unsupported: true}
	}
	truth := func(panicked bool) *expr.Node {
		return expr.Replace(n, func(p *expr.Node) *expr.Node {
			if p.N == s.panicked {
				return expr.Bool(p, panicked)
			}
			return p
		})
	}
	if err := c.unwinding(r, s, text, truth(true)); err != nil {
		return err
	}
	returned := truth(false)
	if err := c.neverMet(text, returned, s); err != nil {
		return err
	}
	e, err := c.overResults(r, s, text, returned)
	if err != nil {
		return err
	}
	if why := probegen.CheckExpr(c.b.arch, e, true); why != "" {
		return fails(e.Root, "a probe cannot compute this: %s", why)
	}
	r.where = append(r.where, e)
	return nil
}

// overResults makes a tree over arguments and results one for the return: what it needs
// of the arguments is kept. Results that are named by their position must have their
// own numbers.
func (c *exprCompiler) overResults(r *atReturn, s *returnScope, text string, root *expr.Node) (*capture.Expr, error) {
	fails := func(n *expr.Node, format string, args ...any) (*capture.Expr, error) {
		return nil, &ExprError{Text: text, Column: n.Column, Message: fmt.Sprintf(format, args...), Unsupported: true}
	}
	// Numbers at the return: results, duration, what is kept.
	first := int64(s.results) + 1
	early := func(n int64) bool { return !s.late(n) }
	rest, kept, cannot := expr.Keep(root, early, int64(len(s.Params)))
	if cannot != nil {
		return fails(cannot, "this is known when the call begins, and what it is compared or combined with when it returns: "+
			"only numbers and bools can be kept until then, not a %s; ask for a part of it that is one", cannot.Type.Name)
	}
	if len(r.keep)+len(kept) > probegen.MaxKept {
		return fails(root, "more than %d values of the arguments would have to be kept until the call returns: join with && what needs arguments only", probegen.MaxKept)
	}
	before := int64(len(r.keep))
	for _, k := range kept {
		e := c.of(k)
		if at := asserts(k); at != nil && c.descriptors == 0 {
			return nil, noDescriptors(text, at)
		}
		if why := probegen.CheckKept(c.b.arch, e); why != "" {
			return fails(k, "a probe cannot compute this: %s", why)
		}
		r.keep = append(r.keep, e)
	}
	rest = expr.Replace(rest, func(p *expr.Node) *expr.Node {
		m := *p
		switch {
		case p.N == s.duration:
			m.N = int64(s.results)
		case p.N >= int64(len(s.Params)):
			m.N = first + before + p.N - int64(len(s.Params))
		default:
			m.N = p.N - int64(s.params)
		}
		return &m
	})
	e := &capture.Expr{Root: rest, Params: s.locations, Descriptors: c.descriptors, Return: true}
	if at := asserts(rest); at != nil && c.descriptors == 0 {
		return nil, noDescriptors(text, at)
	}
	return e, nil
}

// returned returns what is asked of the calls of f when they return.
func (f *Func) returned() *atReturn {
	if f.atReturn == nil {
		f.atReturn = &atReturn{unwound: expr.Met}
	}
	return f.atReturn
}

// unwinding works out whether a call that panics meets a conjunct in which panicked
// is true: results and duration have no value then.
func (c *exprCompiler) unwinding(r *atReturn, s *returnScope, text string, n *expr.Node) error {
	outcome, rest := expr.Without(n, s.late)
	switch {
	case r.unwound == expr.Unmet:
	case outcome == expr.Unmet:
		r.unwound, r.unwoundIf = expr.Unmet, nil
	case outcome == expr.Depends:
		if r.unwoundIf != nil {
			rest = expr.All([]*expr.Node{r.unwoundIf.Root, rest})
		}
		e, err := c.program(text, rest, true)
		if err != nil {
			return err
		}
		r.unwound, r.unwoundIf = expr.Depends, e
	}
	return nil
}

// of makes a tree over the parameters one for the entry.
func (c *exprCompiler) of(root *expr.Node) *capture.Expr {
	return &capture.Expr{Root: root, Params: c.locations, Descriptors: c.descriptors}
}

// neverMet is the error of a condition that needs what a probe cannot read. s is nil
// for one over the parameters only.
func (c *exprCompiler) neverMet(text string, root *expr.Node, s *returnScope) error {
	locations := c.locations
	if s != nil {
		locations = append(locations[:len(locations):len(locations)], s.locations...)
	}
	for _, p := range expr.Touched(expr.Of(c.b.arch, root)) {
		at, size := p.Offset, p.Size
		if len(p.Steps) > 0 {
			at, size = p.Steps[0].Offset, c.b.arch.PtrSize
		}
		if p.Maybe || p.Param >= len(locations) {
			continue
		}
		for _, piece := range locations[p.Param] {
			if piece.Kind == abi.Nowhere && piece.Offset < at+size && at < piece.Offset+piece.Size {
				name, where := "", "entry"
				if p.Param < len(c.locations) {
					name = c.scope.Params[p.Param].Name
				} else {
					name, where = s.what(int64(p.Param)), "return"
				}
				return &ExprError{Text: text, Column: 1, Message: fmt.Sprintf("it would never be met: %s is not there at the %s: %s",
					name, where, piece.Reason)}
			}
		}
	}
	return nil
}

func noMaps(text string, root *expr.Node) error {
	return &ExprError{Text: text, Column: root.Column, Message: "a probe cannot look into maps: capture the element, and look at it in the handler", Unsupported: true}
}

func noDescriptors(text string, at *expr.Node) error {
	return &ExprError{Text: text, Column: at.Column, Message: "what interfaces hold is not known: the binary's type data were not found"}
}

// checkReturn is the error of conditions of the return where no returns are seen, or
// where there are none and a panic does not meet them.
func (f *Func) checkReturn() error {
	why := ""
	switch {
	case !f.asks():
	case f.noResults != "":
		why = "it needs what is known only when the call returns, which cannot be had: " + f.noResults
	case len(f.returns) == 0 && f.atReturn.unwound == expr.Unmet:
		why = "it would never be met: each call ends by a panic, and so has neither results nor a duration"
	}
	if why == "" {
		return nil
	}
	return &ExprError{Text: f.atReturn.texts[0], Column: 1, Message: why}
}
