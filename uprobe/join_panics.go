package uprobe

import (
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/symbols"
)

// openPanic stands for the depth of a call under which the kernel remembers that a
// goroutine panics; in place of a time it has the panic's depth.
const openPanic = probegen.OpenPanic

// maxPanics bounds the panics that are remembered of a goroutine whose recovery
// was not seen.
const maxPanics = 64

// panicked is a panic that is perhaps not over.
type panicked struct {
	depth, time uint64
	within      uint64 // see capture.Within
	data        []byte // the record, nil if there was no room to keep it
}

// size is how many bytes are kept of a panic, which may be nil.
func (p *panicked) size() int {
	if p == nil {
		return 0
	}
	return len(p.data)
}

// begunIn reports whether the panic began in the call or in one that it made.
func (p *panicked) begunIn(c *openCall) bool { return c.time < p.time && c.depth < p.depth }

// panicking takes the record of the beginning of a panic.
//
// The record says which other panic is under way: those that began further down the
// stack than it are over, and all if there is none. So what is kept is the chain of
// those under way.
func (j *joiner) panicking(g *goroutine, e *event, data []byte) {
	switch e.time {
	case capture.WithinUnknown:
	case capture.WithinNone:
		j.dropPanics(g, func(*panicked) bool { return true })
	default:
		_, within := capture.Within(e.time)
		j.dropPanics(g, func(p *panicked) bool { return p.depth > within })
	}
	if len(g.panics) == maxPanics {
		oldest := g.panics[0]
		j.dropPanics(g, func(p *panicked) bool { return p == oldest })
	}
	p := &panicked{depth: e.depth, time: e.at, within: e.time}
	if j.bytes+len(data) <= maxOpenBytes {
		p.data = slices.Clone(data)
		j.bytes += len(data)
	}
	g.panics = append(g.panics, p)
}

// dropPanics forgets the panics that are over.
func (j *joiner) dropPanics(g *goroutine, over func(*panicked) bool) {
	g.panics = slices.DeleteFunc(g.panics, func(p *panicked) bool {
		if !over(p) {
			return false
		}
		j.bytes -= p.size()
		return true
	})
}

// over forgets the panics that were recovered by the time that c returns.
func (j *joiner) over(g *goroutine, c *openCall) {
	if len(g.panics) > 0 {
		j.dropPanics(g, func(p *panicked) bool { return p.begunIn(c) })
	}
}

// recovered takes the record of a recovery, behind which all open calls go on. The
// one that recovered is that whose frame the function is called in that runs what is
// left of its deferred calls: told by the return address and the size of the frame.
//
// What it recovered is the last panic: the runtime gives up the others that are
// further down. The function's own is as deep as the call.
func (j *joiner) recovered(g *goroutine, e *event) {
	if n := len(g.calls); n > 0 && g.calls[n-1].fn.goesOn(symbols.VirtAddr(e.time), e.depth-g.calls[n-1].depth) {
		c := &g.calls[n-1]
		j.bytes -= c.caught.size() // it has recovered one before
		c.caught, c.recovered = nil, true
		for i, p := range slices.Backward(g.panics) {
			if p.depth >= e.depth {
				if p.begunIn(c) {
					c.caught = p
					g.panics = slices.Delete(g.panics, i, i+1)
				}
				break
			}
		}
	}
	j.dropPanics(g, func(p *panicked) bool { return p.depth >= e.depth })
}

// passed finds the panic that a call was left by, and reports whether there may be
// one: a panic that began while it was open.
//
// A panic leaves one call after the other, from the innermost on, until what one has
// deferred recovers it; or panics itself. Then the new panic goes on from there.
func (g *goroutine) passed(c *openCall) bool {
	var last *panicked
	why := abi.PanicUnseen
	for _, p := range g.panics {
		if !p.begunIn(c) {
			continue
		}
		if last != nil && p.within == capture.WithinUnknown {
			last, why = nil, abi.PanicUnclear
			break
		}
		if frame, _ := capture.Within(p.within); last != nil && p.within != capture.WithinNone && c.depth >= frame {
			break
		}
		last = p
	}
	c.left, c.why = last, why
	return last != nil || why == abi.PanicUnclear
}

// frameSizes are the sizes of a function's frame at return addresses in it.
type frameSizes struct {
	file  *symbols.File
	known map[symbols.VirtAddr]uint64 // 0 where it is not known
}

// goesOn reports whether a call that will return to pc, which is an address as the
// binary states it, and whose CFA is that many bytes below that of a call of f, is
// made by the latter.
func (f *Func) goesOn(pc symbols.VirtAddr, below uint64) bool {
	if f.frames == nil || pc < f.entry || uint64(pc-f.entry) >= f.size {
		return false
	}
	size, ok := f.frames.known[pc]
	if !ok {
		size = f.frameSize(pc)
		f.frames.known[pc] = size
	}
	return size != 0 && size == below
}

// frameSize returns the distance from the CFA of the function down to that of a call
// that will return to pc, 0 if it is not known.
func (f *Func) frameSize(pc symbols.VirtAddr) uint64 {
	table, err := f.frames.file.Table()
	if err != nil {
		return 0
	}
	fn, err := table.At(f.entry)
	if err != nil {
		return 0
	}
	size, err := table.FrameSize(fn, pc)
	if err != nil {
		return 0
	}
	if !f.arch.HasLink {
		size += f.arch.PtrSize // its own return address
	}
	return uint64(size)
}
