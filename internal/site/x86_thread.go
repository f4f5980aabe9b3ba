package site

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/symbols"
)

// threadLoad is a load of a word from thread-local storage.
type threadLoad struct {
	reg x86asm.Reg
	// tls is the displacement from the thread's base, if the code has it: a
	// position-independent program may take it from the global offset table.
	tls   int64
	known bool
}

// loadsG matches the load of the g from thread-local storage into a register
// at the start of a function. On amd64:
//
//	mov %fs:-8,R
//	mov $-8,R ; mov %fs:(R),R           (what linkers make of the next)
//	mov offset(%rip),R ; mov %fs:(R),R
//
// On 386, the last two in position-independent code:
//
//	mov %gs:0,R ; mov -4(R),R
//	call thunk ; mov $-4,R ; mov %gs:(R),R
//	call thunk ; mov offset(R),R ; mov %gs:(R),R
func (t *matcher) loadsG() (threadLoad, bool) {
	start := t.off
	var load threadLoad
	var ok bool
	if t.m.bits == 64 {
		load, ok = t.loads64()
	} else {
		load, ok = t.loads32()
	}
	if !ok {
		t.off = start
	}
	return load, ok
}

func (t *matcher) loads64() (load threadLoad, ok bool) {
	var offset x86asm.Arg // register that holds the displacement
	t.take(func(_ instr, x x86asm.Inst) bool {
		if x.Op != x86asm.MOV {
			return false
		}
		switch src := x.Args[1].(type) {
		case x86asm.Imm:
			load.tls, load.known = int64(src), true
		case x86asm.Mem:
			if src.Base != t.m.ip || src.Segment != 0 {
				return false
			}
		default:
			return false
		}
		offset = x.Args[0]
		return true
	})
	_, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		r, mem, isLoad := t.m.wordLoad(x)
		if !isLoad || mem.Segment != t.m.thread {
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
	return load, ok
}

func (t *matcher) loads32() (load threadLoad, ok bool) {
	if _, ok = t.take(func(in instr, _ x86asm.Inst) bool {
		return in.flow == call && (in.target < 0 || in.target >= int64(len(t.code)))
	}); ok {
		return t.loadsOffset()
	}
	if _, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		r, mem, isLoad := t.m.wordLoad(x)
		load.reg = r
		return isLoad && mem.Segment == t.m.thread && mem.Base == 0 && mem.Disp == 0
	}); !ok {
		return load, false
	}
	_, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		r, mem, isLoad := t.m.wordLoad(x)
		load.tls, load.known = signed(mem.Disp), true
		return isLoad && mem.Segment == 0 && mem.Base == load.reg && r == load.reg
	})
	return load, ok
}

// loadsOffset matches what follows the call that tells the address of the
// code (__x86.get_pc_thunk.R writes nothing but R).
func (t *matcher) loadsOffset() (load threadLoad, ok bool) {
	if _, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		if imm, isImm := x.Args[1].(x86asm.Imm); isImm && x.Op == x86asm.MOV {
			r, isReg := x.Args[0].(x86asm.Reg)
			load = threadLoad{r, signed(int64(imm)), true}
			return isReg && t.m.isWide(r)
		}
		r, mem, isLoad := t.m.wordLoad(x)
		load.reg = r
		return isLoad && mem.Segment == 0 && mem.Base == r
	}); !ok {
		return load, false
	}
	_, ok = t.take(func(_ instr, x x86asm.Inst) bool {
		r, mem, isLoad := t.m.wordLoad(x)
		return isLoad && mem.Segment == t.m.thread && mem.Base == load.reg && mem.Disp == 0 && r == load.reg
	})
	return load, ok
}

// wordLoad takes `mov mem,R` apart, with a register of a pointer's width that
// is not the stack pointer, and no index.
func (m *x86) wordLoad(x x86asm.Inst) (x86asm.Reg, x86asm.Mem, bool) {
	r, isReg := x.Args[0].(x86asm.Reg)
	mem, isMem := x.Args[1].(x86asm.Mem)
	return r, mem, x.Op == x86asm.MOV && isReg && isMem && m.isWide(r) && r != m.sp && mem.Index == 0
}

// stores knows the moves of a register, or its low part, to the stack.
func (m *x86) stores(code []byte, in instr) []store {
	x, ok := m.disassemble(code, in)
	if !ok {
		return nil
	}
	switch x.Op {
	case x86asm.MOV, x86asm.MOVSS, x86asm.MOVSD_XMM, x86asm.MOVUPS:
	default:
		return nil
	}
	mem, isMem := x.Args[0].(x86asm.Mem)
	src, isReg := x.Args[1].(x86asm.Reg)
	if !isMem || !isReg || !m.onStack(mem) || src >= x86asm.AH && src <= x86asm.BH {
		return nil
	}
	reg, ok := m.dwarfReg(src)
	if !ok {
		return nil
	}
	return []store{{reg, signed(mem.Disp), x.MemBytes}}
}

// threadOffset looks at every load from thread-local storage. The g lies
// below the thread's base (variant II of the ELF thread-local storage);
// above it are the C library's own words, such as the stack protector's.
func (m *x86) threadOffset(code []byte, entry symbols.VirtAddr, check stackCheck) (tls int64, found bool) {
	if check.hasTLS {
		tls, found = check.tls, true
	}
	var before instr
	for off := 0; off < len(code); {
		in, err := m.decode(code, off, entry)
		if err != nil {
			return 0, false
		}
		if d, ok := m.threadLoad(code, before, in); ok && d < 0 {
			if found && d != tls {
				return 0, false
			}
			tls, found = d, true
		}
		before = in
		off = in.end()
	}
	return tls, found && tls < 0
}

// threadLoad is the displacement from the thread's base of a load of a word
// that ends in the instruction in, where that or the one before it says so.
func (m *x86) threadLoad(code []byte, before, in instr) (int64, bool) {
	segment := func(in instr) bool { // has a prefix that names one
		return in.size > 0 && (code[in.off] == 0x64 || code[in.off] == 0x65)
	}
	if !segment(in) && !segment(before) {
		return 0, false
	}
	x, ok := m.disassemble(code, in)
	if !ok {
		return 0, false
	}
	_, mem, isLoad := m.wordLoad(x)
	if !isLoad {
		return 0, false
	}
	prior, known := m.disassemble(code, before)
	known = known && prior.Op == x86asm.MOV && mem.Base != 0 && prior.Args[0] == mem.Base
	switch {
	case mem.Segment == m.thread && mem.Base == 0:
		return signed(mem.Disp), true
	case mem.Segment == m.thread:
		imm, isImm := prior.Args[1].(x86asm.Imm)
		return signed(int64(imm)) + signed(mem.Disp), known && isImm
	case mem.Segment == 0 && m.bits == 32:
		// The word at the thread's base is the base.
		base, isMem := prior.Args[1].(x86asm.Mem)
		return signed(mem.Disp), known && isMem && base.Segment == m.thread && base.Base == 0 && base.Index == 0 && base.Disp == 0
	}
	return 0, false
}
