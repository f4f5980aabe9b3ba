package dwarfargs

import (
	"errors"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
)

// agrees reports whether the witness has what the convention makes of the
// candidate. It notes in c what the witness says nothing of.
func (f *Func) agrees(a *abi.Arch, c *candidate, w *Witness) (bool, error) {
	as, err := f.convention()(a, c.sig)
	if err != nil {
		return false, err
	}
	cut := w.ArgInfo != nil && w.ArgInfo.Cut
	missing := int64(0) // bytes that the witness has in excess
	if w.ArgsSize >= 0 {
		missing = w.ArgsSize - (as.ArgSize + as.ResultSize + as.SpillSize)
	}
	behind := (missing > 0 && cut || c.open) && f.mayHide()
	switch {
	case missing == 0 || behind:
	case w.ArgInfo != nil && !cut, w.ArgInfo == nil && len(c.sig.Params) == 0 && c.sig.Dict == abi.NoDict && f.Wrapper:
		// All arguments are as the table has them, so it is results that are
		// missing: those of wrappers, and of functions that range over functions.
		c.resultsMissing = true
		c.unsureResult = all(len(f.Results))
	default:
		return false, nil
	}
	if w.ArgInfo != nil {
		ok, err := f.inTable(a, c.sig, as, w.ArgInfo)
		if err == nil && !ok && (cut || c.open) && f.mayHide() {
			behind = true
			as, ok, err = f.inCutTable(a, c, w.ArgInfo, missing)
		}
		if !ok || err != nil {
			return false, err
		}
	}
	shown := f.shown(c.sig, w)
	if len(w.Spills) > 0 && !sameSpills(c.sig, as, w.Spills, shown, behind) {
		return false, nil
	}
	if f.BlanksMissing && !f.release.before(17) {
		f.doubtBehindTable(a, c, as, w, shown, behind)
	}
	return true, nil
}

// inTable reports whether the table is that of the signature.
func (f *Func) inTable(a *abi.Arch, sig *abi.Signature, as *abi.Assignment, table *arginfo.Info) (bool, error) {
	err := table.Check(arginfo.Func{Symbol: f.Name, Minor: f.release.minor, Arch: a, Sig: sig, As: as})
	if errors.Is(err, arginfo.ErrMismatch) {
		return false, nil
	}
	return err == nil, err
}

// inCutTable is inTable for a candidate that may have further parameters behind
// those that the table lists. It returns the assignment that is in the table. The
// further parameters show in the table by its being cut, and by what they take of
// the stack before the spill slots: up to so many bytes.
func (f *Func) inCutTable(a *abi.Arch, c *candidate, table *arginfo.Info, most int64) (*abi.Assignment, bool, error) {
	sig := c.sig
	if table.Cut {
		sig = c.insert(len(sig.Params), abi.Param{Name: "_", Type: &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}}).sig
	}
	for size := int64(0); size <= min(max(most, 0), maxBehind); size += a.PtrSize {
		with := *sig
		if size > 0 {
			// A result takes the same place, and moves nothing else.
			room := &abi.Type{Name: "[...]uint8", Kind: abi.Array, Elem: integer(1), Len: size, Size: size, Align: 1}
			with.Results = append(slices.Clip(sig.Results), abi.Param{Name: "_", Type: room})
		}
		as, err := f.convention()(a, &with)
		if err != nil {
			return nil, false, err
		}
		ok, err := f.inTable(a, &with, as, table)
		if ok && size > 0 {
			// The spill slots are behind it.
			moved := *c.sig
			moved.Results = with.Results
			c.sig = &moved
		}
		if ok || err != nil || !f.RegABI {
			return as, ok, err
		}
	}
	return nil, false, nil
}

// maxBehind is how many bytes of the stack are tried for what a table cuts off.
const maxBehind = 256

// mayHide reports whether parameters of the function can be missing in DWARF
// without its name telling which.
func (f *Func) mayHide() bool { return f.BlanksMissing || rangeBody(f.Name) }

func all(n int) []bool { return slices.Repeat([]bool{true}, n) }

