package site

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// arm64 is the machine of 64-bit Arm. Instructions are words of four bytes;
// what this package needs of them is in few fields, which are read here
// rather than by arm64asm (v0.32 does not know all instructions, and has no
// numbers of registers). The fields are those of the Arm ARM, section C4.1,
// "A64 instruction set encoding".
//
// A value of it belongs to one function: prepare makes it.
type arm64 struct {
	// data are the words of literal pools. The assembler puts large constants
	// between the instructions or behind them.
	data wordSet
	// held are the words between an instruction that loads exclusively and
	// the one that stores.
	held wordSet
}

// wordSet is a set of words of a function's code, by index.
type wordSet []uint64

func (s wordSet) has(i int) bool { return i/64 < len(s) && s[i/64]>>(i%64)&1 != 0 }

// add makes room for n words first.
func (s *wordSet) add(i, n int) {
	if *s == nil {
		*s = make(wordSet, (n+63)/64)
	}
	(*s)[i/64] |= 1 << (i % 64)
}

// word is an instruction.
type word uint32

// bits returns the field from bit lo to bit hi.
func (w word) bits(hi, lo uint) uint32 { return uint32(w) >> lo & (1<<(hi-lo+1) - 1) }

// is reports whether the bits of mask have the value.
func (w word) is(mask, value word) bool { return w&mask == value }

// signed returns the field from bit lo to bit hi with its sign.
func (w word) signed(hi, lo uint) int64 {
	n := hi - lo + 1
	return int64(w.bits(hi, lo)) << (64 - n) >> (64 - n)
}

func wordAt(code []byte, off int) word { return word(binary.LittleEndian.Uint32(code[off:])) }

const (
	wordSize = 4
	// heldMax is how many instructions a sequence with an exclusive load may
	// have; the kernel's MAX_ATOMIC_CONTEXT_SIZE is as much.
	heldMax = 128 / wordSize
)

// undefined reports whether it is what the assembler puts where control must
// not come: udf or, before Go 1.21, a word that is no instruction
// (cmd/internal/obj/arm64/asm7.go, case 90).
func (w word) undefined() bool { return w.is(0xffff0000, 0) || w == 0xbea71700 }

// literal reports whether the instruction loads from an address relative to
// its own, and how many bytes at what distance. (It may also only prefetch.)
func (w word) literal() (disp int64, size int, ok bool) {
	if !w.is(0x3b000000, 0x18000000) {
		return 0, 0, false
	}
	size = 4 << w.bits(31, 30)
	if w.bits(26, 26) == 0 && w.bits(31, 30) >= 2 { // ldrsw, prfm
		size = 4
	}
	return w.signed(23, 5) * wordSize, min(size, 16), true
}

// casp shares its encoding with exclusive pairs, but for the size.
func (w word) casp() bool { return w.is(0xbfa00000, 0x08200000) }

func (w word) loadsExclusive() bool  { return w.is(0x3fc00000, 0x08400000) && !w.casp() }
func (w word) storesExclusive() bool { return w.is(0x3fc00000, 0x08000000) && !w.casp() }

// prepare finds what is no instruction, in one pass from the front: a pool
// lies behind the instructions that refer to it.
func (arm64) prepare(code []byte) machine {
	var m arm64
	n := len(code) / wordSize
	held := 0
	for i := range n {
		if m.data.has(i) {
			continue
		}
		w := wordAt(code, i*wordSize)
		switch {
		case w.loadsExclusive():
			held = heldMax
			continue // refused itself
		case w.storesExclusive():
			held = 0
		case held > 0:
			held--
			m.held.add(i, n)
		}
		disp, size, ok := w.literal()
		if first := int64(i) + disp/wordSize; ok && disp > 0 {
			for k := first; k < min(first+int64(size/wordSize), int64(n)); k++ {
				m.data.add(int(k), n)
			}
		}
	}
	return m
}

// returnCFA: the return address is in the link register, and the stack
// pointer where it was at the entry.
func (arm64) returnCFA() int64 { return 0 }

var (
	errMisaligned = errors.New("address is no multiple of four")
	errExtension  = errors.New("branch of an extension that is not known")
)

func (m arm64) decode(code []byte, off int, entry symbols.VirtAddr) (instr, error) {
	in := instr{off: off, size: wordSize, cond: Never}
	err := error(nil)
	switch {
	case len(code)-off < wordSize:
		err = errTruncated
	case (uint64(entry)+uint64(off))%wordSize != 0:
		err = errMisaligned
	case m.data.has(off / wordSize):
		in.flow, in.refused = dead, "it is data between the instructions"
		return in, nil
	default:
		w := wordAt(code, off)
		in.flow, in.target, in.cond = w.flow()
		in.target += int64(off)
		in.test = w.test()
		in.emulated = w.emulated()
		in.refused = w.refused()
		if in.refused == "" && in.flow != ret && m.held.has(off/wordSize) {
			in.refused = "a trap between an exclusive load and its store makes the store fail"
		}
		if in.refused == "" && in.flow == next && m.restarts(code, in) {
			in.refused = "it sets R27 for the next instruction, and the runtime may run both again"
		}
		if w.is(0x7c000000, 0x74000000) { // compare and branch, FEAT_CMPBR
			err = errExtension
		}
	}
	if err != nil {
		return instr{}, &DecodeError{
			Addr:  entry + symbols.VirtAddr(off),
			Bytes: append([]byte(nil), code[off:min(len(code), off+wordSize)]...),
			Err:   err,
		}
	}
	return in, nil
}

