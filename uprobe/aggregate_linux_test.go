package uprobe

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAggregateWays has many threads call functions whose calls are counted at the same
// time, on this kernel as if it lacked one thing or another: every call is counted once.
func TestAggregateWays(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	version, _ := kernelVersion(t)
	// The sum of the IDs, 0 to calls-1.
	const calls = threads * perThread
	sum := big.NewInt(calls * (calls - 1) / 2)
	forEachWay(t, func(t *testing.T, lack []string) {
		// Programs without atomics are for kernels that do not preempt them: here only
		// what they add is right.
		preempted := slices.Contains(lack, "atomics") && version >= 600
		for name, tt := range map[string]struct {
			opts  []Option
			check func(s FuncStats, rows []Aggregate) error
		}{
			"count": {[]Option{WithCount("id % 10", "id < 0")}, func(s FuncStats, rows []Aggregate) error {
				for _, r := range rows {
					if r.Count != calls/10 {
						return fmt.Errorf("%s: want %d", &r, calls/10)
					}
				}
				return rowsAre(rows, 10)
			}},
			"histogram": {[]Option{WithHistogram("id", Log2())}, func(s FuncStats, rows []Aggregate) error {
				if err := rowsAre(rows, 1); err != nil {
					return err
				}
				least, _ := rows[0].Min().Int64()
				most, _ := rows[0].Max().Int64()
				if rows[0].Sum().Cmp(sum) != 0 || least != 0 || most != calls-1 {
					return fmt.Errorf("sum %s from %d to %d, want %s", rows[0].Sum(), least, most, sum)
				}
				return nil
			}},
			"full": {[]Option{WithHistogram("id", Linear(0, calls, 100), "id"), WithMaxKeys(50)}, func(s FuncStats, rows []Aggregate) error {
				n := uint64(0)
				for _, r := range rows {
					if r.Count > 1 != r.Other {
						return fmt.Errorf("%s", &r)
					}
					n += r.Count
				}
				if n != calls {
					return fmt.Errorf("%d calls", n)
				}
				return nil
			}},
			"durations": {[]Option{WithHistogram("duration", Log2(), "id % 2", "goroutine", "pid")}, func(s FuncStats, rows []Aggregate) error {
				return rowsAre(rows, 2*threads)
			}},
			"kept back": {[]Option{WithHistogram("id", Log2(), "id % 2"), WithCondition("id % 2 == 1"), WithRateLimit(1000)},
				func(s FuncStats, rows []Aggregate) error {
					if s.Aggregated+s.Filtered+s.Limited != calls || s.Aggregated == 0 || s.Filtered != calls/2 {
						return fmt.Errorf("%+v", s.Stats)
					}
					return rowsAre(rows, 1)
				}},
			"sampled": {[]Option{WithHistogram("duration", Log2()), WithSampling(7)}, func(s FuncStats, rows []Aggregate) error {
				if s.Sampled+s.Aggregated != calls || s.Aggregated*7 < calls {
					return fmt.Errorf("%+v", s.Stats)
				}
				return rowsAre(rows, 1)
			}},
		} {
			if preempted && name != "full" || len(lack) > 0 && name != "full" && name != "durations" {
				continue // what differs is in these
			}
			t.Run(name, func(t *testing.T) {
				opts := append(tt.opts, WithFuncs(crowds[1]), withoutFeatures(lack...))
				tr, err := Trace(target.path, crowds[0], nil, opts...)
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
				for _, s := range added(t, tr, calls, nil) {
					var own []Aggregate
					n := uint64(0)
					for _, r := range rows {
						if r.Func == s.Func {
							own = append(own, r)
							n += r.Count + r.Absent
						}
					}
					if n != s.Aggregated || s.Lost != 0 || s.Open+s.Abandoned != 0 {
						t.Errorf("%s: %d are in rows: %+v", s.Func.Name(), n, s.Stats)
					}
					if name == "full" && len(own) == 1 && own[0].Other {
						continue // the others had all keys
					}
					if err := tt.check(s, own); err != nil {
						t.Errorf("%s: %v", s.Func.Name(), err)
					}
				}
			})
		}
	})
}

func rowsAre(rows []Aggregate, n int) error {
	if len(rows) != n {
		return fmt.Errorf("%d rows, want %d: %v", len(rows), n, rows)
	}
	return nil
}

