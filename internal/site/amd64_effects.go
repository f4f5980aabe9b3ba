package site

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/abi"
)

// effects knows the instructions that compilers put at the start of a
// function, and takes every other for wild: that ends the search for a site
// early, and never gives a wrong one.
func (amd64) effects(code []byte, in instr) effects {
	unknown := effects{wild: true, writes: everything, losesSP: true}
	x, ok := disassemble(code, in)
	if !ok || in.flow == call || in.flow == callAny {
		return unknown
	}
	if in.flow != next {
		if in.cond == Never { // loop counts RCX down, xbegin writes RAX
			return unknown
		}
		return effects{}
	}
	switch x.Op {
	case x86asm.PUSH:
		if r, isReg := x.Args[0].(x86asm.Reg); isReg && r >= x86asm.RAX && r <= x86asm.R15 {
			var e effects
			e.writes.add(abi.RSP)
			e.grows = 8
			return e
		}
		return unknown
	case x86asm.SUB, x86asm.ADD, x86asm.LEA:
		if x.Args[0] == x86asm.RSP {
			return movesSP(x)
		}
	}
	return writesOf(x)
}

// movesSP is sub $n,%rsp; add $n,%rsp; lea n(%rsp),%rsp.
func movesSP(x x86asm.Inst) effects {
	var e effects
	e.writes.add(abi.RSP)
	if mem, ok := x.Args[1].(x86asm.Mem); ok && x.Op == x86asm.LEA {
		e.grows = -signed(mem.Disp)
		e.losesSP = mem.Base != x86asm.RSP || mem.Index != 0
		return e
	}
	imm, ok := x.Args[1].(x86asm.Imm)
	e.grows = signed(int64(imm))
	if x.Op == x86asm.ADD {
		e.grows = -e.grows
	}
	e.losesSP = !ok
	return e
}

// signed extends the sign of a 32-bit operand, which x86asm (v0.32) does not
// do for displacements.
func signed(v int64) int64 { return int64(int32(v)) }

// operation says how an instruction uses its operands.
type operation uint8

const (
	setsFirst operation = 1 + iota // writes operand 0
	reads                          // writes none
	swaps                          // writes operands 0 and 1
	setsRDX
	setsRAX
)

// operations has the instructions without a condition in their name.
var operations = map[x86asm.Op]operation{
	x86asm.MOV: setsFirst, x86asm.MOVSX: setsFirst, x86asm.MOVSXD: setsFirst, x86asm.MOVZX: setsFirst,
	x86asm.LEA: setsFirst, x86asm.ADD: setsFirst, x86asm.SUB: setsFirst, x86asm.ADC: setsFirst,
	x86asm.SBB: setsFirst, x86asm.AND: setsFirst, x86asm.OR: setsFirst, x86asm.XOR: setsFirst,
	x86asm.SHL: setsFirst, x86asm.SHR: setsFirst, x86asm.SAR: setsFirst, x86asm.ROL: setsFirst,
	x86asm.ROR: setsFirst, x86asm.NOT: setsFirst, x86asm.NEG: setsFirst, x86asm.INC: setsFirst,
	x86asm.DEC: setsFirst, x86asm.BSWAP: setsFirst, x86asm.IMUL: setsFirst, x86asm.BSF: setsFirst,
	x86asm.BSR: setsFirst, x86asm.POPCNT: setsFirst, x86asm.LZCNT: setsFirst, x86asm.TZCNT: setsFirst,
	x86asm.BTS: setsFirst, x86asm.BTR: setsFirst, x86asm.BTC: setsFirst,
	x86asm.MOVUPS: setsFirst, x86asm.MOVAPS: setsFirst, x86asm.MOVD: setsFirst, x86asm.MOVQ: setsFirst,
	x86asm.MOVSS: setsFirst, x86asm.MOVSD_XMM: setsFirst, x86asm.XORPS: setsFirst, x86asm.XORPD: setsFirst,
	x86asm.PXOR: setsFirst,
	x86asm.CMP:  reads, x86asm.TEST: reads, x86asm.BT: reads, x86asm.NOP: reads, x86asm.UCOMISS: reads,
	x86asm.UCOMISD: reads, x86asm.COMISS: reads, x86asm.COMISD: reads, x86asm.PAUSE: reads,
	x86asm.XCHG: swaps,
	x86asm.CWD:  setsRDX, x86asm.CDQ: setsRDX, x86asm.CQO: setsRDX,
	x86asm.CBW: setsRAX, x86asm.CWDE: setsRAX, x86asm.CDQE: setsRAX,
}

// howUsed is operations, and the conditional moves and sets.
func howUsed(op x86asm.Op) operation {
	if how, ok := operations[op]; ok {
		return how
	}
	if name := op.String(); strings.HasPrefix(name, "CMOV") || strings.HasPrefix(name, "SET") {
		return setsFirst
	}
	return 0
}

func writesOf(x x86asm.Inst) (e effects) {
	how := howUsed(x.Op)
	if x.Op == x86asm.IMUL && x.Args[1] == nil {
		how = 0 // writes RDX:RAX
	}
	written := 0
	switch how {
	case setsFirst:
		written = 1
	case swaps:
		written = 2
	case setsRDX:
		e.writes.add(abi.RDX)
	case setsRAX:
		e.writes.add(abi.RAX)
	case reads:
	default:
		return effects{wild: true, writes: everything, losesSP: true}
	}
	for i, arg := range x.Args {
		switch arg := arg.(type) {
		case x86asm.Reg:
			if i >= written {
				continue
			}
			r, ok := dwarfReg(arg)
			if !ok {
				return effects{wild: true, writes: everything, losesSP: true}
			}
			e.writes.add(r)
			e.losesSP = e.losesSP || r == abi.RSP
		case x86asm.Mem:
			if x.Op == x86asm.LEA || x.Op == x86asm.NOP {
				continue
			}
			// A store may change what an argument points to, a load may
			// fault, and then the call has been made but the site is not
			// reached.
			e.wild = e.wild || i < written || !safeLoad(arg)
		}
	}
	return e
}

// safeLoad: the stack, the program's own data, and thread-local storage are
// always there. So is the g, but nothing says here that R14 holds it.
func safeLoad(m x86asm.Mem) bool {
	switch {
	case m.Index != 0:
		return false
	case m.Segment == x86asm.FS:
		return m.Base == 0
	case m.Segment != 0:
		return false
	}
	return m.Base == x86asm.RSP || m.Base == x86asm.RIP
}

// dwarfReg maps a register, or the part of one, to the whole by DWARF number.
func dwarfReg(r x86asm.Reg) (abi.Reg, bool) {
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
		return abi.XMM0 + abi.Reg(r-x86asm.X0), true
	}
	if n < 0 {
		return 0, false
	}
	return encodingOrder[n], true
}

// encodingOrder has the DWARF registers by their number in instructions.
var encodingOrder = [16]abi.Reg{
	abi.RAX, abi.RCX, abi.RDX, abi.RBX, abi.RSP, abi.RBP, abi.RSI, abi.RDI,
	abi.R8, abi.R9, abi.R10, abi.R11, abi.R12, abi.R13, abi.R14, abi.R15,
}
