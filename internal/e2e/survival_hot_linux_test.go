package e2e

import (
	"cmp"
	"slices"
)

// A test that is overdue with probes on all functions of its package is run again
// without the most called ones, and only those. How often each is called in the whole
// test is counted first, by probes that do nothing else, at entries alone: these cost a tenth.
// What the other probes would take is compared with what all took in the
// time that the test was given before it was ended.
const (
	// hotMargin is the part of that time which the other probes may take: 1 / hotMargin.
	hotMargin = 2
	// hotRounds is how often a test is run again, hotLess how much less than the
	// last time the other probes may take each time.
	hotRounds, hotLess = 5, 4
)

// Prices of a hit, in parts of the same: the kernel emulates the instruction that is
// probed, or executes it out of line with a trap.
const (
	priceEmulated = 1
	priceStepped  = 10
)

// heat is how often a function was called.
type heat struct {
	name  string
	calls uint64
	price uint64 // of a call: that of its hits
}

// cost is the time that the probes of the function took, by the price.
func (h heat) cost() uint64 { return h.calls * h.price }

// cost is the time that the probes of functions took.
func cost(all []heat) (sum uint64) {
	for _, h := range all {
		sum += h.cost()
	}
	return sum
}

// hotter has functions be called as often as was seen since, where that is more: a test
// that is overdue while its calls are counted may call others later.
func hotter(all, seen []heat) {
	calls := map[string]uint64{}
	for _, h := range seen {
		calls[h.name] = h.calls
	}
	for i := range all {
		all[i].calls = max(all[i].calls, calls[all[i].name])
	}
}

// hottest returns the fewest functions without which the others' probes take no more
// than a budget, hottest first.
func hottest(all []heat, budget uint64) []heat {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b heat) int {
		return cmp.Or(cmp.Compare(b.cost(), a.cost()), cmp.Compare(a.name, b.name))
	})
	rest := cost(all)
	for i, h := range all {
		if rest <= budget {
			return all[:i]
		}
		rest -= h.cost()
	}
	return all
}
