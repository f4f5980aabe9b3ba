package uprobe

import (
	"fmt"
	"slices"

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

// aggregatedPart is an expression of an aggregation. typ is nil if it is none.
type aggregatedPart struct {
	text string
	typ  *abi.Type
}

// aggregate returns what programs are told, nil if the function is not aggregated.
func (f *Func) aggregate() *probegen.Aggregate {
	if f.aggregated == nil {
		return nil
	}
	return &f.aggregated.program
}

// durations reports whether the durations of the function are counted.
func (f *Func) durations() bool {
	return f.aggregated != nil && f.aggregated.program.Buckets != nil && f.aggregated.program.Value == nil
}

// aggregate compiles the expressions of an aggregation for a function.
func (c *exprCompiler) aggregate(f *Func, a *aggregation) error {
	g := &aggregated{}
	named := func(name string) bool {
		return slices.ContainsFunc(f.params, func(p Param) bool { return p.Name == name })
	}
	for _, text := range a.by {
		part, kind := aggregatedPart{text: text}, probegen.KeyKind(0)
		switch {
		case text == pidName && !named(text):
			kind = probegen.KeyPID
		case text == goroutineName && !named(text):
			kind = probegen.KeyGoroutine
		}
		var e *capture.Expr
		if kind == 0 {
			var err error
			if e, err = c.aggregated(text, probegen.CheckKey); err != nil {
				return err
			}
			part.typ = e.Root.Type
		}
		g.key = append(g.key, part)
		g.program.Key = append(g.program.Key, probegen.KeyPart{Expr: e, Kind: kind})
		g.program.Layout.Strings = append(g.program.Layout.Strings, e != nil && e.Root.Type.Kind == abi.String)
	}
	f.aggregated = g
	if !a.sized {
		return nil
	}
	b := a.scale.buckets
	g.value.text = a.value
	g.program.Buckets = &b
	if a.value == durationName && !named(durationName) {
		if b.Min < 0 {
			return fmt.Errorf("histogram of durations: the scale begins at %d, and they are never negative: begin at 0", b.Min)
		}
		return nil
	}
	e, err := c.aggregated(a.value, probegen.CheckValue)
	if err != nil {
		return err
	}
	g.program.Value, g.value.typ = e, e.Root.Type
	b.Signed = e.Root.Type.Kind <= abi.Int64
	if !b.Signed && b.Min < 0 {
		return fmt.Errorf("histogram of %s, a %s: the scale begins at %d, and it is never negative: begin at 0", a.value, e.Root.Type, b.Min)
	}
	return nil
}

// aggregated compiles an expression of an aggregation, of which check says what is
// wrong with it.
func (c *exprCompiler) aggregated(text string, check func(*abi.Arch, *capture.Expr) string) (*capture.Expr, error) {
	e, err := expr.Compile(text, c.scope)
	if err != nil {
		return nil, exprError(err)
	}
	fail := func(column int, format string, args ...any) (*capture.Expr, error) {
		return nil, &ExprError{Text: text, Column: column, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case isConstant(e.Root):
		return fail(1, "a constant: it says nothing of a call")
	case looksIntoMap(e.Root):
		return nil, &ExprError{Text: text, Column: e.Root.Column, Message: "a probe cannot look into maps, so they cannot be counted by", Unsupported: true}
	case c.redact.Input(text, e.Root.Type) || showsRedacted(c.redact, e.Root):
		return fail(1, "it is redacted, and would be shown as a key or value: see WithRedact and WithoutRedaction")
	}
	p := &capture.Expr{Root: e.Root, Params: c.locations, Descriptors: c.descriptors}
	if at := asserts(e.Root); at != nil && c.descriptors == 0 {
		return fail(at.Column, "what interfaces hold is not known: the binary's type data were not found")
	}
	if why := check(c.b.arch, p); why != "" {
		return fail(e.Root.Column, "%s", why)
	}
	return p, nil
}

// checkRedacted returns an error if the aggregation shows parameters of generic code
// that have a type that is redacted in one of the instances.
func (g *aggregated) checkRedacted(hidden map[int64]bool) error {
	for _, e := range g.program.Exprs() {
		if anyNode(e.Root, func(n *expr.Node) bool { return n.Op == expr.Param && hidden[n.N] }) {
			return fmt.Errorf("what its calls are counted by is redacted in one of its instances: see WithRedact and WithoutRedaction")
		}
	}
	return nil
}

// joinAggregates gives all functions keys of the same layout.
func joinAggregates(funcs []*Func) error {
	var strings []bool
	for _, f := range funcs {
		if f.aggregated == nil {
			return nil
		}
		if strings == nil {
			strings = make([]bool, len(f.aggregated.key))
		}
		for i, s := range f.aggregated.program.Layout.Strings {
			strings[i] = strings[i] || s
		}
	}
	for _, f := range funcs {
		l := &f.aggregated.program.Layout
		l.Strings = strings
		if l.Size() > probegen.MaxKeySize {
			return fmt.Errorf("a key of %d bytes, where there is room for %d: it may have three strings", l.Size(), probegen.MaxKeySize)
		}
	}
	return nil
}
