package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
)

// scalar makes regValue an integer, bool or word of an address.
func (x *compiler) scalar(n *expr.Node) {
	if n.Op.IsPlace() {
		x.load(x.place(n), n.Type.Size, signed(n.Type))
		return
	}
	switch n.Op {
	case expr.Const:
		x.constant(regValue, int64(n.Bits()))
		return
	case expr.Len, expr.Cap:
		x.length(n)
		return
	case expr.As, expr.Convert:
		x.scalar(n.X)
	case expr.Neg:
		x.scalar(n.X)
		x.emit(asm.Mul.Imm(regValue, -1))
	case expr.Com:
		x.scalar(n.X)
		x.emit(asm.Xor.Imm(regValue, -1))
	case expr.Not:
		x.scalar(n.X)
		x.emit(asm.Xor.Imm(regValue, 1))
	case expr.AndAnd, expr.OrOr:
		end := x.fresh("end")
		x.scalar(n.X)
		if n.Op == expr.AndAnd {
			x.emit(asm.JEq.Imm(regValue, 0, end))
		} else {
			x.emit(asm.JNE.Imm(regValue, 0, end))
		}
		x.scalar(n.Y)
		x.label(end)
		return
	case expr.IsNil, expr.Eq, expr.Ne, expr.Lt, expr.Le, expr.Gt, expr.Ge:
		x.truth(n)
		return
	default:
		x.binary(n)
	}
	x.extend(regValue, n.Type.Size, signed(n.Type))
}

// truth makes regValue 1 if the condition is met, else 0.
func (x *compiler) truth(n *expr.Node) {
	yes, no, end := x.fresh("yes"), x.fresh("no"), x.fresh("end")
	x.cond(n, yes, no)
	x.label(yes)
	x.emit(asm.Mov.Imm(regValue, 1), asm.Ja.Label(end))
	x.label(no)
	x.emit(asm.Mov.Imm(regValue, 0))
	x.label(end)
}

// operands makes regValue the value of n.X, and R1 that of n.Y.
func (x *compiler) operands(n *expr.Node) {
	x.scalar(n.X)
	if n.Y.Op == expr.Const {
		x.constant(asm.R1, int64(n.Y.Bits()))
		return
	}
	at := x.push()
	x.scalar(n.Y)
	x.emit(asm.Mov.Reg(asm.R1, regValue))
	x.fetch(regValue, at)
	x.free(1)
}

var arithmetic = map[expr.Op]asm.ALUOp{
	expr.Add: asm.Add, expr.Sub: asm.Sub, expr.Mul: asm.Mul, expr.And: asm.And, expr.Or: asm.Or, expr.Xor: asm.Xor,
}

// binary computes an operation of two integers, modulo 2^64.
func (x *compiler) binary(n *expr.Node) {
	op, simple := arithmetic[n.Op]
	if v, ok := isConst(n.Y); ok && simple {
		x.scalar(n.X)
		x.emit(op.Imm(regValue, int32(v)))
		return
	}
	x.operands(n)
	switch n.Op {
	case expr.AndNot:
		x.emit(asm.Xor.Imm(asm.R1, -1), asm.And.Reg(regValue, asm.R1))
	case expr.Quo, expr.Rem:
		x.divide(n)
	case expr.Shl, expr.Shr:
		x.shift(n)
	default:
		if !simple {
			x.err = "it has an operation that is not known: " + n.Op.String()
		}
		x.emit(op.Reg(regValue, asm.R1))
	}
}

// divide divides regValue by R1. Programs have signed division only since Linux
// 6.6.
func (x *compiler) divide(n *expr.Node) {
	op := asm.Div
	if n.Op == expr.Rem {
		op = asm.Mod
	}
	x.emit(asm.JEq.Imm(asm.R1, 0, x.failure(abi.DivisionByZero)))
	if !signed(n.Type) {
		x.emit(op.Reg(regValue, asm.R1))
		return
	}
	// The sign of a quotient is that of both together, that of a remainder the
	// dividend's. The most negative number is its own opposite.
	x.emit(asm.Mov.Reg(asm.R2, regValue))
	if n.Op == expr.Quo {
		x.emit(asm.Xor.Reg(asm.R2, asm.R1))
	}
	for _, r := range []asm.Register{regValue, asm.R1} {
		x.opposite(r, r)
	}
	x.emit(op.Reg(regValue, asm.R1))
	x.opposite(regValue, asm.R2)
}

// opposite changes the sign of r if that of sign is negative.
func (x *compiler) opposite(r, sign asm.Register) {
	skip := x.fresh("positive")
	x.emit(asm.JSGE.Imm(sign, 0, skip), asm.Mul.Imm(r, -1))
	x.label(skip)
}

