package goruntime

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Layouts of values that all releases from 1.11 to 1.27 share, in words of
// pointer size (runtime/runtime2.go, types eface, iface, itab and funcval, since
// Go 1.23 internal/abi/iface.go; runtime/string.go and slice.go). TestDWARF
// compares them with debug information.
const (
	// EfaceType is the word of an interface value without methods that points
	// to the descriptor of the dynamic type; nil if there is none.
	EfaceType = 0
	// IfaceTab is the word of an interface value with methods that points to
	// the itab; nil if the value is.
	IfaceTab = 0
	// IfaceData is the word of any interface value that is its value, or points
	// to it.
	IfaceData = 1
	// ItabInterface and ItabType are the words of an itab that point to the
	// descriptors of the interface type and of the dynamic type.
	ItabInterface, ItabType = 0, 1
	// FuncCode is the word of what a func value points to that has the address
	// of its code; what it has captured follows.
	FuncCode = 0
	// StringData and StringLen are the words of a string.
	StringData, StringLen = 0, 1
	// SliceData, SliceLen and SliceCap are the words of a slice.
	SliceData, SliceLen, SliceCap = 0, 1, 2
)

// Errors about what was read from a process.
var (
	// ErrWriting: a goroutine is changing the map.
	ErrWriting = errors.New("a goroutine is writing to the map")
	// ErrInconsistent: the bytes do not fit together. They were changed while
	// they were read, or are not what they were taken for.
	ErrInconsistent = errors.New("changed while it was read")
	// ErrShort: bytes are missing at the end.
	ErrShort = errors.New("not all of it was read")
)

func inconsistent(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInconsistent, fmt.Sprintf(format, args...))
}

// target is what all layouts depend on.
type target struct {
	order binary.ByteOrder
	ptr   int64 // the size of a pointer, 4 or 8
}

func newTarget(order binary.ByteOrder, ptrSize int) (target, error) {
	if order == nil || ptrSize != 4 && ptrSize != 8 {
		return target{}, fmt.Errorf("pointers of %d bytes: not known", ptrSize)
	}
	return target{order, int64(ptrSize)}, nil
}

// word reads a word at off. b is long enough.
func (t target) word(b []byte, off int64) uint64 {
	if t.ptr == 4 {
		return uint64(t.order.Uint32(b[off:]))
	}
	return t.order.Uint64(b[off:])
}

func alignTo(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }
