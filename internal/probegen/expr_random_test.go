package probegen_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// More types, for expressions.
var (
	tFloat32    = &abi.Type{Name: "float32", Kind: abi.Float32, Size: 4, Align: 4}
	tComplex128 = &abi.Type{Name: "complex128", Kind: abi.Complex128, Size: 16, Align: 8}
	tUint64     = &abi.Type{Name: "uint64", Kind: abi.Uint64, Size: 8, Align: 8}
	tInt8       = &abi.Type{Name: "int8", Kind: abi.Int8, Size: 1, Align: 1}
	tError      = &abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}
	tChan       = &abi.Type{Name: "chan int", Kind: abi.Chan, Size: 8, Align: 8, Elem: tInt}
	tIntMap     = &abi.Type{Name: "map[int]int", Kind: abi.Map, Size: 8, Align: 8, Key: tInt, Elem: tInt}
	tPoint      = structOf("main.Point", tInt, tInt32)
	tBox        = structOf("main.Box", pointer(tPoint))
)

// descriptors is where the test's programs have their types.
const descriptors = 0x50_0000

// exprTypes are the types that interfaces may hold.
type exprTypes struct{ list []*abi.Type }

func (e exprTypes) Lookup(name string) (found []*abi.Type) {
	for _, t := range e.list {
		if t.Name == name || expr.ShortName(t.Name) == name {
			found = append(found, t)
		}
	}
	return found
}

// direct are those that an interface holds itself.
func direct(t *abi.Type) bool { return t.Kind == abi.Pointer || t.Name == tBox.Name }

// exprCase is a function with expressions over its parameters.
type exprCase struct {
	random
	inputs []capture.Input
	scope  *expr.Scope
	held   exprTypes
	exprs  []*expr.Expr
	// gaps are the parameters some of whose bytes are nowhere, and no padding.
	gaps map[int]bool
	nest int // expressions within indexes
}

func (r random) typed(depth int) *abi.Type {
	if depth > 0 && !r.one(3) {
		switch r.IntN(8) {
		case 0, 1:
			fields := make([]*abi.Type, 1+r.IntN(5))
			for i := range fields {
				fields[i] = r.typed(depth - 1)
			}
			t := structOf("", fields...)
			t.Name = fmt.Sprintf("main.S%d", r.Uint64())
			return t
		case 2:
			e := r.typed(depth - 1)
			t := array(pick[int64](r, 1, 1, 2, 5), e)
			t.Name = fmt.Sprintf("[%d]%s", t.Len, e.Name)
			return t
		case 3, 4:
			return slice(r.typed(depth - 1))
		}
		return pointer(r.typed(depth - 1))
	}
	return pick(r, tInt, tInt, tUint8, tInt8, tInt32, tInt16, tUint64, tBool, tFloat, tFloat32, tComplex, tComplex128, tString, tString,
		tAny, tError, tIntMap, tChan, tPoint, tBox, pointer(tPoint))
}

// exprCase makes a function with a few expressions.
func (r random) exprCase(n int) *exprCase {
	c := &exprCase{random: r, gaps: map[int]bool{}}
	memo := map[*abi.Type]*abi.Type{}
	own := func(t *abi.Type) *abi.Type {
		if r.arch == abi.I386 {
			return on386(t, memo)
		}
		return t
	}
	for i, t := range []*abi.Type{tInt, tString, tPoint, tBox, pointer(tPoint), tUint8, slice(tInt)} {
		u := *own(t)
		u.RuntimeType = uint64(64 * (i + 1))
		c.held.list = append(c.held.list, &u)
	}
	p := planCase{arch: r.arch, abi0: r.one(3)}
	for range 3 + r.IntN(4) {
		p.params = append(p.params, r.typed(4))
	}
	c.inputs = p.inputs()
	c.scope = &expr.Scope{Arch: r.arch, Types: c.held, Package: "main", Direct: direct}
	for i := range c.inputs {
		in := &c.inputs[i]
		in.Name = "p" + strconv.Itoa(i)
		if r.one(8) {
			in.Location = r.location(in.Type.Size)
			size := int64(0)
			for _, p := range in.Location {
				size += p.Size
			}
			c.gaps[i] = size < in.Type.Size
		}
		c.scope.Params = append(c.scope.Params, abi.Param{Name: in.Name, Type: in.Type})
	}
	for try := 0; len(c.exprs) < n && try < 1000; try++ {
		e, err := expr.Compile(c.expression(3), c.scope)
		if err == nil && e.Root.Op != expr.Const {
			c.exprs = append(c.exprs, e)
		}
	}
	return c
}

// heavyExprs makes a function with expressions that use as much of the stack as
// they may, and whose values refer to as much as the limits allow.
func (r random) heavyExprs() *exprCase {
	c := &exprCase{random: r, gaps: map[int]bool{}}
	p := planCase{arch: r.arch, params: append([]*abi.Type{tInt}, r.heavyTypes()...)}
	c.inputs = p.inputs()
	c.scope = &expr.Scope{Arch: r.arch, Package: "main"}
	for i := range c.inputs {
		c.inputs[i].Name = "p" + strconv.Itoa(i)
		c.scope.Params = append(c.scope.Params, abi.Param{Name: c.inputs[i].Name, Type: c.inputs[i].Type})
	}
	deep := strings.Repeat("(p0+", 20) + "p0" + strings.Repeat(")", 20)
	for i, in := range c.inputs {
		text := map[abi.Kind]string{abi.Int: deep, abi.Slice: "%s[1:]", abi.Pointer: "*%s", abi.String: "%s[1:]", abi.Struct: "%s.A"}[in.Type.Kind]
		if i > 0 {
			text = fmt.Sprintf(text, in.Name)
		}
		e, err := expr.Compile(text, c.scope)
		if err != nil {
			panic(err)
		}
		c.exprs = append(c.exprs, e)
	}
	return c
}

