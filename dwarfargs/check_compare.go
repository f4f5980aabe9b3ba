package dwarfargs

import (
	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
)

// expected is what the convention says of a parameter at the entry.
type expected struct {
	loc    abi.Location  // registers, or one stretch of the stack
	slot   abi.CFAOffset // spill slot, if inRegs
	inRegs bool
	sp     abi.CFAOffset // the stack pointer
	era    era
}

// era says which of the compiler's habits a location can show.
type era struct {
	// early: lists that begin at the entry with the register that a value is
	// loaded to later: see [EarlyRegister].
	early bool
	// mixed: the parts of one value can be in several wrong places at once, the
	// spill slots of others among them: see [SpillSlot].
	mixed bool
}

// era returns what is to be expected of the function's locations.
func (f *Func) era() era {
	return era{
		early: f.release.before(18) && !f.RegABI,
		mixed: f.release.minor == 17 && f.RegABI,
	}
}

// comparison is what comes of holding DWARF's word on a value against the
// convention's, part by part: a part is a leaf of the type. The zero comparison
// is that of a value without DWARF location.
type comparison struct {
	same, dead int // parts that are in the same place, or that DWARF leaves out
	// Of the parts that DWARF has elsewhere, spilled are in the parameter's
	// spill slot, and ownFrame in the function's own frame.
	spilled, ownFrame int
	early             int     // are in registers that are loaded later
	claims            []claim // the places that DWARF has for further parts
	unexplained       bool    // none of these
	// parts are all parts, if the compiler describes the value part by part.
	parts []part
	typ   *abi.Type
	odd   bool // DWARF does not show which parts the claims are for
	mixed bool // era.mixed
	// slot is the value's spill slot, if inRegs.
	slot   abi.CFAOffset
	inRegs bool
}

// compare holds got, DWARF's word, against the convention's.
func (p *Param) compare(got abi.Location, want *expected) (c comparison) {
	c.typ, c.mixed, c.slot, c.inRegs = p.Type, want.era.mixed, want.slot, want.inRegs
	parts := p.parts(want.loc)
	if p.dialect.split {
		for _, w := range parts {
			c.parts = append(c.parts, part{spotOf(w), w.Offset, w.Size, p.Type, false})
		}
	}
	got, others := p.byPlace(got, parts)
	if isUnsupported(got) {
		c.compareOdd(p, want, len(parts))
		return c
	}
	if p.dialect.split {
		c.claims = others
	}
	for i, w := range parts {
		g, ok := partOf(got, w)
		switch {
		case ok && g.Kind == abi.Nowhere && g.Reason == abi.OptimizedOut:
			c.dead++
			continue
		case ok && g == w:
			c.same++
		case ok && want.inRegs && g.Kind == abi.InFrame && g.CFA == want.slot+abi.CFAOffset(g.Offset):
			c.spilled++
			if !want.era.mixed {
				continue
			}
		case ok && g.Kind == abi.InFrame && g.CFA <= want.sp-abi.CFAOffset(g.Size):
			c.ownFrame++
			continue
		case ok && g.Kind == abi.InRegister && want.era.early && p.dialect.split:
			c.early++
		case ok && p.dialect.split && (g.Kind == abi.InRegister || g.Kind == abi.InFrame):
			c.claims = append(c.claims, claim{spotOf(g), g.Size})
		default:
			c.unexplained = true
		}
		if p.dialect.split {
			c.parts[i].placed = true
		}
	}
	return c
}

// compareOdd is compare for an expression that does not come to a place for
// each part.
//
// Some parts are left out, and it does not show which: see byPlace. No part of
// what is in registers is, but for lists with repeated parts.
func (c *comparison) compareOdd(p *Param, want *expected, parts int) {
	// A pointer that never gets a word of the frame has the offset 0, which is
	// the return address's on 386, where no frame pointer lies between.
	lowest := want.sp - abi.CFAOffset(p.ptr)
	if p.ptr == 4 {
		lowest = -4
	}
	if at, ok := p.heapPointer(); ok && at <= lowest {
		c.ownFrame++
		return
	}
	said, repeated := distinct(p.said(p.low), parts)
	c.odd = true
	c.unexplained = want.inRegs && !repeated || len(said) == 0 || len(said) >= len(c.parts)
	for _, g := range said {
		switch {
		case g.kind == abi.InRegister && want.era.early:
			c.early++
		case g.kind == abi.InRegister:
			c.claims = append(c.claims, claim{spot{kind: g.kind, reg: g.reg}, g.size})
		case g.kind == abi.InFrame && want.era.mixed && abi.CFAOffset(g.k) <= want.sp-abi.CFAOffset(max(g.size, 1)):
			c.ownFrame++
		case g.kind == abi.InFrame:
			c.claims = append(c.claims, claim{spot{kind: g.kind, cfa: abi.CFAOffset(g.k)}, g.size})
		default:
			c.unexplained = true
		}
	}
}

