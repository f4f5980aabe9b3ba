package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
)

// spot is where a place is: at an offset of a parameter's image, or if param is
// negative at an offset from the address in regValue.
type spot struct {
	param int
	off   int64
}

// place returns where a place is.
func (x *compiler) place(n *expr.Node) spot {
	switch n.Op {
	case expr.As:
		return x.place(n.X)
	case expr.Param:
		return spot{param: int(n.N)}
	case expr.Field:
		s := x.place(n.X)
		s.off += n.N
		return s
	case expr.Deref:
		x.scalar(n.X)
		x.emit(asm.JEq.Imm(regValue, 0, x.failure(abi.NilPointer)))
		return spot{param: -1}
	case expr.Index:
		return x.index(n)
	case expr.Elem:
		h := x.header(n.X)
		x.scalar(n.Y)
		x.fetch(asm.R1, h+8)
		x.emit(asm.JGE.Reg(regValue, asm.R1, x.failure(abi.IndexOutOfRange)))
		x.scaled(n.Type.Size)
		x.fetch(asm.R1, h)
		x.emit(asm.Add.Reg(regValue, asm.R1))
		x.wrap(regValue)
		x.free(3)
		return spot{param: -1}
	case expr.Assert:
		return x.assert(n)
	}
	x.err = "it looks into a map" // internal/capture says that it does not
	return spot{param: -1}
}

// wrap cuts an address to the size of addresses.
func (x *compiler) wrap(r asm.Register) {
	if x.small() {
		x.emit(asm.Mov.Reg32(r, r))
	}
}

// index is the place of an element of an array.
func (x *compiler) index(n *expr.Node) spot {
	s := x.place(n.X)
	if s.param >= 0 && n.N == 1 {
		x.scalar(n.Y)
		x.below(1, x.failure(abi.IndexOutOfRange))
		return s
	}
	x.address(s, n.N*n.Type.Size)
	base := x.push()
	x.scalar(n.Y)
	x.below(n.N, x.failure(abi.IndexOutOfRange))
	x.scaled(n.Type.Size)
	x.fetch(asm.R1, base)
	x.emit(asm.Add.Reg(regValue, asm.R1))
	x.wrap(regValue)
	x.free(1)
	return spot{param: -1}
}

// assert is the place of what an interface holds.
func (x *compiler) assert(n *expr.Node) spot {
	word := x.arch.PtrSize
	s := x.place(n.X)
	var words, at int16
	if s.param < 0 {
		at = x.push()
		words = x.alloc(2)
		x.read(asm.RFP, words, s.off, 2*word)
		x.emit(asm.LoadMem(regValue, asm.RFP, words, memSize(int(word))))
	} else {
		x.load(s, word, false)
	}
	other := x.failure(abi.OtherType)
	x.emit(asm.JEq.Imm(regValue, 0, other))
	if n.Methods {
		x.note("the type in the itab")
		x.load(spot{param: -1, off: word}, word, false)
	}
	x.notef("is it a %s?", n.Type)
	if x.c.Return {
		// There are several sites.
		x.emit(
			asm.LoadMem(asm.R1, asm.RFP, x.openValue()+OpenBias, asm.DWord),
			asm.LoadImm(asm.R2, int64(x.c.Descriptors+n.Type.RuntimeType), asm.DWord),
		)
	} else {
		x.emit(
			asm.LoadMem(asm.R1, regCtx, x.machine.pc, asm.DWord),
			asm.LoadImm(asm.R2, int64(x.c.Descriptors+n.Type.RuntimeType-x.site), asm.DWord),
		)
	}
	x.emit(asm.Add.Reg(asm.R1, asm.R2))
	x.wrap(asm.R1)
	x.emit(asm.JNE.Reg(regValue, asm.R1, other))
	if n.Type.RuntimeType == 0 {
		x.fail(abi.OtherType) // nothing is known to be of a type without a descriptor
	}
	if s.param >= 0 {
		s.off += word
		if !n.Direct {
			x.load(s, word, false)
			s = spot{param: -1}
		}
		return s
	}
	if n.Direct {
		x.fetch(regValue, at)
		s.off += word
	} else {
		x.emit(asm.LoadMem(regValue, asm.RFP, words+int16(word), memSize(int(word))))
		s.off = 0
	}
	x.free(3)
	return s
}

