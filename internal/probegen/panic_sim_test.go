package probegen_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/probegen"
)

// panicWorld is a process with two goroutines, whose runtime keeps panics as one
// release does.
type panicWorld struct {
	arch   *abi.Arch
	layout *goruntime.PanicLayout
	mem    *bpfsim.Memory
	gs     []uint64
}

const (
	stackHi    = 0x40_0000 // of both
	stackBytes = 0x1000
	panicSite  = 0x8000
	panicBias  = 0x10_0000
	panicBack  = 0x1234 // where calls return to, as the binary states it
)

func newPanicWorld(a *abi.Arch, minor int) *panicWorld {
	w := &panicWorld{arch: a, mem: bpfsim.NewMemoryAt(0x9000_0000)}
	if l, ok := goruntime.Panics(minor, int(a.PtrSize)); ok {
		w.layout = &l
	}
	w.mem.Map(stackHi-stackBytes, stackBytes)
	for i := range uint64(2) {
		g := w.mem.Alloc(400, 8)
		w.word(g+uint64(a.PtrSize), stackHi)
		w.mem.PutWord(g+152, i+1)
		w.gs = append(w.gs, g)
	}
	return w
}

// word writes a word of the architecture.
func (w *panicWorld) word(at, v uint64) {
	w.mem.Put(at, binary.LittleEndian.AppendUint64(nil, v)[:w.arch.PtrSize])
}

// underWay makes a panic whose record is so deep, 0 for none, the innermost of a
// goroutine. It runs a call that a frame has deferred whose stack pointer is so deep,
// behind so many that were deferred since.
func (w *panicWorld) underWay(g, record, frame uint64, defers int) {
	l := w.layout
	if l == nil {
		return
	}
	if record == 0 {
		w.word(g+uint64(l.GPanic), 0)
		return
	}
	at := uint64(stackHi - record)
	w.word(g+uint64(l.GPanic), at)
	if l.PanicSP != 0 {
		w.word(at+uint64(l.PanicSP), stackHi-frame)
		return
	}
	link := g + uint64(l.GDefer)
	for i := range defers + 1 {
		d := w.mem.Alloc(64, 8)
		w.word(link, d)
		d += uint64(l.DeferSP)
		word := uint64(w.arch.PtrSize)
		if i == defers {
			w.word(d+goruntime.DeferFrame*word, stackHi-frame)
			w.word(d+goruntime.DeferPanic*word, at)
		} else {
			w.word(d+goruntime.DeferFrame*word, stackHi-frame-100)
		}
		link = d + goruntime.DeferLink*word
	}
	w.word(link, 0)
}

// funcs returns the functions that tell of panics.
func (w *panicWorld) funcs() []probegen.Func {
	word := w.arch.PtrSize
	reg := func(off int64, r abi.Reg) abi.Piece {
		return abi.Piece{Offset: off, Size: word, Kind: abi.InRegister, Reg: r}
	}
	g, value, cfa := w.arch.G, abi.Location{reg(0, abi.RAX), reg(word, abi.RBX)}, word
	switch w.arch {
	case abi.ARM64:
		value, cfa = abi.Location{reg(0, abi.X0), reg(word, abi.X1)}, 0
	case abi.I386:
		g, value = abi.ECX, abi.Location{{Size: 2 * word, Kind: abi.InFrame}}
	}
	eface := &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 2 * word, Align: word}
	var funcs []probegen.Func
	for i, role := range panicRoles {
		var in []capture.Input
		if role == probegen.RolePanic {
			in = []capture.Input{{Name: "panic", Type: eface, Location: value}}
		}
		f := probegen.Func{
			Cookie: uint32(i), Arch: w.arch, Plan: capture.Build(w.arch, in, capture.Limits{Pair: true}), Role: role,
			CFA: cfa, Skip: probegen.Never, G: probegen.G{Kind: probegen.GRegister, Reg: g}, Site: panicSite, Panics: w.layout,
		}
		f.Plan.Goroutine = 152
		funcs = append(funcs, f)
	}
	return funcs
}

var panicRoles = []probegen.Role{probegen.RolePanic, probegen.RoleFatal, probegen.RoleExit, probegen.RoleUnwound}

// TestPanics hits the functions of the runtime that tell of panics at several
// depths, and requires that each recovery is told once, by the first frame that is
// not further down than the last panic, also of panics one within another; which panic is
// under way when another begins; and where the function returns to that goes on.
func TestPanics(t *testing.T) {
	for _, tt := range []struct {
		arch  *abi.Arch
		minor int
	}{
		{abi.AMD64, 11}, {abi.AMD64, 21}, {abi.AMD64, 22}, {abi.AMD64, 26}, {abi.AMD64, 27}, {abi.AMD64, 1000},
		{abi.ARM64, 20}, {abi.ARM64, 27}, {abi.I386, 11}, {abi.I386, 18}, {abi.I386, 26},
	} {
		t.Run(fmt.Sprintf("%s/1.%d", tt.arch.GOARCH, tt.minor), func(t *testing.T) { testPanics(t, newPanicWorld(tt.arch, tt.minor)) })
	}
}

