package probegen_test

import (
	"encoding/binary"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// conditions are the sixteen condition codes as Intel's manual writes them
// (SDM vol. 2, "Jcc", the conditions of the mnemonics).
var conditions = [16]func(cf, pf, zf, sf, of bool) bool{
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

func skipped(c probegen.Cond, flags uint64) bool {
	switch c {
	case probegen.Never:
		return false
	case probegen.Always:
		return true
	}
	bit := func(n int) bool { return flags>>n&1 != 0 }
	return conditions[c](bit(0), bit(2), bit(6), bit(7), bit(11))
}

// allFlags are all combinations of the flags that conditions look at, with and
// without the other bits set.
func allFlags() []uint64 {
	var all []uint64
	for i := range uint64(32) {
		f := i&1 | i>>1&1<<2 | i>>2&1<<6 | i>>3&1<<7 | i>>4&1<<11
		const others = ^uint64(1 | 1<<2 | 1<<6 | 1<<7 | 1<<11)
		all = append(all, f, f|others)
	}
	return all
}

func intFunc() probegen.Func {
	f := planCase{name: "int", params: []*abi.Type{tInt}}.fn(0)
	f.Plan.Goroutine = 0
	return f
}

func TestSkip(t *testing.T) {
	conds := []probegen.Cond{probegen.Never, probegen.Always}
	for c := range probegen.Cond(16) {
		conds = append(conds, c)
	}
	for _, c := range conds {
		f := intFunc()
		f.Skip = c
		prog := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
		m := newMachine(4096)
		for _, flags := range allFlags() {
			h := hit{flags: flags, mem: bpfsim.NewMemory()}
			m.Context, m.Target = h.context(), h.mem
			if _, err := m.Run(prog); err != nil {
				t.Fatal(err)
			}
			if n, skip := len(m.Ring.Take()), skipped(c, flags); (n == 0) != skip {
				t.Errorf("condition %#x, flags %#x: %d records, want skip %t", c, flags, n, skip)
			}
		}
	}
}

// marks counts the records of a sequence of hits on sites that share marks.
type marks struct {
	t *testing.T
	m *bpfsim.Machine
}

// hit runs a program for goroutine g with stack pointer sp and the given
// flags, and returns the number of records.
func (k *marks) hit(p *bpfsim.Program, g, sp, flags uint64) int {
	k.t.Helper()
	h := hit{regs: map[abi.Reg]uint64{abi.R14: g, abi.RSP: sp}, flags: flags, mem: bpfsim.NewMemory()}
	k.m.Context, k.m.Target = h.context(), h.mem
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

func TestSkipRepeat(t *testing.T) {
	f := intFunc()
	f.ID, f.Mark = 3, probegen.SkipRepeat
	entry := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
	other := f
	other.ID = 4
	const je, zf = 4, 1 << 6
	edge, otherEdge := backEdge(t, f, je), backEdge(t, other, probegen.Always)
	k := &marks{t, newMachine(4096)}
	k.m.PID = 7
	k.want("first", k.hit(entry, 1, 100, 0), 1)
	k.want("edge", k.hit(edge, 1, 100, zf), 0)
	k.want("announced", k.hit(entry, 1, 100, 0), 0)
	k.want("once only", k.hit(entry, 1, 100, 0), 1)
	k.hit(edge, 1, 100, 0)
	k.want("edge not taken", k.hit(entry, 1, 100, 0), 1)
	k.hit(edge, 1, 100, zf)
	k.want("another goroutine", k.hit(entry, 2, 100, 0), 1)
	k.want("another frame", k.hit(entry, 1, 50, 0), 1)
	k.m.PID = 8
	k.want("another process", k.hit(entry, 1, 100, 0), 1)
	k.m.PID = 7
	k.want("announced before", k.hit(entry, 1, 100, 0), 0)
	k.hit(otherEdge, 1, 100, 0)
	k.want("another function", k.hit(entry, 1, 100, 0), 1)
	k.hit(edge, 1, 100, zf)
	k.hit(edge, 1, 100, zf)
	k.want("announced twice", k.hit(entry, 1, 100, 0), 0)
	k.want("after it", k.hit(entry, 1, 100, 0), 1)
}

func TestGrown(t *testing.T) {
	set, skip := intFunc(), intFunc()
	set.Mark, skip.Mark, skip.Cookie = probegen.SetGrown, probegen.SkipGrown, 1
	p := load(t, []probegen.Func{set, skip}, probegen.Options{CPUs: 1})
	k := &marks{t, newMachine(4096)}
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
}

// TestOverwritten: a goroutine that was within morestack before anything was
// watched brings registers that are not its arguments.
func TestOverwritten(t *testing.T) {
	set, skip := intFunc(), intFunc()
	set.Mark, skip.Mark, skip.Cookie = probegen.SetGrown, probegen.SkipGrown, 1
	set.Resume = probegen.Resume{SchedPC: 64, Behind: 0x91}
	skip.Resume = set.Resume
	p := load(t, []probegen.Func{set, skip}, probegen.Options{CPUs: 1})
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
		h := hit{regs: map[abi.Reg]uint64{abi.R14: g, abi.RSP: 100}, mem: mem}
		m.Cookie, m.Context, m.Target = cookie, h.context(), mem
		binary.LittleEndian.PutUint64(m.Context[128:], ip) // regs.ip
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
	f := intFunc()
	for c := range probegen.Cond(16) {
		p := backEdge(t, f, c)
		for _, flags := range allFlags() {
			k := &marks{t, newMachine(4096)}
			k.hit(p, 1, 100, flags)
			if got := len(k.m.Hash.Entries) == 1; got != skipped(c, flags) {
				t.Errorf("condition %#x, flags %#x: announced %t", c, flags, got)
			}
		}
	}
	if _, err := probegen.BackEdge(f, probegen.Never, probegen.Options{CPUs: 1}); err == nil {
		t.Error("a back edge that is never taken: no error")
	}
}

func TestPID(t *testing.T) {
	p := load(t, []probegen.Func{intFunc()}, probegen.Options{CPUs: 1, PID: 7})
	m := newMachine(4096)
	for _, pid := range []uint32{7, 8, 0, 1<<31 - 1} {
		h := hit{mem: bpfsim.NewMemory()}
		m.Context, m.Target, m.PID, m.TID = h.context(), h.mem, pid, 7
		if _, err := m.Run(p); err != nil {
			t.Fatal(err)
		}
		if got := len(m.Ring.Take()); (got == 1) != (pid == 7) {
			t.Errorf("process %d: %d records", pid, got)
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
			m.Context, m.Target, m.Cookie = h.context(), h.mem, uint64(f.Cookie)
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
