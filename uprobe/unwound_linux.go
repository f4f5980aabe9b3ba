package uprobe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// checkUnwinds returns an error if calls that a panic leaves are asked for, and nothing
// tells of panics.
func (b *executable) checkUnwinds(funcs []*Func) error {
	if !unwinds(funcs) || panicsOf(b.witnesses) != nil {
		return nil
	}
	return &FuncError{funcs[0].name, fmt.Errorf("%q cannot be asked where calls are counted: runtime.gopanic, which tells of panics, cannot be probed in this binary", panickedName)}
}

// startUnwinder makes what finds calls that were left by a panic.
func (t *Tracer) startUnwinder() {
	if !t.kernel.unwinds {
		return
	}
	u := newUnwinder()
	u.calls = &openCounted{t: t}
	u.ending = t.ending.Load
	u.jumps = func(fn uint32) bool { return int(fn) >= len(t.funcs) || t.funcs[fn].result.sites.TailJumps > 0 }
	t.unwinder = u
}

// unwindings takes a record that is not of an entry.
func (t *Tracer) unwindings(data []byte) {
	switch kind := order.Uint16(data[capture.OffKind:]); {
	case kind == capture.KindLeft:
		fn := order.Uint32(data[capture.OffPlan:])
		size := int(t.kernel.open.ValueSize())
		if fn >= uint32(len(t.funcs)) || len(data) < probegen.LeftValue+size {
			t.malformed.Add(1)
			return
		}
		e := newEvent(data, probegen.LeftPair)
		t.settle(fn, slices.Clone(data[probegen.LeftValue:][:size]), t.unwinder.overtaken(e.callID, fn, e.at))
	case len(data) < capture.HeaderSize+capture.PairSize:
		t.malformed.Add(1)
	default:
		t.unwinder.event(data, capture.HeaderSize)
	}
}

// lookUnwound looks at all open calls, by a method of the unwinder if there is one.
func (t *Tracer) lookUnwound(look func(*unwinder) error) {
	if t.unwinder == nil {
		return
	}
	if err := look(t.unwinder); err != nil {
		t.opts.log.Warn("the open calls cannot be read", "err", err)
	}
	t.settleAll()
}

// maxUnsettled is how many calls wait to be counted: to ask the kernel whether something
// was lost takes longer than all the rest.
const maxUnsettled = 1024

// settle has a call counted that has ended without a return, of which value was kept.
func (t *Tracer) settle(fn uint32, value []byte, how ending) {
	t.unsettled = append(t.unsettled, unsettled{fn, order.Uint64(value[probegen.OpenTime:]), how, value})
	if len(t.unsettled) == maxUnsettled {
		t.settleAll()
	}
}

// settleAll counts the calls that wait for that. What was lost by now may have been
// their returns.
func (t *Tracer) settleAll() {
	if len(t.unsettled) == 0 {
		return
	}
	since := t.kernel.lostSince()
	for _, c := range t.unsettled {
		f, y := t.funcs[c.fn], &t.tallies[c.fn]
		call := keptCall{c.value, t.kernel.kept}
		switch {
		case c.how != endOpen && c.time < since:
			y.gone(endLost)
		case c.how != endPanicked:
			y.gone(c.how)
		case !f.unwoundCounts(call):
			y.gone(endFiltered)
		case f.asks() && !t.kernel.takeFirst(c.fn):
			y.beyond.Add(1)
		default:
			t.kernel.countUnwound(c.fn, call)
		}
	}
	clear(t.unsettled)
	t.unsettled = t.unsettled[:0]
}

// openCounted are the open calls of a tracer that counts them.
type openCounted struct{ t *Tracer }

// openCalls implements unwinderCalls. It has the kernel forget the panics of processes
// that have ended.
func (o *openCounted) openCalls() ([]openAggregate, error) {
	open, panics, err := o.t.kernel.openEntries()
	for _, key := range panics {
		if o.dead(key[probegen.OpenPID/8]) {
			_ = o.t.kernel.open.Delete(key)
		}
	}
	return open, err
}

