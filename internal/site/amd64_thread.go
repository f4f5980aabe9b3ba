package site

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/symbols"
)

// stores knows the moves of a register, or its low part, to the stack.
func (amd64) stores(code []byte, in instr) []store {
	x, ok := disassemble(code, in)
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
	if !isMem || !isReg || mem.Base != x86asm.RSP || mem.Index != 0 || mem.Segment != 0 ||
		src >= x86asm.AH && src <= x86asm.BH {
		return nil
	}
	reg, ok := dwarfReg(src)
	if !ok {
		return nil
	}
	return []store{{reg, signed(mem.Disp), x.MemBytes}}
}

// threadOffset looks at every load from thread-local storage. The g lies
// below the thread's base (variant II of the ELF thread-local storage);
// above it are the C library's own words, such as the stack protector's.
func (m amd64) threadOffset(code []byte, entry symbols.VirtAddr, check stackCheck) (tls int64, found bool) {
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

// threadLoad is the displacement of a load of a 64-bit word relative to FS,
// with the displacement in the instruction or moved to a register by the one
// before.
func (amd64) threadLoad(code []byte, before, in instr) (int64, bool) {
	if code[in.off] != 0x64 { // the prefix that says FS
		return 0, false
	}
	x, ok := disassemble(code, in)
	if !ok || x.Op != x86asm.MOV {
		return 0, false
	}
	r, isReg := x.Args[0].(x86asm.Reg)
	mem, isMem := x.Args[1].(x86asm.Mem)
	if !isReg || !isMem || r < x86asm.RAX || r > x86asm.R15 || mem.Segment != x86asm.FS || mem.Index != 0 {
		return 0, false
	}
	if mem.Base == 0 {
		return signed(mem.Disp), true
	}
	if before.size == 0 {
		return 0, false
	}
	x, ok = disassemble(code, before)
	imm, isImm := x.Args[1].(x86asm.Imm)
	if !ok || x.Op != x86asm.MOV || x.Args[0] != mem.Base || !isImm {
		return 0, false
	}
	return int64(imm) + signed(mem.Disp), true
}
