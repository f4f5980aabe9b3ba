package dwarfargs

import (
	"errors"
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
)

// candidate is a signature that a function can have: with the parameters that
// DWARF describes, and perhaps others.
type candidate struct {
	sig *abi.Signature
	// at[i] is where Func.Params[i] is in sig.Params.
	at []int
	// unsure and unsureResult, if not nil, are the parameters and results of
	// Func whose place is not what the assignment of sig gives, or may not be.
	unsure, unsureResult []bool
	// open says that the table cuts off the last hidden parameter within.
	open bool
	// guessed is behind how many parameters of sig the first hidden one is whose
	// sizes are a guess, if hasGuess is set.
	guessed  int
	hasGuess bool
	// far says that the table does not have the sizes of hidden parameters.
	far bool
	// resultsMissing says that it agrees with the witness only if results are missing.
	resultsMissing bool
	// results, if not nil, is the order of Func.Results in sig and unsureResult.
	results []int
}

// maxCandidates bounds what is tried to find parameters that DWARF leaves out.
const maxCandidates = 1 << 12

var errTooManyCandidates = errors.New("too many ways to add the parameters that the debug information leaves out")

// embedding looks for the signatures that have a function's parameters and for
// which the compiler writes the argument table that it has written.
type embedding struct {
	f     *Func
	arch  *abi.Arch
	table []arginfo.Component
	// items are the parameters and the dictionary as the assignment has them,
	// with the shape that each has in a table.
	items []embedItem
	// mayHide says that DWARF can lack parameters.
	mayHide bool
	base    *candidate

	nodes int
	out   []candidate
	err   error
}

type embedItem struct {
	param int // index in base.sig.Params; -1: the dictionary
	shape arginfo.Component
}

// embed returns the candidates for base: those with hidden parameters for what
// the table has in excess.
func (f *Func) embed(a *abi.Arch, base *candidate, w *Witness, mayHide bool) ([]candidate, error) {
	e := embedding{f: f, arch: a, table: w.ArgInfo.Components, mayHide: mayHide, base: base}
	if err := e.shapes(); err != nil {
		return nil, err
	}
	if w.ArgInfo.Cut {
		e.table = e.table[:len(e.table)-1]
	}
	items := e.items
	if f.tableLacksFirst() && len(items) > 0 {
		items = items[1:]
		e.step(items, e.table, []embedSlot{{item: &e.items[0]}}, w.ArgInfo.Cut)
	} else {
		e.step(items, e.table, nil, w.ArgInfo.Cut)
	}
	return e.out, e.err
}

// tableLacksFirst reports whether the compiler leaves out the first argument of
// the function's table (see arginfo.Expect).
func (f *Func) tableLacksFirst() bool {
	return hasTypeArgs(f.Name) && !f.release.before(18)
}

// shapes sets items.
func (e *embedding) shapes() error {
	shape := func(t *abi.Type) (arginfo.Component, error) {
		sig := &abi.Signature{Params: []abi.Param{{Name: "p", Type: t}}}
		as, err := abi.Stack(e.arch, sig)
		if err != nil {
			return arginfo.Component{}, err
		}
		in, err := arginfo.Expect(arginfo.Func{Symbol: "f", Minor: e.f.release.minor, Arch: e.arch, Sig: sig, As: as})
		if err != nil || len(in.Components) == 0 {
			return arginfo.Component{}, errors.Join(err, errors.New("no table"))
		}
		return in.Components[0], nil
	}
	add := func(param int, t *abi.Type) error {
		s, err := shape(t)
		e.items = append(e.items, embedItem{param, s})
		return err
	}
	sig := e.base.sig
	dict := &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: e.arch.PtrSize, Align: e.arch.PtrSize}
	if sig.Dict == abi.DictFirst {
		if err := add(-1, dict); err != nil {
			return err
		}
	}
	for i := range sig.Params {
		if err := add(i, sig.Params[i].Type); err != nil {
			return fmt.Errorf("parameter %s: %w", sig.Params[i].Name, err)
		}
		if i == 0 && sig.Dict == abi.DictAfterReceiver {
			if err := add(-1, dict); err != nil {
				return err
			}
		}
	}
	return nil
}

// embedSlot is an argument of a candidate: one that is known, or a hidden one.
type embedSlot struct {
	item   *embedItem
	hidden *abi.Type
	open   bool // hidden is only the begin of the type
	// guessed: the table does not have the sizes of its words.
	guessed, far bool
}

