package uprobe

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"github.com/argtap/argtap/internal/capture"
)

// benchTarget is a running program that measures what its own calls cost it.
type benchTarget struct {
	tb   testing.TB
	path string
	pid  int
	in   io.WriteCloser
	out  *bufio.Scanner
}

func startBench(tb testing.TB, fixture string) *benchTarget {
	tb.Helper()
	path := buildFixture(tb, fixture)
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { in.Close(); cmd.Wait() })
	return &benchTarget{tb, path, cmd.Process.Pid, in, bufio.NewScanner(out)}
}

// run has the target call a function n times, and returns ns of its processor time per
// call. Wall time would count what else runs on the machine: of two variants measured in
// turns, either came out as twice the other when the machine was busy.
func (b *benchTarget) run(name string, n int) float64 {
	fmt.Fprintln(b.in, name, n)
	if !b.out.Scan() {
		b.tb.Fatalf("target ended: %v", b.out.Err())
	}
	ns, err := strconv.ParseFloat(b.out.Text(), 64)
	if err != nil {
		b.tb.Fatal(err)
	}
	return ns
}

// emptyProbe attaches a program of one instruction at the entry site of f.
func emptyProbe(tb testing.TB, path string, f *Func) func() {
	tb.Helper()
	p, err := emptyProgram(true, 0)
	if err != nil {
		tb.Fatal(err)
	}
	ex, err := link.OpenExecutable(path)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := ex.UprobeMulti(nil, p, &link.UprobeMultiOptions{Addresses: []uint64{uint64(f.offset)}})
	if err != nil {
		tb.Fatal(err)
	}
	return func() { l.Close(); p.Close() }
}

func withFirstInstruction() Option {
	return func(o *options) error { o.first = true; return nil }
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// BenchmarkHit prints what a traced call costs as a ratio to the cost with an
// empty program at the same site, both measured by the target in turns.
func BenchmarkHit(b *testing.B) {
	t := startBench(b, "bench")
	for _, name := range []string{"one", "three"} {
		b.Run(name, func(b *testing.B) {
			const calls = 50_000
			fs, err := Inspect(t.path, "main."+name)
			if err != nil {
				b.Fatal(err)
			}
			var none, empty, traced, first []float64
			for range 9 {
				none = append(none, t.run(name, 10*calls))
				detach := emptyProbe(b, t.path, fs[0])
				t.run(name, 1000)
				empty = append(empty, t.run(name, calls))
				detach()
				for j, opts := range [][]Option{nil, {withFirstInstruction()}} {
					tr, err := Trace(t.path, "main."+name, func(*Call) {}, opts...)
					if err != nil {
						b.Fatal(err)
					}
					t.run(name, 1000)
					ns := t.run(name, calls)
					if err := tr.Close(); err != nil {
						b.Fatal(err)
					}
					if j == 0 {
						traced = append(traced, ns)
					} else {
						first = append(first, ns)
					}
				}
			}
			e := median(empty)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(none), "ns-untraced")
			b.ReportMetric(e, "ns-empty")
			b.ReportMetric(median(traced), "ns-traced")
			b.ReportMetric(median(traced)/e, "x-empty")
			b.ReportMetric(median(first)/median(traced), "x-first-instruction")
		})
	}
}

// BenchmarkDecode measures the reader's work for each call, without the
// kernel: ns/op and allocations for a call whose values the handler looks at.
func BenchmarkDecode(b *testing.B) {
	t := startBench(b, "bench")
	fs, err := Inspect(t.path, "main.three")
	if err != nil {
		b.Fatal(err)
	}
	f := fs[0]
	rec := make([]byte, f.plan.Fixed+8+16)
	order.PutUint64(rec[f.plan.Params[0].Offset:], 42)
	str := f.plan.Params[1]
	order.PutUint64(rec[str.Offset:], 0xc000)
	order.PutUint64(rec[str.Offset+8:], 5)
	order.PutUint64(rec[str.Slots:], uint64(f.plan.Fixed)|5<<32)
	copy(rec[f.plan.Fixed:], "abcde")
	ptr := f.plan.Params[2]
	order.PutUint64(rec[ptr.Offset:], 0xc100)
	order.PutUint64(rec[ptr.Slots:], uint64(f.plan.Fixed+8)|1<<32)
	order.PutUint64(rec[f.plan.Fixed+8:], 3)
	sum := int64(0)
	tr := &Tracer{funcs: fs, tallies: make([]funcTally, len(fs)), handler: func(c *Call) {
		n, _ := c.Arg(0).Int()
		x, _ := c.Arg(2).Elem().Field(0).Int()
		s, _ := c.Arg(1).Text()
		sum += n + x + int64(len(s))
	}}
	var call Call
	b.ReportAllocs()
	for b.Loop() {
		tr.deliver(rec, &call)
	}
	if sum%(42+3+5) != 0 || sum == 0 {
		b.Fatal("wrong values", sum)
	}
	_ = capture.HeaderSize
}

// BenchmarkFullRate traces one thread at full speed for five seconds, with the
// default buffer and a handler that formats nothing, and fails on any loss.
func BenchmarkFullRate(b *testing.B) {
	t := startBench(b, "bench")
	for _, name := range []string{"one", "three"} {
		b.Run(name, func(b *testing.B) {
			for range 1 {
				var sum uint64
				tr, err := Trace(t.path, "main."+name, func(c *Call) {
					n, _ := c.Arg(0).Int()
					sum += uint64(n)
				})
				if err != nil {
					b.Fatal(err)
				}
				var calls uint64
				start := time.Now()
				for time.Since(start) < 5*time.Second {
					t.run(name, 500_000)
					calls += 500_000
				}
				rate := float64(calls) / time.Since(start).Seconds()
				tr.Close()
				s := tr.Stats()
				if s.Delivered != calls || s.Lost != 0 {
					b.Errorf("target made %d calls: %+v", calls, s)
				}
				b.ReportMetric(rate, "calls/s")
				b.ReportMetric(float64(s.Lost), "lost")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func buildFixture(tb testing.TB, name string, flags ...string) string {
	tb.Helper()
	if path, ok := prebuilt(name); ok && len(flags) == 0 {
		return path
	}
	out := tb.TempDir() + "/" + strings.ReplaceAll(name, "/", "_")
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), "./testdata/"+name)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, msg)
	}
	return out
}
