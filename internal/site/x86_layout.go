package site

import "errors"

// layout is where the parts of an x86 instruction lie. It is all that a
// linear pass needs, and unlike x86asm (v0.32 returns a lone prefix for an
// instruction that it does not know) it never loses the boundary between
// instructions. The facts are those of the opcode maps of the Intel SDM,
// volume 2, appendix A.
type layout struct {
	bits   int    // the mode: 64 or 32
	legacy []byte // prefixes other than REX, VEX and EVEX
	rex    byte   // 0 if there is none
	vector bool   // encoded with VEX or EVEX
	escape byte   // opcode map: 0 one byte, 1 0F, 2 0F 38, 3 0F 3A, 5 and 6 EVEX only
	op     byte
	modrm  byte // 0 if there is none
	// immAt is the offset of the immediate or relative operand, of immSize
	// bytes.
	immAt, immSize int
	size           int
}

var (
	errTruncated = errors.New("cut off by the end of the function")
	errInvalid   = errors.New("not an instruction")
	errTooLong   = errors.New("longer than 15 bytes")
	errPrefixed  = errors.New("branch with an operand size prefix, on whose length processors disagree")
)

// instrMax is the length of the longest instruction.
const instrMax = 15

// reg is the middle field of the ModR/M byte: part of the opcode in groups.
func (l *layout) reg() byte { return l.modrm >> 3 & 7 }

// has reports whether the instruction has the legacy prefix p.
func (l *layout) has(p byte) bool {
	for _, b := range l.legacy {
		if b == p {
			return true
		}
	}
	return false
}

// parse finds the layout of the first instruction of b, which is code of the
// mode with so many bits, 64 or 32.
func parse(b []byte, bits int) (layout, error) {
	l, err := parseUncut(b, bits)
	if err == nil && l.size > instrMax {
		err = errTooLong
	}
	return l, err
}

func parseUncut(b []byte, bits int) (l layout, err error) {
	l.bits = bits
	pos := 0
	byteAt := func(i int) byte {
		if i < len(b) {
			return b[i]
		}
		err = errTruncated
		return 0
	}
prefixes:
	for ; pos < len(b) && pos < instrMax; pos++ {
		switch b[pos] {
		case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3:
		default:
			break prefixes
		}
	}
	l.legacy = b[:pos]
	if c := byteAt(pos); bits == 64 && c&0xf0 == 0x40 {
		l.rex = c
		pos++
	}
	imm := 0
	c := byteAt(pos)
	if c == 0xc4 || c == 0xc5 || c == 0x62 {
		// In 32-bit code these are les, lds and bound with an operand in
		// memory. An encoding with VEX or EVEX has there what would be a
		// register.
		l.vector = bits == 64 || byteAt(pos+1) >= 0xc0
	}
	switch {
	case c == 0xc5 && l.vector:
		l.escape, l.op = 1, byteAt(pos+2)
		pos += 3
	case c == 0xc4 && l.vector:
		l.escape, l.op = byteAt(pos+1)&0x1f, byteAt(pos+3)
		pos += 4
	case c == 0x62 && l.vector:
		l.escape, l.op = byteAt(pos+1)&0x7, byteAt(pos+4)
		pos += 5
	case c == 0x0f:
		l.escape, l.op = 1, byteAt(pos+1)
		pos += 2
		if l.op == 0x38 || l.op == 0x3a {
			l.escape = 2 + l.op>>1&1
			l.op = byteAt(pos)
			pos++
		}
	default:
		l.op = c
		pos++
	}
	if err != nil {
		return l, err
	}
	if l.vector && l.rex != 0 {
		return l, errInvalid
	}
	hasModRM, ok := false, true
	switch l.escape {
	case 0:
		hasModRM, imm, ok = oneByte(&l)
	case 1:
		hasModRM, imm, ok = twoByte(&l)
	case 2:
		hasModRM = true
	case 3:
		hasModRM, imm = true, 1
	case 5, 6:
		hasModRM, ok = true, l.vector
	default:
		ok = false
	}
	if !ok {
		return l, errInvalid
	}
	if hasModRM {
		l.modrm = byteAt(pos)
		pos++
		mod, rm := l.modrm>>6, l.modrm&7
		if bits == 32 && l.has(0x67) { // 16-bit addresses: two bytes, no SIB
			switch {
			case mod == 0 && rm == 6, mod == 2:
				pos += 2
			case mod == 1:
				pos++
			}
			mod = 3
		}
		if mod != 3 && rm == 4 {
			if byteAt(pos)&7 == 5 && mod == 0 {
				pos += 4
			}
			pos++
		}
		switch {
		case mod == 0 && rm == 5, mod == 2:
			pos += 4
		case mod == 1:
			pos++
		}
		if l.escape == 0 && (l.op == 0xf6 || l.op == 0xf7) && l.reg() < 2 { // TEST has an operand
			imm = 1
			if l.op == 0xf7 {
				imm = l.immZ()
			}
		}
	}
	l.immAt, l.immSize = pos, imm
	l.size = pos + imm
	if err == nil && l.size > len(b) {
		err = errTruncated
	}
	return l, err
}

