package uprobe

import (
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

var (
	// interrupts are functions that are called as if by an instruction that was
	// interrupted (runtime/traceback.go, unwindTrap): what they return to is that.
	interrupts = map[string]bool{
		"runtime.sigpanic": true, "runtime.asyncPreempt": true, "runtime.debugCallV1": true, "runtime.debugCallV2": true,
	}
	// showsWrapper are functions whose calls tracebacks show even of wrappers
	// (runtime/traceback.go, elideWrapperCalling).
	showsWrapper = map[string]bool{"runtime.gopanic": true, "runtime.sigpanic": true, "runtime.panicwrap": true}
	// startsGoroutine has what all goroutines return to, and startsThread with what
	// the stacks of threads begin.
	startsGoroutine = map[string]bool{"runtime.goexit": true}
	startsThread    = map[string]bool{
		"runtime.mstart": true, "runtime.rt0_go": true, "runtime.mstart1": true, "runtime.mstart0": true,
	}
)

// unwinding gives the frames of a call's stack names, and makes sure that each is
// where the one before says: frame pointers may be wrong.
//
//   - A function that saves none leaves its caller out. In Go code that is one
//     without a frame, which can only be on the stack because its instruction
//     faulted.
//   - Assembly may use the register for something else. In Go 1.11 and 1.12 the
//     runtime's nanotime does, for all that its caller does afterwards.
//   - A function that goes on behind a recovered panic may find none.
//
// The function table tells the size of each frame, and so where the next frame
// pointer must be. What is elsewhere is not believed.
type unwinding struct {
	fn    *Func
	words []uint64
	// lines are those of the words, as far as they are in the binary.
	lines []*codeLine
	// injected says of each address that it is not one of a return.
	injected []bool
	arm64    bool
}

// resolve looks up the words. callee is the function whose return address is the first.
func (u *unwinding) resolve(callee string) {
	for _, w := range u.words {
		pc, _ := capture.StackPC(w)
		injected := interrupts[callee]
		if !injected {
			pc-- // into the call
		}
		l := u.fn.names.line(pc)
		u.lines = append(u.lines, l)
		u.injected = append(u.injected, injected)
		if callee = ""; l != nil {
			callee = l.frames[len(l.frames)-1].Func
		}
	}
}

// follows reports whether the frame of word i+1 is the caller of that of word i, of
// which it says so exactly.
func (u *unwinding) follows(i int) bool {
	l := u.lines[i]
	_, distance := capture.StackPC(u.words[i])
	if l == nil || l.frame < 0 {
		return false
	}
	if !u.arm64 {
		// The frame pointer is in the word below the return address (obj6.go).
		want := l.frame + 8
		return distance == want || distance < 0 && want >= 8*capture.StackFar
	}
	// It points to the word below the frame (obj7.go): above the callee's by the
	// size of the callee's frame. Where a signal handler has made the call, it has
	// left room for the return address and the frame pointer (preparePanic in
	// runtime/signal_arm64.go, pushCall).
	if l.frame == 0 {
		return false // its return address was in a register, and the frame pointer is its caller's
	}
	want := int64(8)
	if i > 0 {
		want = u.lines[i-1].frame
	}
	if u.injected[i] {
		want += 16
	}
	return distance == want || distance < 0 && want >= 8*capture.StackFar
}

// bare reports whether word i is in a function that leaves the register for the
// frame pointer alone.
func (u *unwinding) bare(i int) bool {
	l := u.lines[i]
	return l != nil && l.frame == 0 && !l.asm && !u.arm64
}

// symbolize gives the frames of the call's stack names, once for all calls that have
// it.
func (c *Call) symbolize() Stack {
	return c.fn.symbolize(c.stack, func(pc uint64) Frame {
		pc += c.stackWord(capture.StackBias)
		return Frame{PC: pc, Module: moduleAt(readMappings(c.PID()), pc)}
	})
}

// symbolize gives the frames of a stack of a call of f names, once for all calls that
// have it. outside makes the frame of an address outside the binary.
func (f *Func) symbolize(st *callStack, outside func(pc uint64) Frame) Stack {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.named != nil && st.fn == f {
		return *st.named
	}
	s := f.unwind(st, outside)
	if !slices.ContainsFunc(s.frames, func(f Frame) bool { return f.Module != "" }) {
		st.fn, st.named = f, &s
	}
	return s
}

func (f *Func) unwind(st *callStack, outside func(pc uint64) Frame) Stack {
	u := unwinding{fn: f, words: st.words, arm64: f.arch == abi.ARM64}
	s := Stack{frames: f.firstFrames()}
	callee, last := s.frames[len(s.frames)-1].Func, ""
	u.resolve(callee)
	for i, w := range u.words {
		pc, _ := capture.StackPC(w)
		l := u.lines[i]
		if l == nil {
			s.frames = append(s.frames, outside(pc))
			if i+1 < len(u.words) {
				s.end = "nothing tells the frames of code outside the binary"
			} else {
				s.end = st.endOf("")
			}
			return s
		}
		for k, f := range l.frames {
			f.PC = pc
			hidden := l.wrapper[k] && !showsWrapper[callee]
			if callee = f.Func; !hidden {
				s.frames = append(s.frames, f)
			}
		}
		last = callee
		if i+1 == len(u.words) || u.follows(i) {
			continue
		}
		if u.bare(i) && (i+2 == len(u.words) || u.follows(i+1)) {
			s.frames[len(s.frames)-1].Missing = "it has no frame, and so no frame pointer that leads to its caller"
			continue
		}
		s.end = fmt.Sprintf("the frame pointer does not lead to the caller of %s", last)
		return s
	}
	s.end = st.endOf(last)
	return s
}

// endOf returns why the stack, with all its words, ends behind a function.
func (st *callStack) endOf(last string) string {
	switch {
	case startsGoroutine[last], st.end == capture.StackStart && startsThread[last]:
		return ""
	case st.end == capture.StackDepth:
		return fmt.Sprintf("cut at depth %d", len(st.words))
	case st.end == capture.StackStart:
		return endTexts[capture.StackBroken]
	case int(st.end) < len(endTexts) && endTexts[st.end] != "":
		return endTexts[st.end]
	default:
		return fmt.Sprintf("unknown end %d", st.end)
	}
}

// firstFrame is that of the traced function.
func (f *Func) firstFrame() Frame {
	fr := Frame{Func: frameName(f.name), PC: uint64(f.entry), entry: uint64(f.entry)}
	l := f.names.line(uint64(f.entry))
	if l == nil {
		return fr
	}
	own := l.frames[len(l.frames)-1] // not one that is inlined at its first instruction
	if fr.File = own.File; l.start > 0 {
		fr.Line = l.start
	} else if len(l.frames) == 1 {
		fr.Line = own.Line
	}
	return fr
}
