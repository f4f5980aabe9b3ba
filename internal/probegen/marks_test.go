package probegen_test

import (
	"encoding/binary"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// marks counts the records of a sequence of hits on sites that share marks.
type marks struct {
	t    *testing.T
	m    *bpfsim.Machine
	arch *abi.Arch // nil: amd64
	// threadBase, if not 0, is where the kernel keeps the thread's base; the g
	// is in the word before it.
	threadBase int
	spoil      func(*hit) // changes the state of a hit
}

// hit runs a program for goroutine g with stack pointer sp and the given
// flags, and returns the number of records.
func (k *marks) hit(p *bpfsim.Program, g, sp, flags uint64) int {
	k.t.Helper()
	a := k.arch
	if a == nil {
		a = abi.AMD64
	}
	h := hit{arch: a, regs: map[abi.Reg]uint64{a.SP: sp}, flags: flags, mem: bpfsim.NewMemory()}
	if k.threadBase > 0 {
		h.threadBase, h.fsBase = k.threadBase, h.mem.Alloc(16, 8)+8
		h.mem.PutWord(h.fsBase-8, g)
	} else if a.HasG {
		h.regs[a.G] = g
	}
	if k.spoil != nil {
		k.spoil(&h)
	}
	h.enter(k.m)
	if _, err := k.m.Run(p); err != nil {
		k.t.Fatal(err)
	}
	return len(k.m.Ring.Take())
}

func (k *marks) want(what string, got, want int) {
	k.t.Helper()
	if got != want {
		k.t.Errorf("%s: %d calls, want %d", what, got, want)
	}
}

func backEdge(t *testing.T, f probegen.Func, taken probegen.Cond) *bpfsim.Program {
	t.Helper()
	return backEdgeIf(t, f, probegen.Taken{Cond: taken})
}

func backEdgeIf(t *testing.T, f probegen.Func, taken probegen.Taken) *bpfsim.Program {
	t.Helper()
	ins, err := probegen.BackEdge(f, taken, probegen.Options{CPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := bpfsim.Load(ins)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSkipRepeat: the stack tells the goroutine, whether g is known or not.
func TestSkipRepeat(t *testing.T) {
	const (
		jeX86, zfX86     = 0x04, 1 << 6
		jeARM64, zfARM64 = 0x10, 1 << 30
	)
	for _, tt := range []struct {
		name   string
		arch   *abi.Arch
		g      probegen.G
		je, zf uint64
	}{
		{"amd64", abi.AMD64, probegen.G{Kind: probegen.GRegister, Reg: abi.R14}, jeX86, zfX86},
		{"amd64, g at the entry only", abi.AMD64, probegen.G{Kind: probegen.GRegister, Reg: abi.RCX}, jeX86, zfX86},
		{"amd64, g in the thread", abi.AMD64, probegen.G{Kind: probegen.GThread, TLS: -8}, jeX86, zfX86},
		{"amd64, no g", abi.AMD64, probegen.G{}, jeX86, zfX86},
		{"arm64", abi.ARM64, probegen.G{Kind: probegen.GRegister, Reg: abi.X28}, jeARM64, zfARM64},
		{"386", abi.I386, probegen.G{Kind: probegen.GRegister, Reg: abi.ECX}, jeX86, zfX86},
		{"386, no g", abi.I386, probegen.G{}, jeX86, zfX86},
	} {
		t.Run(tt.name, func(t *testing.T) { testSkipRepeat(t, tt.arch, tt.g, probegen.Cond(tt.je), tt.zf) })
	}
}

func testSkipRepeat(t *testing.T, a *abi.Arch, g probegen.G, je probegen.Cond, zf uint64) {
	f := archFunc(a)
	f.ID, f.Mark, f.G = 3, probegen.SkipRepeat, g
	entry := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
	other := f
	other.ID = 4
	edge, otherEdge := backEdge(t, f, je), backEdge(t, other, probegen.Always)
	k := &marks{t: t, m: newMachine(4096), arch: a}
	k.m.PID = 7
	// What the loop does to a register that holds g only at the entry.
	k.spoil = func(h *hit) {
		if g.Kind == probegen.GRegister && g.Reg != a.G {
			h.regs[g.Reg] = h.flags
		}
	}
	k.want("first", k.hit(entry, 1, 100, 0), 1)
	k.want("edge", k.hit(edge, 1, 100, zf), 0)
	k.want("announced", k.hit(entry, 1, 100, 0), 0)
	k.want("once only", k.hit(entry, 1, 100, 0), 1)
	k.hit(edge, 1, 100, 0)
	k.want("edge not taken", k.hit(entry, 1, 100, 0), 1)
	k.hit(edge, 1, 100, zf)
	k.want("another goroutine", k.hit(entry, 2, 5000, 0), 1)
	k.want("another frame", k.hit(entry, 1, 50, 0), 1)
	k.m.TID++
	k.m.PID = 8
	k.want("another process", k.hit(entry, 1, 100, 0), 1)
	k.m.PID = 7
	k.want("announced before, in another thread", k.hit(entry, 1, 100, 0), 0)
	k.hit(otherEdge, 1, 100, 0)
	k.want("another function", k.hit(entry, 1, 100, 0), 1)
	k.hit(edge, 1, 100, zf)
	k.hit(edge, 1, 100, zf)
	k.want("announced twice", k.hit(entry, 1, 100, 0), 0)
	k.want("after it", k.hit(entry, 1, 100, 0), 1)
}

func TestGrown(t *testing.T) {
	for _, tt := range []struct {
		name       string
		arch       *abi.Arch
		threadBase int
	}{{"amd64", abi.AMD64, 0}, {"amd64, g in the thread", abi.AMD64, 400}, {"arm64", abi.ARM64, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			testGrown(t, tt.arch, tt.threadBase, false)
			testGrown(t, tt.arch, tt.threadBase, true)
		})
	}
}

func testGrown(t *testing.T, a *abi.Arch, threadBase int, intErrors bool) {
	set, skip := archFunc(a), archFunc(a)
	if threadBase > 0 {
		set.G = probegen.G{Kind: probegen.GThread, TLS: -8}
		skip.G = set.G
	}
	set.Mark, skip.Mark, skip.Cookie = probegen.SetGrown, probegen.SkipGrown, 1
	p := load(t, []probegen.Func{set, skip}, probegen.Options{CPUs: 1, ThreadBase: int64(threadBase)})
	k := &marks{t: t, m: newMachine(4096), arch: a, threadBase: threadBase}
	k.m.IntErrors = intErrors
	grow := func(g, sp uint64) int { k.m.Cookie = 0; return k.hit(p, g, sp, 0) }
	entry := func(g, sp uint64) int { k.m.Cookie = 1; return k.hit(p, g, sp, 0) }
	k.want("no growth", entry(1, 100), 1)
	k.want("before morestack", grow(1, 100), 1)
	k.want("another goroutine meanwhile", entry(2, 100), 1)
	k.want("after it, the stack has moved", entry(1, 9000), 0)
	k.want("the next call", entry(1, 100), 1)
	k.want("before morestack", grow(1, 100), 1)
	k.want("the check fails again", grow(1, 9000), 0)
	k.want("after it", entry(1, 20000), 0)
	k.want("the next call", entry(1, 20000), 1)
	if n := len(k.m.Hash.Entries); n != 0 {
		t.Errorf("%d marks are left", n)
	}
	if n := losses(k.m, probegen.LossBusy); n != 0 {
		t.Errorf("%d lost", n)
	}
	if threadBase == 0 {
		return
	}
	// Without knowing the goroutine, nothing can be said of a hit.
	k.spoil = func(h *hit) { h.fsBase = 0 }
	k.want("no g before morestack", grow(1, 100), 0)
	k.want("no g", entry(1, 100), 0)
	if n, busy := losses(k.m, probegen.LossUnread), losses(k.m, probegen.LossBusy); n != 2 || busy != 0 {
		t.Errorf("%d lost unread and %d busy, want 2 and 0", n, busy)
	}
}

// TestOverwritten: a goroutine that was within morestack before anything was
// watched brings registers that are not its arguments.
func TestOverwritten(t *testing.T) {
	for _, tt := range []struct {
		name   string
		arch   *abi.Arch
		thread bool
	}{{"amd64", abi.AMD64, false}, {"amd64, g in the thread", abi.AMD64, true}, {"arm64", abi.ARM64, false}} {
		t.Run(tt.name, func(t *testing.T) { testOverwritten(t, tt.arch, tt.thread) })
	}
}

func testOverwritten(t *testing.T, a *abi.Arch, thread bool) {
	set, skip := archFunc(a), archFunc(a)
	set.Mark, skip.Mark, skip.Cookie = probegen.SetGrown, probegen.SkipGrown, 1
	if thread {
		set.G = probegen.G{Kind: probegen.GThread, TLS: 16}
		skip.G = set.G
	}
	set.Resume = probegen.Resume{SchedPC: 64, Behind: 0x91}
	skip.Resume = set.Resume
	p := load(t, []probegen.Func{set, skip}, probegen.Options{CPUs: 1, ThreadBase: 80})
	m := newMachine(4096)
	const ip = 0x401000
	const gA, gB, gC, unmapped, behind, elsewhere = 0x10000, 0x20000, 0x30000, 0x40000, ip + 0x91, ip + 0x5000
	hit := func(cookie, g, schedPC uint64) (records int, overwritten bool) {
		t.Helper()
		mem := bpfsim.NewMemory()
		if g != unmapped {
			mem.Map(g, 4096)
			mem.PutWord(g+64, schedPC)
		}
		h := hit{arch: a, regs: map[abi.Reg]uint64{a.G: g, a.SP: 100}, mem: mem, pc: ip}
		if thread {
			h.regs, h.threadBase, h.fsBase = nil, 80, mem.Alloc(24, 8)
			mem.PutWord(h.fsBase+16, g)
		}
		h.enter(m)
		m.Cookie = cookie
		if _, err := m.Run(p); err != nil {
			t.Fatal(err)
		}
		got := m.Ring.Take()
		if len(got) == 0 {
			return 0, false
		}
		return len(got), binary.LittleEndian.Uint64(got[0][capture.OffFailed:])>>capture.BitOverwritten != 0
	}
	for _, step := range []struct {
		what               string
		cookie, g, schedPC uint64
		records            int
		overwritten        bool
	}{
		{"was stopped elsewhere", 1, gA, elsewhere, 1, false},
		{"comes from morestack, unseen", 1, gA, behind, 1, true},
		{"goes into morestack", 0, gA, elsewhere, 1, false},
		{"comes from it", 1, gA, behind, 0, false},
		{"is known now", 1, gA, behind, 1, false},
		{"another goroutine is not", 1, gB, behind, 1, true},
		{"comes from morestack, unseen, and goes there again", 0, gC, behind, 1, true},
		{"comes from it", 1, gC, behind, 0, false},
		{"cannot be read", 1, unmapped, behind, 1, true},
	} {
		n, over := hit(step.cookie, step.g, step.schedPC)
		if n != step.records || over != step.overwritten {
			t.Errorf("%s: %d records, overwritten %t; want %d, %t", step.what, n, over, step.records, step.overwritten)
		}
	}
}
