package dwarfargs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
)

// placement is one way in which the convention can have placed a function's
// parameters.
type placement struct {
	sig *abi.Signature
	as  *abi.Assignment
	// dict is the index of a hidden dictionary in sig.Params, where it is none
	// that sig.Dict describes; -1 if there is none.
	dict int
	// sp is the stack pointer at the entry.
	sp abi.CFAOffset
}

// param returns the place and the spill slot of f.Params[i].
func (pl *placement) param(i int) (l abi.Location, slot abi.CFAOffset, inRegs bool) {
	if pl.dict >= 0 && i >= pl.dict {
		i++
	}
	slot, inRegs = pl.as.SpillSlot(i)
	return pl.as.Params[i].AtEntry(), slot, inRegs
}

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
	convention := abi.Stack
	if f.RegABI {
		convention = abi.Internal
	}
	sig := f.Signature()
	closure := strings.Contains(f.Name, "[go.shape.") && !parseName(f.Name).shaped
	if closure {
		sig.Dict = abi.NoDict
	}
	as, err := convention(a, sig)
	if err != nil {
		return nil, fmt.Errorf("func %s: %w", f.Name, err)
	}
	sp := -abi.CFAOffset(a.CFAAtEntry)
	ps := []placement{{sig, as, -1, sp}}
	if !closure {
		return ps, nil
	}
	if len(sig.Params) > maxHidden {
		return nil, fmt.Errorf("func %s: %d parameters of a closure: more than %d", f.Name, len(sig.Params), maxHidden)
	}
	dict := abi.Param{
		Name: ".dict",
		Type: &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: a.PtrSize, Align: a.PtrSize},
	}
	for i := range len(sig.Params) + 1 {
		with := *sig
		with.Params = slices.Insert(slices.Clone(sig.Params), i, dict)
		as, err := convention(a, &with)
		if err != nil {
			return nil, fmt.Errorf("func %s: %w", f.Name, err)
		}
		ps = append(ps, placement{&with, as, i, sp})
	}
	return ps, nil
}