// immZ is the size of an operand of type Iz: 16 or 32 bits.
func (l *layout) immZ() int {
	if l.has(0x66) && l.rex&8 == 0 {
		return 2
	}
	return 4
}

// moffs is the size of an absolute address in the instruction.
func (l *layout) moffs() int {
	n := l.bits / 8
	if l.has(0x67) {
		n /= 2
	}
	return n
}

// oneByte has the one-byte opcode map.
func oneByte(l *layout) (modRM bool, imm int, ok bool) {
	op := l.op
	switch {
	case op < 0x40:
		switch op & 7 {
		case 4:
			return false, 1, true
		case 5:
			return false, l.immZ(), true
		case 6, 7:
			return false, 0, l.bits == 32 // push and pop of segments, daa, aas
		}
		return true, 0, true
	case op < 0x50: // in 64-bit code REX before a prefix, in 32-bit code inc and dec
		return false, 0, l.bits == 32
	case op < 0x60:
		return false, 0, true
	case op >= 0x70 && op < 0x80, op >= 0xe0 && op <= 0xe7, op == 0xeb,
		op == 0x6a, op == 0xa8, op == 0xcd, op >= 0xb0 && op < 0xb8:
		return false, 1, true
	case op >= 0x84 && op < 0x90, op >= 0xd0 && op <= 0xd3, op >= 0xd8 && op <= 0xdf:
		return true, 0, true
	case op >= 0xa0 && op <= 0xa3: // an absolute address
		return false, l.moffs(), true
	case op >= 0xb8 && op < 0xc0:
		if l.rex&8 != 0 {
			return false, 8, true
		}
		return false, l.immZ(), true
	}
	if l.bits == 32 {
		switch op {
		case 0x60, 0x61, 0xce, 0xd6: // pusha, popa, into, salc
			return false, 0, true
		case 0x62, 0xc4, 0xc5: // bound, les, lds
			return true, 0, true
		case 0x82: // as 0x80
			return true, 1, true
		case 0x9a, 0xea: // far call and jmp
			return false, l.immZ() + 2, true
		case 0xd4, 0xd5: // aam, aad
			return false, 1, true
		}
	}
	switch op {
	case 0x60, 0x61, 0x62, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea:
		return false, 0, false
	case 0x63, 0xf6, 0xf7, 0xfe, 0xff:
		return true, 0, true
	case 0x68, 0xa9:
		return false, l.immZ(), true
	case 0x69, 0x81, 0xc7:
		return true, l.immZ(), true
	case 0x6b, 0x80, 0x83, 0xc0, 0xc1, 0xc6:
		return true, 1, true
	case 0xc2, 0xca:
		return false, 2, true
	case 0xc8:
		return false, 3, true
	case 0xe8, 0xe9:
		return false, 4, true
	}
	return false, 0, true // string operations, returns, flags, ...
}

// twoByte has the 0F map, which VEX and EVEX share.
func twoByte(l *layout) (modRM bool, imm int, ok bool) {
	op := l.op
	switch {
	case op >= 0x80 && op < 0x90:
		if l.vector { // kmov and others on mask registers
			return true, 0, true
		}
		return false, 4, true
	case op >= 0x30 && op < 0x38, op >= 0xc8 && op < 0xd0, op == 0x77, op >= 0xa0 && op <= 0xa2, op >= 0xa8 && op <= 0xaa:
		return false, 0, true
	case op >= 0x70 && op <= 0x73, op == 0xc2, op >= 0xc4 && op <= 0xc6, op == 0xa4, op == 0xac, op == 0xba, op == 0x0f:
		return true, 1, true
	}
	switch op {
	case 0x04, 0x0a, 0x0c, 0x24, 0x25, 0x26, 0x27, 0x39, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x36, 0xa6, 0xa7:
		return false, 0, false
	case 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e:
		return false, 0, true
	case 0x78:
		if l.has(0x66) || l.has(0xf2) { // extrq, insertq of SSE4a
			return true, 2, !l.vector
		}
	}
	return true, 0, true
}
