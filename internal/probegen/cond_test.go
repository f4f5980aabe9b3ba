package probegen_test

import (
	"encoding/binary"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// conditionsX86 are the sixteen condition codes as Intel's manual writes them
// (SDM vol. 2, "Jcc", the conditions of the mnemonics).
var conditionsX86 = [16]func(cf, pf, zf, sf, of bool) bool{
	0x0: func(_, _, _, _, of bool) bool { return of },               // JO
	0x1: func(_, _, _, _, of bool) bool { return !of },              // JNO
	0x2: func(cf, _, _, _, _ bool) bool { return cf },               // JB
	0x3: func(cf, _, _, _, _ bool) bool { return !cf },              // JAE
	0x4: func(_, _, zf, _, _ bool) bool { return zf },               // JE
	0x5: func(_, _, zf, _, _ bool) bool { return !zf },              // JNE
	0x6: func(cf, _, zf, _, _ bool) bool { return cf || zf },        // JBE
	0x7: func(cf, _, zf, _, _ bool) bool { return !cf && !zf },      // JA
	0x8: func(_, _, _, sf, _ bool) bool { return sf },               // JS
	0x9: func(_, _, _, sf, _ bool) bool { return !sf },              // JNS
	0xa: func(_, pf, _, _, _ bool) bool { return pf },               // JP
	0xb: func(_, pf, _, _, _ bool) bool { return !pf },              // JNP
	0xc: func(_, _, _, sf, of bool) bool { return sf != of },        // JL
	0xd: func(_, _, _, sf, of bool) bool { return sf == of },        // JGE
	0xe: func(_, _, zf, sf, of bool) bool { return zf || sf != of }, // JLE
	0xf: func(_, _, zf, sf, of bool) bool { return !zf && sf == of },
}

// conditionsARM64 are the sixteen conditions as Arm's manual writes them (Arm
// ARM, table C1-1).
var conditionsARM64 = [16]func(n, z, c, v bool) bool{
	0x0: func(_, z, _, _ bool) bool { return z },            // EQ
	0x1: func(_, z, _, _ bool) bool { return !z },           // NE
	0x2: func(_, _, c, _ bool) bool { return c },            // CS
	0x3: func(_, _, c, _ bool) bool { return !c },           // CC
	0x4: func(n, _, _, _ bool) bool { return n },            // MI
	0x5: func(n, _, _, _ bool) bool { return !n },           // PL
	0x6: func(_, _, _, v bool) bool { return v },            // VS
	0x7: func(_, _, _, v bool) bool { return !v },           // VC
	0x8: func(_, z, c, _ bool) bool { return c && !z },      // HI
	0x9: func(_, z, c, _ bool) bool { return !(c && !z) },   // LS
	0xa: func(n, _, _, v bool) bool { return n == v },       // GE
	0xb: func(n, _, _, v bool) bool { return n != v },       // LT
	0xc: func(n, z, _, v bool) bool { return !z && n == v }, // GT
	0xd: func(n, z, _, v bool) bool { return z || n != v },  // LE
	0xe: func(_, _, _, _ bool) bool { return true },         // AL
	0xf: func(_, _, _, _ bool) bool { return true },         // NV
}

func skipped(c probegen.Cond, flags uint64) bool {
	switch c {
	case probegen.Never:
		return false
	case probegen.Always:
		return true
	}
	bit := func(n int) bool { return flags>>n&1 != 0 }
	if c >= 0x10 {
		return conditionsARM64[c-0x10](bit(31), bit(30), bit(29), bit(28))
	}
	return conditionsX86[c](bit(0), bit(2), bit(6), bit(7), bit(11))
}

// allFlags are all combinations of the flags that conditions look at, with and
// without the other bits set.
func allFlags(a *abi.Arch) []uint64 {
	bits := []int{0, 2, 6, 7, 11}
	if a == abi.ARM64 {
		bits = []int{28, 29, 30, 31}
	}
	var all []uint64
	for i := range uint64(1) << len(bits) {
		f, others := uint64(0), ^uint64(0)
		for j, b := range bits {
			f |= i >> j & 1 << b
			others &^= 1 << b
		}
		all = append(all, f, f|others)
	}
	return all
}

// machines are the architectures, with their conditions.
var machines = []struct {
	arch  *abi.Arch
	first probegen.Cond
}{{abi.AMD64, 0}, {abi.I386, 0}, {abi.ARM64, 0x10}}

func archFunc(a *abi.Arch) probegen.Func {
	f := planCase{name: "int", params: []*abi.Type{tInt}, arch: a}.fn(0)
	f.Plan.Goroutine = 0
	return f
}

func intFunc() probegen.Func {
	return archFunc(abi.AMD64)
}

func TestSkip(t *testing.T) {
	for _, a := range machines {
		conds := []probegen.Cond{probegen.Never, probegen.Always}
		for c := range probegen.Cond(16) {
			conds = append(conds, a.first+c)
		}
		for _, c := range conds {
			f := archFunc(a.arch)
			f.Skip = c
			prog := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
			m := newMachine(4096)
			for _, flags := range allFlags(a.arch) {
				h := hit{arch: a.arch, flags: flags, mem: bpfsim.NewMemory()}
				h.enter(m)
				if _, err := m.Run(prog); err != nil {
					t.Fatal(err)
				}
				if n, skip := len(m.Ring.Take()), skipped(c, flags); (n == 0) != skip {
					t.Errorf("%s: condition %#x, flags %#x: %d records, want skip %t", a.arch.GOARCH, c, flags, n, skip)
				}
			}
		}
	}
}

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

func TestBackEdgeConditions(t *testing.T) {
	for _, a := range machines {
		f := archFunc(a.arch)
		for c := a.first; c < a.first+16; c++ {
			p := backEdge(t, f, c)
			for _, flags := range allFlags(a.arch) {
				k := &marks{t: t, m: newMachine(4096), arch: a.arch}
				k.hit(p, 1, 100, flags)
				if got := len(k.m.Hash.Entries) == 1; got != skipped(c, flags) {
					t.Errorf("%s: condition %#x, flags %#x: announced %t", a.arch.GOARCH, c, flags, got)
				}
			}
		}
	}
	f := intFunc()
	if _, err := probegen.BackEdge(f, probegen.Taken{Cond: probegen.Never}, probegen.Options{CPUs: 1}); err == nil {
		t.Error("a back edge that is never taken: no error")
	}
}

// TestBackEdgeTest: a branch that looks at a register, as arm64's cbz and tbz do.
func TestBackEdgeTest(t *testing.T) {
	const reg = abi.X3
	f := archFunc(abi.ARM64)
	for _, mask := range []uint64{^uint64(0), 1<<32 - 1, 1, 1 << 31, 1 << 63} {
		for _, zero := range []bool{false, true} {
			p := backEdgeIf(t, f, probegen.Taken{Cond: probegen.Never, Test: probegen.Test{Reg: reg, Mask: mask, Zero: zero}})
			for _, v := range []uint64{0, 1, 2, 1 << 31, 1 << 32, 1 << 63, ^uint64(0), ^mask, mask} {
				k := &marks{t: t, m: newMachine(4096), arch: abi.ARM64}
				k.spoil = func(h *hit) { h.regs[reg] = v }
				k.hit(p, 1, 100, ^uint64(0))
				want := v&mask != 0
				if zero {
					want = !want
				}
				if got := len(k.m.Hash.Entries) == 1; got != want {
					t.Errorf("mask %#x, zero %t, register %#x: announced %t", mask, zero, v, got)
				}
			}
		}
	}
	_, err := probegen.BackEdge(f, probegen.Taken{Cond: probegen.Never, Test: probegen.Test{Reg: abi.V0, Mask: 1}}, probegen.Options{CPUs: 1})
	if err == nil {
		t.Error("a test of a float register: no error")
	}
}

func TestPID(t *testing.T) {
	p := load(t, []probegen.Func{intFunc()}, probegen.Options{CPUs: 1, PID: 7})
	m := newMachine(4096)
	for _, pid := range []uint32{7, 8, 0, 1<<31 - 1} {
		h := hit{mem: bpfsim.NewMemory()}
		h.enter(m)
		m.PID, m.TID = pid, 7
		if _, err := m.Run(p); err != nil {
			t.Fatal(err)
		}
		if got := len(m.Ring.Take()); (got == 1) != (pid == 7) {
			t.Errorf("process %d: %d records", pid, got)
		}
	}
}

// TestBackEdgePID: no marks are left where nothing takes them away.
func TestBackEdgePID(t *testing.T) {
	ins, err := probegen.BackEdge(intFunc(), probegen.Taken{Cond: probegen.Always}, probegen.Options{CPUs: 1, PID: 7})
	if err != nil {
		t.Fatal(err)
	}
	p, err := bpfsim.Load(ins)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []uint32{6, 7, 8} {
		k := &marks{t: t, m: newMachine(4096)}
		k.m.PID = pid
		k.hit(p, 1, 100, 0)
		if n := len(k.m.Hash.Entries); n == 1 != (pid == 7) {
			t.Errorf("process %d: %d marks", pid, n)
		}
	}
}

// TestDispatch checks that each cookie reaches its function.
func TestDispatch(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64} {
		var funcs []probegen.Func
		for i := range n {
			f := intFunc()
			f.ID, f.Cookie = uint32(1000+i), uint32(3*i)
			funcs = append(funcs, f)
		}
		p := load(t, funcs, probegen.Options{CPUs: 1})
		m := newMachine(4096)
		for _, f := range funcs {
			h := hit{mem: bpfsim.NewMemory()}
			h.enter(m)
			m.Cookie = uint64(f.Cookie)
			if _, err := m.Run(p); err != nil {
				t.Fatal(err)
			}
			recs := m.Ring.Take()
			if len(recs) != 1 || binary.LittleEndian.Uint32(recs[0][capture.OffPlan:]) != f.ID {
				t.Errorf("%d functions, cookie %d: %x", n, f.Cookie, recs)
			}
		}
	}
}
