package uprobe

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/symbols"
)

// emptyProbes attaches a program of one instruction at several sites.
func emptyProbes(tb testing.TB, path string, sites ...symbols.FileOffset) func() {
	tb.Helper()
	p, err := emptyProgram(true, 0)
	if err != nil {
		tb.Fatal(err)
	}
	detach := attachAt(tb, path, p, sites...)
	return func() { detach(); p.Close() }
}

// attachAt attaches a program at several sites.
func attachAt(tb testing.TB, path string, p *ebpf.Program, sites ...symbols.FileOffset) func() {
	tb.Helper()
	ex, err := link.OpenExecutable(path)
	if err != nil {
		tb.Fatal(err)
	}
	var at []uint64
	for _, s := range sites {
		at = append(at, uint64(s))
	}
	l, err := ex.UprobeMulti(nil, p, &link.UprobeMultiOptions{Addresses: at})
	if err != nil {
		tb.Fatal(err)
	}
	return func() { l.Close() }
}

// BenchmarkWhole prints what a whole call costs, as ratios to an empty program at the
// same sites, all measured by the target in turns; and what of that is pairing:
// what the programs of whole calls take longer than two programs that record
// as much and pair nothing, by the kernel's count of their run time. The latter are
// counted where they run as those do: that of the entry is attached to the returns,
// too, which give back the arguments in the same registers. (The single step of a RET
// leaves caches and predictors cold for what comes next.)
func BenchmarkWhole(b *testing.B) {
	t := startBench(b, "bench")
	const name, calls = "same", 20_000
	fs, err := Inspect(t.path, "main."+name, WithResults())
	if err != nil {
		b.Fatal(err)
	}
	f := fs[0]
	if f.NoResults() != "" || !f.sites.Entry.Emulated {
		b.Fatalf("no results: %s, or the entry %s is not emulated", f.NoResults(), f.sites.Entry.Instr)
	}
	both := append([]symbols.FileOffset{f.offset}, f.returns...)
	// runtime is what a run of programs takes in nanoseconds, by the kernel.
	runtime := func(progs []*ebpf.Program) float64 {
		var took time.Duration
		var runs uint64
		for _, p := range progs {
			st, err := p.Stats()
			if err != nil {
				b.Fatal(err)
			}
			took += st.Runtime
			runs += st.RunCount
		}
		if runs < calls {
			b.Fatalf("%d runs", runs)
		}
		return float64(took) / float64(runs)
	}
	var none, empty, emptyBoth, traced, whole, plain, opening, closing []float64
	for range 7 {
		none = append(none, t.run(name, 10*calls))
		for _, w := range []struct {
			to    *[]float64
			sites []symbols.FileOffset
		}{{&empty, both[:1]}, {&emptyBoth, both}} {
			detach := emptyProbes(b, t.path, w.sites...)
			t.run(name, 1000)
			*w.to = append(*w.to, t.run(name, calls))
			detach()
		}
		for _, opts := range [][]Option{nil, {WithResults()}} {
			for _, counted := range []bool{false, true} {
				tr, err := Trace(t.path, "main."+name, func(*Call) {}, opts...)
				if err != nil {
					b.Fatal(err)
				}
				detach := func() {}
				if counted && opts == nil {
					detach = attachAt(b, t.path, tr.kernel.progs[0], f.returns...)
				}
				t.run(name, 1000)
				if !counted {
					ns := t.run(name, calls)
					if opts == nil {
						traced = append(traced, ns)
					} else {
						whole = append(whole, ns)
					}
				} else {
					stop, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
					if err != nil {
						b.Fatal(err)
					}
					t.run(name, calls)
					stop.Close()
					if opts == nil {
						plain = append(plain, runtime(tr.kernel.progs))
					} else {
						opening = append(opening, runtime(tr.kernel.progs))
						closing = append(closing, runtime(tr.kernel.laterProgs))
					}
				}
				detach()
				if err := tr.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	e := median(empty)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(none), "ns-untraced")
	b.ReportMetric(e, "ns-empty-entry")
	b.ReportMetric(median(emptyBoth)-e, "ns-empty-return")
	b.ReportMetric(median(traced)/e, "x-entry")
	b.ReportMetric((median(whole)-median(traced))/(median(emptyBoth)-e), "x-return")
	b.ReportMetric(median(whole)/median(emptyBoth), "x-whole")
	b.ReportMetric(median(plain), "ns-program-entry")
	b.ReportMetric(median(opening), "ns-program-opening")
	b.ReportMetric(median(closing), "ns-program-closing")
	b.ReportMetric((median(opening)+median(closing)-2*median(plain))/e, "x-pairing")
}
