package uprobe

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/rtype"
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

// executable is an executable file that is being analysed.
type executable struct {
	file  *symbols.File
	arch  *abi.Arch
	dwarf *dwarfargs.Data
	// debugFile has the debug information, nil if the binary itself does, and
	// debugHow says how it was found.
	debugFile *symbols.File
	debugHow  string
	// noDwarf is why there is no debug information, nil if there is, and refused
	// are the files that could have it.
	noDwarf error
	refused []string
	g       *gOffsets
	tls     *int64 // see threadOffset
	// types is the runtime's type data, noTypes why there is none: see
	// runtimeTypes.
	types   *rtype.Data
	noTypes error
	// dicts are the dictionaries of generic code: see dictionaries.
	// dictTypes are the types that words of them lead to, nil for none.
	dicts     map[string][]symbols.Dictionary
	dictTypes map[dictWord]*abi.Type
	// walkTypes is the type table of the walks, nil if there are none.
	walkTypes *capture.Types
	// names are those of the functions.
	names *funcNames
	// witnesses tell how calls end, unwitnessed says that they do not tell of all:
	// see findWitnesses.
	witnesses   []witness
	unwitnessed bool
	fips        fipsCode
	// wrapped are the wrappers that are worked out as the methods that they have
	// inlined, by their entries.
	wrapped map[symbols.VirtAddr]*wrapping
}

func openBinary(path string, opts []Option) (*executable, *options, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, nil, err
	}
	f, err := symbols.Open(path)
	if err != nil {
		return nil, nil, err
	}
	o.inspect = true
	b, err := newBinary(f, path, o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, o, nil
}

// newBinary takes over f, the file at path.
func newBinary(f *symbols.File, path string, o *options) (*executable, error) {
	b := &executable{file: f, arch: abi.ArchFor(f.GOARCH()), names: newFuncNames(f)}
	if b.arch == nil {
		err := fmt.Errorf("%w: built for %s, only amd64, arm64 and 386 can be traced", ErrArch, f.GOARCH())
		f.Close()
		return nil, err
	}
	if err := b.openDWARF(path, o); err != nil {
		b.close()
		return nil, err
	}
	if b.dwarf != nil {
		// Inflate while the function is looked up. Closing stops it.
		b.dwarf.Prefetch()
	}
	return b, nil
}

// openDWARF opens the debug information: of the debug file that the user names,
// else of the binary, else of a debug file that can be found.
func (b *executable) openDWARF(path string, o *options) error {
	if o.debugFile == "" {
		if b.dwarf, b.noDwarf = dwarfargs.Open(b.file); !errors.Is(b.noDwarf, dwarfargs.ErrNoDWARF) {
			return nil
		}
	}
	f, how, err := symbols.FindDebugFile(b.file, symbols.DebugFileOptions{Path: o.debugFile, Program: path})
	if err != nil {
		if o.debugFile != "" {
			return fmt.Errorf("%w: %w", ErrDebugFile, err)
		}
		b.noDwarf = fmt.Errorf("%w; %w", b.noDwarf, err)
		b.refused = refused(err)
		for _, why := range b.refused {
			o.log.Warn("debug file not used", "why", why)
		}
		return nil
	}
	b.debugFile, b.debugHow = f, how
	b.dwarf, b.noDwarf = dwarfargs.Open(f)
	if b.dwarf == nil && o.debugFile != "" {
		return fmt.Errorf("%w: %w", ErrDebugFile, b.noDwarf)
	}
	return nil
}

// refused returns the debug files that are there, but not used, with the reason.
func refused(err error) (files []string) {
	var missing *symbols.NoDebugFileError
	if !errors.As(err, &missing) {
		return nil
	}
	for _, a := range missing.Tried {
		switch {
		case a.Path == "" || errors.Is(a.Err, fs.ErrNotExist):
		case strings.Contains(a.Err.Error(), a.Path):
			files = append(files, fmt.Sprintf("debug file: %v", a.Err))
		default:
			files = append(files, fmt.Sprintf("debug file %s: %v", a.Path, a.Err))
		}
	}
	return files
}

func (b *executable) close() {
	b.names.close()
	b.closeDebug()
	b.file.Close()
}

// closeDebug closes what is of use only until the functions are worked out.
func (b *executable) closeDebug() {
	if b.dwarf != nil {
		b.dwarf.Close()
		b.dwarf = nil
	}
	if b.debugFile != nil {
		b.debugFile.Close()
		b.debugFile = nil
	}
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
	fail := func(err error) (*Func, error) { return nil, &FuncError{s.Name, err} }
	if err := b.unverified(s, o); err != nil {
		return fail(err)
	}
	d, err := b.describe(s, o)
	if err != nil {
		return fail(err)
	}
	if !d.goCode {
		if err := b.unverifiedC(o); err != nil {
			return fail(err)
		}
	}
	code, err := b.file.Code(s)
	if err != nil {
		return fail(err)
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
		return fail(err)
	}
	live = append(live, f.live()...)
	if f.receiver = d.receiver; f.receiver != nil && f.receiver.Base.Kind == abi.InRegister {
		live = append(live, f.receiver.Base.Reg)
	}
	if instances := b.instances(s, d, typeDepth(o)); len(instances) > 0 {
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
			if err := f.checkKeysRedacted(o.limits.Redact); err != nil {
				return fail(err)
			}
		}
	}
	if o.bound != nil {
		if f.bound, err = o.bound.check(f); err != nil {
			return fail(err)
		}
	}
	if err := b.place(f, s, code, live, o); err != nil {
		return fail(err)
	}
	if f.g = b.findG(f, d, code); f.g.Kind != probegen.GNone {
		f.schedPC = b.gOffsets().schedPC
	}
	b.findStack(f, s, d, o)
	if err := b.findResults(s, f, d, code, o); err != nil {
		return fail(err)
	}
	if err := f.checkReturn(); err != nil {
		return fail(err)
	}
	if f.countedAtReturn() && !f.pairs(o) && !o.inspect {
		return fail(f.notCounted())
	}
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
		return fail(err)
	}
	if f.pairs(o) {
		b.resultPlan(s, f, o)
	}
	return f, nil
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

// checkMachine reports whether the binary's code can run on this machine. That
// of 386 runs on amd64.
func (b *executable) checkMachine() error {
	if b.arch.GOARCH != runtime.GOARCH && (b.arch != abi.I386 || runtime.GOARCH != abi.AMD64.GOARCH) {
		return fmt.Errorf("%w: built for %s, this machine is %s", ErrArch, b.arch.GOARCH, runtime.GOARCH)
	}
	return nil
}