// shift shifts regValue by R1.
func (x *compiler) shift(n *expr.Node) {
	if signed(n.Y.Type) {
		x.emit(asm.JSLT.Imm(asm.R1, 0, x.failure(abi.NegativeShift)))
	}
	fits, end := x.fresh("fits"), x.fresh("end")
	x.emit(asm.JLT.Imm(asm.R1, 64, fits))
	op := asm.RSh
	switch {
	case n.Op == expr.Shl:
		op = asm.LSh
		x.emit(asm.Mov.Imm(regValue, 0))
	case signed(n.Type):
		op = asm.ArSh
		x.emit(asm.ArSh.Imm(regValue, 63))
	default:
		x.emit(asm.Mov.Imm(regValue, 0))
	}
	x.emit(asm.Ja.Label(end))
	x.label(fits)
	x.emit(op.Reg(regValue, asm.R1))
	x.label(end)
}

// length is len or cap.
func (x *compiler) length(n *expr.Node) {
	word := x.arch.PtrSize
	switch k := n.X.Type.Kind; k {
	case abi.Array:
		x.place(n.X)
		x.constant(regValue, n.N)
		return
	case abi.Pointer:
		x.scalar(n.X)
		x.constant(regValue, n.N)
		return
	case abi.Map, abi.Chan:
		end := x.fresh("end")
		off := int64(0)
		if n.Op == expr.Cap {
			off = word
		}
		x.scalar(n.X)
		x.emit(asm.JEq.Imm(regValue, 0, end))
		x.load(spot{param: -1, off: off}, n.Type.Size, signed(n.Type))
		x.label(end)
		return
	}
	h := n.X
	for h.Op == expr.As {
		h = h.X
	}
	words := int64(1)
	if n.Op == expr.Cap && n.X.Type.Kind == abi.Slice {
		words = 2
	}
	if h.IsPlace() {
		s := x.place(h)
		x.load(spot{s.param, s.off + words*word}, word, false)
		x.sound(regValue)
	} else {
		at := x.header(n.X)
		x.fetch(regValue, at+int16(8*words))
		x.free(3)
	}
}

// clean reports whether a bool is 0 or 1 whatever the target's memory has.
func clean(n *expr.Node) bool {
	switch n.Op {
	case expr.Not:
		return clean(n.X)
	case expr.AndAnd, expr.OrOr:
		return clean(n.X) && clean(n.Y)
	}
	return n.Op >= expr.Eq && n.Op <= expr.IsNil
}

// cond generates a bool as a jump to one of two labels.
func (x *compiler) cond(n *expr.Node, yes, no string) {
	switch {
	case n.Op == expr.Not && clean(n.X):
		x.cond(n.X, no, yes)
		return
	case n.Op == expr.AndAnd:
		both := x.fresh("and")
		x.cond(n.X, both, no)
		x.label(both)
		x.cond(n.Y, yes, no)
		return
	case n.Op == expr.OrOr:
		either := x.fresh("or")
		x.cond(n.X, yes, either)
		x.label(either)
		x.cond(n.Y, yes, no)
		return
	case n.Op == expr.IsNil:
		x.first(n.X)
		x.emit(asm.JEq.Imm(regValue, 0, yes))
	case n.Op >= expr.Eq && n.Op <= expr.Ge:
		x.compare(n, yes, no)
		return
	default:
		x.scalar(n)
		x.emit(asm.JNE.Imm(regValue, 0, yes))
	}
	x.emit(asm.Ja.Label(no))
}

// first makes regValue the first word of a value.
func (x *compiler) first(n *expr.Node) {
	switch {
	case n.IsPlace():
		x.load(x.place(n), x.arch.PtrSize, false)
	case n.Type.Kind == abi.Slice:
		h := x.header(n)
		x.fetch(regValue, h)
		x.free(3)
	default:
		x.scalar(n)
	}
}

// jumps compare: of unsigned and of signed numbers.
var jumps = map[expr.Op][2]asm.JumpOp{
	expr.Eq: {asm.JEq, asm.JEq}, expr.Ne: {asm.JNE, asm.JNE},
	expr.Lt: {asm.JLT, asm.JSLT}, expr.Le: {asm.JLE, asm.JSLE},
	expr.Gt: {asm.JGT, asm.JSGT}, expr.Ge: {asm.JGE, asm.JSGE},
}

// compare generates a comparison as a jump to one of two labels.
func (x *compiler) compare(n *expr.Node, yes, no string) {
	t := n.X.Type
	switch t.Kind {
	case abi.Float32, abi.Float64, abi.Complex64, abi.Complex128:
		x.compareFloats(n, yes, no)
		return
	case abi.String:
		x.compareStrings(n, yes, no)
		return
	}
	jump := jumps[n.Op][0]
	if signed(t) {
		jump = jumps[n.Op][1]
	}
	if v, ok := isConst(n.Y); ok {
		x.scalar(n.X)
		x.emit(jump.Imm(regValue, int32(v), yes))
	} else {
		x.operands(n)
		x.emit(jump.Reg(regValue, asm.R1, yes))
	}
	x.emit(asm.Ja.Label(no))
}
