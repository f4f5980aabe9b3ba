package uprobe

import (
	"fmt"
	"strings"
	"sync"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/symbols"
)

// callStack is a stack as the kernel has sent it.
type callStack struct {
	words []uint64 // as at capture.StackPCs
	end   uint32   // as at capture.StackInfo
	// kept says that further calls may refer to it. Those that do not are dropped
	// when many stacks have come behind them.
	kept bool
	seen uint64 // when it came, counted in stacks

	// named is what it looks like as that of a call of fn, nil until one asks. It does
	// not depend on the process if all frames are in the binary.
	mu    sync.Mutex
	fn    *Func
	named *Stack
}

// stackTable has the stacks that calls may refer to, by their IDs. It belongs to the
// reader.
type stackTable struct {
	byID map[uint64]*callStack
	seen uint64
	// prune is how many there must be before any are dropped.
	prune int
}

// inFlight is how many stacks may come between one and the call that refers to it:
// more than there are programs that run at the same time.
const inFlight = 1 << 14

// add takes the record of a stack. It reports whether it is one.
func (t *stackTable) add(data []byte) bool {
	if len(data) < capture.StackFixed || order.Uint16(data[capture.OffKind:]) != capture.KindStack {
		return false
	}
	n := order.Uint32(data[capture.StackInfo:])
	if n > capture.MaxStack || len(data) < capture.StackFixed+8*int(n) {
		return true // the calls that refer to it have lost theirs
	}
	s := &callStack{words: make([]uint64, n), end: order.Uint32(data[capture.StackInfo+4:]), seen: t.seen}
	for i := range s.words {
		s.words[i] = order.Uint64(data[capture.StackPCs+8*i:])
	}
	if t.byID == nil {
		t.byID, t.prune = make(map[uint64]*callStack), 2*inFlight
	}
	t.seen++
	t.byID[order.Uint64(data[capture.StackSelf:])] = s
	if len(t.byID) >= t.prune {
		for id, s := range t.byID {
			if !s.kept && t.seen-s.seen > inFlight {
				delete(t.byID, id)
			}
		}
		t.prune = max(2*len(t.byID), 2*inFlight)
	}
	return true
}

// of returns the stack that the record of an entry of fn refers to, nil if there is
// none. lost says that there should be one.
func (t *stackTable) of(fn *Func, data []byte) (s *callStack, lost bool) {
	if fn.plan.Stack == 0 || fn.plan.StackDepth == 0 {
		return nil, false
	}
	id := order.Uint64(data[fn.plan.Stack+capture.StackID:])
	kept := id&capture.StackKept != 0
	if id &^= capture.StackKept; id < capture.StackFirst {
		return nil, id == capture.StackNone || id == capture.StackRing
	}
	if s = t.byID[id]; s == nil {
		return nil, true
	}
	if s.kept = s.kept || kept; !s.kept {
		delete(t.byID, id) // no other call has it
	}
	return s, false
}

// NoStack returns why the function's calls have no stack with [WithStack], "" if
// they have one, and without that option.
func (f *Func) NoStack() string { return f.noStack }

// findStack works out whether the calls of a function have stacks, if they are asked
// for.
func (b *executable) findStack(f *Func, s symbols.Func, d *description, o *options) {
	if o.limits.Stack == 0 && !f.keyedByStack() {
		return
	}
	minor, known := b.minor()
	version, _ := b.file.GoVersion()
	switch {
	case !d.goCode:
		f.noStack = "it is no Go function"
	case b.arch == abi.I386:
		f.noStack = "no frame pointers on 386"
	case b.arch == abi.ARM64 && known && minor < 12:
		f.noStack = "no frame pointers on arm64 before Go 1.12"
	case strings.Contains(version, "noframepointer"):
		f.noStack = "built without frame pointers: " + version
	case f.g.Kind == 0:
		f.noStack = noStackGoroutine
	case !known && b.gOffsets().goid == 0:
		f.noStack = fmt.Sprintf("whether %q keeps frame pointers is not known", version)
	case b.arch == abi.ARM64 && f.sites.Entry.CFA != 0 && b.inAssembly(s):
		f.noStack = "where assembly keeps the return address is not known"
	}
}

func (b *executable) inAssembly(s symbols.Func) bool {
	t, err := b.file.Table()
	if err != nil {
		return true
	}
	fn, err := t.At(s.Entry)
	return err != nil || fn.Asm
}

// planStack adds to the plan what is captured besides the parameters.
func (b *executable) planStack(f *Func, o *options) {
	if f.plan.Stack == 0 {
		return
	}
	if f.noStack == "" {
		f.plan.StackDepth = o.limits.Stack
	}
	if minor, known := b.minor(); known {
		f.plan.Creation.Parent, _ = goruntime.ParentID(minor, int(b.arch.PtrSize))
		f.plan.Creation.GoPC, _ = goruntime.GoPC(minor, int(b.arch.PtrSize))
	}
}

// keepStack takes over from another plan of the function what is captured besides
// the parameters.
func (f *Func) keepStack(from *capture.Plan) {
	f.plan.StackDepth, f.plan.Creation = from.StackDepth, from.Creation
}
