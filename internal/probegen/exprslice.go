package probegen

import (
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
)

// header puts a string or slice on the stack: three words of 8 bytes with the
// address, the length, and for slices the capacity. One that is negative is no Go
// value, and has none.
func (x *compiler) header(n *expr.Node) int16 {
	for n.Op == expr.As {
		n = n.X
	}
	if n.Op == expr.Slice {
		return x.slice(n)
	}
	if n.Op == expr.Const {
		x.err = "it needs the address of a constant"
		return x.alloc(3)
	}
	words := int64(2)
	if n.Type.Kind == abi.Slice {
		words = 3
	}
	s, word := x.place(n), x.arch.PtrSize
	at := x.alloc(3)
	if s.param >= 0 {
		if p := x.pieces(s, words*word); len(p) == 1 && x.memory(p[0], s.off-p[0].Offset) && s.off >= p[0].Offset {
			s = spot{param: -1}
		}
	}
	if s.param < 0 {
		x.read(asm.RFP, at, s.off, words*word)
		if word == 8 {
			for i := range words - 1 {
				x.fetch(asm.R1, at+8*int16(1+i))
				x.sound(asm.R1)
			}
			return at
		}
		for i := range words {
			x.emit(asm.LoadMem(asm.R1+asm.Register(i), asm.RFP, at+int16(word*i), asm.Word))
			if i > 0 {
				x.sound(asm.R1 + asm.Register(i))
			}
		}
		for i := range words {
			x.emit(asm.StoreMem(asm.RFP, at+int16(8*i), asm.R1+asm.Register(i), asm.DWord))
		}
		return at
	}
	for i := range words {
		x.load(spot{s.param, s.off + i*word}, word, false)
		if i > 0 {
			x.sound(regValue)
		}
		x.emit(asm.StoreMem(asm.RFP, at+int16(8*i), regValue, asm.DWord))
	}
	return at
}

// sound fails if a length or capacity, in a register, is negative.
func (x *compiler) sound(r asm.Register) {
	no := x.failure(abi.Implausible)
	if x.small() {
		x.emit(asm.JGT.Imm(r, math.MaxInt32, no))
	} else {
		x.emit(asm.JSLT.Imm(r, 0, no))
	}
}

// slice puts what a slice expression makes on the stack, as header does.
func (x *compiler) slice(n *expr.Node) int16 {
	var h int16
	elem := int64(1)
	if n.Type.Kind == abi.Slice {
		elem = n.Type.Elem.Size
	}
	if n.X.Type.Kind == abi.Array {
		x.address(x.place(n.X), n.N*elem)
		h = x.alloc(3)
		x.emit(asm.StoreMem(asm.RFP, h, regValue, asm.DWord))
		x.constant(asm.R1, n.N)
		x.emit(asm.StoreMem(asm.RFP, h+8, asm.R1, asm.DWord), asm.StoreMem(asm.RFP, h+16, asm.R1, asm.DWord))
	} else {
		h = x.header(n.X)
	}
	capacity := h + 16
	if n.Type.Kind == abi.String {
		capacity = h + 8
	}
	// The limits, on the stack unless they are constants.
	limits := [3]*expr.Node{n.Y, n.Hi, n.Max}
	var at [3]int16
	pushed := 0
	for i, limit := range limits {
		if limit != nil && limit.Op != expr.Const {
			x.scalar(limit)
			at[i] = x.push()
			pushed++
		}
	}
	for i, r := range []asm.Register{asm.R1, asm.R2, asm.R3} {
		switch limit := limits[i]; {
		case at[i] != 0:
			x.fetch(r, at[i])
		case limit != nil:
			x.constant(r, int64(limit.Bits()))
		case i == 0:
			x.emit(asm.Mov.Imm(r, 0))
		case i == 1:
			x.fetch(r, h+8)
		default:
			x.fetch(r, capacity)
		}
	}
	x.free(pushed)
	no := x.failure(abi.SliceOutOfRange)
	if n.Max != nil {
		x.fetch(asm.R4, capacity)
		x.emit(asm.JGT.Reg(asm.R3, asm.R4, no))
	}
	x.emit(
		asm.JGT.Reg(asm.R2, asm.R3, no), asm.JGT.Reg(asm.R1, asm.R2, no),
		asm.Sub.Reg(asm.R2, asm.R1), asm.StoreMem(asm.RFP, h+8, asm.R2, asm.DWord),
	)
	if n.Type.Kind == abi.Slice {
		x.emit(asm.Sub.Reg(asm.R3, asm.R1), asm.StoreMem(asm.RFP, h+16, asm.R3, asm.DWord))
	} else {
		x.emit(asm.Mov.Reg(asm.R3, asm.R2))
	}
	if n.Y == nil {
		return h
	}
	end := x.fresh("end")
	x.emit(asm.JEq.Imm(asm.R3, 0, end)) // at the end of the capacity the address does not move
	if immediate(elem) {
		x.emit(asm.Mul.Imm(asm.R1, int32(elem)))
	} else {
		x.emit(asm.LoadImm(asm.R4, elem, asm.DWord), asm.Mul.Reg(asm.R1, asm.R4))
	}
	x.fetch(asm.R2, h)
	x.emit(asm.Add.Reg(asm.R2, asm.R1))
	x.wrap(asm.R2)
	x.emit(asm.StoreMem(asm.RFP, h, asm.R2, asm.DWord))
	x.label(end)
	return h
}
