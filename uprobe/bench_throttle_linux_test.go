package uprobe

import (
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// programTime runs f and returns how many ns the programs of entries took a run
// meanwhile, by the kernel's count. The empty program takes about 25, which is what it
// takes to count.
func programTime(tb testing.TB, f func(), progs ...*ebpf.Program) float64 {
	tb.Helper()
	stop, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		tb.Fatal(err)
	}
	defer stop.Close()
	f()
	var took, runs float64
	for _, p := range progs {
		st, err := p.Stats()
		if err != nil {
			tb.Fatal(err)
		}
		took, runs = took+float64(st.Runtime), runs+float64(st.RunCount)
	}
	return took / max(runs, 1)
}

// BenchmarkKeptBack prints what a call costs that is kept back, as a ratio to the
// cost with an empty program at the same site: all measured by the target in turns; and
// how long the program takes for it.
func BenchmarkKeptBack(b *testing.B) {
	t := startBench(b, "bench")
	const name, calls = "three", 50_000
	fs, err := Inspect(t.path, "main."+name)
	if err != nil {
		b.Fatal(err)
	}
	ways := []struct {
		metric string
		opts   []Option
	}{
		{"x-traced", nil},
		{"x-filtered", []Option{WithCondition("n < 0")}},
		{"x-filtered-memory", []Option{WithCondition(`p.X != 3 || s == "other"`)}},
		{"x-sampled-out", []Option{WithSampling(1 << 20)}},
		{"x-first-used-up", []Option{WithFirst(1)}},
		{"x-limited", []Option{WithRateLimit(1)}},
		{"x-paused", []Option{WithBudget(1e-8)}},
		{"x-measured", []Option{WithBudget(1)}},
	}
	var empty []float64
	took, programs := make([][]float64, len(ways)), make([][]float64, len(ways))
	for range 15 {
		detach := emptyProbe(b, t.path, fs[0])
		t.run(name, 1000)
		empty = append(empty, t.run(name, calls))
		detach()
		for i, w := range ways {
			tr, err := Trace(t.path, "main."+name, func(*Call) {}, w.opts...)
			if err != nil {
				b.Fatal(err)
			}
			t.run(name, 1000)
			took[i] = append(took[i], t.run(name, calls))
			programs[i] = append(programs[i], programTime(b, func() { t.run(name, calls) }, tr.kernel.progs...))
			if err := tr.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	e := median(empty)
	b.ReportMetric(e, "ns-empty")
	for i, w := range ways {
		b.ReportMetric(median(took[i])/e, w.metric)
		if ns := median(programs[i]); ns > 0 { // the probe may be gone
			b.ReportMetric(ns, "ns-program"+w.metric[1:])
		}
	}
}

// BenchmarkKeptBackAtReturn prints what a whole call costs that a condition keeps
// back, at its entry or at its return, as a ratio to one that is delivered, and to the
// empty program at the site of the entry.
func BenchmarkKeptBackAtReturn(b *testing.B) {
	t := startBench(b, "bench")
	const name, calls = "three", 20_000
	fs, err := Inspect(t.path, "main."+name)
	if err != nil {
		b.Fatal(err)
	}
	ways := []struct {
		metric string
		opts   []Option
	}{
		{"kept", nil},
		{"filtered-at-entry", []Option{WithCondition("n < 0 && duration > 0")}},
		{"filtered-at-return", []Option{WithCondition("duration > 1h")}},
		{"filtered-with-kept", []Option{WithCondition("duration > 1h || p.X != 3 && n > 0")}},
		{"met", []Option{WithCondition("duration >= 0")}},
	}
	var empty []float64
	took := make([][]float64, len(ways))
	for range 9 {
		detach := emptyProbe(b, t.path, fs[0])
		t.run(name, 1000)
		empty = append(empty, t.run(name, calls))
		detach()
		for i, w := range ways {
			tr, err := Trace(t.path, "main."+name, func(*Call) {}, append(w.opts, WithResults())...)
			if err != nil {
				b.Fatal(err)
			}
			t.run(name, 1000)
			took[i] = append(took[i], t.run(name, calls))
			if err := tr.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	e, kept := median(empty), median(took[0])
	b.ReportMetric(e, "ns-empty")
	b.ReportMetric(kept, "ns-kept")
	for i, w := range ways {
		b.ReportMetric(median(took[i])/e, "x-empty-"+w.metric)
		b.ReportMetric(median(took[i])/kept, "x-kept-"+w.metric)
	}
}
