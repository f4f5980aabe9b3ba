package expr

import (
	"go/ast"
	"go/constant"

	"github.com/argtap/argtap/abi"
)

// builtin are the predeclared functions; those that are true here can be called.
var builtin = map[string]bool{
	"len": true, "cap": true, "real": true, "imag": true,
	"append": true, "clear": true, "close": true, "complex": true, "copy": true, "delete": true, "make": true,
	"max": true, "min": true, "new": true, "panic": true, "print": true, "println": true, "recover": true,
}

// call is a call of len and the like, or a conversion.
func (c *checker) call(e *ast.CallExpr) (*operand, error) {
	fun := ast.Unparen(e.Fun)
	if id, ok := fun.(*ast.Ident); ok && builtin[id.Name] && c.param(id.Name) < 0 {
		switch id.Name {
		case "len", "cap", "real", "imag":
			return c.builtinCall(e, id.Name)
		}
		return nil, c.unsupported(e.Pos(), "call of %s: only len, cap, real and imag can be called", id.Name)
	}
	switch fun := fun.(type) {
	case *ast.ArrayType, *ast.MapType, *ast.ChanType, *ast.FuncType, *ast.StructType, *ast.InterfaceType:
		return nil, c.unsupported(e.Pos(), "conversion: expressions convert between integer types only")
	case *ast.SelectorExpr:
		if c.isCall(fun) {
			return nil, c.unsupported(fun.Sel.Pos(), "call of %s: expressions call no functions and methods", c.source(fun))
		}
	}
	f, err := c.expr(fun)
	if err != nil {
		if id, ok := fun.(*ast.Ident); ok && c.param(id.Name) < 0 {
			return nil, c.unsupported(e.Pos(), "call of %s: expressions call no functions", id.Name)
		}
		return nil, err
	}
	if f.mode != isType {
		return nil, c.unsupported(e.Pos(), "call of %s: expressions call no functions", c.source(fun))
	}
	x, err := c.argument(e, f.name)
	if err != nil {
		return nil, err
	}
	return c.convert(e, x, f.typ)
}

// builtinCall is len(x) and the like.
func (c *checker) builtinCall(e *ast.CallExpr, name string) (*operand, error) {
	before := c.called
	c.called = false
	x, err := c.argument(e, name)
	if err != nil {
		return nil, err
	}
	if name == "len" || name == "cap" {
		x, err = c.length(e, x, name)
	} else {
		x, err = c.half(e, x, name)
	}
	c.called = before || err == nil && x.mode != isConst
	return x, err
}

// isCall reports whether x.f, which is called, is no conversion and no value of
// a field.
func (c *checker) isCall(s *ast.SelectorExpr) bool {
	probe := *c
	x, err := probe.selector(s)
	return err != nil || x.mode != isType
}

// argument checks the one argument of a call.
func (c *checker) argument(e *ast.CallExpr, name string) (*operand, error) {
	if len(e.Args) != 1 || e.Ellipsis.IsValid() {
		return nil, c.errorAt(e.Lparen, "%s takes one argument", name)
	}
	return c.operandOf(e.Args[0])
}

