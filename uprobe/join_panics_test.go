package uprobe

import (
	"fmt"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/symbols"
)

// panics begins a panic at a depth while another is under way whose record and frame
// are at these depths, or none if they are 0. It is known by its depth.
func (x *joinTest) panics(depth, record, frame uint64) {
	x.j.later(x.record(capture.KindPanic, 1, depth, record<<32|frame), capture.HeaderSize)
}

// goesOn lets the function go on whose frame is at a depth and has so many bytes.
func (x *joinTest) goesOn(depth, size uint64) {
	const pc = 0x1010
	x.fn.entry, x.fn.size, x.fn.arch = 0x1000, 0x100, abi.AMD64
	x.fn.frames = &frameSizes{known: map[symbols.VirtAddr]uint64{pc: size}}
	x.j.later(x.record(capture.KindUnwound, 1, depth+size, pc), capture.HeaderSize)
}

// TestJoinPanics looks for which panic a call was left by, or recovered.
func TestJoinPanics(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(x *joinTest)
		want []string
	}{
		{"the panic of a call", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.panics(40, 0, 0)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"panicked 20 by 40", "returned 10 recovered 40"}},
		{"its own panic", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.panics(26, 0, 0)
			x.goesOn(20, 6)
			x.leave(1, 20, true)
			x.leave(1, 10, true)
		}, []string{"returned 20 recovered 26", "returned 10"}},
		{"recovered by a function that is not traced", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 30)
			x.panics(40, 0, 0)
			x.goesOn(20, 6)
			x.leave(1, 10, true)
		}, []string{"panicked 30 by 40", "returned 10"}},
		{"a new panic goes on where the first one was", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20) // it has deferred what panics anew
			x.enter(1, 30)
			x.panics(40, 0, 0)
			x.enter(1, 60) // deferred
			x.panics(80, 50, 28)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"panicked 60 by 80", "panicked 30 by 40", "panicked 20 by 80", "returned 10 recovered 80"}},
		{"three, in turn", func(x *joinTest) {
			for d := uint64(10); d < 60; d += 10 {
				x.enter(1, d)
			}
			x.panics(60, 0, 0)
			x.panics(80, 70, 48)
			x.panics(100, 90, 28)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"panicked 50 by 60", "panicked 40 by 80", "panicked 30 by 80", "panicked 20 by 100", "returned 10 recovered 100"}},
		{"recovered within", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.panics(40, 0, 0)
			x.enter(1, 60)
			x.panics(80, 50, 28)
			x.goesOn(60, 6)
			x.leave(1, 60, true)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"returned 60 recovered 80", "panicked 20 by 40", "returned 10 recovered 40"}},
		{"recovered, then left by another", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.panics(40, 0, 0)
			x.goesOn(20, 6)
			x.panics(50, 0, 0)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"panicked 20 by 50", "returned 10 recovered 50"}},
		{"two recovered one after the other", func(x *joinTest) {
			x.enter(1, 10)
			x.panics(40, 0, 0)
			x.goesOn(10, 6)
			x.panics(50, 0, 0)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"returned 10 recovered 50"}},
		{"a recovery that was not told", func(x *joinTest) {
			x.enter(1, 10)
			x.panics(40, 0, 0)
			x.panics(30, 0, 0) // nothing was under way
			x.enter(1, 5)
			x.leave(1, 5, true)
		}, []string{"panicked 10 by 30", "returned 5"}},
		{"a recovery within that was not told", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.panics(40, 0, 0)
			x.panics(90, 50, 28)
			x.panics(80, 50, 28) // that at 40 is under way, not that at 90
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"panicked 20 by 80", "returned 10 recovered 80"}},
		{"not known which", func(x *joinTest) {
			x.enter(1, 10)
			x.panics(40, 0, 0)
			x.j.later(x.record(capture.KindPanic, 1, 80, capture.WithinUnknown), capture.HeaderSize)
			x.enter(1, 5)
			x.leave(1, 5, true)
		}, []string{"panicked 10 by one of several panics", "returned 5"}},
		{"no one recovers it", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.panics(40, 0, 0)
			x.panics(80, 50, 28)
			x.hit(capture.KindFatal, 90)
		}, []string{"panicked 20 by 80", "panicked 10 by 80"}},
		{"it was not seen to begin", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.hit(capture.KindFatal, 90)
		}, []string{"panicked 20 by the beginning of the panic was not seen", "panicked 10 by the beginning of the panic was not seen"}},
		{"recovered, and not seen to begin", func(x *joinTest) {
			x.enter(1, 10)
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"returned 10 recovered nothing"}},
		{"the process ends", func(x *joinTest) {
			x.enter(1, 10)
			x.panics(40, 0, 0)
			x.leave(1, 10, false)
		}, []string{"lost"}},
		{"too much is kept", func(x *joinTest) {
			x.enter(1, 10)
			x.j.bytes += maxOpenBytes
			x.panics(40, 0, 0)
			x.j.bytes -= maxOpenBytes
			x.goesOn(10, 6)
			x.leave(1, 10, true)
		}, []string{"returned 10 recovered 40, not kept"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newJoinTest()
			text := func(p *panicked) string {
				switch {
				case p == nil:
					return "nothing"
				case p.data == nil:
					return fmt.Sprintf("%d, not kept", p.depth)
				}
				return fmt.Sprint(p.depth)
			}
			x.j.deliver = func(c *openCall, how ending, _ []byte) {
				switch {
				case how == endPanicked && c.left == nil:
					x.got = append(x.got, fmt.Sprintf("panicked %d by %v", c.depth, c.why))
				case how == endPanicked:
					x.got = append(x.got, fmt.Sprintf("panicked %d by %s", c.depth, text(c.left)))
				case c.recovered:
					x.got = append(x.got, fmt.Sprintf("returned %d recovered %s", c.depth, text(c.caught)))
				default:
					x.got = append(x.got, fmt.Sprintf("returned %d", c.depth))
				}
			}
			tt.do(x)
			x.j.finish()
			if !slices.Equal(x.got, tt.want) {
				t.Errorf("got  %q\nwant %q", x.got, tt.want)
			}
			if len(x.j.procs) != 0 || x.j.bytes != 0 || len(x.open) != 0 {
				t.Errorf("left behind: %d processes, %d bytes, open %v", len(x.j.procs), x.j.bytes, x.open)
			}
		})
	}
}
