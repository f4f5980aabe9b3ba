package dwarfargs

import (
	"slices"

	"github.com/argtap/argtap/abi"
)

// AtReturn returns where each result is when an instruction that returns from
// the function is about to run, parallel to f.Results. For Go that is the
// convention's word, for DWARF has almost none: a location in the caller's
// frame must be the one that the convention gives. For other languages results
// are not known to DWARF.
func (f *Func) AtReturn(a *abi.Arch) ([]Resolved, error) {
	if !f.Go {
		return nil, nil
	}
	ps, err := f.placements(a)
	if err != nil {
		return nil, err
	}
	_, remaining := f.checkEntry(ps)
	rs := make([]Resolved, len(f.Results))
	for i := range f.Results {
		p := &f.Results[i]
		r := &rs[i]
		*r = Resolved{Param: p, Location: ps[0].as.Results[i].AtReturn()}
		// Registers of results do not depend on the parameters, stack words do.
		reason, doubt := abi.HiddenParameter, false
		if inFrame(r.Location) {
			// Go 1.17 leaves out none of those on the stack.
			doubt = f.hiddenDoubt() || len(remaining) == 0 || f.ResultsMissing && f.release.minor != 17
			if len(remaining) == 0 && !f.hiddenDoubt() {
				reason = abi.Disagreement
			}
			for j := range remaining {
				l := remaining[j].as.Results[i].AtReturn()
				doubt = doubt || j > 0 && !slices.Equal(l, r.Location) ||
					remaining[j].unsureResult != nil && remaining[j].unsureResult[i]
				if j == 0 {
					r.Location = l
				}
			}
		} else {
			doubt = f.ResultsMissing
		}
		r.Agreement = p.returnAgreement(r.Location)
		if !f.KnownRelease {
			reason, doubt = abi.UnknownRelease, true
		}
		switch {
		case r.Agreement == NoBytes:
		case doubt && !(r.Agreement == Agree && p.pinnedAt(a, r.Location)):
			r.Agreement = Unconfirmed
		case r.Agreement == Contradicted:
			reason = abi.Disagreement
		}
		if r.Agreement == Unconfirmed || r.Agreement == Contradicted {
			r.Location = abi.Absent(p.Type.Size, reason)
		}
	}
	return rs, nil
}

// pinnedAt reports whether DWARF's places for p can be in no other value's place
// in the caller's frame than l.
func (p *Param) pinnedAt(a *abi.Arch, l abi.Location) bool {
	pins := p.pins(a)
	return inFrame(l) && len(pins) == 1 && pins[0] == int64(l[0].CFA-a.ArgBase)
}

// inFrame reports whether the location is one stretch of the frame.
func inFrame(l abi.Location) bool { return len(l) == 1 && l[0].Kind == abi.InFrame }

// returnAgreement compares the convention's word on a result with all that
// DWARF says of it, wherever in the function.
func (p *Param) returnAgreement(want abi.Location) Agreement {
	if p.Type.Size == 0 {
		return NoBytes
	}
	agree, body := false, false
	for _, pieces := range p.everywhere() {
		for _, g := range pieces {
			if g.kind == abi.Nowhere && g.reason == abi.OptimizedOut {
				continue
			}
			if g.kind != abi.InFrame || g.k < 0 {
				body = true
				continue
			}
			if len(want) != 1 || want[0].Kind != abi.InFrame {
				return Contradicted
			}
			size := g.size
			if size < 0 {
				size = p.Type.Size
			}
			at := g.k - int64(want[0].CFA)
			if at < 0 || at+size > p.Type.Size || size == p.Type.Size && at != 0 {
				return Contradicted
			}
			agree = true
		}
	}
	switch {
	case agree:
		return Agree
	case body:
		return InBody
	}
	return Silent
}
