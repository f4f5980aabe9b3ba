package uprobe

import (
	"slices"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// unwinder finds out how calls have ended that are counted when they return, and do
// not. It has no records of entries and returns, only of what happens to goroutines
// besides: of panics, recoveries and ends. A call that is found to be open, or in
// whose place another began, is compared with what came after it, as a joiner would
// have done at the time.
//
// Time passes in ticks. Between two of them all records are read that had been written
// before the first. At each tick all open calls are looked at, so those that an event
// ended are either found there by the first tick behind it, or their record, of one
// that came in their place, is written by then. So what happened three ticks ago ended
// no call that is still to be looked at.
type unwinder struct {
	calls unwinderCalls
	// ending returns the time from which on probes are missing, 0 if that has not come.
	ending func() uint64
	// lostSince returns the time since which nothing was lost that tells how calls end,
	// but for what happens now.
	lostSince func() uint64
	// jumps reports whether a function may end in a jump to another, too.
	jumps func(fn uint32) bool

	states joiner // has what changes a goroutine's panics
	ticks  int
	procs  map[uint32]map[uint64]*pastOf
	// left are open calls that must have been left, as others are open further up that
	// are younger; dead those of processes that have ended; each with the tick at which
	// it was seen.
	left map[callID]seenLeft
	dead map[callID]int
	// known is how calls have ended that the kernel cannot be made to forget yet.
	known map[callID]ending
}

// unwinderCalls is what the kernel has of open calls.
type unwinderCalls interface {
	// openCalls are the open calls.
	openCalls() ([]openAggregate, error)
	// takeAway makes the kernel forget a call, and counts it, unless it is open no more
	// by then. It reports whether it could: else the call is to be kept in mind. last says
	// that no program runs any more.
	takeAway(c openAggregate, how ending, last bool) bool
	// dead reports whether a process has ended.
	dead(pid uint64) bool
}

// seenLeft is by when a call had been left, and when that was seen.
type seenLeft struct {
	by   uint64
	tick int
}

// pastOf a goroutine is what happened to a goroutine: the panics that may be under way, and
// what was lately.
type pastOf struct {
	panics goroutine
	recent []tickedEvent
	// needed is the last tick at which an open call was there that the panics may have
	// left.
	needed int
}

type tickedEvent struct {
	event
	tick int
}

func newUnwinder() *unwinder {
	return &unwinder{procs: map[uint32]map[uint64]*pastOf{}, left: map[callID]seenLeft{}, dead: map[callID]int{}, known: map[callID]ending{}}
}

// openKey is a key of the map of open calls.
type openKey [probegen.OpenKeySize / 8]uint64

// openAggregate is a call that is to be counted when it returns.
type openAggregate struct {
	key  openKey
	fn   uint32
	time uint64
}

func (c *openAggregate) id() callID {
	return callID{uint32(c.key[probegen.OpenPID/8]), c.key[probegen.OpenGoroutine/8], c.key[probegen.OpenDepth/8], c.time}
}

// event takes a record of a goroutine.
func (u *unwinder) event(data []byte, pair int) {
	e := newEvent(data, pair)
	p := u.procs[e.pid]
	if p == nil {
		p = map[uint64]*pastOf{}
		u.procs[e.pid] = p
	}
	g := p[e.goroutine]
	if g == nil {
		g = new(pastOf)
		p[e.goroutine] = g
	}
	g.recent = append(g.recent, tickedEvent{e, u.ticks})
}

// overtaken takes a call in whose place another began, and returns how it ended.
func (u *unwinder) overtaken(id callID, fn uint32, at uint64) ending {
	how, ok := u.known[id]
	if ok {
		delete(u.known, id)
		return how
	}
	delete(u.left, id)
	delete(u.dead, id)
	how, _ = u.verdict(id, fn, at)
	return how
}

// apply changes the panics of a goroutine by an event.
func (u *unwinder) apply(g *goroutine, e *event) {
	switch e.kind {
	case capture.KindPanic:
		u.states.panicking(g, e, nil)
	case capture.KindUnwound:
		u.states.dropPanics(g, func(p *panicked) bool { return p.depth >= e.depth })
	}
}

// verdict says how a call has ended, if that is known: by what happened after it
// began, until by, if that is not 0, when it had been left.
func (u *unwinder) verdict(id callID, fn uint32, by uint64) (how ending, ended bool) {
	state := goroutine{calls: []openCall{{callID: id}}}
	c := &state.calls[0]
	end := func(at uint64, how func() ending) (ending, bool) {
		switch end := u.ending(); {
		case end != 0 && at >= end:
			return endOpen, true // when all probes were there
		case id.time < u.lostSince():
			return endLost, true
		}
		return how(), true
	}
	left := func() ending {
		if !u.jumps(fn) && state.passed(c) {
			return endPanicked
		}
		return endAbandoned
	}
	if g := u.procs[id.pid][id.goroutine]; g != nil {
		state.panics = slices.Clone(g.panics.panics)
		for i := range g.recent {
			e := &g.recent[i].event
			switch {
			case by != 0 && e.at >= by:
				return end(by, left)
			case e.at <= id.time:
			case e.kind == capture.KindFatal && id.depth < e.depth:
				return end(e.at, func() ending { return endPanicked })
			case e.kind == capture.KindExit && id.depth < e.depth:
				return end(e.at, func() ending {
					if state.passed(c) || u.jumps(fn) {
						return endAbandoned // it was perhaps left before
					}
					return endExited
				})
			case e.kind != capture.KindPanic && id.depth >= e.depth:
				return end(e.at, left)
			}
			u.apply(&state, e)
		}
	}
	if by == 0 {
		return 0, false
	}
	return end(by, left)
}

// tick looks at all open calls.
func (u *unwinder) tick() error {
	open, err := u.calls.openCalls()
	if err != nil {
		return err
	}
	u.settle()
	now := map[callID]bool{}
	dead := map[uint64]bool{}
	left := leftBy(open)
	for i := range open {
		c := &open[i]
		id := c.id()
		now[id] = true
		if _, ok := u.known[id]; ok {
			continue
		}
		how, ended := u.verdict(id, c.fn, 0)
		by, isLeft := left[id]
		seen, wasLeft := u.left[id]
		is, asked := dead[c.key[0]]
		if !asked {
			is = u.calls.dead(c.key[0])
			dead[c.key[0]] = is
		}
		since, wasDead := u.dead[id]
		switch {
		case ended:
		case wasLeft && u.ticks-seen.tick >= 2: // all that happened before has been read
			how, ended = u.verdict(id, c.fn, seen.by)
		case wasDead && u.ticks-since >= 2:
			how, ended = endOpen, true
		case isLeft && !wasLeft:
			u.left[id] = seenLeft{by, u.ticks}
		case is && !wasDead:
			u.dead[id] = u.ticks
		}
		if !ended {
			u.need(c)
			continue
		}
		if !u.calls.takeAway(*c, how, false) {
			u.known[id] = how
		}
	}
	for id := range u.left {
		if !now[id] {
			delete(u.left, id)
		}
	}
	for id := range u.dead {
		if !now[id] {
			delete(u.dead, id)
		}
	}
	u.forget()
	u.ticks++
	return nil
}

// finish looks at all open calls once more, when no record comes any more. What is
// still open then stays so.
func (u *unwinder) finish() error {
	open, err := u.calls.openCalls()
	if err != nil {
		return err
	}
	gone := leftBy(open)
	for i := range open {
		c := &open[i]
		how, ended := u.known[c.id()]
		if !ended {
			how, ended = u.verdict(c.id(), c.fn, gone[c.id()])
		}
		if ended && how != endOpen {
			u.calls.takeAway(*c, how, true)
		}
	}
	return nil
}

// need notes what of a goroutine's past an open call may need.
func (u *unwinder) need(c *openAggregate) {
	id := c.id()
	g := u.procs[id.pid][id.goroutine]
	if g == nil {
		return
	}
	o := openCall{callID: id}
	if slices.ContainsFunc(g.panics.panics, func(p *panicked) bool { return p.begunIn(&o) }) {
		g.needed = u.ticks
	}
}

// settle makes what happened three ticks ago the past.
func (u *unwinder) settle() {
	for _, p := range u.procs {
		for _, g := range p {
			n := 0
			for n < len(g.recent) && g.recent[n].tick <= u.ticks-3 {
				u.apply(&g.panics, &g.recent[n].event)
				n++
				g.needed = u.ticks
			}
			g.recent = slices.Delete(g.recent, 0, n)
		}
	}
}

// forget forgets goroutines whose past no call needs that was open lately. A call that
// does cannot come later: it would have begun before.
func (u *unwinder) forget() {
	for pid, p := range u.procs {
		for id, g := range p {
			if u.ticks-g.needed >= 3 && len(g.recent) == 0 { // whose records have been read, too
				delete(p, id)
			}
		}
		if len(p) == 0 {
			delete(u.procs, pid)
		}
	}
}

// leftBy returns the calls that were left without a return that was seen, each with a
// time by which it had been. Frames of a goroutine lie on its stack in the order in
// which they were entered: one that is older than another further up is not there any
// more.
func leftBy(open []openAggregate) map[callID]uint64 {
	sorted := slices.Clone(open)
	slices.SortFunc(sorted, func(a, b openAggregate) int { return slices.Compare(a.key[:], b.key[:]) })
	gone := map[callID]uint64{}
	var there []uint64 // when those began that are there, the outermost first
	for i := range sorted {
		c := &sorted[i]
		if i == 0 || sorted[i-1].key[0] != c.key[0] || sorted[i-1].key[1] != c.key[1] {
			there = there[:0]
		}
		if k, _ := slices.BinarySearch(there, c.time); k < len(there) {
			gone[c.id()] = there[k]
		} else {
			there = append(there, c.time)
		}
	}
	return gone
}
