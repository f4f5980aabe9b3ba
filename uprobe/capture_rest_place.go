package uprobe

import (
	"encoding/binary"
	"go/constant"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
)

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
