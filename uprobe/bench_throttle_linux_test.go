package uprobe

import (
	"testing"
)

// BenchmarkKeptBack prints what a call costs that is kept back, as a ratio to the
// cost with an empty program at the same site: all measured by the target in turns.
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
		{"x-beyond", []Option{WithFirst(1)}},
		{"x-limited", []Option{WithRateLimit(1)}},
		{"x-paused", []Option{WithBudget(1e-8)}},
		{"x-measured", []Option{WithBudget(1)}},
	}
	var empty []float64
	took := make([][]float64, len(ways))
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
	}
}
