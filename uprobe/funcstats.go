package uprobe

import (
	"sync/atomic"
	"time"
)

// FuncStats are the counts of one function: [Stats] but for LostMissed, Unbound and
// ProbeTime, and with [WithResults] for Open, Abandoned, LostReturn and what of
// LostOpen the reader finds, which are known of the tracer as a whole only. They add up
// like those.
type FuncStats struct {
	Func *Func
	Stats
}

// funcTally counts what the reader finds of a function.
type funcTally struct{ delivered, malformed atomic.Uint64 }

// kernelCounts are what the programs have counted.
type kernelCounts struct {
	funcs  []Stats // by function, without what the reader counts
	missed uint64
	took   time.Duration
}

// Stats returns the counts up to now. After the tracer has ended they are
// final.
func (t *Tracer) Stats() Stats {
	c := t.kernel.counts()
	s := Stats{LostMissed: c.missed, ProbeTime: c.took}
	for i := range c.funcs {
		s.add(&c.funcs[i])
	}
	s.Delivered = t.delivered.Load()
	s.LostMalformed = t.malformed.Load()
	s.Unbound = t.unbound.Load()
	s.LostOpen += t.openFull.Load()
	s.LostReturn = t.lostReturn.Load()
	s.Open = t.open.Load() + t.openAtEnd.Load()
	s.Abandoned = t.abandoned.Load()
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
		if i < len(t.tallies) {
			all[i].Delivered = t.tallies[i].delivered.Load()
			all[i].LostMalformed = t.tallies[i].malformed.Load()
		}
		all[i].sum()
	}
	return all
}

// add adds what programs count.
func (s *Stats) add(o *Stats) {
	s.LostRing += o.LostRing
	s.LostBusy += o.LostBusy
	s.Filtered += o.Filtered
	s.Sampled += o.Sampled
	s.Limited += o.Limited
	s.Beyond += o.Beyond
	s.Paused += o.Paused
	s.LostOpen += o.LostOpen
	s.Unmatched += o.Unmatched
}

// sum sets the sums.
func (s *Stats) sum() {
	s.Lost = s.LostRing + s.LostBusy + s.LostMissed + s.LostMalformed + s.LostOpen + s.LostReturn
	s.Calls = s.Delivered + s.Lost + s.Filtered + s.Sampled + s.Limited + s.Beyond + s.Paused + s.Open + s.Abandoned
}
