package dwarfargs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
)

// Witness is what a file tells of a function's arguments elsewhere than in
// DWARF. All of it survives stripping.
type Witness struct {
	// ArgInfo is the function's argument table, which Go writes since 1.17 for
	// every function with arguments; nil if there is none, or if it is not known.
	ArgInfo *arginfo.Info
	// ArgsSize is _func.args of the runtime's function table: the bytes of the
	// caller's frame that belong to the call, for stack-assigned arguments and
	// results and for spill slots. It is negative if it is not known; the table
	// itself has such a number for some functions in assembly.
	ArgsSize int64
	// Spills are the argument registers that the function saves before its stack
	// grows, and where; nil if they are not known.
	Spills []arginfo.Spill
}

// ErrUnconfirmed: nothing tells that the parameters that DWARF describes are all
// that the function has.
var ErrUnconfirmed = errors.New("signature not confirmed")

// Confirm holds the signature that DWARF gives against what else the file
// tells. It is for the functions of which DWARF leaves parameters out
// ([Func.BlanksMissing], closures in generic code), and of releases that this
// package does not know; for all others it is one more check.
//
// If the witness agrees, the signature is believed, and [Func.AtEntry] gives
// more places. If the witness has more parameters than DWARF, and shows
// where, they are added to Params: blank, of a type that stands for what is
// known of them. If there are several possibilities, AtEntry gives what they
// have in common.
//
// The error is [ErrUnconfirmed], with the reason, if nothing is known, or if
// the witness contradicts DWARF: then no parameter is believed that DWARF does
// not place itself.
//
// It changes f, and is to be called before f is used otherwise.
func (f *Func) Confirm(w Witness) error {
	if !f.Go || f.Assembly || len(f.Params)+len(f.Results) > maxHidden {
		return nil
	}
	a := f.arch
	if a == nil {
		return fmt.Errorf("func %s: %w: architecture not supported", f.Name, ErrUnconfirmed)
	}
	if w.ArgsSize < 0 || w.ArgsSize > math.MaxInt32 {
		w.ArgsSize = -1
	}
	if w.ArgInfo == nil && w.ArgsSize < 0 && w.Spills == nil {
		if f.BlanksMissing {
			return fmt.Errorf("func %s: %w: its compiler leaves out blank parameters, and the file has no table that shows them", f.Name, ErrUnconfirmed)
		}
		return nil
	}
	all, err := f.witnessed(a, &w)
	if err != nil {
		f.contradicted = true
		return fmt.Errorf("func %s: %w: %w", f.Name, ErrUnconfirmed, err)
	}
	if all, err = f.notFar(a, all); err != nil {
		return err
	}
	if len(all) == 0 {
		f.contradicted = true
		return fmt.Errorf("func %s: %w: the arguments that the file has a record of are others than %s", f.Name, ErrUnconfirmed, f.Signature())
	}
	f.BlanksMissing = false
	// Up to Go 1.21 only wrappers lack any, but for what resultsMissing says of 1.17.
	if !f.release.before(22) || f.Wrapper {
		f.ResultsMissing = f.ResultsMissing || slices.ContainsFunc(all, func(c candidate) bool { return c.resultsMissing })
	}
	f.conventionShown = len(w.Spills) > 0
	f.adopt(all)
	return nil
}

// witnessed returns the signatures that the function can have by DWARF and by
// the witness.
func (f *Func) witnessed(a *abi.Arch, w *Witness) ([]candidate, error) {
	var all []candidate
	var first error
	for _, base := range f.variants(a) {
		some := []candidate{base}
		var err error
		switch {
		case f.release.before(17):
			some, err = f.stacked(a, &base, w.ArgsSize)
		case w.ArgInfo != nil:
			some, err = f.embed(a, &base, w, f.mayHide())
		}
		if err != nil {
			first = err
		}
		for i := range some {
			if some[i].hasGuess {
				if f.mayAgree(a, &some[i], w) {
					all = append(all, some[i])
				}
				continue
			}
			if ok, err := f.agrees(a, &some[i], w); err != nil {
				first = err
			} else if ok {
				all = append(all, some[i])
			}
		}
		// A variant that is only there in case that the plain one is wrong is not
		// tried if that is right.
		if len(all) > 0 && !f.isGenericClosure() {
			break
		}
	}
	if len(all) > 0 {
		first = nil
	}
	return all, first
}

