package uprobe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// paired returns the options for a function of which whole calls are traced.
func (o *options) paired() *options {
	p := *o
	p.limits.Pair = true
	return &p
}

// pairs reports whether entry and return of the function are joined.
func (f *Func) pairs(o *options) bool {
	return (o.results || f.countedAtReturn()) && f.noResults == ""
}

// pairsNow reports whether entry and return of the function, which is traced, are
// joined.
func (f *Func) pairsNow() bool { return f.plan.Pair != 0 }

// resultName is the name of the i-th result: as in debuggers if it has none.
func resultName(name string, i int) string {
	if name == "" || name == "_" || strings.HasPrefix(name, "~") {
		return fmt.Sprintf("~r%d", i)
	}
	return name
}

// resultNumber is the number that the compiler gives a result without a name, ok
// only if it has one. Up to Go 1.17 it counts them on from the parameters
// (cmd/compile/internal/gc/dcl.go, funcargs).
func resultNumber(name string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(name, "~r")
	if !ok {
		digits, ok = strings.CutPrefix(name, "~b")
	}
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil
}

// inNumberedOrder sorts results that all have a number by it: up to Go 1.16 the debug
// information has them by where they are, or by their names, ~r10 before ~r9.
func inNumberedOrder(results []dwarfargs.Resolved) {
	for i := range results {
		if _, ok := resultNumber(results[i].Param.Name); !ok {
			return
		}
	}
	slices.SortStableFunc(results, func(a, b dwarfargs.Resolved) int {
		m, _ := resultNumber(a.Param.Name)
		n, _ := resultNumber(b.Param.Name)
		return m - n
	})
}

// missingResult stands for results that the debug information may leave out, or that
// nothing describes.
const missingResult = "?"

func missing(why abi.Reason) Param {
	t := &abi.Type{Name: missingResult, Kind: abi.Uint8, Size: 1, Align: 1}
	return Param{Name: missingResult, Type: t, Location: abi.Absent(t.Size, why), Source: "missing"}
}

// dwarfResults returns the results as the debug information describes them.
func (b *executable) dwarfResults(f *dwarfargs.Func) ([]Param, error) {
	resolved, err := f.AtReturn(b.arch)
	if err != nil {
		return nil, err
	}
	inNumberedOrder(resolved)
	var results []Param
	for i, r := range resolved {
		name := resultName(r.Param.Name, i)
		if n, ok := resultNumber(r.Param.Name); ok && f.ResultsMissing {
			// Nothing tells how many are missing before it: this is the compiler's.
			name = fmt.Sprintf("~r%d", n)
		}
		results = append(results, Param{Name: name, Type: r.Param.Type, Location: r.Location, Source: r.Agreement.String()})
	}
	if f.ResultsMissing {
		results = append(results, missing(abi.HiddenParameter))
	}
	return results, nil
}

