package expr

import (
	"go/ast"
	"go/constant"
	"go/token"

	"github.com/argtap/argtap/abi"
)

// unary is -x and the like.
func (c *checker) unary(e *ast.UnaryExpr) (*operand, error) {
	switch e.Op {
	case token.AND:
		return nil, c.unsupported(e.OpPos, "address operator: expressions have values, and a pointer is one; leave out the &")
	case token.ARROW:
		return nil, c.unsupported(e.OpPos, "receive: expressions only read")
	}
	x, err := c.operandOf(e.X)
	if err != nil {
		return nil, err
	}
	var op Op
	ok := false
	switch e.Op {
	case token.ADD:
		ok = x.isNumber()
	case token.SUB:
		op, ok = Neg, x.isNumber()
	case token.XOR:
		op, ok = Com, x.isInteger()
	case token.NOT:
		op, ok = Not, x.isBool()
	}
	if !ok || x.mode == isNil {
		return nil, c.errorAt(e.OpPos, "operator %s is not defined for what is %s", e.Op, c.describe(x))
	}
	out := &operand{mode: x.mode, pos: e.Pos(), typ: x.typ, kind: x.kind}
	if x.mode == isConst {
		bits := uint(0)
		if x.typ != nil && isUnsigned(x.typ) {
			bits = uint(x.typ.Size) * 8
		}
		out.val = constant.UnaryOp(e.Op, x.val, bits)
		return out, c.overflow(out, e.OpPos)
	}
	if e.Op == token.ADD {
		out.node = x.node
		return out, nil
	}
	if x.typ != nil && (isFloat(x.typ) || isComplex(x.typ)) {
		return nil, c.unsupported(e.OpPos, "operator %s of %s: no arithmetic of floating-point numbers in the kernel", e.Op, x.typ.Name)
	}
	out.node = c.node(op, e.OpPos, x.typ, 0, x.node)
	return out, nil
}

var arithmetic = map[token.Token]Op{
	token.ADD: Add, token.SUB: Sub, token.MUL: Mul, token.QUO: Quo, token.REM: Rem,
	token.AND: And, token.OR: Or, token.XOR: Xor, token.AND_NOT: AndNot,
	token.LAND: AndAnd, token.LOR: OrOr,
}

// binary is x op y.
func (c *checker) binary(e *ast.BinaryExpr) (*operand, error) {
	x, err := c.operandOf(e.X)
	if err != nil {
		return nil, err
	}
	y, err := c.operandOf(e.Y)
	if err != nil {
		return nil, err
	}
	if e.Op == token.SHL || e.Op == token.SHR {
		return c.shift(e, x, y)
	}
	if err := c.match(e, x, y); err != nil {
		return nil, err
	}
	if op, ok := comparisons[e.Op]; ok {
		return c.compare(e, op, x, y)
	}
	op, ok := arithmetic[e.Op]
	if !ok {
		return nil, c.errorAt(e.OpPos, "no operator of expressions: %s", e.Op)
	}
	if x.mode == isNil || y.mode == isNil {
		return nil, c.errorAt(e.OpPos, "operator %s is not defined for nil", e.Op)
	}
	if x.kind != y.kind || x.typ != nil && !identical(x.typ, y.typ) {
		return nil, c.mismatch(e, x, y)
	}
	switch op {
	case AndAnd, OrOr:
		ok = x.isBool()
	case Add:
		ok = x.isNumber() || x.isString()
	case Sub, Mul, Quo:
		ok = x.isNumber()
	default:
		ok = x.isInteger()
	}
	if !ok {
		return nil, c.errorAt(e.OpPos, "operator %s is not defined for what is %s", e.Op, c.describe(x))
	}
	if (op == Quo || op == Rem) && y.mode == isConst && (x.mode == isConst || x.isInteger()) && isZero(y.val) {
		return nil, c.errorAt(y.pos, "division by zero")
	}
	if x.mode == isConst && y.mode == isConst {
		tok := e.Op
		if op == Quo && x.isInteger() {
			tok = token.QUO_ASSIGN // of integers
		}
		out := &operand{mode: isConst, pos: e.Pos(), typ: x.typ, kind: x.kind, val: constant.BinaryOp(x.val, tok, y.val)}
		return out, c.overflow(out, e.OpPos)
	}
	switch {
	case x.isString():
		return nil, c.unsupported(e.OpPos, "concatenation of strings that are not constant: expressions make no values")
	case x.typ != nil && (isFloat(x.typ) || isComplex(x.typ)):
		return nil, c.unsupported(e.OpPos, "operator %s of %s: no arithmetic of floating-point numbers in the kernel", e.Op, x.typ.Name)
	}
	n := c.node(op, e.OpPos, x.typ, 0, c.raw(x), c.raw(y))
	return &operand{mode: isValue, pos: e.Pos(), typ: x.typ, kind: x.kind, node: n}, nil
}

