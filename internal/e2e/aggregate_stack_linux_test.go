package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// identity is a key of all that tells who calls.
var identity = []string{"stack", "goroutine", "parent", "creator"}

// TestAggregateStacks compares what is counted by stacks, creators, parents and
// goroutines with the calls of testdata/stack, each of which the program tells: every
// call is counted once, under its own stack.
func TestAggregateStacks(t *testing.T) {
	needRoot(t)
	if withoutLoops() {
		t.Log("the kernel has no loops")
		return
	}
	src := stackSource(t)
	for name, flags := range map[string][]string{"default": nil, "unoptimised": {"-gcflags=all=-N -l"}, "pie": {"-buildmode=pie"}} {
		t.Run(name, func(t *testing.T) {
			path := fixture.Build(t, src, flags...)
			testAggregateStacks(t, path, 32, uprobe.WithCount(identity...))
			if name != "default" {
				return
			}
			testAggregateStacks(t, path, 3, uprobe.WithHistogram("duration", uprobe.Log2(), identity...), uprobe.WithStack(3))
		})
	}
	t.Run("parallel", func(t *testing.T) { testAggregateParallel(t, fixture.Build(t, src)) })
}

// toldRow makes the key of a row what a program tells of a call.
func toldRow(t *testing.T, a *uprobe.Aggregate) (s toldStack) {
	t.Helper()
	for _, k := range a.Key {
		switch v := k.Value.(type) {
		case uprobe.Stack:
			for _, f := range v.Frames() {
				s.Frames = append(s.Frames, toldFrame{plainName(f.Func), f.File, f.Line, f.Missing})
			}
			s.end = v.End()
		case uprobe.Frame:
			s.By, s.File, s.Line = plainName(v.Func), v.File, v.Line
		case uint64:
			if k.Expr == "goroutine" {
				s.Goroutine = v
			} else {
				s.Parent = v
			}
		default:
			t.Errorf("%s: %s is %v, %s", a, k.Expr, k.Value, k.Absent)
		}
	}
	return s
}

func testAggregateStacks(t *testing.T, path string, depth int, opts ...uprobe.Option) {
	target := fixture.Start(t, path, "STACK_ROUNDS=2")
	tr, err := uprobe.Trace(path, stackFuncs[0], nil, append(opts, uprobe.WithFuncs(append(stackFuncs[1:len(stackFuncs):len(stackFuncs)], "main.twice*")...))...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	var want []toldStack
	for e := range told[toldStack](t, target) {
		if f := plainName(e.Frames[0].Func); f == "main.twice[...]" || slices.Contains(stackFuncs, f) {
			want = append(want, e)
		}
		if len(want) == 50 {
			if _, err := tr.Aggregates(); err != nil { // as it may be at any time
				t.Error(err)
			}
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	rows, err := tr.Aggregates()
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		fn        string
		goroutine uint64
	}
	type counted struct {
		toldStack
		n uint64
	}
	got := map[place][]*counted{}
	seen := map[string]bool{}
	for i := range rows {
		s := toldRow(t, &rows[i])
		if len(s.Frames) == 0 {
			continue
		}
		if text := rows[i].Func.Name() + showStack(s); seen[text] && depth > 3 {
			// Calls in one line have the same frames but for their addresses.
			t.Logf("there twice: %s", text)
		} else {
			seen[text] = true
		}
		k := place{plainName(s.Frames[0].Func), s.Goroutine}
		got[k] = append(got[k], &counted{s, rows[i].Count})
	}
	counts := map[string]int{}
	for _, w := range want {
		k := place{plainName(w.Frames[0].Func), w.Goroutine}
		why := "there is no such function"
		i := slices.IndexFunc(got[k], func(c *counted) bool {
			if c.n == 0 {
				return false
			}
			c.start = plainName(w.Frames[max(len(w.Frames)-2, 0)].Func) // which is no part of a key
			why = compareStack(c.toldStack, w, depth, 99, counts)
			return why == ""
		})
		if i < 0 {
			t.Errorf("no row for%s: %s", showStack(w), why)
			continue
		}
		got[k][i].n--
	}
	for _, all := range got {
		for _, c := range all {
			if c.n > 0 {
				t.Errorf("%d calls too many of%s", c.n, showStack(c.toldStack))
			}
		}
	}
	s := tr.Stats()
	if s.Calls != uint64(len(want)) || s.Aggregated != s.Calls || s.LostStacks != 0 {
		t.Errorf("%d calls, stats %+v", len(want), s)
	}
	t.Logf("%d calls in %d rows: %v", len(want), len(rows), counts)
}

// testAggregateParallel has many goroutines call a function at the same time, each
// from a depth of its own: all calls of a depth are in one row.
func testAggregateParallel(t *testing.T, path string) {
	const calls = 300
	target := fixture.Start(t, path, fmt.Sprintf("STACK_PARALLEL=%d", calls))
	tr, err := uprobe.Trace(path, "main.leaf", nil, uprobe.WithCount("stack", "n"), uprobe.WithStack(64))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	toldAll(t, target)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	rows, err := tr.Aggregates()
	if err != nil {
		t.Fatal(err)
	}
	whole := map[int64]uint64{}
	var busy, all uint64
	for i := range rows {
		a := &rows[i]
		n := a.Key[1].Value.(int64)
		all += a.Count
		s, ok := a.Key[0].Value.(uprobe.Stack)
		if !ok {
			if busy += a.Count; a.Key[0].Absent != "lost: no memory was free to collect it in" {
				t.Error(a)
			}
			continue
		}
		// leaf, down n+1 times, a function literal, runtime.goexit.
		if f := s.Frames(); len(f) != int(n)+4 || s.End() != "" || f[n+1].Func != "main.down" || whole[n] > 0 {
			t.Errorf("%d calls of leaf(%d) from\n%s", a.Count, n, s)
		}
		whole[n] += a.Count
	}
	if s := tr.Stats(); len(whole) != 32 || all != 32*calls || s.Aggregated != all || s.Calls != all || s.LostStacks != busy || busy > calls {
		t.Errorf("%d calls from %d depths, %d without a stack, %+v", all, len(whole), busy, s)
	}
}
