package site

import "github.com/argtap/argtap/abi"

// regZR is the number in instructions of the zero register or, in others, of
// the stack pointer.
const regZR = 31

// addX adds a general register by its number in instructions; the zero
// register holds nothing.
func (s *regSet) addX(n uint32) {
	if n != regZR {
		s.add(abi.X0 + abi.Reg(n))
	}
}

func (s *regSet) addV(n uint32) { s.add(abi.V0 + abi.Reg(n)) }

// addXSP adds a general register, or the stack pointer.
func (s *regSet) addXSP(n uint32) { s.add(abi.X0 + abi.Reg(n)) }

// effects knows the instructions that compilers put at the start of a
// function, and takes every other for wild: that ends the search for a site
// early, and never gives a wrong one.
//
// Where an instruction goes through another register to the stack (frames too
// large for one instruction) the instructions before it tell what that holds:
// effects is asked along the straight line from the entry.
func (m arm64) effects(code []byte, in instr) (e effects) {
	unknown := effects{wild: true, writes: everything, losesSP: true}
	switch in.flow {
	case call, callAny:
		return unknown
	case next:
	default:
		return effects{}
	}
	w := wordAt(code, in.off)
	switch {
	case w.is(0x1c000000, 0x10000000):
		return m.immediate(code, in.off, w)
	case w.bits(28, 26) == 5:
		switch {
		case w.is(0xffffff3f, 0xd503241f), w == 0xd503201f: // bti, nop
		case w.is(0xfff00000, 0xd5300000): // mrs
			e.writes.addX(w.bits(4, 0))
		default:
			return unknown
		}
		return e
	case w.is(0x0e000000, 0x0a000000):
		return register(w)
	case w.is(0x0e000000, 0x0e000000):
		return vector(w)
	case w.is(0x0a000000, 0x08000000):
		mem, ok := w.memory()
		if !ok {
			return unknown
		}
		return m.access(code, in.off, mem)
	}
	return unknown
}

// immediate is data processing with an immediate operand.
func (m arm64) immediate(code []byte, off int, w word) (e effects) {
	rd := w.bits(4, 0)
	switch w.bits(25, 23) {
	case 2: // add, sub
		if rd != regZR || w.bits(29, 29) == 1 {
			e.writes.addX(rd)
			return e
		}
		// The stack pointer.
		rn, n := w.bits(9, 5), w.addend()
		e.writes.addXSP(regZR)
		if rn == regZR {
			e.grows = -n
			return e
		}
		above, ok := m.aboveSP(code, off, rn)
		e.grows, e.losesSP = -(above + n), !ok
	case 4: // and, orr, eor, ands
		if w.bits(30, 29) != 3 && rd == regZR {
			e.writes.addXSP(rd)
			e.losesSP = true
			return e
		}
		e.writes.addX(rd)
	case 0, 1, 5, 6, 7: // adr, move wide, bit field, extract
		e.writes.addX(rd)
	default: // tagged addresses, minimum and maximum
		e.writes.addXSP(rd)
		e.losesSP = rd == regZR
	}
	return e
}

// addend is the operand of add or sub (immediate).
func (w word) addend() int64 {
	n := int64(w.bits(21, 10)) << (12 * w.bits(22, 22))
	if w.bits(30, 30) == 1 {
		return -n
	}
	return n
}

// aboveMax is how many instructions aboveSP looks back at: a constant takes
// four, and the frame's link and frame pointer two.
const aboveMax = 12

// aboveSP returns how far the general register n points above the stack
// pointer (below it if negative) when control comes straight to off, and the
// stack pointer has not changed since the register was computed from it.
func (m arm64) aboveSP(code []byte, off int, n uint32) (int64, bool) {
	sum := int64(0)
	for i := off - wordSize; i >= 0 && i >= off-aboveMax*wordSize; i -= wordSize {
		w := wordAt(code, i)
		in, err := m.decode(code, i, 0)
		if err != nil || in.flow != next && in.flow != branch {
			return 0, false
		}
		switch {
		case w.is(0x9f80001f, word(0x91000000|n)): // add or sub $imm,rn,n
			sum += w.addend()
			switch w.bits(9, 5) {
			case regZR:
				return sum, true
			case n:
				continue
			}
			return 0, false
		case w.is(0xffe0ffff, word(0xcb2063e0|n)), w.is(0xffe0ffff, word(0xeb2063e0|n)): // sub n,sp,rm
			v, ok := m.constant(code, i, w.bits(20, 16))
			return sum - v, ok
		}
		// Other instructions must leave both the register and the stack
		// pointer alone; stores through the register are among them.
		e := m.effectsAside(code, in)
		var used regSet
		used.addX(n)
		used.add(abi.ARM64SP)
		if e.writes.meets(used) || e.losesSP {
			return 0, false
		}
	}
	return 0, false
}

