package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// check fails the test for what a comparison found.
func check(t *testing.T, r *fixture.Report, what string) {
	t.Helper()
	if len(r.Diffs) > 0 {
		n := min(len(r.Diffs), 40)
		t.Errorf("%s: %s\n%s", what, r, strings.Join(r.Diffs[:n], "\n"))
	}
	for _, text := range r.Implausible() {
		t.Errorf("%s: %s", what, text)
	}
}

// compare traces functions of a program while it runs and compares all of
// its calls with what was seen.
func compare(t *testing.T, path string, symbols map[string]string, lim fixture.Limits, env ...string) *fixture.Report {
	t.Helper()
	return compareBy(t, path, symbols, fixture.Rules{Limits: lim}, env...)
}

// compareBy is compare for a program of which not all is known.
func compareBy(t *testing.T, path string, symbols map[string]string, rules fixture.Rules, env ...string) *fixture.Report {
	t.Helper()
	lim := rules.Limits
	var funcs []string
	for _, s := range symbols {
		if !slices.Contains(funcs, s) {
			funcs = append(funcs, s)
		}
	}
	slices.Sort(funcs)
	target := fixture.Start(t, path, env...)
	var rec recorder
	tr := trace(t, path, funcs, rec.handle, uprobe.WithPID(target.PID),
		uprobe.WithLimits(uprobe.Limits{String: lim.String, Elems: lim.Elems, Bytes: lim.Bytes, Depth: lim.Depth}))
	if n := len(tr.Funcs()); n != len(funcs) {
		t.Errorf("%d functions are traced, want %d", n, len(funcs))
	}
	target.Go()
	want := fixture.Rename(target.Calls(), symbols)
	s := closeAll(t, tr)
	if int(s.Calls) != len(want) {
		t.Errorf("%d calls were seen, want %d", s.Calls, len(want))
	}
	got := rec.get(t)
	for _, c := range got {
		if c.PID != target.PID || c.TID == 0 {
			t.Errorf("call of %s in process %d, thread %d, want process %d", c.Func, c.PID, c.TID, target.PID)
			break
		}
	}
	target.Close()
	return fixture.CompareBy(rules, want, got)
}

// builds are the ways to build a program that matter for its code.
var builds = []struct {
	name  string
	flags []string
}{
	{"default", nil},
	{"unoptimised", []string{"-gcflags=all=-N -l"}},
	{"pie", []string{"-buildmode=pie"}},
}

// TestTable traces the signatures of fixture.Table.
func TestTable(t *testing.T) {
	needRoot(t)
	tc := fixture.Toolchain{}
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	p, err := fixture.Table(minor)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Funcs) < 60 {
		t.Fatalf("the table has %d functions only", len(p.Funcs))
	}
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			path := fixture.Build(t, p.Source, b.flags...)
			r := compare(t, path, p.Symbols(t, path), fixture.Limits{String: 256, Elems: 10, Bytes: 4096}, "")
			check(t, r, "table")
			t.Log(r)
		})
	}
}

// TestRandom traces generated programs: see seedVar.
func TestRandom(t *testing.T) {
	needRoot(t)
	limits := []fixture.Limits{
		{String: 512, Elems: 64, Bytes: 4096}, // the default
		{String: 40, Elems: 5, Bytes: 1024},
		{String: 100, Elems: 12, Bytes: 8192, Depth: 9},
	}
	list := trials(t, 60)
	if list == nil {
		for seed := uint64(1); seed < 10; seed++ {
			b := builds[0] // every third another way
			if seed%3 == 0 {
				b = builds[1+seed/3%2]
			}
			list = append(list, trial{seed: seed, funcs: 60, flags: b.flags})
		}
	}
	total := &fixture.Report{}
	functions := 0
	for _, x := range list {
		t.Run(x.String(), func(t *testing.T) {
			p := fixture.GenerateFor(x.minor(t), x.seed, x.funcs)
			functions += len(p.Funcs)
			path := x.build(t, p.Source)
			rules := fixture.Rules{Limits: limits[x.seed%uint64(len(limits))], Blanks: fixture.BlanksOf(x.minor(t))}
			r := compareBy(t, path, p.Symbols(t, path), rules, fmt.Sprintf("FIXTURE_SEED=%d", x.seed), "FIXTURE_WORDS=1")
			check(t, r, x.again())
			total.Add(r)
		})
	}
	t.Logf("%d functions: %s", functions, total)
	if os.Getenv(seedVar) == "" && functions < 500 {
		t.Errorf("%d functions, want at least 500", functions)
	}
}
