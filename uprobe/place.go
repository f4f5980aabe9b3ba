package uprobe

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// codePlace is an instruction within a function that is probed for what is there: a
// line of the source, or the body of an inlined call.
type codePlace struct {
	// file and line are those of a line that is traced, "" for an inlined call.
	file string
	line int
	// inlined is where the code was inlined, the innermost call first; empty if it
	// was not.
	inlined []Inlining
	// depth is how many inlined calls it is in: of an inlined call that is traced,
	// inlined has the innermost alone.
	depth int
}

// Inlining is a call in whose place the compiler has put the body of the function
// that is called.
type Inlining struct {
	// Caller is the full name of the function that calls. It may itself be inlined
	// where it is called.
	Caller string
	// File and Line of the call. File is a path as the compiler was told it.
	File string
	Line int
}

// String returns "main.caller (file.go:12)".
func (i Inlining) String() string {
	return fmt.Sprintf("%s (%s:%d)", i.Caller, path.Base(i.File), i.Line)
}

// Inlined returns where the code was inlined that is probed: the call, and the
// function that makes it. It is false of what is probed in the function itself.
func (f *Func) Inlined() (Inlining, bool) {
	if f.place == nil || len(f.place.inlined) == 0 {
		return Inlining{}, false
	}
	return f.place.inlined[0], true
}

// Line returns the file and line that are traced, "" and 0 if the function is.
func (f *Func) Line() (file string, line int) {
	if f.place == nil {
		return "", 0
	}
	return f.place.file, f.place.line
}

// Inlined returns where the call was inlined, with [WithInlined]: the name of the
// function that makes it, file and line. It is false of a call that was not.
func (c *Call) Inlined() (Inlining, bool) { return c.fn.Inlined() }

// Line returns the file and line whose execution this is, "" and 0 if it is a call:
// see [Trace].
func (c *Call) Line() (file string, line int) { return c.fn.Line() }

// WithUncertain also shows the variables of lines in optimised code that may be out of
// date. The compiler's location lists say where a variable is, but an assignment of a
// constant or of a value that is there already leaves no trace in them: then the
// variable has the value that it had before, or already the one that it has later.
// Nothing in the binary tells such variables from others, so without this option all
// are absent. Arguments and variables that may be so are marked: see
// [Call.Uncertain].
//
// Code that is built with -gcflags=all='-N -l' needs no such option.
func WithUncertain() Option {
	return func(o *options) error {
		o.uncertain = true
		return nil
	}
}

// Uncertain reports whether the i-th variable, or an expression over it, may be out of
// date: see [WithUncertain].
func (c *Call) Uncertain(i int) bool { return i < len(c.fn.uncertain) && c.fn.uncertain[i] }

// markUncertain notes which arguments may be out of date.
func (f *Func) markUncertain() {
	if !slices.ContainsFunc(f.params, func(p Param) bool { return p.uncertain }) {
		return
	}
	for i := range f.params {
		f.uncertain = append(f.uncertain, f.params[i].uncertain)
	}
	if f.captures == nil {
		return
	}
	// An expression may look at any of them.
	of := make([]bool, len(f.captures))
	for i := range of {
		of[i] = true
	}
	f.uncertain = of
}

// variable is a parameter or local variable and where it is at a place.
type variable struct {
	name     string
	typ      *abi.Type // of the variable
	moved    *abi.Type // see Param
	location abi.Location
	source   string
	// uncertain: see WithUncertain.
	uncertain bool
}

// spot is a place that can be probed, before it is worked out.
type spot struct {
	name  string // of the function whose source it is
	addr  symbols.VirtAddr
	place codePlace
	make  func() (*Func, error)
}

// hosted is a function within which places are probed.
type hosted struct {
	symbols.Func
	d    *description
	code []byte
	flow *site.Flow
	t    *symbols.FuncTable
	fn   symbols.TableFunc
}

