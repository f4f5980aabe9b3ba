package uprobe

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// unwinderTest has goroutines that call, return, panic, recover and end, and what the
// kernel knows of that.
type unwinderTest struct {
	*rand.Rand
	t       *testing.T
	u       *unwinder
	now     uint64
	open    map[openKey]openAggregate
	records [][]byte
	read    int // of records
	// forgets says that the kernel can look at a call and forget it in one step.
	forgets bool
	// want is how calls end, by when they began, got what the unwinder says.
	want, got map[uint64]ending
}

type testFrame struct{ depth, time uint64 }

// testGoroutine has its calls, the outermost first.
type testGoroutine struct {
	id    uint64
	calls []testFrame
}

func (x *unwinderTest) openCalls() (all []openAggregate, err error) {
	for _, c := range x.open {
		all = append(all, c)
	}
	return all, nil
}

func (x *unwinderTest) dead(uint64) bool { return false }

func (x *unwinderTest) takeAway(c openAggregate, how ending, last bool) bool {
	if x.open[c.key].time != c.time {
		return true
	}
	if !last && !x.forgets {
		return false
	}
	delete(x.open, c.key)
	x.ended(c.time, how)
	return true
}

func (x *unwinderTest) ended(time uint64, how ending) {
	if before, ok := x.got[time]; ok {
		x.t.Fatalf("call %d ended twice: %d, %d", time, before, how)
	}
	x.got[time] = how
}

func (x *unwinderTest) record(kind uint16, g *testGoroutine, depth, word uint64) {
	x.now++
	b := make([]byte, capture.HeaderSize+capture.PairSize)
	order.PutUint16(b[capture.OffKind:], kind)
	order.PutUint64(b[capture.OffTime:], x.now)
	order.PutUint32(b[capture.OffPIDTID+4:], 7)
	order.PutUint64(b[capture.HeaderSize+capture.PairGoroutine:], g.id)
	order.PutUint64(b[capture.HeaderSize+capture.PairDepth:], depth)
	order.PutUint64(b[capture.HeaderSize+capture.PairTime:], word)
	x.records = append(x.records, b)
}

func (x *unwinderTest) enter(g *testGoroutine) {
	depth := uint64(16)
	if n := len(g.calls); n > 0 {
		depth = g.calls[n-1].depth + 16*(1+x.Uint64N(3))
	}
	key := openKey{probegen.OpenPID / 8: 7, probegen.OpenGoroutine / 8: g.id, probegen.OpenDepth / 8: depth}
	if old, ok := x.open[key]; ok {
		x.record(capture.KindLeft, g, depth, old.time)
	}
	x.now++
	x.open[key] = openAggregate{key, 0, x.now}
	g.calls = append(g.calls, testFrame{depth, x.now})
}

func (x *unwinderTest) leave(g *testGoroutine) {
	if len(g.calls) == 0 {
		return
	}
	c := g.calls[len(g.calls)-1]
	key := openKey{probegen.OpenPID / 8: 7, probegen.OpenGoroutine / 8: g.id, probegen.OpenDepth / 8: c.depth}
	if x.open[key].time != c.time {
		x.t.Fatalf("call %d was open, and is not", c.time)
	}
	delete(x.open, key)
	g.calls = g.calls[:len(g.calls)-1]
}

// panics has a goroutine panic, call while it does, and recover, seen or not, in one of
// its calls.
func (x *unwinderTest) panics(g *testGoroutine, seen bool) {
	n := len(g.calls)
	if n < 2 {
		return
	}
	x.record(capture.KindPanic, g, g.calls[n-1].depth+200, capture.WithinNone)
	deferred := &testGoroutine{g.id, []testFrame{{g.calls[n-1].depth + 400, 0}}}
	for range x.IntN(3) {
		x.enter(deferred)
		x.leave(deferred)
	}
	to := x.IntN(n - 1)
	for _, c := range g.calls[to+1:] {
		x.want[c.time] = endPanicked
	}
	g.calls = g.calls[:to+1]
	if seen {
		x.record(capture.KindUnwound, g, g.calls[to].depth+8, 0)
	}
}

// exits ends a goroutine.
func (x *unwinderTest) exits(g *testGoroutine) {
	if len(g.calls) == 0 {
		return
	}
	x.record(capture.KindExit, g, g.calls[len(g.calls)-1].depth+100, 0)
	for _, c := range g.calls {
		x.want[c.time] = endExited
	}
	g.id, g.calls = g.id+100, nil
}

// reads reads records up to a number of them.
func (x *unwinderTest) reads(until int) {
	for ; x.read < until; x.read++ {
		b := x.records[x.read]
		if order.Uint16(b[capture.OffKind:]) != capture.KindLeft {
			x.u.event(b, capture.HeaderSize)
			continue
		}
		e := newEvent(b, capture.HeaderSize)
		x.ended(e.callID.time, x.u.overtaken(e.callID, 0, e.at))
	}
}

