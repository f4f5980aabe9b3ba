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
	)
	defer timer.Stop()
	one := func() bool {
		switch err := ring.ReadInto(&rec); {
		case err == nil:
			t.deliver(rec.RawSample, &call)
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
		if !one() {
			returned = true
			return
		}
		// The wall clock may be set, or the machine be suspended.
		if now := time.Now(); now.Sub(epochAt) > time.Second {
			epochAt = now
			t.epoch = wallEpoch()
		}
		for left := ring.AvailableBytes(); ; left = ring.AvailableBytes() {
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
					returned = true
					return
				}
				left -= ringHeader + int(capture.Align8(int64(len(rec.RawSample))))
			}
		}
	}
}

// deliver decodes a record and calls the handler.
func (t *Tracer) deliver(data []byte, call *Call) {
	if len(data) < capture.HeaderSize {
		t.malformed.Add(1)
		return
	}
	id := order.Uint32(data[capture.OffPlan:])
	if id >= uint32(len(t.funcs)) {
		t.malformed.Add(1)
		return
	}
	var tally *funcTally
	if int(id) < len(t.tallies) {
		tally = &t.tallies[id]
	}
	c, ok := newCall(t.funcs[id], data, t.epoch)
	if !ok {
		t.malformed.Add(1)
		if tally != nil {
			tally.malformed.Add(1)
		}
		return
	}
	*call = c
	// Counted first, so that a handler that looks finds its own call counted.
	t.delivered.Add(1)
	if tally != nil {
		tally.delivered.Add(1)
	}
	t.handler(call)
}
