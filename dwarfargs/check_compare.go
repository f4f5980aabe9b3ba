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
}

// comparison is what comes of holding DWARF's word on a value against the
// convention's, part by part: a part is a leaf of the type. The zero comparison
// is that of a value without DWARF location.
type comparison struct {
	same, dead int // parts that are in the same place, or that DWARF leaves out
	// Of the parts that DWARF has elsewhere, spilled are in the parameter's
	// spill slot, and ownFrame in the function's own frame.
	spilled, ownFrame int
	claims            []claim // the places that DWARF has for further parts
	// spots are the places that the convention has for those parts to which
	// DWARF gives a place at the entry.
	spots       []claim
	unexplained bool
}

// claim is a place: where a part begins, and its size; -1 if it is not known.
type claim struct {
	kind abi.PlaceKind // InRegister or InFrame
	reg  abi.Reg
	cfa  abi.CFAOffset
	size int64
}

// compare holds got, DWARF's word, against the convention's.
func (p *Param) compare(got abi.Location, want *expected) (c comparison) {
	parts := p.parts(want.loc)
	got = p.byPlace(got, parts)
	if isUnsupported(got) {
		c.odd(p, parts, want)
		return c
	}
	for _, w := range parts {
		g, ok := partOf(got, w)
		switch {
		case ok && g.Kind == abi.Nowhere && g.Reason == abi.OptimizedOut:
			c.dead++
			continue
		case ok && g == w:
			c.same++
		case ok && want.inRegs && g.Kind == abi.InFrame && g.CFA == want.slot+abi.CFAOffset(g.Offset):
			c.spilled++
			continue
		case ok && g.Kind == abi.InFrame && int64(g.CFA)+g.Size <= int64(want.sp):
			c.ownFrame++
			continue
		case ok && p.dialect.split && (g.Kind == abi.InRegister || g.Kind == abi.InFrame):
			c.claims = append(c.claims, claimOf(g))
		default:
			c.unexplained = true
		}
		if p.dialect.split {
			c.spots = append(c.spots, claimOf(w))
		}
	}
	return c
}

// odd compares where DWARF's word does not come to a place for each part.
func (c *comparison) odd(p *Param, parts abi.Location, want *expected) {
	if at, ok := p.heapPointer(); ok && int64(at)+p.ptr <= int64(want.sp) {
		c.ownFrame++
		return
	}
	// Some parts are left out, and it does not show which: see byPlace. So the
	// places count for themselves, and each part as one that may have one.
	said := p.said(p.low)
	c.unexplained = !p.dialect.split || len(said) == 0 || len(said) >= len(parts)
	for _, g := range said {
		switch g.kind {
		case abi.InRegister:
			c.claims = append(c.claims, claim{kind: g.kind, reg: g.reg, size: g.size})
		case abi.InFrame:
			c.claims = append(c.claims, claim{kind: g.kind, cfa: abi.CFAOffset(g.k), size: g.size})
		default:
			c.unexplained = true
		}
	}
	if !c.unexplained {
		for _, w := range parts {
			c.spots = append(c.spots, claimOf(w))
		}
	}
}

// checkClaims decides which disagreements are reassignments, given the
// comparisons of all of a function's parameters: those where DWARF claims, for
// each part that it has elsewhere, a place that by the convention is the place
// of a part of some argument, and where that part has a place in DWARF, too:
// its own, or by such a claim again.
//
// This is how the compiler comes to such claims (cmd/compile/internal/ssa,
// debug.go). At the entry its location lists have the incoming arguments only
// (OpArg, OpArgIntReg, OpArgFloatReg: buildLocationLists), one for each part,
// in the places of the convention. Each is listed for all variables that have
// it as their value anywhere in the function: for the parameter that it comes
// in as, and for those to which it is assigned. A variable with several is in
// the place of the last. So a claim is always the place of an argument, and
// never one of a parameter that is nowhere, as are the blank ones. Parameters
// that are not split into parts (no location list) take no part in this.
//
// A disagreement because the convention was applied to the wrong parameters is
// never taken for a reassignment. Suppose that the function has a parameter
// that DWARF does not know. The convention hands out registers and stack in
// ascending order, so the true places of all parts behind it are later than
// the convention's for the known parameters, and no two parts have the same. If
// DWARF knows the true ones, then the last part that it has a place for, of
// those in registers or of those on the stack, claims one that is no other
// such part's. Reassignments come to an end in the same set of places, in
// circles or where a part agrees.
func checkClaims(cs []comparison) {
	sizes := make(map[claim]int64)
	for i := range cs {
		for _, s := range cs[i].spots {
			sizes[s.spot()] = s.size
		}
	}
	for i := range cs {
		for _, cl := range cs[i].claims {
			// A variable can be assigned the low bytes of another.
			if size, ok := sizes[cl.spot()]; !ok || cl.size > size {
				cs[i].unexplained = true
			}
		}
	}
}

// spot returns the claim without its size.
func (c claim) spot() claim {
	c.size = 0
	return c
}

func claimOf(p abi.Piece) claim {
	c := claim{kind: p.Kind, size: p.Size}
	if p.Kind == abi.InRegister {
		c.reg = p.Reg
	} else {
		c.cfa = p.CFA
	}
	return c
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
// size (cmd/compile/internal/ssa/debug.go, varSlots and writePendingEntry). So
// the pieces do not tell which parts they are; but their places do, if they are
// places that the convention gives to parts of this value. Every piece
// must be exactly one such part, in ascending order; or else got is returned as
// it is. The parts without a piece are dead.
func (p *Param) byPlace(got, parts abi.Location) abi.Location {
	if !isUnsupported(got) {
		return got
	}
	said := p.said(p.low)
	l := make(abi.Location, 0, len(parts))
	for _, w := range parts {
		if len(said) > 0 && said[0].is(w) {
			l = append(l, w)
			said = said[1:]
		} else {
			l = append(l, abi.Piece{Offset: w.Offset, Size: w.Size, Kind: abi.Nowhere, Reason: abi.OptimizedOut})
		}
	}
	if len(said) > 0 {
		return got
	}
	return l
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
