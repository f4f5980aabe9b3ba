package uprobe

import (
	"encoding/binary"
	"reflect"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/probegen"
)

// batchValues are values of a map in a batch, whose size is known at run time only.
type batchValues struct{ slice reflect.Value }

func openValues(n, size int) batchValues {
	t := reflect.SliceOf(reflect.ArrayOf(size, reflect.TypeFor[byte]()))
	return batchValues{reflect.MakeSlice(t, n, n)}
}

func (v batchValues) batch() any { return v.slice.Interface() }

func (v batchValues) word(i, off int) uint64 {
	return binary.LittleEndian.Uint64(v.slice.Index(i).Slice(off, off+8).Bytes())
}

// sweepInterval is how often open calls are looked at that will not return.
const sweepInterval = time.Second

// sweep gives up open calls that will not return, so that there is room for others.
// There are no records that tell of them.
func (t *Tracer) sweep() {
	defer close(t.swept)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.sweepOnce()
	}
}

func (t *Tracer) sweepOnce() {
	open, err := t.kernel.openCalls()
	if err != nil {
		t.opts.log.Warn("the open calls cannot be read", "err", err)
		return
	}
	for _, c := range left(open) {
		t.giveUp(c, false)
	}
	dead := map[uint64]bool{}
	for _, c := range open {
		pid := c.key[probegen.OpenPID/8]
		is, asked := dead[pid]
		if !asked {
			is = unix.Kill(int(pid), 0) == unix.ESRCH
			dead[pid] = is
		}
		if is {
			t.giveUp(c, true)
		}
	}
}

// left returns the calls that were left without a return that was seen. Frames of a
// goroutine lie on its stack in the order in which they were entered: one that is older
// than another further up is not there any more.
func left(open []openAggregate) (gone []openAggregate) {
	slices.SortFunc(open, func(a, b openAggregate) int { return slices.Compare(a.key[:], b.key[:]) })
	var latest uint64
	for i, c := range open {
		const pid, goroutine = probegen.OpenPID / 8, probegen.OpenGoroutine / 8
		if i == 0 || open[i-1].key[pid] != c.key[pid] || open[i-1].key[goroutine] != c.key[goroutine] {
			latest = 0
		}
		if c.time < latest {
			gone = append(gone, c)
		}
		latest = max(latest, c.time)
	}
	return gone
}

func (k *kernel) mayHaveReturned() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.returnsLost()
}

// giveUp has the kernel forget a call, and counts it: as open if its process has ended.
func (t *Tracer) giveUp(c openAggregate, ended bool) {
	value := make([]byte, t.kernel.open.ValueSize())
	is := func() bool { return binary.LittleEndian.Uint64(value[probegen.OpenTime:]) == c.time }
	if t.kernel.open.Lookup(c.key, value) != nil || !is() {
		return // it has returned, or another has taken its place
	}
	// Kernels before 5.14 cannot look again and forget in one step. There the place is
	// taken until the goroutine needs it, as nothing may be forgotten by mistake.
	if t.kernel.open.LookupAndDelete(c.key, value) != nil {
		return
	}
	fn := binary.LittleEndian.Uint64(value[probegen.OpenFunc:])
	if fn >= uint64(len(t.tallies)) {
		return
	}
	y := &t.tallies[fn]
	switch {
	case !is():
		y.lostReturn.Add(1) // meanwhile another took its place: its return finds nothing
	case ended:
		y.openAtEnd.Add(1)
	case t.kernel.mayHaveReturned():
		y.lostReturn.Add(1)
	default:
		y.abandoned.Add(1)
	}
}
