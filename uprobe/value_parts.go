package uprobe

import (
	"math"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Len returns the length of a string, slice, array or map, or the number of
// elements in a channel's buffer: that of the value in the target, not of what
// was captured. It is -1 if it is not known.
func (v Value) Len() int {
	switch v.Kind() {
	case abi.Array:
		return int(v.typ.Len)
	case abi.String, abi.Slice:
		if v.reason() == abi.Present {
			if n := v.length(1); n >= 0 {
				return int(n)
			}
		}
	case abi.Map, abi.Chan:
		if v.IsNil() {
			return 0
		}
		if s := v.scanned(); s != nil && s.ok {
			return s.length
		}
	}
	return -1
}

// Cap returns the capacity of a slice or channel, -1 if it is not known.
func (v Value) Cap() int {
	if v.Kind() == abi.Chan {
		if s := v.scanned(); s != nil && s.ok {
			return s.capacity
		}
		if v.IsNil() {
			return 0
		}
	}
	if v.Kind() == abi.Slice && v.reason() == abi.Present {
		if n := v.length(2); n >= 0 {
			return int(n)
		}
	}
	return -1
}

// Captured returns how many elements of a string, slice, array or channel, or
// entries of a map, were captured, 0 if there are none.
func (v Value) Captured() int {
	switch v.Kind() {
	case abi.Array:
		if v.reason() != abi.Present {
			return 0
		}
		if v.typ.Elem == nil || v.typ.Elem.Size <= 0 || v.typ.Len <= 0 {
			return max(int(v.typ.Len), 0)
		}
		return int(min(v.typ.Len, max(0, v.img.Size-v.off)/v.typ.Elem.Size))
	case abi.String, abi.Slice:
		if _, n, r := v.elems(); r == abi.Present {
			return int(n)
		}
	case abi.Map, abi.Chan:
		if s := v.scanned(); s != nil {
			return len(s.entries) + s.first.n + s.second.n
		}
	}
	return 0
}

// Index returns element i of a slice or array, or the i-th element that will be
// received from a channel. An element that was not captured is absent.
func (v Value) Index(i int) Value {
	if v.typ == nil || v.typ.Elem == nil || i < 0 {
		return absent(nil, abi.UnknownType)
	}
	switch v.Kind() {
	case abi.Array:
		if int64(i) >= v.typ.Len {
			break
		}
		if r := v.reason(); r != abi.Present {
			return absent(v.typ.Elem, r)
		}
		v.off += int64(i) * v.typ.Elem.Size
		v.typ = v.typ.Elem
		return v
	case abi.Slice:
		e, n, r := v.elems()
		if r != abi.Present {
			return absent(v.typ.Elem, r)
		}
		if i >= v.Len() {
			break
		}
		if int64(i) >= n {
			return absent(v.typ.Elem, v.cutBy())
		}
		return e.element(i)
	case abi.Chan:
		if r := v.reason(); r != abi.Present {
			return absent(v.typ.Elem, r)
		}
		s := v.scanned()
		if s == nil {
			break
		}
		if !s.ok {
			return absent(v.typ.Elem, s.why)
		}
		if e := s.element(i); e.why == abi.Present {
			return e
		}
		return absent(v.typ.Elem, s.rest)
	}
	return absent(v.typ.Elem, abi.OutOfRange)
}

// cutBy returns which limit leaves out the rest of the present value v, of which
// not all was captured.
func (v Value) cutBy() abi.Reason {
	switch v.typ.Kind {
	case abi.Array:
		return v.img.CutBy()
	case abi.String:
		return abi.CutString
	case abi.Slice:
	default:
		return abi.CutElems
	}
	if v.heap != nil {
		_, r := v.heap.walk.Types.Elements(v.typ.Elem)
		return r
	}
	ref, ok := v.img.Ref(v.off)
	switch _, n, _ := v.elems(); {
	case !ok || ref.Cut == abi.Present:
		return abi.Cut
	case n < int64(ref.Limit):
		return abi.CutRefs
	}
	return ref.Cut
}

// element returns element i of the chunk whose first element is v.
func (v Value) element(i int) Value {
	v.base += uint32(i) * uint32(v.img.Size)
	v.slots += uint32(i * v.img.Slots * capture.SlotSize)
	return v
}

// NumField returns the number of fields of a struct, blank ones included.
func (v Value) NumField() int {
	if v.Kind() != abi.Struct {
		return 0
	}
	return len(v.typ.Fields)
}

// Field returns field i of a struct.
func (v Value) Field(i int) Value {
	if i < 0 || i >= v.NumField() {
		return absent(nil, abi.UnknownType)
	}
	f := &v.typ.Fields[i]
	if v.why != abi.Present {
		return absent(f.Type, v.why)
	}
	v.off += f.Offset
	v.typ = f.Type
	return v
}

// FieldByName returns the field of a struct with the given name.
func (v Value) FieldByName(name string) (Value, bool) {
	for i := range v.NumField() {
		if v.typ.Fields[i].Name == name {
			return v.Field(i), true
		}
	}
	return Value{}, false
}

// Pointer returns the address that a pointer, map, channel, func or
// unsafe.Pointer holds, 0 for nil. It is an address in the target.
func (v Value) Pointer() (uint64, bool) {
	switch v.Kind() {
	case abi.Pointer, abi.Map, abi.Chan, abi.Func, abi.UnsafePointer, abi.String, abi.Slice:
		if v.reason() == abi.Present {
			return v.word(0), true
		}
	}
	return 0, false
}

// IsNil reports whether a pointer, slice, map, channel, func, interface or
// unsafe.Pointer is nil. It is false if the value is absent.
func (v Value) IsNil() bool {
	switch v.Kind() {
	case abi.Pointer, abi.Map, abi.Chan, abi.Func, abi.UnsafePointer, abi.Slice, abi.Interface:
		return v.reason() == abi.Present && v.word(0) == 0
	}
	return false
}

// Elem returns what a pointer points to. It is absent if the pointer is nil or
// was not followed.
func (v Value) Elem() Value {
	if v.Kind() != abi.Pointer {
		return absent(nil, abi.UnknownType)
	}
	e, _, r := v.elems()
	if r != abi.Present {
		return absent(v.typ.Elem, r)
	}
	return e
}

// elems returns the first of the n elements captured of what a pointer, string
// or slice refers to.
func (v Value) elems() (first Value, n int64, r abi.Reason) {
	if r := v.reason(); r != abi.Present {
		return Value{}, 0, r
	}
	length := int64(1)
	if v.typ.Kind != abi.Pointer {
		length = v.length(1)
	}
	switch {
	case length < 0 || v.typ.Kind == abi.Slice && length > v.length(2):
		return Value{}, 0, abi.Implausible
	case v.word(0) == 0 && v.typ.Kind == abi.Pointer:
		return Value{}, 0, abi.NotFollowed
	case length == 0:
		return Value{}, 0, abi.Present
	}
	if v.heap != nil {
		return v.heap.elems(v, length)
	}
	ref, ok := v.img.Ref(v.off)
	if !ok {
		return Value{}, 0, abi.NotFollowed
	}
	if e := v.typ.Elem; ref.Slot < 0 && ref.Reason == abi.Present && e != nil {
		// Elements of size zero are there without any bytes.
		img := &capture.Image{Type: e}
		return Value{data: v.data, typ: e, img: img, small: v.small, printers: v.printers}, min(length, int64(ref.Limit)), abi.Present
	}
	if ref.Slot < 0 {
		return Value{}, 0, ref.Reason
	}
	at := int64(v.slots) + int64(ref.Slot)*capture.SlotSize
	if at < 0 || at+capture.SlotSize > int64(len(v.data)) {
		return Value{}, 0, abi.Implausible
	}
	off, count := capture.Slot(order.Uint64(v.data[at:]))
	if off == 0 {
		r := abi.Reason(count)
		if count == 0 || count > math.MaxUint8 {
			r = abi.NotFollowed
		}
		return Value{}, 0, r
	}
	size := int64(count) * ref.Elem.Size
	if int64(count) > min(length, int64(ref.Limit)) || int64(off)+size > int64(len(v.data)) {
		return Value{}, 0, abi.Implausible
	}
	return Value{
		data: v.data, typ: ref.Elem.Type, img: ref.Elem,
		base: off, slots: off + uint32(capture.Align8(size)), small: v.small, printers: v.printers,
	}, int64(count), abi.Present
}