// TestUnwinder: all calls that do not return, and no others, are found to have ended as
// they did, however late records are read, and whether or not the goroutine goes on.
func TestUnwinder(t *testing.T) {
	found := map[ending]int{}
	for seed := range uint64(400) {
		x := &unwinderTest{
			Rand: rand.New(rand.NewPCG(seed, 1)), t: t, u: newUnwinder(), open: map[openKey]openAggregate{}, forgets: seed%4 > 0,
			want: map[uint64]ending{}, got: map[uint64]ending{},
		}
		var end uint64
		x.u.calls, x.u.ending = x, func() uint64 { return end }
		x.u.lostSince, x.u.jumps = func() uint64 { return 0 }, func(uint32) bool { return false }
		var gs []*testGoroutine
		for i := range uint64(4) {
			gs = append(gs, &testGoroutine{id: i + 1})
		}
		busy := 1 + x.IntN(len(gs)) // the others do not go on
		before := 0                 // records at the last tick
		for n := range 400 {
			g := gs[x.IntN(busy)]
			if n < 60 {
				g = gs[x.IntN(len(gs))]
			}
			switch k := x.IntN(20); {
			case k < 9:
				x.enter(g)
			case k < 15:
				x.leave(g)
			case k < 18:
				x.panics(g, true)
			case k < 19 && x.IntN(4) == 0:
				x.exits(g)
			}
			switch x.IntN(6) {
			case 0:
				x.reads(x.read + x.IntN(len(x.records)-x.read+1))
			case 1:
				x.reads(before)
				before = len(x.records)
				if err := x.u.tick(); err != nil {
					t.Fatal(err)
				}
			}
		}
		// From here on probes are missing.
		x.now++
		end = x.now
		still := map[uint64]bool{}
		for _, g := range gs {
			for _, c := range g.calls {
				still[c.time] = true
			}
			if x.IntN(2) == 0 {
				x.exits(g)
			}
		}
		x.reads(len(x.records))
		if err := x.u.finish(); err != nil {
			t.Fatal(err)
		}
		for _, c := range x.open {
			if !still[c.time] {
				t.Fatalf("seed %d: call %d at %d is open, but ended as %d", seed, c.time, c.key[2], x.want[c.time])
			}
		}
		for time, how := range x.want {
			if still[time] {
				how = endOpen
				if _, ok := x.got[time]; !ok {
					continue // it is open
				}
			}
			if got, ok := x.got[time]; got != how || !ok {
				t.Fatalf("seed %d: call %d ended as %d (%t), want %d", seed, time, got, ok, how)
			}
			found[how]++
		}
		for time := range x.got {
			if _, ok := x.want[time]; !ok {
				t.Fatalf("seed %d: call %d has not ended", seed, time)
			}
		}
	}
	if found[endPanicked] < 2000 || found[endExited] < 300 {
		t.Errorf("too uniform: %v", found)
	}
	t.Logf("%v", found)
}

// TestUnwinderForgets: what happened to goroutines is forgotten when no call needs it.
func TestUnwinderForgets(t *testing.T) {
	x := &unwinderTest{Rand: rand.New(rand.NewPCG(1, 1)), t: t, u: newUnwinder(), open: map[openKey]openAggregate{}, forgets: true,
		want: map[uint64]ending{}, got: map[uint64]ending{}}
	x.u.calls, x.u.ending = x, func() uint64 { return 0 }
	x.u.lostSince, x.u.jumps = func() uint64 { return 0 }, func(uint32) bool { return false }
	g := &testGoroutine{id: 1}
	x.enter(g)
	x.enter(g)
	x.panics(g, false) // it is recovered where that is not seen
	other := &testGoroutine{id: 2}
	for range 3 {
		x.enter(other)
	}
	x.panics(other, true)
	x.reads(len(x.records))
	for i := range 12 {
		if err := x.u.tick(); err != nil {
			t.Fatal(err)
		}
		if n := len(x.u.procs[7]); i > 8 && n != 1 {
			t.Errorf("tick %d: %d goroutines, want the one of which it is not known whether it still panics", i, n)
		}
	}
	x.leave(g)
	x.enter(g)
	x.reads(len(x.records))
	for range 8 {
		if err := x.u.tick(); err != nil {
			t.Fatal(err)
		}
	}
	if len(x.u.procs) != 0 || len(x.u.left)+len(x.u.known) != 0 {
		t.Errorf("%v, %v, %v are left", x.u.procs, x.u.left, x.u.known)
	}
	if fmt.Sprint(x.got) != fmt.Sprint(x.want) {
		t.Errorf("ended as %v, want %v", x.got, x.want)
	}
}
