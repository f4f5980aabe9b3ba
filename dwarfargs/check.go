package dwarfargs

import (
	"slices"

	"github.com/argtap/argtap/abi"
)

// Resolved is a parameter or result and the place that is believed.
type Resolved struct {
	Param *Param
	// Location is the place at the entry, or at a return. It is absent, with
	// abi.Disagreement as reason, where no word could be believed.
	Location abi.Location
	// DWARF is DWARF's word for the entry, nil where it has none. It is nil for
	// results, which have several.
	DWARF     abi.Location
	Agreement Agreement
}

// AtEntry returns where each parameter is when the function's first instruction
// is about to run, parallel to f.Params.
//
// For Go, DWARF says which parameters there are and of what types, and the
// calling convention where they are; DWARF's locations are the cross-check. The
// error is one of the assignment: a type that DWARF does not describe wholly.
//
// For other languages DWARF's locations are believed if they say that they hold
// at the entry, or if they are in the caller's frame. A single location for
// the whole function in its own frame (-O0, alloca) does not hold before the
// prologue has filled it: such a parameter is absent.
func (f *Func) AtEntry(a *abi.Arch) ([]Resolved, error) {
	if !f.Go {
		return f.foreignEntry(), nil
	}
	ps, err := f.placements(a)
	if err != nil {
		return nil, err
	}
	rs, _ := f.checkEntry(ps)
	return rs, nil
}

// checkEntry compares DWARF with each possible placement. Those that DWARF
// contradicts are ruled out; what the remaining ones, which it returns, have in
// common is believed.
//
// Where the list of parameters is in doubt, a value is believed only if DWARF
// has all of it where the convention does; and not where it has another astray:
// in f(_, x, y int) with "y = x" DWARF has both x and y in the place of x, which
// would be that of y if there were no blank parameter. Where it is the convention itself,
// as that of a release that is not known, so is each value, and none at all in
// a function of which DWARF contradicts any.
func (f *Func) checkEntry(ps []placement) (rs []Resolved, remaining []placement) {
	var all [][]Resolved
	for i := range ps {
		checked, contradicted := f.checkPlacement(&ps[i])
		if !contradicted {
			all, remaining = append(all, checked), append(remaining, ps[i])
		} else if i == 0 {
			rs = checked
		}
	}
	if len(all) > 0 {
		rs = all[0]
	}
	none := len(remaining) == 0
	astray := slices.ContainsFunc(all, func(rs []Resolved) bool {
		return slices.ContainsFunc(rs, func(r Resolved) bool {
			return r.Agreement == Reassigned || r.Agreement == Contradicted
		})
	})
	for i := range rs {
		r := &rs[i]
		reason := abi.Disagreement
		confirmed := r.Agreement == Agree && !(astray && r.Param.dialect.split)
		switch {
		case r.Agreement == NoBytes:
		case f.hiddenDoubt() && (none || !confirmed), f.unsure(remaining, i) && !confirmed:
			r.Agreement, reason = Unconfirmed, abi.HiddenParameter
		case f.foreignRelease() && (none || r.Agreement != Agree):
			r.Agreement, reason = Unconfirmed, abi.UnknownRelease
		case r.Agreement == Contradicted:
		case none && (r.Agreement.unconfirmed() || r.Agreement == DeadPieces && f.release.before(22)):
			// Where there may be hidden parameters, what is there of a part may be another's: of a slice of 24 bytes the
			// length or, 8 bytes before, the capacity.
			r.Agreement = Unconfirmed
		default:
			for _, other := range all[min(1, len(all)):] {
				if !slices.Equal(r.Location, other[i].Location) {
					r.Agreement, reason = Unconfirmed, abi.HiddenParameter
				}
			}
		}
		if r.Agreement == Unconfirmed || r.Agreement == Contradicted {
			r.Location = abi.Absent(r.Param.Type.Size, reason)
		}
	}
	return rs, remaining
}

// hiddenDoubt reports whether DWARF may lack parameters of the function, and
// nothing tells.
func (f *Func) hiddenDoubt() bool { return f.BlanksMissing || f.contradicted }

// foreignRelease reports whether the convention must be confirmed for each
// value. Registers that the function itself saves, as they are by the
// convention, are confirmation for all.
func (f *Func) foreignRelease() bool { return !f.KnownRelease && !f.conventionShown }

// unsure reports whether parameter i may be elsewhere than a placement says.
func (f *Func) unsure(ps []placement, i int) bool {
	for j := range ps {
		if ps[j].isUnsure(i) {
			return true
		}
	}
	return false
}

// checkPlacement compares DWARF with one placement of all parameters.
func (f *Func) checkPlacement(pl *placement) (rs []Resolved, contradicted bool) {
	rs = make([]Resolved, len(f.Params))
	cs := make([]comparison, len(f.Params))
	era := f.era()
	hidden := pl.hiddenPlaces()
	for i := range f.Params {
		p := &f.Params[i]
		want, slot, inRegs := pl.param(i)
		rs[i] = Resolved{Param: p, Location: want}
		if got, ok := p.At(f.Entry); ok {
			rs[i].DWARF = got
			cs[i] = p.compare(got, &expected{want, slot, inRegs, pl.sp, era})
		}
	}
	checkClaims(cs)
	for i := range rs {
		rs[i].Agreement = cs[i].entryAgreement(f.Params[i].Type)
		if rs[i].Agreement == Contradicted && (!pl.isUnsure(i) || hidden.have(rs[i].DWARF)) {
			contradicted = true
		}
	}
	return rs, contradicted
}

// foreignEntry is AtEntry for what Go has not compiled.
func (f *Func) foreignEntry() []Resolved {
	rs := make([]Resolved, len(f.Params))
	for i := range f.Params {
		p := &f.Params[i]
		got, ok := p.At(f.Entry)
		rs[i] = Resolved{Param: p, Location: got, DWARF: got, Agreement: Foreign}
		switch {
		case !ok:
			rs[i].Location = abi.Absent(p.Type.Size, abi.OptimizedOut)
		case !p.loc.isList && !inCallersFrame(got):
			rs[i].Location = abi.Absent(p.Type.Size, abi.UnsupportedLocation)
		}
	}
	return rs
}

// inCallersFrame reports whether all pieces are above the return address, where
// only the caller can have put them.
func inCallersFrame(l abi.Location) bool {
	for _, p := range l {
		if p.Kind != abi.InFrame || p.CFA < 0 {
			return false
		}
	}
	return true
}
