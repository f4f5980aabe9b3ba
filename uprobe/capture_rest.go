package uprobe

import (
	"encoding/binary"
	"go/constant"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
)

// rest is what remains to be computed of an expression that looks into a map.
// Programs in the kernel cannot hash: they capture what the expression needs of
// its parts that look into none, the map among them, and the rest is computed from
// these values.
type rest struct {
	root *expr.Node
	arch *abi.Arch
	// parts are the captured values, by their index in plan.Params.
	parts map[*expr.Node]int
}

// looksIntoMap reports whether a tree has a MapElem.
func looksIntoMap(n *expr.Node) bool {
	return n != nil && (n.Op == expr.MapElem || looksIntoMap(n.X) || looksIntoMap(n.Y) || looksIntoMap(n.Hi) || looksIntoMap(n.Max))
}

// newRest takes a tree apart. capture captures a part and returns its index.
func newRest(a *abi.Arch, root *expr.Node, capture func(*expr.Node) (int, error)) (*rest, error) {
	r := &rest{root: root, arch: a, parts: map[*expr.Node]int{}}
	var visit func(n *expr.Node) error
	visit = func(n *expr.Node) error {
		switch {
		case n == nil || isConstant(n):
			return nil
		case !looksIntoMap(n):
			i, err := capture(n)
			r.parts[n] = i
			return err
		}
		for _, x := range []*expr.Node{n.X, n.Y, n.Hi, n.Max} {
			if err := visit(x); err != nil {
				return err
			}
		}
		return nil
	}
	return r, visit(root)
}

// value computes the value for a call.
func (r *rest) value(c *Call) Value {
	e := evaluation{rest: r, part: c.param, small: c.fn.plan.PtrSize == 4, printers: c.fn.printers}
	return e.value(r.root)
}

// evaluation computes one value. Places and strings and slices are Values, what
// is computed of them are numbers.
type evaluation struct {
	*rest
	part     func(i int) Value
	small    bool
	printers printers
}

func (e *evaluation) value(n *expr.Node) Value {
	if i, ok := e.parts[n]; ok {
		return e.part(i)
	}
	if n.IsPlace() || n.Type.Kind == abi.String || n.Type.Kind == abi.Slice {
		return e.place(n)
	}
	b, r := e.scalar(n)
	if r != abi.Present {
		return absent(n.Type, r)
	}
	return e.made(n.Type, b)
}

// made is a value that the target does not have.
func (e *evaluation) made(t *abi.Type, b []byte) Value {
	return Value{data: b, typ: t, img: &capture.Image{Type: t, Size: t.Size}, small: e.small, printers: e.printers}
}

// number returns an integer, bool or word of an address, extended to 64 bits by
// the signedness of its type.
func (e *evaluation) number(n *expr.Node) (uint64, abi.Reason) {
	b, r := e.scalar(n)
	if r != abi.Present {
		return 0, r
	}
	var word [8]byte
	copy(word[:], b)
	x := binary.LittleEndian.Uint64(word[:])
	if n.Type.Kind >= abi.Int && n.Type.Kind <= abi.Int64 && len(b) < 8 {
		unused := 64 - 8*uint(len(b))
		x = uint64(int64(x<<unused) >> unused)
	}
	return x, abi.Present
}

func (e *evaluation) bits(n *expr.Node, x uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, x)[:n.Type.Size]
}

// scalar returns the bytes of a number, bool or address.
func (e *evaluation) scalar(n *expr.Node) ([]byte, abi.Reason) {
	_, part := e.parts[n]
	switch {
	case part || n.IsPlace():
		v := e.place(n)
		if r := v.reason(); r != abi.Present {
			return nil, r
		}
		return v.bytes(n.Type.Size), abi.Present
	case n.Op == expr.Len || n.Op == expr.Cap:
		x, r := e.length(n)
		return e.bits(n, x), r
	case n.Op == expr.IsNil:
		v := e.place(n.X)
		if r := v.reason(); r != abi.Present {
			return nil, r
		}
		if v.word(0) == 0 {
			return []byte{1}, abi.Present
		}
		return []byte{0}, abi.Present
	case n.Op == expr.AndAnd || n.Op == expr.OrOr:
		b, r := e.scalar(n.X)
		if r != abi.Present || (b[0] != 0) == (n.Op == expr.OrOr) {
			return b, r
		}
		return e.scalar(n.Y)
	}
	return e.compute(n)
}

