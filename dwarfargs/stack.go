package dwarfargs

import (
	"math"
	"slices"

	"github.com/argtap/argtap/abi"
)

// stackVar is a parameter or result of the stack convention, of which the place
// is sought.
type stackVar struct {
	typ *abi.Type
	// pins are the offsets that it can have by DWARF's places in the caller's
	// frame, wherever in the function. It is empty if DWARF does not say it.
	pins []int64
	// What the compiler has sorted it by lies between its offset plus keyLo and
	// its offset plus keyHi.
	keyLo, keyHi int64
	notFirst     bool // it is not the receiver of this method
}

// stackArea lays out one area of the caller's frame, that of the parameters or
// that of the results, in all ways that are possible. Up to Go 1.16 DWARF has
// neither the order of declaration nor all parameters:
//
//   - The compiler sorts them by the offset of what it describes of them
//     (cmd/compile/internal/gc/scope.go, varsByScopeAndOffset). Values of size
//     zero have the offset of the next one, and can come behind it. On arm64 the
//     link register's word is counted for those that have locations only, so
//     that one without a location can come before a small one that precedes it.
//   - Go 1.11 sorts them by name (cmd/compile/internal/gc/dwinl.go, byNodeName
//     and byClassThenName).
//   - Blank ones are missing.
//
// Offsets count from the start of the arguments.
type stackArea struct {
	vars []stackVar
	ptr  int64
	// free: the order of vars says nothing.
	free bool
	// tight: no other values are between vars, so that each begins where the
	// one before it ends.
	tight bool
	// from is where the area begins, end where the next one does, -1 if that is
	// not known. The area ends less than a word before end if it is tight.
	from, end int64

	nodes int
	order []int // of what is laid out so far
	used  []bool
	early []int64 // parallel to vars
	found func(order []int, early, late []int64, end int64)
}

// maxStackNodes bounds the search. Only Go 1.11 needs more than a few.
const maxStackNodes = 1 << 15

// search calls found with each layout: the order, the least and the greatest
// offset of each variable, and where the last one ends. It is false if there
// are too many layouts.
func (s *stackArea) search() bool {
	s.used = make([]bool, len(s.vars))
	s.early = make([]int64, len(s.vars))
	s.order, s.nodes = s.order[:0], 0
	return s.next(s.from)
}

// next tries each variable that can come behind those laid out so far, which
// end at the given offset.
func (s *stackArea) next(at int64) bool {
	if s.nodes++; s.nodes > maxStackNodes {
		return false
	}
	if len(s.order) == len(s.vars) {
		if late, ok := s.late(at); ok {
			s.found(s.order, s.early, late, at)
		}
		return true
	}
	for i := range s.vars {
		if s.used[i] || !s.mayPrecede(i) {
			continue
		}
		v := &s.vars[i]
		offsets := v.pins
		if len(offsets) == 0 {
			offsets = []int64{alignUp(at, v.typ.Align)}
		}
		for _, off := range offsets {
			if off < alignUp(at, v.typ.Align) || s.tight && off != alignUp(at, v.typ.Align) || off%v.typ.Align != 0 {
				continue
			}
			if !s.place(i, off) {
				return false
			}
		}
	}
	return true
}

// place goes on with variable i at the given offset.
func (s *stackArea) place(i int, off int64) bool {
	end := off + s.vars[i].typ.Size
	if s.end >= 0 && end > s.end {
		return true
	}
	s.used[i], s.early[i] = true, off
	s.order = append(s.order, i)
	ok := s.next(end)
	s.order = s.order[:len(s.order)-1]
	s.used[i] = false
	return ok
}

// mayPrecede reports whether variable i can come before all that are not laid
// out yet and are listed before it.
func (s *stackArea) mayPrecede(i int) bool {
	v := &s.vars[i]
	if s.free {
		return !v.notFirst || len(s.order) > 0
	}
	for j := range i {
		if s.used[j] {
			continue
		}
		// j's offset is at least i's end, and j was sorted before i.
		room := v.keyHi - s.vars[j].keyLo
		if v.typ.Size > room || v.typ.Size == room && v.typ.Size > 0 {
			return false
		}
	}
	return true
}