func isZero(val constant.Value) bool {
	return constant.Sign(constant.Real(val)) == 0 && constant.Sign(constant.Imag(val)) == 0
}

// raw returns the operation of an operand that may have no type yet.
func (c *checker) raw(x *operand) *Node {
	if x.mode != isConst {
		return x.node
	}
	n := c.node(Const, x.pos, x.typ, 0)
	n.Const = x.val
	return n
}

// match gives both operands the same type or kind where one of them has no type
// yet. Where there is nothing to do it leaves what is wrong to the caller.
func (c *checker) match(e *ast.BinaryExpr, x, y *operand) error {
	if x.mode == isNil || y.mode == isNil || x.kind == typed && y.kind == typed {
		return nil
	}
	if x.kind != typed && y.kind != typed {
		switch {
		case x.isNumber() && y.isNumber():
			x.kind = max(x.kind, y.kind)
			y.kind = x.kind
			return nil
		case x.kind != y.kind:
			return c.mismatch(e, x, y)
		}
		return nil
	}
	from, to := x, y
	if x.kind == typed {
		from, to = y, x
	}
	if to.typ.Kind != abi.Interface && (from.isBool() != to.isBool() || from.isString() != to.isString() || !to.isNumber() && from.isNumber()) {
		return c.mismatch(e, x, y)
	}
	return c.convertUntyped(from, to.typ)
}

func (c *checker) mismatch(e *ast.BinaryExpr, x, y *operand) error {
	return c.errorAt(e.OpPos, "operator %s with different types: %s, and %s", e.Op, c.describe(x), c.describe(y))
}

var comparisons = map[token.Token]Op{
	token.EQL: Eq, token.NEQ: Ne, token.LSS: Lt, token.LEQ: Le, token.GTR: Gt, token.GEQ: Ge,
}

// compare is x == y and the like. The result has no type yet.
func (c *checker) compare(e *ast.BinaryExpr, op Op, x, y *operand) (*operand, error) {
	out := &operand{mode: isValue, pos: e.Pos(), kind: untypedBool}
	if x.mode == isNil || y.mode == isNil {
		if x.mode == isNil {
			x, y = y, x
		}
		if op != Eq && op != Ne || x.mode == isNil || x.typ == nil || !hasNil(x.typ) {
			return nil, c.errorAt(e.OpPos, "operator %s is not defined for nil and what is %s", e.Op, c.describe(x))
		}
		out.node = c.node(IsNil, e.OpPos, nil, 0, x.node)
		if op == Ne {
			out.node = c.node(Not, e.OpPos, nil, 0, out.node)
		}
		return out, nil
	}
	if x.kind != y.kind {
		return nil, c.mismatch(e, x, y)
	}
	if x.typ != nil && !identical(x.typ, y.typ) {
		if x.typ.Kind == abi.Interface || y.typ.Kind == abi.Interface {
			return nil, c.unsupported(e.OpPos, "comparison of %s with %s: interfaces can only be compared with nil; assert what it holds", x.typ.Name, y.typ.Name)
		}
		if x.typ.Kind == abi.Chan && y.typ.Kind == abi.Chan {
			return nil, c.unsupported(e.OpPos, "comparison of channels of different types: %s and %s", x.typ.Name, y.typ.Name)
		}
		sameUnder := x.typ.Kind == abi.Pointer && y.typ.Kind == abi.Pointer && x.typ.Elem != nil && y.typ.Elem != nil &&
			identical(x.typ.Elem, y.typ.Elem)
		if isNamed(x.typ) && isNamed(y.typ) || !sameUnder {
			if k := x.typ.Kind; k == y.typ.Kind && (k == abi.Struct || k == abi.Array) && isNamed(x.typ) != isNamed(y.typ) {
				return nil, c.unsupported(e.OpPos, "comparison of %s with %s: compare their parts", x.typ.Name, y.typ.Name)
			}
			return nil, c.mismatch(e, x, y)
		}
	}
	if x.mode == isConst && y.mode == isConst {
		if op > Ne && (x.isBool() || x.kind == untypedComplex || x.typ != nil && isComplex(x.typ)) {
			return nil, c.errorAt(e.OpPos, "operator %s is not defined for what is %s", e.Op, c.describe(x))
		}
		return untypedConst(e.Pos(), untypedBool, boolConst(constant.Compare(x.val, e.Op, y.val))), nil
	}
	if x.kind != typed { // shifts of constants, or comparisons
		t := c.defaultType(x.kind)
		if err := c.convertUntyped(x, t); err != nil {
			return nil, err
		}
		if err := c.convertUntyped(y, t); err != nil {
			return nil, err
		}
	}
	if err := c.comparable(e, op, x, y); err != nil {
		return nil, err
	}
	out.node = c.node(op, e.OpPos, nil, 0, c.raw(x), c.raw(y))
	return out, nil
}

