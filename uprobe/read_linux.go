package uprobe

import (
	"errors"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/argtap/argtap/internal/capture"
)

// ringHeader is the size in bytes of the kernel's header of a ring buffer
// record. Records are padded to a multiple of 8 (kernel/bpf/ringbuf.c).
const ringHeader = 8

// read delivers calls until the ring buffer is flushed after the probes were
// removed.
//
// The kernel wakes the reader only for a record that it finds next in line:
// one that was written after everything before it had been read. So the
// reader, once woken, first lets the delay pass, then reads what is there and
// no more: were it to go on while records keep coming, each would find the
// buffer empty and wake it again.
func (t *Tracer) read() {
	defer close(t.kernel.drained)
	t.reader.Store(goroutineID())
	defer t.reader.Store(0)
	returned := false
	defer func() {
		if !returned {
			t.end(ErrHandlerExit)
		}
	}()
	var (
		ring  = t.kernel.ring
		rec   ringbuf.Record
		call  Call
		timer = time.NewTimer(time.Hour)
		// ticked is when the joiner was last told that time passes.
		ticked time.Time
		wait   = time.Second
	)
	if t.procs != nil {
		wait = min(wait, processInterval)
	}
	if t.first != nil {
		wait = min(wait, firstInterval)
	}
	defer timer.Stop()
	one := func() bool {
		switch err := ring.ReadInto(&rec); {
		case err == nil:
			t.deliver(rec.RawSample, &call)
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.first.passed()
			t.tick(&ticked)
			t.procs.tick(time.Now())
		case errors.Is(err, ringbuf.ErrFlushed):
			return false
		case errors.Is(err, os.ErrClosed):
			return false
		default:
			t.end(err)
			return false
		}
		return true
	}
	epochAt := time.Now()
	for {
		if t.joiner != nil || t.unwinder != nil || t.first != nil || t.procs != nil {
			ring.SetDeadline(time.Now().Add(wait))
		}
		if !one() {
			t.finish()
			returned = true
			return
		}
		// The wall clock may be set, or the machine be suspended.
		now := time.Now()
		if now.Sub(epochAt) > time.Second {
			epochAt = now
			t.tick(&ticked)
			t.epoch = t.kernel.clock.epoch()
		}
		t.procs.tick(now)
		for left := ring.AvailableBytes(); ; left = ring.AvailableBytes() {
			t.first.passed()
			if t.opts.delay > 0 && left < ring.BufferSize()/4 {
				timer.Reset(t.opts.delay)
				select {
				case <-timer.C:
				case <-t.stop:
				}
				left = ring.AvailableBytes()
			}
			if left == 0 {
				break
			}
			for left > 0 {
				if !one() {
					t.finish()
					returned = true
					return
				}
				left -= ringHeader + int(capture.Align8(int64(len(rec.RawSample))))
			}
		}
	}
}

// tick tells the joiner that time passes, once a second.
func (t *Tracer) tick(last *time.Time) {
	now := time.Now()
	if t.joiner == nil && t.unwinder == nil || now.Sub(*last) < 900*time.Millisecond {
		return
	}
	*last = now
	if t.joiner != nil {
		t.joiner.tick()
	}
	t.lookUnwound((*unwinder).tick)
}

// deliver decodes a record and calls the handler.
func (t *Tracer) deliver(data []byte, call *Call) {
	if t.stacks.add(data) {
		return
	}
	if len(data) < capture.HeaderSize {
		t.malformed.Add(1)
		return
	}
	if kind := order.Uint16(data[capture.OffKind:]); kind != capture.KindEntry {
		if kind == capture.KindStart {
			t.procs.started(data, t.epoch)
			return
		}
		t.later(data)
		return
	}
	id := order.Uint32(data[capture.OffPlan:])
	if id >= uint32(len(t.funcs)) {
		t.malformed.Add(1)
		return
	}
	t.first.entered(id)
	tally := &t.tallies[id]
	c, ok := newCall(t.funcs[id], data, t.epoch)
	if !ok {
		tally.malformed.Add(1)
		return
	}
	if t.procs != nil {
		t.procs.record(data, t.epoch)
	}
	var lost bool
	if c.stack, lost = t.stacks.of(c.fn, data); lost {
		t.lostStacks.Add(1)
	}
	if c.whole() {
		tally.open.Add(1)
		t.joiner.stack = c.stack
		t.joiner.entry(c.fn, data, t.epoch)
		return
	}
	*call = c
	// Counted first, so that a handler that looks finds its own call counted.
	tally.delivered.Add(1)
	t.procs.called(data)
	t.handler(call)
}

// tally returns the counts of the function of a valid record.
func (t *Tracer) tally(data []byte) *funcTally {
	return &t.tallies[order.Uint32(data[capture.OffPlan:])]
}

// startJoiner makes what joins entries and returns.
func (t *Tracer) startJoiner() {
	if t.kernel.open == nil || t.opts.aggregate != nil {
		return
	}
	j := newJoiner()
	j.calls = t.kernel
	j.deliver = func(o *openCall, how ending, result []byte) {
		tally := t.tally(o.data)
		call, ok := newCall(o.fn, o.data, o.epoch)
		call.unwound, call.stack = how == endPanicked, o.stack
		call.thrown = t.thrownBy(o, how)
		if !ok || result != nil && !call.setResult(result) {
			tally.malformed.Add(1)
			tally.open.Add(^uint64(0))
			return
		}
		if !t.first.wanted(order.Uint32(o.data[capture.OffPlan:])) {
			tally.beyond.Add(1)
			tally.open.Add(^uint64(0))
			return
		}
		tally.delivered.Add(1)
		tally.open.Add(^uint64(0))
		t.procs.called(o.data)
		t.handler(&call)
	}
	j.count = func(entry []byte, how ending) { t.tally(entry).ended(how) }
	j.ending = t.ending.Load
	t.joiner = j
}

// later takes a record that is not of an entry.
func (t *Tracer) later(data []byte) {
	if t.unwinder != nil {
		t.unwindings(data)
		return
	}
	if t.joiner == nil {
		return
	}
	pair, least := capture.HeaderSize, 0
	if kind := order.Uint16(data[capture.OffKind:]); kind == capture.KindReturn || kind == capture.KindFiltered {
		id := order.Uint32(data[capture.OffPlan:])
		if id >= uint32(len(t.funcs)) || !t.funcs[id].pairsNow() {
			t.joiner.spoiled++
			return
		}
		if p := t.funcs[id].result.plan; kind == capture.KindReturn {
			pair, least = p.Pair, p.Fixed
		}
	}
	if order.Uint16(data[capture.OffKind:]) == capture.KindPanic && t.panics != nil {
		pair, least = t.panics.plan.Pair, t.panics.plan.Fixed
	}
	if len(data) < max(least, pair+capture.PairSize) {
		t.joiner.spoiled++
		return
	}
	t.joiner.later(data, pair)
}

// finish ends the calls that are open.
func (t *Tracer) finish() {
	if t.joiner != nil {
		t.joiner.finish()
	}
	t.lookUnwound((*unwinder).finish)
	t.procs.finish()
}
