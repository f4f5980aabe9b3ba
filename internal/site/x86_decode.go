package site

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/symbols"
)

func (m *x86) decode(code []byte, off int, entry symbols.VirtAddr) (instr, error) {
	b := code[off:]
	l, err := parse(b, m.bits)
	if err == nil && isBranch(&l) && l.has(0x66) {
		err = errPrefixed
	}
	if err != nil {
		return instr{}, &DecodeError{
			Addr:  entry + symbols.VirtAddr(off),
			Bytes: append([]byte(nil), b[:min(len(b), instrMax)]...),
			Err:   err,
		}
	}
	in := instr{off: off, size: l.size, cond: Never}
	in.flow, in.cond = flowOf(&l)
	if isBranch(&l) {
		in.target = int64(off+l.size) + relative(b, &l)
	}
	in.emulated = emulated(&l)
	in.refused = refused(&l, b)
	return in, nil
}

// isBranch reports whether the instruction has a relative target.
func isBranch(l *layout) bool {
	if l.vector {
		return false
	}
	switch op := l.op; l.escape {
	case 0:
		return op >= 0x70 && op <= 0x7f || op >= 0xe0 && op <= 0xe3 ||
			op == 0xe8 || op == 0xe9 || op == 0xeb || op == 0xc7 && l.modrm == 0xf8 // xbegin
	case 1:
		return op >= 0x80 && op <= 0x8f
	}
	return false
}

// relative is the operand of a branch.
func relative(b []byte, l *layout) int64 {
	if l.immSize == 1 {
		return int64(int8(b[l.immAt]))
	}
	return int64(int32(binary.LittleEndian.Uint32(b[l.immAt:])))
}

func flowOf(l *layout) (flow, Cond) {
	if l.vector {
		return next, Never
	}
	op := l.op
	switch l.escape {
	case 1:
		switch {
		case op >= 0x80 && op <= 0x8f:
			return branch, Cond(op & 15)
		case op == 0x0b || op == 0xb9 || op == 0xff: // ud2, ud1, ud0
			return dead, Never
		case op == 0x07 || op == 0x35: // sysret, sysexit
			return dead, Never
		}
	case 0:
		switch {
		case op >= 0x70 && op <= 0x7f:
			return branch, Cond(op & 15)
		case op >= 0xe0 && op <= 0xe3: // loop, jrcxz: on a counter
			return branch, Never
		case op == 0xc7 && l.modrm == 0xf8: // xbegin: on abort
			return branch, Never
		}
		switch op {
		case 0xe8:
			return call, Always
		case 0x9a: // far, in 32-bit code
			return callAny, Always
		case 0xea:
			return jumpAny, Always
		case 0xe9, 0xeb:
			return jump, Always
		case 0xc2, 0xc3, 0xca, 0xcb, 0xcf:
			return ret, Always
		case 0xcc, 0xf1, 0xf4: // int3, int1, hlt
			return dead, Never
		case 0xff:
			switch l.reg() {
			case 2, 3:
				return callAny, Always
			case 4, 5:
				return jumpAny, Always
			}
		}
	}
	return next, Never
}

func (m *x86) text(code []byte, in instr, entry symbols.VirtAddr) string {
	x, ok := m.disassemble(code, in)
	if !ok {
		return fmt.Sprintf(".byte % x", code[in.off:in.end()])
	}
	s := x86asm.GNUSyntax(x, uint64(entry)+uint64(in.off), nil)
	switch x.Op { // as binutils prints them since 2.31
	case x86asm.RET, x86asm.JMP, x86asm.CALL:
		name := strings.ToLower(x.Op.String())
		s = strings.Replace(s, name+"q", name, 1)
	}
	// x86asm leaves out the displacement of an absolute address that is zero.
	return strings.Replace(s, "s:,", "s:0x0,", 1)
}

// table finds `lea table(%rip),R` and `jmp *(R,index,8)`, which is what the
// compiler emits for a switch on amd64 (cmd/compile/internal/amd64/ssa.go,
// BlockAMD64JUMPTABLE), and reads the table: absolute addresses of blocks.
// On 386 it emits none; C compilers write `jmp *table(,index,4)`.
// The table's length is not in the code; reading on as long as the words
// point into the function can only add targets.
func (m *x86) table(code []byte, seq []instr, entry symbols.VirtAddr, mem Memory) ([]int, bool) {
	if len(seq) == 0 {
		return nil, false
	}
	x, ok := m.disassemble(code, seq[len(seq)-1])
	if !ok {
		return nil, false
	}
	arg, ok := x.Args[0].(x86asm.Mem)
	if !ok || int64(arg.Scale) != m.word || arg.Segment != 0 {
		return nil, false
	}
	if m.ip == 0 && arg.Base == 0 {
		return m.readTable(symbols.VirtAddr(uint32(arg.Disp)), entry, len(code), mem)
	}
	if arg.Base == 0 || arg.Disp != 0 {
		return nil, false
	}
	base, ok := m.dwarfReg(arg.Base)
	if !ok {
		return nil, false
	}
	for i := len(seq) - 2; i >= 0; i-- {
		in := seq[i]
		if in.flow != next && in.flow != branch {
			return nil, false
		}
		if !m.effects(code, in).writes.has(base) {
			continue
		}
		x, ok := m.disassemble(code, in)
		src, isMem := x.Args[1].(x86asm.Mem)
		if !ok || x.Op != x86asm.LEA || x.Args[0] != arg.Base || !isMem ||
			m.ip == 0 || src.Base != m.ip || src.Index != 0 {
			return nil, false
		}
		addr := entry + symbols.VirtAddr(in.end()) + symbols.VirtAddr(signed(src.Disp))
		return m.readTable(addr, entry, len(code), mem)
	}
	return nil, false
}

// tableMax is the largest jump table that is read. The compiler's grow with
// the number of cases; a larger one is as one that cannot be read.
const tableMax = 1 << 16

func (m *x86) readTable(addr, entry symbols.VirtAddr, size int, mem Memory) (targets []int, ok bool) {
	var word [8]byte // little-endian: a shorter word is the lower part
	for i := range int64(tableMax) {
		if mem(addr+symbols.VirtAddr(m.word*i), word[:m.word]) != nil {
			return targets, len(targets) > 0
		}
		t := binary.LittleEndian.Uint64(word[:]) - uint64(entry)
		if t >= uint64(size) {
			return targets, len(targets) > 0
		}
		targets = append(targets, int(t))
	}
	return nil, false
}
