package e2e

import (
	"cmp"
	"slices"
)

// A test that is overdue with probes on all functions of its package is run again
// without the functions that took most of its time. Which they are is found anew after
// each time that it is overdue, from the calls that were counted until it was ended.
const (
	// hotRest is what is left of the probes' time at most, as 1 / hotRest.
	hotRest = 10
	// hotRounds is how often a test is run again: a test that would take 60·10⁴ times
	// as long as it was given, by its probes alone, ends then.
	hotRounds = 4
)

// Prices of a hit, in parts of the same: the kernel emulates the instruction that is
// probed, or executes it out of line with a trap.
const (
	priceEmulated = 1
	priceStepped  = 10
)

// heat is how often a function was called in the time that a test was given.
type heat struct {
	name  string
	calls uint64
	price uint64 // of a call: that of its hits
}

// cost is the time that the probes of the function took, by the price.
func (h heat) cost() uint64 { return h.calls * h.price }

// hottest returns the fewest functions without which the others' probes take no more than
// 1 / hotRest of the time that those of all took, hottest first. It is empty if nothing was called.
func hottest(all []heat) []heat {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b heat) int {
		return cmp.Or(cmp.Compare(b.cost(), a.cost()), cmp.Compare(a.name, b.name))
	})
	var total uint64
	for _, h := range all {
		total += h.cost()
	}
	rest := total
	for i, h := range all {
		if rest*hotRest <= total {
			return all[:i]
		}
		rest -= h.cost()
	}
	return all
}
