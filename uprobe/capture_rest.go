package uprobe

import (
	"encoding/binary"
	"go/constant"
	"slices"

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

// maxZero bounds the size in bytes of an element that a map lacks.
const maxZero = 1 << 20

func (e *evaluation) zero(t *abi.Type) Value {
	if t.Size < 0 || t.Size > maxZero {
		return absent(t, abi.Cut)
	}
	return e.made(t, make([]byte, t.Size))
}

// place returns the value of a place, or of a string or slice.
func (e *evaluation) place(n *expr.Node) Value {
	if i, ok := e.parts[n]; ok {
		return e.part(i)
	}
	none := func(r abi.Reason) Value { return absent(n.Type, r) }
	if isConstant(n) {
		return none(abi.NotFollowed) // never in a tree of expr.Compile's
	}
	x := e.place(n.X)
	if x.why != abi.Present {
		return none(x.why)
	}
	switch n.Op {
	case expr.As:
		x.typ = n.Type
		return x
	case expr.Field:
		x.off += n.N
		x.typ = n.Type
		return x
	case expr.Index:
		i, r := e.number(n.Y)
		switch {
		case r != abi.Present:
			return none(r)
		case i >= uint64(n.N):
			return none(abi.IndexOutOfRange)
		}
		x.off += int64(i) * n.Type.Size
		x.typ = n.Type
		return x
	}
	if r := x.reason(); r != abi.Present {
		return none(r)
	}
	switch n.Op {
	case expr.Deref:
		if x.word(0) == 0 {
			return none(abi.NilPointer)
		}
		p := x.Elem()
		p.typ = n.Type
		return p
	case expr.Elem:
		return e.element(n, x)
	case expr.MapElem:
		return e.mapElement(n, x)
	case expr.Assert:
		if x.word(0) == 0 {
			return none(abi.OtherType)
		}
		d := x.Dynamic()
		switch {
		case d.typ == nil:
			return none(d.reason())
		case d.typ.RuntimeType != n.Type.RuntimeType:
			return none(abi.OtherType)
		}
		d.typ = n.Type
		return d
	case expr.Slice:
		return e.slice(n, x)
	}
	return none(abi.NotFollowed)
}

// element is an element of the slice or string x.
func (e *evaluation) element(n *expr.Node, x Value) Value {
	i, r := e.number(n.Y)
	if r != abi.Present {
		return absent(n.Type, r)
	}
	if x.negative() {
		return absent(n.Type, abi.Implausible)
	}
	if i >= uint64(x.length(1)) {
		return absent(n.Type, abi.IndexOutOfRange)
	}
	first, captured, r := x.elems()
	switch {
	case r != abi.Present:
		return absent(n.Type, r)
	case i >= uint64(captured):
		return absent(n.Type, abi.Cut)
	}
	v := first.element(int(i))
	v.typ = n.Type
	return v
}

// mapElement is the element of the map x with a constant key.
func (e *evaluation) mapElement(n *expr.Node, x Value) Value {
	if x.word(0) == 0 {
		return e.zero(n.Type)
	}
	if r := x.unfollowed(); r != abi.Present {
		return absent(n.Type, r)
	}
	doubt := abi.Present
	for key, elem := range x.MapRange() {
		same, r := isKey(key, n.Const)
		switch {
		case r != abi.Present:
			doubt = r
		case same:
			elem.typ = n.Type
			return elem
		}
	}
	switch {
	case doubt != abi.Present:
		return absent(n.Type, doubt)
	case x.restReason() != abi.Present:
		return absent(n.Type, x.restReason())
	case x.Captured() < x.Len():
		return absent(n.Type, abi.Cut)
	}
	return e.zero(n.Type)
}

// isKey reports whether a key is a constant, or why that is not known.
func isKey(key Value, c constant.Value) (bool, abi.Reason) {
	if r := key.reason(); r != abi.Present {
		return false, r
	}
	switch key.Kind() {
	case abi.String:
		want := constant.StringVal(c)
		if key.Len() != len(want) {
			return false, abi.Present
		}
		got, captured, r := key.elems()
		if r != abi.Present {
			return false, r
		}
		if text := string(got.bytes(captured)); len(text) < len(want) && text == want[:len(text)] {
			return false, abi.Cut
		} else {
			return text == want, abi.Present
		}
	case abi.Bool:
		got, ok := key.Bool()
		if !ok {
			return false, abi.Implausible
		}
		return got == constant.BoolVal(c), abi.Present
	}
	bits, _, ok := key.integer()
	if !ok {
		return false, abi.Implausible
	}
	k := expr.Node{Op: expr.Const, Type: key.typ, Const: c}
	unused := 64 - 8*uint(key.typ.Size)
	return bits == k.Bits()<<unused>>unused, abi.Present
}

// slice is what a slice expression makes of the string or slice x.
func (e *evaluation) slice(n *expr.Node, x Value) Value {
	none := func(r abi.Reason) Value { return absent(n.Type, r) }
	if x.typ.Kind == abi.Array {
		return none(abi.NotFollowed)
	}
	if x.negative() {
		return none(abi.Implausible)
	}
	length, end := uint64(x.length(1)), uint64(x.length(1))
	if x.typ.Kind == abi.Slice {
		end = uint64(x.length(2))
	}
	limits, capacity := [3]uint64{0, length, end}, end
	for i, limit := range []*expr.Node{n.Y, n.Hi, n.Max} {
		if limit == nil {
			continue
		}
		var r abi.Reason
		if limits[i], r = e.number(limit); r != abi.Present {
			return none(r)
		}
	}
	lo, hi, end := limits[0], limits[1], limits[2]
	if end > capacity || hi > end || lo > hi {
		return none(abi.SliceOutOfRange)
	}
	elem := capture.StringElem()
	if n.Type.Kind == abi.Slice {
		elem = n.Type.Elem
	} else {
		end = hi
	}
	addr := x.word(0)
	heap := x.heap
	if end > lo {
		addr += lo * uint64(elem.Size)
	}
	if hi > lo && heap != nil && elem.Size > 0 {
		id, limit, r := heap.walk.Types.Lookup(capture.RowCounted, elem)
		if r != abi.Present {
			return none(r)
		}
		first, captured, r := x.elems()
		if r != abi.Present && length > 0 {
			return none(r)
		}
		want := min(hi-lo, uint64(limit))
		if n := uint64(captured); lo > n || want > n-lo {
			return none(abi.Cut)
		}
		heap = heap.with(heapObject{
			addr: addr, typ: id, depth: uint32(first.depth), count: uint32(want), off: first.base + uint32(lo)*uint32(first.img.Size),
		})
	}
	var b []byte
	for _, w := range []uint64{addr, hi - lo, end - lo}[:words(n.Type.Kind)] {
		if e.small {
			b = binary.LittleEndian.AppendUint32(b, uint32(w))
		} else {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
	}
	v := e.made(n.Type, b)
	v.heap, v.depth = heap, x.depth
	return v
}

// with returns a heap that has another object besides those of h.
func (h *heap) with(o heapObject) *heap {
	h.once.Do(h.objects)
	k := &heap{walk: h.walk, data: h.data, fixed: h.fixed, funcs: h.funcs, small: h.small}
	k.once.Do(func() {
		o.pos = int32(len(h.list))
		k.list, k.index = append(slices.Clone(h.list), o), append(slices.Clone(h.index), o.pos)
		k.sort()
	})
	return k
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
