package uprobe

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/site"
)

// fakeKernel is what the kernel does about open calls.
type fakeKernel struct {
	open   map[callID]uint64 // the time, by an ID without
	ended  map[uint32]bool
	passed uint64 // when it last passed over a program
	// meanwhile happens while the kernel is made to forget a call.
	meanwhile func()
}

func place(id callID) callID { id.time = 0; return id }

func (k *fakeKernel) isOpen(id callID) bool { return k.open[place(id)] == id.time }

func (k *fakeKernel) forget(id callID) uint64 {
	if !k.isOpen(id) {
		return 0
	}
	if k.meanwhile != nil {
		k.meanwhile()
	}
	other := k.open[place(id)]
	delete(k.open, place(id))
	if other != id.time {
		return other
	}
	return 0
}

func (k *fakeKernel) passedOver(since uint64) bool { return since < k.passed }

func (k *fakeKernel) watch(pid uint32) (func() bool, func()) {
	return func() bool { return k.ended[pid] }, nil
}

// joinTest drives a joiner by the records that goroutines would cause.
type joinTest struct {
	*fakeKernel
	j    *joiner
	fn   *Func
	now  uint64
	lost uint64
	got  []string
}

func newJoinTest() *joinTest {
	x := &joinTest{fakeKernel: &fakeKernel{open: map[callID]uint64{}, ended: map[uint32]bool{}}, j: newJoiner()}
	x.fn = &Func{name: "main.f", sites: &site.Sites{}, plan: &capture.Plan{Pair: capture.HeaderSize}}
	x.j.calls = x
	x.j.ending = func() uint64 { return 0 }
	names := []string{"returned", "panicked", "lost", "abandoned", "open", "full", "filtered", "exited"}
	x.j.deliver = func(c *openCall, how ending, _ []byte) {
		x.got = append(x.got, fmt.Sprintf("%s %d", names[how], c.depth))
	}
	x.j.count = func(_ []byte, how ending) { x.got = append(x.got, names[how]) }
	return x
}

func (x *joinTest) record(kind uint16, goroutine, depth, entered uint64) []byte {
	x.now++
	b := make([]byte, capture.HeaderSize+capture.PairSize)
	order.PutUint16(b[capture.OffKind:], kind)
	order.PutUint64(b[capture.OffTime:], x.now)
	order.PutUint32(b[capture.OffPIDTID+4:], 7)
	order.PutUint64(b[capture.HeaderSize+capture.PairGoroutine:], goroutine)
	order.PutUint64(b[capture.HeaderSize+capture.PairDepth:], depth)
	order.PutUint64(b[capture.HeaderSize+capture.PairTime:], entered)
	order.PutUint64(b[capture.HeaderSize+capture.PairLost:], x.lost)
	return b
}

func (x *joinTest) id(goroutine, depth uint64) callID { return callID{7, goroutine, depth, 0} }

func (x *joinTest) enter(goroutine, depth uint64) {
	b := x.record(capture.KindEntry, goroutine, depth, 0)
	x.open[x.id(goroutine, depth)] = x.now
	x.j.entry(x.fn, b, time.Time{})
}

// leave returns, seen or not.
func (x *joinTest) leave(goroutine, depth uint64, seen bool) {
	id := x.id(goroutine, depth)
	entered, ok := x.open[id]
	delete(x.open, id)
	switch {
	case !ok:
	case seen:
		x.j.later(x.record(capture.KindReturn, goroutine, depth, entered), capture.HeaderSize)
	default:
		x.lost++
	}
}

// filter returns, and a condition is not met.
func (x *joinTest) filter(goroutine, depth uint64) {
	id := x.id(goroutine, depth)
	entered := x.open[id]
	delete(x.open, id)
	x.j.later(x.record(capture.KindFiltered, goroutine, depth, entered), capture.HeaderSize)
}

func (x *joinTest) hit(kind uint16, depth uint64) {
	x.j.later(x.record(kind, 1, depth, 0), capture.HeaderSize)
}

