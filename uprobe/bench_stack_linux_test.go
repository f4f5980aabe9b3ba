package uprobe

import "testing"

// BenchmarkStack prints what a call costs whose stack is captured, as a ratio to the
// cost of a probe that captures nothing but the call, and to an empty program, all
// at the same site and measured by the target in turns.
func BenchmarkStack(b *testing.B) {
	t := startBench(b, "bench")
	nothing := WithDepth(0)
	ways := []benchWay{
		{"plain", []Option{nothing}, nil},
		{"stack-1", []Option{nothing, WithStack(1)}, nil},
		{"stack-8", []Option{nothing, WithStack(8)}, nil},
		{"stack-32", []Option{nothing, WithStack(32)}, nil},
	}
	empty, took, _ := benchWays{fn: "one", run: "deep", calls: 50_000, rounds: 9}.measure(b, t, ways)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(empty, "ns-empty")
	for i, w := range ways {
		b.ReportMetric(took[i]/empty, "x-"+w.name)
	}
}
