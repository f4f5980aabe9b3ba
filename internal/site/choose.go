package site

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

// prefixMax is how many instructions from the entry are looked at. A call
// passes them in order, so the site should be near; compilers' entry blocks
// rarely have more before a jump or a call.
const prefixMax = 64

// candidate is an instruction of the prefix: the straight line of code that
// every call runs through from its first instruction on.
type candidate struct {
	instr
	cfa int64
	// holds: the live registers are untouched and nothing was stored when
	// control arrives here.
	holds bool
	// inCheck: it is part of the stack check and runs again when that fails.
	inCheck bool
	// last: it is the stack check's last jump.
	last bool
}

// prefix returns the instructions that every call runs through. The stack
// check's jumps do not end it: when one is taken, morestack is called and
// the function starts again (or never does). frame is the offset of the
// last instruction of the prefix that makes room on the stack, -1 if none.
func (f *function) prefix(a *abi.Arch, live regSet, check stackCheck) (cands []candidate, frame int) {
	frame = -1
	holds := true
	cfa := a.CFAAtEntry
	off := 0
	for len(cands) < prefixMax {
		in, ok := f.at(off)
		if !ok {
			break
		}
		c := candidate{instr: in, cfa: cfa, holds: holds, inCheck: in.off < check.end}
		checkJump := false
		for i, j := range check.jumps {
			checkJump = checkJump || j == off
			c.last = c.last || (j == off && i == len(check.jumps)-1)
		}
		cands = append(cands, c)
		thunk := in.flow == call && c.inCheck
		if in.flow != next && !checkJump && !thunk {
			break
		}
		// What follows a write to a live register, a store or a possible
		// fault is no site, but still tells where the frame is made. The
		// stack check's own loads cannot fault: the matcher knows them.
		e := f.m.effects(f.code, in)
		if thunk {
			// It tells the address of the code, in the register that is
			// then loaded with the g (386).
			e = effects{}
			e.writes.add(check.g)
		}
		holds = holds && !e.losesSP && !e.writes.meets(live) && (!e.wild || c.inCheck)
		if e.grows > 0 {
			frame = in.off
		}
		cfa += e.grows
		off = in.end()
	}
	return cands, frame
}

// repeats returns the branches by which control comes back to the code
// before and at c, so that c is hit again in the same call. exact is false
// when there are more of which that cannot be said.
func (f *function) repeats(c candidate, check stackCheck, frame int) (edges []edge, exact bool, why string) {
	// At and after the last jump of the check, running the check again is
	// part of one call: the site is passed, or not skipped, once.
	pastCheck := check.end > 0 && (c.last || !c.inCheck)
	for _, e := range f.edges {
		if int(e.target) > c.off || pastCheck && int(e.off) == check.tailJump {
			continue
		}
		if e.flow == call {
			if e.target == 0 {
				continue // recursion: a call of its own
			}
			return nil, false, fmt.Sprintf("the call at %#x leads between the entry and the site", uint64(f.addr(int(e.off))))
		}
		edges = append(edges, e)
	}
	// Compiled code keeps its frame until it returns: it never runs again
	// the instruction that makes the frame, so nothing leads to the straight
	// line that ends in it, not even a jump whose targets are not known.
	if frame >= c.off {
		return edges, true, ""
	}
	for _, t := range f.tables {
		for _, target := range t.targets {
			if target <= c.off {
				return nil, false, fmt.Sprintf("the jump table of %#x leads back to the entry", uint64(f.addr(int(t.off))))
			}
		}
	}
	if len(f.unknown) > 0 {
		return nil, false, fmt.Sprintf("the indirect jump at %#x may lead back to the entry", uint64(f.addr(int(f.unknown[0].off))))
	}
	return edges, true, ""
}

// choose applies the rules of the package comment.
func (f *function) choose(a *abi.Arch, live []abi.Reg) (*Sites, error) {
	var set regSet
	for _, r := range live {
		set.add(r)
	}
	check, checked := f.m.stackCheck(f.code, f.entry)
	cands, frame := f.prefix(a, set, check)

	var reason string
	note := func(c candidate, s string) {
		if reason == "" {
			reason = fmt.Sprintf("%q: %s", f.m.text(f.code, c.instr, f.entry), s)
		}
	}
	// once has the sites that a call hits once, again those with repeats.
	var once, again []choice
	for _, c := range cands {
		if !c.holds {
			note(c, "an argument may have changed")
			break
		}
		if c.refused != "" {
			note(c, c.refused)
			continue
		}
		edges, exact, why := f.repeats(c, check, frame)
		switch {
		case !exact:
			note(c, why)
		case len(edges) == 0 && (!c.inCheck || c.last):
			once = append(once, choice{c, nil})
		case c.last:
			note(c, "branches lead back to the stack check")
		default:
			if why := f.tellable(c, edges); why != "" {
				note(c, why)
				continue
			}
			again = append(again, choice{c, edges})
		}
	}
	keepsG := func(c choice) bool { return check.gLoaded == 0 || f.keepsG(check, cands, c.off) }
	best, ok := pick(once, keepsG)
	if !ok {
		best, ok = pick(again, keepsG)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoSite, reason)
	}
	s := f.sites(best, checked)
	if checked {
		s.Grow = f.grow(a, live, check)
		s.G, s.HasG = check.g, f.keepsG(check, cands, best.off)
	}
	return s, nil
}

