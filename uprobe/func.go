package uprobe

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// Func is a function that can be traced: its signature, where its parameters
// lie, and where it is probed. It is immutable.
type Func struct {
	name  string
	entry symbols.VirtAddr
	size  uint64
	arch  *abi.Arch
	sig   *abi.Signature
	// source is where sig and params come from, sourceDetail the file if it is
	// not the binary, and why says what better sources lack.
	source            Source
	sourceDetail, why string
	// params, inputs and plan.Params are parallel, but for the dictionary, which
	// is the last of inputs where the instances of generic code are known.
	params []Param
	inputs []capture.Input
	sites  *site.Sites
	plan   *capture.Plan
	// printers show the values of its calls.
	printers printers
	// captures are the expressions of WithCapture, nil if there are none: then
	// inputs and plan.Params are what they need.
	captures []Capture
	// where are the conditions of WithCondition.
	where []*capture.Expr
	// bound are the parameters that the func of Bind takes, by index.
	bound []int
	// offset of the entry's site in the file, of the sites of the back edges,
	// and of the call of morestack if sites.Grow is there.
	offset  symbols.FileOffset
	repeats []symbols.FileOffset
	grow    symbols.FileOffset
	// names are those of the code of funcs.
	names   *funcNames
	g       probegen.G
	schedPC int64 // offset of sched.pc in g, 0 if unknown
	// instances are those of generic code, byDict by their dictionaries, whose
	// place is dict. dicts are those whose calls are traced, unless all are.
	instances []Instance
	byDict    map[uint64]*Instance
	dict      abi.Location
	dicts     []uint64
	all       bool
	// result has the results, as the parameters of a Func of their own, noResults
	// is why they cannot be captured, "" if they can. Without [WithResults] it is
	// nil.
	result    *Func
	noResults string
	// returns are the offsets of sites.Returns in the file, returnG where the g is
	// there.
	returns []symbols.FileOffset
	returnG probegen.G
	// place is what is probed in place of the function itself, nil if nothing is.
	place *codePlace
	// uncertain says which arguments may be out of date, nil if none may.
	uncertain []bool
}

// Param is a parameter of a function: what is known of it without running the
// program.
type Param struct {
	// Name is "_" if the parameter is blank or has no name.
	Name string
	Type *abi.Type
	// Location is where the value lies when the function is entered.
	Location abi.Location
	// Source says whom the location was believed, and how the debug
	// information compared with the calling convention.
	Source string
	// moved is the pointer's type of a variable that was moved to the heap: Location
	// is where the pointer is. nil for all others.
	moved *abi.Type
	// uncertain says that the value may be out of date: see WithUncertain.
	uncertain bool
	arch      *abi.Arch
	redact    *capture.Redaction
}

// Absent returns why the whole parameter cannot be captured, and whether that
// is so. A parameter of which only parts are absent is not.
func (p Param) Absent() (reason string, absent bool) {
	if p.redact.Input(p.Name, p.Type) {
		return abi.Redacted.String(), true
	}
	var r abi.Reason
	for _, piece := range p.Location {
		if piece.Kind == abi.InRegister && p.arch.IsFloat(piece.Reg) {
			r = abi.RegisterNotReadable
			continue
		}
		if piece.Kind != abi.Nowhere {
			return "", false
		}
		r = piece.Reason
	}
	if r == abi.Present {
		return "", false
	}
	return r.String(), true
}

// LocationText returns the location in the notation of argtap inspect, such as
// "RAX:8 RBX:8" or "[CFA+0]:24".
func (p Param) LocationText() string {
	if p.moved != nil {
		return "*" + p.Location.Format(p.arch)
	}
	return p.Location.Format(p.arch)
}

// TypeName returns the type's name as %T would print it.
func (p Param) TypeName() string { return typeName(p.Type) }

// Probe is an address that is probed.
type Probe struct {
	// Addr is the virtual address in the file, Offset the file offset at which
	// the kernel puts the probe.
	Addr   symbols.VirtAddr
	Offset symbols.FileOffset
	// Instruction is the disassembly of the instruction that is probed.
	Instruction string
	// Emulated says that the kernel emulates the instruction instead of
	// executing it out of line with a single-step trap.
	Emulated bool
}

// Name returns the full name of the function.
func (f *Func) Name() string { return f.name }

// Entry returns the virtual address of the function's first instruction.
func (f *Func) Entry() symbols.VirtAddr { return f.entry }

// Size returns the size of the function's code in bytes.
func (f *Func) Size() uint64 { return f.size }

// Signature returns the function's signature.
func (f *Func) Signature() *abi.Signature { return f.sig }

// SignatureKnown reports whether anything describes the function's parameters.
// Nothing does for assembly: such a function is traced, but its calls have no
// arguments to show.
func (f *Func) SignatureKnown() bool { return f.source != SourceNone }

// Source returns where the signature comes from.
func (f *Func) Source() Source { return f.source }

// SourceDetail returns a phrase on the source: the path of the debug file, or
// what better sources lack. It is "" if there is nothing to say.
func (f *Func) SourceDetail() string {
	switch {
	case f.sourceDetail != "" && f.why != "":
		return f.sourceDetail + "; " + f.why
	case f.sourceDetail != "":
		return f.sourceDetail
	}
	return f.why
}

// Params returns the parameters in order, the receiver first.
func (f *Func) Params() []Param { return f.params }

// EntryProbe returns where the entry is probed.
func (f *Func) EntryProbe() Probe {
	e := &f.sites.Entry
	return Probe{Addr: e.Addr, Offset: f.offset, Instruction: e.Instr, Emulated: e.Emulated}
}

// Why returns a phrase that says why the entry is probed where it is.
func (f *Func) Why() string { return f.sites.Why }

// RecordSize returns the size in bytes of what is sent for one call: exact
// where no pointer, string or slice is followed, else the least and the most.
func (f *Func) RecordSize() (least, most int) { return f.plan.Fixed, f.plan.MaxRecord }

// String returns the name and the parameters with their places:
// "main.work(n int @RAX:8, s string @RBX:8 RCX:8)".
func (f *Func) String() string {
	var b strings.Builder
	b.WriteString(f.name)
	b.WriteByte('(')
	for i, p := range f.params {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s @%s", p.Name, p.TypeName(), p.LocationText())
	}
	b.WriteByte(')')
	return b.String()
}