// effectsAside is effects without what needs the instructions before it.
func (m arm64) effectsAside(code []byte, in instr) effects {
	w := wordAt(code, in.off)
	if mem, ok := w.memory(); ok && w.is(0x0a000000, 0x08000000) {
		e := effects{writes: mem.writes}
		if mem.moves != 0 {
			e.writes.addXSP(mem.base)
		}
		return e
	}
	if w.is(0x1f80001f, 0x1100001f) { // add or sub to the stack pointer
		return effects{losesSP: true}
	}
	return m.effects(code, in)
}

// constant returns what the register n holds at off, if that was moved into it
// by the instructions before.
func (m arm64) constant(code []byte, off int, n uint32) (int64, bool) {
	var keeps []word // movk, latest first
	for i := off - wordSize; i >= 0 && i >= off-aboveMax*wordSize; i -= wordSize {
		w := wordAt(code, i)
		if m.data.has(i / wordSize) {
			return 0, false
		}
		shift := 16 * w.bits(22, 21)
		v := uint64(w.bits(20, 5)) << shift
		switch {
		case w.is(0xff80001f, word(0xf2800000|n)): // movk
			keeps = append(keeps, w)
			continue
		case w.is(0x7f80001f, word(0x52800000|n)): // movz
		case w.is(0xff80001f, word(0x92800000|n)): // movn
			v = ^v
		case w.is(0xbf00001f, word(0x18000000|n)): // ldr, from the literal pool
			disp, size, _ := w.literal()
			at := int64(i) + disp
			if at < 0 || at+int64(size) > int64(len(code)) {
				return 0, false
			}
			v = uint64(wordAt(code, int(at)))
			if size == 8 {
				v |= uint64(wordAt(code, int(at)+wordSize)) << 32
			}
		default:
			in, err := m.decode(code, i, 0)
			var used regSet
			used.addX(n)
			if err != nil || in.flow != next && in.flow != branch || m.effectsAside(code, in).writes.meets(used) {
				return 0, false
			}
			continue
		}
		for k := len(keeps) - 1; k >= 0; k-- {
			shift := 16 * keeps[k].bits(22, 21)
			v = v&^(0xffff<<shift) | uint64(keeps[k].bits(20, 5))<<shift
		}
		return int64(v), true
	}
	return 0, false
}

// register is data processing of general registers.
func register(w word) (e effects) {
	rd := w.bits(4, 0)
	switch {
	case w.is(0x1f200000, 0x0b200000) && w.bits(29, 29) == 0 && rd == regZR: // add, sub (extended)
		e.writes.addXSP(rd)
		e.losesSP = true
	case w.is(0x1fe00000, 0x1a400000): // ccmp, ccmn
	case w.is(0x1fe00000, 0x1a000000) && w.bits(15, 10) != 0: // rmif, setf
	default:
		e.writes.addX(rd)
	}
	return e
}

// vector is data processing of floating-point and vector registers.
func vector(w word) (e effects) {
	rd := w.bits(4, 0)
	toGeneral := false
	switch {
	case w.is(0xff20fc07, 0x1e202000), w.is(0xff200c00, 0x1e200400): // fcmp, fccmp
		return e
	case w.is(0x7f20fc00, 0x1e200000): // conversions and moves
		switch w.bits(18, 16) {
		case 2, 3, 7: // to the vector register
		default:
			toGeneral = true
		}
	case w.is(0x7f200000, 0x1e000000): // to and from fixed point
		toGeneral = w.bits(18, 17) != 1
	case w.is(0x9fe0f400, 0x0e003400), w.is(0xbfe0f400, 0x0e002400): // umov, smov
		toGeneral = true
	}
	if toGeneral {
		e.writes.addX(rd)
	} else {
		e.writes.addV(rd)
	}
	return e
}
