package dwarfargs

import "github.com/argtap/argtap/abi"

// spot is where a part begins.
type spot struct {
	kind abi.PlaceKind // InRegister or InFrame
	reg  abi.Reg
	cfa  abi.CFAOffset
}

// claim is a place that DWARF names. The size is -1 if it does not say it.
type claim struct {
	spot
	size int64
}

// part is a part of an argument where the convention has it.
type part struct {
	spot
	offset, size int64
	typ          *abi.Type // of the argument
	placed       bool      // DWARF gives it a place at the entry, this one or another
}

// checkClaims decides which disagreements are reassignments, given the
// comparisons of all of a function's parameters. The rule: for each part that
// DWARF has elsewhere, it claims a place that by the convention is the place of
// a part of some argument, of that size, and for that part DWARF has a place,
// too: its own, or by a claim again.
//
// This is how the compiler comes to such claims (cmd/compile/internal/ssa,
// debug.go). At the entry its location lists have the incoming arguments only
// (OpArg, OpArgIntReg, OpArgFloatReg: buildLocationLists), one for each part,
// in the places of the convention. Each is listed for all variables that have
// it as their value anywhere in the function: for the parameter that it comes
// in as, and for those to which it is assigned. A variable with several is in
// the place of the last. So a claim is always the place of an argument, and
// never that of a parameter that is nowhere, as the blank ones are. Parameters
// that are not split into parts (no location list) take no part in this.
//
// A disagreement because the convention was applied to the wrong list of
// parameters is not taken for a reassignment. Suppose that the function has a
// parameter that DWARF does not know. Then the places that DWARF gives are the
// true ones, no two parts have the same, and the unknown parameter has one that
// the convention gives to another. To follow the claims, from a part to the one
// whose place it claims and so on, leads out of the places that have such a
// part: later in the ascending order in which the convention hands them
// out, or over to the stack. With reassignments it leads in a circle, or to a
// part that agrees. TestHiddenParameter tries it.
func checkClaims(cs []comparison) {
	claimed := false
	for i := range cs {
		claimed = claimed || len(cs[i].claims) > 0
	}
	if !claimed {
		return
	}
	parts := make(map[spot]*part)
	for i := range cs {
		for j := range cs[i].parts {
			p := &cs[i].parts[j]
			parts[p.spot] = p
			if cs[i].mixed && cs[i].inRegs {
				// Its spill slot stands for it: see [SpillSlot].
				parts[spot{kind: abi.InFrame, cfa: cs[i].slot + abi.CFAOffset(p.offset)}] = p
			}
		}
	}
	// An odd value's claim is for the part that it is of another value of the
	// same type. If there is none, it is for no part that is known.
	for i := range cs {
		for _, cl := range cs[i].claims {
			to := parts[cl.spot]
			if !cs[i].odd || to == nil || to.typ.Name != cs[i].typ.Name {
				continue
			}
			for j := range cs[i].parts {
				if p := &cs[i].parts[j]; p.offset == to.offset && p.size == to.size {
					p.placed = true
				}
			}
		}
	}
	for i := range cs {
		for _, cl := range cs[i].claims {
			if to := parts[cl.spot]; to == nil || !to.placed || cl.size >= 0 && cl.size != to.size {
				cs[i].unexplained = true
			}
		}
	}
}

// spotOf returns where p is, in a register or in the frame.
func spotOf(p abi.Piece) spot {
	s := spot{kind: p.Kind}
	if p.Kind == abi.InRegister {
		s.reg = p.Reg
	} else {
		s.cfa = p.CFA
	}
	return s
}
