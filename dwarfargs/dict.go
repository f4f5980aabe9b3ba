package dwarfargs

import (
	"slices"

	"github.com/argtap/argtap/abi"
)

// DictAtEntry returns where the dictionary of shaped generic code is when the
// function's first instruction is about to run: see [Func.Dict]. It is by the
// calling convention; the compiler describes the dictionary in no build reliably.
// ok is false if the function takes none, or if its place is in doubt.
func (f *Func) DictAtEntry(a *abi.Arch) (l abi.Location, ok bool) {
	if !f.Go || f.Dict == abi.NoDict || f.hiddenDoubt() && f.Dict == abi.DictAfterReceiver && !f.Method {
		return nil, false
	}
	ps, err := f.placements(a)
	if err != nil {
		return nil, false
	}
	if _, remaining := f.checkEntry(ps); len(remaining) > 0 {
		ps = remaining
	}
	for i := range ps {
		d := ps[i].as.Dict.AtEntry()
		if i > 0 && !slices.Equal(l, d) {
			return nil, false
		}
		l = d
	}
	return l, len(l) == 1
}
