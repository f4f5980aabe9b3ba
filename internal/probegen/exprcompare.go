package probegen

import (
	"encoding/binary"
	"go/constant"
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
)

// floats puts the bits of a floating-point number, or of both halves of a complex
// one, on the stack: a number of 32 bits in the upper half of its word, where its
// sign is that of the word.
func (x *compiler) floats(n *expr.Node) int16 {
	for n.Op == expr.As {
		n = n.X
	}
	half, halves := n.Type.Size, int64(1)
	if n.Type.Kind == abi.Complex64 || n.Type.Kind == abi.Complex128 {
		half, halves = n.Type.Size/2, 2
	}
	at := x.alloc(2)
	put := func(i int64) {
		if half == 4 {
			x.emit(asm.LSh.Imm(regValue, 32))
		}
		x.emit(asm.StoreMem(asm.RFP, at+int16(8*i), regValue, asm.DWord))
	}
	if n.Op == expr.Const {
		parts := []constant.Value{constant.Real(n.Const), constant.Imag(n.Const)}
		for i := range halves {
			f, _ := constant.Float64Val(parts[i])
			bits := math.Float64bits(f)
			if half == 4 {
				bits = uint64(math.Float32bits(float32(f)))
			}
			x.constant(regValue, int64(bits))
			put(i)
		}
		return at
	}
	s := x.place(n)
	base := int16(0)
	if s.param < 0 && halves > 1 {
		base = x.push()
	}
	for i := range halves {
		if i > 0 && base != 0 {
			x.fetch(regValue, base)
		}
		x.load(spot{s.param, s.off + i*half}, half, false)
		put(i)
	}
	if base != 0 {
		x.free(1)
	}
	return at
}

// compareFloats compares as IEEE 754 has it: nothing is equal to, or less or
// greater than, what is no number, and both zeros are equal. Programs have no
// floating-point registers; but the bits of numbers other than those are in the
// numbers' order, if the sign is taken as a sign.
func (x *compiler) compareFloats(n *expr.Node, yes, no string) {
	a, b := x.floats(n.X), x.floats(n.Y)
	size, halves := n.X.Type.Size, int16(1)
	if k := n.X.Type.Kind; k == abi.Complex64 || k == abi.Complex128 {
		size, halves = size/2, 2
	}
	infinity := int64(0x7ff) << 52
	if size == 4 {
		infinity = 0xff << 55
	}
	unordered := no
	if n.Op == expr.Ne {
		unordered = yes
	}
	for i := range halves {
		x.emit(asm.LoadImm(asm.R5, infinity, asm.DWord))
		for j, at := range []int16{a, b} {
			r, amount := asm.R1+asm.Register(j), asm.R3+asm.Register(j)
			x.fetch(r, at+8*i)
			x.emit(
				asm.Mov.Reg(amount, r), asm.LSh.Imm(amount, 1), asm.RSh.Imm(amount, 1),
				asm.JGT.Reg(amount, asm.R5, unordered),
			)
			x.opposite(amount, r)
		}
		if i < halves-1 { // Eq or Ne
			if n.Op == expr.Eq {
				x.emit(asm.JNE.Reg(asm.R3, asm.R4, no))
			} else {
				x.emit(asm.JNE.Reg(asm.R3, asm.R4, yes))
			}
			continue
		}
		x.emit(jumps[n.Op][1].Reg(asm.R3, asm.R4, yes), asm.Ja.Label(no))
	}
	x.free(4)
}

// textOf returns a constant string.
func textOf(n *expr.Node) (string, bool) {
	for n.Op == expr.As {
		n = n.X
	}
	if n.Op != expr.Const {
		return "", false
	}
	return constant.StringVal(n.Const), true
}

// mirrored is a comparison with its operands exchanged.
var mirrored = map[expr.Op]expr.Op{
	expr.Eq: expr.Eq, expr.Ne: expr.Ne, expr.Lt: expr.Gt, expr.Le: expr.Ge, expr.Gt: expr.Lt, expr.Ge: expr.Le,
}

// chunkWords is how many words of strings are read and compared at a time.
const chunkWords = 8