func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(x *joinTest)
		want []string
	}{
		{"nested", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.enter(2, 15) // another goroutine
			x.leave(1, 20, true)
			x.leave(1, 10, true)
			x.leave(2, 15, true)
		}, []string{"returned 20", "returned 10", "returned 15"}},
		{"recovered", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.enter(1, 30)
			x.hit(capture.KindPanic, 40)
			x.enter(1, 60) // deferred
			x.leave(1, 60, true)
			x.leave(1, 10, true)
		}, []string{"returned 60", "panicked 30", "panicked 20", "returned 10"}},
		{"recovered, and told", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.enter(1, 30)
			x.hit(capture.KindPanic, 40)
			x.hit(capture.KindUnwound, 16) // by the function at 10
			x.enter(1, 10)                 // it is left otherwise
			x.leave(1, 10, true)
		}, []string{"panicked 30", "panicked 20", "abandoned", "returned 10"}},
		{"recovered, the same again", func(x *joinTest) {
			x.enter(1, 20)
			x.hit(capture.KindPanic, 40)
			x.enter(1, 20)
			x.leave(1, 20, true)
		}, []string{"panicked 20", "returned 20"}},
		{"left without a panic", func(x *joinTest) {
			x.enter(1, 20)
			x.enter(1, 10)
			x.leave(1, 10, true)
		}, []string{"abandoned", "returned 10"}},
		{"left, after a panic that was over", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.hit(capture.KindPanic, 40)
			x.leave(1, 20, true) // it recovered
			x.enter(1, 10)
		}, []string{"returned 20", "abandoned", "open"}},
		{"a return is lost, then a panic", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.leave(1, 20, false)
			x.hit(capture.KindPanic, 40)
			x.enter(1, 10)
			x.leave(1, 10, true)
		}, []string{"lost", "lost", "returned 10"}},
		{"the kernel passed over a return, then a panic", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.passed = x.now + 1
			x.hit(capture.KindPanic, 40)
			x.enter(1, 10)
			x.leave(1, 10, true)
		}, []string{"lost", "lost", "returned 10"}},
		{"the kernel passed over a return, then others", func(x *joinTest) {
			x.enter(1, 10)
			x.passed = x.now + 1
			x.now++
			x.enter(1, 20)
			x.hit(capture.KindPanic, 40)
			x.hit(capture.KindUnwound, 15)
			x.enter(1, 10)
		}, []string{"panicked 20", "lost", "open"}},
		{"never recovered", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.hit(capture.KindPanic, 40)
			x.hit(capture.KindFatal, 50)
		}, []string{"panicked 20", "panicked 10"}},
		{"the goroutine ends", func(x *joinTest) {
			x.enter(1, 10)
			x.hit(capture.KindExit, 30)
			x.enter(1, 50) // deferred
			x.leave(1, 50, true)
		}, []string{"exited", "returned 50"}},
		{"the goroutine ends, after a tail jump", func(x *joinTest) {
			x.fn.sites.TailJumps = 1
			x.enter(1, 10)
			x.hit(capture.KindExit, 30)
		}, []string{"abandoned"}},
		{"the goroutine ends, after a panic in one of two calls", func(x *joinTest) {
			x.enter(1, 10)
			x.hit(capture.KindPanic, 40)
			x.enter(1, 20)
			x.hit(capture.KindExit, 30)
		}, []string{"exited", "abandoned"}},
		{"the goroutine ends, probes are missing", func(x *joinTest) {
			x.enter(1, 10)
			x.j.ending = func() uint64 { return 1 }
			x.hit(capture.KindExit, 30)
		}, []string{"abandoned"}},
		{"the goroutine ends, the kernel passed over a return", func(x *joinTest) {
			x.enter(1, 10)
			x.passed = x.now + 1
			x.hit(capture.KindExit, 30)
		}, []string{"abandoned"}},
		{"a tail jump", func(x *joinTest) {
			x.fn.sites.TailJumps = 1
			x.enter(1, 10)
			x.hit(capture.KindPanic, 30)
			x.enter(1, 10)
			x.leave(1, 10, true)
		}, []string{"abandoned", "returned 10"}},
		{"the process ends", func(x *joinTest) {
			x.enter(1, 10)
			x.ended[7] = true
			x.j.tick()
			x.leave(1, 10, true) // was still in the buffer
			x.enter(2, 10)
			x.j.tick()
		}, []string{"returned 10", "open"}},
		{"the end", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.leave(1, 20, false)
		}, []string{"lost", "open"}},
		{"probes are missing", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.j.ending = func() uint64 { return x.now }
			x.leave(1, 10, true)
		}, []string{"open", "returned 10"}},
		{"a condition of the return", func(x *joinTest) {
			x.enter(1, 10)
			x.enter(1, 20)
			x.filter(1, 20)
			x.leave(1, 10, true)
		}, []string{"filtered", "returned 10"}},
		{"a condition that a panic does not meet", func(x *joinTest) {
			x.fn.atReturn = &atReturn{unwound: expr.Unmet}
			x.enter(1, 10)
			x.enter(1, 20)
			x.hit(capture.KindPanic, 30)
			x.leave(1, 10, true)
		}, []string{"filtered", "returned 10"}},
		{"a condition that a panic meets", func(x *joinTest) {
			x.fn.atReturn = &atReturn{unwound: expr.Met}
			x.enter(1, 10)
			x.enter(1, 20)
			x.hit(capture.KindPanic, 30)
			x.leave(1, 10, true)
		}, []string{"panicked 20", "returned 10"}},
		{"entries are gone", func(x *joinTest) {
			x.j.entriesGone = func(*Func) bool { return true }
			x.enter(1, 10)
			x.enter(1, 20)
			x.leave(1, 20, true)
			x.enter(1, 20)
			x.hit(capture.KindPanic, 30)
			x.leave(1, 20, true) // it has recovered, or another call was in its place
			x.leave(1, 10, true) // has it?
		}, []string{"returned 20", "lost", "lost"}},
		{"entries are gone, and a record is lost", func(x *joinTest) {
			x.j.entriesGone = func(*Func) bool { return true }
			x.enter(1, 10)
			x.lost++
			x.leave(1, 10, true)
		}, []string{"lost"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newJoinTest()
			tt.do(x)
			x.j.finish()
			if !slices.Equal(x.got, tt.want) {
				t.Errorf("got  %q\nwant %q", x.got, tt.want)
			}
			if len(x.j.procs) != 0 || x.j.bytes != 0 || len(x.open) != 0 && tt.name != "a return is lost, then a panic" {
				t.Errorf("left behind: %d processes, %d bytes, open %v", len(x.j.procs), x.j.bytes, x.open)
			}
		})
	}
}

