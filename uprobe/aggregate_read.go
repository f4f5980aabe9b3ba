package uprobe

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// Aggregates returns what [WithCount] or [WithHistogram] has counted up to now: for each
// function, in the order of [Tracer.Funcs], its keys, those with most calls first, and
// last what is counted of other keys. It may be called at any time, and after the
// tracer has ended, when the counts are final; until then those of calls that are just
// being counted may be there in part. It is empty without these options.
//
// The error is what the kernel said when its maps could not be read.
func (t *Tracer) Aggregates() ([]Aggregate, error) {
	if final := t.final.Load(); final != nil {
		return slices.Clone(final.rows), final.err
	}
	return t.aggregates()
}

// finalAggregates are what was counted when the tracer ended, and code had names.
type finalAggregates struct {
	rows []Aggregate
	err  error
}

// keepAggregates has Aggregates return from now on what it would now.
func (t *Tracer) keepAggregates() {
	if t.opts.aggregate != nil {
		rows, err := t.aggregates()
		t.final.Store(&finalAggregates{rows, err})
	}
}

func (t *Tracer) aggregates() ([]Aggregate, error) {
	rows, err := t.kernel.tallies()
	if err != nil {
		return nil, fmt.Errorf("read what was counted: %w", err)
	}
	rows = mergeNamed(t.funcs, rows)
	slices.SortStableFunc(rows, func(a, b tally) int {
		if c := cmp.Compare(a.fn, b.fn); c != 0 {
			return c
		}
		if a, b := a.key == nil, b.key == nil; a != b {
			if b {
				return -1
			}
			return 1
		}
		if c := cmp.Compare(b.all(), a.all()); c != 0 {
			return c
		}
		return bytes.Compare(a.key, b.key)
	})
	var all []Aggregate
	for i := range rows {
		if y := &rows[i]; y.all() > 0 && int(y.fn) < len(t.funcs) {
			all = append(all, t.funcs[y.fn].row(y))
		}
	}
	return all, nil
}
