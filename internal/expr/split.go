package expr

import (
	"go/constant"

	"github.com/argtap/argtap/abi"
)

// The functions of this file take conditions apart that need what is known only
// later, when the call returns, beside what is known earlier, when it begins.
// Which is which a func says of the numbers of parameters.

// Conjuncts returns what must be true for the condition to be met: the operands of
// the && at its top.
func Conjuncts(n *Node) []*Node {
	if n.Op == AndAnd {
		return append(Conjuncts(n.X), Conjuncts(n.Y)...)
	}
	return []*Node{n}
}

// All makes a condition of conjuncts, of which there is one at least.
func All(conjuncts []*Node) *Node {
	n := conjuncts[0]
	for _, c := range conjuncts[1:] {
		n = &Node{Op: AndAnd, Type: n.Type, X: n, Y: c, Column: n.Column}
	}
	return n
}

// Find returns the first operation of the tree that names a parameter of which is
// is true, nil if there is none.
func Find(n *Node, is func(param int64) bool) *Node {
	if n == nil || n.Op == Param && is(n.N) {
		return n
	}
	for _, x := range []*Node{n.X, n.Y, n.Hi, n.Max} {
		if found := Find(x, is); found != nil {
			return found
		}
	}
	return nil
}

// Replace returns a tree in which each parameter is what with makes of it: another
// operation, or itself.
func Replace(n *Node, with func(*Node) *Node) *Node {
	if n == nil {
		return nil
	}
	if n.Op == Param {
		return with(n)
	}
	return n.withOperands(func(x *Node) *Node { return Replace(x, with) })
}

// withOperands returns the operation with other operands.
func (n *Node) withOperands(of func(*Node) *Node) *Node {
	m, changed := *n, false
	for _, x := range []**Node{&m.X, &m.Y, &m.Hi, &m.Max} {
		if *x == nil {
			continue
		}
		y := of(*x)
		changed = changed || y != *x
		*x = y
	}
	if !changed {
		return n
	}
	return &m
}

// Keep takes a tree apart of which some parameters are known earlier than others:
// early says which. The largest parts that need only those are replaced by parameters
// with numbers from first on, whose values are kept. Where that is not possible,
// because there is no such value but a place, or none that stays what it is, cannot
// is the operation.
//
// Constants are no parts. Equal parts are kept once. What is kept is a number or
// bool of at most 8 bytes: an address would not do, for stacks are moved.
func Keep(root *Node, early func(param int64) bool, first int64) (rest *Node, kept []*Node, cannot *Node) {
	late := func(n int64) bool { return !early(n) }
	numbers := map[string]int64{}
	var visit func(n *Node) *Node
	visit = func(n *Node) *Node {
		switch {
		case cannot != nil || Find(n, early) == nil:
			return n
		case Find(n, late) != nil:
			return n.withOperands(visit)
		case !keepable(n.Type):
			cannot = n
			return n
		}
		key := n.String()
		number, ok := numbers[key]
		if !ok {
			number = first + int64(len(kept))
			numbers[key] = number
			kept = append(kept, n)
		}
		return &Node{Op: Param, Type: n.Type, N: number, Column: n.Column}
	}
	return visit(root), kept, cannot
}

func keepable(t *abi.Type) bool {
	return t.Size <= 8 && (t.Kind == abi.Bool || isInteger(t) || isFloat(t))
}

// int64Type is the type of numbers in what Without makes.
var int64Type = &abi.Type{Name: "int64", Kind: abi.Int64, Size: 8, Align: 8}

// Bool returns a constant in the place of an operation that is a bool.
func Bool(like *Node, b bool) *Node {
	return &Node{Op: Const, Type: like.Type, Const: constant.MakeBool(b), Column: like.Column}
}

// absentNode is a condition that has no value.
func absentNode(like *Node) *Node {
	number := func(i int64) *Node {
		return &Node{Op: Const, Type: int64Type, Const: constant.MakeInt64(i), Column: like.Column}
	}
	none := &Node{Op: Quo, Type: int64Type, X: number(1), Y: number(0), Column: like.Column}
	return &Node{Op: Eq, Type: like.Type, X: none, Y: number(1), Column: like.Column}
}

// Outcome is what a condition is in any case.
type Outcome uint8

// The outcomes.
const (
	// Depends: it depends on the parameters.
	Depends Outcome = iota
	// Met: it is true.
	Met
	// Unmet: it is false or has no value.
	Unmet
)

// Without returns what becomes of a condition, whose type is bool, when the
// parameters of which absent is true have no value. Where it depends on the others,
// rest is a condition over these, else nil.
func Without(root *Node, absent func(param int64) bool) (outcome Outcome, rest *Node) {
	n, gone := without(root, absent)
	switch b, ok := constantBool(n); {
	case gone, ok && !b:
		return Unmet, nil
	case ok:
		return Met, nil
	}
	return Depends, n
}

// Remains returns what becomes of an expression of type bool when the parameters of
// which absent is true have no value: one over the others, or a constant. It is not ok
// if it has no value then, or if it depends on the others whether it has one.
func Remains(root *Node, absent func(param int64) bool) (rest *Node, ok bool) {
	rest, gone := without(root, absent)
	return rest, !gone && !mayLack(rest)
}

// mayLack reports whether something in what without returns has no value.
func mayLack(n *Node) bool {
	switch {
	case n == nil:
		return false
	case n.Op == Eq && n.X.Op == Quo && n.X.Y.Op == Const && constant.Sign(n.X.Y.Const) == 0:
		return true // see absentNode
	}
	return mayLack(n.X) || mayLack(n.Y) || mayLack(n.Hi) || mayLack(n.Max)
}

// without returns the condition, or that it has no value.
func without(n *Node, absent func(int64) bool) (rest *Node, gone bool) {
	switch n.Op {
	case Not, As:
		x, gone := without(n.X, absent)
		if b, ok := constantBool(x); ok && !gone {
			return Bool(n, b != (n.Op == Not)), false
		}
		return n.withOperands(func(*Node) *Node { return x }), gone
	case AndAnd, OrOr:
		x, gone := without(n.X, absent)
		if gone {
			return n, true
		}
		if b, ok := constantBool(x); ok {
			if b == (n.Op == OrOr) {
				return Bool(n, b), false
			}
			return without(n.Y, absent)
		}
		y, gone := without(n.Y, absent)
		if gone {
			y = absentNode(n)
		}
		m := *n
		m.X, m.Y = x, y
		return &m, false
	}
	return n, Find(n, absent) != nil
}

func constantBool(n *Node) (b, ok bool) {
	if n.Op != Const || n.Const.Kind() != constant.Bool {
		return false, false
	}
	return constant.BoolVal(n.Const), true
}
