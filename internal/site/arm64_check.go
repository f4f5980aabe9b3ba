package site

import "github.com/argtap/argtap/symbols"

// Parts of the stack check, of which the source is stacksplit in
// cmd/internal/obj/arm64/obj7.go of each release.
const (
	numG  = 28 // the register that holds the g
	numLR = 30
)

// checkRegs are the registers that a stack check may change: x1 to x3 up to Go
// 1.17, x16 and x17 since; x27 is the assembler's own for constants.
var checkRegs = func() (s regSet) {
	for _, n := range []uint32{1, 2, 3, 16, 17, 27} {
		s.addX(n)
	}
	return s
}()

// checkMax bounds the instructions of a stack check. The longest, that of a
// huge frame up to Go 1.16, has nine and one more for every part of its
// constants.
const checkMax = 16

// stackCheck matches the check. In all releases it begins with the load of
// stackguard0 (stackguard1 in functions on the system stack) through the g,
// and ends in the jump to the tail:
//
//	ldr x16,[x28,#16] ; cmp sp,x16 ; b.ls tail                      small
//	ldr … ; mov x17,sp ; cmp x17,x16 ; b.ls tail                    small, up to 1.18
//	ldr … ; sub x17,sp,#n ; cmp x17,x16 ; b.ls tail                 medium
//	ldr … ; mov x27,#n ; subs x17,sp,x27 ; b.lo tail ; cmp … ; b.ls huge, since 1.17
//	ldr … ; mov x27,#-1314 ; cmp x1,x27 ; b.eq tail ; add x2,sp,#g ;
//	    sub x2,x2,x1 ; mov x3,#n ; cmp x2,x3 ; b.ls tail            huge, up to 1.16
//
// With x1 and x2 for x16 and x17 up to 1.17. Between load and jump is only
// arithmetic on these registers, which is what is asked for here; that it is
// a stack check is certain by its tail.
func (m arm64) stackCheck(code []byte, entry symbols.VirtAddr) (stackCheck, bool) {
	var c stackCheck
	if len(code) < wordSize {
		return c, false
	}
	load := wordAt(code, 0)
	guard := load.bits(4, 0)
	if !load.is(0xffc003e0, 0xf9400000|numG<<5) ||
		load.bits(21, 10) != stackguard0 && load.bits(21, 10) != stackguard1 {
		return c, false
	}
	var allowed regSet
	allowed.addX(guard)
	if !allowed.meets(checkRegs) {
		return c, false
	}
	tail := int64(-1)
	compared := false // the flags are of a comparison with the guard
	for off := wordSize; off < checkMax*wordSize; off += wordSize {
		in, err := m.decode(code, off, entry)
		if err != nil {
			return stackCheck{}, false
		}
		w := wordAt(code, off)
		switch {
		case in.flow == branch:
			if in.cond != condARM64EQ && in.cond != condARM64LO && in.cond != condARM64LS ||
				tail >= 0 && tail != in.target {
				return stackCheck{}, false
			}
			tail = in.target
			c.jumps = append(c.jumps, off)
			if in.cond != condARM64LS {
				continue
			}
			c.end = in.end()
			tailJump, ok := m.tail(code, tail, entry)
			if !ok || !compared || tailJump < c.end {
				return stackCheck{}, false
			}
			c.tailJump = tailJump
			return c, true
		case in.flow != next || !arithmetic(w):
			return stackCheck{}, false
		}
		e := m.effectsAside(code, in)
		if e.losesSP || e.writes.minus(checkRegs) != (regSet{}) {
			return stackCheck{}, false
		}
		compared = compared || w.uses(guard)
	}
	return stackCheck{}, false
}

// arithmetic reports whether the instruction is one of those that the check
// computes with: moves, constants, addition, subtraction, comparison.
func arithmetic(w word) bool {
	_, _, literal := w.literal()
	return literal && w.bits(26, 26) == 0 ||
		w.is(0x1f800000, 0x11000000) || // add, sub, cmp (immediate)
		w.is(0x1f800000, 0x12800000) || // movz, movn, movk
		w.is(0x1f800000, 0x12000000) || // orr and others (immediate)
		w.is(0x1f000000, 0x0b000000) || // add, sub, cmp (register)
		w.is(0x1f000000, 0x0a000000) // orr (register): mov
}

// uses reports whether a comparison or subtraction of registers has the
// register n as its second operand.
func (w word) uses(n uint32) bool {
	return w.is(0x5f000000, 0x4b000000) && w.bits(20, 16) == n
}

// minus is the registers in s that are not in t.
func (s regSet) minus(t regSet) regSet { return regSet{s[0] &^ t[0], s[1] &^ t[1]} }

// tail matches what the check jumps to, from offset off: the argument
// registers are spilled to the stack, the link register is moved to where
// morestack wants it, morestack is called, the registers are reloaded, and
// the function starts again. It returns the offset of the last jump.
func (m arm64) tail(code []byte, off int64, entry symbols.VirtAddr) (int, bool) {
	if off <= 0 || off >= int64(len(code)) {
		return 0, false
	}
	const movLR = 0xaa0003e0 | numLR<<16 | 3 // mov x3,x30
	calls, moved := 0, false
	for i := range tailMax {
		in, err := m.decode(code, int(off)+i*wordSize, entry)
		if err != nil {
			return 0, false
		}
		w := wordAt(code, in.off)
		switch in.flow {
		case call:
			calls++
			if in.target >= 0 && in.target < int64(len(code)) {
				return 0, false
			}
		case jump:
			return in.off, in.target == 0 && calls == 1 && moved
		case next:
			if w != movLR && !m.spills(code, in) {
				return 0, false
			}
			moved = moved || w == movLR
		default:
			return 0, false
		}
	}
	return 0, false
}

const nopARM64 = 0xd503201f

// spills reports whether the instruction moves between registers and the
// stack, or does nothing, or computes in the assembler's own register what
// such a move needs for its address: the slots lie above the results, which
// may be large.
func (m arm64) spills(code []byte, in instr) bool {
	w := wordAt(code, in.off)
	if mem, ok := w.memory(); ok && !mem.literal {
		return (mem.base == regZR || mem.base == regTmp) && mem.moves == 0 &&
			(!mem.indexed || w.bits(20, 16) == regTmp)
	}
	var tmp regSet
	tmp.addX(regTmp)
	e := m.effectsAside(code, in)
	return w == nopARM64 || arithmetic(w) && !e.losesSP && e.writes == tmp
}

// threadOffset: the g is in a register in all Go code.
func (arm64) threadOffset([]byte, symbols.VirtAddr, stackCheck) (int64, bool) { return 0, false }
