package site

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/symbols"
)

// Offsets in the g of what the check compares with: stackguard0, and
// stackguard1 in functions that run on the system stack (runtime.g,
// cmd/internal/obj/x86/obj6.go, stacksplit).
const (
	stackguard0 = 16
	stackguard1 = 24
)

// tailMax bounds the tail: 9 + 15 registers are spilled and reloaded at most,
// each perhaps in pieces.
const tailMax = 128

// matcher walks over the instructions at a function's start.
type matcher struct {
	m     amd64
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
	x, ok := disassemble(t.code, in)
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

// stackCheck matches the three shapes of the check, for small, medium and
// huge frames, with the g in R14 or loaded first (assembly, and all code
// before Go 1.17, whose huge shape is not matched):
//
//	cmp 0x10(%r14),%rsp                        ; jbe tail
//	lea -n(%rsp),%r12 ; cmp 0x10(%r14),%r12    ; jbe tail
//	mov %rsp,%r12 ; sub $n,%r12 ; jb tail ; cmp 0x10(%r14),%r12 ; jbe tail
func (m amd64) stackCheck(code []byte, entry symbols.VirtAddr) (stackCheck, bool) {
	t := &matcher{m: m, code: code, entry: entry}
	g := x86asm.R14
	var c stackCheck
	if load, ok := t.loadsG(); ok {
		g = load.reg
		c.g, _ = dwarfReg(g)
		c.gLoaded = t.off
		c.tls, c.hasTLS = load.tls, load.known
	}
	sp := x86asm.RSP
	tail := int64(-1)
	_, _, ok := t.peek()
	if !ok {
		return stackCheck{}, false
	}
	if _, ok := t.take(func(_ instr, x x86asm.Inst) bool { // medium
		mem, isMem := x.Args[1].(x86asm.Mem)
		sp2, isReg := x.Args[0].(x86asm.Reg)
		if x.Op != x86asm.LEA || !isMem || !isReg || mem.Base != x86asm.RSP || mem.Index != 0 || signed(mem.Disp) >= 0 {
			return false
		}
		sp = sp2
		return sp != x86asm.RSP
	}); !ok {
		if _, ok := t.take(func(_ instr, x x86asm.Inst) bool { // huge
			sp2, isReg := x.Args[0].(x86asm.Reg)
			if x.Op != x86asm.MOV || !isReg || x.Args[1] != x86asm.RSP {
				return false
			}
			sp = sp2
			return sp != x86asm.RSP
		}); ok {
			_, ok = t.take(func(_ instr, x x86asm.Inst) bool {
				_, isImm := x.Args[1].(x86asm.Imm)
				return x.Op == x86asm.SUB && x.Args[0] == sp && isImm
			})
			if !ok {
				return stackCheck{}, false
			}
			jb, ok := t.take(func(in instr, _ x86asm.Inst) bool { return in.flow == branch && in.cond == condB })
			if !ok {
				return stackCheck{}, false
			}
			tail = jb.target
			c.jumps = append(c.jumps, jb.off)
		}
	}
	_, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		mem, isMem := x.Args[1].(x86asm.Mem)
		return x.Op == x86asm.CMP && x.Args[0] == sp && isMem && mem.Base == g && mem.Index == 0 &&
			mem.Segment == 0 && (mem.Disp == stackguard0 || mem.Disp == stackguard1)
	})
	if !ok {
		return stackCheck{}, false
	}
	jbe, ok := t.take(func(in instr, _ x86asm.Inst) bool { return in.flow == branch && in.cond == condBE })
	if !ok || (tail >= 0 && tail != jbe.target) {
		return stackCheck{}, false
	}
	c.jumps = append(c.jumps, jbe.off)
	c.end = t.off
	c.tailJump, ok = m.tail(code, jbe.target, entry)
	if !ok || c.tailJump < c.end {
		return stackCheck{}, false
	}
	return c, true
}

// threadLoad is a load of a word from thread-local storage.
type threadLoad struct {
	reg x86asm.Reg
	// tls is the displacement from the thread's base, if the code has it: a
	// position-independent program may take it from the global offset table.
	tls   int64
	known bool
}

// loadsG matches the load of the g from thread-local storage into a register:
//
//	mov %fs:-8,R
//	mov $-8,R ; mov %fs:(R),R           (what linkers make of the next)
//	mov offset(%rip),R ; mov %fs:(R),R
func (t *matcher) loadsG() (threadLoad, bool) {
	start := t.off
	var offset x86asm.Arg // register that holds the displacement
	var load threadLoad
	t.take(func(_ instr, x x86asm.Inst) bool {
		if x.Op != x86asm.MOV {
			return false
		}
		switch src := x.Args[1].(type) {
		case x86asm.Imm:
			load.tls, load.known = int64(src), true
		case x86asm.Mem:
			if src.Base != x86asm.RIP || src.Segment != 0 {
				return false
			}
		default:
			return false
		}
		offset = x.Args[0]
		return true
	})
	_, ok := t.take(func(_ instr, x x86asm.Inst) bool {
		mem, isMem := x.Args[1].(x86asm.Mem)
		r, isReg := x.Args[0].(x86asm.Reg)
		if x.Op != x86asm.MOV || !isMem || !isReg || r < x86asm.RAX || r > x86asm.R15 ||
			mem.Segment != x86asm.FS || mem.Index != 0 {
			return false
		}
		load.reg = r
		if mem.Base == 0 {
			load.tls, load.known = signed(mem.Disp), true
			return offset == nil
		}
		load.tls += signed(mem.Disp)
		return offset == mem.Base
	})
	if !ok {
		t.off = start
	}
	return load, ok
}

// tail matches what the check jumps to, from offset off: the argument
// registers are spilled to the stack, morestack is called, the registers are
// reloaded, and the function starts again. It returns the offset of the last
// jump.
func (m amd64) tail(code []byte, off int64, entry symbols.VirtAddr) (int, bool) {
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
			if mem, ok := x.Args[0].(x86asm.Mem); !ok || mem.Base != x86asm.RIP {
				return 0, false
			}
		case jump:
			return in.off, in.target == 0 && calls == 1
		case next:
			if !spills(x) {
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
func spills(x x86asm.Inst) bool {
	if x.Op == x86asm.NOP {
		return true
	}
	if operations[x.Op] != setsFirst || x.Op == x86asm.LEA || x.Args[0] == x86asm.RSP {
		return false
	}
	for _, arg := range x.Args {
		if mem, ok := arg.(x86asm.Mem); ok {
			return mem.Base == x86asm.RSP && mem.Index == 0 && mem.Segment == 0
		}
	}
	return false
}
