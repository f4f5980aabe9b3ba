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
	ways := []benchWay{
		{"traced", nil, nil},
		{"filtered", []Option{WithCondition("n < 0")}, nil},
		{"filtered-memory", []Option{WithCondition(`p.X != 3 || s == "other"`)}, nil},
		{"sampled-out", []Option{WithSampling(1 << 20)}, nil},
		{"first-used-up", []Option{WithFirst(1)}, nil},
		{"limited", []Option{WithRateLimit(1)}, nil},
		{"paused", []Option{WithBudget(1e-8)}, nil},
		{"measured", []Option{WithBudget(1)}, nil},
	}
	empty, took, programs := benchWays{fn: "three", run: "three", calls: 50_000, rounds: 15, programs: true}.measure(b, t, ways)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(empty, "ns-empty")
	for i, w := range ways {
		b.ReportMetric(took[i]/empty, "x-"+w.name)
		if ns := programs[i]; ns > 0 { // the probe may be gone
			b.ReportMetric(ns, "ns-program-"+w.name)
		}
	}
}

// BenchmarkKeptBackAtReturn prints what a whole call costs that a condition keeps
// back, at its entry or at its return, as a ratio to one that is delivered, and to the
// empty program at the site of the entry.
func BenchmarkKeptBackAtReturn(b *testing.B) {
	t := startBench(b, "bench")
	ways := []benchWay{
		{"kept", []Option{WithResults()}, nil},
		{"filtered-at-entry", []Option{WithResults(), WithCondition("n < 0 && duration > 0")}, nil},
		{"filtered-at-return", []Option{WithResults(), WithCondition("duration > 1h")}, nil},
		{"filtered-with-kept", []Option{WithResults(), WithCondition("duration > 1h || p.X != 3 && n > 0")}, nil},
		{"met", []Option{WithResults(), WithCondition("duration >= 0")}, nil},
	}
	empty, took, _ := benchWays{fn: "three", run: "three", calls: 20_000, rounds: 9}.measure(b, t, ways)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(empty, "ns-empty")
	b.ReportMetric(took[0], "ns-kept")
	for i, w := range ways {
		b.ReportMetric(took[i]/empty, "x-empty-"+w.name)
		b.ReportMetric(took[i]/took[0], "x-kept-"+w.name)
	}
}