// length is len(x) or cap(x).
func (c *checker) length(e *ast.CallExpr, x *operand, name string) (*operand, error) {
	intType := c.basic["int"]
	constantInt := func(n int64) *operand {
		return &operand{mode: isConst, pos: e.Pos(), typ: intType, val: constant.MakeInt64(n)}
	}
	op := Len
	if name == "cap" {
		op = Cap
	}
	if x.mode == isConst && x.isString() && op == Len {
		return constantInt(int64(len(constant.StringVal(x.val)))), nil
	}
	if x.mode == isValue && x.typ != nil {
		t := x.typ
		if t.Kind == abi.Pointer {
			if under, err := c.elem(x.pos, t); err == nil && under.Kind == abi.Array {
				t = under
			}
		}
		switch {
		case t.Kind == abi.Array && !c.called:
			// It is a constant, and x is not evaluated.
			return constantInt(t.Len), nil
		case t.Kind == abi.Array:
			// Calls in x, even of len, are made, and it is no constant.
			n := c.node(op, e.Pos(), intType, t.Len, x.node)
			return &operand{mode: isValue, pos: e.Pos(), typ: intType, node: n}, nil
		case t.Kind == abi.Chan && t.Elem != nil && t.Elem.Name == "time.Time":
			// That of a timer has a buffer of which the runtime says 0.
			return nil, c.unsupported(e.Pos(), "%s of a channel of time.Time: that of a timer is 0, whatever its buffer holds: name the channel itself", name)
		case t.Kind == abi.Slice, t.Kind == abi.Chan, (t.Kind == abi.String || t.Kind == abi.Map) && op == Len:
			return &operand{mode: isValue, pos: e.Pos(), typ: intType, node: c.node(op, e.Pos(), intType, 0, x.node)}, nil
		}
	}
	return nil, c.errorAt(x.pos, "no %s of what is %s", name, c.describe(x))
}

// half is real(x) or imag(x).
func (c *checker) half(e *ast.CallExpr, x *operand, name string) (*operand, error) {
	part := constant.Real
	if name == "imag" {
		part = constant.Imag
	}
	if x.mode == isConst && x.kind != typed && x.isNumber() {
		out := untypedConst(e.Pos(), untypedFloat, part(constant.ToComplex(x.val)))
		return out, c.overflow(out, e.Pos())
	}
	if x.mode == isNil || x.typ == nil || !isComplex(x.typ) {
		return nil, c.errorAt(x.pos, "%s needs a complex number; this is %s", name, c.describe(x))
	}
	t, at := c.basic["float64"], int64(0)
	if x.typ.Kind == abi.Complex64 {
		t = c.basic["float32"]
	}
	if name == "imag" {
		at = t.Size
	}
	if x.mode == isConst {
		out := &operand{mode: isConst, pos: e.Pos(), typ: t, val: part(x.val)}
		return out, c.overflow(out, e.Pos())
	}
	return &operand{mode: isValue, pos: e.Pos(), typ: t, node: c.node(Field, e.Pos(), t, at, x.node)}, nil
}

// convert is T(x).
func (c *checker) convert(e *ast.CallExpr, x *operand, t *abi.Type) (*operand, error) {
	refused := func() error {
		return c.unsupported(e.Pos(), "conversion to %s of what is %s: expressions convert between integer types only", t.Name, c.describe(x))
	}
	if x.mode == isNil {
		return nil, refused()
	}
	if x.mode == isConst {
		basic := isNumber(t) || t.Kind == abi.String || t.Kind == abi.Bool
		if !basic || t.Kind == abi.String && x.isInteger() {
			return nil, refused()
		}
		val, err := c.represent(x.pos, x.val, t)
		if err != nil {
			return nil, err
		}
		return &operand{mode: isConst, pos: e.Pos(), typ: t, val: val}, nil
	}
	out := &operand{mode: isValue, pos: e.Pos(), typ: t}
	if x.kind != typed {
		// A shift of a constant becomes what it is converted to; a comparison
		// becomes any kind of bool.
		if x.kind != untypedBool && !isNumber(t) {
			if t.Kind == abi.String || t.Kind == abi.Interface {
				return nil, refused()
			}
			return nil, c.errorAt(x.pos, "%s cannot be converted to %s", c.describe(x), t.Name)
		}
		n, err := c.value(x, t)
		out.node = n
		return out, err
	}
	switch {
	case isInteger(t) && isInteger(x.typ):
		out.node = c.node(Convert, e.Pos(), t, 0, x.node)
	case t.Kind == x.typ.Kind && (isNumber(t) || t.Kind == abi.Bool || t.Kind == abi.String):
		out.node = c.node(As, e.Pos(), t, 0, x.node)
	default:
		return nil, refused()
	}
	return out, nil
}
