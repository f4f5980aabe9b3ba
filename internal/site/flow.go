package site

import (
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// maxFlow bounds the instructions of a function whose flow is followed.
const maxFlow = 1 << 18

// Flow is how control may go through a function, instruction by instruction. Calls
// are taken to return, so there may be more ways than there are: that leaves out
// what could be proved, and proves nothing wrong.
type Flow struct {
	f      *function
	instrs []instr
	index  map[int]int32 // by offset
	// succs and preds are by index; -1 is the way out of the function.
	succs, preds [][]int32
}

// NewFlow decodes a function as [FindIn] does. ErrNoSite says that there is a jump
// of which it is not known where it leads.
func NewFlow(a *abi.Arch, code []byte, entry symbols.VirtAddr, mem Memory) (*Flow, error) {
	fail := func(err error) (*Flow, error) {
		return nil, fmt.Errorf("code at %#x: %w", uint64(entry), err)
	}
	m, err := machineFor(a, code)
	if err != nil {
		return fail(err)
	}
	f, err := scan(m, code, entry, mem)
	if err != nil {
		return fail(err)
	}
	if len(f.unknown) > 0 {
		return fail(fmt.Errorf("%w: it is not known where the jump at %#x leads", ErrNoSite, uint64(f.addr(int(f.unknown[0].off)))))
	}
	w := &Flow{f: f, index: map[int]int32{}}
	for off := 0; off < len(code); {
		in, ok := f.at(off)
		if !ok || len(w.instrs) == maxFlow {
			return fail(fmt.Errorf("%w: it has more than %d instructions", ErrNoSite, maxFlow))
		}
		w.index[off] = int32(len(w.instrs))
		w.instrs = append(w.instrs, in)
		off = in.end()
	}
	w.connect()
	return w, nil
}

func (w *Flow) connect() {
	tables := map[int][]int{}
	for _, t := range w.f.tables {
		tables[int(t.off)] = t.targets
	}
	n := len(w.instrs)
	w.succs, w.preds = make([][]int32, n), make([][]int32, n)
	add := func(from int32, off int64) {
		to, ok := int32(-1), false
		if off >= 0 && off < int64(len(w.f.code)) {
			if to, ok = w.index[int(off)]; !ok {
				to = -1 // into the middle of an instruction, as no compiler does
			}
		}
		w.succs[from] = append(w.succs[from], to)
		if to >= 0 {
			w.preds[to] = append(w.preds[to], from)
		}
	}
	for i, in := range w.instrs {
		from := int32(i)
		if in.falls() {
			add(from, int64(in.end()))
		}
		switch in.flow {
		case jump, branch:
			add(from, in.target)
		case jumpAny:
			targets, ok := tables[in.off]
			for _, t := range targets {
				add(from, int64(t))
			}
			if !ok {
				add(from, -1)
			}
		case ret:
			add(from, -1)
		}
	}
}

// at returns the number of the instruction at an address.
func (w *Flow) at(a symbols.VirtAddr) (int32, bool) {
	i, ok := w.index[int(a-w.f.entry)]
	return i, ok && a >= w.f.entry
}

func (w *Flow) addr(i int32) symbols.VirtAddr { return w.f.addr(w.instrs[i].off) }

// Probe returns the probe on the instruction at an address, without its CFA.
// ErrNoSite says why there can be none.
func (w *Flow) Probe(a symbols.VirtAddr) (Probe, error) {
	i, ok := w.at(a)
	if !ok {
		return Probe{}, fmt.Errorf("probe site at %#x: %w: no instruction begins there", uint64(a), ErrNoSite)
	}
	in := w.instrs[i]
	if in.refused != "" {
		return Probe{}, fmt.Errorf("probe site at %#x: %w: %q: %s", uint64(a), ErrNoSite, w.f.m.text(w.f.code, in, w.f.entry), in.refused)
	}
	return w.f.probe(in, 0), nil
}

// Before returns the instructions from which control may come to the one at an
// address.
func (w *Flow) Before(a symbols.VirtAddr) []symbols.VirtAddr {
	i, ok := w.at(a)
	if !ok {
		return nil
	}
	var all []symbols.VirtAddr
	for _, p := range w.preds[i] {
		all = append(all, w.addr(p))
	}
	return all
}

// reach visits what can be reached from the instructions in from, without passing
// stop and without what pass refuses to go on from, until visit returns false. It
// visits the way out, -1, too.
func (w *Flow) reach(from []int32, stop int32, pass func(int32) bool, visit func(int32) bool) bool {
	seen := make([]bool, len(w.instrs)+1)
	queue := from
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[i+1] {
			continue
		}
		seen[i+1] = true
		if !visit(i) {
			return false
		}
		if i < 0 || i == stop || pass != nil && !pass(i) {
			continue
		}
		queue = append(queue[:len(queue):len(queue)], w.succs[i]...)
	}
	return true
}

