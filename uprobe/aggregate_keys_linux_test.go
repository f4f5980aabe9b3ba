package uprobe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAggregateReturnsInEveryWay: results are counted, and what conditions of the return
// keep out is not, on this kernel as if it lacked one thing or another.
func TestAggregateReturnsInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		for _, first := range []int{0, 2} {
			opts := []Option{
				withoutFeatures(lack...), WithHistogram("result0*10 + n", Linear(0, 1000, 1), "n > 7", "result0 - n"),
				WithCondition("result0 > 6 && (result2[0].X == n || n < -5) && !panicked && duration < 1h"), WithCondition("n != 9"),
			}
			if first > 0 {
				opts = append(opts, WithFirst(first))
			}
			tr, err := Trace(target.path, "main.results", nil, opts...)
			if err != nil {
				t.Fatalf("%+v", err)
			}
			target.do("results 12")
			if first > 0 {
				if err := ends(t, tr); err != nil {
					t.Error(err)
				}
			} else if err := tr.Close(); err != nil {
				t.Error(err)
			}
			want := map[string]uint64{}
			kept, panicked := uint64(0), uint64(0)
			for n := int64(0); n < 12; n++ {
				switch {
				case n == 9:
				case panics(n):
					panicked++
				case n >= 6 && (first == 0 || kept < uint64(first)):
					want[fmt.Sprintf("%t 1 %d", n > 7, 10*(n+1)+n)]++
					kept++
				}
			}
			got := map[string]uint64{}
			rows, err := tr.Aggregates()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				for _, b := range r.Buckets {
					if b.Count > 0 {
						got[fmt.Sprintf("%s %s %s", r.Key[0], r.Key[1], b.Low)] += b.Count
					}
				}
			}
			s := tr.Stats()
			if fmt.Sprint(got) != fmt.Sprint(want) || s.Aggregated != kept ||
				s.Aggregated+s.Filtered+s.Beyond+s.Lost+s.Open+s.Abandoned != s.Calls || s.Lost != 0 ||
				first == 0 && (s.Calls != 12 || s.Open+s.Abandoned != panicked || s.Filtered != 12-kept-panicked) {
				t.Errorf("first %d: %v, want %v: %+v", first, got, want, s)
			}
		}
	})
}

// TestAggregateKeysInEveryWay has many threads call functions that are counted by who
// calls: where this kernel could not do that it says so.
func TestAggregateKeysInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	const calls = threads * perThread
	forEachWay(t, func(t *testing.T, lack []string) {
		caps := probeCapabilities().without(lack)
		old := !caps.loops || !caps.atomics
		by := []string{"creator", "parent", "goroutine"}
		if !old {
			by = append(by, "stack")
		} else if _, err := Trace(target.path, crowds[0], nil, WithCount("stack"), withoutFeatures(lack...)); !errors.Is(err, ErrKernel) || !strings.Contains(err.Error(), "needs Linux 5.17") {
			t.Errorf("stacks: %v", err)
		}
		tr, err := Trace(target.path, crowds[0], nil, WithCount(by...), WithFuncs(crowds[1]), withoutFeatures(lack...))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		target.do(fmt.Sprint("race ", threads))
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		rows, err := tr.Aggregates()
		if err != nil {
			t.Fatal(err)
		}
		if version, _ := kernelVersion(t); slices.Contains(lack, "atomics") && version >= 600 {
			return // such programs are for kernels that do not preempt them
		}
		counts := map[string]uint64{}
		stacks := map[string]bool{}
		var busy uint64
		for i := range rows {
			r := &rows[i]
			counts[fmt.Sprint(r.Func.Name(), r.Key[2])] += r.Count
			if f, ok := r.Key[0].Value.(Frame); !ok || f.Func != "main.race" && !strings.HasPrefix(f.Func, "sync.") || f.Line == 0 {
				t.Errorf("%s: creator %v", r, r.Key[0])
			}
			if p, ok := r.Key[1].Value.(uint64); !ok || p == 0 {
				t.Errorf("%s: parent %v", r, r.Key[1])
			}
			if old {
				continue
			}
			s, ok := r.Key[3].Value.(Stack)
			if !ok {
				if busy += r.Count; r.Key[3].Absent != noStackBusy {
					t.Errorf("%s", r)
				}
				continue
			}
			stacks[s.String()] = true
			if f := s.Frames(); f[0].Func != r.Func.Name() || s.End() != "" || f[len(f)-1].Func != "runtime.goexit" {
				t.Errorf("%s:\n%s", r, s)
			}
		}
		for k, n := range counts {
			if n != perThread {
				t.Errorf("%s: %d calls, want %d", k, n, perThread)
			}
		}
		t.Logf("%d of %d calls found no memory for their stack", busy, 2*calls)
		// One stack of each function, however many threads have found it missing at once.
		if s := tr.Stats(); s.Aggregated != 2*calls || s.Calls != s.Aggregated || s.LostStacks != busy || len(counts) != 2*threads || !old && len(stacks) != 2 || busy > calls/2 {
			t.Errorf("%d goroutines, %d stacks, %d calls without: %+v", len(counts), len(stacks), busy, s)
		}
	})
}

