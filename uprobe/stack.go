package uprobe

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"

	"github.com/argtap/argtap/internal/capture"
)

// WithStack captures the Go call stack of each call at its entry, as many frames of
// callers as depth says, 1 to 127, and what tells how its goroutine came to be: see
// [Call.Stack] and [Call.Creation].
//
// The kernel follows the frame pointers that Go code keeps on amd64 and arm64; each
// frame takes one short read. A stack is sent once, and again only where it changes,
// so that calls that come the same way cost little more than following it. Frames are given
// names when they are asked for. Where there is no stack, or no whole one, it says
// why. The stack of a line, or of an inlined call, begins there. It needs Linux 5.17.
func WithStack(depth int) Option {
	return func(o *options) error {
		if depth < 1 || depth > capture.MaxStack {
			return fmt.Errorf("stack of %d frames: must be between 1 and %d", depth, capture.MaxStack)
		}
		o.limits.Stack = depth
		return nil
	}
}

// Frame is a frame of a stack, or the part of one that belongs to an inlined call.
type Frame struct {
	// Func is the full name of the function as the Go runtime prints it, but with
	// its type arguments where the binary has them. It is "" if nothing tells it.
	Func string
	// File is the path of the source file as the compiler was given it, and Line the
	// line of the call: in the first frame that of the function's declaration, or
	// before Go 1.20 of its first instruction; of a line that is traced that, and of an
	// inlined call the line of its first instruction. They are "" and 0 if nothing
	// tells them.
	File string
	Line int
	// PC is the return address as the binary states it, or outside the binary as it
	// is in the process. In the first frame it is the address of the function, or of
	// the place within it that is traced.
	PC uint64
	// Inlined says that the function was inlined into that of the next frame.
	Inlined bool
	// Module is the file of a frame outside the binary, such as a shared library, or
	// what else the process has mapped there, such as "[vdso]". It is "" for frames
	// in the binary, and "?" if the process is gone.
	Module string
	// Missing says why frames may be missing between this one and the next, "" if
	// none are.
	Missing string

	entry uint64 // of the function
}

// Stack is the stack of a call: see [Call.Stack].
type Stack struct {
	frames      []Frame
	absent, end string
}

// Why a call has no stack that was asked for with WithStack.
const (
	noStackAsked     = "not asked for: see WithStack"
	noStackRing      = "lost: the ring buffer was full"
	noStackBusy      = "lost: no memory was free to collect it in"
	noStackGoroutine = "nothing tells its goroutine"
	noStackUnread    = "the return address could not be read"
)

// endTexts say why a stack ends.
var endTexts = [...]string{
	capture.StackLeft:   "the next frame is not on the goroutine's stack",
	capture.StackBroken: "no further frame pointer",
	capture.StackCut:    "page not resident",
}

// Stack returns the stack of the call at its entry, with [WithStack]. It is absent
// otherwise, and for the reason that it says where it could not be captured.
//
// The frames are given names by this method. Of a call that is kept, [Call.Clone]
// has done so.
func (c *Call) Stack() Stack {
	if c.frames != nil {
		return *c.frames
	}
	p := c.fn.plan
	if p == nil || p.Stack == 0 {
		return Stack{absent: noStackAsked}
	}
	switch id := c.stackWord(capture.StackID); {
	case c.fn.noStack != "":
		return Stack{absent: c.fn.noStack}
	case c.stack != nil:
		return c.symbolize()
	case id == capture.StackNone:
		return Stack{absent: noStackBusy}
	case id == capture.StackGoroutine:
		return Stack{absent: noStackGoroutine}
	case id == capture.StackUnread:
		return Stack{absent: noStackUnread}
	}
	return Stack{absent: noStackRing}
}

// stackWord returns a word of what the record has of the stack.
func (c *Call) stackWord(at int) uint64 { return order.Uint64(c.data[c.fn.plan.Stack+at:]) }

// Frames returns the frames, the traced function's first, then its caller's, and so
// on; inlined calls have frames of their own. As in Go's tracebacks, functions that
// the compiler made, such as wrappers of methods, have none. It is empty if the stack
// is absent. The slice must not be changed.
func (s Stack) Frames() []Frame { return s.frames }

// Absent returns why there is no stack, and whether that is so.
func (s Stack) Absent() (reason string, absent bool) { return s.absent, s.absent != "" }

