package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
)

// again runs a test that was overdue with probes on all functions, until it ends: each
// time without those that took most of its time the last time (see hottest). It requires
// that the test and its subtests end as they did without probes.
func (s *suite) again(t *testing.T, tc fixture.Toolchain, b *built, plain *outcome, first *tracing, test string) {
	t.Helper()
	var left []heat // functions left out
	heats := first.heats[test]
	how, took := "overdue", time.Duration(0)
	round := 0
	for round < hotRounds && how == "overdue" {
		hot := hottest(heats)
		if len(hot) == 0 {
			how = "overdue, with no calls"
			break
		}
		left = append(left, hot...)
		round++
		g := s.trace(t, b, without(first, left)...)
		o := b.run(t, []string{test}, g)
		g.end(t)
		heats, took = g.heats[test], o.took
		if len(o.overdue) > 0 {
			continue
		}
		how = o.tests[test]
		s.compare(t, plain.only(test), o)
	}
	if strings.HasPrefix(how, "overdue") {
		t.Logf("%s is overdue in each of %d rounds", test, round)
	}
	var names []string
	for _, h := range left {
		names = append(names, fmt.Sprintf("`%s` %d", strings.TrimPrefix(h.name, s.pkg+"."), h.calls))
	}
	t.Logf("| %s | `%s` | `%s` | %s | %s | %d | %.1f s | %d of %d: %s |", releaseName(tc), s.pkg, test, plain.tests[test], how,
		round, took.Seconds(), len(left), len(first.Funcs()), strings.Join(names, ", "))
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
