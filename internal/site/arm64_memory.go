package site

import "github.com/argtap/argtap/abi"

// memory is an access to memory: one or two registers, to or from a base
// register (or the stack pointer) plus a constant.
type memory struct {
	load bool
	// first and second are the registers by DWARF number; pair if there are
	// two.
	first, second abi.Reg
	pair          bool
	size          int // bytes of each
	base          uint32
	disp          int64 // of the address
	// moves is added to the base register: the pre- or post-index.
	moves   int64
	indexed bool // the address is not known for a register as index
	literal bool
	writes  regSet // of general and vector registers, without the base
}

// memory reads the fields of a load or store. It knows those of one register
// or a pair; not the exclusive and atomic ones, those of vectors as
// structures, and those of extensions.
func (w word) memory() (m memory, ok bool) {
	vec := w.bits(26, 26) == 1
	reg := func(n uint32) (abi.Reg, bool) {
		if vec {
			return abi.V0 + abi.Reg(n), true
		}
		return abi.X0 + abi.Reg(n), n != regZR
	}
	m.base = w.bits(9, 5)
	switch {
	case w.is(0x3b000000, 0x18000000):
		_, m.size, _ = w.literal()
		m.load, m.literal = true, true
		if !vec && w.bits(31, 30) == 3 { // prefetch
			return m, true
		}
	case w.is(0x3a000000, 0x28000000):
		m.load = w.bits(22, 22) == 1
		m.pair = true
		m.size = 4 << w.bits(31, 31)
		if vec {
			m.size = 4 << w.bits(31, 30)
		} else if w.bits(31, 30) == 1 {
			if !m.load { // of tags
				return m, false
			}
			m.size = 4 // ldpsw
		}
		if m.size > 16 || !vec && w.bits(31, 30) == 3 {
			return m, false
		}
		disp := w.signed(21, 15) * int64(m.size)
		switch w.bits(24, 23) {
		case 1:
			m.moves = disp
		case 3:
			m.disp, m.moves = disp, disp
		default:
			m.disp = disp
		}
	case w.is(0x3a000000, 0x38000000):
		size, opc := w.bits(31, 30), w.bits(23, 22)
		m.load = opc != 0
		m.size = 1 << size
		if vec {
			m.load = opc&1 == 1
			if opc >= 2 {
				if size != 0 {
					return m, false
				}
				m.size = 16
			}
		}
		switch {
		case w.bits(24, 24) == 1:
			m.disp = int64(w.bits(21, 10)) * int64(m.size)
		case w.bits(21, 21) == 1:
			if w.bits(11, 10) != 2 { // atomic, authenticated
				return m, false
			}
			m.indexed = true
		default:
			imm := w.signed(20, 12)
			switch w.bits(11, 10) {
			case 1:
				m.moves = imm
			case 3:
				m.disp, m.moves = imm, imm
			default:
				m.disp = imm
			}
		}
		if !vec && size == 3 && opc == 2 { // prefetch
			return m, w.bits(24, 24) == 1 || w.bits(11, 10)&1 == 0
		}
	default:
		return m, false
	}
	var isReg bool
	if m.first, isReg = reg(w.bits(4, 0)); isReg && m.load {
		m.writes.add(m.first)
	}
	if m.second, isReg = reg(w.bits(14, 10)); m.pair && isReg && m.load {
		m.writes.add(m.second)
	}
	return m, true
}

// access is the effects of a load or store.
func (m arm64) access(code []byte, off int, mem memory) effects {
	e := effects{writes: mem.writes}
	if mem.moves != 0 {
		e.writes.addXSP(mem.base)
		if mem.base == regZR {
			e.grows = -mem.moves
		}
	}
	switch {
	case mem.literal:
		// In the function itself.
	case mem.load:
		// The stack and the program's own data are always there.
		e.wild = mem.indexed || mem.base != regZR && !ownData(code, off, mem.base)
	default:
		// Below the stack pointer is nothing that an argument points to: it
		// is how a frame begins.
		above, ok := mem.disp, !mem.indexed
		if ok && mem.base != regZR {
			above, ok = m.aboveSP(code, off, mem.base)
			above += mem.disp
		}
		n := int64(mem.size)
		if mem.pair {
			n *= 2
		}
		e.wild = !ok || above+n > 0
	}
	return e
}

// ownData reports whether the general register n was set by the instruction
// before to the page of an address in the program.
func ownData(code []byte, off int, n uint32) bool {
	return off >= wordSize && wordAt(code, off-wordSize).is(0x9f00001f, word(0x90000000|n))
}

// stores is for the tail of a stack check, where a store of the link register
// would be no argument's. Slots too far away for one instruction are reached
// through the assembler's own register.
func (m arm64) stores(code []byte, in instr) []store {
	w := wordAt(code, in.off)
	mem, ok := w.memory()
	if !ok || in.flow != next || mem.load || mem.moves != 0 {
		return nil
	}
	disp := mem.disp
	if mem.base != regZR {
		var above int64
		if above, ok = m.aboveSP(code, in.off, mem.base); !ok {
			return nil
		}
		disp += above
	}
	if mem.indexed {
		index, ok := m.constant(code, in.off, w.bits(20, 16))
		if !ok || w.bits(15, 12) != 6 { // an index of 64 bits, not scaled
			return nil
		}
		disp += index
	}
	var out []store
	add := func(r abi.Reg, disp int64) {
		if r != abi.X0+regZR && r != abi.X30 {
			out = append(out, store{r, disp, mem.size})
		}
	}
	add(mem.first, disp)
	if mem.pair {
		add(mem.second, disp+int64(mem.size))
	}
	return out
}
