package uprobe

import "testing"

// BenchmarkStack prints what a call costs whose stack is captured, as a ratio to the
// cost of a probe that captures nothing but the call, and to an empty program, all
// at the same site and measured by the target in turns.
func BenchmarkStack(b *testing.B) {
	t := startBench(b, "bench")
	const calls = 50_000
	fs, err := Inspect(t.path, "main.one")
	if err != nil {
		b.Fatal(err)
	}
	nothing := WithDepth(0)
	ways := []struct {
		metric string
		opts   []Option
	}{
		{"x-plain", []Option{nothing}},
		{"x-stack-1", []Option{nothing, WithStack(1)}},
		{"x-stack-8", []Option{nothing, WithStack(8)}},
		{"x-stack-32", []Option{nothing, WithStack(32)}},
	}
	var empty []float64
	took := make([][]float64, len(ways))
	for range 9 {
		detach := emptyProbe(b, t.path, fs[0])
		t.run("deep", 1000)
		empty = append(empty, t.run("deep", calls))
		detach()
		for i, w := range ways {
			tr, err := Trace(t.path, "main.one", func(*Call) {}, w.opts...)
			if err != nil {
				b.Fatal(err)
			}
			t.run("deep", 1000)
			took[i] = append(took[i], t.run("deep", calls))
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
