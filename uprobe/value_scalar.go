package uprobe

import (
	"math"

	"github.com/argtap/argtap/abi"
)

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