// host prepares a function for probes within it.
func (b *executable) host(s symbols.Func, o *options) (*hosted, error) {
	h := &hosted{Func: s}
	err := b.unverified(s, o)
	if err != nil {
		return nil, err
	}
	if h.d, err = b.describe(s, o); err != nil {
		return nil, err
	}
	if !h.d.goCode {
		return nil, fmt.Errorf("%w: it is not compiled by Go", ErrNoSite)
	}
	if h.code, err = b.file.Code(s); err != nil {
		return nil, err
	}
	if h.flow, err = site.NewFlow(b.arch, h.code, s.Entry, b.file.ConstantAt); err != nil {
		return nil, err
	}
	if h.t, err = b.file.Table(); err != nil {
		return nil, fmt.Errorf("%w: nothing tells how far the stack pointer is from the frame: %w", ErrNoSite, err)
	}
	if h.fn, err = h.t.At(s.Entry); err != nil {
		return nil, err
	}
	return h, nil
}

// cfa returns the distance from the stack pointer up to the CFA at an address.
func (b *executable) cfa(h *hosted, pc symbols.VirtAddr) (int64, error) {
	size, err := h.t.FrameSize(h.fn, pc)
	if errors.Is(err, symbols.ErrNoFunc) {
		err = fmt.Errorf("%w: nothing tells how far the stack pointer is from the frame at %#x", ErrNoSite, uint64(pc))
	}
	return size + b.arch.CFAAtEntry, err
}

// placed makes a Func of a place: read returns what is in scope there, with types to
// a depth.
func (b *executable) placed(h *hosted, name string, sites *site.Sites, pl codePlace, read func(depth int) ([]variable, error), o *options) (*Func, error) {
	f := &Func{
		name: name, entry: h.Entry, size: h.Size, arch: b.arch, sig: &abi.Signature{}, source: SourceDWARF,
		sourceDetail: h.d.detail, printers: o.printers, names: b.names, place: &pl, sites: sites,
	}
	switch {
	case pl.file != "":
		f.noResults = "a line has none"
	default:
		f.noResults = "an inlined call has no return of its own"
	}
	vars, err := read(typeDepth(o))
	if err != nil {
		return nil, err
	}
	f.setVariables(vars, b, o)
	d := *h.d
	d.noResults = f.noResults // those of the function around it are not its own
	if err := b.expressions(f, &d, o); err != nil {
		return nil, err
	}
	if err := f.checkReturn(); err != nil {
		return nil, err
	}
	f.markUncertain()
	if o.bound != nil {
		if f.bound, err = o.bound.check(f); err != nil {
			return nil, err
		}
	}
	if f.offset, err = b.file.FileOffset(sites.Entry.Addr); err != nil {
		return nil, err
	}
	if sites.Grow != nil {
		if f.grow, err = b.file.FileOffset(sites.Grow.Addr); err != nil {
			return nil, err
		}
	}
	for _, e := range sites.Repeats {
		off, err := b.file.FileOffset(e.Addr)
		if err != nil {
			return nil, err
		}
		f.repeats = append(f.repeats, off)
	}
	if sites.Entry.Addr == h.Entry || sites.HasG {
		f.g = b.findG(f, h.d, h.code)
	} else {
		f.g = b.findReturnG(h.Func, h.d, h.code)
	}
	if f.g.Kind != probegen.GNone {
		f.schedPC = b.gOffsets().schedPC
	}
	f.plan = capture.Build(b.arch, f.inputs, o.limits)
	if f.plan.Lacks(o.limits) {
		b.walkPlace(f, read, o)
	}
	if f.g.Kind != probegen.GNone {
		f.plan.Goroutine = b.gOffsets().goid
	}
	b.findStack(f, h.Func, h.d, o)
	b.planStack(f, o)
	if f.countedAtReturn() && !o.inspect {
		return nil, f.notCounted()
	}
	return f, b.planKeys(f, &d, o)
}

// walkPlace replaces the static plan by a walk.
func (b *executable) walkPlace(f *Func, read func(depth int) ([]variable, error), o *options) {
	if f.captures == nil && !o.whole {
		vars, err := read(wholeTypes)
		if err != nil || len(vars) != len(f.params) {
			o.log.Info("types cannot be read to their ends", "func", f.name, "err", err)
			return
		}
		f.setVariables(vars, b, o)
	}
	b.needWalkTypes(o)
	f.plan = capture.BuildWalk(b.arch, f.inputs, o.limits, b.walkTypes)
}

