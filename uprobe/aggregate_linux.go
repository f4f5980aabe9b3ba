package uprobe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/internal/probegen"
)

// aggregateMaps are the maps in which calls are counted.
type aggregateMaps struct {
	funcs             []*Func
	keys, other, zero *ebpf.Map
	// unwound are rows of calls that were left by a panic, which the tracer counts, by
	// function and key.
	unwound map[unwoundRow]*tally
	// stacks are those of keys, as far as they have been read.
	stacks map[uint64]*callStack
}

// needAggregates makes the maps in which the calls of functions are counted, if they
// are.
func (k *kernel) needAggregates(funcs []*Func) (err error) {
	if k.opts.aggregate == nil {
		return nil
	}
	k.aggregates.funcs = funcs
	size := 0
	for _, f := range funcs {
		if f.countedAtReturn() && f.plan.Pair == 0 {
			return &FuncError{f.name, f.notCounted()}
		}
		if f.keyedByStack() && !(k.caps.loops && k.caps.atomics) {
			return &FuncError{f.name, fmt.Errorf("calls cannot be counted by %q: %w: that needs Linux 5.17", stackName, ErrKernel)}
		}
		size = max(size, f.aggregate().Buckets.RowSize())
	}
	make := func(m **ebpf.Map, name string, typ ebpf.MapType, key, entries int) error {
		if *m, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "argtap_" + name, Type: typ, KeySize: uint32(key), ValueSize: uint32(size), MaxEntries: uint32(entries),
		}); err != nil {
			return kernelError("create a map of what is counted", err)
		}
		return nil
	}
	a := &k.aggregates
	if err := make(&a.other, "other", ebpf.PerCPUArray, 4, len(funcs)); err != nil {
		return err
	}
	layout := funcs[0].aggregate().Layout
	if layout.Size() == 0 {
		return nil
	}
	if err := make(&a.zero, "zero", ebpf.Array, 4, 1); err != nil {
		return err
	}
	entries, err := k.opts.keysFor(size, k.cpus)
	if err != nil {
		return err
	}
	return make(&a.keys, "keys", ebpf.PerCPUHash, layout.Size(), entries)
}

func (a *aggregateMaps) close() {
	for _, m := range []*ebpf.Map{a.keys, a.other, a.zero} {
		if m != nil {
			m.Close()
		}
	}
}

// tallies returns what was counted.
func (k *kernel) tallies() ([]tally, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.talliesLocked()
}

func (k *kernel) talliesLocked() (rows []tally, err error) {
	a := &k.aggregates
	if k.last != nil {
		return slices.Clone(k.last.rows), k.last.rowsErr
	}
	if a.other == nil {
		return nil, nil
	}
	var cpus [][]byte
	add := func(y *tally) {
		if y.fn >= uint32(len(a.funcs)) {
			return
		}
		b := a.funcs[y.fn].aggregate().Buckets
		for _, row := range cpus {
			y.add(b, row)
		}
		rows = append(rows, *y)
	}
	for i := range a.funcs {
		if err := a.other.Lookup(uint32(i), &cpus); err != nil {
			return nil, err
		}
		add(a.withUnwound(&tally{fn: uint32(i)}))
	}
	if a.keys == nil {
		return rows, nil
	}
	var key []byte
	it := a.keys.Iterate() // nothing is ever deleted
	for it.Next(&key, &cpus) {
		add(a.withUnwound(&tally{fn: binary.LittleEndian.Uint32(key), key: slices.Clone(key)}))
	}
	if err := it.Err(); err != nil {
		return rows, err
	}
	return rows, k.readStacks(rows)
}

// countAggregates adds to the counts of functions those of calls that were counted in
// place of being delivered.
func (k *kernel) countAggregates(c *kernelCounts) {
	if k.aggregates.other == nil {
		return
	}
	if c.rows, c.rowsErr = k.talliesLocked(); c.rowsErr != nil {
		k.opts.log.Warn("what was counted cannot be read", "err", c.rowsErr)
	}
	for i := range c.rows {
		y := &c.rows[i]
		c.funcs[y.fn].Aggregated += y.all()
		if k.aggregates.funcs[y.fn].lacksStack(y.key) {
			c.lostStacks += y.all()
		}
	}
	if k.open == nil {
		return
	}
	if unwinds(k.aggregates.funcs) || k.returnsLost() {
		// In the first case those that could not be sent.
		for i := range c.funcs {
			c.funcs[i].LostReturn, c.funcs[i].Abandoned = c.funcs[i].Abandoned, 0
		}
	}
	open, err := k.openCalls()
	if err != nil {
		k.opts.log.Warn("the open calls cannot be read", "err", err)
	}
	for i := range open {
		if fn := open[i].fn; fn < uint32(len(c.funcs)) {
			c.funcs[fn].Open++
		}
	}
}

// returnsLost reports whether calls that do not seem to return perhaps have.
func (k *kernel) returnsLost() bool {
	var lost uint64
	return k.missedLater() > 0 || k.later.Lookup(uint32(0), &lost) == nil && lost > 0
}

// openCalls are the calls that have not returned, as the kernel has them.
func (k *kernel) openCalls() (all []openAggregate, err error) {
	all, _, err = k.openEntries()
	return all, err
}

// openEntries are the calls that have not returned, and the keys under which it is kept
// that goroutines panic ([probegen.OpenPanic]).
func (k *kernel) openEntries() (all []openAggregate, panics []openKey, err error) {
	var (
		keys   = make([]openKey, 4096)
		values = openValues(len(keys), int(k.open.ValueSize()))
		cursor ebpf.MapBatchCursor
	)
	for {
		n, err := k.open.BatchLookup(&cursor, keys, values.batch(), nil)
		for i := range n {
			if keys[i][probegen.OpenDepth/8] == openPanic {
				panics = append(panics, keys[i])
				continue
			}
			all = append(all, openAggregate{keys[i], uint32(values.word(i, probegen.OpenFunc)), values.word(i, probegen.OpenTime)})
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return all, panics, nil
		case err != nil:
			return all, panics, err
		}
	}
}
