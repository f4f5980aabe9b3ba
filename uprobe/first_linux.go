package uprobe

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf/link"

	"github.com/argtap/argtap/internal/probegen"
)

// firstInterval is how often it is looked whether calls of WithFirst are used up:
// mostly the reader tells, but not of calls whose records were lost.
const firstInterval = 100 * time.Millisecond

// firsts takes the probes of a function away when it has had the calls that
// WithFirst asks for:
//
//	the entries, at once: see gone;
//	its returns, when the records of all entries have been read and none of its calls is open;
//	everything else, by the end of the tracer, when that is so of all functions.
type firsts struct {
	t     *Tracer
	limit uint64
	// seen counts the records of entries, or of functions with conditions of the
	// return the calls delivered. It is the reader's.
	seen []uint64
	used []atomic.Bool // of the latter: that all were delivered
	wake chan struct{}
	done chan struct{} // closed when watch has returned
	// reads counts how often the reader had nothing left of what was there when it
	// looked.
	reads atomic.Uint64

	// gone says that the entries of a function go, so that its returns must be looked
	// at with more care: see joiner.doubtful. Where not all functions are there that
	// tell how calls end, care does not help, and entries stay as long as calls are
	// open.
	gone    []atomic.Bool
	careful bool

	state []firstState // these are those of watch
	until []uint64     // of reads, from which on all entries have been read
	// full says that the gate of a function was full when it was looked at before.
	full []bool
	// waiting are the counted calls that have not returned.
	waiting []waiting
}

// waiting is how many calls of a function are open, and since when it is so many.
type waiting struct {
	open  int
	since time.Time
}

// firstPatience is how long it is waited for calls that are counted when they return
// and do not: no record tells of those that were left by a panic.
const firstPatience = 10 * time.Second

type firstState uint8

const (
	firstOpen firstState = iota
	// firstClosing: it is used up, there are probes of its returns only, or of its
	// entry too.
	firstClosing
	firstClosed
)

func newFirsts(t *Tracer, careful bool) *firsts {
	n := len(t.funcs)
	return &firsts{
		gone: make([]atomic.Bool, n), careful: careful,
		t: t, limit: uint64(t.opts.throttle.First), seen: make([]uint64, n), used: make([]atomic.Bool, n), wake: make(chan struct{}, 1), done: make(chan struct{}),
		state: make([]firstState, n), until: make([]uint64, n), full: make([]bool, n), waiting: make([]waiting, n),
	}
}

func (f *firsts) tell() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// entered takes notice of the record of an entry.
func (f *firsts) entered(id uint32) {
	if f == nil || f.t.funcs[id].asks() {
		return
	}
	if f.seen[id]++; f.seen[id] == f.limit {
		f.tell()
	}
}

// wanted reports whether a call that has ended is still to be delivered. What
// conditions of the return let pass is counted here: the program of the entry does not
// know it.
func (f *firsts) wanted(id uint32) bool {
	if f == nil || !f.t.funcs[id].asks() {
		return true
	}
	if f.seen[id] == f.limit {
		return false
	}
	if f.seen[id]++; f.seen[id] == f.limit {
		f.used[id].Store(true)
		f.tell()
	}
	return true
}

// entriesGone is that of a joiner.
func (f *firsts) entriesGone(fn *Func) bool {
	i := slices.Index(f.t.funcs, fn)
	return i >= 0 && f.gone[i].Load()
}

// passed takes notice that the reader has read what was there.
func (f *firsts) passed() {
	if f != nil {
		f.reads.Add(1)
	}
}

// watch ends the tracer when all functions are used up.
func (f *firsts) watch() {
	defer close(f.done)
	tick := time.NewTicker(firstInterval)
	defer tick.Stop()
	for {
		select {
		case <-f.t.stop:
			return
		case <-tick.C:
		case <-f.wake:
		}
		if f.step() {
			f.t.opts.log.Info("the first calls of all functions are captured", "first", f.limit)
			f.t.end(nil)
			return
		}
	}
}

