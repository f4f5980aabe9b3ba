package site

import "github.com/argtap/argtap/symbols"

// table finds what the compiler emits for a switch
// (cmd/compile/internal/arm64/ssa.go, BlockARM64JUMPTABLE):
//
//	adrp T,page ; add T,T,#low ; … ; ldr x27,[T,index,lsl #3] ; br x27
//
// and reads the table: absolute addresses of blocks. The table's length is
// not in the code; reading on as long as the words point into the function
// can only add targets.
func (m arm64) table(code []byte, seq []instr, entry symbols.VirtAddr, mem Memory) ([]int, bool) {
	br := wordAt(code, seq[len(seq)-1].off)
	if !br.is(0xfffffc1f, 0xd61f0000) {
		return nil, false
	}
	i, ok := m.setBy(code, seq[:len(seq)-1], br.bits(9, 5))
	if !ok {
		return nil, false
	}
	ldr := wordAt(code, seq[i].off)
	if !ldr.is(0xffe0fc00, 0xf8607800) {
		return nil, false
	}
	addr, ok := m.address(code, seq[:i], ldr.bits(9, 5), entry)
	if !ok {
		return nil, false
	}
	return amd64.readTable(addr, entry, len(code), mem)
}

// setBy returns the last instruction of seq that writes the general register.
func (m arm64) setBy(code []byte, seq []instr, n uint32) (int, bool) {
	var r regSet
	r.addX(n)
	for i := len(seq) - 1; i >= 0; i-- {
		if f := seq[i].flow; f != next && f != branch {
			return 0, false
		}
		if m.effects(code, seq[i]).writes.meets(r) {
			return i, true
		}
	}
	return 0, false
}

// address returns the address of the program's own data that the general
// register holds behind seq.
func (m arm64) address(code []byte, seq []instr, n uint32, entry symbols.VirtAddr) (symbols.VirtAddr, bool) {
	i, ok := m.setBy(code, seq, n)
	if !ok {
		return 0, false
	}
	w := wordAt(code, seq[i].off)
	pc := int64(entry) + int64(seq[i].off)
	switch {
	case w.is(0x9f000000, 0x10000000): // adr
		return symbols.VirtAddr(pc + w.relative()), true
	case w.is(0x9f000000, 0x90000000): // adrp
		return symbols.VirtAddr(pc&^4095 + w.relative()<<12), true
	case w.is(0xff800000, 0x91000000): // add
		a, ok := m.address(code, seq[:i], w.bits(9, 5), entry)
		return a + symbols.VirtAddr(w.addend()), ok
	}
	return 0, false
}

// relative is the operand of adr or adrp.
func (w word) relative() int64 { return w.signed(23, 5)<<2 | int64(w.bits(30, 29)) }