// TestJoinRandom has a goroutine that calls, returns, panics and recovers as it
// likes, of which returns are lost in some runs, and requires each call to end
// once, as it did.
func TestJoinRandom(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		lossy := seed%2 == 1
		x := newJoinTest()
		var stack []uint64 // depths
		calls, ends := 0, map[string]int{}
		depth := func() uint64 {
			d := uint64(0)
			if len(stack) > 0 {
				d = stack[len(stack)-1]
			}
			return d + uint64(8*(1+r.IntN(3)))
		}
		for range 200 {
			switch k := r.IntN(10); {
			case k < 5 || len(stack) == 0:
				d := depth()
				x.enter(1, d)
				stack = append(stack, d)
				calls++
			case k < 9:
				n := len(stack) - 1
				seen := !lossy || r.IntN(4) > 0
				x.leave(1, stack[n], seen)
				if seen {
					ends["returned"]++
				}
				stack = stack[:n]
			default:
				x.hit(capture.KindPanic, depth())
				n := r.IntN(len(stack))
				ends["panicked"] += len(stack) - n - 1
				stack = stack[:n+1]
				x.leave(1, stack[n], true) // it recovers
				ends["returned"]++
				stack = stack[:n]
			}
		}
		ends["open"] = len(stack)
		x.j.finish()
		got := map[string]int{}
		for _, text := range x.got {
			var how string
			fmt.Sscan(text, &how)
			got[how]++
			counts[how]++
		}
		total := 0
		for _, n := range got {
			total += n
		}
		if total != calls || got["returned"] != ends["returned"] || got["panicked"] > ends["panicked"] || got["open"] > ends["open"] {
			t.Fatalf("seed %d: %d calls, ends %v, want %v", seed, calls, got, ends)
		}
		if !lossy && (got["panicked"] != ends["panicked"] || got["open"] != ends["open"]) {
			t.Fatalf("seed %d: ends %v, want %v", seed, got, ends)
		}
	}
	t.Log(counts)
	if counts["lost"] < 100 || counts["panicked"] < 100 {
		t.Error("too uniform")
	}
}
