package uprobe

import (
	"errors"

	"github.com/argtap/argtap/symbols"
)

// Wrapper is code that the compiler made to call a method otherwise than by its
// name: through an interface that holds a pointer ((*T).M for T.M), promoted from an
// embedded field (Outer.M), as a method value (T.M-fm), or from assembly (T.M.abi0).
//
// A call that comes through a wrapper that calls the method is seen there, in the
// method's own code. One through a wrapper of which the method's body has become a
// part is not: that wrapper is probed too, as a [Func] of its own with the method's
// name and parameters, of which [Func.Via] is the name of the wrapper.
type Wrapper struct {
	// Name is the full name of the wrapper.
	Name string
	// Entry is the virtual address of its first instruction.
	Entry symbols.VirtAddr
	// Reach is how it comes to the method.
	Reach Reach
	// Missed is why calls through it are not seen as calls of the method, "" if
	// they are.
	Missed string
}

// Reach is how a wrapper comes to the body of a method.
type Reach uint8

// The ways.
const (
	// ReachUnknown: nothing tells, or several at once. See [Wrapper].Missed.
	ReachUnknown Reach = iota
	// ReachCalls: it calls the method's own code.
	ReachCalls
	// ReachJumps: it jumps there, and never comes back.
	ReachJumps
	// ReachInlined: the body is part of the wrapper.
	ReachInlined
)

var reachText = [...]string{"unknown", "calls it", "jumps to it", "has inlined it"}

// String returns what the wrapper does with the method, as a phrase.
func (r Reach) String() string {
	if int(r) < len(reachText) {
		return reachText[r]
	}
	return reachText[ReachUnknown]
}

// ErrWrapper says that a wrapper is not traced by itself because the method is that
// it calls.
var ErrWrapper = errors.New("wrapper of a method that is traced")

// Wrappers returns the wrappers of a method by their entries. When tracing they are
// those that have inlined it; [Inspect] finds all.
func (f *Func) Wrappers() []Wrapper { return f.wrappers }

// Wraps returns the method that the function, which the compiler made, is a wrapper
// of, and how it reaches it; "" for other functions, and for wrappers of methods
// that only an interface tells. It is known from [Inspect] only.
func (f *Func) Wraps() (method string, how Reach) { return f.wraps, f.wrapsHow }

// Via returns the name of the wrapper that is probed because the method with the
// function's name was inlined there, such as "main.(*T).M" for main.T.M. It is ""
// for a function's own code. See [Wrapper].
//
// A method that is traced has one Func for its own code and one for each such
// wrapper. A call is seen by one of them. Limits such as [WithFirst] are each one's.
func (f *Func) Via() string { return f.via }

// Via returns [Func.Via] of the function that was called.
func (c *Call) Via() string { return c.fn.via }

// wrapping is what is known of a wrapper that has inlined a method.
type wrapping struct {
	wrapper symbols.Func
	method  method
	// value says that it is a method value.
	value bool
}

// appendVia appends to an object how the call came to the method.
func (c *Call) appendVia(b []byte) []byte {
	if c.fn.called != c.fn.name {
		b = append(b, `,"instance":`...)
		b = appendJSONString(b, c.fn.called)
	}
	b = append(b, `,"via":`...)
	return appendJSONString(b, c.fn.via)
}
