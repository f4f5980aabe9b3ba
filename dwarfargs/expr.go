package dwarfargs

import (
	"encoding/binary"
	"math"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
)

const (
	opPlusUconst = uint8(op.DW_OP_plus_uconst)
	// maxExprStack and maxExprPieces bound an expression. Compilers use two or
	// three, and as many pieces as a value has words.
	maxExprStack  = 64
	maxExprPieces = 1 << 12
)

// evaluator evaluates location expressions (DWARF 5 §2.5, §2.6) without a
// process: registers and memory stay symbols. So a result says where a value
// is, for any call of the function, or that it cannot be said that way.
type evaluator struct {
	order     binary.ByteOrder
	addrSize  int
	frameBase []byte // the subprogram's DW_AT_frame_base
	atEntry   bool   // the program counter is the function's entry
}

// symbol is a number that is known up to a register's contents.
type symbol struct {
	base symbolBase
	reg  abi.Reg
	k    int64
	// load, if not 0, says that the number is not base + k, but the load bytes
	// in memory there.
	load int64
}

type symbolBase uint8

const (
	unknown  symbolBase = iota // nothing that a Location can express
	constant                   // k
	cfa                        // CFA + k
	register                   // contents of reg, plus k
)

// place is where a piece is, without its size.
type place struct {
	kind     abi.PlaceKind
	reg      abi.Reg
	k        int64  // InFrame, InMemory: distance
	constant uint64 // Constant
	bytes    []byte // Constant: if not nil, in place of constant
	limit    int64  // if not 0, there are no more than so many bytes
	reason   abi.Reason
}

var unsupported = place{kind: abi.Nowhere, reason: abi.UnsupportedLocation}

// exprPiece is a place and the number of bytes there; -1 if the whole value is.
type exprPiece struct {
	place
	size int64
}

// memory is where a value is whose address is s.
func (s symbol) memory() place {
	switch {
	case s.load != 0:
	case s.base == cfa:
		return place{kind: abi.InFrame, k: s.k}
	case s.base == register:
		return place{kind: abi.InMemory, reg: s.reg, k: s.k}
	}
	return unsupported
}

// value is where a value is that is s itself (DW_OP_stack_value).
func (s symbol) value() place {
	switch {
	case s.load != 0:
		m := symbol{base: s.base, reg: s.reg, k: s.k}.memory()
		m.limit = s.load
		return m
	case s.base == constant:
		return place{kind: abi.Constant, constant: uint64(s.k)}
	case s.base == register && s.k == 0:
		return place{kind: abi.InRegister, reg: s.reg}
	}
	return unsupported
}

func (s symbol) plus(k int64) symbol {
	if s.load != 0 || s.base == unknown {
		return symbol{}
	}
	s.k += k
	return s
}