func (o *openCounted) dead(pid uint64) bool { return unix.Kill(int(pid), 0) == unix.ESRCH }

func (o *openCounted) takeAway(c openAggregate, how ending, last bool) bool {
	t := o.t
	value := make([]byte, t.kernel.open.ValueSize())
	is := func() bool { return binary.LittleEndian.Uint64(value[probegen.OpenTime:]) == c.time }
	if t.kernel.open.Lookup(c.key, value) != nil || !is() {
		return true // it has returned, or another has taken its place
	}
	var err error
	if last {
		err = t.kernel.open.Delete(c.key)
	} else {
		err = t.kernel.open.LookupAndDelete(c.key, value)
	}
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return true
	case err != nil:
		return false // before Linux 5.14
	}
	fn := binary.LittleEndian.Uint64(value[probegen.OpenFunc:])
	switch {
	case fn >= uint64(len(t.tallies)):
	case !is():
		t.tallies[fn].lostReturn.Add(1) // meanwhile another took its place: its return finds nothing
	default:
		t.settle(uint32(fn), value, how)
	}
	return true
}

// lostSince returns the time since which nothing was lost that tells how calls end.
// What was lost between two looks counts as if it had been just before the second.
func (k *kernel) lostSince() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	var lost uint64
	if k.later.Lookup(uint32(0), &lost) != nil {
		lost = 1
	}
	if n := k.missedLater() + lost; n != k.missed.hits {
		k.missed = missed{n, uint64(k.clock.now())}
	}
	return k.missed.since
}

// unwoundRow is where a call is counted: under a key of a function, "" for none.
type unwoundRow struct {
	fn  uint32
	key string
}

// countUnwound counts a call that was left by a panic. A key that is not there takes
// one from the kernel's.
func (k *kernel) countUnwound(fn uint32, call keptCall) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := &k.aggregates
	f := a.funcs[fn]
	row := unwoundRow{fn, string(f.unwoundKey(call))}
	if row.key != "" && a.unwound[row] == nil {
		zero := make([][]byte, k.cpus)
		for i := range zero {
			zero[i] = make([]byte, a.keys.ValueSize())
		}
		err := a.keys.Update([]byte(row.key), zero, ebpf.UpdateNoExist)
		if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			row.key = "" // no room
		}
	}
	y := a.unwound[row]
	if y == nil {
		if a.unwound == nil {
			a.unwound = map[unwoundRow]*tally{}
		}
		y = new(tally)
		a.unwound[row] = y
	}
	b := f.aggregate().Buckets
	v, why := f.unwoundValue(call)
	y.one(b, v, why)
}

// withUnwound adds to a row what the tracer has counted.
func (a *aggregateMaps) withUnwound(y *tally) *tally {
	if o := a.unwound[unwoundRow{y.fn, string(y.key)}]; o != nil {
		y.merge(o.clone())
	}
	return y
}

// gateFlags are the flags of the map of gates.
func (k *kernel) gateFlags() uint32 {
	if k.unwinds && k.opts.throttle.First > 0 {
		return unix.BPF_F_MMAPABLE
	}
	return 0
}

// mapGates makes the gates such that the tracer can take from them, if it must.
func (k *kernel) mapGates() (err error) {
	if k.gateFlags() == 0 {
		return nil
	}
	k.gateMem, err = unix.Mmap(k.gates.FD(), 0, int(k.gates.ValueSize()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return kernelError("map the limits", err)
	}
	return nil
}

func (k *kernel) unmapGates() {
	if k.gateMem != nil {
		_ = unix.Munmap(k.gateMem)
		k.gateMem = nil
	}
}

// takeFirst takes one of the calls of WithFirst, as programs do, and reports whether
// there was one.
func (k *kernel) takeFirst(fn uint32) bool {
	if k.gateMem == nil {
		return true
	}
	taken := (*uint64)(unsafe.Pointer(&k.gateMem[int(fn)*probegen.GateSize+probegen.GateTaken]))
	if atomic.AddUint64(taken, 1) <= uint64(k.opts.throttle.First) {
		return true
	}
	atomic.AddUint64(taken, ^uint64(0))
	return false
}
