package uprobe

import (
	"log/slog"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// panicName is the name by which the value of a panic is redacted.
const panicName = "panic"

// thrown is a panic of which a call tells.
type thrown struct {
	call *Call // of runtime.gopanic, nil if there is no value for why
	why  abi.Reason
	typ  *abi.Type // any
}

func (t *thrown) clone() *thrown {
	if t == nil || t.call == nil {
		return t
	}
	k := *t
	k.call = t.call.Clone()
	return &k
}

// PanicValue returns what panic was called with: by the panic that the call was
// left by, if it [Call.Panicked], or by the last one that it [Call.Recovered]. It is
// an interface value, and absent where it could not be captured. Runtime errors are
// such values too, as runtime.boundsError. ok is false of all other calls.
//
// A call that is left by a panic may leave another behind: one whose deferred call
// panics anew. The function that deferred it, and those that called it, are left by the
// new panic; those that it called were left by the first.
//
// panic(nil) is nil, which recover returns as a *runtime.PanicNilError since Go
// 1.21. What is captured, and how deep, is as for an argument of type any; the
// rule "panic" of [WithRedact] redacts all values of panics.
func (c *Call) PanicValue() (v Value, ok bool) {
	switch {
	case c.thrown == nil:
		return Value{}, false
	case c.thrown.call == nil:
		return absent(c.thrown.typ, c.thrown.why), true
	}
	return c.thrown.call.param(0), true
}

// Recovered reports whether the call recovered a panic, its own or one of a function
// that it called, and then returned. Its results are what the named results were by
// then. A call that recovers a panic and is then left by another is not: it
// [Call.Panicked]. One that recovers while more than four panics are under way, one
// within another, or while records are lost ([Stats].Lost), may not be told from others.
func (c *Call) Recovered() bool { return c.thrown != nil && !c.unwound }

// appendPanic appends the value of a panic.
func (c *Call) appendPanic(b []byte) []byte {
	v, _ := c.PanicValue()
	return v.AppendText(append(b, ": "...))
}

// appendPanicJSON appends the value of a panic to an object.
func (c *Call) appendPanicJSON(b []byte) []byte {
	v, _ := c.PanicValue()
	return v.AppendJSON(append(b, `,"panic":`...))
}

// panicAttrs returns a panic and how it ended, for a log.
func (c *Call) panicAttrs(how string) []slog.Attr {
	v, _ := c.PanicValue()
	return []slog.Attr{slog.Bool(how, true), slog.Any("panic", v)}
}

// anyType is the type of the parameter of runtime.gopanic.
func anyType(a *abi.Arch) *abi.Type {
	return &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 2 * a.PtrSize, Align: a.PtrSize}
}

// panicInput makes the parameter of runtime.gopanic the input of f, and returns the
// registers that it is in. It is the same in all releases: what is not known is where
// it is passed.
func (b *executable) panicInput(f *Func, s symbols.Func, d *description, o *options) []abi.Reg {
	t := anyType(b.arch)
	in := capture.Input{Name: panicName, Type: t, Location: abi.Absent(t.Size, abi.UnknownRelease)}
	switch d.source {
	case SourceDWARF:
		if len(d.params) == 1 && d.params[0].Type.Kind == abi.Interface {
			in.Location = d.params[0].Location
		}
	default:
		if r, err := b.record(s); err == nil {
			if l, ok := b.panicLocation(s, r, t); ok {
				in.Location = l
			}
		}
	}
	f.inputs = []capture.Input{in}
	f.printers, f.names = o.printers, b.names
	return f.live()
}

// panicLocation says where the parameter is by the calling convention.
func (b *executable) panicLocation(s symbols.Func, r record, t *abi.Type) (abi.Location, bool) {
	regs, err := b.convention(s, r)
	if err != nil {
		return nil, false
	}
	assign := abi.Stack
	if regs {
		assign = abi.Internal
	}
	as, err := assign(b.arch, &abi.Signature{Params: []abi.Param{{Name: panicName, Type: t}}})
	if err != nil {
		return nil, false
	}
	return as.Params[0].AtEntry(), true
}

// panicPlan makes the plan of runtime.gopanic, whose sites are known.
func (b *executable) panicPlan(f *Func, o *options) {
	limits := o.paired().limits
	if f.sites.Grow != nil || len(f.sites.Repeats) > 0 { // no release has it so
		f.inputs[0].Location = abi.Absent(f.inputs[0].Type.Size, abi.Overwritten)
	}
	f.plan = capture.Build(b.arch, f.inputs, limits)
	if f.plan.Lacks(o.limits) {
		b.needWalkTypes(o)
		f.plan = capture.BuildWalk(b.arch, f.inputs, limits, b.walkTypes)
	}
}

// panicLayout returns where the runtime keeps panics under way, nil if that is not
// known of the release.
func (b *executable) panicLayout() *goruntime.PanicLayout {
	minor, known := b.minor()
	if !known {
		return nil
	}
	l, ok := goruntime.Panics(minor, int(b.arch.PtrSize))
	if !ok {
		return nil
	}
	return &l
}

// panicsOf returns the witness of panics, nil if there is none.
func panicsOf(witnesses []witness) *Func {
	for _, w := range witnesses {
		if w.role == probegen.RolePanic {
			return w.fn
		}
	}
	return nil
}

// thrownBy returns the panic of a call that has ended, nil if it has none.
func (t *Tracer) thrownBy(c *openCall, how ending) *thrown {
	p, why := c.left, c.why
	switch {
	case how == endReturned && c.recovered:
		p, why = c.caught, abi.PanicUnseen
	case how != endPanicked:
		return nil
	}
	x := &thrown{why: why, typ: anyType(c.fn.arch)}
	switch {
	case p == nil:
	case p.data == nil:
		x.why = abi.CutPanics
	case t.panics != nil:
		if call, ok := newCall(t.panics, p.data, c.epoch); ok {
			x.call = &call
			return x
		}
		x.why = abi.Implausible
	}
	return x
}

// panics reports whether all calls of a function without returns are left by panics:
// one that loops may never end.
func (b *executable) panics(s symbols.Func, code []byte) bool {
	flow, err := site.NewFlow(b.arch, code, s.Entry, b.file.ConstantAt)
	if err != nil {
		return false
	}
	panics, blocks := false, false
	ends := func(a symbols.VirtAddr) bool {
		full, _ := b.names.name(uint64(a))
		name, ok := strings.CutPrefix(full, "runtime.")
		panics = panics || ok && name == "gopanic"
		blocks = blocks || ok && name == "block" // of select {}
		// The others are of checks that fail, and of the stack that grows.
		return ok && (name == "gopanic" || strings.HasPrefix(name, "panic") || strings.HasPrefix(name, "goPanic") ||
			strings.HasPrefix(name, "morestack"))
	}
	return flow.Ends(ends) && panics && !blocks
}
