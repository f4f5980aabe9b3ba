package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
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
func compare(t *testing.T, path string, symbols map[string]string, lim fixture.Limits, env string) *fixture.Report {
	t.Helper()
	var funcs []string
	for _, s := range symbols {
		if !slices.Contains(funcs, s) {
			funcs = append(funcs, s)
		}
	}
	slices.Sort(funcs)
	target := fixture.Start(t, path, env)
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
	return fixture.Compare(want, got, lim)
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

// TestRandom traces generated programs. ARGTAP_SEED sets the first seed, and
// ARGTAP_PROGRAMS the number of programs.
func TestRandom(t *testing.T) {
	needRoot(t)
	first, programs := uint64(1), 9
	if s := os.Getenv("ARGTAP_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("ARGTAP_PROGRAMS"); s != "" {
		var err error
		if programs, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const each = 60
	limits := []fixture.Limits{
		{String: 512, Elems: 64, Bytes: 4096}, // the default
		{String: 40, Elems: 5, Bytes: 1024},
		{String: 100, Elems: 12, Bytes: 8192, Depth: 9},
	}
	total := &fixture.Report{}
	functions := 0
	for i := range programs {
		seed := first + uint64(i)
		b := builds[0] // every third another way
		if seed%3 == 0 {
			b = builds[1+seed/3%2]
		}
		t.Run(fmt.Sprintf("%s/%d", b.name, seed), func(t *testing.T) {
			p := fixture.Generate(seed, each)
			functions += len(p.Funcs)
			path := fixture.Build(t, p.Source, b.flags...)
			r := compare(t, path, p.Symbols(t, path), limits[seed%uint64(len(limits))], fmt.Sprintf("FIXTURE_SEED=%d", seed))
			check(t, r, fmt.Sprintf("ARGTAP_SEED=%d ARGTAP_PROGRAMS=1 (%s build)", seed, b.name))
			total.Add(r)
		})
	}
	t.Logf("%d functions: %s", functions, total)
	if os.Getenv("ARGTAP_PROGRAMS") == "" && functions < 500 {
		t.Errorf("%d functions, want at least 500", functions)
	}
}