// variants returns the signatures that are possible without hidden parameters,
// the one that DWARF has first: see [Func.placements] for closures in generic
// code. A first parameter that is of the receiver's type need not be the
// receiver, where that is blank and left out.
func (f *Func) variants(a *abi.Arch) []candidate {
	plain := f.plain()
	all := []candidate{plain}
	switch {
	case f.isGenericClosure():
		for i := range len(f.Params) + 1 {
			all = append(all, plain.insert(i, abi.Param{Name: ".dict", Type: dictType(a)}))
		}
	case f.BlanksMissing && f.Method && !f.receiverAdded && len(f.Params) > 0:
		all = append(all, plain.insert(0, abi.Param{Name: "_", Type: f.Params[0].Type}))
	}
	return all
}

// plain returns the signature as DWARF has it.
func (f *Func) plain() candidate {
	c := candidate{sig: f.Signature(), at: make([]int, len(f.Params))}
	for i := range c.at {
		c.at[i] = i
	}
	if f.isGenericClosure() {
		c.sig.Dict = abi.NoDict
	}
	if rangeBody(f.Name) && len(f.Results) == 0 {
		// It tells whether the loop goes on, by a result that DWARF leaves out.
		c.sig.Results = []abi.Param{{Name: "_", Type: &abi.Type{Name: "bool", Kind: abi.Bool, Size: 1, Align: 1}}}
	}
	return c
}

// isGenericClosure reports whether the function is a closure in generic code,
// or the body of a loop there.
func (f *Func) isGenericClosure() bool {
	return strings.Contains(f.Name, "[go.shape.") && !parseName(f.Name).shaped
}

// insert returns the candidate with one more parameter, before the i-th.
func (c *candidate) insert(i int, p abi.Param) candidate {
	sig := *c.sig
	sig.Params = slices.Insert(slices.Clone(sig.Params), i, p)
	at := slices.Clone(c.at)
	for j := range at {
		if at[j] >= i {
			at[j]++
		}
	}
	return candidate{sig: &sig, at: at}
}

// dictType stands for the dictionary's type where it is passed like any other
// parameter.
func dictType(a *abi.Arch) *abi.Type {
	return &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: a.PtrSize, Align: a.PtrSize}
}

// convention returns the calling convention of the function.
func (f *Func) convention() func(*abi.Arch, *abi.Signature) (*abi.Assignment, error) {
	if f.RegABI {
		return abi.Internal
	}
	return abi.Stack
}

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

// adopt takes the candidates over. If there is only one, its hidden parameters
// become visible.
func (f *Func) adopt(all []candidate) {
	f.candidates = all
	c := &all[0]
	if len(all) == 1 && c.results != nil {
		results := make([]Param, len(c.results))
		for i, j := range c.results {
			results[i] = f.Results[j]
		}
		f.Results, c.results = results, nil
	}
	if len(all) > 1 || len(c.sig.Params) == len(f.Params) && slices.IsSorted(c.at) || f.isGenericClosure() {
		return
	}
	params := make([]Param, len(c.sig.Params))
	at := make([]int, len(params))
	var unsure []bool
	if c.unsure != nil {
		unsure = make([]bool, len(params))
	}
	for i, p := range c.sig.Params {
		at[i] = i
		params[i] = Param{Name: p.Name, Type: p.Type, TypeParam: -1, ptr: f.arch.PtrSize, dialect: dialect{isGo: true}}
	}
	for i, j := range c.at {
		params[j] = f.Params[i]
		if c.unsure != nil {
			unsure[j] = c.unsure[i]
		}
	}
	f.Params, c.at, c.unsure = params, at, unsure
}

// rangeBody reports whether the compiler made the function of a loop's body
// (range over functions, Go 1.23). It lacks the last parameters in DWARF, those
// that the source gives no name; that moves none of the others.
func rangeBody(name string) bool {
	i := strings.LastIndex(name, "-range")
	return i >= 0 && strings.Trim(name[i+len("-range"):], "0123456789") == ""
}

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

// compareInputs compares the number of a signature's parameters, the receiver
// included, with what the names of the results tell: negative if some are
// missing in the signature, 0 if it is whole. told is false if they do not tell.
func (f *Func) compareInputs(params int) (n int, told bool) {
	if f.Method {
		params--
	}
	return params - f.inputs, f.inputs >= 0
}
