package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
)

// amd64 is a program of 64 bits: struct pt_regs
// (arch/x86/include/asm/ptrace.h).
var amd64 = machine{
	regs: map[abi.Reg]int16{
		abi.R15: 0, abi.R14: 8, abi.R13: 16, abi.R12: 24, abi.RBP: 32, abi.RBX: 40,
		abi.R11: 48, abi.R10: 56, abi.R9: 64, abi.R8: 72, abi.RAX: 80, abi.RCX: 88,
		abi.RDX: 96, abi.RSI: 104, abi.RDI: 112, abi.RSP: 152,
	},
	pc:        128,
	word:      asm.DWord,
	firstCond: 0x00,
	jumpIf:    jumpIfX86,
	fsBase:    true,
}

// i386 is a program of 32 bits on a kernel of 64 bits, the only one that argtap
// runs on: the registers are the lower halves of those of amd64. What the
// processor leaves in the upper halves is not defined.
var i386 = machine{
	regs: map[abi.Reg]int16{
		abi.EBP: 32, abi.EBX: 40, abi.EAX: 80, abi.ECX: 88, abi.EDX: 96,
		abi.ESI: 104, abi.EDI: 112, abi.ESP: 152,
	},
	pc:        128,
	word:      asm.Word,
	firstCond: 0x00,
	jumpIf:    jumpIfX86,
	tlsArray:  true,
}

// x86Flags is the offset of EFLAGS in struct pt_regs.
const x86Flags = 144

// Bits of EFLAGS (Intel SDM vol. 1, 3.4.3).
const (
	flagCF = 0
	flagPF = 2
	flagZF = 6
	flagSF = 7
	flagOF = 11
)

// jumpIfX86 jumps to target when EFLAGS satisfy cond (Intel SDM vol. 2, appendix
// B.1.4). It uses R1 and R2.
func jumpIfX86(g *gen, cond Cond, target string) {
	g.emit(asm.LoadMem(asm.R1, regCtx, x86Flags, asm.DWord))
	switch cond >> 1 {
	case 0:
		g.emit(asm.And.Imm(asm.R1, 1<<flagOF))
	case 1:
		g.emit(asm.And.Imm(asm.R1, 1<<flagCF))
	case 2:
		g.emit(asm.And.Imm(asm.R1, 1<<flagZF))
	case 3:
		g.emit(asm.And.Imm(asm.R1, 1<<flagCF|1<<flagZF))
	case 4:
		g.emit(asm.And.Imm(asm.R1, 1<<flagSF))
	case 5:
		g.emit(asm.And.Imm(asm.R1, 1<<flagPF))
	default: // 6: SF ≠ OF; 7: the same or ZF
		g.emit(
			asm.Mov.Reg(asm.R2, asm.R1),
			asm.RSh.Imm(asm.R2, flagOF-flagSF),
			asm.Xor.Reg(asm.R2, asm.R1),
			asm.And.Imm(asm.R2, 1<<flagSF),
		)
		if cond>>1 == 7 {
			g.emit(asm.And.Imm(asm.R1, 1<<flagZF), asm.Or.Reg(asm.R1, asm.R2))
		} else {
			g.emit(asm.Mov.Reg(asm.R1, asm.R2))
		}
	}
	if cond&1 == 0 {
		g.emit(asm.JNE.Imm(asm.R1, 0, target))
	} else {
		g.emit(asm.JEq.Imm(asm.R1, 0, target))
	}
}
