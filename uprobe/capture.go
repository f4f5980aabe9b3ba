package uprobe

import (
	"errors"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// WithCapture captures expressions instead of the parameters: the arguments of a
// [Call] are exactly their values, in this order, and their texts are the names.
// Nothing else is read from the target.
//
//	uprobe.Trace("./app", "main.(*server).serve", handler,
//		uprobe.WithCapture("r.URL.Path", "len(body)", "err.(*fs.PathError).Path", "buf[3].name", "n+1"))
//
// An expression is written in Go. It sees the parameters by their names, the
// receiver among them, and has fields, through pointers as Go does it, exported or
// not; *p, x[i], s[i:j], m["key"] with a constant key, len, cap, assertions of a
// type by its name, comparisons, &&, ||, !, and the arithmetic of integers with
// conversions. A parameter as a whole is an expression too. What the value of an
// expression refers to is followed like what a parameter does: see [Limits].
//
// An expression that has no value in a call is absent, for a reason: a nil
// pointer, an index out of range, another dynamic type and so on. It is never
// zero instead. But a map has the zero value for a key that it lacks, as in Go.
// Results cannot be captured by expressions: [Call.Results] has them as a whole.
//
// The expressions must make sense for each function that is traced; an error is an
// [*ExprError]. Of the functions that a pattern selects those are left out for
// which they do not. The option may be given several times.
func WithCapture(exprs ...string) Option {
	return func(o *options) error {
		if len(exprs) == 0 {
			return errors.New("no expression to capture: leave the option out")
		}
		o.captures = append(o.captures, exprs...)
		// Expressions lead further than what is followed.
		o.whole = true
		return nil
	}
}

// WithCondition delivers only the calls for which the condition is met, an
// expression as in [WithCapture] that is a bool:
//
//	uprobe.WithCondition(`n > 1000 && r.Method == "GET"`)
//
// The probe decides, before it captures anything, so that other calls cost little;
// they are counted in [Stats].Filtered. A condition that has no value in a call
// is not met, nor is one whose memory cannot be read. It cannot look into maps. Of
// several conditions all must be met. The condition must make sense for each
// function that is traced, as with WithCapture. What it may name of the return with
// [WithResults] it also may with [WithCount] and [WithHistogram], but for panics.
func WithCondition(condition string) Option {
	return func(o *options) error {
		o.conds = append(o.conds, condition)
		o.whole = true
		return nil
	}
}

// Capture is an expression of [WithCapture] as it is understood for a function.
type Capture struct {
	// Expr is the expression, and the name of the argument.
	Expr string
	// Type of the value.
	Type *abi.Type
	// Location is where the value lies when the function is entered, if it is a
	// part of a parameter. It is nil if it must be computed.
	Location abi.Location
	// Maps says that it looks into a map: the map is captured, as far as the
	// limits allow, and the rest computed from that.
	Maps bool

	arch *abi.Arch
	// param is the index in plan.Params, if no map is looked into; else rest has
	// what is to be computed of the captured values.
	param int
	rest  *rest
}

// TypeName returns the type's name as %T would print it.
func (c Capture) TypeName() string { return typeName(c.Type) }

// LocationText returns the location in the notation of argtap inspect, "" if the
// value must be computed.
func (c Capture) LocationText() string {
	if c.Location == nil {
		return ""
	}
	return c.Location.Format(c.arch)
}

// Captures returns the expressions of [WithCapture], nil if there are none.
func (f *Func) Captures() []Capture { return f.captures }

// arguments returns names and types of what calls have as arguments.
func (f *Func) arguments() []abi.Param {
	args := make([]abi.Param, 0, len(f.params))
	if f.captures != nil {
		for i := range f.captures {
			args = append(args, abi.Param{Name: f.captures[i].Expr, Type: f.captures[i].Type})
		}
		return args
	}
	for i := range f.params {
		args = append(args, abi.Param{Name: f.params[i].Name, Type: f.params[i].Type})
	}
	return args
}

// scope is what the expressions of a function can name.
func (b *executable) scope(f *Func) *expr.Scope {
	s := &expr.Scope{Arch: b.arch, Package: packageOf(f.name)}
	for i, p := range f.params {
		s.Params = append(s.Params, abi.Param{Name: p.Name, Type: p.Type})
		if p.moved != nil {
			if s.Moved == nil {
				s.Moved = map[int]*abi.Type{}
			}
			s.Moved[i] = p.moved
		}
	}
	types := &exprTypes{b: b, params: s.Params}
	s.Types = types
	if d := types.descriptors(); d != nil {
		s.Direct = func(t *abi.Type) bool {
			direct, err := d.Direct(t.RuntimeType)
			return err == nil && direct
		}
	}
	return s
}

// packageOf returns the import path of a function's package.
func packageOf(name string) string {
	name, _, _ = strings.Cut(name, "[")
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return ""
	}
	return name[:slash+dot]
}