// eval returns the pieces of an expression. A malformed one, or one with an
// operation whose length is not known, is a single unsupported piece.
func (ev *evaluator) eval(expr []byte) []exprPiece {
	var (
		c      = cursor{data: expr, end: len(expr), order: ev.order}
		stack  []symbol
		direct *place // what DW_OP_reg, implicit_value or stack_value said
		pieces []exprPiece
	)
	whole := func(p place) []exprPiece { return []exprPiece{{p, -1}} }
	push := func(s symbol) { stack = append(stack, s) }
	pop := func() (s symbol) {
		if len(stack) == 0 {
			c.fail(errTruncated)
			return s
		}
		s = stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		return s
	}
	take := func() place {
		switch {
		case direct != nil:
			return *direct
		case len(stack) > 0:
			return stack[len(stack)-1].memory()
		}
		return place{kind: abi.Nowhere, reason: abi.OptimizedOut}
	}
	reg := func(n uint64) (abi.Reg, bool) { return abi.Reg(n), n <= math.MaxUint16 }

	for c.more() {
		if len(stack) > maxExprStack || len(pieces) > maxExprPieces {
			return whole(unsupported)
		}
		o := op.Opcode(c.u8())
		if direct != nil && o != op.DW_OP_piece && o != op.DW_OP_nop {
			return whole(unsupported) // a location, and then no piece
		}
		switch {
		case o == op.DW_OP_nop:
		case o >= op.DW_OP_reg0 && o <= op.DW_OP_reg31:
			direct = &place{kind: abi.InRegister, reg: abi.Reg(o - op.DW_OP_reg0)}
		case o == op.DW_OP_regx:
			direct = &place{}
			*direct = unsupported
			if r, ok := reg(c.uleb()); ok {
				*direct = place{kind: abi.InRegister, reg: r}
			}
		case o >= op.DW_OP_breg0 && o <= op.DW_OP_breg31:
			push(symbol{base: register, reg: abi.Reg(o - op.DW_OP_breg0), k: c.sleb()})
		case o == op.DW_OP_bregx:
			s := symbol{}
			if r, ok := reg(c.uleb()); ok {
				s = symbol{base: register, reg: r}
			}
			push(s.plus(c.sleb()))
		case o == op.DW_OP_fbreg:
			push(ev.frame().plus(c.sleb()))
		case o == op.DW_OP_call_frame_cfa:
			push(symbol{base: cfa})
		case o >= op.DW_OP_lit0 && o <= op.DW_OP_lit31:
			push(symbol{base: constant, k: int64(o - op.DW_OP_lit0)})
		case o == op.DW_OP_const1u:
			push(symbol{base: constant, k: int64(c.u8())})
		case o == op.DW_OP_const1s:
			push(symbol{base: constant, k: int64(int8(c.u8()))})
		case o == op.DW_OP_const2u:
			push(symbol{base: constant, k: int64(c.u16())})
		case o == op.DW_OP_const2s:
			push(symbol{base: constant, k: int64(int16(c.u16()))})
		case o == op.DW_OP_const4u:
			push(symbol{base: constant, k: int64(c.u32())})
		case o == op.DW_OP_const4s:
			push(symbol{base: constant, k: int64(int32(c.u32()))})
		case o == op.DW_OP_const8u, o == op.DW_OP_const8s:
			push(symbol{base: constant, k: int64(c.u64())})
		case o == op.DW_OP_constu:
			push(symbol{base: constant, k: int64(c.uleb())})
		case o == op.DW_OP_consts:
			push(symbol{base: constant, k: c.sleb()})
		case o == op.DW_OP_plus_uconst:
			push(pop().plus(int64(c.uleb())))
		case o == op.DW_OP_plus:
			b, a := pop(), pop()
			if a.base == constant && a.load == 0 {
				a, b = b, a
			}
			if b.base == constant && b.load == 0 {
				push(a.plus(b.k))
			} else {
				push(symbol{})
			}
		case o == op.DW_OP_minus:
			b, a := pop(), pop()
			if b.base == constant && b.load == 0 {
				push(a.plus(-b.k))
			} else {
				push(symbol{})
			}
		case o == op.DW_OP_deref:
			push(pop().deref(int64(ev.addrSize)))
		case o == op.DW_OP_deref_size:
			push(pop().deref(int64(c.u8())))
		case o == op.DW_OP_stack_value:
			p := pop().value()
			direct = &p
		case o == op.DW_OP_implicit_value:
			b := c.bytes(c.length(c.uleb()))
			direct = &place{kind: abi.Constant, bytes: b, limit: int64(len(b))}
			if len(b) == 0 {
				*direct = unsupported
			}
		case o == op.DW_OP_piece:
			n := c.uleb()
			if n > maxTypeSize {
				return whole(unsupported)
			}
			if n > 0 {
				pieces = append(pieces, exprPiece{take(), int64(n)})
			}
			stack, direct = stack[:0], nil
		case o == opEntryValue, o == opGNUEntryValue:
			push(ev.entryValue(c.bytes(c.length(c.uleb()))))
		case !ev.passOver(o, &c, push, pop):
			return whole(unsupported)
		}
	}
	switch {
	case c.err != nil:
		return whole(unsupported)
	case pieces == nil:
		return whole(take())
	case direct != nil || len(stack) > 0:
		return whole(unsupported) // a piece without a size
	}
	return pieces
}

