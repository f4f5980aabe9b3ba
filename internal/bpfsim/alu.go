package bpfsim

import "math/bits"

// opBigEndian makes a number of the machine's byte order one of big endian.
const opBigEndian = 0xdc

// operands returns what an arithmetic instruction or a jump works on. Those of
// 32 bits use the lower halves.
func operands(in insn, f *frame, wide, needDst bool) (a, b uint64, err error) {
	if needDst {
		if a, err = f.get(in.dst); err != nil {
			return 0, 0, err
		}
	}
	b = uint64(int64(in.imm))
	if in.op&8 != 0 {
		if b, err = f.get(in.src); err != nil {
			return 0, 0, err
		}
	}
	if !wide {
		a, b = uint64(uint32(a)), uint64(uint32(b))
	}
	return a, b, nil
}

func alu(in insn, f *frame) error {
	const mov = 0xb0
	if in.op == opBigEndian && in.imm == 64 {
		a, err := f.get(in.dst)
		if err != nil {
			return err
		}
		return f.set(in.dst, bits.ReverseBytes64(a))
	}
	wide := in.op&7 == classALU64
	op := in.op & 0xf0
	a, b, err := operands(in, f, wide, op != mov)
	if err != nil {
		return err
	}
	if in.off != 0 {
		return errUnknown
	}
	width := uint64(64)
	if !wide {
		width = 32
	}
	var v uint64
	switch op {
	case 0x00:
		v = a + b
	case 0x10:
		v = a - b
	case 0x20:
		v = a * b
	case 0x30, 0x90:
		v = divide(a, b, op == 0x90)
	case 0x40:
		v = a | b
	case 0x50:
		v = a & b
	case 0x60:
		v = a << (b % width)
	case 0x70:
		v = a >> (b % width)
	case 0xa0:
		v = a ^ b
	case 0xc0:
		v = uint64(int64(a<<(64-width)) >> (64 - width) >> (b % width))
	case mov:
		v = b
	default:
		return errUnknown
	}
	if !wide {
		v = uint64(uint32(v))
	}
	return f.set(in.dst, v)
}

// divide returns the quotient or the remainder: BPF defines those by zero.
func divide(a, b uint64, remainder bool) uint64 {
	switch {
	case b == 0 && remainder:
		return a
	case b == 0:
		return 0
	case remainder:
		return a % b
	}
	return a / b
}

func jump(in insn, f *frame) (bool, error) {
	if in.op == opJa {
		return true, nil
	}
	wide := in.op&7 == classJmp
	a, b, err := operands(in, f, wide, true)
	if err != nil {
		return false, err
	}
	sa, sb := int64(a), int64(b)
	if !wide {
		sa, sb = int64(int32(a)), int64(int32(b))
	}
	switch in.op & 0xf0 {
	case 0x10:
		return a == b, nil
	case 0x20:
		return a > b, nil
	case 0x30:
		return a >= b, nil
	case 0x40:
		return a&b != 0, nil
	case 0x50:
		return a != b, nil
	case 0x60:
		return sa > sb, nil
	case 0x70:
		return sa >= sb, nil
	case 0xa0:
		return a < b, nil
	case 0xb0:
		return a <= b, nil
	case 0xc0:
		return sa < sb, nil
	case 0xd0:
		return sa <= sb, nil
	}
	return false, errUnknown
}
