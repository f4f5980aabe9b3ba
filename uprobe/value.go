package uprobe

import (
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
