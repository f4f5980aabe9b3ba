// Package pprof makes profiles, as "go tool pprof" reads them, of the calls that a
// tracer delivers: how often, and how long, a function was called from where. It is
// a package of its own so that programs that only trace do without what it needs.
package pprof

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/argtap/argtap/uprobe"
)

// Profile counts calls by their stacks. It is safe for concurrent use. The zero
// Profile is not ready: see [New].
type Profile struct {
	mu    sync.Mutex
	p     *profile.Profile
	funcs map[funcKey]*profile.Function
	locs  map[string]*profile.Location
	// samples are found by the IDs of their locations, and the reason why they have
	// no stack.
	samples map[string]*profile.Sample
	timed   bool
	first   time.Time
	last    time.Time
}

type funcKey struct{ name, file string }

// New returns a profile without calls.
func New() *Profile {
	p := &Profile{
		p:       &profile.Profile{PeriodType: &profile.ValueType{Type: "calls", Unit: "count"}, Period: 1},
		funcs:   make(map[funcKey]*profile.Function),
		locs:    make(map[string]*profile.Location),
		samples: make(map[string]*profile.Sample),
	}
	// It says that no one need look for names in a binary.
	p.p.Mapping = []*profile.Mapping{{ID: 1, HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}}
	return p
}

// Add counts a call of a tracer with [uprobe.WithStack], and with
// [uprobe.WithResults] also its duration. A call without a stack counts for its
// function alone, with the reason as the label "stack"; one whose stack is not whole
// has the label "end".
func (p *Profile) Add(c *uprobe.Call) {
	s := c.Stack()
	o := call{fn: c.Name(), entry: uint64(c.Func().Entry()), frames: s.Frames(), end: s.End(), at: c.Time()}
	o.absent, _ = s.Absent()
	o.took, o.timed = c.Duration()
	p.add(o)
}

// call is what a profile has of a call. A stack that is absent says why.
type call struct {
	fn          string
	entry       uint64 // of fn
	frames      []uprobe.Frame
	absent, end string // see uprobe.Stack
	at          time.Time
	took        time.Duration
	timed       bool // took is known
}

func (p *Profile) add(c call) {
	frames := c.frames
	labels := map[string][]string{}
	if c.absent != "" {
		frames = []uprobe.Frame{{Func: c.fn, PC: c.entry}}
		labels["stack"] = []string{c.absent}
	} else if c.end != "" {
		labels["end"] = []string{c.end}
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	var locs []*profile.Location
	var key strings.Builder
	for len(frames) > 0 {
		n := 1
		for n < len(frames) && frames[n-1].Inlined {
			n++
		}
		l := p.location(frames[:n])
		locs = append(locs, l)
		if why := frames[n-1].Missing; why != "" {
			locs = append(locs, p.location([]uprobe.Frame{{Func: "[frames may be missing]"}}))
		}
		frames = frames[n:]
	}
	for _, l := range locs {
		key.WriteString(strconv.FormatUint(l.ID, 36))
		key.WriteByte(' ')
	}
	fmt.Fprint(&key, labels)
	sample := p.samples[key.String()]
	if sample == nil {
		sample = &profile.Sample{Location: locs, Value: make([]int64, 2), Label: labels}
		p.samples[key.String()] = sample
		p.p.Sample = append(p.p.Sample, sample)
	}
	sample.Value[0]++
	if c.timed {
		sample.Value[1] += int64(c.took)
		p.timed = true
	}
	if p.first.IsZero() || c.at.Before(p.first) {
		p.first = c.at
	}
	if c.at.After(p.last) {
		p.last = c.at
	}
}

// location returns that of a return address: the frames of the calls inlined there,
// and of their function.
func (p *Profile) location(frames []uprobe.Frame) *profile.Location {
	var key strings.Builder
	fmt.Fprintf(&key, "%#x %s", frames[0].PC, frames[0].Module)
	for _, f := range frames {
		fmt.Fprintf(&key, "\x00%s\x00%s\x00%d", f.Func, f.File, f.Line)
	}
	l := p.locs[key.String()]
	if l != nil {
		return l
	}
	l = &profile.Location{ID: uint64(len(p.p.Location) + 1), Address: frames[0].PC, Mapping: p.p.Mapping[0]}
	for _, f := range frames {
		name := f.Func
		switch {
		case name == "" && f.Module != "":
			name = fmt.Sprintf("%s+%#x", f.Module, f.PC)
		case name == "":
			name = fmt.Sprintf("%#x", f.PC)
		}
		l.Line = append(l.Line, profile.Line{Function: p.function(name, f.File), Line: int64(f.Line)})
	}
	p.locs[key.String()] = l
	p.p.Location = append(p.p.Location, l)
	return l
}

func (p *Profile) function(name, file string) *profile.Function {
	k := funcKey{name, file}
	f := p.funcs[k]
	if f == nil {
		f = &profile.Function{ID: uint64(len(p.p.Function) + 1), Name: name, SystemName: name, Filename: file}
		p.funcs[k] = f
		p.p.Function = append(p.p.Function, f)
	}
	return f
}

// Write writes the profile of the calls up to now, compressed. Its values are
// "calls", and "duration" in nanoseconds if any call had one.
func (p *Profile) Write(w io.Writer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.p.SampleType = []*profile.ValueType{{Type: "calls", Unit: "count"}}
	if p.timed {
		p.p.SampleType = append(p.p.SampleType, &profile.ValueType{Type: "duration", Unit: "nanoseconds"})
	}
	out := profile.Profile{
		SampleType: p.p.SampleType, DefaultSampleType: "calls", PeriodType: p.p.PeriodType, Period: p.p.Period,
		Mapping: p.p.Mapping, Location: p.p.Location, Function: p.p.Function,
	}
	for _, s := range p.p.Sample {
		out.Sample = append(out.Sample, &profile.Sample{Location: s.Location, Label: s.Label, Value: s.Value[:len(out.SampleType)]})
	}
	if !p.first.IsZero() {
		out.TimeNanos, out.DurationNanos = p.first.UnixNano(), int64(p.last.Sub(p.first))
	}
	if err := out.Write(w); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}
