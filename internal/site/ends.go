package site

import "github.com/argtap/argtap/symbols"

// Ends reports whether all ways through the function end soon, with a call of what
// ends says is an end: none of them leads out of the function, or to an instruction
// that is none, and no loop calls anything. The call of morestack, behind which a
// function begins again, is to be such an end.
func (w *Flow) Ends(ends func(symbols.VirtAddr) bool) bool {
	n := int32(len(w.instrs))
	if n == 0 {
		return false
	}
	calls := func(i int32) bool { return w.instrs[i].flow == call || w.instrs[i].flow == callAny }
	next := func(i int32) []int32 {
		if in := w.instrs[i]; in.flow == call && ends(w.f.entry+symbols.VirtAddr(in.target)) {
			return nil
		}
		return w.succs[i]
	}
	// Tarjan's algorithm finds the instructions that lead to each other. low is 0 of
	// those not seen, and n+1 of those of which all is known.
	low := make([]int32, n)
	var members []int32
	type step struct {
		at, number int32
		next       []int32
	}
	var way []step
	number := int32(0)
	visit := func(i int32) bool {
		number++
		low[i] = number
		members = append(members, i)
		s := step{i, number, next(i)}
		way = append(way, s)
		in := w.instrs[i]
		return len(s.next) > 0 || in.flow == call // an end; else nothing
	}
	if !visit(0) {
		return false
	}
	for len(way) > 0 {
		s := &way[len(way)-1]
		if len(s.next) > 0 {
			to := s.next[0]
			s.next = s.next[1:]
			switch {
			case to < 0 || to == s.at && calls(to):
				return false
			case low[to] == 0:
				if !visit(to) {
					return false
				}
			case low[to] <= n:
				low[s.at] = min(low[s.at], low[to])
			}
			continue
		}
		at, own := s.at, s.number
		way = way[:len(way)-1]
		if len(way) > 0 {
			up := way[len(way)-1].at
			low[up] = min(low[up], low[at])
		}
		if low[at] < own {
			continue
		}
		// at and what was seen behind it are in loops together, if they are several.
		for several := members[len(members)-1] != at; ; {
			m := members[len(members)-1]
			members = members[:len(members)-1]
			if several && calls(m) {
				return false
			}
			low[m] = n + 1
			if m == at {
				break
			}
		}
	}
	return true
}
