package expr

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"math"
	"math/big"

	"github.com/argtap/argtap/abi"
)

// mode is what an operand is.
type mode uint8

const (
	isValue mode = iota
	isConst
	isNil
	isType
)

// untyped is the kind of an operand that has no type yet, in the order of the
// specification: of two kinds of numbers the operation has the later one.
type untyped uint8

const (
	typed untyped = iota
	untypedBool
	untypedString
	untypedInt
	untypedRune
	untypedFloat
	untypedComplex
)

var untypedNames = [...]string{"typed", "untyped bool", "untyped string", "untyped int", "untyped rune", "untyped float", "untyped complex"}

// operand is an expression whose type is known, as far as it has one.
type operand struct {
	mode mode
	pos  token.Pos
	// typ is the type; nil of nil and of an untyped operand, which has kind.
	typ  *abi.Type
	kind untyped
	// node computes a value. In an untyped one the types are missing, and
	// settle supplies them.
	node *Node
	// val is the value of a constant.
	val constant.Value
	// addressable arrays can be sliced.
	addressable bool
	// name of a type, as the user wrote it.
	name string
}

func boolConst(b bool) constant.Value { return constant.MakeBool(b) }

func untypedConst(pos token.Pos, kind untyped, val constant.Value) *operand {
	return &operand{mode: isConst, pos: pos, kind: kind, val: val}
}

func isInteger(t *abi.Type) bool  { return t.Kind >= abi.Int && t.Kind <= abi.Uintptr }
func isUnsigned(t *abi.Type) bool { return t.Kind >= abi.Uint && t.Kind <= abi.Uintptr }
func isFloat(t *abi.Type) bool    { return t.Kind == abi.Float32 || t.Kind == abi.Float64 }
func isComplex(t *abi.Type) bool  { return t.Kind == abi.Complex64 || t.Kind == abi.Complex128 }
func isNumber(t *abi.Type) bool   { return isInteger(t) || isFloat(t) || isComplex(t) }

// hasNil reports whether values of the type can be nil.
func hasNil(t *abi.Type) bool {
	switch t.Kind {
	case abi.Pointer, abi.Slice, abi.Map, abi.Chan, abi.Func, abi.Interface, abi.UnsafePointer:
		return true
	}
	return false
}

func (x *operand) isBool() bool {
	return x.kind == untypedBool || x.typ != nil && x.typ.Kind == abi.Bool
}

func (x *operand) isString() bool {
	return x.kind == untypedString || x.typ != nil && x.typ.Kind == abi.String
}

// isInteger reports whether x has an integer type, or will have one unless told
// otherwise.
func (x *operand) isInteger() bool {
	return x.kind == untypedInt || x.kind == untypedRune || x.typ != nil && isInteger(x.typ)
}

func (x *operand) isNumber() bool {
	return x.kind >= untypedInt || x.typ != nil && isNumber(x.typ)
}

// describe says what an operand is, as in "1.5 (untyped float)".
func (c *checker) describe(x *operand) string {
	what := "nil"
	switch {
	case x.mode == isNil:
		return what
	case x.kind != typed:
		what = untypedNames[x.kind]
	case x.typ != nil:
		what = x.typ.Name
	}
	if x.mode == isConst {
		return fmt.Sprintf("%s (%s)", x.val, what)
	}
	return "of type " + what
}

// literal is a constant as it is written.
func (c *checker) literal(e *ast.BasicLit) (*operand, error) {
	if d, ok := c.durations[c.offset(e.Pos())]; ok {
		return &operand{mode: isConst, pos: e.Pos(), typ: DurationType, val: constant.MakeInt64(int64(d))}, nil
	}
	kind := map[token.Token]untyped{
		token.INT: untypedInt, token.FLOAT: untypedFloat, token.IMAG: untypedComplex,
		token.CHAR: untypedRune, token.STRING: untypedString,
	}[e.Kind]
	val := constant.MakeFromLiteral(e.Value, e.Kind, 0)
	if val.Kind() == constant.Unknown || kind == typed {
		return nil, c.errorAt(e.Pos(), "malformed constant %s", e.Value)
	}
	x := untypedConst(e.Pos(), kind, val)
	return x, c.overflow(x, e.Pos())
}

// overflow checks the result of an operation with constants, as go/types does:
// what has a type must fit in it, and what has none in 512 bits.
func (c *checker) overflow(x *operand, pos token.Pos) error {
	if x.val.Kind() == constant.Unknown {
		return c.errorAt(pos, "constant is not representable")
	}
	if x.typ != nil {
		val, err := c.represent(pos, x.val, x.typ)
		x.val = val
		return err
	}
	if x.val.Kind() == constant.Int && constant.BitLen(x.val) > 512 {
		return c.errorAt(pos, "constant overflows: more than 512 bits")
	}
	if x.isNumber() && (!reasonable(constant.Real(x.val)) || !reasonable(constant.Imag(x.val))) {
		return c.errorAt(pos, "constant is too large, or too small")
	}
	return nil
}

// maxExponent bounds the exponents of constants, in bits. The specification
// asks for 16 bits; without a bound, sums take any time and memory.
const maxExponent = 1 << 16

// reasonable reports whether a real number can be computed with.
func reasonable(val constant.Value) bool {
	f, ok := constant.Val(val).(*big.Float)
	if !ok {
		return true // small enough to be represented otherwise
	}
	exp := f.MantExp(nil)
	return -maxExponent < exp && exp < maxExponent
}

