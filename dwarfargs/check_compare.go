package dwarfargs

import "github.com/argtap/argtap/abi"

// comparison is what comes of holding DWARF's word on a value against the
// convention's. The zero comparison is that of a value without DWARF location.
type comparison struct {
	same, dead int         // pieces that are in the same place, or that DWARF leaves out
	differ     []abi.Piece // DWARF's pieces that are elsewhere
	held       []abi.Reg   // registers of the pieces that are in the same place
}

// compare holds got, DWARF's word, against want, the convention's. The pieces
// of want are registers, or one stretch of the stack.
func compare(want, got abi.Location) (c comparison) {
	for _, g := range got {
		switch w, ok := pieceAt(want, g); {
		case g.Kind == abi.Nowhere && g.Reason == abi.OptimizedOut:
			c.dead++
		case ok && w.Kind == abi.InRegister && w == g:
			c.same++
			c.held = append(c.held, w.Reg)
		case ok && w.Kind == abi.InFrame && g.Kind == abi.InFrame &&
			g.CFA-w.CFA == abi.CFAOffset(g.Offset-w.Offset):
			c.same++
		default:
			c.differ = append(c.differ, g)
		}
	}
	return c
}

// pieceAt returns the piece of l that has all bytes of g.
func pieceAt(l abi.Location, g abi.Piece) (abi.Piece, bool) {
	for _, w := range l {
		if w.Offset <= g.Offset && g.Offset+g.Size <= w.Offset+w.Size {
			return w, true
		}
	}
	return abi.Piece{}, false
}

// byPlace reads DWARF's word on a value whose pieces do not add up to the type.
// The compiler leaves out the parts of a value that the function does not use,
// with no gap to show for it, and names the one part that is left without its
// size (cmd/compile/internal/ssa/debug.go, varSlots and writePendingEntry). So
// the pieces do not tell which parts they are; but their places do, if they are
// places that the convention, at want, gives to parts of this value. Every piece
// must be exactly one such part, in ascending order; or else got is returned as
// it is. The parts without a piece are dead.
func (p *Param) byPlace(got, want abi.Location, pc uint64) abi.Location {
	if len(got) != 1 || got[0].Kind != abi.Nowhere || got[0].Reason != abi.UnsupportedLocation {
		return got
	}
	parts := p.parts(want)
	said := p.said(pc)
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
	ev := p.ev
	ev.atEntry = pc == p.low
	if !p.loc.isList {
		return ev.eval(p.loc.expr)
	}
	for i := range p.loc.list {
		if e := &p.loc.list[i]; e.low <= pc && pc < e.high {
			return ev.eval(e.expr)
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
