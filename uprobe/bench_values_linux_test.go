package uprobe

import (
	"strings"
	"testing"
)

// valueCases are functions of testdata/benchvalues: values of many objects, and
// last the worst that a call can cost, a graph that fills the record.
var valueCases = []struct {
	name  string
	calls int
	// value is part of how the argument prints, so that nothing else is measured.
	value string
}{
	{"texts", 20_000, `"sssssssss"`},
	{"mapping", 20_000, `"sssssssss": 4`},
	{"failure", 20_000, `Path: "/tmp/x"`},
	{"request", 5_000, `RequestURI: "http://example.com/path`},
	{"graph", 200, `name: "0"`},
}

// BenchmarkValues prints what a call costs whose argument leads to many objects,
// as a ratio to the cost with an empty program at the same site, both measured
// by the target in turns; and how many instructions the programs have, and the
// verifier went through.
func BenchmarkValues(b *testing.B) {
	t := startBench(b, "benchvalues")
	for _, c := range valueCases {
		b.Run(c.name, func(b *testing.B) {
			fs, err := Inspect(t.path, "main."+c.name)
			if err != nil {
				b.Fatal(err)
			}
			var empty, traced []float64
			var bytes, objects, insns, verified int
			var text string
			for range 7 {
				detach := emptyProbe(b, t.path, fs[0])
				t.run(c.name, c.calls/10)
				empty = append(empty, t.run(c.name, c.calls))
				detach()
				tr, err := Trace(t.path, "main."+c.name, func(call *Call) {
					if text == "" {
						text = call.String()
						bytes = len(call.data)
						if call.heap != nil {
							call.heap.once.Do(call.heap.objects)
							objects = len(call.heap.list)
						}
					}
				})
				if err != nil {
					b.Fatal(err)
				}
				insns, verified = programSizes(b, tr)
				t.run(c.name, c.calls/10)
				traced = append(traced, t.run(c.name, c.calls))
				if err := tr.Close(); err != nil {
					b.Fatal(err)
				}
			}
			if !strings.Contains(text, c.value) {
				b.Fatalf("not captured: %s", text)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(traced)/median(empty), "x-empty")
			b.ReportMetric(float64(bytes), "bytes")
			b.ReportMetric(float64(objects), "objects")
			b.ReportMetric(float64(insns), "insns")
			b.ReportMetric(float64(verified), "verified-insns")
		})
	}
}

// programSizes returns how many instructions the programs of a tracer have, and
// how many the verifier looked at.
func programSizes(tb testing.TB, t *Tracer) (insns, verified int) {
	tb.Helper()
	for _, p := range t.kernel.progs {
		info, err := p.Info()
		if err != nil {
			tb.Fatal(err)
		}
		ins, err := info.Instructions()
		if err != nil {
			tb.Fatal(err)
		}
		v, ok := info.VerifiedInstructions()
		if !ok {
			tb.Log("the kernel does not say how many instructions it verified")
		}
		insns += len(ins)
		verified += int(v)
	}
	return insns, verified
}