// step goes on with items and table, of which the arguments so far are done.
func (e *embedding) step(items []embedItem, table []arginfo.Component, done []embedSlot, cut bool) {
	if e.nodes++; e.nodes > maxCandidates {
		e.err = errTooManyCandidates
	}
	if e.err != nil {
		return
	}
	if len(table) == 0 {
		if len(items) == 0 || cut {
			for i := range items {
				done = append(done, embedSlot{item: &items[i]})
			}
			e.candidate(done)
		}
		return
	}
	if len(items) > 0 && sameShape(&table[0], &items[0].shape) {
		e.step(items[1:], table[1:], append(slices.Clip(done), embedSlot{item: &items[0]}), cut)
	}
	if !e.mayHide || !cut && len(table) <= len(items) || !e.f.BlanksMissing && len(items) > 0 {
		return // those that a loop's body lacks are the last
	}
	if tooFar(&table[0]) && e.f.BlanksMissing {
		// Where results are left out, the sizes of all do not tell which guess is right.
		types, guessed := guessTypes(&table[0], e.arch, e.f.RegABI)
		for _, t := range types {
			e.step(items, table[1:], append(slices.Clip(done), embedSlot{hidden: t, far: true, guessed: guessed || e.f.ResultsMissing}), cut)
		}
		return
	}
	types, open := hiddenTypes(&table[0], e.arch, e.f.RegABI)
	for _, t := range types {
		e.step(items, table[1:], append(slices.Clip(done), embedSlot{hidden: t, open: open}), cut)
	}
}

// candidate adds the candidate that has the arguments.
func (e *embedding) candidate(done []embedSlot) {
	base := e.base.sig
	sig := &abi.Signature{Method: base.Method, Dict: base.Dict, Results: base.Results}
	c := candidate{sig: sig, at: make([]int, len(e.base.at))}
	at := make([]int, len(base.Params))
	for i, s := range done {
		switch {
		case s.hidden != nil:
			if i == 0 && base.Dict != abi.NoDict {
				return // not before the dictionary or the receiver
			}
			if s.guessed && !c.hasGuess {
				c.guessed, c.hasGuess = len(sig.Params), true
			}
			sig.Params = append(sig.Params, abi.Param{Name: "_", Type: s.hidden})
		case s.item.param >= 0:
			at[s.item.param] = len(sig.Params)
			sig.Params = append(sig.Params, base.Params[s.item.param])
		}
	}
	for _, s := range done {
		c.open, c.far = c.open || s.open, c.far || s.far
	}
	for i, p := range e.base.at {
		c.at[i] = at[p]
	}
	e.out = append(e.out, c)
}

// sameShape reports whether a component of a table can be the one that a value
// has in a table of its own: the offsets are others, and the end may be cut.
func sameShape(have, want *arginfo.Component) bool {
	switch {
	case have.Kind == arginfo.More || want.Kind == arginfo.More || have.Kind == arginfo.TooFar && want.Kind != arginfo.Group:
		return true
	case have.Kind != want.Kind:
		return want.Kind == arginfo.TooFar && have.Kind == arginfo.Value
	case have.Kind == arginfo.Value:
		return have.Size == want.Size
	}
	for i := range have.Elems {
		if have.Elems[i].Kind == arginfo.More {
			return true
		}
		if i == len(want.Elems) || !sameShape(&have.Elems[i], &want.Elems[i]) {
			return i < len(want.Elems) && want.Elems[i].Kind == arginfo.More
		}
	}
	return len(have.Elems) == len(want.Elems) || want.Elems[len(have.Elems)].Kind == arginfo.More
}

// tooFar reports whether the component has words whose place is too far away for the
// table to have their sizes.
func tooFar(c *arginfo.Component) bool {
	return c.Kind == arginfo.TooFar || slices.ContainsFunc(c.Elems, func(e arginfo.Component) bool { return tooFar(&e) })
}

// guessTypes is hiddenTypes for a component that is too far away: all that a single
// word can be, or one guess for a group.
func guessTypes(c *arginfo.Component, a *abi.Arch, registers bool) (ts []*abi.Type, guessed bool) {
	if c.Kind != arginfo.TooFar {
		return []*abi.Type{guessType(c, a)}, true
	}
	for size := a.PtrSize; size > 0; size /= 2 {
		t := integer(size)
		t.Align = min(t.Align, a.PtrSize)
		if ts = append(ts, t); registers && size >= 4 {
			ts = append(ts, float(size))
		}
	}
	return ts, false
}

// guessType is a type of words that looks like the component in a table.
func guessType(c *arginfo.Component, a *abi.Arch) *abi.Type {
	if c.Kind != arginfo.Group {
		return integer(a.PtrSize)
	}
	t := &abi.Type{Name: "group", Kind: abi.Struct, Align: 1}
	for i := range c.Elems {
		ft := guessType(&c.Elems[i], a)
		t.Fields = append(t.Fields, abi.Field{Name: fmt.Sprint(i), Type: ft, Offset: t.Size})
		t.Size, t.Align = t.Size+ft.Size, max(t.Align, ft.Align)
	}
	return t
}

// maxHiddenLeaves bounds the words of a hidden value of which each may be an
// integer or a float.
const maxHiddenLeaves = 4

