package uprobe

import (
	"math"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
	"github.com/argtap/argtap/internal/capture"
)

// Value is a captured value: a view over the bytes of a call. It is decoded
// when it is asked for. A Value is valid as long as its [Call].
//
// The accessors return false when the value is of another kind or absent.
type Value struct {
	data []byte // the record
	typ  *abi.Type
	// img is the image in which the value lies, base its place in the record,
	// slots the place of the slots of its references, off the value's offset
	// within the image.
	img         *capture.Image
	base, slots uint32
	off         int64
	why         abi.Reason // why there is no value at all
	small       bool       // the target's words have 4 bytes, not 8
	printers    printers   // of the tracer
	// heap has what the value refers to, if the record has one, and depth is the
	// number of pointers by which the value was reached there.
	heap  *heap
	depth uint8
}

func absent(t *abi.Type, r abi.Reason) Value { return Value{typ: t, why: r} }

// Type returns the type of the value, nil for the zero Value.
func (v Value) Type() *abi.Type { return v.typ }

// Kind returns the kind of the value's type.
func (v Value) Kind() abi.Kind {
	if v.typ == nil {
		return abi.Invalid
	}
	return v.typ.Kind
}

// TypeName returns the type's name as %T would print it: with the package's
// name, not its path.
func (v Value) TypeName() string { return typeName(v.typ) }

// Absent returns why the value is absent, and whether it is. A struct or array
// of which only parts are absent is present; ask its fields and elements.
func (v Value) Absent() (reason string, absent bool) {
	if r := v.reason(); r != abi.Present {
		return r.String(), true
	}
	return "", false
}

func (v Value) reason() abi.Reason {
	switch {
	case v.why != abi.Present:
		return v.why
	case v.typ == nil || v.img == nil:
		return abi.UnknownType
	case v.typ.Kind == abi.Invalid:
		if v.typ.Name == arginfo.Rest {
			return abi.CutCompiler
		}
		return abi.UnknownType
	case v.typ.Kind == abi.Struct || v.typ.Kind == abi.Array:
		return v.img.Missing(v.off, v.typ.Size)
	}
	if r := v.img.Absent(v.off, v.typ.Size); r != abi.Present {
		return r
	}
	if n := words(v.typ.Kind); n > 0 && v.typ.Size != n*v.wordSize() {
		return abi.UnknownLayout // malformed debug information says so
	}
	if v.bytes(v.typ.Size) == nil && v.typ.Size > 0 {
		return abi.Implausible
	}
	return abi.Present
}

// bytes returns the first n bytes of the value's image, nil if the record does
// not hold them.
func (v Value) bytes(n int64) []byte {
	at := int64(v.base) + v.off
	if n < 0 || at < 0 || at+n > int64(len(v.data)) {
		return nil
	}
	return v.data[at : at+n]
}

// raw returns the value's bytes if it is present and of the given size.
func (v Value) raw(size int64) []byte {
	if v.typ == nil || v.typ.Size != size || v.reason() != abi.Present {
		return nil
	}
	return v.bytes(size)
}

// words returns how many words of the target, which are as wide as its
// pointers, a value of a kind has; 0 for kinds that are not made of words.
func words(k abi.Kind) int64 {
	switch k {
	case abi.Pointer, abi.Map, abi.Chan, abi.Func, abi.UnsafePointer:
		return 1
	case abi.String, abi.Interface:
		return 2
	case abi.Slice:
		return 3
	}
	return 0
}

// wordSize returns the size of the target's words in bytes.
func (v Value) wordSize() int64 {
	if v.small {
		return 4
	}
	return 8
}

// word returns word i of the value; the value must be present.
func (v Value) word(i int64) uint64 {
	w := v
	w.off += i * v.wordSize()
	switch b := w.bytes(v.wordSize()); len(b) {
	case 4:
		return uint64(order.Uint32(b))
	case 8:
		return order.Uint64(b)
	}
	return 0
}

