package uprobe

import (
	"errors"
	"fmt"
	"go/token"
	"slices"
	"strings"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// aggregated is the aggregation of a function.
type aggregated struct {
	program probegen.Aggregate
	// key has the parts of the key, value what is counted by size, if anything is.
	key   []aggregatedPart
	value aggregatedPart
}

// aggregatedPart is an expression of an aggregation. typ is nil if it is none. root is
// what it is made of: the parameters, and behind them the results, of which there are
// params.
//
// panicked says that it asks whether the call panicked, unwound is what it is then, nil
// if it has no value.
type aggregatedPart struct {
	text     string
	typ      *abi.Type
	root     *expr.Node
	params   int
	panicked bool
	unwound  *capture.Expr
}

// aggregate returns what programs are told, nil if the function is not aggregated.
func (f *Func) aggregate() *probegen.Aggregate {
	if f.aggregated == nil {
		return nil
	}
	return &f.aggregated.program
}

// aggregate compiles the expressions of an aggregation for a function.
func (c *exprCompiler) aggregate(f *Func, d *description, a *aggregation) error {
	g := &aggregated{}
	asksPanicked := f.atReturn != nil && f.atReturn.panicked != ""
	named := func(name string) bool {
		return slices.ContainsFunc(f.params, func(p Param) bool { return p.Name == name })
	}
	for _, text := range a.by {
		part, kind := aggregatedPart{text: text}, keyKinds[text]
		if named(text) {
			kind = 0
		}
		var e *capture.Expr
		if kind == 0 {
			var err error
			if e, err = c.aggregated(f, d, &part, probegen.CheckKey); err != nil {
				return orKeyWord(text, err)
			}
		}
		g.key = append(g.key, part)
		g.program.Key = append(g.program.Key, probegen.KeyPart{Expr: e, Kind: kind, Unwound: part.unwound})
		asksPanicked = asksPanicked || part.panicked
		g.program.Layout.Strings = append(g.program.Layout.Strings, e != nil && e.Root.Type.Kind == abi.String)
	}
	f.aggregated = g
	// Where those that panic do not count, the others alone are looked at.
	g.program.Unwinds = asksPanicked && (f.atReturn == nil || f.atReturn.unwound != expr.Unmet)
	defer func() { g.program.AtReturn = f.asks() || len(g.program.Exprs(true)) > 0 }()
	if !a.sized {
		return nil
	}
	b := a.scale.buckets
	g.value.text = a.value
	g.program.Buckets = &b
	if s, err := c.returnScope(d); err != nil {
		return err
	} else if a.value == durationName && s.duration >= 0 {
		if b.Min < 0 {
			return fmt.Errorf("histogram of durations: the scale begins at %v, and they are never negative: begin at 0", time.Duration(b.Min))
		}
		return nil
	}
	e, err := c.aggregated(f, d, &g.value, probegen.CheckValue)
	if err != nil {
		return err
	}
	g.program.Value = e
	b.Signed = e.Root.Type.Kind <= abi.Int64
	if !b.Signed && b.Min < 0 {
		return fmt.Errorf("histogram of %s, a %s: the scale begins at %d, and it is never negative: begin at 0", a.value, e.Root.Type, b.Min)
	}
	return nil
}

// orKeyWord adds to the error of a part of a key that is a name what else it can be.
func orKeyWord(text string, err error) error {
	var e *ExprError
	if errors.As(err, &e) && token.IsIdentifier(text) && strings.HasPrefix(e.Message, "no parameter") {
		e.Message += fmt.Sprintf("; a key can also be %s, %s, %s, %s or %s", goroutineName, parentName, creatorName, stackName, pidName)
	}
	return err
}

// aggregated compiles an expression of an aggregation, of which check says what is
// wrong with it: one over the parameters, or else over the results, too.
func (c *exprCompiler) aggregated(f *Func, d *description, part *aggregatedPart, check func(*abi.Arch, *capture.Expr) string) (*capture.Expr, error) {
	text := part.text
	root, s, err := c.aggregatedTree(d, text)
	if err != nil {
		return nil, err
	}
	fail := func(column int, format string, args ...any) (*capture.Expr, error) {
		return nil, &ExprError{Text: text, Column: column, Message: fmt.Sprintf(format, args...)}
	}
	scope := c.scope
	if s != nil {
		scope = s.Scope
	}
	redactedName := func(n *expr.Node) bool {
		return n.Op == expr.Param && c.redact.Name(scope.Params[n.N].Name)
	}
	switch {
	case isConstant(root):
		return fail(1, "a constant: it says nothing of a call")
	case looksIntoMap(root):
		return nil, &ExprError{Text: text, Column: root.Column, Message: "a probe cannot look into maps, so they cannot be counted by", Unsupported: true}
	case c.redact.Input(text, root.Type) || showsRedacted(c.redact, root) || c.redact != nil && anyNode(root, redactedName):
		return fail(1, "it is redacted, and would be shown as a key or value: leave it out, or show everything by WithoutRedaction (-no-redact)")
	}
	part.root, part.params, part.typ = root, len(c.scope.Params), root.Type
	p := c.of(root)
	if s != nil {
		if root, err = c.unwoundPart(s, part); err != nil {
			return nil, err
		}
		if p, err = c.overResults(f.returned(), s, text, root); err != nil {
			return nil, err
		}
	}
	if at := asserts(root); at != nil && c.descriptors == 0 {
		return fail(at.Column, "what interfaces hold is not known: the binary's type data were not found")
	}
	if why := check(c.b.arch, p); why != "" {
		return fail(root.Column, "%s", why)
	}
	return p, nil
}

// aggregatedTree returns what an expression of an aggregation is made of, and if that
// are results the scope that has them.
func (c *exprCompiler) aggregatedTree(d *description, text string) (*expr.Node, *returnScope, error) {
	e, err := expr.Compile(text, c.scope)
	if err == nil {
		return e.Root, nil, nil
	}
	s, serr := c.returnScope(d)
	if serr != nil {
		return nil, nil, serr
	}
	s.Durations = true
	late, lerr := expr.Compile(text, s.Scope)
	if lerr != nil {
		return nil, nil, exprError(lerr)
	}
	return s.own(late.Root), s, nil
}

// checkKeysRedacted returns an error if an aggregation shows parameters or results of
// generic code that have a type that is redacted in one of the instances.
func (f *Func) checkKeysRedacted(r *capture.Redaction) error {
	hidden := f.hiddenParams(r)
	results := map[int64]bool{}
	for i := range f.instances {
		for k, t := range f.instances[i].results {
			if r != nil && t != nil && !results[int64(k)] {
				results[int64(k)] = holdsRedacted(r, t, make(map[*abi.Type]bool))
			}
		}
	}
	for _, p := range append(slices.Clone(f.aggregated.key), f.aggregated.value) {
		if anyNode(p.root, func(n *expr.Node) bool {
			return n.Op == expr.Param && (n.N < int64(p.params) && hidden[n.N] || results[n.N-int64(p.params)])
		}) {
			return fmt.Errorf("what its calls are counted by is redacted in one of its instances: trace the others, or show everything by WithoutRedaction (-no-redact)")
		}
	}
	return nil
}

// joinAggregates gives all functions keys, and what is kept of open calls, of the same
// layout.
func joinAggregates(funcs []*Func) error {
	var strings []bool
	keepValue, unwinds, kept := false, false, 0
	for _, f := range funcs {
		if f.aggregated == nil {
			return nil
		}
		a := &f.aggregated.program
		if strings == nil {
			strings = make([]bool, len(f.aggregated.key))
		}
		for i, s := range a.Layout.Strings {
			strings[i] = strings[i] || s
		}
		keepValue = keepValue || a.KeepsValue()
		unwinds = unwinds || a.Unwinds
	}
	for _, f := range funcs {
		if f.aggregated.program.Unwinds = unwinds; f.atReturn != nil {
			kept = max(kept, f.keptWords())
		}
	}
	for _, f := range funcs {
		a := &f.aggregated.program
		a.Layout.Strings, a.KeepValue = strings, keepValue
		more := a.OpenSize() - probegen.OpenSize - a.Layout.Size() + 8*kept
		switch {
		case a.Layout.Size() > probegen.MaxKeySize:
			return fmt.Errorf("a key of %d bytes, where there is room for %d: it may have three strings", a.Layout.Size(), probegen.MaxKeySize)
		case a.Layout.Size()+more > probegen.MaxKeySize:
			return fmt.Errorf("a key of %d bytes, and %d of what is known at the entry and needed when a call returns, where there is room for %d: leave out a part, strings first",
				a.Layout.Size(), more, probegen.MaxKeySize)
		}
	}
	return nil
}
