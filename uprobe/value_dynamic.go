package uprobe

import (
	"iter"

	"github.com/argtap/argtap/abi"
)

// Dynamic returns what an interface holds, as a value of its dynamic type: of
// an interface that holds a *T a pointer to T, of one that holds a T a T. It is
// absent if the interface is nil or was not followed.
func (v Value) Dynamic() Value {
	if v.Kind() != abi.Interface {
		return absent(nil, abi.UnknownType)
	}
	if r := v.reason(); r != abi.Present {
		return absent(nil, r)
	}
	if v.heap == nil || v.word(0) == 0 {
		return absent(nil, v.withoutHeap())
	}
	return v.heap.dynamic(v)
}

// MapRange returns the captured entries of a map, in the order in which they
// lie in memory. [Value.Len] is the true length of the map, [Value.Captured] the
// number of entries that are here.
func (v Value) MapRange() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		if v.Kind() != abi.Map {
			return
		}
		s := v.scanned()
		if s == nil {
			return
		}
		for i := range s.entries {
			if e := &s.entries[i]; !yield(e.key, e.elem) {
				return
			}
		}
	}
}

// Closed reports whether a channel is closed. It is not ok if the value is no
// channel, nil, absent, or was not followed. The buffered elements of a channel
// are what [Value.Index] returns, in the order in which they will be received;
// [Value.Len] is their number and [Value.Cap] the size of the buffer.
func (v Value) Closed() (closed, ok bool) {
	if v.Kind() != abi.Chan {
		return false, false
	}
	s := v.scanned()
	if s == nil {
		return false, false
	}
	return s.closed, s.ok
}

// FuncName returns the name of the code of a func value, such as "main.run" or
// "main.run.func1". It is not ok if the value is no func, nil, absent, or was
// not followed.
func (v Value) FuncName() (name string, ok bool) {
	if v.Kind() != abi.Func || v.heap == nil || v.reason() != abi.Present {
		return "", false
	}
	pc, r := v.heap.code(v)
	if r != abi.Present {
		return "", false
	}
	return v.heap.funcs.name(pc)
}

// Closure returns the variables that a func value has captured, as a struct
// with a field for each: those that change after they were captured, and large
// ones, are pointers. It is absent if the func is nil or was not followed, and if
// the debug information does not describe them: it does since Go 1.23.
func (v Value) Closure() Value {
	if v.Kind() != abi.Func {
		return absent(nil, abi.UnknownType)
	}
	if r := v.reason(); r != abi.Present {
		return absent(nil, r)
	}
	if v.heap == nil || v.word(0) == 0 {
		return absent(nil, v.withoutHeap())
	}
	return v.heap.closure(v)
}

// Unfollowed returns why nothing is known of what a pointer, interface, map, channel
// or func refers to, and whether that is so. What is nil, or absent itself, is
// not.
func (v Value) Unfollowed() (reason string, unfollowed bool) {
	switch v.Kind() {
	case abi.Pointer, abi.Interface, abi.Map, abi.Chan, abi.Func:
	default:
		return "", false
	}
	if v.reason() != abi.Present || v.word(0) == 0 {
		return "", false
	}
	r := abi.Present
	if v.Kind() == abi.Pointer {
		r = v.Elem().reason()
	} else {
		r = v.unfollowed()
	}
	if r == abi.Present {
		return "", false
	}
	return r.String(), true
}

// withoutHeap returns why nothing is known of what a value leads to for which it
// takes a walk.
func (v Value) withoutHeap() abi.Reason {
	if v.heap == nil && v.img != nil && v.img.NoLoops {
		return abi.NeedsLoops
	}
	return abi.NotFollowed
}