// partOf returns what l says of part w: its piece, or the part of a piece.
func partOf(l abi.Location, w abi.Piece) (abi.Piece, bool) {
	for _, g := range l {
		if g.Offset > w.Offset || g.Offset+g.Size < w.Offset+w.Size {
			continue
		}
		if g.Offset == w.Offset && g.Size == w.Size {
			return g, true
		}
		if g.Kind == abi.InFrame {
			g.CFA += abi.CFAOffset(w.Offset - g.Offset)
		}
		g.Offset, g.Size = w.Offset, w.Size
		return g, g.Kind == abi.InFrame || g.Kind == abi.Nowhere
	}
	return abi.Piece{}, false
}

// heapPointer returns where DWARF has the pointer to a parameter that the
// function moves to the heap: its expression is DW_OP_fbreg, DW_OP_deref.
func (p *Param) heapPointer() (abi.CFAOffset, bool) {
	expr := p.exprAt(p.low)
	c := cursor{data: expr, end: len(expr), order: p.ev.order}
	if !c.more() || op.Opcode(c.u8()) != op.DW_OP_fbreg {
		return 0, false
	}
	at := p.ev.frame().plus(c.sleb()).memory()
	if !c.more() || op.Opcode(c.u8()) != op.DW_OP_deref || c.more() || c.err != nil {
		return 0, false
	}
	return abi.CFAOffset(at.k), at.kind == abi.InFrame
}

// isUnsupported reports whether location could not make sense of an expression.
func isUnsupported(l abi.Location) bool {
	return len(l) == 1 && l[0].Kind == abi.Nowhere && l[0].Reason == abi.UnsupportedLocation
}

// byPlace reads DWARF's word on a value whose pieces do not add up to the type.
// The compiler leaves out the parts of a value that the function does not use,
// with no gap to show for it, and names the one part that is left without its
// size (cmd/compile/internal/ssa/debug.go, varSlots and writePendingEntry). Up
// to Go 1.21 it also lists parts several times over, some as optimised out:
// every pass that splits a value adds its parts to the function's names once
// more (f.Names), and each mention becomes a piece. So the pieces do not tell
// which parts they are; but their places do, if they are places that the
// convention gives to parts of this value. Every piece with a place must be
// exactly one such part, in ascending order, or the same part again. The parts
// without a piece are dead.
//
// Failing that, repeated pieces may come to as many for each part: see
// [Param.byGroup]. Or else got is returned as it is.
func (p *Param) byPlace(got, parts abi.Location) (l abi.Location, others []claim) {
	if !isUnsupported(got) {
		return got, nil
	}
	raw := p.said(p.low)
	said, repeated := distinct(raw, len(parts))
	rest := said
	l = make(abi.Location, 0, len(parts))
	for _, w := range parts {
		if len(rest) > 0 && rest[0].is(w) {
			l = append(l, w)
			rest = rest[1:]
		} else {
			l = append(l, abi.Piece{Offset: w.Offset, Size: w.Size, Kind: abi.Nowhere, Reason: abi.OptimizedOut})
		}
	}
	switch {
	case len(rest) == 0:
		return l, nil
	case !repeated:
		return got, nil
	case len(said) == len(parts):
		raw = said
	}
	if l, others, ok := byGroup(raw, parts); ok {
		return l, others
	}
	return got, nil
}

