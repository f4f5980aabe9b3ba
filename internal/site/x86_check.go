package site

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/symbols"
)

const (
	// stackguard0 and stackguard1 are where the g has what the check
	// compares with, in pointers; the second in functions that run on the
	// system stack (runtime.g; cmd/internal/obj/x86/obj6.go, stacksplit).
	stackguard0 = 2
	stackguard1 = 3
	// stackPreempt is what stackguard0 holds when the goroutine is to be
	// preempted, its lower 32 bits (runtime.stackPreempt).
	stackPreempt = 0xfffffade
)

// tailMax bounds the tail: 9 + 15 registers are spilled and reloaded at most,
// each perhaps in pieces.
const tailMax = 128

// matcher walks over the instructions at a function's start.
type matcher struct {
	m     *x86
	code  []byte
	entry symbols.VirtAddr
	off   int
}

// peek returns the instruction at hand.
func (t *matcher) peek() (instr, x86asm.Inst, bool) {
	if t.off < 0 || t.off >= len(t.code) {
		return instr{}, x86asm.Inst{}, false
	}
	in, err := t.m.decode(t.code, t.off, t.entry)
	if err != nil {
		return instr{}, x86asm.Inst{}, false
	}
	x, ok := t.m.disassemble(t.code, in)
	return in, x, ok
}

// take steps over the instruction at hand if want likes it.
func (t *matcher) take(want func(in instr, x x86asm.Inst) bool) (instr, bool) {
	in, x, ok := t.peek()
	if !ok || !want(in, x) {
		return instr{}, false
	}
	t.off = in.end()
	return in, true
}

// stackCheck matches the load of the g, if there is one; the comparison; and
// the jump to the tail. Compiled code since Go 1.17 on amd64 has the g in R14.
func (m *x86) stackCheck(code []byte, entry symbols.VirtAddr) (stackCheck, bool) {
	t := &matcher{m: m, code: code, entry: entry}
	g := x86asm.R14
	var c stackCheck
	if load, ok := t.loadsG(); ok {
		g = load.reg
		c.g, _ = m.dwarfReg(g)
		c.gLoaded = t.off
		c.tls, c.hasTLS = load.tls, load.known
	} else if m.bits == 32 {
		return stackCheck{}, false
	}
	early, ok := t.compares(g)
	if !ok {
		return stackCheck{}, false
	}
	jbe, ok := t.take(func(in instr, _ x86asm.Inst) bool { return in.flow == branch && in.cond == condBE })
	if !ok {
		return stackCheck{}, false
	}
	if early.size > 0 {
		if early.target != jbe.target {
			return stackCheck{}, false
		}
		c.jumps = append(c.jumps, early.off)
	}
	c.jumps = append(c.jumps, jbe.off)
	c.end = t.off
	c.tailJump, ok = m.tail(code, jbe.target, entry)
	if !ok || c.tailJump < c.end {
		return stackCheck{}, false
	}
	return c, true
}

// compares matches the comparison of what will be the stack pointer with the
// bound in g. There are four shapes, for small, medium and huge frames, the
// last until Go 1.16 and since; here on amd64, where T is R12 since Go 1.17:
//
//	cmp 0x10(G),%rsp
//	lea -n(%rsp),T ; cmp 0x10(G),T
//	mov 0x10(G),S ; cmp $stackPreempt,S ; je tail ; lea n(%rsp),T ; sub S,T ; cmp $k,T
//	mov %rsp,T ; sub $n,T ; jb tail ; cmp 0x10(G),T
//
// early is the jump to the tail inside; its size is 0 if there is none.
func (t *matcher) compares(g x86asm.Reg) (early instr, ok bool) {
	_, x, ok := t.peek()
	if !ok {
		return instr{}, false
	}
	first, isReg := x.Args[0].(x86asm.Reg)
	if !isReg {
		return instr{}, false
	}
	mem, _ := x.Args[1].(x86asm.Mem)
	switch {
	case x.Op == x86asm.CMP:
		ok = t.comparesBound(t.m.sp, g)
	case first == t.m.sp || !t.m.isWide(first):
		ok = false
	case x.Op == x86asm.LEA:
		ok = t.movesBelow(first) && t.comparesBound(first, g)
	case x.Op == x86asm.MOV && t.isBound(mem, g):
		early, ok = t.comparesRoom(first)
	case x.Op == x86asm.MOV && x.Args[1] == t.m.sp:
		early, ok = t.subtracts(first)
		ok = ok && t.comparesBound(first, g)
	default:
		ok = false
	}
	return early, ok
}

