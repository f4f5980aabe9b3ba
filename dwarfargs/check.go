package dwarfargs

import (
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
)

// Agreement says how the two words on a value's place compare: the calling
// convention's and DWARF's. All but [Foreign], [Contradicted] and [Unconfirmed]
// mean that the convention is believed. The rules are exact: a case that meets
// none of them is Contradicted. How often each comes up in real binaries is
// counted by TestCorpus, which also says where the machine code was read.
type Agreement uint8

// The agreements, for a function's entry and, where it is said, for its return.
const (
	// Agree: DWARF names the same place for every byte. For a result: it is on
	// the stack, and DWARF names its place in the caller's frame, and no other
	// there.
	Agree Agreement = iota
	// NoBytes: the value has no size, so there is nothing to place.
	NoBytes
	// Silent: DWARF gives no place at this point. The compiler describes
	// variables, and a parameter that is blank, unnamed or never read again is
	// none; but the caller has passed it all the same. Results are variables
	// only inside the function, so this is the rule for them.
	Silent
	// DeadPieces: DWARF leaves out some parts of the value, and agrees on the
	// others. The parts left out, such as the capacity of a slice, are not
	// used by the function; the caller has passed them all the same.
	DeadPieces
	// SpillSlot: DWARF names the memory that the caller has reserved for the
	// value, in case the callee must put it there (abi-internal.md, "spill
	// space"). Nothing has filled it at the entry, where the value is in
	// registers. Seen where the compiler keeps the parameter in memory from its
	// first instructions on: receivers of more than four words in wrappers; in Go
	// 1.17 one register argument in six, in 1.27 blank ones.
	//
	// The rule: some parts have exactly the address in the slot that
	// [abi.Assignment.SpillSlot] computes, and all others agree or are dead.
	//
	// In Go 1.17 the lists begin at the entry with the first place that a part
	// has in the body, whatever it is. There the rule takes parts in the slot
	// together with parts in the function's own frame ([OwnFrame]), and the slot
	// of another argument counts as a mention of that argument ([Reassigned]).
	// Releases from 1.18 on put the registers first
	// (cmd/compile/internal/ssa/debug.go, PopulateABIInRegArgOps).
	SpillSlot
	// OwnFrame: DWARF names a place in the function's own frame, or what a
	// pointer there points to. At the entry the frame does not exist yet: the
	// place is below the stack pointer, and nothing has been put there for
	// this call. Seen for parameters that the function moves to the heap
	// (asink = &p) and that are passed on the stack: in Go 1.26 their one
	// location, for the whole function, is the pointer to the copy
	// (cmd/compile/internal/dwarfgen, createHeapDerefLocationList).
	//
	// The rule: every part that DWARF does not leave out is below the stack
	// pointer of the entry, or the expression is that of
	// createHeapDerefLocationList, with such a place, or with that of the
	// return address on 386, which stands for none. For Go 1.17 see [SpillSlot].
	OwnFrame
	// Reassigned: DWARF names the place of another argument. The function
	// assigns one to the other (x, y = y, x), or finds them equal, and the
	// compiler's location lists take the variable's later value for its first
	// one. See [checkClaims] for the rule, and for why it takes nothing else
	// for a reassignment.
	Reassigned
	// EarlyRegister: DWARF names a register, in a function that takes no argument
	// in registers. The list begins at the entry with a place that the variable
	// has later, such as where a new value is computed that it is assigned. Seen
	// in Go 1.16.
	//
	// The rule: no release of the function's passes arguments in registers, some
	// parts are in registers, all others agree or are dead.
	EarlyRegister
	// InBody: a result that is returned in registers, or a copy of one that is
	// returned on the stack, for which DWARF names the place that it has inside
	// the function. That says nothing of the place at a return. Builds with -N
	// describe all results so.
	//
	// The rule: DWARF names no place in the caller's frame.
	InBody
	// Foreign: not compiled by Go. DWARF is believed, where it can be at an
	// entry: see [Func.AtEntry].
	Foreign
	// Unconfirmed: what would be [Silent], [SpillSlot], [OwnFrame],
	// [Reassigned] or [EarlyRegister], in a function of which the signature is in doubt: another
	// value is Contradicted, the compiler leaves out blank parameters
	// ([Func.BlanksMissing]), or there may be a hidden one (see placements).
	// One parameter more or less moves others, so the convention is not
	// believed where DWARF does not confirm it. The value is absent.
	Unconfirmed
	// Contradicted: the words differ, and nothing here explains it. The value
	// is absent.
	Contradicted
	agreementCount
)

var agreementText = [agreementCount]string{
	"agree", "no bytes", "silent", "dead pieces", "spill slot", "own frame",
	"reassigned", "early register", "in body", "foreign", "unconfirmed", "contradicted",
}

// String returns the agreement as argtap inspect shows it.
func (a Agreement) String() string {
	if int(a) < len(agreementText) {
		return agreementText[a]
	}
	return fmt.Sprintf("agreement%d", uint8(a))
}

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

// unconfirmed reports whether a value of this agreement is believed to be where
// the convention says without a word from DWARF on any of its bytes.
func (a Agreement) unconfirmed() bool {
	return a == Silent || a == SpillSlot || a == OwnFrame || a == Reassigned || a == EarlyRegister
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

// entryAgreement classifies the comparison of one parameter. The explanations
// of a disagreement are not mixed: each is what the compiler does to a whole
// parameter.
func (c *comparison) entryAgreement(t *abi.Type) Agreement {
	switch {
	case t.Size == 0:
		return NoBytes
	case c.unexplained:
		return Contradicted
	case c.early > 0:
		if c.spilled > 0 || c.ownFrame > 0 || len(c.claims) > 0 {
			return Contradicted
		}
		return EarlyRegister
	case c.spilled > 0:
		if !c.mixed && (c.ownFrame > 0 || len(c.claims) > 0) {
			return Contradicted
		}
		return SpillSlot
	case c.ownFrame > 0:
		if !c.mixed && (c.same > 0 || len(c.claims) > 0) {
			return Contradicted
		}
		return OwnFrame
	case len(c.claims) > 0:
		return Reassigned
	case c.same == 0:
		return Silent
	case c.dead > 0:
		return DeadPieces
	}
	return Agree
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
