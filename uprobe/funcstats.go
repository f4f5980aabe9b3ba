package uprobe

import (
	"sync/atomic"
	"time"
)

// FuncStats are the counts of one function: [Stats] but for LostMissed, Unbound,
// LostStacks and ProbeTime, which are known of the tracer as a whole only. So are records that are so
// malformed that they do not tell their function. They add up like those.
type FuncStats struct {
	Func *Func
	Stats
}

// funcTally counts what the reader finds of a function. What follows malformed is
// not 0 only of functions whose whole calls are traced.
type funcTally struct {
	delivered, malformed atomic.Uint64
	// open are calls that the joiner has, openAtEnd those that it gave up as open.
	open, openAtEnd                 atomic.Uint64
	openFull, lostReturn, abandoned atomic.Uint64
	exited                          atomic.Uint64 // of abandoned
	// filtered are those that a condition of the return kept back, beyond those that
	// it let pass when WithFirst wanted no more.
	filtered, beyond atomic.Uint64
}

// addTo adds the counts.
func (y *funcTally) addTo(s *Stats) {
	s.Delivered += y.delivered.Load()
	s.LostMalformed += y.malformed.Load()
	s.LostOpen += y.openFull.Load()
	s.LostReturn += y.lostReturn.Load()
	s.Open += y.open.Load() + y.openAtEnd.Load()
	s.Abandoned += y.abandoned.Load()
	s.Exited += y.exited.Load()
	s.Filtered += y.filtered.Load()
	s.Beyond += y.beyond.Load()
}

// ended counts a call that is open no longer and not delivered.
func (y *funcTally) ended(how ending) {
	y.gone(how)
	y.open.Add(^uint64(0))
}

// gone counts a call that is not delivered.
func (y *funcTally) gone(how ending) {
	switch how {
	case endLost:
		y.lostReturn.Add(1)
	case endOpen:
		y.openAtEnd.Add(1)
	case endFull:
		y.openFull.Add(1)
	case endFiltered:
		y.filtered.Add(1)
	case endExited:
		y.abandoned.Add(1)
		y.exited.Add(1)
	default:
		y.abandoned.Add(1)
	}
}

// kernelCounts are what the programs have counted.
type kernelCounts struct {
	funcs  []Stats // by function, without what the reader counts
	missed uint64
	took   time.Duration
	// rows are what calls are counted by, rowsErr is why some are missing.
	rows    []tally
	rowsErr error
	// lostStacks are those of calls that are counted without one.
	lostStacks uint64
}

// Stats returns the counts up to now. After the tracer has ended they are
// final.
func (t *Tracer) Stats() Stats {
	c := t.kernel.counts()
	s := Stats{LostMissed: c.missed, ProbeTime: c.took}
	for i := range c.funcs {
		s.add(&c.funcs[i])
		s.addAggregated(&c.funcs[i])
	}
	for i := range t.tallies {
		t.tallies[i].addTo(&s)
	}
	s.LostMalformed += t.malformed.Load()
	s.Unbound, s.LostStacks = t.unbound.Load(), t.lostStacks.Load()+c.lostStacks
	s.sum()
	return s
}

// FuncStats returns the counts up to now of each function, in the order of
// [Tracer.Funcs]. After the tracer has ended they are final.
func (t *Tracer) FuncStats() []FuncStats {
	c := t.kernel.counts()
	all := make([]FuncStats, len(t.funcs))
	for i, f := range t.funcs {
		all[i].Func = f
		if i < len(c.funcs) {
			all[i].Stats = c.funcs[i]
		}
		t.tallies[i].addTo(&all[i].Stats)
		all[i].sum()
	}
	return all
}

// add adds what programs count.
func (s *Stats) add(o *Stats) {
	s.LostRing += o.LostRing
	s.LostBusy += o.LostBusy
	s.LostUnread += o.LostUnread
	s.Filtered += o.Filtered
	s.Sampled += o.Sampled
	s.Limited += o.Limited
	s.Beyond += o.Beyond
	s.Paused += o.Paused
	s.LostOpen += o.LostOpen
	s.Unmatched += o.Unmatched
}

// addAggregated adds what is counted of calls that are counted in place of being
// delivered.
func (s *Stats) addAggregated(o *Stats) {
	s.Aggregated += o.Aggregated
	s.LostReturn += o.LostReturn
	s.Open += o.Open
	s.Abandoned += o.Abandoned
}

// sum sets the sums.
func (s *Stats) sum() {
	s.Lost = s.LostRing + s.LostBusy + s.LostUnread + s.LostMissed + s.LostMalformed + s.LostOpen + s.LostReturn
	s.Calls = s.Delivered + s.Aggregated + s.Lost + s.Filtered + s.Sampled + s.Limited + s.Beyond + s.Paused + s.Open + s.Abandoned
}
