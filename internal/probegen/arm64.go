package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
)

// arm64 is struct user_pt_regs (arch/arm64/include/uapi/asm/ptrace.h): X0 to
// X30, SP, PC and PSTATE.
var arm64 = machine{
	regs:      arm64Regs(),
	pc:        256,
	word:      asm.DWord,
	firstCond: 0x10,
	jumpIf:    jumpIfARM64,
}

// arm64State is the offset of PSTATE in struct user_pt_regs.
const arm64State = 264

func arm64Regs() map[abi.Reg]int16 {
	regs := map[abi.Reg]int16{abi.ARM64SP: 248}
	for i := range abi.Reg(31) {
		regs[abi.X0+i] = int16(8 * i)
	}
	return regs
}

// Conditions of arm64 that all flags satisfy.
const (
	condAL Cond = 0x1e
	condNV Cond = 0x1f
)

// Bits of PSTATE, shifted down by 28 (Arm ARM, C5.2.18, "NZCV").
const (
	pstateV = 1 << 0
	pstateC = 1 << 1
	pstateZ = 1 << 2
	pstateN = 1 << 3
)

// jumpIfARM64 jumps to target when PSTATE satisfies cond (Arm ARM, C1.2.4), one
// below condAL. It uses R1 and R2.
func jumpIfARM64(g *gen, cond Cond, target string) {
	cc := cond - 0x10
	g.emit(
		asm.LoadMem(asm.R1, regCtx, arm64State, asm.Word),
		asm.RSh.Imm(asm.R1, 28),
	)
	// An odd number is the opposite of the even one before it.
	equal, with := cc&1 == 1, int32(0)
	switch cc >> 1 {
	case 0: // EQ
		g.emit(asm.And.Imm(asm.R1, pstateZ))
	case 1: // CS
		g.emit(asm.And.Imm(asm.R1, pstateC))
	case 2: // MI
		g.emit(asm.And.Imm(asm.R1, pstateN))
	case 3: // VS
		g.emit(asm.And.Imm(asm.R1, pstateV))
	case 4: // HI: C and not Z
		g.emit(asm.And.Imm(asm.R1, pstateC|pstateZ))
		equal, with = !equal, pstateC
	default: // 5: GE, N = V; 6: GT, that and not Z
		g.emit(
			asm.Mov.Reg(asm.R2, asm.R1),
			asm.RSh.Imm(asm.R2, 3),
			asm.Xor.Reg(asm.R2, asm.R1),
			asm.And.Imm(asm.R2, pstateV),
		)
		if cc>>1 == 6 {
			g.emit(asm.And.Imm(asm.R1, pstateZ), asm.Or.Reg(asm.R1, asm.R2))
		} else {
			g.emit(asm.Mov.Reg(asm.R1, asm.R2))
		}
		equal = !equal
	}
	if equal {
		g.emit(asm.JEq.Imm(asm.R1, with, target))
	} else {
		g.emit(asm.JNE.Imm(asm.R1, with, target))
	}
}
