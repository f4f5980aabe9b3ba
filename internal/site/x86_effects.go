package site

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// effects knows the instructions that compilers put at the start of a
// function, and takes every other for wild: that ends the search for a site
// early, and never gives a wrong one.
func (m *x86) effects(code []byte, in instr) effects {
	unknown := effects{wild: true, writes: everything, losesSP: true}
	x, ok := m.disassemble(code, in)
	if !ok || in.flow == call || in.flow == callAny {
		return unknown
	}
	if in.flow != next {
		if in.cond == Never { // loop counts down, xbegin writes
			return unknown
		}
		return effects{}
	}
	switch x.Op {
	case x86asm.PUSH:
		if r, isReg := x.Args[0].(x86asm.Reg); isReg && m.isWide(r) {
			e := m.writesSP()
			e.grows = m.word
			return e
		}
		return unknown
	case x86asm.SUB, x86asm.ADD, x86asm.LEA:
		if x.Args[0] == m.sp {
			return m.movesSP(x)
		}
	}
	return m.writesOf(x)
}

func (m *x86) writesSP() (e effects) {
	r, _ := m.dwarfReg(m.sp)
	e.writes.add(r)
	return e
}

// movesSP is sub $n,%rsp; add $n,%rsp; lea n(%rsp),%rsp.
func (m *x86) movesSP(x x86asm.Inst) effects {
	e := m.writesSP()
	if mem, ok := x.Args[1].(x86asm.Mem); ok && x.Op == x86asm.LEA {
		e.grows = -signed(mem.Disp)
		e.losesSP = !m.onStack(mem)
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
	setsDX
	setsAX
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
	x86asm.CWD:  setsDX, x86asm.CDQ: setsDX, x86asm.CQO: setsDX,
	x86asm.CBW: setsAX, x86asm.CWDE: setsAX, x86asm.CDQE: setsAX,
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

func (m *x86) writesOf(x x86asm.Inst) (e effects) {
	how := howUsed(x.Op)
	if x.Op == x86asm.IMUL && x.Args[1] == nil {
		how = 0 // writes DX:AX
	}
	written := 0
	switch how {
	case setsFirst:
		written = 1
	case swaps:
		written = 2
	case setsDX:
		e.writes.add(m.dwarf[numDX])
	case setsAX:
		e.writes.add(m.dwarf[numAX])
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
			r, ok := m.dwarfReg(arg)
			if !ok {
				return effects{wild: true, writes: everything, losesSP: true}
			}
			e.writes.add(r)
			e.losesSP = e.losesSP || e.writes.meets(m.writesSP().writes)
		case x86asm.Mem:
			if x.Op == x86asm.LEA || x.Op == x86asm.NOP {
				continue
			}
			// A store may change what an argument points to, a load may
			// fault, and then the call has been made but the site is not
			// reached.
			e.wild = e.wild || i < written || !m.safeLoad(arg)
		}
	}
	return e
}

// safeLoad: the stack, the program's own data, and thread-local storage are
// always there. So is the g, but nothing says here that R14 holds it.
func (m *x86) safeLoad(mem x86asm.Mem) bool {
	switch {
	case mem.Index != 0:
		return false
	case mem.Segment == m.thread:
		return mem.Base == 0
	case mem.Segment != 0:
		return false
	case mem.Base == 0:
		// 32-bit programs name their data by absolute addresses. What is
		// below the lowest is a nil pointer.
		return m.ip == 0 && uint32(mem.Disp) >= 1<<16
	}
	return mem.Base == m.sp || mem.Base == m.ip
}