// findResults works out where the results of a function are, and whether a return
// can be joined with its entry.
func (b *executable) findResults(s symbols.Func, f *Func, d *description, code []byte, o *options) error {
	if !o.results && !f.countedAtReturn() && !o.inspect {
		return nil
	}
	f.result = &Func{
		name: f.name, arch: f.arch, sig: f.sig, source: f.source, printers: f.printers, names: f.names, sites: f.sites,
	}
	switch {
	case !d.goCode:
		f.noResults = "it is no Go function"
	case f.countedAtReturn():
		// Expressions have what there is to know of the results.
	case d.noResults != "":
		f.noResults = d.noResults
	case (d.results == nil || d.source == SourceNone) && b.inAssembly(s):
		f.noResults = "nothing describes its results, as it is in assembly"
	case d.results == nil || d.source == SourceNone:
		// How long calls take and how they end is known all the same.
		f.result.setResults([]Param{missing(abi.UnknownType)}, b, o)
	default:
		results, err := d.results()
		if err != nil {
			return err
		}
		f.result.setResults(results, b, o)
	}
	if f.noResults != "" {
		return nil
	}
	sites := f.sites
	if o.first {
		var err error
		if sites, err = site.FindIn(b.arch, code, s.Entry, nil, b.file.ConstantAt); err != nil {
			return err
		}
	}
	for _, r := range sites.Returns {
		off, err := b.file.FileOffset(r.Addr)
		if err != nil {
			return err
		}
		f.returns = append(f.returns, off)
	}
	f.result.sites = sites
	f.frames = &frameSizes{b.file, map[symbols.VirtAddr]uint64{}}
	f.returnG = b.findReturnG(s, d, code)
	switch {
	case len(sites.Returns) == 0 && sites.TailJumps > 0:
		f.noResults = "it has no return: it ends in a jump to another function"
	case len(sites.Returns) == 0 && (f.countedAtReturn() && !f.aggregated.program.Unwinds || !b.panics(s, code)):
		f.noResults = "it has no return: it never ends, or only by a panic"
	case f.g.Kind == probegen.GNone || f.returnG.Kind == probegen.GNone:
		f.noResults = "nothing tells its goroutine at a return"
	case b.gOffsets().goid == 0:
		f.noResults = "where the runtime keeps the goroutine's ID is not known of this Go release"
	}
	return nil
}

// setResults makes the results the parameters of f.
func (f *Func) setResults(results []Param, b *executable, o *options) {
	f.params, f.inputs = nil, nil
	for _, p := range results {
		f.inputs = append(f.inputs, capture.Input{Name: p.Name, Type: p.Type, Location: b.readable(p.Location)})
		p.arch, p.redact = b.arch, o.limits.Redact
		f.params = append(f.params, p)
	}
}

// findReturnG says where the g is at a return: registers that the entry's stack
// check has loaded hold something else by then.
func (b *executable) findReturnG(s symbols.Func, d *description, code []byte) probegen.G {
	switch {
	case d.keepsG(b.arch):
		return probegen.G{Kind: probegen.GRegister, Reg: b.arch.G}
	case b.arch == abi.AMD64, b.arch == abi.I386:
		return b.threadG(code, s.Entry)
	}
	return probegen.G{}
}

// resultPlan makes the plan of the results: a walk where a static plan would leave
// something out.
func (b *executable) resultPlan(s symbols.Func, f *Func, o *options) {
	r := f.result
	plain := *o
	plain.limits.Stack = 0 // that is the entry's
	o = &plain
	defer func() { r.plan.Goroutine = b.gOffsets().goid }()
	if f.aggregated != nil {
		r.params, r.inputs = nil, nil
		r.plan = capture.Build(b.arch, nil, o.limits)
		return
	}
	r.plan = capture.Build(b.arch, r.inputs, o.limits)
	whole := true
	for i := range f.instances {
		in := &f.instances[i]
		var w bool
		in.resultPlan, w = capture.Retype(b.arch, r.plan, r.inputs, in.resultTypes(r), o.limits)
		whole = whole && w
	}
	if whole && !r.plan.Lacks(o.limits) {
		return
	}
	deep := *o
	deep.whole = true
	d, err := b.describe(s, &deep)
	if err != nil || d.results == nil {
		o.log.Info("types of results cannot be read to their ends", "func", s.Name, "err", err)
		return
	}
	results, err := d.results()
	if err != nil || len(results) != len(r.params) {
		o.log.Info("types of results cannot be read to their ends", "func", s.Name, "err", err)
		return
	}
	inputs := slices.Clone(r.inputs)
	for i := range results {
		inputs[i].Type = results[i].Type
	}
	r.inputs = inputs
	b.needWalkTypes(o)
	r.plan = capture.BuildWalk(b.arch, inputs, o.limits, b.walkTypes)
	if len(f.instances) == 0 {
		return
	}
	dicts := make([]symbols.Dictionary, len(f.instances))
	for i := range f.instances {
		dicts[i] = f.instances[i].dict
	}
	wholeTypes := b.instancesOf(s, d, dicts, wholeTypes)
	for i := range f.instances {
		in := &f.instances[i]
		in.resultPlan = nil
		if k := slices.IndexFunc(wholeTypes, func(w Instance) bool { return w.dict.Addr == in.dict.Addr }); k >= 0 {
			in.resultPlan = capture.BuildWalk(b.arch, capture.Retyped(inputs, wholeTypes[k].resultTypes(r)), o.limits, b.walkTypes)
		}
	}
}