// isBound reports whether the operand is the stack bound in g.
func (t *matcher) isBound(mem x86asm.Mem, g x86asm.Reg) bool {
	return mem.Base == g && mem.Index == 0 && mem.Segment == 0 &&
		(mem.Disp == stackguard0*t.m.word || mem.Disp == stackguard1*t.m.word)
}

// comparesBound matches `cmp bound(G),R`.
func (t *matcher) comparesBound(r, g x86asm.Reg) bool {
	_, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		mem, isMem := x.Args[1].(x86asm.Mem)
		return x.Op == x86asm.CMP && x.Args[0] == r && isMem && t.isBound(mem, g)
	})
	return ok
}

// movesBelow matches `lea -n(%rsp),R`.
func (t *matcher) movesBelow(r x86asm.Reg) bool {
	_, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		mem, isMem := x.Args[1].(x86asm.Mem)
		return x.Op == x86asm.LEA && x.Args[0] == r && isMem && t.m.onStack(mem) && signed(mem.Disp) < 0
	})
	return ok
}

// subtracts matches `mov %rsp,R ; sub $n,R ; jb tail`.
func (t *matcher) subtracts(r x86asm.Reg) (jb instr, ok bool) {
	if _, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		return x.Op == x86asm.MOV && x.Args[0] == r && x.Args[1] == t.m.sp
	}); !ok {
		return instr{}, false
	}
	if _, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		_, isImm := x.Args[1].(x86asm.Imm)
		return x.Op == x86asm.SUB && x.Args[0] == r && isImm
	}); !ok {
		return instr{}, false
	}
	return t.take(func(in instr, _ x86asm.Inst) bool { return in.flow == branch && in.cond == condB })
}

// comparesRoom matches `mov bound(G),S`, of which the caller is sure, and what
// follows it: `cmp $stackPreempt,S ; je tail ; lea n(%rsp),T ; sub S,T ;
// cmp $k,T`.
func (t *matcher) comparesRoom(s x86asm.Reg) (je instr, ok bool) {
	t.take(func(instr, x86asm.Inst) bool { return true })
	if _, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		imm, isImm := x.Args[1].(x86asm.Imm)
		return x.Op == x86asm.CMP && x.Args[0] == s && isImm && uint32(imm) == stackPreempt
	}); !ok {
		return instr{}, false
	}
	je, ok = t.take(func(in instr, _ x86asm.Inst) bool { return in.flow == branch && in.cond == condE })
	if !ok {
		return instr{}, false
	}
	var room x86asm.Arg
	if _, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		mem, isMem := x.Args[1].(x86asm.Mem)
		r, isReg := x.Args[0].(x86asm.Reg)
		room = r
		return x.Op == x86asm.LEA && isMem && isReg && t.m.isWide(r) && r != t.m.sp && r != s && t.m.onStack(mem)
	}); !ok {
		return instr{}, false
	}
	if _, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		return x.Op == x86asm.SUB && x.Args[0] == room && x.Args[1] == s
	}); !ok {
		return instr{}, false
	}
	_, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		_, isImm := x.Args[1].(x86asm.Imm)
		return x.Op == x86asm.CMP && x.Args[0] == room && isImm
	})
	return je, ok
}

// tail matches what the check jumps to, from offset off: the argument
// registers are spilled to the stack, morestack is called, the registers are
// reloaded, and the function starts again. It returns the offset of the last
// jump.
func (m *x86) tail(code []byte, off int64, entry symbols.VirtAddr) (int, bool) {
	if off <= 0 || off >= int64(len(code)) {
		return 0, false
	}
	t := &matcher{m: m, code: code, entry: entry, off: int(off)}
	calls := 0
	for range tailMax {
		in, x, ok := t.peek()
		if !ok {
			return 0, false
		}
		t.off = in.end()
		switch in.flow {
		case call:
			calls++
			if in.target >= 0 && in.target < int64(len(code)) {
				return 0, false
			}
		case callAny: // through the global offset table
			calls++
			if mem, ok := x.Args[0].(x86asm.Mem); !ok || m.ip == 0 || mem.Base != m.ip {
				return 0, false
			}
		case jump:
			return in.off, in.target == 0 && calls == 1
		case next:
			if !m.spills(x) {
				return 0, false
			}
		default:
			return 0, false
		}
	}
	return 0, false
}

// spills reports whether the instruction moves between a register and the
// stack, or does nothing.
func (m *x86) spills(x x86asm.Inst) bool {
	if x.Op == x86asm.NOP {
		return true
	}
	if operations[x.Op] != setsFirst || x.Op == x86asm.LEA || x.Args[0] == m.sp {
		return false
	}
	for _, arg := range x.Args {
		if mem, ok := arg.(x86asm.Mem); ok {
			return m.onStack(mem)
		}
	}
	return false
}
