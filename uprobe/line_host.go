package uprobe

import (
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// lineHost is a function with code of a line.
type lineHost struct {
	*hosted
	b    *executable
	rows lineRows
	file string
	line int
	o    *options
	err  error
	// declared is the line of the function's declaration.
	declared  int
	optimized bool
	// found says that a statement of the line begins in the function, anyRow that what
	// begins none is looked at, because there is none.
	found, anyRow bool
}

// open works out the function.
func (h *lineHost) open(s symbols.Func) error {
	fn, err := h.b.dwarf.Func(s, 0)
	if err == nil {
		h.optimized, h.declared = fn.Optimized, fn.Line
		h.hosted, err = h.b.host(s, h.o)
	}
	return err
}

// spot makes a place of a row, if control comes to the line there from elsewhere.
func (h *lineHost) spot(r lineRow) (spot, bool, error) {
	if !r.Stmt && !h.anyRow {
		return spot{}, false, nil
	}
	pc := r.PC
	calls, err := h.b.dwarf.InlinedAt(h.Func, pc)
	if err != nil {
		return spot{}, false, err
	}
	// Jumps to code of the line belong to it, too: it is the code that counts.
	if to, ok := h.flow.Jump(pc); ok {
		if same, inner, err := h.within(to, calls); err != nil {
			return spot{}, false, err
		} else if same && !inner {
			pc = to
		}
	}
	entry := pc == h.Entry
	if !entry {
		if same, err := h.comesFromLine(pc, calls); err != nil || same {
			return spot{}, false, err
		}
	}
	pl := codePlace{file: h.file, line: h.line, inlined: inlinings(calls), depth: len(calls)}
	name := h.Name
	if len(calls) > 0 {
		name = calls[len(calls)-1].Name
	}
	return spot{name: name, addr: pc, place: pl, make: func() (*Func, error) {
		if entry && len(calls) == 0 {
			return h.atEntry(pl)
		}
		p, err := h.flow.Probe(pc)
		if err != nil {
			return nil, err
		}
		if p.CFA, err = h.b.cfa(h.hosted, pc); err != nil {
			return nil, err
		}
		sites := &site.Sites{Entry: p, Why: "where the line begins"}
		return h.b.placed(h.hosted, name, sites, pl, func(depth int) ([]variable, error) { return h.variables(pc, depth) }, h.o)
	}}, true, nil
}

// maxBefore bounds the instructions that are looked at before one of the line.
const maxBefore = 2048

// comesFromLine reports whether all ways to an instruction come from the line itself.
// What lies between does not count: jumps, and what belongs to no statement's begin,
// such as copies of registers that the compiler has put between two parts of one, or
// before it.
func (h *lineHost) comesFromLine(pc symbols.VirtAddr, calls []dwarfargs.InlinedCall) (bool, error) {
	queue, seen := h.flow.Before(pc), map[symbols.VirtAddr]bool{}
	if len(queue) == 0 {
		return false, nil
	}
	for ; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if seen[p] {
			continue
		}
		if seen[p] = true; len(seen) > maxBefore {
			return false, nil
		}
		_, jump := h.flow.Jump(p)
		if !jump {
			w, inner, err := h.within(p, calls)
			r, ok := h.rows.at(p)
			switch {
			case err != nil:
				return false, err
			case w && inner:
				// The line's own code is before that, or the line begins with the call.
			case w && (!ok || r.Stmt || h.anyRow):
				continue
			case !ok || r.Stmt || p == h.Entry:
				return false, nil
			}
		}
		before := h.flow.Before(p)
		if len(before) == 0 {
			return false, nil
		}
		queue = append(queue, before...)
	}
	return true, nil
}

// within reports whether an instruction belongs to the line, in the same copy of it,
// and whether it is that of a call that was inlined there.
func (h *lineHost) within(pc symbols.VirtAddr, copy []dwarfargs.InlinedCall) (same, inner bool, err error) {
	calls, err := h.b.dwarf.InlinedAt(h.Func, pc)
	if err != nil || len(calls) < len(copy) {
		return false, false, err
	}
	for i := range copy {
		if !calls[i].Same(&copy[i]) {
			return false, false, nil
		}
	}
	if len(calls) > len(copy) {
		c := &calls[len(copy)]
		return c.File == h.file && c.Line == h.line, true, nil
	}
	r, ok := h.rows.at(pc)
	return ok && r.File == h.file && r.Line == h.line, false, nil
}

