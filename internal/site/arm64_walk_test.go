package site

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// walkerARM64 is walker for arm64: it decodes with arm64asm and reads what
// instructions do off their text. What arm64asm v0.32 does not know is taken
// for an instruction that does nothing; branches are not among those.
type walkerARM64 struct {
	b     *elfFile
	fn    symbols.Func
	code  []byte
	words []int
	live  []abi.Reg
}

func newWalkerARM64(t testing.TB, b *elfFile, fn symbols.Func, words []int, live []abi.Reg) *walkerARM64 {
	return &walkerARM64{b, fn, b.code(t, fn), words, live}
}

func (w *walkerARM64) inst(off int) arm64asm.Inst {
	x, _ := arm64asm.Decode(w.code[off:])
	return x
}

func (w *walkerARM64) check(s *Sites) error {
	return checkPaths(w.fn, s, func(off int) ([]step, bool) {
		if off%4 != 0 || off+4 > len(w.code) {
			return nil, false
		}
		return w.steps(off, w.inst(off)), true
	})
}

func (w *walkerARM64) steps(off int, x arm64asm.Inst) []step {
	after := step{off: off + 4}
	if after.off >= int(w.fn.Size) {
		after.off = -1
	}
	var target step
	for _, arg := range x.Args {
		if rel, ok := arg.(arm64asm.PCRel); ok {
			target = step{off: off + int(rel), taken: true}
			if target.off < 0 || target.off >= int(w.fn.Size) {
				target.off = -1
			}
		}
	}
	switch x.Op {
	case arm64asm.RET:
		return []step{{off: -1}}
	case arm64asm.BRK, arm64asm.HLT:
		return nil
	case arm64asm.BL:
		name := w.fn.Entry + symbols.VirtAddr(off) + symbols.VirtAddr(int64(x.Args[0].(arm64asm.PCRel)))
		if !callReturns(w.b.names[name]) {
			return nil
		}
		return []step{after}
	case arm64asm.B:
		if _, conditional := x.Args[0].(arm64asm.Cond); conditional {
			return []step{after, target}
		}
		return []step{target}
	case arm64asm.CBZ, arm64asm.CBNZ, arm64asm.TBZ, arm64asm.TBNZ:
		return []step{after, target}
	case arm64asm.BR:
		out := []step{{off: -1, taken: true}}
		// A switch's jump is through the word that was just loaded.
		if off >= 4 && strings.Contains(w.inst(off-4).String(), "LSL #3") {
			for _, o := range w.words {
				if o%4 == 0 {
					out = append(out, step{off: o, taken: true})
				}
			}
		}
		return out
	case arm64asm.NOP:
		// Up to Go 1.18 what comes behind a select of which no case was
		// chosen, which never happens, is no instruction but the tail.
		tail := off + 4
		for tail+4 <= len(w.code) && strings.HasPrefix(w.inst(tail).String(), "ST") {
			tail += 4
		}
		if tail+4 <= len(w.code) && w.inst(tail).String() == "MOV X3, X30" {
			return nil
		}
	case 0:
		b := w.code[off : off+4]
		if b[2]|b[3] == 0 || string(b) == "\x00\x17\xa7\xbe" { // udf or padding; what Go 1.20 has for it
			return nil
		}
	}
	return []step{after}
}

var (
	preIndexed  = regexp.MustCompile(`\[sp,#(-\d+)\]!$`)
	movConstant = regexp.MustCompile(`^mov (x\d+), #(\S+)$`)
	subConstant = regexp.MustCompile(`^sub (x\d+), sp, (x\d+)$`)
	operands    = regexp.MustCompile(`^([a-z0-9.]+)(?: ([a-z0-9]+)(?:, ?([a-z0-9]+)(?:, ?#(0x[0-9a-f]+|-?\d+)(?:, lsl #(\d+))?)?)?)?`)
)

