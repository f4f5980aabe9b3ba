package uprobe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
)

// traceOnce, in the environment, makes the test binary a program that traces
// one function of a file, and ends as soon as the probe is in place: "FILE|FUNC", or
// "FILE|FUNC|results".
const traceOnce = "ARGTAP_TRACE_ONCE"

func init() {
	path, fn, ok := strings.Cut(os.Getenv(traceOnce), "|")
	if !ok {
		return
	}
	var opts []Option
	if fn, ok = strings.CutSuffix(fn, "|results"); ok {
		opts = append(opts, WithResults())
	}
	start := time.Now()
	t, err := Trace(path, fn, func(*Call) {}, opts...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(time.Since(start).Seconds()*1e3, len(t.Funcs()))
	os.Exit(0) // the kernel removes the probe
}

// BenchmarkStart measures a whole process that attaches to one function of an
// 80 MB program, from its start to the probe in place, beside perf probe -V
// and, where the benchmark can build it, Delve's load; and what it takes more for
// whole calls of a function without arguments, of which the values of panics may be
// of any type.
//
//	go test -run '^$' -bench Start ./uprobe
func BenchmarkStart(b *testing.B) {
	caddy := fixture.FromProxy(b, "github.com/caddyserver/caddy/v2@v2.11.9", "github.com/caddyserver/caddy/v2/cmd/caddy")
	dlv := fixture.FromProxy(b, "github.com/go-delve/delve@v1.27.2", "github.com/go-delve/delve/cmd/dlv")
	const fn = "net/http.(*conn).serve"
	var attach, plain, results, perf, delve []float64
	var peak int64
	once := func(to *[]float64, what string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), traceOnce+"="+caddy+"|"+what)
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		var ms float64
		var n int
		if _, err := fmt.Sscan(string(out), &ms, &n); err != nil || n != 1 {
			b.Fatalf("%q: %v", out, err)
		}
		*to = append(*to, ms)
		return cmd
	}
	for range 9 {
		peak = max(peak, once(&attach, fn).ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		once(&plain, "main.main")
		once(&results, "main.main|results")

		start := time.Now()
		exec.Command("perf", "probe", "-x", caddy, "-V", fn).Run() // its verdict does not matter here
		perf = append(perf, time.Since(start).Seconds()*1e3)

		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		d := exec.CommandContext(ctx, dlv, "exec", caddy, "--allow-non-terminal-interactive=true")
		d.Stdin = strings.NewReader("funcs ^net/http.Get$\nexit\n")
		start = time.Now()
		if out, err := d.CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
			b.Logf("dlv: %v: %s", err, out)
		}
		delve = append(delve, time.Since(start).Seconds()*1e3)
		cancel()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(attach), "ms-attached")
	b.ReportMetric(float64(peak)/1024, "MB-peak")
	b.ReportMetric(median(plain), "ms-plain")
	b.ReportMetric(median(results), "ms-results")
	b.ReportMetric(median(perf), "ms-perf-probe")
	b.ReportMetric(median(delve), "ms-delve")
}

// BenchmarkMany attaches to 500 functions of a running program, and detaches.
func BenchmarkMany(b *testing.B) {
	path := buildFixture(b, "../../examples/app")
	cmd := exec.Command(path)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	fs, err := Inspect(path, "net/http.*")
	if err != nil {
		b.Fatal(err)
	}
	if len(fs) < 500 {
		b.Fatalf("only %d functions", len(fs))
	}
	var names []string
	for _, f := range fs[:500] {
		names = append(names, f.Name())
	}
	var attach, detach []float64
	for range 5 {
		start := time.Now()
		t, err := Trace(path, "", func(*Call) {}, WithFuncs(names...), WithPID(cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		attach = append(attach, time.Since(start).Seconds())
		start = time.Now()
		if err := t.Close(); err != nil {
			b.Fatal(err)
		}
		detach = append(detach, time.Since(start).Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(attach), "s-attach")
	b.ReportMetric(median(detach), "s-detach")
}
