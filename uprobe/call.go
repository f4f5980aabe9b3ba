package uprobe

import (
	"encoding/binary"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Call is one call of a traced function. A call that a handler is given is
// valid until the handler returns; Clone makes a copy to keep. A Call may be
// read by several goroutines at once.
type Call struct {
	fn *Func
	// data is the record. Its layout is fn.plan's.
	data []byte
	heap *heap // nil unless the record has one
	// plan is fn.plan, or that of the instance, nil if that is not known or fn is
	// no generic code.
	plan     *capture.Plan
	instance *Instance
	// epoch is the wall-clock time at which CLOCK_MONOTONIC was zero.
	epoch time.Time
	// result is the return, a call of fn.result, nil if there is none. unwound says
	// that there will be none, because of a panic.
	result  *Call
	unwound bool
}

// order is the byte order of records: that of all machines that are supported.
var order = binary.LittleEndian

// newCall checks that data can be a record of fn.
func newCall(fn *Func, data []byte, epoch time.Time) (Call, bool) {
	if len(data) < fn.plan.Fixed {
		return Call{}, false
	}
	c := Call{fn: fn, data: data, epoch: epoch}
	c.findInstance()
	c.heap = c.newHeap()
	return c, true
}

func (c *Call) newHeap() *heap {
	if c.plan.Walk == nil {
		return nil
	}
	return &heap{walk: c.plan.Walk, data: c.data, fixed: c.plan.Fixed, funcs: c.fn.names, small: c.plan.PtrSize == 4}
}

// Func returns the function that was called. It is valid without limit.
func (c *Call) Func() *Func { return c.fn }

// Name returns the full name of the function that was called.
func (c *Call) Name() string { return c.fn.name }

// PID returns the process ID (thread group ID) of the caller, as seen in the
// initial PID namespace.
func (c *Call) PID() int { return int(order.Uint32(c.data[capture.OffPIDTID+4:])) }

// TID returns the ID of the thread that ran the call.
func (c *Call) TID() int { return int(order.Uint32(c.data[capture.OffPIDTID:])) }

// Goroutine returns the ID of the goroutine that made the call. It is 0 for
// code on a system stack, for assembly, and when the ID could not be read.
func (c *Call) Goroutine() uint64 { return order.Uint64(c.data[capture.OffGoroutine:]) }

// Time returns when the probe was hit, in wall-clock time of the tracing
// machine.
func (c *Call) Time() time.Time {
	return c.epoch.Add(time.Duration(order.Uint64(c.data[capture.OffTime:])))
}

// NumArgs returns the number of parameters, the receiver included, or of the
// expressions of [WithCapture].
func (c *Call) NumArgs() int {
	if c.fn.captures != nil {
		return len(c.fn.captures)
	}
	return len(c.plan.Params)
}

// Arg returns the value of the i-th parameter, counted from 0; the receiver of
// a method comes first. It panics if i is out of range. With [WithCapture] it is
// the value of the i-th expression.
func (c *Call) Arg(i int) Value {
	if c.fn.captures == nil {
		return c.param(i)
	}
	if e := &c.fn.captures[i]; e.rest == nil {
		return c.param(e.param)
	} else {
		return e.rest.value(c)
	}
}

// param returns the value of the i-th parameter of the plan.
func (c *Call) param(i int) Value {
	p := &c.plan.Params[i]
	v := Value{
		data: c.data, typ: p.Image.Type, img: p.Image,
		base: uint32(p.Offset), slots: uint32(p.Slots),
		small: c.plan.PtrSize == 4, printers: c.fn.printers, heap: c.heap,
	}
	failed := order.Uint64(c.data[capture.OffFailed:]) &^ 1
	if p.Expr != nil {
		v.why = abi.Reason(c.data[p.Why])
		if failed&(1<<capture.BitOverwritten) != 0 && p.Expr.Registers() {
			v.why = abi.Overwritten
		}
		return v
	}
	if failed != 0 {
		v.img = c.withFailed(i, p.Image, failed)
	}
	return v
}

// withFailed returns the image of parameter i with holes for the reads that
// failed in this call.
func (c *Call) withFailed(i int, img *capture.Image, failed uint64) *capture.Image {
	cp := *img
	cp.Holes = slices.Clone(img.Holes)
	for _, r := range c.plan.Reads {
		if r.Param == i && failed&(1<<r.Bit) != 0 {
			cp.Holes = append(cp.Holes, capture.Hole{
				Offset: r.Within, Size: int64(r.Size), Reason: abi.NotResident,
			})
		}
	}
	if failed&(1<<capture.BitOverwritten) != 0 {
		at := c.plan.Params[i].Offset
		for _, s := range c.plan.Stores {
			if within := int64(s.Offset - at); !s.IsConst && within >= 0 && within < img.Size {
				cp.Holes = append(cp.Holes, capture.Hole{
					Offset: within, Size: int64(s.Size), Reason: abi.Overwritten,
				})
			}
		}
	}
	return &cp
}

// ArgName returns the name of the i-th parameter, "_" if it has none, or the text
// of the i-th expression.
func (c *Call) ArgName(i int) string {
	if c.fn.captures != nil {
		return c.fn.captures[i].Expr
	}
	return c.plan.Params[i].Name
}

// ArgByName returns the value of the parameter with the given name.
func (c *Call) ArgByName(name string) (Value, bool) {
	for i := range c.NumArgs() {
		if c.ArgName(i) == name {
			return c.Arg(i), true
		}
	}
	return Value{}, false
}

// Args returns the parameters' names and values in order.
func (c *Call) Args() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range c.NumArgs() {
			if !yield(c.ArgName(i), c.Arg(i)) {
				return
			}
		}
	}
}

