package e2e

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// again runs each of the tests that were overdue with probes on all functions without
// those that are called most, as [hottest] chooses. It requires that the test and its
// subtests end as they did without probes.
func (s *suite) again(t *testing.T, tc fixture.Toolchain, b *built, plain *outcome, first *tracing, tests []string) {
	t.Helper()
	calls := s.count(t, b, first, tests)
	for _, test := range tests {
		s.cooler(t, tc, b, plain, first, test, calls[test])
	}
}

// callCounts are how often a test calls each function. Unless it is whole the test was
// overdue, and these are the calls until then.
type callCounts struct {
	heats []heat
	whole bool
}

// cooler does so with one test.
func (s *suite) cooler(t *testing.T, tc fixture.Toolchain, b *built, plain *outcome, first *tracing, test string, calls callCounts) {
	t.Helper()
	least := ""
	if !calls.whole {
		least = "≥"
	}
	budget := cost(first.heats[test]) / hotMargin
	var left []heat
	how, round, took := "overdue", 0, ""
	for ; round < hotRounds && how == "overdue"; round++ {
		left = hottest(calls.heats, budget)
		budget /= hotLess
		g := s.trace(t, b, without(first, left))
		o := b.run(t, []string{test}, g)
		g.end(t)
		if len(o.overdue) > 0 {
			seen := g.heats[test]
			most := slices.MaxFunc(seen, func(a, b heat) int { return cmp.Compare(a.cost(), b.cost()) })
			t.Logf("%s without %d functions: the probes of the others cost %d of %d, those of %s most (%d calls)",
				test, len(left), cost(seen), cost(first.heats[test]), most.name, most.calls)
			hotter(calls.heats, seen)
			continue
		}
		how, took = cmpOr(o.tests[test], "no verdict"), fmt.Sprintf("%.1f s", o.took.Seconds())
		s.compare(t, plain.only(test), o)
	}
	var names []string
	for _, h := range left {
		names = append(names, fmt.Sprintf("`%s` %s%d", strings.TrimPrefix(h.name, s.pkg+"."), least, h.calls))
	}
	t.Logf("| %s | `%s` | `%s` | %s | %s | %d | %s | %d of %d | %s |", releaseName(tc), s.pkg, test, plain.tests[test], how,
		round, took, len(left), len(first.heats[test]), strings.Join(names, ", "))
}

// count returns how often tests call the functions that a tracer has.
func (s *suite) count(t *testing.T, b *built, first *tracing, tests []string) map[string]callCounts {
	t.Helper()
	entries := *s
	entries.entries = true
	g := entries.trace(t, b, without(first, nil), uprobe.WithSampling(math.MaxInt32))
	all := map[string]callCounts{}
	for _, test := range tests {
		o := b.run(t, []string{test}, g)
		calls := callCounts{g.since(), len(o.overdue) == 0}
		price := map[string]uint64{}
		for _, h := range first.heats[test] {
			price[h.name] = h.price // with the return
		}
		for i := range calls.heats {
			calls.heats[i].price = price[calls.heats[i].name]
		}
		all[test] = calls
	}
	g.end(t)
	return all
}

// without returns the names of the functions that a tracer has, but for some.
func without(g *tracing, left []heat) (names []string) {
	out := map[string]bool{}
	for _, h := range left {
		out[h.name] = true
	}
	for _, f := range g.Funcs() {
		if !out[f.Name()] {
			out[f.Name()] = true
			names = append(names, f.Name())
		}
	}
	return names
}

// only returns how one test and its subtests ended.
func (o *outcome) only(test string) *outcome {
	one := *o
	one.overdue, one.tests = nil, map[string]string{}
	for name, how := range o.tests {
		if topTest(name) == test {
			one.tests[name] = how
		}
	}
	return &one
}