func (e *evaluation) length(n *expr.Node) (uint64, abi.Reason) {
	v := e.place(n.X)
	if v.why != abi.Present {
		return 0, v.why
	}
	if k := n.X.Type.Kind; k == abi.Array || k == abi.Pointer {
		return uint64(n.N), abi.Present
	}
	if r := v.reason(); r != abi.Present {
		return 0, r
	}
	switch n.X.Type.Kind {
	case abi.Map, abi.Chan:
		if v.word(0) == 0 {
			return 0, abi.Present
		}
		if r := v.unfollowed(); r != abi.Present {
			return 0, r
		}
		if n.Op == expr.Cap {
			return uint64(v.Cap()), abi.Present
		}
		return uint64(v.Len()), abi.Present
	}
	word := int64(1)
	if n.Op == expr.Cap && n.X.Type.Kind == abi.Slice {
		word = 2
	}
	x := v.length(word)
	if x < 0 {
		return 0, abi.Implausible
	}
	return uint64(x), abi.Present
}

// textAddr is where the bytes of a string are that compute compares.
const textAddr = 1 << 12

// textMemory has the captured bytes of a string.
type textMemory []byte

func (m textMemory) Read(addr uint64, b []byte) bool {
	return addr == textAddr && copy(b, m) == len(b)
}

func (textMemory) TypeWord(*abi.Type) uint64 { return 0 }

func (textMemory) MapElem(*abi.Type, uint64, constant.Value) (uint64, bool, bool) {
	return 0, false, false
}

// evalReasons are the reasons of package expr.
var evalReasons = map[expr.Absence]abi.Reason{
	expr.NilDereference: abi.NilPointer, expr.IndexOutOfRange: abi.IndexOutOfRange, expr.SliceOutOfRange: abi.SliceOutOfRange,
	expr.OtherType: abi.OtherType, expr.DivisionByZero: abi.DivisionByZero, expr.NegativeShift: abi.NegativeShift,
	expr.NotResident: abi.Cut, // the bytes of a string that were not captured
	expr.Implausible: abi.Implausible,
}

// compute lets the interpreter of package expr apply an operation to its
// operands.
func (e *evaluation) compute(n *expr.Node) ([]byte, abi.Reason) {
	op := *n
	var images [][]byte
	var text textMemory
	for _, x := range []**expr.Node{&op.X, &op.Y} {
		if *x == nil || isConstant(*x) {
			continue
		}
		var image []byte
		var r abi.Reason
		if t := (*x).Type; t.Kind == abi.String {
			v := e.place(*x)
			if r = v.reason(); r == abi.Present && v.length(1) > 0 {
				var first Value
				var n int64
				if first, n, r = v.elems(); r == abi.Present {
					text = first.bytes(n)
				}
			}
			image = binary.LittleEndian.AppendUint64(nil, textAddr)[:e.arch.PtrSize]
			if r == abi.Present {
				image = append(image, binary.LittleEndian.AppendUint64(nil, uint64(v.length(1)))[:e.arch.PtrSize]...)
			}
		} else {
			image, r = e.scalar(*x)
		}
		if r != abi.Present {
			return nil, r
		}
		*x = &expr.Node{Op: expr.Param, Type: (*x).Type, N: int64(len(images))}
		images = append(images, image)
	}
	v, why := expr.Eval(expr.Of(e.arch, &op), images, text)
	if why != expr.Present {
		if r, ok := evalReasons[why]; ok {
			return nil, r
		}
		return nil, abi.NotFollowed
	}
	return v.Bytes, abi.Present
}