// Clone returns a copy of the call that stays valid.
func (c *Call) Clone() *Call {
	c.heap.resolveNames()
	k := &Call{fn: c.fn, data: slices.Clone(c.data), plan: c.plan, instance: c.instance, epoch: c.epoch}
	k.heap = k.newHeap()
	k.unwound = c.unwound
	if c.result != nil {
		k.result = c.result.Clone()
	}
	return k
}

// String returns the call in Go-like syntax: "main.computeE(iterations=100)".
// The arguments of assembly are "?": see [Func.SignatureKnown]. Those of which
// only the size is known ([SourceArgInfo]) are words, those that belong to one
// value in braces: "main.write(0x2a, {0xc000012030, 0x5})". With [WithResults]
// results and duration follow: "main.work(n=5) = (3, nil) 1.2ms".
func (c *Call) String() string { return string(c.AppendText(nil)) }

// AppendText appends what String returns to b.
func (c *Call) AppendText(b []byte) []byte {
	b = c.appendLine(b)
	b = append(b, c.Instance()...)
	b = append(b, '(')
	if !c.fn.SignatureKnown() {
		b = append(b, '?')
	}
	for i := range c.NumArgs() {
		if i > 0 {
			b = append(b, ", "...)
		}
		if c.fn.source == SourceArgInfo && c.fn.captures == nil {
			b = c.Arg(i).appendSized(b)
			continue
		}
		b = append(b, c.ArgName(i)...)
		if c.Uncertain(i) {
			b = append(b, '~')
		}
		b = append(b, '=')
		b = c.Arg(i).AppendText(b)
	}
	return c.appendEnd(c.appendInlined(append(b, ')')))
}

// MarshalJSON returns the call as an object with time, func, pid, tid,
// goroutine and args, the latter as a list of names, types and values. With
// [WithResults] it also has results, a list like args, and duration_ns; or, of a
// call that panicked, "panicked":true.
func (c *Call) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns to b.
func (c *Call) AppendJSON(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = c.Time().UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","func":`...)
	b = appendJSONString(b, c.fn.name)
	if c.instance != nil {
		b = append(b, `,"instance":`...)
		b = appendJSONString(b, c.instance.Name)
	}
	b = c.appendPlaceJSON(b)
	b = append(b, `,"pid":`...)
	b = appendInt(b, int64(c.PID()))
	b = append(b, `,"tid":`...)
	b = appendInt(b, int64(c.TID()))
	b = append(b, `,"goroutine":`...)
	b = appendUint(b, c.Goroutine())
	b = append(b, `,"args":[`...)
	for i := range c.NumArgs() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNamedJSON(b, c.ArgName(i), c.Arg(i))
		if c.Uncertain(i) {
			b = append(b[:len(b)-1], `,"uncertain":true}`...)
		}
	}
	return append(c.appendEndJSON(append(b, ']')), '}')
}

// appendNamedJSON appends an argument or result.
func appendNamedJSON(b []byte, name string, v Value) []byte {
	b = append(b, `{"name":`...)
	b = appendJSONString(b, name)
	b = append(b, `,"type":`...)
	b = appendJSONString(b, typeName(v.typ))
	if r := v.reason(); r != abi.Present {
		b = append(b, `,"absent":`...)
		b = appendJSONString(b, r.String())
	} else {
		b = append(b, `,"value":`...)
		b = v.AppendJSON(b)
	}
	return append(b, '}')
}

// LogValue implements slog.LogValuer.
func (c *Call) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 4+c.NumArgs())
	attrs = append(attrs,
		slog.String("func", c.Name()), slog.Int("pid", c.PID()),
		slog.Int("tid", c.TID()), slog.Uint64("goroutine", c.Goroutine()))
	for name, v := range c.Args() {
		attrs = append(attrs, slog.Any(name, v))
	}
	attrs = append(attrs, c.placeAttrs()...)
	attrs = append(attrs, c.endAttrs()...)
	return slog.GroupValue(attrs...)
}