// setVariables makes variables the parameters of f.
func (f *Func) setVariables(vars []variable, b *executable, o *options) {
	f.params, f.inputs, f.sig.Params = nil, nil, nil
	locations := make([]abi.Location, len(vars))
	for i, v := range vars {
		locations[i] = b.readable(v.location)
	}
	for i, v := range vars {
		in := capture.Input{Name: v.name, Type: v.typ, Location: locations[i]}
		if v.moved != nil {
			in.Expr = &capture.Expr{Params: locations, Root: movedNode(i, v)}
		}
		f.inputs = append(f.inputs, in)
		f.params = append(f.params, Param{
			Name: v.name, Type: v.typ, Location: v.location, Source: v.source, moved: v.moved, uncertain: v.uncertain, arch: b.arch, redact: o.limits.Redact,
		})
		f.sig.Params = append(f.sig.Params, abi.Param{Name: v.name, Type: v.typ})
	}
}

// movedNode computes a variable that was moved to the heap.
func movedNode(i int, v variable) *expr.Node {
	return &expr.Node{Op: expr.Deref, Type: v.typ, Column: 1, X: &expr.Node{Op: expr.Param, Type: v.moved, N: int64(i), Column: 1}}
}

// trusted returns where a variable is, as far as that can be relied on, and whether
// it cannot. locations are those of all variables, of which it is number i.
//
// What is not optimised has its place in the frame. Of optimised code the compiler
// lists for each variable where the value is that it had last: but an assignment of a
// constant, or of a value that is there already, leaves no trace in the lists, which
// then have the value of before, or the later one too early. (In main.f(n) of
// "x := n; g(); x = 5; h()" the list has x where n is, to the end.) Nothing in the
// binary tells such variables from others. Where an inlined body begins, only those
// of its parameters are in danger that it assigns to: then two are listed in the same
// place.
func (b *executable) trusted(i int, locations []abi.Location, in sight, o *options) (l abi.Location, uncertain bool) {
	l = locations[i]
	if !in.optimized || !somewhere(l) {
		return l, false
	}
	size := int64(0)
	for _, p := range l {
		size = max(size, p.Offset+p.Size)
	}
	if minor, known := b.minor(); known && minor < 18 {
		return abi.Absent(size, abi.StaleList), false
	}
	why := abi.Uncertain
	if in.inlined {
		if !slices.ContainsFunc(append(locations[:i:i], locations[i+1:]...), func(o abi.Location) bool { return shares(l, o) }) {
			return l, false
		}
		why = abi.SharedPlace
	}
	if o.uncertain {
		return l, true
	}
	return abi.Absent(size, why), false
}

// sight is what a location is for.
type sight struct {
	optimized bool
	inlined   bool // where the body of an inlined call begins
}

// somewhere reports whether there is anything of a value.
func somewhere(l abi.Location) bool {
	return slices.ContainsFunc(l, func(p abi.Piece) bool { return p.Kind != abi.Nowhere })
}

// shares reports whether two locations have a register or a place in memory in
// common.
func shares(a, c abi.Location) bool {
	for _, p := range a {
		for _, q := range c {
			if p.Kind != q.Kind {
				continue
			}
			switch p.Kind {
			case abi.InRegister:
				if p.Reg == q.Reg {
					return true
				}
			case abi.InFrame:
				if int64(p.CFA) < int64(q.CFA)+q.Size && int64(q.CFA) < int64(p.CFA)+p.Size {
					return true
				}
			case abi.InMemory:
				if p.Reg == q.Reg && p.Disp < q.Disp+q.Size && q.Disp < p.Disp+p.Size {
					return true
				}
			}
		}
	}
	return false
}

// locate returns where variables are at an address, as far as that can be relied on.
func (b *executable) locate(ps []*dwarfargs.Param, pc symbols.VirtAddr, in sight, o *options) []variable {
	locations := make([]abi.Location, len(ps))
	for i, p := range ps {
		l, ok := p.At(pc)
		switch {
		case p.Type.Size == 0 && p.Type.Kind != abi.Invalid:
			l = abi.Location{}
		case !ok || len(l) == 0:
			l = abi.Absent(p.Type.Size, abi.OptimizedOut)
		}
		locations[i] = l
	}
	vars := make([]variable, len(ps))
	for i, p := range ps {
		v := variable{name: p.Name, typ: p.Type, source: "debug information"}
		if in.optimized {
			v.source = "location list"
		}
		if v.location, v.uncertain = b.trusted(i, locations, in, o); v.uncertain {
			v.source += ", perhaps out of date"
		}
		vars[i] = v
	}
	return vars
}
