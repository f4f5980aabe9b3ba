package expr

import (
	"go/ast"
	"go/constant"
	"go/token"

	"github.com/argtap/argtap/abi"
)

// index is x[i].
func (c *checker) index(e *ast.IndexExpr) (*operand, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	if x.mode == isType {
		return nil, c.unsupported(e.Pos(), "%s[…] is a type, and no value", x.name)
	}
	if x.mode == isConst && x.isString() {
		return c.indexConst(x, e)
	}
	t, n := x.typ, x.node
	if x.mode != isValue || t == nil {
		return nil, c.errorAt(x.pos, "no index for %s", c.describe(x))
	}
	if t.Kind == abi.Map {
		return c.mapElem(x, e)
	}
	addressable := x.addressable
	if t.Kind == abi.Pointer {
		under, err := c.elem(x.pos, t)
		if err != nil {
			return nil, err
		}
		if under.Kind == abi.Array {
			t, n, addressable = under, c.node(Deref, x.pos, under, 0, n), true
		}
	}
	pos := e.Lbrack
	switch t.Kind {
	case abi.Array:
		et, err := c.elem(x.pos, t)
		if err != nil {
			return nil, err
		}
		i, k, err := c.indexValue(e.Index, t.Len)
		if err != nil {
			return nil, err
		}
		out := &operand{mode: isValue, pos: x.pos, typ: et, addressable: addressable}
		if i == nil {
			out.node = c.node(Field, pos, et, k*et.Size, n)
		} else {
			out.node = c.node(Index, pos, et, t.Len, n, i)
		}
		return out, nil
	case abi.Slice, abi.String:
		et := c.basic["uint8"]
		if t.Kind == abi.Slice {
			if et, err = c.elem(x.pos, t); err != nil {
				return nil, err
			}
		}
		i, k, err := c.indexValue(e.Index, -1)
		if err != nil {
			return nil, err
		}
		if i == nil {
			i = c.intConst(e.Index.Pos(), k)
		}
		return &operand{mode: isValue, pos: x.pos, typ: et, addressable: t.Kind == abi.Slice, node: c.node(Elem, pos, et, 0, n, i)}, nil
	}
	return nil, c.errorAt(x.pos, "no index for %s: it is no array, slice, string or map", c.describe(x))
}

// indexConst is the byte of a constant string at a constant index. It is no
// constant for Go.
func (c *checker) indexConst(x *operand, e *ast.IndexExpr) (*operand, error) {
	s := constant.StringVal(x.val)
	i, k, err := c.indexValue(e.Index, int64(len(s)))
	if err != nil {
		return nil, err
	}
	if i != nil {
		return nil, c.unsupported(e.Index.Pos(), "variable index of a constant string")
	}
	n := c.node(Const, e.Lbrack, c.basic["uint8"], 0)
	n.Const = constant.MakeInt64(int64(s[k]))
	return &operand{mode: isValue, pos: x.pos, typ: n.Type, node: n}, nil
}

func (c *checker) intConst(pos token.Pos, k int64) *Node {
	n := c.node(Const, pos, c.basic["int"], 0)
	n.Const = constant.MakeInt64(k)
	return n
}

// indexValue checks an index. A constant one is returned as a number, any other
// as a node. length is that of what is indexed, -1 if it is not constant.
func (c *checker) indexValue(e ast.Expr, length int64) (*Node, int64, error) {
	x, err := c.operandOf(e)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case x.mode == isNil || !x.isNumber():
		return nil, 0, c.errorAt(x.pos, "an index is an integer; this is %s", c.describe(x))
	case x.mode == isConst:
		t := c.basic["int"]
		if x.typ != nil && !isInteger(x.typ) {
			return nil, 0, c.errorAt(x.pos, "an index is an integer; this is %s", c.describe(x))
		}
		val, err := c.represent(x.pos, x.val, t)
		if err != nil {
			return nil, 0, err
		}
		k, _ := constant.Int64Val(val)
		if k < 0 {
			return nil, 0, c.errorAt(x.pos, "index %d is negative", k)
		}
		if length >= 0 && k >= length {
			return nil, 0, c.errorAt(x.pos, "index %d is out of range: there are %d elements", k, length)
		}
		return nil, k, nil
	}
	n, err := c.value(x, c.basic["int"])
	if err != nil {
		return nil, 0, err
	}
	if !isInteger(n.Type) {
		return nil, 0, c.errorAt(x.pos, "an index is an integer; this is %s", c.describe(x))
	}
	return n, 0, nil
}

