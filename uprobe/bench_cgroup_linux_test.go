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
	const calls = 50_000
	seen := func(s Stats) bool { return s.Calls == 2*calls+warming }
	unseen := func(s Stats) bool { return s.Calls == 0 }
	ways := []benchWay{
		{"traced", nil, seen},
		{"inside", []Option{WithCgroup(inside)}, seen},
		{"outside", []Option{WithCgroup(outside)}, unseen},
		{"outside-by-map", []Option{WithCgroup(outside), withoutFeatures("cgroupIDs")}, unseen},
	}
	empty, took, programs := benchWays{fn: "three", run: "three", calls: calls, rounds: 15, programs: true}.measure(b, t, ways)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(empty, "ns-empty")
	for i, w := range ways {
		b.ReportMetric(took[i]/empty, "x-"+w.name)
		b.ReportMetric(programs[i], "ns-program-"+w.name)
	}
}