// compareStrings compares a string with a constant: words of 8 bytes as numbers
// of big endian, which are in the order of their bytes. A string is zero
// beyond its end; if that makes no difference the lengths decide.
func (x *compiler) compareStrings(n *expr.Node, yes, no string) {
	op, v := n.Op, n.X
	text, ok := textOf(n.Y)
	if !ok {
		op, v = mirrored[op], n.Y
		text, ok = textOf(n.X)
	}
	_, both := textOf(v)
	if !ok || both {
		x.err = "it compares two strings, of which one must be constant"
		return
	}
	h := x.header(v)
	equality := op == expr.Eq || op == expr.Ne
	same, other := yes, no // for equality
	if op == expr.Ne {
		same, other = no, yes
	}
	if equality {
		x.fetch(asm.R1, h+8)
		x.emit(asm.JNE.Imm(asm.R1, int32(len(text)), other))
	}
	buf := x.alloc(chunkWords)
	for at := 0; at < len(text); at += 8 * chunkWords {
		x.compareChunk(text, at, h, buf, equality, op, yes, no, other)
	}
	x.free(chunkWords + 3)
	if equality {
		x.emit(asm.Ja.Label(same))
		return
	}
	x.fetch(asm.R1, h+8)
	x.emit(jumps[op][0].Imm(asm.R1, int32(len(text)), yes), asm.Ja.Label(no))
}

// compareChunk compares a part of a string with that of the constant that begins
// at byte at. It goes on where they are the same.
func (x *compiler) compareChunk(text string, at int, h, buf int16, equality bool, op expr.Op, yes, no, other string) {
	size := min(len(text)-at, 8*chunkWords)
	words := (size + 7) / 8
	x.emit(asm.Mov.Imm(asm.R1, 0))
	for i := range words {
		x.emit(asm.StoreMem(asm.RFP, buf+int16(8*i), asm.R1, asm.DWord))
	}
	x.fetch(regValue, h)
	if equality {
		x.read(asm.RFP, buf, int64(at), int64(size))
	} else {
		x.readUpTo(buf, int64(at), int64(size), h+8)
	}
	padded := append([]byte(text[at:at+size]), make([]byte, 7)...)
	for i := range words {
		x.fetch(asm.R1, buf+int16(8*i))
		if equality {
			x.emit(
				asm.LoadImm(asm.R2, int64(binary.LittleEndian.Uint64(padded[8*i:])), asm.DWord),
				asm.JNE.Reg(asm.R1, asm.R2, other),
			)
			continue
		}
		next := x.fresh("next")
		x.emit(
			asm.HostTo(asm.BE, asm.R1, asm.DWord),
			asm.LoadImm(asm.R2, int64(binary.BigEndian.Uint64(padded[8*i:])), asm.DWord),
			asm.JEq.Reg(asm.R1, asm.R2, next),
			jumps[op][0].Reg(asm.R1, asm.R2, yes),
			asm.Ja.Label(no),
		)
		x.label(next)
	}
}

// readUpTo reads at most size bytes of a string from byte at on, to where it
// ends. The string's address is in regValue, its length on the stack.
func (x *compiler) readUpTo(buf int16, at, size int64, length int16) {
	ok := x.fresh("ok")
	read := func(helper asm.BuiltinFunc) {
		x.emit(asm.Mov.Reg(asm.R3, regValue))
		x.add(asm.R3, at)
		x.wrap(asm.R3)
		x.emit(asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(buf)), helper.Call())
	}
	bound := func() {
		least, fits := x.fresh("least"), x.fresh("fits")
		x.fetch(asm.R2, length)
		x.emit(asm.JGE.Imm(asm.R2, int32(at), least), asm.Mov.Imm(asm.R2, int32(at)))
		x.label(least)
		x.emit(asm.Sub.Imm(asm.R2, int32(at)), asm.JLE.Imm(asm.R2, int32(size), fits), asm.Mov.Imm(asm.R2, int32(size)))
		x.label(fits)
	}
	bound()
	read(asm.FnProbeReadUser)
	if x.opts.Sleepable {
		x.emit(asm.JEq.Imm(asm.R0, 0, ok))
		x.note("fetch the page")
		bound()
		read(asm.FnCopyFromUser)
	}
	x.emit(asm.JNE.Imm(asm.R0, 0, x.failure(abi.NotResident)))
	if x.opts.Sleepable {
		x.label(ok)
	}
}