// atEntry is the place of a line that a function begins with: its parameters are
// where calls of it have them.
func (h *lineHost) atEntry(pl codePlace) (*Func, error) {
	// The first instruction may be one of a later line, before which parameters are
	// assigned to.
	doubt := h.optimized && h.declared != h.line
	whole := *h.o
	whole.whole = true
	read := func(depth int) ([]variable, error) {
		d := h.d
		if depth != typeDepth(h.o) {
			var err error
			if d, err = h.b.describe(h.Func, &whole); err != nil {
				return nil, err
			}
		}
		var vars []variable
		for _, p := range d.params {
			v := variable{name: p.Name, typ: p.Type, location: p.Location, source: p.Source, uncertain: doubt}
			if doubt && !h.o.uncertain {
				v.location, v.uncertain = abi.Absent(p.Type.Size, abi.Uncertain), false
			}
			vars = append(vars, v)
		}
		return vars, nil
	}
	vars, err := read(typeDepth(h.o))
	if err != nil {
		return nil, err
	}
	live := (&Func{arch: h.b.arch}).liveOf(vars, h.b)
	if h.d.keepsG(h.b.arch) {
		live = append(live, h.b.arch.G)
	}
	sites, err := site.FindIn(h.b.arch, h.code, h.Entry, live, h.b.file.ConstantAt)
	if err != nil {
		return nil, err
	}
	return h.b.placed(h.hosted, h.Name, sites, pl, read, h.o)
}

// liveOf returns the registers that hold variables.
func (f *Func) liveOf(vars []variable, b *executable) (live []abi.Reg) {
	for _, v := range vars {
		for _, p := range b.readable(v.location) {
			if p.Kind == abi.InRegister || p.Kind == abi.InMemory {
				live = append(live, p.Reg)
			}
		}
	}
	return live
}

// variables returns what is in scope at an instruction of the line.
func (h *lineHost) variables(pc symbols.VirtAddr, depth int) ([]variable, error) {
	scope, err := h.b.dwarf.ScopeAt(h.Func, pc, h.line, depth)
	if err != nil {
		return nil, err
	}
	ps := make([]*dwarfargs.Param, len(scope.Vars))
	for i := range scope.Vars {
		ps[i] = &scope.Vars[i].Param
	}
	vars := h.b.locate(ps, pc, sight{optimized: scope.Optimized}, h.o)
	for i := range scope.Vars {
		v := &scope.Vars[i]
		if v.Heap {
			vars[i].typ, vars[i].moved = v.Type.Elem, v.Type
		}
		if len(scope.Inlined) == 0 && h.unassigned(v, pc) {
			vars[i].location, vars[i].moved = abi.Absent(vars[i].typ.Size, abi.Unassigned), nil
		}
	}
	return vars, nil
}

// inlinings returns where code was inlined, the innermost call first.
func inlinings(calls []dwarfargs.InlinedCall) []Inlining {
	var all []Inlining
	for _, c := range slices.Backward(calls) {
		all = append(all, Inlining{Caller: c.Caller, File: c.File, Line: c.Line})
	}
	return all
}

// unassigned reports whether an instruction may be part of the declaration of a
// variable that takes several lines: debug information has the scope of variables
// begin too early. Code of the line that declares it comes before what is behind the
// declaration, and leads there again if it comes later, too, as that of a loop; or
// is where the loop ends.
func (h *lineHost) unassigned(v *dwarfargs.Variable, pc symbols.VirtAddr) bool {
	if v.IsParam || v.IsResult || v.Captured || v.Line == 0 {
		return false
	}
	var first symbols.VirtAddr
	var before, heads []symbols.VirtAddr
	for _, r := range h.rows {
		switch {
		case r.Line != v.Line || r.File != h.file:
		case r.PC > pc:
			if first == 0 {
				return true
			}
			if !r.Stmt || h.flow.Reaches(r.PC, pc, first) {
				continue
			}
			if heads == nil {
				heads = h.heads(pc, first, before)
			}
			if len(heads) == 0 || h.flow.Reaches(pc, r.PC, append(heads, first)...) {
				return true
			}
		case first == 0:
			first = max(r.PC, h.Entry)
		case r.PC > first:
			before = append(before, r.PC)
		}
	}
	return first == 0
}

// heads returns those of some instructions that are in a loop around an instruction of
// which another is not part, as those of the condition of a for statement are not
// executed again with its initialization.
func (h *lineHost) heads(pc, first symbols.VirtAddr, of []symbols.VirtAddr) []symbols.VirtAddr {
	heads := []symbols.VirtAddr{}
	for _, a := range of {
		if h.flow.Reaches(pc, a, first) && h.flow.Reaches(a, pc, first) {
			heads = append(heads, a)
		}
	}
	return heads
}