// pieces returns the pieces of a parameter that have some of the bytes of a
// place.
func (x *compiler) pieces(s spot, size int64) (found []abi.Piece) {
	if s.param >= len(x.c.Params) {
		return nil
	}
	for _, p := range x.c.Params[s.param] {
		if p.Offset < s.off+size && s.off < p.Offset+p.Size {
			found = append(found, p)
		}
	}
	return found
}

// memory makes regValue the address of byte within of a piece that is in memory.
// It reports whether it is.
func (x *compiler) memory(p abi.Piece, within int64) bool {
	reg, disp := p.Reg, p.Disp
	switch p.Kind {
	case abi.InFrame:
		reg, disp = x.arch.SP, x.cfa+int64(p.CFA)
	case abi.InMemory:
	default:
		return false
	}
	if x.unreadable(reg) {
		return false
	}
	x.note(x.arch.RegName(reg))
	x.loadReg(regValue, reg)
	if disp += within; disp != 0 {
		x.operate(asm.Add, disp)
		x.wrap(regValue)
	}
	return true
}

// piece makes regValue the bytes of a piece from within on that are not in
// memory, with anything above them.
func (x *compiler) piece(p abi.Piece, within int64) {
	shift := int32(8 * within)
	switch {
	case p.Kind == abi.Nowhere && p.Reason != abi.Present:
		x.fail(p.Reason)
	case p.Kind == abi.Constant && within < 8:
		x.constant(regValue, int64(p.Const>>shift))
	case p.Kind == abi.InRegister && x.unreadable(p.Reg):
		x.fail(abi.RegisterNotReadable)
	case p.Kind == abi.InRegister && within < x.arch.PtrSize:
		x.note(x.arch.RegName(p.Reg))
		x.loadReg(regValue, p.Reg)
		if shift > 0 {
			x.emit(asm.RSh.Imm(regValue, shift))
		}
	case p.Kind == abi.Nowhere:
		x.fail(abi.OptimizedOut)
	default:
		x.fail(abi.UnsupportedLocation)
	}
}

// load makes regValue a number of 1, 2, 4 or 8 bytes at a place.
func (x *compiler) load(s spot, size int64, signed bool) {
	if s.param < 0 {
		at := x.alloc(1)
		x.read(asm.RFP, at, s.off, size)
		x.loadStack(at, size, signed)
		x.free(1)
		return
	}
	if x.known(s) {
		x.loadKnown(s, size, signed)
		return
	}
	pieces := x.pieces(s, size)
	if len(pieces) == 1 && pieces[0].Offset <= s.off && s.off+size <= pieces[0].Offset+pieces[0].Size {
		p, within := pieces[0], s.off-pieces[0].Offset
		if x.memory(p, within) {
			x.load(spot{param: -1}, size, signed)
			return
		}
		x.piece(p, within)
		x.extend(regValue, size, signed)
		return
	}
	x.note("its pieces")
	at := x.alloc(1)
	x.emit(asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, at, asm.R1, asm.DWord))
	covered := int64(0)
	for _, p := range pieces {
		from := max(p.Offset, s.off)
		part := min(p.Offset+p.Size, s.off+size) - from
		to := at + int16(from-s.off)
		covered += part
		if x.memory(p, from-p.Offset) {
			x.read(asm.RFP, to, 0, part)
			continue
		}
		x.piece(p, from-p.Offset)
		for ; part > 0; part-- {
			x.emit(asm.StoreMem(asm.RFP, to, regValue, asm.Byte), asm.RSh.Imm(regValue, 8))
			to++
		}
	}
	if covered < size {
		x.fail(abi.OptimizedOut)
	}
	x.loadStack(at, size, signed)
	x.free(1)
}

func (x *compiler) loadStack(at int16, size int64, signed bool) {
	x.emit(asm.LoadMem(regValue, asm.RFP, at, memSize(int(size))))
	if signed {
		x.extend(regValue, size, true)
	}
}

// address makes regValue the address of a place of size bytes.
func (x *compiler) address(s spot, size int64) {
	if s.param < 0 {
		if s.off != 0 {
			x.operate(asm.Add, s.off)
			x.wrap(regValue)
		}
		return
	}
	pieces := x.pieces(s, max(size, 1))
	if len(pieces) == 0 {
		x.fail(abi.OptimizedOut)
		return
	}
	if p := pieces[0]; len(pieces) == 1 && p.Offset <= s.off && s.off+size <= p.Offset+p.Size && x.memory(p, s.off-p.Offset) {
		return
	}
	for _, p := range pieces {
		if p.Kind == abi.Nowhere {
			x.piece(p, 0)
			return
		}
	}
	x.fail(abi.NoAddress)
}
