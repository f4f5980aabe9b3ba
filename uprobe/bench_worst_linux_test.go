package uprobe

import "testing"

// BenchmarkWorstHit prints what a call costs whose arguments lead to more than
// the default limits allow, as BenchmarkHit does.
func BenchmarkWorstHit(b *testing.B) {
	t := startBench(b, "bench")
	for _, test := range []struct {
		name, fn string
		opts     []Option
	}{
		{"tree", "tree", nil},
		{"anys", "anys", nil},
		{"knots", "knots", nil},
		{"redacted", "secrets", nil},
		{"redacted everywhere", "stripes", nil},
		{"not redacted", "secrets", []Option{WithoutRedaction()}},
		{"largest limits", "tree", []Option{WithLimits(Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 100, Objects: 1024, Record: 32 << 10})}},
	} {
		b.Run(test.name, func(b *testing.B) {
			const calls = 400 // fit into the buffer
			fs, err := Inspect(t.path, "main."+test.fn)
			if err != nil {
				b.Fatal(err)
			}
			var empty, traced []float64
			bytes := 0
			for range 5 {
				detach := emptyProbe(b, t.path, fs[0])
				t.run(test.fn, 1000)
				empty = append(empty, t.run(test.fn, 50*calls))
				detach()
				tr, err := Trace(t.path, "main."+test.fn, func(c *Call) { bytes = len(c.data) }, test.opts...)
				if err != nil {
					b.Fatal(err)
				}
				t.run(test.fn, 20)
				traced = append(traced, t.run(test.fn, calls))
				if err := tr.Close(); err != nil {
					b.Fatal(err)
				}
				if s := tr.Stats(); s.Lost > 0 {
					b.Errorf("%+v", s)
				}
			}
			e := median(empty)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(e, "ns-empty")
			b.ReportMetric(median(traced), "ns-traced")
			b.ReportMetric(median(traced)/e, "x-empty")
			b.ReportMetric(float64(bytes), "bytes")
		})
	}
}
