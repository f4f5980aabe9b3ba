package uprobe

import "testing"

// BenchmarkCgroup prints what calls cost with WithCgroup in processes outside the
// cgroup, which pay for the trap and are not counted, and what it adds to those in
// it: as ratios to the cost with an empty program at the same site, all measured by
// the target in turns, and how long the programs take.
func BenchmarkCgroup(b *testing.B) {
	inside := mountedCgroup(b)
	outside := inside + "/empty"
	makeCgroup(b, outside)
	t := startBench(b, "bench")
	moveTo(b, inside, t.pid)
	const name, calls = "three", 50_000
	fs, err := Inspect(t.path, "main."+name)
	if err != nil {
		b.Fatal(err)
	}
	ways := []struct {
		metric string
		seen   bool // the calls
		opts   []Option
	}{
		{"x-traced", true, nil},
		{"x-inside", true, []Option{WithCgroup(inside)}},
		{"x-outside", false, []Option{WithCgroup(outside)}},
		{"x-outside-by-map", false, []Option{WithCgroup(outside), withoutFeatures("cgroupIDs")}},
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
			if s := tr.Stats(); w.seen != (s.Calls == 2*calls+1000) || !w.seen && s.Calls != 0 {
				b.Fatalf("%s: %+v", w.metric, s)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	e := median(empty)
	b.ReportMetric(e, "ns-empty")
	for i, w := range ways {
		b.ReportMetric(median(took[i])/e, w.metric)
		b.ReportMetric(median(programs[i]), "ns-program"+w.metric[1:])
	}
}
