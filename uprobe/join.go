package uprobe

import (
	"slices"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// maxOpenBytes bounds what is kept of calls that have not returned yet.
const maxOpenBytes = 256 << 20

// joiner joins the records of entries and returns to calls. What a goroutine does
// comes in order: the ring buffer is one for all processors.
//
// A return names the entry that it belongs to, so calls are never mixed up,
// whatever was lost. That a call is left by a panic shows when the panic is
// recovered; or later, when its goroutine enters or leaves a function whose frame is
// at the same place on the stack or higher up. Such a call is [Call.Panicked] if the goroutine was seen to panic
// while it was open, and if no return may have been lost in between.
type joiner struct {
	calls openCalls
	// deliver takes a call that has ended: in how, with the record of the return
	// if it returned.
	deliver func(c *openCall, how ending, result []byte)
	// count counts a call that is not delivered, of which it has the record of the
	// entry.
	count func(entry []byte, how ending)

	procs map[uint32]*openProcess
	bytes int // of the records that are kept
	// ending returns the time from which on probes are missing, 0 if that has not
	// come.
	ending func() uint64
	// entriesGone reports whether the entries of a function are perhaps no longer
	// probed while its returns are. It may be nil.
	entriesGone func(*Func) bool
	// stolen are calls that are not open any more to the kernel, because another
	// was taken for them.
	stolen     map[callID]bool
	forgetting forgetting
	// spoiled counts records of returns that could not be read.
	spoiled uint64
	spare   [][]byte
	idle    []*goroutine
	// stack is that of the next entry.
	stack *callStack
}

// openCalls is what the kernel knows of open calls.
type openCalls interface {
	// isOpen reports whether the call is still open.
	isOpen(id callID) bool
	// forget forgets an open call. If it forgets another one in the same place it
	// returns that one's time.
	forget(id callID) (other uint64)
	// passedOver reports whether the kernel has perhaps, since a time, not run a program of a
	// return or a panic.
	passedOver(since uint64) bool
	// watch returns a function that reports whether the process has ended, and one
	// that releases what it needs; nil if that cannot be found out.
	watch(pid uint32) (ended func() bool, release func())
}

// ending is how a call ended.
type ending uint8

const (
	endReturned ending = iota
	endPanicked
	// endLost: its return may have been lost.
	endLost
	// endAbandoned: it was left otherwise, or it is not known how.
	endAbandoned
	// endOpen: it has not ended, as far as is known.
	endOpen
	// endFull: there were too many open calls.
	endFull
	// endFiltered: it has returned or panicked, and a condition is not met.
	endFiltered
	// endExited: its goroutine has ended by runtime.Goexit.
	endExited
)

// callID tells calls apart.
type callID struct {
	pid       uint32
	goroutine uint64
	depth     uint64
	time      uint64
}

// openCall is a call that has not returned yet.
type openCall struct {
	callID
	fn    *Func
	lost  uint64 // records of returns that were lost before
	data  []byte // the record of the entry
	epoch time.Time
	// recovered says that it has recovered a panic, the last one is caught, nil if
	// it was not seen to begin. left is the panic by which it was left, nil if it is
	// not known, for why.
	recovered    bool
	caught, left *panicked
	why          abi.Reason
	stack        *callStack
}

// openProcess has the open calls of a process.
type openProcess struct {
	goroutines map[uint64]*goroutine
	ended      func() bool
	release    func()
	dying      bool // it has ended, but there may be records of it
	unused     bool // at the last tick
}

// goroutine has the open calls of a goroutine, the outermost first.
type goroutine struct {
	calls  []openCall
	panics []*panicked
}

func newJoiner() *joiner {
	return &joiner{procs: make(map[uint32]*openProcess), stolen: make(map[callID]bool)}
}

// event is what a record of a whole call says.
type event struct {
	callID
	at   uint64 // when it was hit
	lost uint64
	kind uint16
}

func newEvent(data []byte, pair int) event {
	word := func(at int) uint64 { return order.Uint64(data[pair+at:]) }
	e := event{at: order.Uint64(data[capture.OffTime:]), lost: word(capture.PairLost), kind: order.Uint16(data[capture.OffKind:])}
	e.callID = callID{
		pid:       order.Uint32(data[capture.OffPIDTID+4:]),
		goroutine: word(capture.PairGoroutine), depth: word(capture.PairDepth), time: word(capture.PairTime),
	}
	if e.kind == capture.KindEntry {
		e.time = e.at
	}
	return e
}

// entry takes the record of an entry.
func (j *joiner) entry(fn *Func, data []byte, epoch time.Time) {
	e := newEvent(data, fn.plan.Pair)
	p := j.procs[e.pid]
	if p == nil {
		p = &openProcess{goroutines: make(map[uint64]*goroutine)}
		p.ended, p.release = j.calls.watch(e.pid)
		j.procs[e.pid] = p
	}
	p.unused = false
	g := p.goroutines[e.goroutine]
	if g == nil {
		if n := len(j.idle); n > 0 {
			g, j.idle = j.idle[n-1], j.idle[:n-1]
		} else {
			g = new(goroutine)
		}
		p.goroutines[e.goroutine] = g
	}
	j.overtake(g, &e, e.depth)
	switch {
	case len(j.stolen) > 0 && j.stolen[e.callID]:
		delete(j.stolen, e.callID)
		j.count(data, endLost)
	case j.bytes+len(data) > maxOpenBytes:
		j.count(data, endFull)
	default:
		var buf []byte
		if n := len(j.spare); n > 0 {
			buf, j.spare = j.spare[n-1], j.spare[:n-1]
		}
		c := openCall{callID: e.callID, fn: fn, lost: e.lost + j.spoiled, data: append(buf[:0], data...), epoch: epoch, stack: j.stack}
		j.bytes += len(c.data)
		g.calls = append(g.calls, c)
		return
	}
	j.retire(p, g, e.goroutine)
}

// retire gives up a goroutine without open calls.
func (j *joiner) retire(p *openProcess, g *goroutine, id uint64) {
	if len(g.calls) > 0 {
		return
	}
	delete(p.goroutines, id)
	j.dropPanics(g, func(*panicked) bool { return true })
	if len(j.idle) < 256 {
		j.idle = append(j.idle, g)
	}
}

// later takes the record of something else than an entry, which has what joins
// entry and return at pair.
func (j *joiner) later(data []byte, pair int) {
	e := newEvent(data, pair)
	p := j.procs[e.pid]
	if p == nil {
		return
	}
	g := p.goroutines[e.goroutine]
	if g == nil {
		return
	}
	switch e.kind {
	case capture.KindReturn, capture.KindFiltered:
		// Those further down have ended, and one in the same place that is not
		// the one that returns.
		j.overtake(g, &e, e.depth+1)
		n := len(g.calls) - 1
		if n >= 0 && g.calls[n].callID == e.callID {
			c := j.pop(g)
			if j.doubtful(g, &c, &e) {
				j.end(&c, endLost, nil)
				break
			}
			j.over(g, &c)
			if e.kind == capture.KindFiltered {
				j.end(&c, endFiltered, nil)
			} else {
				j.end(&c, endReturned, data)
			}
		} else {
			j.overtake(g, &e, e.depth)
		}
	case capture.KindPanic:
		j.panicking(g, &e, data)
	case capture.KindUnwound:
		j.overtake(g, &e, e.depth)
		// All other calls go on.
		j.recovered(g, &e)
	case capture.KindFatal, capture.KindExit:
		// No function of the goroutine returns any more, but those that are
		// deferred.
		ended := endPanicked
		if e.kind == capture.KindExit {
			ended = endExited
		}
		for n := len(g.calls); n > 0 && g.calls[n-1].depth >= e.depth; n-- {
			j.leave(g, &e)
		}
		for len(g.calls) > 0 {
			c := j.pop(g)
			j.forget(&c)
			if c.lost != e.lost+j.spoiled {
				j.end(&c, endLost, nil)
			} else {
				how, panicked := ended, g.passed(&c)
				if how == endExited && (panicked || c.fn.sites.TailJumps > 0 || j.gone(&e) || j.calls.passedOver(c.time)) {
					how = endAbandoned // it was perhaps left before
				}
				j.end(&c, how, nil)
			}
		}
	}
	j.retire(p, g, e.goroutine)
}

// gone reports whether probes may be missing that would have told what came before an
// event.
func (j *joiner) gone(e *event) bool {
	end := j.ending()
	return end != 0 && e.at >= end
}

// doubtful reports whether a return may be that of another call in the same place:
// one that began when entries were no longer probed, so that nothing showed that c
// had been left before.
func (j *joiner) doubtful(g *goroutine, c *openCall, e *event) bool {
	end := j.ending()
	if (end == 0 || e.at < end) && (j.entriesGone == nil || !j.entriesGone(c.fn)) {
		return false
	}
	return slices.ContainsFunc(g.panics, func(p *panicked) bool { return p.begunIn(c) }) ||
		c.lost != e.lost+j.spoiled || j.calls.passedOver(c.time)
}

// overtake ends the calls whose frames are at a depth or deeper: an event shows
// that they are not there any more.
func (j *joiner) overtake(g *goroutine, e *event, depth uint64) {
	for n := len(g.calls); n > 0 && g.calls[n-1].depth >= depth; n-- {
		j.leave(g, e)
	}
}

// leave ends the innermost call, which was left without a return that was seen.
func (j *joiner) leave(g *goroutine, e *event) {
	c := j.pop(g)
	if e.kind != capture.KindEntry || e.depth != c.depth {
		j.forget(&c) // else the kernel has put that call in its place
	}
	how := endAbandoned
	switch end := j.ending(); {
	case end != 0 && e.at >= end:
		how = endOpen // when all were there
	case c.lost != e.lost+j.spoiled, j.calls.passedOver(c.time):
		how = endLost
	case c.fn.sites.TailJumps == 0 && g.passed(&c):
		how = endPanicked
	}
	j.end(&c, how, nil)
}

func (j *joiner) pop(g *goroutine) openCall {
	n := len(g.calls) - 1
	c := g.calls[n]
	g.calls[n] = openCall{}
	g.calls = g.calls[:n]
	return c
}

// end delivers or counts a call that has ended.
func (j *joiner) end(c *openCall, how ending, result []byte) {
	j.bytes -= len(c.data)
	j.bytes -= c.caught.size()
	if how == endPanicked && c.fn.dropsUnwound(c.data) {
		how = endFiltered
	}
	if how == endReturned || how == endPanicked {
		j.deliver(c, how, result)
	} else {
		j.count(c.data, how)
	}
	if len(j.spare) < 256 && cap(c.data) <= 4096 {
		j.spare = append(j.spare, c.data)
	}
}

// tick looks for processes that have ended. All records that were sent until the
// tick before have been taken.
func (j *joiner) tick() {
	j.calls.passedOver(0) // else it is known only when it is asked next
	j.forgetOld()
	for pid, p := range j.procs {
		switch {
		case p.dying, len(p.goroutines) == 0 && p.unused:
			j.drop(pid, p)
		case p.ended != nil && p.ended():
			p.dying = true
		}
		p.unused = len(p.goroutines) == 0
	}
}

// finish ends all calls: no record comes any more.
func (j *joiner) finish() {
	j.forgetOld()
	j.forgetOld()
	for pid, p := range j.procs {
		j.drop(pid, p)
	}
}

// drop gives up the calls of a process.
func (j *joiner) drop(pid uint32, p *openProcess) {
	for id, g := range p.goroutines {
		for len(g.calls) > 0 {
			c := j.pop(g)
			how := endLost
			if j.calls.isOpen(c.callID) {
				how = endOpen
				j.calls.forget(c.callID)
			}
			j.end(&c, how, nil)
		}
		for _, q := range g.panics {
			j.calls.forget(callID{pid, id, openPanic, q.depth})
		}
		j.dropPanics(g, func(*panicked) bool { return true })
		delete(p.goroutines, id)
	}
	if p.release != nil {
		p.release()
	}
	delete(j.procs, pid)
}
