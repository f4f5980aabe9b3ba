package dwarfargs

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

// placement is one way in which the convention can have placed a function's
// parameters.
type placement struct {
	candidate
	as *abi.Assignment
	// sp is the stack pointer at the entry.
	sp abi.CFAOffset
}

// param returns the place and the spill slot of f.Params[i].
func (pl *placement) param(i int) (l abi.Location, slot abi.CFAOffset, inRegs bool) {
	slot, inRegs = pl.as.SpillSlot(pl.at[i])
	return pl.as.Params[pl.at[i]].AtEntry(), slot, inRegs
}

// isUnsure reports whether f.Params[i] may be elsewhere than the placement says.
func (pl *placement) isUnsure(i int) bool { return pl.unsure != nil && pl.unsure[i] }

// hiddenPlaces returns the places of the parameters that DWARF does not know.
// DWARF has no parameter in those: see [checkClaims].
func (pl *placement) hiddenPlaces() (places hiddenPlaces) {
	known := make([]bool, len(pl.sig.Params))
	for _, at := range pl.at {
		known[at] = true
	}
	for i, k := range known {
		if !k {
			places = append(places, pl.as.Params[i].AtEntry()...)
		}
	}
	return places
}

// have reports whether a piece of l is in one of the places.
func (places hiddenPlaces) have(l abi.Location) bool {
	for _, p := range places {
		for _, g := range l {
			if p.Kind != g.Kind {
				continue
			}
			if g.Kind == abi.InRegister && g.Reg == p.Reg || g.Kind == abi.InFrame &&
				g.CFA < p.CFA+abi.CFAOffset(p.Size) && p.CFA < g.CFA+abi.CFAOffset(g.Size) {
				return true
			}
		}
	}
	return false
}

// hiddenPlaces are places of hidden parameters.
type hiddenPlaces abi.Location

// maxHidden bounds the parameters of a function for which places of a hidden
// one are tried. No source has as many.
const maxHidden = 256

// placements returns all that are possible. It is one for most functions.
//
// The convention: compiled Go code has ABIInternal, if its unit says so (regabi
// in DW_AT_producer) and the symbol is not one that the linker named .abi0.
// Those are the bridges through which assembly calls compiled code: they take
// their arguments by ABI0, as all Go code did before. The bridges in the other
// direction, and method wrappers, are ABIInternal like any compiled function.
// Functions written in assembly have no parameters in DWARF.
//
// Which releases pass arguments in registers is so told by each unit: 1.17 on
// amd64, unless built with GOEXPERIMENT=noregabi, and on arm64 from 1.18 on.
//
// Closures in generic code have several. One that is called where it stands
// ("func() { … }()") is compiled to a plain function that takes what it
// captures as parameters, before its own (cmd/compile/internal/walk,
// directClosureCall). The captured dictionary is among them, in the order in
// which the source first uses what is captured; the optimising compiler does
// not describe it. So it can be anywhere, or nowhere.
//
// The body of a range-over-func loop that uses fewer variables than the
// iterator yields lacks the last ones in DWARF; that moves none of the others.
func (f *Func) placements(a *abi.Arch) ([]placement, error) {
	candidates := f.candidates
	if candidates == nil {
		if f.isGenericClosure() && len(f.Params) > maxHidden {
			return nil, fmt.Errorf("func %s: %d parameters of a closure: more than %d", f.Name, len(f.Params), maxHidden)
		}
		candidates = []candidate{f.plain()}
		if f.isGenericClosure() {
			candidates = f.variants(a)
		}
	}
	ps := make([]placement, len(candidates))
	for i, c := range candidates {
		as, err := f.convention()(a, c.sig)
		if err != nil {
			return nil, fmt.Errorf("func %s: %w", f.Name, err)
		}
		ps[i] = placement{c, as, -abi.CFAOffset(a.CFAAtEntry)}
	}
	return ps, nil
}
