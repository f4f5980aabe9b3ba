package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// again runs a test that was overdue with probes on all functions without those that
// are called most, as [hottest] chooses. It requires that the test and its subtests end
// as they did without probes.
func (s *suite) again(t *testing.T, tc fixture.Toolchain, b *built, plain *outcome, first *tracing, test string) {
	t.Helper()
	least := ""
	calls, whole := s.count(t, b, first, test)
	if !whole {
		least = "≥"
	}
	budget := cost(first.heats[test]) / hotMargin
	var left []heat
	how, round, took := "overdue", 0, 0.0
	for ; round < hotRounds && how == "overdue"; round++ {
		left = hottest(calls, budget)
		budget /= hotLess
		g := s.trace(t, b, without(first, left))
		o := b.run(t, []string{test}, g)
		g.end(t)
		if took = o.took.Seconds(); len(o.overdue) == 0 {
			how = cmpOr(o.tests[test], "no verdict")
			s.compare(t, plain.only(test), o)
		}
	}
	var names []string
	for _, h := range left {
		names = append(names, fmt.Sprintf("`%s` %s%d", strings.TrimPrefix(h.name, s.pkg+"."), least, h.calls))
	}
	t.Logf("| %s | `%s` | `%s` | %s | %s | %d | %.1f s | %d of %d | %s |", releaseName(tc), s.pkg, test, plain.tests[test], how,
		round, took, len(left), len(first.heats[test]), strings.Join(names, ", "))
}

// count returns how often a test calls each function that a tracer has, and whether
// it ended: else that is known of the time only that it was given.
func (s *suite) count(t *testing.T, b *built, first *tracing, test string) (calls []heat, whole bool) {
	t.Helper()
	entries := *s
	entries.entries = true
	g := entries.trace(t, b, without(first, nil), uprobe.WithSampling(math.MaxInt32))
	o := b.run(t, []string{test}, g)
	g.end(t)
	price := map[string]uint64{}
	for _, h := range first.heats[test] {
		price[h.name] = h.price
	}
	g.base = nil
	for _, h := range g.since() {
		calls = append(calls, heat{h.name, h.calls, price[h.name]})
	}
	return calls, len(o.overdue) == 0
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