// late returns the greatest offsets for the present order, which ends at the
// given offset at least. It is false if the area ends elsewhere.
func (s *stackArea) late(end int64) ([]int64, bool) {
	if s.tight {
		return s.early, s.end < 0 || alignUp(end, s.ptr) == s.end
	}
	late := make([]int64, len(s.vars))
	limit := s.end
	for k := len(s.order) - 1; k >= 0; k-- {
		i := s.order[k]
		v := &s.vars[i]
		late[i] = (limit - v.typ.Size) &^ (v.typ.Align - 1)
		if len(v.pins) > 0 {
			late[i] = s.early[i]
		}
		if late[i] > limit-v.typ.Size {
			return nil, false
		}
		if late[i] < s.early[i] {
			return nil, false
		}
		limit = late[i]
	}
	return late, true
}

// stackLayout is what all possible layouts of a function's frame have in common.
type stackLayout struct {
	// params and results are where each begins, and resultStart where the
	// results do, in the first layout that was found; order is its order of the
	// parameters, resultOrder that of the results.
	params, results    []int64
	order, resultOrder []int
	resultStart        int64
	// unsure are those that are elsewhere in other layouts.
	unsure, unsureResult []bool
	found                bool
}

// stackFrame lays out parameters and results. total is the size of both areas in
// bytes, -1 if it is not known; whole says that no parameter is missing. It is
// false if there are too many layouts, and found is false if there are none.
func stackFrame(params, results []stackVar, ptr, total int64, free, whole bool) (l stackLayout, ok bool) {
	l.unsure, l.unsureResult = make([]bool, len(params)), make([]bool, len(results))
	if !whole && total < 0 {
		return l, false
	}
	ok = true
	add := func(order, resultOrder []int, early, late, rs []int64, start int64) {
		if !l.found {
			l.found = true
			l.params, l.results, l.resultStart = slices.Clone(early), rs, start
			l.order, l.resultOrder = slices.Clone(order), resultOrder
		}
		for i := range early {
			l.unsure[i] = l.unsure[i] || params[i].typ.Size > 0 && (early[i] != late[i] || early[i] != l.params[i])
		}
		for i := range rs {
			l.unsureResult[i] = l.unsureResult[i] || results[i].typ.Size > 0 && rs[i] != l.results[i]
		}
	}
	// The layouts of the results do not depend on the parameters, but for where
	// they begin; that tells which pins fit.
	loose := slices.Clone(results)
	for i := range loose {
		loose[i].pins = nil
	}
	var ends []int64
	var offsets [][]int64
	var orders [][]int
	rs := stackArea{vars: loose, ptr: ptr, free: free, tight: true, end: -1}
	rs.found = func(order []int, early, _ []int64, end int64) {
		offsets, ends = append(offsets, slices.Clone(early)), append(ends, alignUp(end, ptr))
		orders = append(orders, slices.Clone(order))
	}
	if !rs.search() {
		return l, false
	}
	fit := func(k int, start int64) (at []int64, ok bool) {
		at = slices.Clone(offsets[k])
		for i := range at {
			at[i] += start
			if len(results[i].pins) > 0 && !slices.Contains(results[i].pins, at[i]) {
				return nil, false
			}
		}
		return at, true
	}
	ps := stackArea{vars: params, ptr: ptr, free: free, tight: whole, end: -1}
	if total < 0 {
		ps.found = func(order []int, early, late []int64, end int64) {
			for k := range offsets {
				if at, fits := fit(k, alignUp(end, ptr)); fits {
					add(order, orders[k], early, late, at, alignUp(end, ptr))
				}
			}
		}
		return l, ps.search()
	}
	searched := make(map[int64]bool)
	for k := range offsets {
		start := total - ends[k]
		at, fits := fit(k, start)
		if start < 0 || !fits {
			continue
		}
		if searched[start] && l.found {
			// The parameters are as for another order of the results.
			add(l.order, orders[k], l.params, l.params, at, start)
			continue
		}
		searched[start] = true
		ps.end = start
		ps.found = func(order []int, early, late []int64, _ int64) {
			add(order, orders[k], early, late, at, start)
		}
		ok = ps.search() && ok
	}
	return l, ok
}