// byGroup reads pieces that are as many for each part, one for each mention of
// the part. Of different places for one part, its own is taken, if it is among
// them, and the others are mentions of other arguments.
func byGroup(raw []exprPiece, parts abi.Location) (l abi.Location, others []claim, ok bool) {
	if len(parts) == 0 || len(raw) == 0 || len(raw)%len(parts) != 0 {
		return nil, nil, false
	}
	n := len(raw) / len(parts)
	for i, w := range parts {
		piece := abi.Piece{Offset: w.Offset, Size: w.Size, Kind: abi.Nowhere, Reason: abi.OptimizedOut}
		for _, g := range raw[n*i : n*(i+1)] {
			if g.size != w.Size {
				return nil, nil, false
			}
			if g.kind == abi.Nowhere && g.reason == abi.OptimizedOut {
				continue
			}
			is, ok := g.piece(w)
			if !ok {
				return nil, nil, false
			}
			switch {
			case piece.Kind == abi.Nowhere:
				piece = is
			case piece == is:
			case is == w:
				others = append(others, claim{spotOf(piece), piece.Size})
				piece = is
			default:
				others = append(others, claim{spotOf(is), is.Size})
			}
		}
		l = append(l, piece)
	}
	return l, others, true
}

// piece returns g as a piece for the part w. It is false if g is neither in a
// register nor in the frame.
func (g exprPiece) piece(w abi.Piece) (abi.Piece, bool) {
	p := abi.Piece{Offset: w.Offset, Size: w.Size, Kind: g.kind}
	switch g.kind {
	case abi.InRegister:
		p.Reg = g.reg
	case abi.InFrame:
		p.CFA = abi.CFAOffset(g.k)
	default:
		return p, false
	}
	return p, true
}

// distinct returns the pieces of an expression that have a place, without the
// ones that are the same as the one before. repeated says that there are such,
// or more pieces than a value of so many parts has.
func distinct(raw []exprPiece, parts int) (said []exprPiece, repeated bool) {
	repeated = len(raw) > parts
	for _, g := range raw {
		if g.kind == abi.Nowhere && g.reason == abi.OptimizedOut {
			continue
		}
		if n := len(said); n > 0 && (g.kind == abi.InRegister || g.kind == abi.InFrame) {
			if last := &said[n-1]; last.kind == g.kind && last.reg == g.reg && last.k == g.k && last.size == g.size {
				repeated = true
				continue
			}
		}
		said = append(said, g)
	}
	return said, repeated
}

// parts returns the location that the convention gives, with one piece for each
// leaf of the type, also where they are in one stretch of memory.
func (p *Param) parts(want abi.Location) abi.Location {
	if len(want) != 1 || want[0].Kind != abi.InFrame {
		return want
	}
	ls, ok := leaves(nil, p.Type, 0, p.ptr, 0)
	if !ok {
		return want
	}
	l := make(abi.Location, len(ls))
	for i, f := range ls {
		l[i] = abi.Piece{Offset: f.offset, Size: f.size, Kind: abi.InFrame, CFA: want[0].CFA + abi.CFAOffset(f.offset)}
	}
	return l
}

// is reports whether the piece is in w's place and, if it has a size, of w's.
func (g exprPiece) is(w abi.Piece) bool {
	if g.kind != w.Kind || g.size >= 0 && g.size != w.Size {
		return false
	}
	return w.Kind == abi.InRegister && g.reg == w.Reg || w.Kind == abi.InFrame && g.k == int64(w.CFA)
}

// said returns the pieces of DWARF's expression for pc as they stand there, not
// brought into accord with the type.
func (p *Param) said(pc uint64) []exprPiece {
	expr := p.exprAt(pc)
	if expr == nil {
		return nil
	}
	ev := p.ev
	ev.atEntry = pc == p.low
	return ev.eval(expr)
}

// exprAt returns DWARF's expression for pc, nil if there is none.
func (p *Param) exprAt(pc uint64) []byte {
	if !p.loc.isList {
		return p.loc.expr
	}
	for i := range p.loc.list {
		if e := &p.loc.list[i]; e.low <= pc && pc < e.high {
			return e.expr
		}
	}
	return nil
}

// everywhere returns the pieces of all of DWARF's expressions for p.
func (p *Param) everywhere() [][]exprPiece {
	if !p.loc.isList {
		return [][]exprPiece{p.ev.eval(p.loc.expr)}
	}
	var all [][]exprPiece
	for i := range p.loc.list {
		all = append(all, p.ev.eval(p.loc.list[i].expr))
	}
	return all
}