// length returns word i of the value as a length or capacity. Those of Go values
// are not negative.
func (v Value) length(i int64) int64 {
	if v.small {
		return int64(int32(v.word(i)))
	}
	return int64(v.word(i))
}

// negative reports whether the length or capacity of a string or slice, which is
// present, is: then it is no Go value.
func (v Value) negative() bool {
	return v.length(1) < 0 || v.typ.Kind == abi.Slice && v.length(2) < 0
}

// Bool returns the value of a bool. A byte that is neither 0 nor 1 is no bool
// and reported as absent.
func (v Value) Bool() (value, ok bool) {
	if v.Kind() != abi.Bool {
		return false, false
	}
	b := v.raw(1)
	if b == nil || b[0] > 1 {
		return false, false
	}
	return b[0] == 1, true
}

// Int returns the value of a signed integer.
func (v Value) Int() (int64, bool) {
	if k := v.Kind(); k < abi.Int || k > abi.Int64 {
		return 0, false
	}
	u, size, ok := v.integer()
	shift := 64 - 8*size
	return int64(u<<shift) >> shift, ok
}

// Uint returns the value of an unsigned integer or uintptr.
func (v Value) Uint() (uint64, bool) {
	if k := v.Kind(); k < abi.Uint || k > abi.Uintptr {
		return 0, false
	}
	u, _, ok := v.integer()
	return u, ok
}

func (v Value) integer() (u uint64, size int64, ok bool) {
	b := v.raw(v.typ.Size)
	switch len(b) {
	case 1:
		u = uint64(b[0])
	case 2:
		u = uint64(order.Uint16(b))
	case 4:
		u = uint64(order.Uint32(b))
	case 8:
		u = order.Uint64(b)
	default:
		return 0, 8, false
	}
	return u, int64(len(b)), true
}

// Float returns the value of a float32 or float64.
func (v Value) Float() (float64, bool) {
	switch v.Kind() {
	case abi.Float32:
		if b := v.raw(4); b != nil {
			return float64(math.Float32frombits(order.Uint32(b))), true
		}
	case abi.Float64:
		if b := v.raw(8); b != nil {
			return math.Float64frombits(order.Uint64(b)), true
		}
	}
	return 0, false
}

// Complex returns the value of a complex64 or complex128.
func (v Value) Complex() (complex128, bool) {
	switch v.Kind() {
	case abi.Complex64:
		if b := v.raw(8); b != nil {
			return complex(float64(math.Float32frombits(order.Uint32(b))),
				float64(math.Float32frombits(order.Uint32(b[4:])))), true
		}
	case abi.Complex128:
		if b := v.raw(16); b != nil {
			return complex(math.Float64frombits(order.Uint64(b)),
				math.Float64frombits(order.Uint64(b[8:]))), true
		}
	}
	return 0, false
}

// Str returns the captured bytes of a string as a string. They are a prefix if
// the string is longer than the limit: compare with Len.
func (v Value) Str() (string, bool) {
	b, ok := v.Text()
	return string(b), ok
}

// Text returns the captured bytes of a string without copying them: a view
// that is valid as long as the call. They are a prefix if the string is longer
// than the limit: compare with Len.
func (v Value) Text() ([]byte, bool) {
	if v.Kind() != abi.String {
		return nil, false
	}
	s, n, r := v.elems()
	if r != abi.Present {
		return nil, false
	}
	return s.bytes(n), true
}

// Bytes returns the captured elements of a slice of one-byte integers, as a
// view that is valid as long as the call. They are a prefix if the slice is
// longer than the limit: compare with Len.
func (v Value) Bytes() ([]byte, bool) {
	if v.Kind() != abi.Slice || v.typ.Elem == nil || v.typ.Elem.Size != 1 {
		return nil, false
	}
	s, n, r := v.elems()
	if r != abi.Present {
		return nil, false
	}
	return s.bytes(n), true
}

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