// alignUp rounds n up to a multiple of align, a power of two.
func alignUp(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

// stackVars describes parameters or results for a search.
func (f *Func) stackVars(ps []Param, a *abi.Arch) []stackVar {
	vars := make([]stackVar, len(ps))
	for i := range ps {
		p := &ps[i]
		v := stackVar{typ: p.Type, pins: p.pins(a)}
		if p.loc.isList || len(p.loc.expr) > 0 {
			v.keyLo = int64(a.ArgBase)
		}
		v.keyHi = v.keyLo
		if ls, ok := leaves(nil, p.Type, 0, a.PtrSize, 0); ok && len(ls) > 0 && p.dialect.split {
			v.keyHi += ls[len(ls)-1].offset
		}
		vars[i] = v
	}
	return vars
}

// pins returns the offsets that p can have in the caller's frame, so that all of
// DWARF's places there are parts of it; none if there are no places. DWARF
// leaves out parts, and repeats others: see [Param.byPlace].
//
// These are its own, and not those of another parameter that is assigned to it,
// if the pins of all have room beside each other. For at the entry each variable
// is in the place of the last of the arguments that are its value anywhere (see
// [checkClaims]); the last of those that are exchanged is a value of its own
// variable and of another one, and so both are in its place.
func (p *Param) pins(a *abi.Arch) []int64 {
	ls, ok := leaves(nil, p.Type, 0, a.PtrSize, 0)
	if !ok || len(ls) == 0 {
		return nil
	}
	if !p.dialect.split { // the whole value is in one place
		ls = []leaf{{0, p.Type.Size}}
	}
	exprs := [][]byte{p.loc.expr}
	if p.loc.isList {
		exprs = exprs[:0]
		for i := range p.loc.list {
			exprs = append(exprs, p.loc.list[i].expr)
		}
	}
	var pins []int64
	said := false
	for _, expr := range exprs {
		if len(expr) == 0 {
			continue
		}
		var places []exprPiece
		all, _ := distinct(p.ev.eval(expr), len(ls))
		for _, g := range all {
			if g.kind == abi.InFrame && g.k >= int64(a.ArgBase) {
				places = append(places, g)
			}
		}
		if len(places) == 0 {
			continue
		}
		some := bases(places, ls, int64(a.ArgBase))
		if base, ok := p.base(expr, a); ok {
			some = some[:0]
			if base >= 0 {
				some = append(some, base)
			}
		}
		if said {
			some = slices.DeleteFunc(some, func(b int64) bool { return !slices.Contains(pins, b) })
		}
		if pins, said = some, true; len(pins) == 0 {
			return nil // not all of them are its own
		}
	}
	return pins
}

// base returns the offset of p by an expression that has a piece for each of its
// parts, -1 if they do not lie in one value's place. It is false for other
// expressions.
func (p *Param) base(expr []byte, a *abi.Arch) (base int64, ok bool) {
	l := location(p.Type, p.ev.eval(expr), p.dialect, p.ptr)
	if isUnsupported(l) {
		return 0, false
	}
	base = -1
	for i, piece := range l {
		if piece.Kind != abi.InFrame || piece.CFA < a.ArgBase {
			continue
		}
		b := int64(piece.CFA-a.ArgBase) - piece.Offset
		if b < 0 || b > math.MaxInt32 || i > 0 && base >= 0 && b != base {
			return -1, true
		}
		base = b
	}
	return base, true
}

// bases returns the offsets of a value for which the places are some of its
// leaves, in order.
func bases(places []exprPiece, ls []leaf, origin int64) (out []int64) {
	for _, first := range ls {
		base := places[0].k - first.offset
		if base < origin || base-origin > math.MaxInt32 {
			continue
		}
		rest := places
		for _, l := range ls {
			if len(rest) > 0 && rest[0].k == base+l.offset && (rest[0].size < 0 || rest[0].size == l.size) {
				rest = rest[1:]
			}
		}
		if len(rest) == 0 {
			out = append(out, base-origin)
		}
	}
	return out
}
