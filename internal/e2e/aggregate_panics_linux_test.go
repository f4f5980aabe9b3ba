package e2e

import (
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// panicCount is a tracer of testdata/panics that counts calls of which some are left by
// panics.
type panicCount struct {
	name string
	opts []uprobe.Option
	// met says whether a call counts, key is its key, value the value, nil for none.
	met   func(c panicCall) bool
	key   func(c panicCall) string
	value func(c panicCall) *int64
	sized bool
	// duration says that the value is how long calls take: only those that panic lack it.
	duration bool
}

func panicCounts() []panicCount {
	left := func(c panicCall) bool { return c.How == "panicked" }
	all := func(panicCall) bool { return true }
	id := func(c panicCall) *int64 { return &c.ID }
	log2 := uprobe.Log2()
	return []panicCount{
		{name: "panicked", opts: []uprobe.Option{uprobe.WithCount("id%5"), uprobe.WithCondition("panicked")},
			met: left, key: func(c panicCall) string { return fmt.Sprint(c.ID % 5) }},
		{name: "by panicked", opts: []uprobe.Option{uprobe.WithCount("panicked")},
			met: all, key: func(c panicCall) string { return fmt.Sprint(left(c)) }},
		{name: "values by panicked", opts: []uprobe.Option{uprobe.WithHistogram("id", log2, "panicked && id%2 == 0", "id&7")},
			met: all, key: func(c panicCall) string { return fmt.Sprint(left(c) && c.ID%2 == 0, " ", c.ID&7) }, value: id, sized: true},
		{name: "durations", opts: []uprobe.Option{uprobe.WithHistogram("duration", log2, "id%3"), uprobe.WithCondition("panicked || id%3 > 0")},
			met: func(c panicCall) bool { return left(c) || c.ID%3 > 0 }, key: func(c panicCall) string { return fmt.Sprint(c.ID % 3) }, sized: true, duration: true},
		{name: "entry and return", opts: []uprobe.Option{uprobe.WithHistogram("id*3", uprobe.Linear(0, 200_000, 200)),
			uprobe.WithCondition("id%7 > 0 && (panicked && id%2 == 0 || duration >= 0 && id%3 == 0)")},
			met:   func(c panicCall) bool { return c.ID%7 > 0 && (left(c) && c.ID%2 == 0 || !left(c) && c.ID%3 == 0) },
			value: func(c panicCall) *int64 { v := c.ID * 3; return &v }, sized: true},
		{name: "sampled", opts: []uprobe.Option{uprobe.WithCount("id", "panicked"), uprobe.WithCondition("id%3 == 0")},
			met: func(c panicCall) bool { return c.ID%3 == 0 }, key: func(c panicCall) string { return fmt.Sprint(c.ID, " ", left(c)) }},
	}
}

// TestAggregatePanics compares what is counted of a program whose goroutines panic and
// recover at random with its own account: keys, values and sums, of the calls that a
// panic leaves and of those that return.
func TestAggregatePanics(t *testing.T) {
	needRoot(t)
	src := panicsProgram(t)
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) { testAggregatePanics(t, fixture.Build(t, src, b.flags...)) })
	}
	t.Run("386", func(t *testing.T) { testAggregatePanics(t, fixture.Build(t, src, "GOARCH=386")) })
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, tc := range releases() {
		t.Run(tc.String(), func(t *testing.T) { testAggregatePanics(t, fixture.BuildWith(t, tc, src)) })
	}
}

func testAggregatePanics(t *testing.T, path string) {
	t.Helper()
	target := fixture.Start(t, path, fmt.Sprintf("FIXTURE_SEED=%d", panicSeed))
	cases := panicCounts()
	tracers := make([]*uprobe.Tracer, len(cases))
	for i, c := range cases {
		tr, err := uprobe.Trace(path, panicFuncs[0], nil, append(c.opts, uprobe.WithFuncs(panicFuncs[1:]...))...)
		if err != nil {
			t.Fatalf("%s: %+v", c.name, err)
		}
		t.Cleanup(func() { tr.Close() })
		tracers[i] = tr
	}
	var calls []panicCall
	for c := range told[panicCall](t, target) {
		calls = append(calls, c)
	}
	for i := range cases {
		t.Run(cases[i].name, func(t *testing.T) { cases[i].compare(t, tracers[i], calls) })
	}
}

// panicRow is what is counted under a key.
type panicRow struct {
	n, absent uint64
	sum       int64
}

func (c *panicCount) compare(t *testing.T, tr *uprobe.Tracer, calls []panicCall) {
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := tr.Aggregates()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]panicRow{}
	var met, unwound uint64
	for _, call := range calls {
		if !c.met(call) {
			continue
		}
		met++
		left := call.How == "panicked"
		if left {
			unwound++
		}
		key := call.Func
		if c.key != nil {
			key += " " + c.key(call)
		}
		r := want[key]
		if c.duration && left {
			r.absent++
		} else {
			r.n++
		}
		if c.value != nil {
			r.sum += *c.value(call)
		}
		want[key] = r
	}
	got := map[string]panicRow{}
	for _, a := range rows {
		key := a.Func.Name()
		for _, k := range a.Key {
			key += " " + k.String()
		}
		if a.Other {
			key += " other"
		}
		if _, ok := got[key]; ok {
			t.Errorf("two rows of %s", key)
		}
		var inBuckets uint64
		for _, b := range a.Buckets {
			inBuckets += b.Count
		}
		if c.sized && inBuckets != a.Count {
			t.Errorf("%s: %d in buckets", &a, inBuckets)
		}
		r := panicRow{n: a.Count, absent: a.Absent}
		if c.value != nil {
			r.sum, _ = strconv.ParseInt(new(big.Int).Set(a.Sum()).String(), 10, 64)
		}
		if a.Absent > 0 && !slices.Equal(a.AbsentWhy, []string{"the call did not return"}) {
			t.Errorf("%s: absent for %q", &a, a.AbsentWhy)
		}
		got[key] = r
	}
	s := tr.Stats()
	compared(t, int(met))
	if s.Calls != uint64(len(calls)) || s.Aggregated != met || s.Filtered != s.Calls-met {
		t.Errorf("%d calls, of which %d count, %d of them left by panics: %+v", len(calls), met, unwound, s)
	}
	if !maps.Equal(got, want) {
		for k, w := range want {
			if got[k] != w {
				t.Errorf("%s: %+v, want %+v", k, got[k], w)
			}
		}
		for k, g := range got {
			if _, ok := want[k]; !ok {
				t.Errorf("%s: %+v: there were no such calls", k, g)
			}
		}
	}
	if unwound < 40 {
		t.Errorf("only %d calls that panics left count", unwound)
	}
	t.Logf("%d calls, %d count, %d of them left by panics", len(calls), met, unwound)
}