// expressions compiles the expressions of the options for a function, and makes
// those to capture its inputs.
func (b *executable) expressions(f *Func, d *description, o *options) error {
	if len(o.captures) == 0 && len(o.conds) == 0 && o.aggregate == nil {
		return nil
	}
	c := exprCompiler{b: b, scope: b.scope(f), redact: o.limits.Redact}
	for _, in := range f.inputs {
		c.locations = append(c.locations, in.Location)
	}
	if md, err := b.file.ModuleData(); err == nil {
		c.descriptors = uint64(md.Types)
	}
	c.scope.Durations = true
	for _, text := range o.conds {
		if o.results || o.inspect || o.aggregate != nil {
			if err := c.whole(f, d, text); err != nil {
				return err
			}
			continue
		}
		e, err := c.condition(text)
		if err != nil {
			return c.unknownAt(d, text, err, "trace whole calls, by WithResults", true)
		}
		f.where = append(f.where, e)
	}
	c.scope.Durations = false
	if o.aggregate != nil {
		f.inputs = nil
		return c.aggregate(f, d, o.aggregate)
	}
	if len(o.captures) == 0 {
		return nil
	}
	f.inputs = nil
	for _, text := range o.captures {
		if err := c.capture(f, text); err != nil {
			return c.unknownAt(d, text, err, "what is captured are values of the entry; Call.Results and Call.Duration have these", false)
		}
	}
	return nil
}

// exprCompiler compiles expressions for a function.
type exprCompiler struct {
	b           *executable
	scope       *expr.Scope
	locations   []abi.Location // of the parameters
	redact      *capture.Redaction
	descriptors uint64 // the address of runtime.types, 0 if it is not known
}

// program makes a tree without maps an expression for programs.
func (c *exprCompiler) program(text string, root *expr.Node, condition bool) (*capture.Expr, error) {
	e := c.of(root)
	if at := asserts(root); at != nil && c.descriptors == 0 {
		return nil, noDescriptors(text, at)
	}
	if why := probegen.CheckExpr(c.b.arch, e, condition); why != "" {
		return nil, &ExprError{Text: text, Column: root.Column, Message: "a probe cannot compute this: " + why}
	}
	return e, nil
}

// capture adds an expression to what is captured of f.
func (c *exprCompiler) capture(f *Func, text string) error {
	e, err := expr.Compile(text, c.scope)
	if err != nil {
		return exprError(err)
	}
	if isConstant(e.Root) {
		return &ExprError{Text: text, Column: 1, Message: "a constant: it says nothing of a call"}
	}
	add := func(root *expr.Node) (int, error) {
		p, err := c.program(text, root, false)
		if err != nil {
			return 0, err
		}
		f.inputs = append(f.inputs, capture.Input{Name: text, Type: root.Type, Location: p.Location(), Expr: p, Redacted: showsRedacted(c.redact, root)})
		return len(f.inputs) - 1, nil
	}
	k := Capture{Expr: text, Type: e.Type(), arch: c.b.arch}
	if k.Maps = looksIntoMap(e.Root); k.Maps {
		k.rest, err = newRest(c.b.arch, e.Root, add)
	} else if k.param, err = add(e.Root); err == nil {
		k.Location = f.inputs[k.param].Location
	}
	if err == nil {
		f.captures = append(f.captures, k)
	}
	return err
}

// condition compiles a condition, one that can be met.
func (c *exprCompiler) condition(text string) (*capture.Expr, error) {
	e, err := expr.Condition(text, c.scope)
	switch {
	case err != nil:
		return nil, exprError(err)
	case isConstant(e.Root):
		return nil, &ExprError{Text: text, Column: 1, Message: "a constant: it says nothing of a call"}
	case looksIntoMap(e.Root):
		return nil, noMaps(text, e.Root)
	}
	if err := c.neverMet(text, e.Root, nil); err != nil {
		return nil, err
	}
	return c.program(text, e.Root, true)
}

// exprError makes an error of package expr one of this package.
func exprError(err error) error {
	var e *expr.Error
	if !errors.As(err, &e) {
		return err
	}
	return &ExprError{Text: e.Text, Column: e.Column, Message: e.Message, Unsupported: e.Unsupported}
}

// asserts returns an operation that looks at a dynamic type, nil if there is none.
func asserts(n *expr.Node) *expr.Node {
	if n == nil || n.Op == expr.Assert {
		return n
	}
	for _, x := range []*expr.Node{n.X, n.Y, n.Hi, n.Max} {
		if at := asserts(x); at != nil {
			return at
		}
	}
	return nil
}

func isConstant(n *expr.Node) bool {
	for n.Op == expr.As {
		n = n.X
	}
	return n.Op == expr.Const
}

// touches adds to used the parameters that a tree names.
func touches(n *expr.Node, used map[int]bool) {
	if n == nil {
		return
	}
	if n.Op == expr.Param {
		used[int(n.N)] = true
	}
	for _, x := range []*expr.Node{n.X, n.Y, n.Hi, n.Max} {
		touches(x, used)
	}
}

// live returns the registers that hold what is captured, or decides about it.
func (f *Func) live() (live []abi.Reg) {
	add := func(l abi.Location) {
		for _, p := range l {
			if (p.Kind == abi.InRegister || p.Kind == abi.InMemory) && !f.arch.IsFloat(p.Reg) {
				live = append(live, p.Reg)
			}
		}
	}
	computed := append(f.where[:len(f.where):len(f.where)], f.aggregate().Exprs(false)...)
	if r := f.atReturn; r != nil {
		computed = append(computed, r.keep...)
		if r.unwoundIf != nil {
			computed = append(computed, r.unwoundIf)
		}
	}
	for i := range f.inputs {
		if e := f.inputs[i].Expr; e != nil {
			computed = append(computed, e)
		} else {
			add(f.inputs[i].Location)
		}
	}
	for _, e := range computed {
		used := map[int]bool{}
		touches(e.Root, used)
		for n := range f.params {
			if used[n] {
				add(e.Params[n])
			}
		}
	}
	return live
}