// mapElem is m[key].
func (c *checker) mapElem(x *operand, e *ast.IndexExpr) (*operand, error) {
	key, err := c.complete(x.pos, x.typ.Key)
	if err != nil {
		return nil, err
	}
	et, err := c.elem(x.pos, x.typ)
	if err != nil {
		return nil, err
	}
	k, err := c.operandOf(e.Index)
	if err != nil {
		return nil, err
	}
	if key.Kind == abi.Interface || k.mode != isConst {
		return nil, c.unsupported(k.pos, "a map is indexed by a constant string, integer or bool; this is %s, and the key %s", c.describe(k), key.Name)
	}
	if k.kind == typed && !identical(k.typ, key) {
		return nil, c.errorAt(k.pos, "the key is %s, not %s", key.Name, k.typ.Name)
	}
	val, err := c.represent(k.pos, k.val, key)
	if err != nil {
		return nil, err
	}
	if key.Kind != abi.String && key.Kind != abi.Bool && !isInteger(key) {
		return nil, c.unsupported(k.pos, "a map is indexed by a constant string, integer or bool; the key is %s", key.Name)
	}
	n := c.node(MapElem, e.Lbrack, et, 0, x.node)
	n.Const = val
	return &operand{mode: isValue, pos: x.pos, typ: et, node: n}, nil
}

// slice is x[lo:hi:max].
func (c *checker) slice(e *ast.SliceExpr) (*operand, error) {
	x, err := c.operandOf(e.X)
	if err != nil {
		return nil, err
	}
	t, n := x.typ, x.node
	if x.mode == isConst && x.isString() {
		if err := c.sliceConst(x, e); err != nil {
			return nil, err
		}
		return nil, c.unsupported(x.pos, "slice of a constant string: write what it is")
	}
	if x.mode != isValue || t == nil {
		return nil, c.errorAt(x.pos, "%s cannot be sliced", c.describe(x))
	}
	length, out := int64(-1), t
	if t.Kind == abi.Pointer {
		under, err := c.elem(x.pos, t)
		if err != nil {
			return nil, err
		}
		if under.Kind == abi.Array {
			t, n = under, c.node(Deref, x.pos, under, 0, n)
		}
	}
	switch t.Kind {
	case abi.Array:
		if t == x.typ && !x.addressable {
			return nil, c.errorAt(x.pos, "an array that is no variable cannot be sliced")
		}
		et, err := c.elem(x.pos, t)
		if err != nil {
			return nil, err
		}
		length = t.Len
		out = &abi.Type{Name: "[]" + et.Name, Kind: abi.Slice, Size: 3 * c.Arch.PtrSize, Align: c.Arch.PtrSize, Elem: et}
	case abi.Slice:
		if _, err := c.elem(x.pos, t); err != nil {
			return nil, err
		}
	case abi.String:
		if e.Slice3 {
			return nil, c.errorAt(e.Pos(), "a string has no capacity to limit")
		}
		out = t
	default:
		return nil, c.errorAt(x.pos, "%s cannot be sliced: it is no string, slice or array", c.describe(x))
	}
	s := c.node(Slice, e.Lbrack, out, max(length, 0), n)
	if s.Y, s.Hi, s.Max, err = c.limits(e, length); err != nil {
		return nil, err
	}
	return &operand{mode: isValue, pos: x.pos, typ: out, node: s}, nil
}

// limits checks the limits of a slice expression, which are in order as far as
// they are constants.
func (c *checker) limits(e *ast.SliceExpr, length int64) (lo, hi, end *Node, err error) {
	var nodes [3]*Node
	least := int64(0)
	if length >= 0 {
		length++ // a limit may be the length
	}
	for i, limit := range []ast.Expr{e.Low, e.High, e.Max} {
		if limit == nil {
			continue
		}
		n, k, err := c.indexValue(limit, length)
		if err != nil {
			return nil, nil, nil, err
		}
		if n == nil {
			if k < least {
				return nil, nil, nil, c.errorAt(limit.Pos(), "limit %d is less than the one before it, %d", k, least)
			}
			least, n = k, c.intConst(limit.Pos(), k)
		}
		nodes[i] = n
	}
	return nodes[0], nodes[1], nodes[2], nil
}

// sliceConst checks the limits of a constant string.
func (c *checker) sliceConst(x *operand, e *ast.SliceExpr) error {
	if e.Slice3 {
		return c.errorAt(e.Pos(), "a string has no capacity to limit")
	}
	_, _, _, err := c.limits(e, int64(len(constant.StringVal(x.val))))
	return err
}