// keepsG reports whether the stack check has loaded the g into its register
// when control comes to the offset site, and nothing wrote to it since.
func (f *function) keepsG(check stackCheck, cands []candidate, site int) bool {
	if check.gLoaded == 0 || site < check.gLoaded {
		return false
	}
	var g regSet
	g.add(check.g)
	for _, c := range cands {
		if c.off >= check.gLoaded && c.off < site && f.m.effects(f.code, c.instr).writes.meets(g) {
			return false
		}
	}
	return true
}

// choice is a candidate with the branches that lead back to it.
type choice struct {
	candidate
	edges []edge
}

// pick prefers an emulated instruction outside the stack check, where a g
// that the check loaded is still in its register, then the check's jump, then
// the first that can be probed.
func pick(list []choice, keepsG func(choice) bool) (choice, bool) {
	for _, c := range list {
		if c.emulated && !c.inCheck && keepsG(c) {
			return c, true
		}
	}
	for _, c := range list {
		if c.last {
			return c, true
		}
	}
	for _, c := range list {
		if c.emulated && !c.inCheck {
			return c, true
		}
	}
	if len(list) == 0 {
		return choice{}, false
	}
	return list[0], true
}

// maxRepeats is how many branches may lead back to a site: each is a probe.
const maxRepeats = 32

// tellable reports why a probe on each edge does not tell that the next hit
// of c is a repetition; "" if it does.
func (f *function) tellable(c candidate, edges []edge) string {
	if len(edges) > maxRepeats {
		return fmt.Sprintf("%d branches lead back to it, more than %d", len(edges), maxRepeats)
	}
	for _, e := range edges {
		in, _ := f.at(int(e.off))
		text := f.m.text(f.code, in, f.entry)
		switch {
		case in.off == c.off:
			return fmt.Sprintf("it jumps to itself: %s", text)
		case in.refused != "":
			return fmt.Sprintf("%q leads back to it: %s", text, in.refused)
		case e.flow == branch && e.cond == Never && in.test.Mask == 0:
			return fmt.Sprintf("%q leads back to it, on a condition that flags do not tell", text)
		}
	}
	return ""
}

func (f *function) sites(c choice, checked bool) *Sites {
	s := &Sites{Entry: f.probe(c.instr, c.cfa), TailJumps: f.exits}
	switch {
	case c.last:
		s.Kind = AtCheck
		s.Entry.Skip = c.cond
	case !c.emulated:
		s.Kind = Stepped
	case checked:
		s.Kind = AfterCheck
	default:
		s.Kind = EntryBlock
	}
	for _, e := range c.edges {
		taken := Always
		if e.flow == branch {
			taken = e.cond
		}
		// What the frame is at a back edge is not followed; nothing is read
		// there but flags.
		in, _ := f.at(int(e.off))
		s.Repeats = append(s.Repeats, BackEdge{Probe: f.probe(in, 0), Taken: taken, Test: in.test})
	}
	for _, off := range f.returns {
		in, _ := f.at(int(off))
		s.Returns = append(s.Returns, f.probe(in, f.m.returnCFA()))
	}
	s.Why = f.why(s, c)
	return s
}

// why puts the choice in words for a reader of the site.
func (f *function) why(s *Sites, c choice) string {
	text := s.Kind.String()
	switch {
	case s.Kind == EntryBlock && c.off == 0:
		text = "first instruction"
	case s.Kind == Stepped && c.off == 0:
		text = "first instruction (single-stepped: nothing cheaper is hit once with the arguments in place)"
	case s.Kind == Stepped:
		text = fmt.Sprintf("single-stepped, %d bytes in: the first instruction cannot be probed", c.off)
	case s.Kind == AtCheck:
		text += fmt.Sprintf(", not taken (skipped when %q holds)", c.cond)
	}
	if n := len(s.Repeats); n > 0 {
		text += fmt.Sprintf(", hit again by %d branches that lead back to it", n)
	}
	return text
}