// resultTypes returns the true types of results, parallel to those of r, nil for
// those that are as the code has them.
func (in *Instance) resultTypes(r *Func) []*abi.Type {
	types := make([]*abi.Type, len(r.params))
	copy(types, in.results)
	return types
}

// witness is a function of the runtime that tells how calls end without a return.
type witness struct {
	role probegen.Role
	fn   *Func
	// panics is where the runtime keeps the panics under way, nil if it is not
	// known.
	panics *goruntime.PanicLayout
}

// findWitnesses finds those of the binary. Where one is missing, calls are counted
// as abandoned that it would tell more of.
func (b *executable) findWitnesses(o *options) (found []witness) {
	for _, w := range []struct {
		name string
		role probegen.Role
	}{
		{"runtime.gopanic", probegen.RolePanic},
		{"runtime.fatalpanic", probegen.RoleFatal},
		{"runtime.Goexit", probegen.RoleExit},
		// A function goes on behind a panic with a call of this one.
		{"runtime.deferreturn", probegen.RoleUnwound},
	} {
		f, err := b.witnessed(w.name, w.role, o)
		if err != nil {
			missing := errors.Is(err, symbols.ErrNoFunc)
			if missing {
				o.log.Info("how calls end is told less well", "func", w.name, "err", err)
			} else {
				o.log.Warn("calls that do not return, and those that recover, are told less well", "func", w.name, "err", err)
			}
			// A program that does not use Goexit does not have it.
			b.unwitnessed = b.unwitnessed || w.role != probegen.RoleExit || !missing
			continue
		}
		found = append(found, witness{w.role, f, b.panicLayout()})
	}
	return found
}

func (b *executable) witnessed(name string, role probegen.Role, o *options) (*Func, error) {
	s, err := b.file.Lookup(name)
	if err != nil {
		return nil, err
	}
	plain := &options{log: o.log}
	d, err := b.describe(s, plain)
	if err != nil && b.dwarf != nil {
		// What the debug information tells of it is not needed.
		broken := b.dwarf
		b.dwarf = nil
		d, err = b.describe(s, plain)
		b.dwarf = broken
	}
	if err != nil {
		return nil, err
	}
	code, err := b.file.Code(s)
	if err != nil {
		return nil, err
	}
	f := &Func{name: name, entry: s.Entry, size: s.Size, arch: b.arch, sig: d.sig, source: d.source}
	var live []abi.Reg
	switch {
	case role == probegen.RolePanic && o.aggregate != nil: // its value does not matter
	case role == probegen.RolePanic:
		live = b.panicInput(f, s, d, o)
	case role == probegen.RoleUnwound && b.arch.HasLink:
		live = []abi.Reg{b.arch.Link}
	}
	if err := b.place(f, s, code, live, plain); err != nil {
		return nil, err
	}
	if f.g = b.findG(f, d, code); f.g.Kind == probegen.GNone {
		f.g = b.findReturnG(s, d, code) // it has no stack check
	}
	if f.g.Kind == probegen.GNone || b.gOffsets().goid == 0 {
		return nil, errors.New("nothing tells its goroutine")
	}
	f.plan = capture.Build(b.arch, nil, capture.Limits{Pair: true})
	if role == probegen.RolePanic && o.aggregate == nil {
		b.panicPlan(f, o)
	}
	f.plan.Goroutine = b.gOffsets().goid
	return f, nil
}
