package expr

import (
	"cmp"
	"go/constant"
	"math"

	"github.com/argtap/argtap/abi"
)

// scalar returns an integer, bool, or word of an address, extended to 64 bits by
// the signedness of its type.
func (m *machine) scalar(n *Node) (uint64, Absence) {
	if n.Op.IsPlace() {
		at, why := m.place(n)
		if why != Present {
			return 0, why
		}
		x, why := m.word(at, 0, n.Type.Size)
		return extend(x, n.Type), why
	}
	switch n.Op {
	case Const:
		return n.Bits(), Present
	case Len, Cap:
		return m.length(n)
	case As, Convert:
		x, why := m.scalar(n.X)
		return extend(x, n.Type), why
	case Neg, Com, Not:
		x, why := m.scalar(n.X)
		switch n.Op {
		case Neg:
			x = -x
		case Com:
			x = ^x
		case Not:
			x ^= 1
		}
		return extend(x, n.Type), why
	case AndAnd, OrOr:
		x, why := m.scalar(n.X)
		if why != Present || (x != 0) == (n.Op == OrOr) {
			return x, why
		}
		return m.scalar(n.Y)
	case IsNil:
		return m.isNil(n)
	case Eq, Ne, Lt, Le, Gt, Ge:
		return m.compare(n)
	}
	x, why := m.scalar(n.X)
	if why != Present {
		return 0, why
	}
	y, why := m.scalar(n.Y)
	if why != Present {
		return 0, why
	}
	x, why = arithmeticOf(n, x, y)
	return extend(x, n.Type), why
}

// extend cuts x to the size of t and extends it to 64 bits.
func extend(x uint64, t *abi.Type) uint64 {
	unused := 64 - 8*uint(t.Size)
	if t.Size < 1 || t.Size > 8 {
		return x
	}
	if isInteger(t) && !isUnsigned(t) {
		return uint64(int64(x<<unused) >> unused)
	}
	return x << unused >> unused
}

// arithmeticOf computes a binary operation with integers.
func arithmeticOf(n *Node, x, y uint64) (uint64, Absence) {
	signed := !isUnsigned(n.Type)
	switch n.Op {
	case Add:
		return x + y, Present
	case Sub:
		return x - y, Present
	case Mul:
		return x * y, Present
	case And:
		return x & y, Present
	case Or:
		return x | y, Present
	case Xor:
		return x ^ y, Present
	case AndNot:
		return x &^ y, Present
	case Quo, Rem:
		switch {
		case y == 0:
			return 0, DivisionByZero
		case signed && n.Op == Quo:
			return uint64(int64(x) / int64(y)), Present
		case signed:
			return uint64(int64(x) % int64(y)), Present
		case n.Op == Quo:
			return x / y, Present
		}
		return x % y, Present
	case Shl, Shr:
		switch {
		case !isUnsigned(n.Y.Type) && int64(y) < 0:
			return 0, NegativeShift
		case n.Op == Shl:
			return x << y, Present
		case signed:
			return uint64(int64(x) >> y), Present
		}
		return x >> y, Present
	}
	return 0, NotResident // no operation: never in a tree of Compile's
}

// Bits returns a Const that is an integer, bool or floating-point number as the
// target has it, an integer extended to 64 bits by its signedness.
func (n *Node) Bits() uint64 {
	if n.Op != Const || n.Const == nil {
		return 0
	}
	switch n.Const.Kind() {
	case constant.Bool:
		if constant.BoolVal(n.Const) {
			return 1
		}
		return 0
	case constant.Int, constant.Float:
		if isFloat(n.Type) {
			f, _ := constant.Float64Val(n.Const)
			if n.Type.Size == 4 {
				return uint64(math.Float32bits(float32(f)))
			}
			return math.Float64bits(f)
		}
		if x, ok := constant.Int64Val(n.Const); ok {
			return uint64(x)
		}
		x, _ := constant.Uint64Val(n.Const)
		return x
	}
	return 0
}

// length is len or cap.
func (m *machine) length(n *Node) (uint64, Absence) {
	switch n.X.Type.Kind {
	case abi.Array:
		_, why := m.place(n.X)
		return uint64(n.N), why
	case abi.Pointer:
		_, why := m.scalar(n.X)
		return uint64(n.N), why
	}
	if k := n.X.Type.Kind; k == abi.Map || k == abi.Chan {
		p, why := m.scalar(n.X)
		if why != Present || p == 0 {
			return 0, why
		}
		offset := int64(0)
		if n.Op == Cap {
			offset = m.arch.PtrSize
		}
		x, why := m.word(Place{Param: -1, Addr: p}, uint64(offset), n.Type.Size)
		return extend(x, n.Type), why
	}
	h, why := m.header(n.X)
	x := h.length
	if n.Op == Cap {
		x = h.capacity
	}
	if why == Present && m.negative(x) {
		why = Implausible
	}
	return x, why
}