// comparable checks that values of one type can be compared, and here.
func (c *checker) comparable(e *ast.BinaryExpr, op Op, x, y *operand) error {
	t := x.typ
	equality := op == Eq || op == Ne
	switch {
	case isInteger(t), isFloat(t):
		return nil
	case t.Kind == abi.String:
		if x.mode != isConst && y.mode != isConst {
			return c.unsupported(e.OpPos, "comparison of two strings of which none is constant")
		}
		return nil
	case isComplex(t), t.Kind == abi.Bool, t.Kind == abi.Pointer, t.Kind == abi.Chan, t.Kind == abi.UnsafePointer:
		if equality {
			return nil
		}
	case t.Kind == abi.Interface:
		if equality {
			return c.unsupported(e.OpPos, "comparison of interfaces: they can only be compared with nil; assert what it holds")
		}
	case t.Kind == abi.Struct, t.Kind == abi.Array:
		if equality {
			return c.unsupported(e.OpPos, "comparison of %s: compare its parts", t.Name)
		}
	case equality:
		return c.errorAt(e.OpPos, "a %s can only be compared with nil", t.Kind)
	}
	return c.errorAt(e.OpPos, "operator %s is not defined for what is %s", e.Op, c.describe(x))
}

// maxShift bounds the shifts of constants, as go/types does.
const maxShift = 1023 - 1 + 52

// shift is x << y or x >> y.
func (c *checker) shift(e *ast.BinaryExpr, x, y *operand) (*operand, error) {
	if x.mode == isNil || y.mode == isNil {
		return nil, c.errorAt(e.OpPos, "operator %s is not defined for nil", e.Op)
	}
	wholeConst := x.mode == isConst && x.isNumber() && constant.ToInt(x.val).Kind() == constant.Int
	if !x.isInteger() && (x.kind == typed || !wholeConst) {
		return nil, c.errorAt(x.pos, "what is shifted must be an integer; this is %s", c.describe(x))
	}
	uintType := c.basic["uint"]
	var count constant.Value
	if y.mode == isConst {
		if y.isNumber() {
			count = constant.ToInt(y.val)
		}
		if count == nil || count.Kind() != constant.Int || y.typ != nil && !isInteger(y.typ) {
			return nil, c.errorAt(y.pos, "a shift count is an integer; this is %s", c.describe(y))
		}
		if constant.Sign(count) < 0 {
			return nil, c.errorAt(y.pos, "negative shift count %s", count)
		}
		if y.typ == nil {
			if err := c.convertUntyped(y, uintType); err != nil {
				return nil, err
			}
		}
	} else {
		if y.kind != typed {
			// Specification and compiler disagree what type it has
			// (go.dev/issue/47410).
			return nil, c.unsupported(y.pos, "a shift count that is itself a shift of a constant: give the constant a type, as in uint(1)<<n")
		}
		if !isInteger(y.typ) {
			return nil, c.errorAt(y.pos, "a shift count is an integer; this is %s", c.describe(y))
		}
	}
	out := &operand{mode: isValue, pos: e.Pos(), typ: x.typ, kind: x.kind}
	if x.mode == isConst && y.mode == isConst {
		n, ok := constant.Uint64Val(count)
		if !ok || n > maxShift {
			return nil, c.errorAt(y.pos, "invalid shift count %s", count)
		}
		out.mode = isConst
		if x.kind > untypedRune {
			out.kind = untypedInt
		}
		out.val = constant.Shift(constant.ToInt(x.val), e.Op, uint(n))
		return out, c.overflow(out, e.OpPos)
	}
	op := Shl
	if e.Op == token.SHR {
		op = Shr
	}
	out.node = c.node(op, e.OpPos, x.typ, 0, c.raw(x), c.raw(y))
	return out, nil
}
