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