// regTmp is the register that the assembler uses within the sequences of
// instructions that it makes of one (REGTMP in cmd/internal/obj/arm64/a.out.go).
const regTmp = 27

// restarts reports whether the instruction sets R27 for one behind it. The
// runtime does not keep that register: a goroutine that is preempted within
// such a sequence, since Go 1.15, starts it again (isRestartable in
// cmd/internal/obj/arm64/asm7.go, UnsafePointRestart1 in internal/abi). A probe
// on an instruction that sets it leaves the goroutine right within the
// sequence, for a signal to find it there: one call in a hundred was seen to
// hit such a probe twice.
func (m arm64) restarts(code []byte, in instr) bool {
	w := wordAt(code, in.off)
	if w.bits(4, 0) != regTmp && w.bits(14, 10) != regTmp && w.bits(20, 16) != regTmp {
		return false
	}
	// A check for nil loads a byte, which it throws away (LoweredNilCheck in
	// cmd/compile/internal/arm64/ssa.go).
	if w.is(0xffc0001f, 0x39800000|regTmp) || w.is(0xffe00c1f, 0x38800000|regTmp) || w.is(0xffe0fc1f, 0x38a06800|regTmp) {
		return false
	}
	return m.effects(code, in).writes.has(abi.X0 + regTmp) // what is not known writes all
}

// flow returns where the instruction leads, with the distance of its target.
func (w word) flow() (flow, int64, Cond) {
	switch {
	case w.is(0xfc000000, 0x14000000): // b
		return jump, w.signed(25, 0) * wordSize, Always
	case w.is(0xfc000000, 0x94000000): // bl
		return call, w.signed(25, 0) * wordSize, Always
	case w.is(0xff000000, 0x54000000): // b.cond, bc.cond
		return branch, w.signed(23, 5) * wordSize, condARM64 + Cond(w.bits(3, 0))
	case w.is(0x7e000000, 0x34000000): // cbz, cbnz
		return branch, w.signed(23, 5) * wordSize, Never
	case w.is(0x7e000000, 0x36000000): // tbz, tbnz
		return branch, w.signed(18, 5) * wordSize, Never
	case w.is(0xfe000000, 0xd6000000):
		// Bit 24 and bits 11 to 10 say that the address is authenticated.
		switch w.bits(23, 21) {
		case 0:
			return jumpAny, 0, Always
		case 1:
			return callAny, 0, Always
		case 2:
			return ret, 0, Always
		}
		return dead, 0, Never // eret, drps
	case w.is(0xff000000, 0xd4000000):
		if w.bits(23, 21) == 0 { // svc, hvc, smc
			return next, 0, Never
		}
		return dead, 0, Never // brk, hlt
	case w.undefined():
		return dead, 0, Never
	}
	return next, 0, Never
}

// test is the condition of a branch that looks at a register.
func (w word) test() RegTest {
	t := RegTest{Reg: abi.X0 + abi.Reg(w.bits(4, 0)), Zero: w.bits(24, 24) == 0}
	switch {
	case w.bits(4, 0) == regZR:
		return RegTest{}
	case w.is(0x7e000000, 0x34000000):
		t.Mask = ^uint64(0)
		if w.bits(31, 31) == 0 {
			t.Mask = 1<<32 - 1
		}
	case w.is(0x7e000000, 0x36000000):
		t.Mask = 1 << (w.bits(31, 31)<<5 | w.bits(23, 19))
	default:
		return RegTest{}
	}
	return t
}

func (m arm64) text(code []byte, in instr, entry symbols.VirtAddr) string {
	w := wordAt(code, in.off)
	x, err := arm64asm.Decode(code[in.off:in.end()])
	if err != nil || m.data.has(in.off/wordSize) {
		return fmt.Sprintf(".word %#08x", uint32(w))
	}
	s := arm64asm.GNUSyntax(x)
	// Distances become addresses, as binutils prints them.
	for _, arg := range x.Args {
		if rel, ok := arg.(arm64asm.PCRel); ok {
			pc := uint64(entry) + uint64(in.off)
			if x.Op == arm64asm.ADRP {
				pc &^= 4095
			}
			s = strings.Replace(s, rel.String(), fmt.Sprintf("%#x", pc+uint64(rel)), 1)
		}
	}
	return s
}