// fn is the function with a plan that captures the expressions.
func (c *exprCase) fn(id uint32, limits capture.Limits) probegen.Func {
	f := probegen.Func{
		ID: id, Cookie: id, Name: "main.f", Arch: c.arch, Site: 0x40_1000, CFA: pick[int64](c.random, 8, 16, 200), Skip: probegen.Never,
	}
	var locations []abi.Location
	for _, in := range c.inputs {
		locations = append(locations, in.Location)
	}
	var inputs []capture.Input
	for _, e := range c.exprs {
		inputs = append(inputs, capture.Input{
			Name: e.Text, Type: e.Type(), Expr: &capture.Expr{Root: e.Root, Params: locations, Descriptors: descriptors},
		})
	}
	f.Plan = capture.Build(c.arch, inputs, limits)
	return f
}

// walk writes a path from a parameter.
func (c *exprCase) walk() (string, *abi.Type) {
	p := c.scope.Params[c.IntN(len(c.scope.Params))]
	text, t := p.Name, p.Type
	for range c.IntN(7) {
		switch t.Kind {
		case abi.Struct:
			f := t.Fields[c.IntN(len(t.Fields))]
			text, t = text+"."+f.Name, f.Type
		case abi.Pointer:
			text, t = "(*"+text+")", t.Elem
		case abi.Array, abi.Slice:
			if c.one(4) {
				text += c.limits()
				t = slice(t.Elem)
				if c.arch == abi.I386 {
					t.Size = 12
				}
				continue
			}
			text, t = text+"["+c.number()+"]", t.Elem
		case abi.String:
			if c.one(2) {
				return text + "[" + c.number() + "]", tUint8
			}
			text += pick(c.random, "[1:]", "[:2]", "["+c.number()+":]")
		case abi.Interface:
			held := c.held.list[c.IntN(len(c.held.list))]
			text, t = text+".("+held.Name+")", held
		case abi.Complex64:
			return "real(" + text + ")", tFloat32
		case abi.Complex128:
			return "imag(" + text + ")", tFloat
		default:
			return text, t
		}
	}
	return text, t
}

func (c *exprCase) limits() string {
	limit := func() string {
		if c.one(3) {
			return ""
		}
		return c.number()
	}
	if c.one(4) {
		return "[" + limit() + ":" + c.number() + ":" + c.number() + "]"
	}
	return "[" + limit() + ":" + limit() + "]"
}

func (c *exprCase) number() string {
	if c.nest < 2 && c.one(4) {
		c.nest++
		defer func() { c.nest-- }()
		return c.integer(1)
	}
	return strconv.Itoa(c.IntN(5))
}

// integer writes an integer.
func (c *exprCase) integer(depth int) string {
	if depth > 0 && c.one(2) {
		to := pick(c.random, "int", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
		x, y := c.integer(depth-1), c.integer(depth-1)
		switch c.IntN(4) {
		case 0:
			return "(" + to + "(" + x + ")" + pick(c.random, "<<", ">>") + y + ")"
		case 1:
			return pick(c.random, "-", "^") + to + "(" + x + ")"
		}
		if c.one(3) {
			y = pick(c.random, "1", "3", "-1", "100", "1<<31", "1<<62")
		}
		return "(" + to + "(" + x + ")" + pick(c.random, "+", "-", "*", "/", "%", "&", "|", "^", "&^") + to + "(" + y + "))"
	}
	for range 20 {
		switch text, t := c.walk(); t.Kind {
		case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Uint8, abi.Uint64:
			return text
		case abi.String, abi.Map:
			return "len(" + text + ")"
		case abi.Slice, abi.Chan, abi.Array:
			return pick(c.random, "len", "cap") + "(" + text + ")"
		}
	}
	return "3"
}

// condition writes a bool.
func (c *exprCase) condition(depth int) string {
	compare := func() string { return pick(c.random, " == ", " != ", " < ", " <= ", " > ", " >= ") }
	if depth > 0 && c.one(2) {
		if c.one(4) {
			return "!(" + c.condition(depth-1) + ")"
		}
		return "(" + c.condition(depth-1) + pick(c.random, " && ", " || ") + c.condition(depth-1) + ")"
	}
	for range 20 {
		text, t := c.walk()
		equal := pick(c.random, " == ", " != ")
		switch t.Kind {
		case abi.Bool:
			return text
		case abi.String:
			return text + compare() + pick(c.random, `""`, `"a"`, `"ab"`, `"\x00"`, `"\x00\x00\x03"`, `"abcdefgh"`, `"abcdefghi"`, `"a\x00"`)
		case abi.Float32, abi.Float64:
			other, u := c.walk()
			if u.Kind != t.Kind || c.one(2) {
				other = pick(c.random, "0", "1.5", "-1", "-0.1", "1e30", text)
			}
			return text + compare() + other
		case abi.Complex64, abi.Complex128:
			return text + equal + pick(c.random, "0", "1.5", "2i", text)
		case abi.Pointer, abi.Interface, abi.Map, abi.Chan, abi.Slice:
			return text + equal + "nil"
		case abi.Int, abi.Uint8, abi.Int8, abi.Uint64:
			return text + compare() + pick(c.random, "0", "1", "3", "-1", "100", text)
		}
	}
	return c.integer(depth) + compare() + "3"
}

func (c *exprCase) expression(depth int) string {
	switch c.IntN(4) {
	case 0:
		return c.integer(depth)
	case 1:
		return c.condition(depth)
	}
	text, _ := c.walk()
	return text
}