const (
	opEntryValue    = op.Opcode(0xa3) // DWARF 5 §2.5.1.7
	opGNUEntryValue = op.Opcode(0xf3)
	opAddrx         = op.Opcode(0xa1)
	opConstx        = op.Opcode(0xa2)
	opGNUAddrIndex  = op.Opcode(0xfb)
	opGNUConstIndex = op.Opcode(0xfc)
)

// passOver handles operations whose result no Location can express, such as
// absolute addresses: those move with the load bias.
func (ev *evaluator) passOver(o op.Opcode, c *cursor, push func(symbol), pop func() symbol) bool {
	switch o {
	case op.DW_OP_addr:
		c.skip(ev.addrSize)
		push(symbol{})
	case opAddrx, opConstx, opGNUAddrIndex, opGNUConstIndex:
		c.skipLEB()
		push(symbol{})
	case op.DW_OP_and, op.DW_OP_div, op.DW_OP_mod, op.DW_OP_mul, op.DW_OP_or, op.DW_OP_shl, op.DW_OP_shr,
		op.DW_OP_shra, op.DW_OP_xor, op.DW_OP_eq, op.DW_OP_ge, op.DW_OP_gt, op.DW_OP_le, op.DW_OP_lt, op.DW_OP_ne:
		pop()
		pop()
		push(symbol{})
	case op.DW_OP_abs, op.DW_OP_neg, op.DW_OP_not:
		pop()
		push(symbol{})
	default:
		return false
	}
	return true
}

// deref is the number in memory at s.
func (s symbol) deref(size int64) symbol {
	if s.load != 0 || s.base != cfa && s.base != register || size <= 0 || size > 8 {
		return symbol{}
	}
	s.load = size
	return s
}

// frame returns what DW_OP_fbreg counts from. Go code and gcc's use the CFA,
// clang and rustc a register.
func (ev *evaluator) frame() symbol {
	c := cursor{data: ev.frameBase, end: len(ev.frameBase), order: ev.order}
	if !c.more() {
		return symbol{}
	}
	s := symbol{}
	switch o := op.Opcode(c.u8()); {
	case o == op.DW_OP_call_frame_cfa:
		s = symbol{base: cfa}
	case o >= op.DW_OP_reg0 && o <= op.DW_OP_reg31:
		s = symbol{base: register, reg: abi.Reg(o - op.DW_OP_reg0)}
	case o >= op.DW_OP_breg0 && o <= op.DW_OP_breg31:
		s = symbol{base: register, reg: abi.Reg(o - op.DW_OP_breg0), k: c.sleb()}
	}
	if c.err != nil || c.more() {
		return symbol{}
	}
	return s
}

// entryValue returns what a register held at the function's entry: its
// contents, if that is where we are.
func (ev *evaluator) entryValue(expr []byte) symbol {
	c := cursor{data: expr, end: len(expr), order: ev.order}
	if !ev.atEntry || !c.more() {
		return symbol{}
	}
	s := symbol{}
	switch o := op.Opcode(c.u8()); {
	case o >= op.DW_OP_reg0 && o <= op.DW_OP_reg31:
		s = symbol{base: register, reg: abi.Reg(o - op.DW_OP_reg0)}
	case o == op.DW_OP_regx:
		if n := c.uleb(); n <= math.MaxUint16 {
			s = symbol{base: register, reg: abi.Reg(n)}
		}
	}
	if c.err != nil || c.more() {
		return symbol{}
	}
	return s
}
