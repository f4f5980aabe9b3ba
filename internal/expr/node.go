package expr

import (
	"fmt"
	"go/constant"
	"strings"

	"github.com/argtap/argtap/abi"
)

// Op is what a [Node] does.
//
// An operation is a place or a computation. A place names bytes that the target
// has: in the image of a parameter, or at an address. It reads none of them; an
// operation that needs the value of a place reads it, and no more of it than it
// needs. A computation has a value: an integer, a bool, or the header of a
// string or slice.
//
// Operands are evaluated before the operation: X, Y, then Hi and Max. What an
// operand has no value for, the operation has none for, with the same reason.
type Op uint8

// The places.
const (
	// Param is the image of parameter N.
	Param Op = iota + 1
	// Field is the part of the place X that begins at its byte N: a field of a
	// struct, an element of an array by a constant index, a half of a complex
	// number.
	Field
	// Deref is the place at the address that X has as its value. There is no
	// value if it is 0. It reads nothing at the address.
	Deref
	// Index is the element Y of the array at the place X, which has N elements.
	// There is no value unless Y < N, compared as unsigned 64-bit numbers after
	// Y was extended by its own signedness.
	Index
	// Elem is the element Y of the slice or string X. There is no value unless
	// Y is less than the length, compared as for Index.
	Elem
	// MapElem is the element of the map X by the key Const, a string, integer or
	// bool of the map's key type. Where the map is nil or has no such key it is
	// the zero value of the type: a place of zeros.
	MapElem
	// Assert is the value in the interface X, a place, if its dynamic type is
	// Type, and nothing else. The type word is the first word of X; if
	// Methods, the first word is nil or the address of an itab, whose second
	// word it is. Where Direct, the place is the second word of X itself, else it
	// is at the address in that word.
	Assert
)

// The computations. Integers are computed modulo 2^64 and then cut to the size
// of Type and extended by its signedness.
const (
	// Const is Const, a bool, number or string.
	Const Op = iota + 32
	// Len and Cap are of the slice or string X, or of the map or channel that X
	// points to: 0 if it is nil, else the first word there, and for Cap of a
	// channel the second. Where X is an array, or a pointer to one, it is N, and
	// X is evaluated as far as a place is, for what it may have no value for.
	Len
	Cap
	// Slice is X[Y:Hi:Max] of the slice or string X, or of the array of N
	// elements at the place X. Y, Hi and Max may be nil for the usual limits.
	// There is no value unless Y <= Hi <= Max <= capacity, compared as for
	// Index; a string's length is its capacity. Where the capacity of the
	// result is 0 its address does not move.
	Slice
	// Neg, Com and Not are -X and ^X of integers, !X of a bool.
	Neg
	Com
	Not
	// Add to AndNot are the binary operations of integers.
	Add
	Sub
	Mul
	// Quo and Rem are signed or unsigned by Type, truncated toward zero, and
	// have no value where Y is 0. The most negative number divided by -1 is
	// itself, and leaves 0.
	Quo
	Rem
	And
	Or
	Xor
	AndNot
	// Shl and Shr shift X by Y, which has a type of its own. There is no value
	// if Y is signed and negative. Shifts by the size of X or more leave 0, or
	// the sign.
	Shl
	Shr
	// Convert is the integer X cut or extended to Type. Extension is by the
	// signedness of X.
	Convert
	// As is X with another type of the same representation.
	As
	// Eq to Ge compare X with Y, which have the same representation: integers,
	// addresses and bools (Eq, Ne); floating-point numbers as IEEE 754 has it;
	// complex numbers (Eq, Ne); strings, of which one at least is Const.
	Eq
	Ne
	Lt
	Le
	Gt
	Ge
	// IsNil is whether the first word of X is 0, a place or Slice of a type that
	// has nil.
	IsNil
	// AndAnd and OrOr evaluate Y only if X is true or false.
	AndAnd
	OrOr
)

var opNames = map[Op]string{
	Param: "param", Field: "field", Deref: "deref", Index: "index", Elem: "elem", MapElem: "mapelem", Assert: "assert",
	Const: "const", Len: "len", Cap: "cap", Slice: "slice", Neg: "neg", Com: "com", Not: "not",
	Add: "add", Sub: "sub", Mul: "mul", Quo: "quo", Rem: "rem", And: "and", Or: "or", Xor: "xor", AndNot: "andnot",
	Shl: "shl", Shr: "shr", Convert: "convert", As: "as",
	Eq: "eq", Ne: "ne", Lt: "lt", Le: "le", Gt: "gt", Ge: "ge", IsNil: "isnil", AndAnd: "andand", OrOr: "oror",
}

// String returns the name of the operation, in lower case.
func (op Op) String() string {
	if s, ok := opNames[op]; ok {
		return s
	}
	return fmt.Sprintf("op%d", uint8(op))
}

// IsPlace reports whether the operation names bytes that the target has.
func (op Op) IsPlace() bool { return op < Const }

// Node is an operation with its operands. Nodes form a tree, which is immutable.
type Node struct {
	Op Op
	// Type of the value. Its kind is never Invalid.
	Type *abi.Type
	// The operands, nil where the operation has none.
	X, Y, Hi, Max *Node
	// N is the index of a parameter, an offset in bytes, or a number of elements.
	N int64
	// Const is a constant, represented as Type has it, or the key of a map.
	Const constant.Value
	// Methods says of Assert that X has an itab, Direct that the interface
	// holds the value itself and not its address.
	Methods, Direct bool
	// Column of the expression's text where the operation is, in bytes from 1.
	Column int
}

// IsPlace reports whether the value is at a place that the target has. As keeps
// what its operand is.
func (n *Node) IsPlace() bool {
	for n.Op == As {
		n = n.X
	}
	return n.Op.IsPlace()
}

// String returns the tree in one line, as in
// (len []uint8 (field []uint8 +8 (deref main.T (param *main.T 0)))).
func (n *Node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *Node) write(b *strings.Builder) {
	if n == nil {
		b.WriteByte('_')
		return
	}
	fmt.Fprintf(b, "(%s %s", n.Op, n.Type)
	switch n.Op {
	case Param, Index:
		fmt.Fprintf(b, " %d", n.N)
	case Slice, Len, Cap:
		if n.X.Type.Kind == abi.Array || n.X.Type.Kind == abi.Pointer {
			fmt.Fprintf(b, " %d", n.N)
		}
	case Field:
		fmt.Fprintf(b, " +%d", n.N)
	case Const, MapElem:
		fmt.Fprintf(b, " %s", n.Const.ExactString())
	case Assert:
		if n.Methods {
			b.WriteString(" itab")
		}
		if n.Direct {
			b.WriteString(" direct")
		}
	}
	operands := []*Node{n.X, n.Y, n.Hi, n.Max}
	if n.Op != Slice {
		for len(operands) > 0 && operands[len(operands)-1] == nil {
			operands = operands[:len(operands)-1]
		}
	}
	for _, x := range operands {
		b.WriteByte(' ')
		x.write(b)
	}
	b.WriteByte(')')
}