// End returns why the stack ends before the start of the goroutine: "cut at depth
// 64", "the next frame is not on the goroutine's stack", "page not resident" and the
// like. It is "" if the stack is whole, and if it is absent.
func (s Stack) End() string { return s.end }

// String returns the stack as Go prints that of a goroutine, without arguments:
//
//	main.work(...)
//		/src/app/main.go:12
//	main.main()
//		/src/app/main.go:30 +0x1d
//
// Where it is absent or not whole, a line in angle brackets says why.
func (s Stack) String() string {
	var b strings.Builder
	if s.absent != "" {
		return "<" + s.absent + ">\n"
	}
	for i := range s.frames {
		s.frames[i].write(&b, "(...)")
		if m := s.frames[i].Missing; m != "" {
			fmt.Fprintf(&b, "<may be missing: %s>\n", m)
		}
	}
	if s.end != "" {
		fmt.Fprintf(&b, "<%s>\n", s.end)
	}
	return b.String()
}

// String returns the frame as a line of [Stack.String].
func (f Frame) String() string {
	var b strings.Builder
	f.write(&b, "(...)")
	return b.String()
}

// write writes the frame, with what stands behind the function's name.
func (f *Frame) write(b *strings.Builder, behind string) {
	if f.Module != "" || f.Func == "" {
		fmt.Fprintf(b, "%s%s\n\t%#x\n", cmp.Or(f.Module, "?"), behind, f.PC)
		return
	}
	fmt.Fprintf(b, "%s%s\n\t%s:%d", f.Func, behind, cmp.Or(f.File, "?"), f.Line)
	if !f.Inlined && f.PC > f.entry && f.entry != 0 {
		fmt.Fprintf(b, " +%#x", f.PC-f.entry)
	}
	b.WriteByte('\n')
}

// MarshalJSON returns the frames as a list of objects with func, file and line, in
// those outside the binary module and pc, and in inlined ones "inlined":true; or an
// object with absent.
func (s Stack) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

func (s Stack) appendJSON(b []byte) []byte {
	if s.absent != "" {
		return appendAbsentJSON(b, s.absent)
	}
	b = append(b, '[')
	for i := range s.frames {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(s.frames[i].appendJSON(append(b, '{')), '}')
	}
	return append(b, ']')
}

func appendAbsentJSON(b []byte, why string) []byte {
	b = append(b, `{"absent":`...)
	return append(appendJSONString(b, why), '}')
}

// appendJSON appends the members of an object.
func (f *Frame) appendJSON(b []byte) []byte {
	if f.Module != "" || f.Func == "" {
		b = append(b, `"module":`...)
		b = appendJSONString(b, f.Module)
		b = append(b, `,"pc":"0x`...)
		b = fmt.Appendf(b, "%x", f.PC)
		b = append(b, '"')
	} else {
		b = append(b, `"func":`...)
		b = appendJSONString(b, f.Func)
		b = append(b, `,"file":`...)
		b = appendJSONString(b, f.File)
		b = append(b, `,"line":`...)
		b = appendInt(b, int64(f.Line))
		if f.Inlined {
			b = append(b, `,"inlined":true`...)
		}
	}
	if f.Missing != "" {
		b = append(b, `,"missing":`...)
		b = appendJSONString(b, f.Missing)
	}
	return b
}

// appendStackJSON appends stack, stack_end and created_by to an object, if they were
// asked for.
func (c *Call) appendStackJSON(b []byte) []byte {
	if c.fn.plan == nil || c.fn.plan.Stack == 0 {
		return b
	}
	s := c.Stack()
	b = append(b, `,"stack":`...)
	b = s.appendJSON(b)
	if s.end != "" {
		b = append(b, `,"stack_end":`...)
		b = appendJSONString(b, s.end)
	}
	b = append(b, `,"created_by":`...)
	return c.Creation().appendJSON(b)
}

// stackAttrs returns stack and created_by for a log, if they were asked for.
func (c *Call) stackAttrs() []slog.Attr {
	if c.fn.plan == nil || c.fn.plan.Stack == 0 {
		return nil
	}
	return []slog.Attr{slog.Any("stack", c.Stack()), slog.Any("created_by", c.Creation())}
}

// cloneStack gives the clone of c its stack, with names.
func (k *Call) cloneStack(c *Call) {
	if c.fn.plan == nil || c.fn.plan.Stack == 0 {
		return
	}
	s, created := c.Stack(), c.Creation()
	k.stack, k.frames, k.creation = c.stack, &s, &created
}