// meets reports whether one of the goals can be reached.
func (w *Flow) meets(from []int32, stop int32, goal func(int32) bool) bool {
	return !w.reach(from, stop, nil, func(i int32) bool { return i == stop || !goal(i) })
}

// Reaches reports whether control may come from one instruction to another without
// passing others. It is true if one of them is not known.
func (w *Flow) Reaches(from, to symbols.VirtAddr, avoiding ...symbols.VirtAddr) bool {
	f, ok := w.at(from)
	t, known := w.at(to)
	if !ok || !known {
		return true
	}
	stops := map[int32]bool{}
	for _, a := range avoiding {
		i, ok := w.at(a)
		if !ok {
			return true
		}
		stops[i] = true
	}
	pass := func(i int32) bool { return !stops[i] }
	return !w.reach([]int32{f}, -1, pass, func(i int32) bool { return stops[i] || i != t })
}

// InlinedSite returns the instruction that is executed once for each execution of
// an inlined call, before all others of its body: body says which are those. mark
// is an instruction that the compiler names as the place of the call. ErrNoSite says
// why there is none that is known to be so.
func (w *Flow) InlinedSite(body func(symbols.VirtAddr) bool, mark symbols.VirtAddr) (Probe, error) {
	no := func(why string) (Probe, error) { return Probe{}, fmt.Errorf("%w: %s", ErrNoSite, why) }
	in := make([]bool, len(w.instrs))
	var entries []int32
	for i := range w.instrs {
		in[i] = body(w.addr(int32(i)))
	}
	for i := range w.instrs {
		if !in[i] {
			continue
		}
		for _, p := range w.preds[i] {
			if !in[p] {
				entries = append(entries, int32(i))
				break
			}
		}
	}
	if len(entries) == 0 {
		return no("no instruction of it is left")
	}
	q, ok := w.at(mark)
	if !ok {
		return no("nothing tells where the call was")
	}
	why := "no instruction comes before all others of its body"
	for _, p := range entries {
		// Every way to the body passes p.
		if w.meets([]int32{0}, p, func(i int32) bool { return i >= 0 && in[i] }) {
			continue
		}
		if why = w.repeatedWithout(p, q); why != "" {
			continue
		}
		if w.loops(p, in) {
			why = "its body begins with a loop"
			continue
		}
		return w.Probe(w.addr(p))
	}
	return no(why)
}

// repeatedWithout tells why p and q are not executed equally often and by turns; ""
// if they are.
func (w *Flow) repeatedWithout(p, q int32) string {
	const why = "it is not known whether each call comes to it"
	first, second := q, p
	if w.meets([]int32{0}, q, func(i int32) bool { return i == p }) {
		first, second = p, q // p comes first, if any does
		if p == q || w.meets([]int32{0}, p, func(i int32) bool { return i == q }) {
			return why
		}
	}
	// From the first control comes to the second, whatever happens, and from there
	// not to the second without the first.
	if p != q && w.meets(w.succs[first], second, func(i int32) bool { return i < 0 || i == first }) {
		return why
	}
	if w.meets(w.succs[second], first, func(i int32) bool { return i == second }) {
		return why
	}
	return ""
}

// loops reports whether control may come from p back to p on a way of which all
// decisions are the body's, and there is one.
func (w *Flow) loops(p int32, in []bool) bool {
	decides := func(i int32) bool { return w.instrs[i].flow == branch || w.instrs[i].flow == jumpAny }
	pass := func(i int32) bool { return in[i] || !decides(i) }
	// Ways through a decision of the body: from p to it and from it to p.
	var decisions []int32
	if pass(p) {
		w.reach(w.succs[p], p, pass, func(i int32) bool {
			if i >= 0 && in[i] && decides(i) {
				decisions = append(decisions, i)
			}
			return true
		})
		if decides(p) && in[p] {
			decisions = append(decisions, p)
		}
	}
	back := func(from []int32) bool {
		return !w.reach(from, p, pass, func(i int32) bool { return i != p })
	}
	for _, d := range decisions {
		if back(w.succs[d]) {
			return true
		}
	}
	return false
}

// Jump returns where control goes from an instruction that is nothing but a jump
// within the function, or from a chain of them.
func (w *Flow) Jump(a symbols.VirtAddr) (to symbols.VirtAddr, ok bool) {
	i, known := w.at(a)
	for n := 0; known && n < 64 && w.instrs[i].flow == jump && len(w.succs[i]) == 1 && w.succs[i][0] >= 0; n++ {
		i, ok = w.succs[i][0], true
	}
	if !ok {
		return 0, false
	}
	return w.addr(i), true
}
