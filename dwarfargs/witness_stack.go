package dwarfargs

import (
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
)

// stacked returns the one candidate for base that holds what all layouts of the
// stack convention up to Go 1.16 have in common, with hidden parameters where
// there is room between others. It is empty if there is no such layout. total is
// the size of arguments and results, -1 if it is not known.
func (f *Func) stacked(a *abi.Arch, base *candidate, total int64) ([]candidate, error) {
	// The parameters of base in its order, with DWARF's places.
	vars := make([]stackVar, len(base.sig.Params))
	for i, p := range base.sig.Params {
		vars[i] = stackVar{typ: p.Type}
	}
	own := f.stackVars(f.Params, a)
	for i, at := range base.at {
		vars[at] = own[i]
	}
	results := f.stackVars(f.Results, a)
	for _, v := range slices.Concat(vars, results) {
		if v.typ.Align <= 0 || v.typ.Align > a.PtrSize || v.typ.Align&(v.typ.Align-1) != 0 || v.typ.Kind == abi.Invalid {
			return nil, fmt.Errorf("type %s: layout not known", v.typ)
		}
	}
	excess, told := f.compareInputs(len(base.sig.Params))
	if told && excess > 0 {
		return nil, nil
	}
	whole := told && excess == 0
	if n := parseName(f.Name); base.sig.Method && f.anyOrder && (whole || f.noRoomForReceiver(n, total)) {
		for i := range vars {
			vars[i].notFirst = !n.isReceiver(vars[i].typ)
		}
	}
	l, ok := stackFrame(vars, results, a.PtrSize, total, f.anyOrder, whole)
	if ok && !l.found && !f.anyOrder {
		// DWARF's places can be those of others that are assigned: see
		// checkClaims, which decides on that.
		for i := range vars {
			vars[i].pins = nil
		}
		for i := range results {
			results[i].pins = nil
		}
		l, ok = stackFrame(vars, results, a.PtrSize, total, false, whole)
	}
	if !ok {
		return nil, errTooManyCandidates
	}
	if !l.found {
		return nil, nil
	}
	c := candidate{
		sig: &abi.Signature{Method: base.sig.Method}, at: make([]int, len(f.Params)),
		unsure: make([]bool, len(f.Params)), unsureResult: make([]bool, len(f.Results)),
	}
	at := make([]int, len(vars))
	end := int64(0)
	fill := func(to int64) {
		for end < to {
			size := a.PtrSize
			for end%size != 0 || end+size > to {
				size /= 2
			}
			t := integer(size)
			t.Align = min(t.Align, a.PtrSize)
			c.sig.Params = append(c.sig.Params, abi.Param{Name: "_", Type: t})
			end += size
		}
	}
	for _, i := range l.order {
		if alignUp(end, vars[i].typ.Align) != l.params[i] {
			fill(l.params[i])
		}
		at[i] = len(c.sig.Params)
		c.sig.Params = append(c.sig.Params, base.sig.Params[i])
		end = l.params[i] + vars[i].typ.Size
	}
	if alignUp(end, a.PtrSize) != l.resultStart {
		fill(l.resultStart)
	}
	for i, j := range base.at {
		c.at[i], c.unsure[i] = at[j], l.unsure[j]
	}
	// No results are hidden.
	c.results = l.resultOrder
	for i, j := range c.results {
		r := &f.Results[j]
		c.unsureResult[i] = l.unsureResult[j]
		c.sig.Results = append(c.sig.Results, abi.Param{Name: r.Name, Type: r.Type})
	}
	return []candidate{c}, nil
}
