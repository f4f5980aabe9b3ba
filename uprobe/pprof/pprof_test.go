package pprof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/argtap/argtap/uprobe"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Two stacks of main.f: through a function that has inlined two others, and through a
// shared library.
var (
	inlining = []uprobe.Frame{
		{Func: "main.f", File: "f.go", Line: 3, PC: 0x100},
		{Func: "main.inner", File: "g.go", Line: 7, PC: 0x218, Inlined: true},
		{Func: "main.middle", File: "g.go", Line: 9, PC: 0x218, Inlined: true},
		{Func: "main.g", File: "f.go", Line: 12, PC: 0x218},
		{Func: "main.main", File: "f.go", Line: 20, PC: 0x330},
	}
	library = []uprobe.Frame{
		{Func: "main.f", File: "f.go", Line: 3, PC: 0x100},
		{PC: 0x7f00, Module: "/lib/libc.so", Missing: "no frame pointer"},
		{PC: 0x444},
	}
)

// written writes a profile, reads it again as go tool pprof would, and returns that.
func written(t *testing.T, p *Profile) *profile.Profile {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := profile.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.CheckValid(); err != nil {
		t.Error(err)
	}
	return got
}

// samples returns each sample as text: the locations, the innermost first, with
// what is inlined in one joined by ←; labels; values.
func samples(p *profile.Profile) (all []string) {
	for _, s := range p.Sample {
		var locs []string
		for _, l := range s.Location {
			var lines []string
			for _, line := range l.Line {
				lines = append(lines, fmt.Sprintf("%s %s:%d", line.Function.Name, line.Function.Filename, line.Line))
			}
			locs = append(locs, fmt.Sprintf("%#x %s", l.Address, strings.Join(lines, " ← ")))
		}
		text := strings.Join(locs, "; ")
		for _, name := range []string{"stack", "end"} {
			if v := s.Label[name]; v != nil {
				text += fmt.Sprintf("; %s=%q", name, v)
			}
		}
		all = append(all, fmt.Sprintf("%s; %d", text, s.Value))
	}
	slices.Sort(all)
	return all
}

func types(p *profile.Profile) (names []string) {
	for _, v := range p.SampleType {
		names = append(names, v.Type+"/"+v.Unit)
	}
	return names
}

func wantSamples(t *testing.T, p *profile.Profile, want ...string) {
	t.Helper()
	if got := samples(p); !slices.Equal(got, want) {
		t.Errorf("samples\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const inlined = "0x100 main.f f.go:3; 0x218 main.inner g.go:7 ← main.middle g.go:9 ← main.g f.go:12; 0x330 main.main f.go:20"

// TestStacks: calls with the same stack are one sample; inlined calls are lines of
// the location that they were inlined into.
func TestStacks(t *testing.T) {
	p := New()
	for i := range 3 {
		p.add(call{fn: "main.f", entry: 0x100, frames: inlining, at: start.Add(time.Duration(2-i) * time.Second)})
	}
	p.add(call{fn: "main.f", entry: 0x100, frames: library, at: start.Add(5 * time.Second)})
	got := written(t, p)
	wantSamples(t, got,
		"0x100 main.f f.go:3; 0x218 main.inner g.go:7 ← main.middle g.go:9 ← main.g f.go:12; 0x330 main.main f.go:20; [3]",
		"0x100 main.f f.go:3; 0x7f00 /lib/libc.so+0x7f00 :0; 0x0 [frames may be missing] :0; 0x444 0x444 :0; [1]",
	)
	if n := types(got); !slices.Equal(n, []string{"calls/count"}) || got.DefaultSampleType != "calls" {
		t.Errorf("values %v, default %q", n, got.DefaultSampleType)
	}
	if got.TimeNanos != start.UnixNano() || got.DurationNanos != int64(5*time.Second) {
		t.Errorf("from %d for %d ns", got.TimeNanos, got.DurationNanos)
	}
	if len(got.Location) != 6 || len(got.Function) != 8 {
		t.Errorf("%d locations and %d functions: those of both stacks are to be shared", len(got.Location), len(got.Function))
	}
	if m := got.Mapping; len(m) != 1 || !m[0].HasFunctions || !m[0].HasInlineFrames {
		t.Errorf("mapping %v: pprof would look for a binary", m)
	}
}

// TestDurations: the durations of calls are added up, beside those without one.
func TestDurations(t *testing.T) {
	p := New()
	p.add(call{frames: inlining, at: start, took: 3 * time.Millisecond, timed: true})
	p.add(call{frames: inlining, at: start, took: 4 * time.Millisecond, timed: true})
	p.add(call{frames: inlining, at: start}) // it panicked
	got := written(t, p)
	wantSamples(t, got, inlined+"; [3 7000000]")
	if n := types(got); !slices.Equal(n, []string{"calls/count", "duration/nanoseconds"}) {
		t.Errorf("values %v", n)
	}
}

// TestLabels: what a stack lacks is a label, and makes it another sample.
func TestLabels(t *testing.T) {
	p := New()
	p.add(call{frames: inlining, at: start})
	p.add(call{frames: inlining, at: start, end: "cut at depth 4"})
	p.add(call{frames: inlining, at: start, end: "page not resident"})
	p.add(call{frames: inlining, at: start, end: "page not resident"})
	p.add(call{fn: "main.f", entry: 0x100, absent: "lost: the ring buffer was full", at: start})
	p.add(call{fn: "main.h", entry: 0x900, absent: "lost: the ring buffer was full", at: start})
	wantSamples(t, written(t, p),
		`0x100 main.f :0; stack=["lost: the ring buffer was full"]; [1]`,
		inlined+`; [1]`,
		inlined+`; end=["cut at depth 4"]; [1]`,
		inlined+`; end=["page not resident"]; [2]`,
		`0x900 main.h :0; stack=["lost: the ring buffer was full"]; [1]`,
	)
}

// TestEmpty: a profile without calls is one that can be read, and so is one of which
// more is written later.
func TestEmpty(t *testing.T) {
	p := New()
	got := written(t, p)
	if len(got.Sample) != 0 || !slices.Equal(types(got), []string{"calls/count"}) || got.TimeNanos != 0 {
		t.Errorf("%v", got)
	}
	p.add(call{frames: inlining, at: start, took: 1, timed: true})
	wantSamples(t, written(t, p), inlined+"; [1 1]")
	p.add(call{frames: inlining, at: start, took: 1, timed: true})
	wantSamples(t, written(t, p), inlined+"; [2 2]")
	p = New()
	p.add(call{at: start}) // present, and without a frame
	wantSamples(t, written(t, p), "; [1]")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestWriteError: what goes wrong with the output is the error, and can be tried again.
func TestWriteError(t *testing.T) {
	p := New()
	p.add(call{frames: inlining, at: start})
	err := p.Write(full{})
	if !errors.Is(err, io.ErrShortWrite) || !strings.HasPrefix(err.Error(), "write profile: ") {
		t.Errorf("error %v", err)
	}
	wantSamples(t, written(t, p), inlined+"; [1]")
}

// TestConcurrent adds and writes at the same time.
func TestConcurrent(t *testing.T) {
	p := New()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				p.add(call{frames: inlining, at: start, took: 1, timed: true})
			}
		})
		wg.Go(func() {
			for range 5 {
				if err := p.Write(io.Discard); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantSamples(t, written(t, p), inlined+"; [400 400]")
}
