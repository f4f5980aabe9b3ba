package dwarfargs

import (
	"slices"

	"github.com/argtap/argtap/abi"
)

// noRoomForReceiver reports whether a method's receiver must be among Params: with a
// blank one beside a parameter of the same type, which is taken for it then, there
// would be more arguments and results than total bytes.
func (f *Func) noRoomForReceiver(n funcName, total int64) bool {
	if total < 0 {
		return false
	}
	receiver := int64(-1)
	for i := range f.Params {
		size := f.Params[i].Type.Size
		if total -= size; n.isReceiver(f.Params[i].Type) {
			receiver = size
		}
	}
	for i := range f.Results {
		total -= f.Results[i].Type.Size
	}
	return receiver > total
}

// notFar returns the candidates without those for which sizes were guessed, if DWARF
// contradicts them all.
func (f *Func) notFar(a *abi.Arch, all []candidate) ([]candidate, error) {
	far := func(c candidate) bool { return c.far }
	if !slices.ContainsFunc(all, far) {
		return all, nil
	}
	f.candidates = all
	ps, err := f.placements(a)
	f.candidates = nil
	if err != nil {
		return nil, err
	}
	if _, remaining := f.checkEntry(ps); len(remaining) == 0 {
		all = slices.DeleteFunc(all, far)
	}
	return all, nil
}

// mayAgree reports whether the witness's table can be that of a candidate with sizes
// that are a guess. What is behind that may be elsewhere.
func (f *Func) mayAgree(a *abi.Arch, c *candidate, w *Witness) bool {
	as, err := f.convention()(a, c.sig)
	if err != nil {
		return false
	}
	ok, err := f.inTable(a, c.sig, as, w.ArgInfo)
	if !ok && err == nil && (w.ArgInfo.Cut || c.open) {
		_, ok, err = f.inCutTable(a, c, w.ArgInfo, maxBehind)
	}
	c.unsure, c.unsureResult = make([]bool, len(f.Params)), all(len(f.Results))
	for i, at := range c.at {
		c.unsure[i] = at >= c.guessed
	}
	return ok || err != nil
}