// doubtBehindTable notes which parameters may be moved by others that the
// witness does not show: those that the argument table cuts off, unless the
// sizes leave no room for others, or the saved registers would show others.
func (f *Func) doubtBehindTable(a *abi.Arch, c *candidate, as *abi.Assignment, w *Witness, shown int, behind bool) {
	if behind {
		c.unsureResult = all(len(f.Results))
	} else {
		if n, told := f.compareInputs(len(c.sig.Params)); w.ArgInfo != nil && !w.ArgInfo.Cut || told && n == 0 {
			return
		}
		if w.ArgsSize >= 0 {
			room := w.ArgsSize - as.ResultSize
			if c.sig.Dict != abi.NoDict {
				room -= a.PtrSize
			}
			for _, p := range c.sig.Params {
				room -= p.Type.Size
			}
			if room == 0 {
				return
			}
		}
	}
	c.unsure = make([]bool, len(c.at))
	exact := !behind && len(w.Spills) > 0 && registersLeft(a, as, shown)
	for i, at := range c.at {
		_, inRegs := as.SpillSlot(at)
		c.unsure[i] = at >= shown && !(inRegs && exact)
	}
}

// registersLeft reports whether any of the parameters from the given one on, if
// another took its registers, would get others: then the saved registers would
// show that. It would be on the stack if too few are left.
func registersLeft(a *abi.Arch, as *abi.Assignment, from int) bool {
	ints, floats := len(a.Ints), len(a.Floats)
	for _, r := range as.EntryRegs() {
		if a.IsFloat(r) {
			floats--
		} else {
			ints--
		}
	}
	for i := range as.Params {
		if _, inRegs := as.SpillSlot(i); !inRegs || i < from {
			continue
		}
		needInts, needFloats := 0, 0
		for _, p := range as.Params[i].AtEntry() {
			if a.IsFloat(p.Reg) {
				needFloats++
			} else {
				needInts++
			}
		}
		if needInts > ints || needFloats > floats {
			return false
		}
	}
	return true
}

// shown returns how many parameters the witness's table lists wholly.
func (f *Func) shown(sig *abi.Signature, w *Witness) int {
	if w.ArgInfo == nil {
		return 0
	}
	n := len(w.ArgInfo.Components)
	if w.ArgInfo.Cut {
		n-- // the mark, which stands for the rest
	}
	if n > 0 && isOpen(&w.ArgInfo.Components[n-1]) {
		n--
	}
	if f.tableLacksFirst() {
		n++
	}
	if sig.Dict != abi.NoDict {
		n--
	}
	return max(n, 0)
}

// isOpen reports whether something is left out of the component.
func isOpen(c *arginfo.Component) bool {
	if c.Kind == arginfo.More {
		return true
	}
	for i := range c.Elems {
		if isOpen(&c.Elems[i]) {
			return true
		}
	}
	return false
}

// sameSpills reports whether the saved registers are those of the assignment, or
// if there may be further arguments, have those of the ones that are shown.
func sameSpills(sig *abi.Signature, as *abi.Assignment, spills []arginfo.Spill, shown int, further bool) bool {
	want := make(map[abi.Reg]abi.CFAOffset)
	add := func(l abi.Location, slot abi.CFAOffset, ok bool) {
		if !ok {
			return
		}
		for _, p := range l {
			want[p.Reg] = slot + abi.CFAOffset(p.Offset)
		}
	}
	if sig.Dict != abi.NoDict {
		slot, ok := as.DictSpillSlot()
		add(as.Dict.AtEntry(), slot, ok)
	}
	for i := range sig.Params {
		if further && i >= shown {
			break
		}
		slot, ok := as.SpillSlot(i)
		add(as.Params[i].AtEntry(), slot, ok)
	}
	found := 0
	for _, s := range spills {
		switch slot, ok := want[s.Reg]; {
		case !ok && further:
		case !ok || slot != s.Slot:
			return false
		default:
			found++
		}
	}
	return found == len(want)
}

// compareInputs compares the number of a signature's parameters, the receiver
// included, with what the names of the results tell: negative if some are
// missing in the signature, 0 if it is whole. told is false if they do not tell.
func (f *Func) compareInputs(params int) (n int, told bool) {
	if f.Method {
		params--
	}
	return params - f.inputs, f.inputs >= 0
}