// isNil looks at the first word of a value.
func (m *machine) isNil(n *Node) (uint64, Absence) {
	var first uint64
	var why Absence
	switch {
	case n.X.Type.Kind == abi.Slice:
		var h header
		h, why = m.header(n.X)
		first = h.data.Addr
		if h.data.Param >= 0 {
			first = 1
		}
	case n.X.Type.Kind == abi.Interface:
		var at Place
		if at, why = m.place(n.X); why == Present {
			first, why = m.word(at, 0, m.arch.PtrSize)
		}
	default:
		first, why = m.scalar(n.X)
	}
	return boolBits(first == 0), why
}

func boolBits(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// compare is the comparison of two values.
func (m *machine) compare(n *Node) (uint64, Absence) {
	t := n.X.Type
	switch {
	case isFloat(t) || isComplex(t):
		xr, xi, why := m.float(n.X)
		if why != Present {
			return 0, why
		}
		yr, yi, why := m.float(n.Y)
		if why != Present {
			return 0, why
		}
		switch n.Op {
		case Eq:
			return boolBits(xr == yr && xi == yi), Present
		case Ne:
			return boolBits(xr != yr || xi != yi), Present
		case Lt:
			return boolBits(xr < yr), Present
		case Le:
			return boolBits(xr <= yr), Present
		case Gt:
			return boolBits(xr > yr), Present
		}
		return boolBits(xr >= yr), Present
	case t.Kind == abi.String:
		order, why := m.compareStrings(n)
		return boolBits(holds(n.Op, order)), why
	}
	x, why := m.scalar(n.X)
	if why != Present {
		return 0, why
	}
	y, why := m.scalar(n.Y)
	if why != Present {
		return 0, why
	}
	order := cmp.Compare(x, y)
	if isInteger(t) && !isUnsigned(t) {
		order = cmp.Compare(int64(x), int64(y))
	}
	return boolBits(holds(n.Op, order)), Present
}

// holds reports whether a comparison holds for an order.
func holds(op Op, order int) bool {
	switch op {
	case Eq:
		return order == 0
	case Ne:
		return order != 0
	case Lt:
		return order < 0
	case Le:
		return order <= 0
	case Gt:
		return order > 0
	}
	return order >= 0
}

// compareStrings compares two strings, of which one is constant. Where equality
// is asked and the lengths differ nothing else is read, and never more than the
// shorter of the two.
func (m *machine) compareStrings(n *Node) (int, Absence) {
	x, why := m.sound(n.X)
	if why != Present {
		return 0, why
	}
	y, why := m.sound(n.Y)
	if why != Present {
		return 0, why
	}
	byLength := cmp.Compare(x.length, y.length)
	if byLength != 0 && (n.Op == Eq || n.Op == Ne) {
		return byLength, Present
	}
	size := int64(min(x.length, y.length))
	var text [2]string
	for i, h := range []header{x, y} {
		if h.text != "" {
			text[i] = h.text[:size]
			continue
		}
		if size > maxText {
			return 0, TooLarge // neither is constant: never in a tree of Compile's
		}
		b, why := m.load(h.data, 0, size)
		if why != Present {
			return 0, why
		}
		text[i] = string(b)
	}
	if order := cmp.Compare(text[0], text[1]); order != 0 {
		return order, Present
	}
	return byLength, Present
}

// float returns a floating-point or complex number.
func (m *machine) float(n *Node) (re, im float64, why Absence) {
	for n.Op == As {
		n = n.X
	}
	if n.Op == Const {
		re, _ = constant.Float64Val(constant.Real(n.Const))
		im, _ = constant.Float64Val(constant.Imag(n.Const))
		return re, im, Present
	}
	at, why := m.place(n)
	if why != Present {
		return 0, 0, why
	}
	half := n.Type.Size
	if isComplex(n.Type) {
		half /= 2
	}
	var parts [2]float64
	for i := range n.Type.Size / half {
		bits, why := m.word(at, uint64(i*half), half)
		if why != Present {
			return 0, 0, why
		}
		parts[i] = math.Float64frombits(bits)
		if half == 4 {
			parts[i] = float64(math.Float32frombits(uint32(bits)))
		}
	}
	return parts[0], parts[1], Present
}