// checkStraight looks at the text of the instructions before the site, as a
// reader would.
func (w *walkerARM64) checkStraight(s *Sites) error {
	cfa := int64(0)
	temps := map[string]int64{}  // registers that hold SP plus a constant
	consts := map[string]int64{} // registers that hold a constant
	for off := 0; off < int(s.Entry.Addr-w.fn.Entry); off += 4 {
		text := arm64asm.GNUSyntax(w.inst(off))
		if m := movConstant.FindStringSubmatch(text); m != nil {
			consts[m[1]], _ = strconv.ParseInt(m[2], 0, 64)
		}
		if m := subConstant.FindStringSubmatch(text); m != nil {
			temps[m[1]] = -consts[m[2]]
		}
		m := operands.FindStringSubmatch(text)
		if m == nil {
			return fmt.Errorf("cannot read %q (% x) before the site", text, w.code[off:off+4])
		}
		op, dst, src := m[1], m[2], m[3]
		imm, _ := strconv.ParseInt(m[4], 0, 64)
		if m[5] == "12" {
			imm <<= 12
		}
		switch {
		case strings.HasPrefix(op, "b.") || op == "cmp" || op == "cmn" || op == "tst" || op == "nop" ||
			strings.HasPrefix(op, "fcmp") || op == "ccmp":
			continue
		case strings.HasPrefix(op, "st"):
			if i := preIndexed.FindStringSubmatch(text); i != nil {
				n, _ := strconv.ParseInt(i[1], 10, 64)
				cfa -= n
				continue
			}
			// Otherwise only below the stack pointer, or through a register
			// that points there.
			base, disp := operandMemory(text)
			if base == "sp" && disp < 0 || temps[base]+disp < -8 {
				continue
			}
			return fmt.Errorf("%q stores before the site", text)
		case op == "sub" && dst == "sp" && src == "sp":
			cfa += imm
			continue
		case op == "mov" && dst == "sp":
			cfa -= temps[src]
			continue
		case op == "sub" && src == "sp" && m[4] != "":
			temps[dst] = -imm
		case op == "sub" && src == dst:
			temps[dst] -= imm
		}
		if dst == "" {
			return fmt.Errorf("cannot read %q (% x) before the site", text, w.code[off:off+4])
		}
		n, err := strconv.Atoi(dst[1:])
		if err != nil {
			continue // xzr, wzr
		}
		r := abi.X0 + abi.Reg(n)
		if strings.ContainsAny(dst[:1], "bhsdqv") {
			r = abi.V0 + abi.Reg(n)
		}
		if slices.Contains(w.live, r) {
			return fmt.Errorf("%q changes a live register before the site", text)
		}
	}
	if cfa != s.Entry.CFA {
		return fmt.Errorf("CFA is %d bytes above SP at the site, not %d", cfa, s.Entry.CFA)
	}
	return nil
}

var inBrackets = regexp.MustCompile(`\[([a-z0-9]+)(?:,#(-?\d+))?\]`)

func operandMemory(text string) (base string, disp int64) {
	m := inBrackets.FindStringSubmatch(text)
	if m == nil {
		return "", 0
	}
	disp, _ = strconv.ParseInt(m[2], 10, 64)
	return m[1], disp
}

// returns counts the words that are RET.
func (w *walkerARM64) returns() int {
	n := 0
	for off := 0; off+4 <= len(w.code); off += 4 {
		if w.inst(off).Op == arm64asm.RET {
			n++
		}
	}
	return n
}

// growsStack reports whether the function calls morestack.
func (w *walkerARM64) growsStack() bool {
	for off := 0; off+4 <= len(w.code); off += 4 {
		if x := w.inst(off); x.Op == arm64asm.BL {
			target := w.fn.Entry + symbols.VirtAddr(off) + symbols.VirtAddr(int64(x.Args[0].(arm64asm.PCRel)))
			if strings.HasPrefix(w.b.names[target], "runtime.morestack") {
				return true
			}
		}
	}
	return false
}