// TestAggregateSweep: a call that was left by a panic, and those of a process that has
// ended, are given up in the kernel, and counted.
func TestAggregateSweep(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	tr, err := Trace(target.path, "main.results", nil, WithHistogram("duration", Log2(), "n"))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { tr.Close() })
	target.do("results 6") // 2 and 5 panic; 3 takes the place of 2
	is := func(when string, abandoned, open, inKernel int) {
		t.Helper()
		s := tr.Stats()
		calls, err := tr.kernel.openCalls()
		if err != nil || len(calls) != inKernel || s.Calls != 6 || s.Aggregated != 4 || s.Abandoned != uint64(abandoned) || s.Open != uint64(open) {
			t.Errorf("%s: %d open calls, %v, %+v", when, len(calls), err, s)
		}
	}
	is("before", 1, 1, 1)
	calls, err := tr.kernel.openCalls()
	if err != nil || len(calls) != 1 {
		t.Fatal(calls, err)
	}
	// Another, older, further down the stack: it has been left.
	older := calls[0]
	older.key[2] += 64
	older.time--
	value := make([]byte, tr.funcs[0].aggregate().OpenSize())
	order.PutUint64(value, older.time)
	if err := tr.kernel.open.Put(older.key, value); err != nil {
		t.Fatal(err)
	}
	tr.sweepOnce()
	if calls, err = tr.kernel.openCalls(); err != nil || len(calls) != 1 || calls[0].key == older.key {
		t.Errorf("%v, %v", calls, err)
	}
	if s := tr.Stats(); s.Abandoned != 2 {
		t.Errorf("%+v", s)
	}
	tr.tallies[0].abandoned.Store(0) // there was no such call
	target.cmd.Process.Signal(syscall.SIGKILL)
	target.cmd.Wait()
	tr.sweepOnce()
	is("after the end", 1, 1, 0)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if s := tr.Stats(); s.Calls != 6 || s.Open != 1 || s.Abandoned != 1 {
		t.Errorf("%+v", s)
	}
}

// TestAggregateRedacted: what is redacted is no key and no value.
func TestAggregateRedacted(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "redact")
	for fn, exprs := range map[string][]string{
		"hidden":  {"v.Name", "v.Name[2]", "len(v.Name)", `v.Name == "a"`, "k[0]", "len(k)", "list[0][1]", "h.Text", "cap(c.Keys)"},
		"generic": {"x", "len(x)", "x[0]", "y.Name"},
		"gives":   {"len(authToken)", "result0", "result0[0]", `authToken == "a"`, "vault.Name", "len(out)", "out", "result2[1]"},
	} {
		for _, e := range exprs {
			for what, opt := range map[string]Option{"count": WithCount("pid", e), "histogram": WithHistogram(e, Log2())} {
				opts := []Option{WithRedact("main.Vault", "main.Key"), opt}
				tr, err := Trace(path, "main."+fn, nil, opts...)
				if err == nil {
					tr.Close()
				}
				if err == nil || !strings.Contains(err.Error(), "redacted") && !strings.Contains(err.Error(), "this is") {
					t.Errorf("%s of %s in %s: %v", what, e, fn, err)
				}
				if tr, err = Trace(path, "main."+fn, nil, append(opts, WithoutRedaction())...); err == nil {
					tr.Close()
				} else if strings.Contains(err.Error(), "redacted") {
					t.Errorf("%s of %s in %s without redaction: %v", what, e, fn, err)
				}
			}
		}
	}
}

// TestLeft: frames of a goroutine that are older than one further up are gone.
func TestLeft(t *testing.T) {
	call := func(pid, goroutine, depth, time uint64) openAggregate {
		return openAggregate{key: openKey{pid, goroutine, depth}, time: time}
	}
	gone := left([]openAggregate{
		call(7, 1, 64, 10), call(7, 1, 128, 20), call(7, 1, 256, 5), call(7, 1, 512, 15), call(7, 1, 600, 30),
		call(7, 2, 128, 1), call(7, 3, 64, 9), call(8, 1, 256, 2),
	})
	if got := fmt.Sprint(gone); got != fmt.Sprint([]openAggregate{call(7, 1, 256, 5), call(7, 1, 512, 15)}) {
		t.Error(got)
	}
}

// TestAggregateFirst: the tracer ends when the first calls are counted.
func TestAggregateFirst(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	tr, err := Trace(target.path, crowds[0], nil, WithCount(), WithFirst(100))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	target.do(fmt.Sprint("race ", threads))
	select {
	case <-tr.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("it goes on: %+v", tr.Stats())
	}
	rows, err := tr.Aggregates()
	if err != nil || len(rows) != 1 || rows[0].Count != 100 || tr.Stats().Aggregated != 100 || tr.Err() != nil {
		t.Errorf("%v, %+v, %v, %v", rows, tr.Stats(), err, tr.Err())
	}
}