// hiddenTypes returns types that stand for a value of which only the component
// is known. Where arguments are passed in registers it makes a difference
// which words are floats, and whether the value has an array in it; elsewhere
// one type does for all. open says that the component is cut: then the types are
// those of its begin. It is nil if the component is not known.
func hiddenTypes(c *arginfo.Component, a *abi.Arch, registers bool) (ts []*abi.Type, open bool) {
	h := hider{ptr: a.PtrSize}
	ts = []*abi.Type{h.of(c)}
	words, open := h.words, h.open
	if h.failed {
		return nil, false
	}
	if words == 0 { // no bytes: it is there for the sake of its alignment, perhaps
		ts[0].Align = 1
		return append(ts, &abi.Type{Name: "[0]uintptr", Kind: abi.Array, Elem: integer(a.PtrSize), Align: a.PtrSize}), open
	}
	if !registers {
		return ts, open
	}
	if words <= maxHiddenLeaves {
		for floats := 1; floats < 1<<words; floats++ {
			h := hider{ptr: a.PtrSize, floats: floats}
			if t := h.of(c); !h.failed {
				ts = append(ts, t)
			}
		}
	}
	if open {
		// With an array behind what shows.
		h := hider{ptr: a.PtrSize}
		t := h.of(c)
		two := &abi.Type{Name: "[2]uint8", Kind: abi.Array, Elem: integer(1), Len: 2, Size: 2, Align: 1}
		t.Fields = append(t.Fields, abi.Field{Name: "…", Type: two, Offset: t.Size})
		t.Size = alignUp(t.Size+2, t.Align)
		ts = append(ts, t)
	}
	h = hider{ptr: a.PtrSize, arrays: true}
	if t := h.of(c); !h.failed && h.arrayed {
		ts = append(ts, t)
	}
	return ts, open
}

// hider makes the types of hidden values.
type hider struct {
	ptr    int64
	floats int  // bit i: word i is a float
	arrays bool // groups of equals are arrays

	words   int
	arrayed bool // an array has been made
	open    bool // there is more than was shown
	failed  bool
}

func (h *hider) of(c *arginfo.Component) *abi.Type {
	switch c.Kind {
	case arginfo.Value:
		size := int64(c.Size)
		t := integer(size)
		if h.floats>>min(h.words, 62)&1 != 0 {
			t = float(size)
			h.failed = h.failed || size != 4 && size != 8
		}
		h.failed = h.failed || size > 8
		h.words++
		t.Align = min(t.Align, h.ptr)
		return t
	case arginfo.Group:
	default:
		h.failed = true
		return &abi.Type{Align: 1}
	}
	t := &abi.Type{Name: "group", Kind: abi.Struct, Align: 1}
	base, _ := offsetOf(c)
	equal := len(c.Elems) > 0
	for i := range c.Elems {
		e := &c.Elems[i]
		if e.Kind == arginfo.More {
			// One word stands for all.
			h.open, e = true, &arginfo.Component{Offset: base + alignUp(t.Size, h.ptr), Size: int(h.ptr)}
		}
		at, ok := offsetOf(e)
		if !ok {
			at = base + t.Size // no bytes
		}
		ft := h.of(e)
		equal = equal && same(ft, t.Fields) && at-base == int64(i)*ft.Size
		t.Fields = append(t.Fields, abi.Field{Name: fmt.Sprint(i), Type: ft, Offset: at - base})
		t.Align = max(t.Align, ft.Align)
		t.Size = max(t.Size, at-base+ft.Size)
	}
	if h.arrays && equal && len(t.Fields) > 1 {
		h.arrayed = true
		elem := t.Fields[0].Type
		n := int64(len(t.Fields))
		return &abi.Type{Name: fmt.Sprintf("[%d]%s", n, elem.Name), Kind: abi.Array, Elem: elem, Len: n, Size: n * elem.Size, Align: elem.Align}
	}
	t.Size = alignUp(t.Size, t.Align)
	return t
}

// same reports whether t is like the type of the first field, if there is one.
func same(t *abi.Type, fields []abi.Field) bool {
	return len(fields) == 0 || t.Name == fields[0].Type.Name && t.Size == fields[0].Type.Size
}

// offsetOf returns where the component begins, false if it has no bytes.
func offsetOf(c *arginfo.Component) (int64, bool) {
	if c.Kind == arginfo.Value {
		return c.Offset, true
	}
	for i := range c.Elems {
		if at, ok := offsetOf(&c.Elems[i]); ok {
			return at, true
		}
	}
	return 0, false
}

// integer returns the unsigned integer type of so many bytes, as Go aligns it on
// 64-bit machines.
func integer(size int64) *abi.Type {
	kinds := map[int64]abi.Kind{1: abi.Uint8, 2: abi.Uint16, 4: abi.Uint32, 8: abi.Uint64}
	return &abi.Type{Name: fmt.Sprintf("uint%d", 8*size), Kind: kinds[size], Size: size, Align: size}
}

// float returns the floating-point type of 4 or 8 bytes.
func float(size int64) *abi.Type {
	kinds := map[int64]abi.Kind{4: abi.Float32, 8: abi.Float64}
	return &abi.Type{Name: fmt.Sprintf("float%d", 8*size), Kind: kinds[size], Size: size, Align: size}
}
