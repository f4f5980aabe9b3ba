package matrix

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// RunOptions says how a bundle is run.
type RunOptions struct {
	// Parallel programs run at the same time; 2 if zero.
	Parallel int
	// Log takes lines on what happens.
	Log io.Writer
}

// Run traces the programs of a bundle, and calls done for each cell, in no
// particular order, but never twice at the same time.
func Run(dir string, o RunOptions, done func(Result)) error {
	b, err := readBundle(dir)
	if err != nil {
		return err
	}
	kernel, err := kernelRelease()
	if err != nil {
		return err
	}
	if o.Parallel == 0 {
		o.Parallel = 2
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	slots := make(chan bool, o.Parallel)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, c := range b.Cells {
		slots <- true
		wg.Go(func() {
			defer func() { <-slots }()
			r := Result{Cell: c.Cell, Kernel: kernel, Impossible: c.Impossible}
			if r.Impossible == "" && !runsHere(c.Arch) {
				r.Impossible = fmt.Sprintf("programs for %s do not run on %s", c.Arch, runtime.GOARCH)
			}
			if r.Impossible == "" {
				for _, p := range c.Programs {
					r.program(dir, p)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range r.Diffs {
				fmt.Fprintf(o.Log, "%v: %s\n", r.Cell, d)
			}
			done(r)
		})
	}
	wg.Wait()
	return nil
}

// runsHere reports whether this machine runs programs for another.
func runsHere(arch string) bool {
	return arch == runtime.GOARCH || arch == "386" && runtime.GOARCH == "amd64"
}

// kernelRelease is the first two numbers of the kernel's release.
func kernelRelease() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", fmt.Errorf("what kernel this is: %w", err)
	}
	parts := strings.SplitN(strings.TrimSpace(string(b)), ".", 3)
	if len(parts) < 2 {
		return "", fmt.Errorf("kernel release %q", b)
	}
	return parts[0] + "." + parts[1], nil
}

// program traces one program: without debug information first as it is, and
// then with signatures for what nothing else describes.
func (r *Result) program(dir string, p program) {
	r.pass(dir, p, p.Funcs, false)
	if r.Flavour.HasDWARF() {
		return
	}
	given := slices.DeleteFunc(slices.Clone(p.Funcs), func(f function) bool { return f.Signature == "" })
	r.pass(dir, p, given, true)
}

// pass traces functions of a program while it runs, and compares all of their
// calls with what was seen.
func (r *Result) pass(dir string, p program, funcs []function, give bool) {
	at := p.Name
	if give {
		at += " with signatures"
	}
	symbols := map[string]string{} // by announced name
	opts := []uprobe.Option{uprobe.WithLimits(uprobe.Limits{String: p.Limits.String, Elems: p.Limits.Elems, Bytes: p.Limits.Bytes})}
	for _, f := range funcs {
		if f.Unnamed != "" {
			count(&r.Not, f.Unnamed, 1)
			continue
		}
		symbols[f.Name] = f.Symbol
		if give {
			opts = append(opts, uprobe.WithSignature(f.Signature, f.Symbol))
		}
	}
	path := filepath.Join(dir, p.File)
	traced, err := r.inspect(path, symbols, opts)
	if err != nil {
		r.fail("%s: %v", at, err)
		return
	}
	if len(traced) == 0 {
		return
	}
	target, err := fixture.Run(path, fmt.Sprintf("FIXTURE_SEED=%d", p.Seed), "FIXTURE_WORDS=1")
	if err != nil {
		r.fail("%s: %v", at, err)
		return
	}
	defer target.Kill()
	want, got, err := r.trace(target, path, traced, opts)
	if err != nil {
		r.fail("%s: %v", at, err)
		return
	}
	// Of functions that are not traced, calls are not expected.
	want = slices.DeleteFunc(want, func(c fixture.Call) bool { _, ok := traced[symbols[c.Func]]; return !ok })
	r.compare(at, p, traced, fixture.Rename(want, symbols), got)
}

// inspect finds the functions that can be traced, and what tells of their
// arguments.
func (r *Result) inspect(path string, symbols map[string]string, opts []uprobe.Option) (map[string]uprobe.Source, error) {
	names := map[string]bool{}
	for _, s := range symbols {
		names[s] = true
	}
	traced := map[string]uprobe.Source{}
	for name := range names {
		opts = append(opts, uprobe.WithFuncs(name))
	}
	err := uprobe.InspectAll(path, "main.main", func(name string, f *uprobe.Func, err error) bool {
		switch {
		case !names[name]:
		case err != nil:
			var fe *uprobe.FuncError
			if errors.As(err, &fe) {
				err = fe.Err
			}
			count(&r.Not, general(err.Error()), 1)
		default:
			traced[name] = f.Source()
			count(&r.Sources, f.Source().String(), 1)
			r.Functions++
		}
		return true
	}, opts...)
	return traced, err
}

var specific = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|0x[0-9a-f]+|[0-9]+`)

// general makes a reason of an error: without what differs between functions.
func general(text string) string {
	text = specific.ReplaceAllStringFunc(text, func(s string) string {
		if s[0] == '"' || s[0] == '[' {
			return s[:1] + "…" + s[len(s)-1:]
		}
		return "N"
	})
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

// trace traces functions of a program that waits, until it is done.
func (r *Result) trace(target *fixture.Process, path string, traced map[string]uprobe.Source, opts []uprobe.Option) (want, got []fixture.Call, err error) {
	names := make([]string, 0, len(traced))
	for name := range traced {
		names = append(names, name)
	}
	slices.Sort(names)
	var mu sync.Mutex
	var bad error
	handler := func(c *uprobe.Call) {
		line, err := c.MarshalJSON()
		var call fixture.Call
		if err == nil {
			call, err = fixture.ParseCall(line)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			bad = err
		}
		got = append(got, call)
	}
	opts = append(opts, uprobe.WithPID(target.PID), uprobe.WithFuncs(names[1:]...))
	tr, err := uprobe.Trace(path, names[0], handler, opts...)
	if err != nil {
		return nil, nil, err
	}
	defer tr.Close()
	if err := target.Go(); err != nil {
		return nil, nil, err
	}
	if want, err = target.Calls(); err != nil {
		return nil, nil, err
	}
	if err := tr.Close(); err != nil {
		return nil, nil, err
	}
	if s := tr.Stats(); s.Lost != 0 || s.Filtered != 0 {
		err = fmt.Errorf("calls were lost: %+v", s)
	}
	mu.Lock()
	defer mu.Unlock()
	return want, got, errors.Join(err, bad, target.Close())
}

// compare compares calls by what is known of each function.
func (r *Result) compare(at string, p program, traced map[string]uprobe.Source, want, got []fixture.Call) {
	for _, source := range []uprobe.Source{uprobe.SourceDWARF, uprobe.SourceTypes, uprobe.SourceGiven, uprobe.SourceArgInfo, uprobe.SourceNone} {
		blanks := fixture.BlanksKnown
		if source == uprobe.SourceDWARF {
			blanks = r.blanks()
		}
		rules := fixture.Rules{
			Limits:  p.Limits,
			Unnamed: source == uprobe.SourceTypes,
			Untyped: source == uprobe.SourceGiven,
			Words:   source == uprobe.SourceArgInfo,
			Copies:  p.Copies,
			Blanks:  blanks,
			Nothing: source == uprobe.SourceNone,
			// Where no register is reserved for it, a goroutine may be hard to tell.
			NoGoroutine: true,
		}
		of := func(calls []fixture.Call) []fixture.Call {
			return slices.DeleteFunc(slices.Clone(calls), func(c fixture.Call) bool { return traced[c.Func] != source })
		}
		report := fixture.CompareBy(rules, of(want), of(got))
		r.Calls += report.Calls
		r.Values += report.Values
		r.Wrong += report.Wrong
		r.Missing += report.Missing
		r.Extra += report.Extra
		for reason, n := range report.Absent {
			count(&r.Absent, reason, n)
			if strings.HasPrefix(reason, "kernel: ") && compareNumbers(r.Kernel, firstLoops) >= 0 {
				r.fail("%s: %d values are absent because of a kernel that lacks nothing: %s", at, n, reason)
			}
		}
		for _, text := range report.Implausible() {
			r.fail("%s: %s", at, specific.ReplaceAllString(text, "N"))
		}
		for _, d := range report.Diffs {
			r.Diffs = append(r.Diffs, at+": "+d)
		}
	}
}

// firstLoops is the first kernel that has bpf_loop.
const firstLoops = "5.17"

// blanks says what debug information of the release has of blank parameters.
func (r *Result) blanks() fixture.Blanks {
	minor, err := r.toolchain().Minor()
	if err != nil {
		return fixture.BlanksKnown
	}
	return fixture.BlanksOf(minor)
}
