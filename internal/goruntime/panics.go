package goruntime

// PanicLayout is where the runtime keeps what a goroutine's panics are doing: the
// chain of its panics, each of which runs the deferred calls of one frame after the
// other. Offsets are in bytes.
type PanicLayout struct {
	// GPanic is the offset in runtime.g of the innermost panic under way.
	GPanic int64
	// PanicSP is the offset in runtime._panic of the SP of the frame whose deferred
	// calls it runs. It is 0 up to Go 1.21, where the chain of deferred calls tells.
	PanicSP int64
	// GDefer is the offset in runtime.g of the first deferred call, DeferSP that in
	// runtime._defer of the first of the words that DeferWords counts. Both are
	// there where PanicSP is not.
	GDefer, DeferSP int64
}

// The words of a runtime._defer from DeferSP on: the SP of the frame that deferred
// the call, the panic that runs it, and the next deferred call.
const (
	DeferFrame = 0
	DeferPanic = 3
	DeferLink  = 4
	DeferWords = 5
)

// panicLayout is what a release adds to the offsets in runtime.g, which are the
// same in all of them: behind stack and two guards.
type panicLayout struct {
	first, last int
	panicSP     int64 // in words, 0 if there is none
	deferSP64   int64 // in bytes
	deferSP32   int64
}

// panicLayouts has been read in runtime/runtime2.go of the last patch of each
// release, types g, _panic and _defer, and compared with the DWARF of programs that
// these built for amd64, arm64 and 386 (TestReleases).
var panicLayouts = []panicLayout{
	{first: 11, last: 17, deferSP64: 8, deferSP32: 8}, // behind siz and flags
	{first: 18, last: 21, deferSP64: 8, deferSP32: 4}, // siz is gone
	{first: 22, last: 25, panicSP: 6},                 // argp, arg, link, startPC, startSP
	{first: 26, last: 26, panicSP: 5},                 // argp is gone
	{first: 27, last: 27, panicSP: 6},                 // pc came before it
}

// Panics returns the layout for a minor release and a pointer size in bytes.
func Panics(minor, ptrSize int) (PanicLayout, bool) {
	if ptrSize != 4 && ptrSize != 8 {
		return PanicLayout{}, false
	}
	for _, l := range panicLayouts {
		if minor < l.first || minor > l.last {
			continue
		}
		word := int64(ptrSize)
		p := PanicLayout{GPanic: 4 * word, PanicSP: l.panicSP * word}
		if p.PanicSP == 0 {
			p.GDefer, p.DeferSP = 5*word, l.deferSP64
			if ptrSize == 4 {
				p.DeferSP = l.deferSP32
			}
		}
		return p, true
	}
	return PanicLayout{}, false
}
