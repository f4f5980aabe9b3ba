package e2e

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// tracing is a tracer of the functions of a suite's package.
type tracing struct {
	*uprobe.Tracer
	attached time.Duration // how long it took
	calls    atomic.Uint64 // that the handler was given
	logged   bytes.Buffer  // not to be read before Close

	// base is how often each function had been called when the test that runs began.
	base []uint64
	// heats are those of the tests that were overdue.
	heats map[string][]heat
}

// trace traces the functions of these names, all of the package if there are none.
func (s *suite) trace(t *testing.T, b *built, names []string, opts ...uprobe.Option) *tracing {
	t.Helper()
	g := &tracing{heats: map[string][]heat{}}
	opts = append(opts, uprobe.WithLogger(slog.New(slog.NewTextHandler(&g.logged, nil))), uprobe.WithBufferSize(64<<20))
	if !s.entries {
		opts = append(opts, uprobe.WithResults())
	}
	pattern := s.pkg + ".*"
	if len(names) > 0 {
		pattern = names[0]
		opts = append(opts, uprobe.WithFuncs(names[1:]...))
	}
	start := time.Now()
	var err error
	g.Tracer, err = uprobe.Trace(b.exe, pattern, func(c *uprobe.Call) {
		g.calls.Add(1)
		if c.NumArgs() > 0 {
			_ = c.Arg(0).Kind()
		}
		if c.NumResults() > 0 {
			_ = c.Result(0).Kind()
		}
	}, opts...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { g.Close() })
	g.attached = time.Since(start)
	return g
}

// end ends the tracer, and requires that each call is accounted for.
func (g *tracing) end(t *testing.T) uprobe.Stats {
	t.Helper()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	st := g.Stats()
	if st.Calls != sumOf(st) || st.Delivered != g.calls.Load() || st.LostMalformed != 0 {
		t.Errorf("%d calls were delivered, stats %+v", g.calls.Load(), st)
	}
	return st
}

// begin tells that a test begins.
func (g *tracing) begin() {
	g.base = g.base[:0]
	for _, f := range g.FuncStats() {
		g.base = append(g.base, f.Calls)
	}
}

// late tells that a test was overdue, and its process has ended.
func (g *tracing) late(test string) {
	// What is in the ring buffer is not counted before it is read. A process that the
	// test has started may run on.
	for before, end := ^uint64(0), time.Now().Add(10*time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		now := g.Stats().Calls
		if now == before {
			break
		}
		before = now
	}
	g.heats[test] = g.since()
}

// since returns how often each function was called since the test began. Those of one name
// are one: a method and the wrappers through which it is called have the same.
func (g *tracing) since() (heats []heat) {
	at := map[string]int{}
	for i, f := range g.FuncStats() {
		calls := f.Calls
		if i < len(g.base) {
			calls -= g.base[i]
		}
		if j, ok := at[f.Func.Name()]; ok {
			heats[j].calls += calls
			continue
		}
		at[f.Func.Name()] = len(heats)
		heats = append(heats, heat{f.Func.Name(), calls, price(f.Func)})
	}
	return heats
}

// price is what the hits of one call cost.
func price(f *uprobe.Func) (sum uint64) {
	of := func(p uprobe.Probe) uint64 {
		if p.Emulated {
			return priceEmulated
		}
		return priceStepped
	}
	sum = of(f.EntryProbe())
	if returns := f.ReturnProbes(); len(returns) > 0 {
		sum += of(returns[0])
	}
	return sum
}

// tell logs what became of the tracer.
func (g *tracing) tell(t *testing.T) {
	t.Helper()
	t.Logf("attached in %v, %+v", g.attached, g.Stats())
	for _, err := range g.LeftOut() {
		t.Logf("left out: %v", err)
	}
	stats := g.FuncStats()
	slices.SortFunc(stats, func(a, b uprobe.FuncStats) int { return int(b.Calls) - int(a.Calls) })
	for _, f := range stats[:min(len(stats), 8)] {
		t.Logf("%9d calls of %s", f.Calls, f.Func.Name())
	}
	if n := strings.Count(g.logged.String(), "\n"); n > 0 {
		t.Logf("the log has %d lines, such as %.300s", n, g.logged.String())
	}
}
