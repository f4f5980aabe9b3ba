package uprobe

import (
	"cmp"
	"errors"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// Inspect finds the functions that a name or pattern, and those of [WithFuncs],
// select in a binary, and works out how they would be traced. It needs no
// privileges and works on any operating system. Names and patterns are as in
// [Trace]; options that only concern tracing have no effect.
//
// A name that selects a function that cannot be traced is an error; of those
// that a pattern selects, the ones that cannot be traced are left out, unless
// that are all. [InspectAll] tells about those too.
func Inspect(binary, fn string, opts ...Option) ([]*Func, error) {
	b, o, err := openBinary(binary, opts)
	if err != nil {
		return nil, err
	}
	defer b.close()
	funcs, _, err := b.resolve(append([]string{fn}, o.funcs...), o)
	return funcs, err
}

// InspectAll is like [Inspect], but calls found for each function that the
// patterns select, by ascending address for each pattern, with the function or
// with the error that keeps it from being traced. It stops when found returns
// false.
func InspectAll(binary, fn string, found func(name string, f *Func, err error) bool, opts ...Option) error {
	b, o, err := openBinary(binary, opts)
	if err != nil {
		return err
	}
	defer b.close()
	for _, p := range append([]string{fn}, o.funcs...) {
		syms, spots, err := b.findAll(p, o)
		if err != nil {
			return err
		}
		for _, s := range syms {
			f, err := b.function(s.Func, s.dicts, o)
			if !found(s.Name, f, err) {
				return nil
			}
		}
		for _, s := range spots {
			f, err := s.make()
			if !found(s.name, f, err) {
				return nil
			}
		}
	}
	return nil
}

// find returns the functions that a name or pattern selects.
func (b *executable) find(pattern string, o *options) ([]selected, error) {
	if isInstance(pattern) && !symbols.IsPattern(pattern) {
		found, err := b.findInstance(pattern, o)
		if len(found) > 0 || err != nil {
			return found, err
		}
	}
	syms, err := b.file.Select(pattern)
	if err == nil {
		found := make([]selected, len(syms))
		for i, s := range syms {
			found[i].Func = s
		}
		return found, nil
	}
	if b.dwarf != nil && errors.Is(err, symbols.ErrNoFunc) {
		// Only the debug information still knows a function that is nowhere
		// in the code.
		if inlined, ierr := b.dwarf.Inlined(pattern); ierr == nil && inlined {
			return nil, b.errInlined(pattern)
		}
	}
	return nil, err
}

// resolve works out all functions that the patterns select, once each. Those
// of a pattern that cannot be traced are left out, with the reason.
func (b *executable) resolve(patterns []string, o *options) (funcs []*Func, leftOut []error, err error) {
	if len(patterns) == 0 || slices.Contains(patterns, "") {
		return nil, nil, errors.New("no function given: name one, or a pattern such as \"main.*\"")
	}
	seen, failed := make(map[symbols.VirtAddr]*Func), make(map[symbols.VirtAddr]error)
	placed := map[spotKey]bool{}
	for _, p := range patterns {
		syms, spots, err := b.findAll(p, o)
		if err != nil {
			return nil, nil, err
		}
		var first error
		found := false
		for _, s := range spots {
			if key := (spotKey{s.name, s.place.line, s.addr}); placed[key] {
				found = true
				continue
			} else {
				placed[key] = true
			}
			f, err := s.make()
			if err != nil {
				first = cmp.Or(first, err)
				o.log.Info("place cannot be traced", "func", s.name, "err", err)
				leftOut = append(leftOut, err)
				continue
			}
			found = true
			funcs = append(funcs, f)
		}
		for _, s := range syms {
			if f := seen[s.Entry]; f != nil {
				f.alsoFor(s.dicts)
				found = true
				continue
			}
			if err, ok := failed[s.Entry]; ok {
				if first == nil {
					first = err
				}
				continue
			}
			f, err := b.function(s.Func, s.dicts, o)
			if err != nil {
				if first == nil {
					first = err
				}
				o.log.Info("function cannot be traced", "func", s.Name, "err", err)
				leftOut = append(leftOut, err)
				failed[s.Entry] = err
				continue
			}
			seen[s.Entry] = f
			found = true
			funcs = append(funcs, f)
		}
		if !found {
			return nil, nil, first
		}
	}
	funcs, more := b.addWrappers(funcs, o)
	return funcs, append(leftOut, more...), nil
}

// spotKey tells places apart.
type spotKey struct {
	name string
	line int
	addr symbols.VirtAddr
}

// typeDepth is how many pointers deep types are read. It is more than is
// followed, so that a pointer that is not followed still has a type.
func typeDepth(o *options) int {
	if o.whole {
		return wholeTypes
	}
	return o.limits.WithDefaults().Depth + 2
}

// function works out one function, for the instances of generic code that have
// the given dictionaries, nil for all.
func (b *executable) function(s symbols.Func, dicts []symbols.VirtAddr, o *options) (*Func, error) {
	f, err := b.workOut(s, dicts, o)
	if err != nil {
		return nil, &FuncError{s.Name, err}
	}
	return f, nil
}

func (b *executable) workOut(s symbols.Func, dicts []symbols.VirtAddr, o *options) (*Func, error) {
	d, err := b.describe(s, o)
	if err != nil {
		return nil, err
	}
	code, err := b.file.Code(s)
	if err != nil {
		return nil, err
	}
	f := &Func{
		name: s.Name, entry: s.Entry, size: s.Size, arch: b.arch, sig: d.sig,
		source: d.source, sourceDetail: d.detail, why: d.why, printers: o.printers, names: b.names,
	}
	var live []abi.Reg
	if d.keepsG(b.arch) {
		live = append(live, b.arch.G)
	}
	for _, p := range d.params {
		f.inputs = append(f.inputs, capture.Input{Name: p.Name, Type: p.Type, Location: b.readable(p.Location)})
		p.arch, p.redact = b.arch, o.limits.Redact
		f.params = append(f.params, p)
	}
	if err := b.expressions(f, d, o); err != nil {
		return nil, err
	}
	live = append(live, f.live()...)
	if f.receiver = d.receiver; f.receiver != nil && f.receiver.Base.Kind == abi.InRegister {
		live = append(live, f.receiver.Base.Reg)
	}
	reg, err := b.generic(f, s, d, dicts, o)
	if err != nil {
		return nil, err
	}
	live = append(live, reg...)
	if o.bound != nil {
		if f.bound, err = o.bound.check(f); err != nil {
			return nil, err
		}
	}
	if err := b.place(f, s, code, live, o); err != nil {
		return nil, err
	}
	if f.g = b.findG(f, d, code); f.g.Kind != probegen.GNone {
		f.schedPC = b.gOffsets().schedPC
	}
	b.findStack(f, s, d, o)
	if err := b.findResults(s, f, d, code, o); err != nil {
		return nil, err
	}
	if err := f.checkReturn(); err != nil {
		return nil, err
	}
	if f.countedAtReturn() && !f.pairs(o) && !o.inspect {
		return nil, f.notCounted()
	}
	if err := b.plan(f, s, d, o); err != nil {
		return nil, err
	}
	return f, nil
}

// generic adds the instances of generic code, those that have the given dictionaries,
// nil for all. It returns the register that holds the dictionary, if one does.
func (b *executable) generic(f *Func, s symbols.Func, d *description, dicts []symbols.VirtAddr, o *options) (live []abi.Reg, err error) {
	instances := b.instances(s, d, typeDepth(o))
	if len(instances) == 0 {
		return nil, nil
	}
	f.setInstances(instances)
	f.redactInstances(o.limits.Redact)
	f.alsoFor(dicts)
	f.dict = d.dict
	f.inputs = append(f.inputs, dictInput(b.arch, d.dict))
	if p := d.dict[0]; p.Kind == abi.InRegister {
		live = append(live, p.Reg)
	}
	if f.aggregated != nil {
		f.inputs = nil
		err = f.checkKeysRedacted(o.limits.Redact)
	}
	return live, err
}

// plan makes the plans: what is captured, and how.
func (b *executable) plan(f *Func, s symbols.Func, d *description, o *options) error {
	if f.pairs(o) {
		o = o.paired()
	}
	f.plan = capture.Build(b.arch, f.inputs, o.limits)
	b.walkPlan(s, f, o)
	if f.g.Kind != probegen.GNone {
		f.plan.Goroutine = b.gOffsets().goid
	}
	b.planStack(f, o)
	if err := b.planKeys(f, d, o); err != nil {
		return err
	}
	if f.pairs(o) {
		b.resultPlan(s, f, o)
	}
	return nil
}

// readable replaces the pieces that a uprobe program cannot read by holes.
func (b *executable) readable(l abi.Location) abi.Location {
	out := make(abi.Location, len(l))
	for i, p := range l {
		if (p.Kind == abi.InRegister || p.Kind == abi.InMemory) && b.arch.IsFloat(p.Reg) {
			p = abi.Piece{Offset: p.Offset, Size: p.Size, Kind: abi.Nowhere, Reason: abi.RegisterNotReadable}
		}
		out[i] = p
	}
	return out
}

// place chooses the probe sites.
func (b *executable) place(f *Func, s symbols.Func, code []byte, live []abi.Reg, o *options) error {
	sites, err := site.FindIn(b.arch, code, s.Entry, live, b.file.ConstantAt)
	if err != nil {
		return err
	}
	if o.first {
		p, err := site.First(b.arch, code, s.Entry)
		if err != nil {
			return err
		}
		sites = &site.Sites{Entry: p, Why: "the first instruction, as asked"}
	}
	f.sites = sites
	if f.offset, err = b.file.FileOffset(sites.Entry.Addr); err != nil {
		return err
	}
	if sites.Grow != nil {
		if f.grow, err = b.file.FileOffset(sites.Grow.Addr); err != nil {
			return err
		}
	}
	for _, e := range sites.Repeats {
		off, err := b.file.FileOffset(e.Addr)
		if err != nil {
			return err
		}
		f.repeats = append(f.repeats, off)
	}
	return nil
}
