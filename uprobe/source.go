package uprobe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/symbols"
)

// Source says where the signature of a function comes from.
type Source uint8

// The sources, the best first.
const (
	// SourceDWARF: the binary's debug information, or that of a debug file.
	SourceDWARF Source = iota + 1
	// SourceTypes: the type data that the Go runtime needs for reflection, which
	// is also in stripped binaries. It describes methods.
	SourceTypes
	// SourceGiven: [WithSignature].
	SourceGiven
	// SourceArgInfo: the sizes of the arguments that the compiler records for
	// tracebacks (since Go 1.17), also in stripped binaries. Arguments are shown
	// as words.
	SourceArgInfo
	// SourceNone: nothing describes the function, as with most assembly. Its
	// calls are seen, without arguments.
	SourceNone
)

var sourceText = [...]string{
	SourceDWARF: "debug information", SourceTypes: "runtime type data", SourceGiven: "as given",
	SourceArgInfo: "argument sizes", SourceNone: "none",
}

// String returns the source as argtap inspect shows it.
func (s Source) String() string {
	if s != 0 && int(s) < len(sourceText) {
		return sourceText[s]
	}
	return fmt.Sprintf("Source(%d)", uint8(s))
}

// description is what a source says of a function at its entry.
type description struct {
	source Source
	// detail names the file, if it is not the binary.
	detail string
	sig    *abi.Signature
	params []Param
	// goCode says that it is code of Go, compiled or assembly, and regs that it
	// takes arguments in registers.
	goCode, regs bool
	// why says what better sources lack.
	why string
	// dict is where the dictionary of generic code is, empty if there is none or
	// its place is not known. words are its words that have the true types of the
	// parameters, parallel to params, -1 for those that are as the code has them and
	// anyWord for those of which it is not known which word it is; resultWords are those of the results in sig.
	dict abi.Location
	// results are where the results are at a return, noResults is why that is not
	// known.
	results            func() ([]Param, error)
	noResults          string
	words, resultWords []int
	// full is the whole signature, with the blank parameters that sig may lack; nil
	// if it is not known for sure. receiver is of a wrapper that has inlined a method.
	full     *abi.Signature
	receiver *probegen.Receiver
}

// keepsG reports whether the register that the architecture has for the g holds
// it: on arm64 in all code of Go, on amd64 in what takes arguments in registers.
func (d *description) keepsG(a *abi.Arch) bool {
	return a.HasG && (d.regs || d.goCode && a == abi.ARM64)
}

// describe asks the sources in turn.
func (b *executable) describe(s symbols.Func, o *options) (*description, error) {
	if w := b.wrapped[s.Entry]; w != nil {
		return b.describeWrapper(w, o)
	}
	noDebugInfo := b.noDwarf
	var assembly *description
	if b.dwarf != nil {
		d, err := b.fromDWARF(s, o)
		switch {
		case errors.Is(err, dwarfargs.ErrNoEntry):
			noDebugInfo = err
		case err == nil && d.goCode && d.source == SourceNone:
			assembly = d
		default:
			return d, err
		}
	}
	r, err := b.record(s)
	if assembly != nil && (err != nil || !r.ok) {
		return assembly, nil
	}
	if err != nil {
		return nil, err
	}
	if !r.ok { // not of Go
		return nil, fmt.Errorf("%w: %w", ErrNoDebugInfo, noDebugInfo)
	}
	why := slices.Clone(b.refused)
	for _, from := range []func(symbols.Func, record, *options) (*description, error){
		b.fromTypes, b.fromGiven, b.fromArgInfo,
	} {
		d, err := from(s, r, o)
		var no *errNoSource
		if !errors.As(err, &no) {
			if d != nil {
				if d.why != "" {
					why = append(why, d.why)
				}
				d.why = strings.Join(why, "; ")
			}
			return d, err
		}
		if no.why != "" && !slices.Contains(why, no.why) {
			why = append(why, no.why)
		}
	}
	if assembly != nil {
		return assembly, nil
	}
	return &description{source: SourceNone, sig: &abi.Signature{}, goCode: !r.fn.Foreign, why: strings.Join(why, "; ")}, nil
}

// fromDWARF describes a function by its debug information.
func (b *executable) fromDWARF(s symbols.Func, o *options) (*description, error) {
	f, err := b.dwarf.Func(s, typeDepth(o))
	if err != nil {
		return nil, err
	}
	// What Confirm adds for parameters that the compiler does not describe says
	// how the others lie. What it holds itself is known too little to be shown.
	minor, known := b.minor()
	addsBlanks := f.BlanksMissing || known && minor < 22
	var why string
	if f.Go && !f.Assembly {
		switch err := f.Confirm(b.witness(s)); {
		case errors.Is(err, dwarfargs.ErrUnconfirmed):
			why = err.Error()
		case err != nil:
			return nil, err
		}
	}
	resolved, err := f.AtEntry(b.arch)
	if err != nil {
		return nil, err
	}
	d := &description{source: SourceDWARF, sig: f.Signature(), goCode: f.Go, regs: f.RegABI, why: why}
	if b.debugFile != nil {
		d.detail = fmt.Sprintf("%s, found by %s", b.debugFile.Path(), b.debugHow)
	}
	if f.Assembly || !f.Go && len(f.Params) == 0 {
		d.source = SourceNone
	}
	if why == "" && !(addsBlanks && hasBlanks(d.sig)) {
		d.full = d.sig
	}
	if addsBlanks {
		d.sig = withoutBlanks(d.sig)
	}
	d.results = func() ([]Param, error) { return b.dwarfResults(f) }
	d.setDict(f, b.arch, known && minor >= 20, func(name string) bool { return !addsBlanks || name != "_" })
	for _, r := range resolved {
		if addsBlanks && r.Param.Name == "_" {
			continue
		}
		d.params = append(d.params, Param{
			Name: r.Param.Name, Type: r.Param.Type, Location: r.Location, Source: r.Agreement.String(),
		})
	}
	return d, nil
}

// hasBlanks reports whether a signature has blank parameters beside its receiver. Of
// those that the debug information lacks only the sizes are known.
func hasBlanks(s *abi.Signature) bool {
	params := s.Params
	if s.Method && len(params) > 0 {
		params = params[1:]
	}
	return slices.ContainsFunc(params, func(p abi.Param) bool { return p.Name == "_" })
}

// withoutBlanks returns a signature without its blank parameters.
func withoutBlanks(s *abi.Signature) *abi.Signature {
	t := *s
	t.Method = s.Method && len(s.Params) > 0 && s.Params[0].Name != "_"
	t.Params = nil
	for _, p := range s.Params {
		if p.Name != "_" {
			t.Params = append(t.Params, p)
		}
	}
	return &t
}
