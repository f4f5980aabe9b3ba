package uprobe

import (
	"math"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
)

// BenchmarkAggregate prints what a call costs that is counted in the kernel, as a ratio
// to the cost with an empty program at the same site: all measured by the target in
// turns. That of durations is to the cost with empty programs at the entry and at the
// returns.
func BenchmarkAggregate(b *testing.B) {
	t := startBench(b, "bench")
	const name, calls, runs = "three", 5000, 6
	fs, err := Inspect(t.path, "main."+name)
	if err != nil {
		b.Fatal(err)
	}
	ways := []struct {
		metric string
		opt    Option
	}{
		{"x-count", WithCount()},
		{"x-count-by-int", WithCount("n % 16")},
		{"x-count-by-string", WithCount("s")},
		{"x-log2", WithHistogram("n", Log2())},
		{"x-linear", WithHistogram("n", Linear(0, 100_000, 1000))},
		{"x-log2-memory", WithHistogram("p.X", Log2())},
		{"x-log2-by-int", WithHistogram("n", Log2(), "n % 16")},
		{"x-log2-by-string", WithHistogram("n", Log2(), "s")},
		{"x-count-by-parent", WithCount("parent")},
		{"x-count-by-creator", WithCount("creator")},
		{"x-count-by-stack", WithCount("stack")},
		{"x-duration", WithHistogram("duration", Log2())},
		{"x-duration-by-int", WithHistogram("duration", Log2(), "n % 16")},
		{"x-duration-where", WithHistogram("duration", Log2(), "n % 16", "duration > 1us")},
	}
	// The best of several runs, one of which the machine has left alone.
	best := func() float64 {
		least := math.Inf(1)
		for range runs {
			least = min(least, t.run(name, calls))
		}
		return least
	}
	var empty, emptyReturns []float64
	took := make([][]float64, len(ways))
	for range 7 {
		detach := emptyProbe(b, t.path, fs[0])
		t.run(name, 1000)
		empty = append(empty, best())
		detachReturns := emptyReturnProbes(b, t.path, fs[0])
		emptyReturns = append(emptyReturns, best())
		detachReturns()
		detach()
		for i, w := range ways {
			tr, err := Trace(t.path, "main."+name, nil, w.opt)
			if err != nil {
				b.Fatal(err)
			}
			t.run(name, 1000)
			took[i] = append(took[i], best())
			if err := tr.Close(); err != nil {
				b.Fatal(err)
			}
			if s := tr.Stats(); s.Aggregated != runs*calls+1000 {
				b.Fatalf("%s: %+v", w.metric, s)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	e, r := median(empty), median(emptyReturns)
	b.ReportMetric(e, "ns-empty")
	b.ReportMetric(r, "ns-empty-returns")
	for i, w := range ways {
		to := e
		if strings.HasPrefix(w.metric, "x-duration") {
			to = r
		}
		b.ReportMetric(median(took[i])/to, w.metric)
	}
}

// emptyReturnProbes attaches a program of one instruction at the returns of f.
func emptyReturnProbes(tb testing.TB, path string, f *Func) func() {
	tb.Helper()
	p, err := emptyProgram(true, 0)
	if err != nil {
		tb.Fatal(err)
	}
	ex, err := link.OpenExecutable(path)
	if err != nil {
		tb.Fatal(err)
	}
	var offsets []uint64
	for _, r := range f.ReturnProbes() {
		offsets = append(offsets, uint64(r.Offset))
	}
	l, err := ex.UprobeMulti(nil, p, &link.UprobeMultiOptions{Addresses: offsets})
	if err != nil {
		tb.Fatal(err)
	}
	return func() { l.Close(); p.Close() }
}