func testPanics(t *testing.T, w *panicWorld) {
	funcs := w.funcs()
	prog := load(t, funcs, probegen.Options{CPUs: simCPUs})
	m := newMachine(1 << 20)
	open := &bpfsim.Hash{KeySize: probegen.OpenKeySize, ValueSize: probegen.OpenSize, MaxEntries: 8}
	m.Hashes[probegen.MapOpen] = open
	for i, tt := range []struct {
		goroutine uint64
		role      int
		depth     uint64
		tells     bool
		// The panic under way.
		record, frame uint64
		defers        int
		unknown       bool
	}{
		{goroutine: 1, role: 3, depth: 16}, // it has not panicked
		{goroutine: 1, role: 0, depth: 400, tells: true},
		{goroutine: 2, role: 3, depth: 16},  // another goroutine has not
		{goroutine: 1, role: 3, depth: 480}, // a deferred function returns
		// A deferred function panics, and is recovered.
		{goroutine: 1, role: 0, depth: 560, tells: true, record: 440, frame: 200},
		{goroutine: 1, role: 3, depth: 480, tells: true},
		{goroutine: 1, role: 3, depth: 16, tells: true}, // the first one is
		{goroutine: 1, role: 3, depth: 8},
		// Four within one another. The second is given up for the third.
		{goroutine: 1, role: 0, depth: 400, tells: true},
		{goroutine: 1, role: 0, depth: 560, tells: true, record: 440, frame: 300, defers: 1},
		{goroutine: 1, role: 0, depth: 720, tells: true, record: 600, frame: 504, defers: 5},
		{goroutine: 1, role: 0, depth: 880, tells: true, record: 760, frame: 648, defers: 15},
		{goroutine: 1, role: 3, depth: 888}, // further down
		{goroutine: 1, role: 3, depth: 752, tells: true},
		{goroutine: 1, role: 3, depth: 728},
		{goroutine: 1, role: 3, depth: 496, tells: true},
		{goroutine: 1, role: 3, depth: 392, tells: true},
		{goroutine: 1, role: 3, depth: 8},
		// The function recovers that has itself panicked, alone and around another.
		{goroutine: 1, role: 0, depth: 400, tells: true},
		{goroutine: 1, role: 3, depth: 408},
		{goroutine: 1, role: 3, depth: 400, tells: true},
		{goroutine: 1, role: 3, depth: 16},
		{goroutine: 1, role: 0, depth: 400, tells: true},
		{goroutine: 1, role: 0, depth: 560, tells: true, record: 440, frame: 392},
		{goroutine: 1, role: 3, depth: 400, tells: true},
		{goroutine: 1, role: 3, depth: 16},
		// Five: the first is forgotten.
		{goroutine: 2, role: 0, depth: 80, tells: true},
		{goroutine: 2, role: 0, depth: 160, tells: true, record: 88, frame: 48},
		{goroutine: 2, role: 0, depth: 240, tells: true, record: 168, frame: 96},
		{goroutine: 2, role: 0, depth: 320, tells: true, record: 248, frame: 176, defers: 40, unknown: w.layout != nil && w.layout.PanicSP == 0},
		{goroutine: 2, role: 0, depth: 400, tells: true, record: 328, frame: 256},
		{goroutine: 2, role: 3, depth: 96, tells: true},
		{goroutine: 2, role: 3, depth: 16},
		// One whose recovery was not told is over when another begins further up.
		{goroutine: 1, role: 0, depth: 400, tells: true},
		{goroutine: 1, role: 0, depth: 160, tells: true},
		{goroutine: 1, role: 3, depth: 200},
		{goroutine: 1, role: 1, depth: 200, tells: true},
		{goroutine: 2, role: 2, depth: 80, tells: true},
		{goroutine: 1, role: 3, depth: 104, tells: true},
	} {
		f := &funcs[tt.role]
		sp := stackHi - tt.depth - uint64(f.CFA)
		h := &hit{
			arch: w.arch, mem: w.mem, pid: 7, tid: 8, time: uint64(100 + i), pc: panicBias + panicSite,
			regs: map[abi.Reg]uint64{f.G.Reg: w.gs[tt.goroutine-1], w.arch.SP: sp},
		}
		switch {
		case tt.role == 0:
			for j, p := range f.Plan.Stores {
				h.regs[p.Reg] = uint64(1000*i + j)
			}
			for _, r := range f.Plan.Reads {
				w.word(sp+uint64(f.CFA), uint64(1000*i))
				w.word(sp+uint64(f.CFA)+uint64(r.Size)/2, uint64(1000*i+1))
			}
			w.underWay(w.gs[tt.goroutine-1], tt.record, tt.frame, tt.defers)
			h.entered = tt.record<<32 | tt.frame
			if tt.unknown || w.layout == nil {
				h.entered = capture.WithinUnknown
			}
		case w.arch.HasLink:
			h.regs[w.arch.Link] = panicBias + panicBack
		default:
			w.word(sp+uint64(f.CFA)-uint64(w.arch.PtrSize), panicBias+panicBack)
		}
		if tt.role == 3 {
			h.entered = panicBack
		}
		h.enter(m)
		m.Cookie, m.PID, m.TID, m.Time = uint64(tt.role), h.pid, h.tid, h.time
		if _, err := m.Run(prog); err != nil {
			t.Fatalf("hit %d: %v", i, err)
		}
		got := m.Ring.Take()
		if (len(got) == 1) != tt.tells {
			t.Fatalf("hit %d %+v: %d records", i, tt, len(got))
		}
		if len(got) == 0 {
			continue
		}
		if err := diff(got[0], h.record(f)); err != nil {
			t.Errorf("hit %d %+v: %v", i, tt, err)
		}
		if d := binary.LittleEndian.Uint64(got[0][f.Plan.Pair+capture.PairDepth:]); d != tt.depth {
			t.Errorf("hit %d: depth %d, want %d", i, d, tt.depth)
		}
	}
	if len(open.Entries) != 0 {
		t.Errorf("left behind: %x", open.Entries)
	}
}
