package site

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/abi"
)

// x86 is the machine of x86 in one of its modes: what differs between 64-bit
// and 32-bit code. The instructions and the kernel's rules are mostly the
// same.
type x86 struct {
	bits int   // the mode, as x86asm counts it: 64 or 32
	word int64 // bytes of a pointer, a return address, a push
	// wide has the registers of a pointer's width by their number in
	// instructions, first and last.
	wideFirst, wideLast, sp x86asm.Reg
	// ip is the base of addresses relative to the instruction; 0 if there
	// are none.
	ip x86asm.Reg
	// thread is the segment register whose base is the thread's.
	thread x86asm.Reg
	dwarf  []abi.Reg // general registers by their number in instructions
	xmm    abi.Reg   // the first vector register
}

// amd64 is the machine of 64-bit code.
var amd64 = &x86{
	bits: 64, word: 8,
	wideFirst: x86asm.RAX, wideLast: x86asm.R15, sp: x86asm.RSP, ip: x86asm.RIP, thread: x86asm.FS,
	dwarf: []abi.Reg{
		abi.RAX, abi.RCX, abi.RDX, abi.RBX, abi.RSP, abi.RBP, abi.RSI, abi.RDI,
		abi.R8, abi.R9, abi.R10, abi.R11, abi.R12, abi.R13, abi.R14, abi.R15,
	},
	xmm: abi.XMM0,
}

// i386 is the machine of 32-bit code.
var i386 = &x86{
	bits: 32, word: 4,
	wideFirst: x86asm.EAX, wideLast: x86asm.EDI, sp: x86asm.ESP, thread: x86asm.GS,
	dwarf: []abi.Reg{abi.EAX, abi.ECX, abi.EDX, abi.EBX, abi.ESP, abi.EBP, abi.ESI, abi.EDI},
	xmm:   i386XMM0,
}

// i386XMM0 is the DWARF number of the first vector register of 386 (System V
// i386 psABI, figure 2.14).
const i386XMM0 abi.Reg = 21

// Numbers of registers in instructions.
const (
	numAX = 0
	numDX = 2
)

// returnCFA: the return address is on top of the stack, the CFA above it.
func (m *x86) returnCFA() int64 { return m.word }

// isWide reports whether r is a general register of a pointer's width.
func (m *x86) isWide(r x86asm.Reg) bool { return r >= m.wideFirst && r <= m.wideLast }

// dwarfReg maps a register, or the part of one, to the whole by DWARF number.
func (m *x86) dwarfReg(r x86asm.Reg) (abi.Reg, bool) {
	n := -1
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		n = int(r - x86asm.AL)
	case r >= x86asm.AH && r <= x86asm.BH:
		n = int(r - x86asm.AH)
	case r >= x86asm.SPB && r <= x86asm.R15B:
		n = int(r-x86asm.SPB) + 4
	case r >= x86asm.AX && r <= x86asm.R15W:
		n = int(r - x86asm.AX)
	case r >= x86asm.EAX && r <= x86asm.R15L:
		n = int(r - x86asm.EAX)
	case r >= x86asm.RAX && r <= x86asm.R15:
		n = int(r - x86asm.RAX)
	case r >= x86asm.X0 && r <= x86asm.X15:
		return m.xmm + abi.Reg(r-x86asm.X0), true
	}
	if n < 0 || n >= len(m.dwarf) {
		return 0, false
	}
	return m.dwarf[n], true
}

// disassemble has the operands of an instruction that decode found. x86asm
// does not know all of them.
func (m *x86) disassemble(code []byte, in instr) (x86asm.Inst, bool) {
	x, err := x86asm.Decode(code[in.off:in.end()], m.bits)
	return x, err == nil && x.Op != 0 && x.Len == in.size
}

// onStack reports whether the operand lies at a fixed distance from the stack
// pointer.
func (m *x86) onStack(mem x86asm.Mem) bool {
	return mem.Base == m.sp && mem.Index == 0 && mem.Segment == 0
}
