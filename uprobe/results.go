package uprobe

import (
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// WithResults traces whole calls: a [Call] is delivered when the function returns,
// with its results and its duration. See [Call.Results], [Call.Duration] and
// [Call.Panicked], and for what was panicked with [Call.PanicValue].
//
// The values of panics may be of any type, so to start takes as long as for a
// function with arguments of interface types.
//
// Each return instruction of the function is probed. On amd64 and 386 the kernel
// single-steps it, which takes several times as long as the probe of the entry.
// Where nothing describes what a function returns, as in stripped binaries, there is
// one result "?" of unknown type. Functions whose returns cannot be probed or joined
// with the entry ([Func.NoResults]) are traced as without this option, and so are
// those that have none; but not those that can only end by a panic.
//
// A call that does not return is not delivered, but counted in [Stats]; unless it
// is left by a panic. That shows when the panic is recovered or the program ends for
// it. Where more than four panics are under way one within another, it shows later
// for the outer ones: when the goroutine enters or leaves a function that is traced
// and whose frame is at the same place on the stack or higher up.
func WithResults() Option {
	return func(o *options) error {
		o.results = true
		return nil
	}
}

// Results returns the names and values of the results in order. Those without a
// name are called "~r0", "~r1" and so on, as debuggers do. It is empty without
// [WithResults], and for functions whose results cannot be captured.
//
// A further result "?" stands for those that the debug information may leave out.
func (c *Call) Results() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range c.NumResults() {
			if !yield(c.ResultName(i), c.Result(i)) {
				return
			}
		}
	}
}

// whole reports whether the call is one of which the return was waited for.
func (c *Call) whole() bool { return c.fn.plan != nil && c.fn.plan.Pair != 0 }

// NumResults returns the number of results.
func (c *Call) NumResults() int {
	if !c.whole() {
		return 0
	}
	return len(c.fn.result.plan.Params)
}

// Result returns the value of the i-th result, counted from 0. It is absent if the
// call panicked. Result panics if i is out of range.
func (c *Call) Result(i int) Value {
	p := &c.fn.result.plan.Params[i]
	if c.result == nil {
		return absent(p.Image.Type, abi.NotReturned)
	}
	return c.result.param(i)
}

// ResultName returns the name of the i-th result.
func (c *Call) ResultName(i int) string { return c.fn.result.plan.Params[i].Name }

// ResultByName returns the value of the result with the given name.
func (c *Call) ResultByName(name string) (Value, bool) {
	for i := range c.NumResults() {
		if c.ResultName(i) == name {
			return c.Result(i), true
		}
	}
	return Value{}, false
}

// Duration returns the time from the hit of the probe at the entry to that at the
// return. It is somewhat longer than the call would take without the probes: by
// what that at the entry takes, and those of other traced functions. It is not ok
// without [WithResults], and if the call panicked.
func (c *Call) Duration() (d time.Duration, ok bool) {
	if c.result == nil {
		return 0, false
	}
	return time.Duration(order.Uint64(c.result.data[capture.OffTime:]) - order.Uint64(c.data[capture.OffTime:])), true
}

// Panicked reports whether the call was left by a panic: its own, or one of a
// function that it called. A call that recovers, and so returns to its caller, did
// not panic: it has results, and is [Call.Recovered].
func (c *Call) Panicked() bool { return c.unwound }

// setResult adds the record of the return. It reports whether it can be one.
func (c *Call) setResult(data []byte) bool {
	r, ok := newCall(c.fn.result, data, c.epoch)
	if !ok {
		return false
	}
	if c.instance != nil && c.instance.resultPlan != nil {
		r.plan = c.instance.resultPlan
		r.heap = r.newHeap()
	}
	c.result = &r
	return true
}

// appendEnd appends how the call ended.
func (c *Call) appendEnd(b []byte) []byte {
	if c.unwound {
		return c.appendPanic(append(b, " panicked"...))
	}
	d, ok := c.Duration()
	if !ok {
		return b
	}
	if c.NumResults() > 0 {
		b = append(b, " = ("...)
		for i := range c.NumResults() {
			if i > 0 {
				b = append(b, ", "...)
			}
			if name := c.ResultName(i); !strings.HasPrefix(name, "~") {
				b = append(b, name...)
				b = append(b, '=')
			}
			b = c.Result(i).AppendText(b)
		}
		b = append(b, ')')
	}
	b = append(b, ' ')
	b = append(b, d.String()...)
	if c.Recovered() {
		b = c.appendPanic(append(b, " recovered"...))
	}
	return b
}

// appendEndJSON appends how the call ended to an object.
func (c *Call) appendEndJSON(b []byte) []byte {
	if c.unwound {
		return c.appendPanicJSON(append(b, `,"panicked":true`...))
	}
	d, ok := c.Duration()
	if !ok {
		return b
	}
	b = append(b, `,"results":[`...)
	for i := range c.NumResults() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNamedJSON(b, c.ResultName(i), c.Result(i))
	}
	b = append(b, `],"duration_ns":`...)
	b = appendInt(b, int64(d))
	if c.Recovered() {
		b = c.appendPanicJSON(append(b, `,"recovered":true`...))
	}
	return b
}

// endAttrs returns how the call ended, for a log.
func (c *Call) endAttrs() (attrs []slog.Attr) {
	if c.unwound {
		return c.panicAttrs("panicked")
	}
	d, ok := c.Duration()
	if !ok {
		return nil
	}
	if c.NumResults() > 0 {
		var results []any
		for name, v := range c.Results() {
			results = append(results, slog.Any(name, v))
		}
		attrs = append(attrs, slog.Group("results", results...))
	}
	attrs = append(attrs, slog.Duration("duration", d))
	if c.Recovered() {
		attrs = append(attrs, c.panicAttrs("recovered")...)
	}
	return attrs
}

// Results returns the results of the function in order. Their Location is where
// they are when it returns. It is one "?" of unknown type if nothing describes them,
// and empty of functions that are traced without [WithResults].
func (f *Func) Results() []Param {
	if f.result == nil {
		return nil
	}
	return f.result.params
}

// NoResults returns why results and duration cannot be captured with
// [WithResults], "" if they can.
func (f *Func) NoResults() string { return f.noResults }

// ReturnProbes returns where the returns are probed with [WithResults]: none of a
// function that ends by a panic each time.
func (f *Func) ReturnProbes() []Probe {
	if f.result == nil {
		return nil
	}
	var probes []Probe
	for i, off := range f.returns {
		r := &f.result.sites.Returns[i]
		probes = append(probes, Probe{Addr: r.Addr, Offset: off, Instruction: r.Instr, Emulated: r.Emulated})
	}
	return probes
}