// represent returns the constant as a value of the type, rounded if that is a
// floating-point type.
func (c *checker) represent(pos token.Pos, val constant.Value, t *abi.Type) (constant.Value, error) {
	number := val.Kind() == constant.Int || val.Kind() == constant.Float || val.Kind() == constant.Complex
	switch {
	case isInteger(t) && number:
		n := constant.ToInt(val)
		if n.Kind() != constant.Int {
			return nil, c.errorAt(pos, "constant %s is no integer, as %s is", val, t.Name)
		}
		bits := int(t.Size) * 8
		fits := constant.BitLen(n) <= bits && constant.Sign(n) >= 0
		if !isUnsigned(t) {
			// -1<<(bits-1) has as many bits as bits says.
			least := constant.Shift(constant.MakeInt64(-1), token.SHL, uint(bits-1))
			fits = constant.BitLen(n) < bits || constant.Compare(n, token.EQL, least)
		}
		if !fits {
			return nil, c.errorAt(pos, "constant %s overflows %s", n, t.Name)
		}
		return n, nil
	case isFloat(t) && number:
		f := constant.ToFloat(val)
		if f.Kind() != constant.Float {
			return nil, c.errorAt(pos, "constant %s is no real number, as %s is", val, t.Name)
		}
		if f = round(f, t.Size); f == nil {
			return nil, c.errorAt(pos, "constant %s overflows %s", val, t.Name)
		}
		return f, nil
	case isComplex(t) && number:
		z := constant.ToComplex(val)
		if z.Kind() == constant.Complex {
			re, im := round(constant.Real(z), t.Size/2), round(constant.Imag(z), t.Size/2)
			if re != nil && im != nil {
				return constant.BinaryOp(re, token.ADD, constant.MakeImag(im)), nil
			}
		}
		return nil, c.errorAt(pos, "constant %s overflows %s", val, t.Name)
	case t.Kind == abi.String && val.Kind() == constant.String, t.Kind == abi.Bool && val.Kind() == constant.Bool:
		return val, nil
	case t.Kind == abi.Interface:
		return nil, c.unsupported(pos, "constant %s as %s: interfaces can only be compared with nil", val, t.Name)
	}
	return nil, c.errorAt(pos, "constant %s is no value of type %s", val, t.Name)
}

// round returns a number as a float of so many bytes has it, nil if it is too
// large.
func round(val constant.Value, size int64) constant.Value {
	f, _ := constant.Float64Val(val)
	if size == 4 {
		f32, _ := constant.Float32Val(val)
		f = float64(f32)
	}
	if math.IsInf(f, 0) {
		return nil
	}
	return constant.MakeFloat64(f)
}

// defaultType is what an untyped operand becomes where nothing says otherwise.
func (c *checker) defaultType(kind untyped) *abi.Type {
	return c.basic[[...]string{"", "bool", "string", "int", "int32", "float64", "complex128"}[kind]]
}

// value returns the operation that computes an operand, as a value of type t
// where it has no type of its own. t may be nil: then it is the default type.
func (c *checker) value(x *operand, t *abi.Type) (*Node, error) {
	if x.mode == isNil {
		return nil, c.errorAt(x.pos, "nil has no type: compare it with something")
	}
	if x.kind != typed {
		if t == nil {
			t = c.defaultType(x.kind)
		}
		if err := c.convertUntyped(x, t); err != nil {
			return nil, err
		}
	}
	if x.mode == isConst {
		n := c.node(Const, x.pos, x.typ, 0)
		n.Const = x.val
		return n, nil
	}
	return x.node, nil
}

// convertUntyped gives an untyped operand the type t.
func (c *checker) convertUntyped(x *operand, t *abi.Type) error {
	if x.mode == isConst {
		val, err := c.represent(x.pos, x.val, t)
		if err != nil {
			return err
		}
		x.val = val
	} else {
		switch {
		case t.Kind == abi.Interface:
			return c.unsupported(x.pos, "value as %s: interfaces can only be compared with nil", t.Name)
		case x.kind == untypedBool && t.Kind != abi.Bool, x.kind != untypedBool && !isNumber(t):
			return c.errorAt(x.pos, "%s is no value of type %s", c.describe(x), t.Name)
		}
		if err := c.settle(x.node, t); err != nil {
			return err
		}
	}
	x.typ, x.kind = t, typed
	return nil
}

// settle gives a tree without types the type that its result has: a comparison,
// or a shift of a constant and what was made of it.
func (c *checker) settle(n *Node, t *abi.Type) error {
	if n.Type != nil {
		return nil
	}
	pos := token.Pos(n.Column - 1 + c.base)
	n.Type = t
	switch n.Op {
	case Const:
		val, err := c.represent(pos, n.Const, t)
		n.Const = val
		return err
	case Shl, Shr:
		if !isInteger(t) {
			return c.errorAt(pos, "shifted constant has type %s here: it must be an integer", t.Name)
		}
		return c.settle(n.X, t)
	case Rem, And, Or, Xor, AndNot, Com:
		if !isInteger(t) {
			return c.errorAt(pos, "operator of integers, but the operands have type %s here", t.Name)
		}
	case Eq, Ne, Lt, Le, Gt, Ge, IsNil:
		return nil
	}
	for _, x := range []*Node{n.X, n.Y} {
		if x != nil {
			if err := c.settle(x, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// basicTypes are the predeclared types for a size of pointers.
func basicTypes(ptrSize int64) map[string]*abi.Type {
	types := map[string]*abi.Type{}
	for k := abi.Bool; k <= abi.String; k++ {
		if k > abi.Complex128 && k != abi.String {
			continue
		}
		size := k.Size(ptrSize)
		align := size
		if k >= abi.Complex64 {
			align /= 2
		}
		types[k.String()] = &abi.Type{Name: k.String(), Kind: k, Size: size, Align: min(align, ptrSize)}
	}
	types["byte"], types["rune"] = types["uint8"], types["int32"]
	return types
}