// TestAggregateStacksFull: calls by stacks that there is no room for are counted, under
// the reason.
func TestAggregateStacksFull(t *testing.T) {
	for id, want := range map[uint64]string{
		0: noStackBusy, 2: noStackGoroutine, 3: noStackUnread, 4: "no room for further stacks", 1 << 40: "could not be read",
	} {
		if why := noStackKey(id); !strings.Contains(why, want) {
			t.Errorf("%d: %s", id, why)
		}
	}
	needRoot(t)
	if c := probeCapabilities(); !c.loops || !c.atomics {
		t.Log("the kernel has no loops")
		return
	}
	target := startCaps(t, buildFixture(t, "caps"))
	full := func(o *options) error { o.stackRoom = 1; return nil }
	tr, err := Trace(target.path, crowds[0], nil, WithCount("stack"), WithFuncs(crowds[1]), full)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	target.do(fmt.Sprint("race ", threads))
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := tr.Aggregates()
	if err != nil {
		t.Fatal(err)
	}
	const calls = threads * perThread
	var stacks, lost uint64
	for i := range rows {
		if s, ok := rows[i].Key[0].Value.(Stack); ok {
			if stacks += rows[i].Count; s.Frames()[0].Func != rows[i].Func.Name() || s.End() != "" {
				t.Errorf("%s", s)
			}
		} else if lost += rows[i].Count; !strings.Contains(rows[i].Key[0].Absent, "no room") && rows[i].Key[0].Absent != noStackBusy {
			t.Errorf("%s", &rows[i])
		}
	}
	if s := tr.Stats(); stacks+lost != 2*calls || lost < calls || stacks == 0 || s.LostStacks != lost || s.Aggregated != 2*calls {
		t.Errorf("%d calls with a stack, %d without: %+v", stacks, lost, s)
	}
}

// TestAggregateKeyErrors: what cannot be counted by is an error that says why, and what
// has several meanings has the nearest.
func TestAggregateKeyErrors(t *testing.T) {
	path := buildFixture(t, "returns")
	hist := func(expr string, by ...string) Option { return WithHistogram(expr, Log2(), by...) }
	for _, tt := range []struct {
		fn   string
		opt  []Option
		want string // "" for none
	}{
		{"work", []Option{WithCount("stack", "creator", "parent", "goroutine")}, ""},
		{"work", []Option{WithCount("n", "r", "err == nil", "duration > 1ms")}, ""},
		{"work", []Option{hist("r"), WithCondition("panicked")}, ""},
		{"work", []Option{hist("n"), WithCondition("panicked || n > 3")}, ""},
		{"work", []Option{hist("n"), WithCondition("panicked && !panicked")}, ""}, // nothing is counted, and nothing missed
		{"work", []Option{hist("n"), WithCondition("!panicked && r > 2")}, ""},
		{"work", []Option{WithCount("panicked", "panicked && r > 3", "panicked == (n > 3)")}, ""},
		{"work", []Option{WithHistogram("panicked", Log2())}, "what is counted by size is an integer"},
		{"work", []Option{WithCount("err")}, "a key is an integer, a bool or a string; this is error"},
		{"work", []Option{hist("out")}, "what is counted by size is an integer"},
		{"work", []Option{hist("s[r]")}, "only numbers and bools can be kept until then, not a string"},
		{"work", []Option{hist("zz")}, "no parameter or result zz; there are: id, n, s, p, r, err, out, q, result0"},
		{"work", []Option{hist("r > n")}, "what is counted by size is an integer"},
		{"work", []Option{WithCount("s", "s", "s", "r*n")}, "a key of 232 bytes, and 16 of what is known at the entry and needed when a call returns, where there is room for 240: leave out a part"},
		{"never", []Option{WithCount("duration > 1ms")}, "its calls cannot be counted: that is done when they return, and it has no return"},
		{"never", []Option{hist("duration")}, "its durations cannot be counted: that is done when they return, and it has no return"},
		{"never", []Option{WithCount(), WithCondition("duration > 1ms")}, "it needs what is known only when the call returns, which cannot be had: it has no return"},
		{"shadows", []Option{WithCount("duration")}, ""},
	} {
		o, err := newOptions(tt.opt)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := openBinary(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		funcs, _, err := b.resolve([]string{"main." + tt.fn}, o)
		if err == nil {
			err = joinAggregates(funcs)
		}
		b.close()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.fn, err, tt.want)
		}
		var e *ExprError
		if errors.As(err, &e) && e.NeedsResults {
			t.Errorf("%v: results are there", err)
		}
		if tt.want == "" && tt.fn == "shadows" && funcs[0].aggregated.program.Whole() {
			t.Error("the parameter duration is known at the entry")
		}
	}
}
