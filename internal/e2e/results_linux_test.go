package e2e

import (
	_ "embed"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/results/main.go
var resultsSource string

// ended is a call that has ended, as the program and as the tracer tell.
type ended struct {
	Func, How     string
	Goroutine     uint64
	Args, Results []string
	// Least and Most bound the duration in nanoseconds, where the program measured.
	Least, Most int64

	took time.Duration
	why  map[string]int // reasons of absence
}

func endedCall(c *uprobe.Call) ended {
	e := ended{Func: c.Name(), How: "returned", Goroutine: c.Goroutine(), why: map[string]int{}}
	shapes := func(v uprobe.Value) string {
		text, why := shapeOf(v)
		for r, n := range why {
			e.why[r] += n
		}
		return text
	}
	for _, v := range c.Args() {
		e.Args = append(e.Args, shapes(v))
	}
	took, ok := c.Duration()
	switch {
	case c.Panicked():
		e.How = "panicked"
		return e
	case !ok:
		e.How = "entered"
		return e
	}
	e.took = took
	for _, v := range c.Results() {
		e.Results = append(e.Results, shapes(v))
	}
	return e
}

func resultsProgram() fixture.Source {
	return fixture.Source{"main.go": resultsSource, "shape.go": shapeSource}
}

// resultFuncs are the functions of testdata/results that it tells of.
var resultFuncs = []string{
	"ints", "many", "texts", "wrapped", "arrays", "structs", "pointers", "anys", "floats", "none", "deferred", "(*node).find",
	"fib", "even", "odd", "grows", "throws", "passes", "recovers", "again", "divides", "leaves", "hops", "slow",
}

// TestResults compares whole calls with what the program says of them: of one that
// the local toolchain builds, and with ARGTAP_TOOLCHAINS=1 of those of all
// releases.
func TestResults(t *testing.T) {
	needRoot(t)
	src := resultsProgram()
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) { testResults(t, fixture.Build(t, src, b.flags...), "register not readable") })
	}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, tc := range releases() {
		t.Run(tc.String(), func(t *testing.T) {
			minor, err := tc.Minor()
			if err != nil {
				t.Fatal(err)
			}
			allowed := []string{"register not readable"}
			if minor == 11 || minor == 17 { // of which little is described
				allowed = append(allowed, "the debug information may leave out a value before it")
			}
			testResults(t, fixture.BuildWith(t, tc, src), allowed...)
		})
	}
}

// testResults traces the program. Values may be absent for the reasons that are
// allowed.
func testResults(t *testing.T, path string, allowed ...string) {
	t.Helper()
	got, want, lost := traceResults(t, path)
	compareEnded(t, got, want, allowed, lost)
}

// TestResultsUndescribed has a program of which nothing tells what its functions
// return: how long their calls take and how they end is known all the same.
func TestResultsUndescribed(t *testing.T) {
	needRoot(t)
	for _, flag := range []string{"-ldflags=-w", "-ldflags=-s -w"} {
		got, want, lost := traceResults(t, fixture.Build(t, resultsProgram(), flag))
		for i := range want {
			want[i].Args, want[i].Results = nil, nil
		}
		undescribed := 0
		for i := range got {
			g := &got[i]
			if len(g.Results) == 1 && g.Results[0] == "(?)" && g.why["unknown type"] > 0 {
				undescribed++
			}
			g.Args, g.Results, g.why = nil, nil, nil
		}
		if undescribed < 100 {
			t.Errorf("%s: %d calls only", flag, undescribed)
		}
		compareEnded(t, got, want, nil, lost)
	}
}

// traceResults traces the program and returns the calls as the tracer and as the
// program tell, and how many are lost.
func traceResults(t *testing.T, path string) (got, want []ended, lost int) {
	t.Helper()
	target := fixture.Start(t, path)
	funcs := make([]string, len(resultFuncs))
	for i, f := range resultFuncs {
		funcs[i] = "main." + f
	}
	tr := trace(t, path, funcs, func(c *uprobe.Call) { got = append(got, endedCall(c)) }, uprobe.WithResults())
	want = slices.Collect(told[ended](t, target))
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	if s.Calls != s.Delivered+s.Lost+s.Filtered+s.Open+s.Abandoned || s.Delivered != uint64(len(got)) || s.Lost > mayLose() {
		t.Errorf("%d calls, stats %+v", len(got), s)
	}
	unseen := s.Open + s.Abandoned - 4
	if s.Open+s.Abandoned < 4 || unseen > mayLose() || s.Exited > 4 || s.Exited < 4-min(4, mayLose()) {
		t.Errorf("stats %+v: 4 calls end by runtime.Goexit", s)
	}
	for _, f := range tr.Funcs() {
		if why := f.NoResults(); why != "" {
			t.Errorf("%s: %s", f.Name(), why)
		}
	}
	return got, want, int(s.Lost + unseen)
}

// compareEnded compares calls, those of each goroutine and function in order, of
// which some are lost.
func compareEnded(t *testing.T, got, want []ended, allowed []string, lost int) {
	t.Helper()
	allowed = append(slices.Clip(allowed), lacking()...)
	type key struct {
		fn        string
		goroutine uint64
	}
	sorted := map[key][]ended{}
	for _, g := range got {
		k := key{g.Func, g.Goroutine}
		sorted[k] = append(sorted[k], g)
	}
	absent, reasons := 0, map[string]int{}
	same := func(g, w []string) bool {
		if len(g) == 0 && len(w) == 0 {
			return true
		}
		if len(g) < len(w) || len(g) > len(w) && !strings.Contains(g[len(g)-1], "(?)") {
			return false
		}
		for i := range w {
			if strings.Contains(g[i], "(?)") {
				absent++
			}
			if !sameOrAbsent(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	bad, gone := 0, 0
	for i, w := range want {
		k := key{w.Func, w.Goroutine}
		if lost > 0 && (len(sorted[k]) == 0 || sorted[k][0].How != w.How || !same(sorted[k][0].Args, w.Args) || !same(sorted[k][0].Results, w.Results)) {
			lost--
			gone++
			continue
		}
		if len(sorted[k]) == 0 {
			t.Errorf("call %d %+v was not delivered", i, w)
			bad++
			continue
		}
		g := sorted[k][0]
		sorted[k] = sorted[k][1:]
		missing := slices.Contains(g.Results, "(?)") && g.why["the debug information may leave out a value before it"] > 0
		if g.How != w.How || !same(g.Args, w.Args) || !missing && !same(g.Results, w.Results) {
			t.Errorf("call %d:\n got %+v\nwant %+v", i, g, w)
			bad++
		}
		if w.Most > 0 && (g.took < time.Duration(w.Least) || g.took > time.Duration(w.Most)) {
			t.Errorf("call %d took %v, want between %v and %v", i, g.took, time.Duration(w.Least), time.Duration(w.Most))
		}
		for why, n := range g.why {
			reasons[why] += n
			if !slices.Contains(allowed, why) {
				t.Errorf("call %d: absent for %q:\n got %+v\nwant %+v", i, why, g, w)
				bad++
			}
		}
		if bad > 12 {
			t.Fatal("and more")
		}
	}
	for _, k := range slices.Collect(maps.Keys(sorted)) {
		for _, g := range sorted[k] {
			t.Errorf("%+v: there was no such call", g)
		}
	}
	compared(t, len(want)-gone)
	t.Logf("%d calls, %d values absent: %v", len(got), absent, reasons)
}
