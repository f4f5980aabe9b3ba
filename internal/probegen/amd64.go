package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
)

// amd64Regs are the offsets of registers in struct pt_regs
// (arch/x86/include/asm/ptrace.h), which is a uprobe program's context.
var amd64Regs = map[abi.Reg]int16{
	abi.R15: 0, abi.R14: 8, abi.R13: 16, abi.R12: 24, abi.RBP: 32, abi.RBX: 40,
	abi.R11: 48, abi.R10: 56, abi.R9: 64, abi.R8: 72, abi.RAX: 80, abi.RCX: 88,
	abi.RDX: 96, abi.RSI: 104, abi.RDI: 112, abi.RSP: 152,
}

// Offsets of EFLAGS and RIP in struct pt_regs. At a hit, RIP is the address of
// the instruction that is probed.
const (
	amd64Flags = 144
	amd64PC    = 128
)

// Bits of EFLAGS (Intel SDM vol. 1, 3.4.3).
const (
	flagCF = 0
	flagPF = 2
	flagZF = 6
	flagSF = 7
	flagOF = 11
)

// jumpIf jumps to target when the saved flags satisfy cond (Intel SDM vol. 2,
// appendix B.1.4). It uses R1 and R2.
func (g *gen) jumpIf(cond Cond, target string) {
	switch cond {
	case Never:
		return
	case Always:
		g.emit(asm.Ja.Label(target))
		return
	}
	g.notef("flags: condition %#x", int(cond))
	g.emit(asm.LoadMem(asm.R1, regCtx, g.flags, asm.DWord))
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

// repeatKey builds the key of MapRepeats at RFP-24: g, SP if sp is true else
// 0, process and function. Between a branch back to the entry and the entry's
// instruction neither g nor SP can change; between a call of morestack and the
// entry's the stack moves, but the goroutine runs nothing else.
func (g *gen) repeatKey(f *Func, sp bool) {
	g.note("key: g, SP, process and function")
	g.emit(
		asm.LoadMem(asm.R1, regCtx, g.regs[f.Arch.G], asm.DWord),
		asm.StoreMem(asm.RFP, -24, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
	)
	if sp {
		g.emit(asm.LoadMem(asm.R1, regCtx, g.regs[f.Arch.SP], asm.DWord))
	}
	g.emit(
		asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord),
		asm.FnGetCurrentPidTgid.Call(),
		asm.RSh.Imm(asm.R0, 32),
		asm.LSh.Imm(asm.R0, 32),
		asm.Or.Imm(asm.R0, int32(f.ID)),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
	)
}