// step takes away what is no longer needed, and reports whether that is all.
func (f *firsts) step() (all bool) {
	var wg sync.WaitGroup
	taken := f.t.kernel.taken()
	for i, fn := range f.t.funcs {
		if f.state[i] == firstOpen && f.usedUp(i, taken) {
			// Where the kernel joins returns with entries, calls that were left, and stay open,
			// are told from others by the entries.
			if f.careful && !f.t.kernel.joins || !fn.pairsNow() {
				f.gone[i].Store(true)
				wg.Go(func() { f.t.kernel.detachEntries(fn) })
			}
			f.t.opts.log.Info("the first calls are captured", "func", fn.name)
			f.state[i] = firstClosing
			f.until[i] = 0
		}
	}
	wg.Wait()
	all = true
	counted := sync.OnceValue(f.t.kernel.countedOpen) // one look at the map for all functions
	for i, fn := range f.t.funcs {
		if f.state[i] != firstClosing {
			all = all && f.state[i] == firstClosed
			continue
		}
		switch reads := f.reads.Load(); {
		case !fn.pairsNow():
			f.state[i] = firstClosed
		case f.until[i] == 0:
			// What the reader is at now was perhaps there before the last entry.
			f.until[i] = reads + 2
			all = false
		case reads < f.until[i] || f.anyOpen(i, counted):
			all = false
		default:
			f.t.kernel.detachEntries(fn)
			f.t.kernel.detachReturns(fn)
			f.state[i] = firstClosed
		}
	}
	return all
}

// anyOpen reports whether calls of a function that count have not returned. counted
// are those that are counted when they return and have not, by function.
func (f *firsts) anyOpen(i int, counted func() map[uint32]int) bool {
	fn := f.t.funcs[i]
	switch {
	case fn.aggregated == nil:
		return f.t.tallies[i].open.Load() > 0
	case fn.asks():
		return false // those that count have returned
	}
	return f.waiting[i].worth(counted()[uint32(i)], time.Now())
}

// worth reports whether it is still waited for so many calls.
func (w *waiting) worth(open int, now time.Time) bool {
	if open != w.open || w.since.IsZero() {
		*w = waiting{open, now}
	}
	return open > 0 && now.Sub(w.since) < firstPatience
}

// countedOpen returns how many calls of each function have not returned that are
// counted when they do.
func (k *kernel) countedOpen() map[uint32]int {
	open, err := k.openCalls()
	if err != nil {
		k.opts.log.Warn("the open calls cannot be read", "err", err)
	}
	n := map[uint32]int{}
	for _, c := range open {
		n[c.fn]++
	}
	return n
}

// usedUp reports whether a function has had its calls.
func (f *firsts) usedUp(i int, taken []uint64) bool {
	if fn := f.t.funcs[i]; fn.asks() && fn.aggregated == nil {
		return f.used[i].Load()
	}
	full := i < len(taken) && taken[i] >= f.limit
	before := f.full[i]
	f.full[i] = full
	// Without atomics calls that are refused may fill the gate for a moment.
	return full && (before || f.t.kernel.caps.atomics)
}

// taken returns how many calls each function has had, by the programs' count.
func (k *kernel) taken() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil || k.gates == nil {
		return nil
	}
	b := make([]byte, k.gates.ValueSize())
	if k.gates.Lookup(uint32(0), b) != nil {
		return nil
	}
	taken := make([]uint64, len(b)/probegen.GateSize)
	for i := range taken {
		taken[i] = order.Uint64(b[i*probegen.GateSize+probegen.GateTaken:])
	}
	return taken
}

// owner returns whose links the sites of a function are kept as: nil unless they are
// removed before those of others.
func (k *kernel) owner(s *entrySite) *Func {
	if k.opts.throttle.First == 0 || s.Role != probegen.RoleEntry && s.Role != probegen.RoleReturn {
		return nil
	}
	return s.fn
}

// groups returns the parts of a bundle that have links of their own, in the order in
// which they are to be attached.
func (k *kernel) groups(b bundle) (groups []bundle) {
	for len(b) > 0 {
		var announcing, others bundle
		n := 0
		for ; n < len(b) && k.owner(&b[n]) == k.owner(&b[0]); n++ {
			if b[n].stage() == stageAnnounce {
				announcing = append(announcing, b[n])
			} else {
				others = append(others, b[n])
			}
		}
		for _, g := range []bundle{announcing, others} {
			if len(g) > 0 {
				groups = append(groups, g)
			}
		}
		b = b[n:]
	}
	return groups
}

// detachEntries removes what a function's calls are seen to begin by. No program of
// it runs any more when it returns.
func (k *kernel) detachEntries(f *Func) { k.detachStages(f, stageEntry, stageAnnounce) }

// detachReturns removes the probes of a function's returns.
func (k *kernel) detachReturns(f *Func) { k.detachStages(f, stageLater, stageLater) }

// detachStages removes a function's links of stages from first to last.
func (k *kernel) detachStages(f *Func, first, last linkStage) {
	for stage := first; stage <= last; stage++ {
		k.mu.Lock()
		var links []link.Link
		if l := k.funcLinks[f]; l != nil {
			links, l[stage] = l[stage], nil
		}
		k.mu.Unlock()
		k.closeLinks(links)
	}
}
