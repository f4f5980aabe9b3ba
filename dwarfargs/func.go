package dwarfargs

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// Func is what DWARF says of a function.
type Func struct {
	// Name as DWARF has it: full, without a suffix for the ABI.
	Name string
	// Entry and End are the first byte of the function's code and the byte
	// after its last, as the file has it: link-time addresses.
	Entry, End symbols.VirtAddr
	// Line of the declaration, 0 if it is not known.
	Line int

	// Unit is the name of the compile unit: the import path of the package
	// that was compiled, in Go.
	Unit string
	// Producer is the compiler's own word on itself and its flags, as in
	// "Go cmd/compile go1.26.8; -N -l regabi".
	Producer string
	// Go says that it is Go code, GoVersion by which release ("go1.26.8"), ""
	// where the producer does not tell.
	Go        bool
	GoVersion string
	// KnownRelease says that this package knows what the compiler of that
	// release does: an official one from Go 1.11 to 1.27. For others, newer ones,
	// development builds and vendors' forks, the calling convention is believed
	// only where DWARF confirms it: see [Func.AtEntry].
	KnownRelease bool
	// Optimized is false for what -N has built. It is true for all that is not
	// Go: nothing tells.
	Optimized bool
	// RegABI says that the function takes its arguments by ABIInternal: the
	// compiler had a register ABI, and the symbol is not that of an ABI0
	// function.
	RegABI bool
	// Assembly says that the function is written in Go's assembly language:
	// nothing describes its parameters.
	Assembly bool
	// Wrapper says that the compiler made the function up: a method wrapper
	// (DW_AT_trampoline), a method value (-fm), a deferred call's (deferwrap,
	// gowrap), or the bridge between two ABIs.
	Wrapper bool
	// BlanksMissing says that blank and unnamed inputs are missing in Params,
	// as the compiler left them out: Go up to 1.21. A calling convention must
	// not be applied to such a signature unchecked. It is false if the names of
	// unnamed results tell that none is missing, which the compiler numbers from
	// the inputs on up to Go 1.17, and after [Func.Confirm] has succeeded.
	BlanksMissing bool
	// ResultsMissing says that results may be missing in Results: in Go 1.17
	// those that are returned in registers, since 1.23 those without a name in
	// functions that range over functions, and those of some wrappers.
	ResultsMissing bool
	// Method says that Params[0] is the receiver.
	Method bool
	// Dict is where the hidden dictionary of shaped generic code goes. It is
	// known from the name where the compiler does not mention it.
	Dict abi.DictPlace

	Params, Results []Param

	arch    *abi.Arch // nil if package abi does not know it
	release release
	// inputs is the number of inputs without the receiver, -1 if nothing tells.
	inputs int
	// anyOrder: DWARF lists parameters and results by name.
	anyOrder bool
	// receiverAdded: DWARF lacks Params[0]; the name tells that it is there.
	// receiverMissing: so does the name, but nothing has its type.
	receiverAdded, receiverMissing bool

	// Of Confirm: the possible signatures, if not nil; whether the witness
	// contradicts DWARF; whether it shows in which registers arguments are.
	candidates      []candidate
	contradicted    bool
	conventionShown bool
}

// Param is a parameter or a result.
type Param struct {
	// Name is "_" if it is blank or the source gives none. Results without a
	// name keep the compiler's: "~r0", "~r1", ….
	Name string
	// Type is never nil. Its layout is complete but for what is behind
	// pointers, or it is of kind Invalid, where the debug information has none.
	Type *abi.Type
	// TypeParam is the number of the dictionary's word that has the true type
	// of a parameter whose type is a type parameter (DW_AT_go_dict_index,
	// 0x2906); -1 for all others. Type is its shape then.
	TypeParam int

	loc     locDesc
	ev      evaluator
	low     uint64 // the function's entry
	ptr     int64
	dialect dialect
}

// At returns where DWARF says that the parameter is when the instruction at pc
// is about to run: its pieces, of which some or all may be [abi.Nowhere]. The
// location holds at pc only. It is the compiler's word, which is wrong in known
// cases: see [Func.AtEntry] for a location that can be relied on.
//
// ok is false if DWARF gives the parameter no location anywhere. If it gives
// one elsewhere, but none at pc, the value is optimised out at pc.
func (p *Param) At(pc symbols.VirtAddr) (l abi.Location, ok bool) {
	expr := p.loc.expr
	if p.loc.isList {
		if len(p.loc.list) == 0 {
			return nil, false
		}
		expr = nil
		for i := range p.loc.list {
			if e := &p.loc.list[i]; e.low <= uint64(pc) && uint64(pc) < e.high {
				expr = e.expr
				break
			}
		}
	} else if len(expr) == 0 {
		return nil, false
	}
	if p.Type.Kind == abi.Invalid && p.Type.Size == 0 {
		return abi.Absent(0, abi.UnknownType), true
	}
	ev := p.ev
	ev.atEntry = uint64(pc) == p.low
	return location(p.Type, ev.eval(expr), p.dialect, p.ptr), true
}

// Signature returns the function's signature, for a calling convention to
// place.
func (f *Func) Signature() *abi.Signature {
	conv := func(ps []Param) []abi.Param {
		out := make([]abi.Param, len(ps))
		for i := range ps {
			out[i] = abi.Param{Name: ps[i].Name, Type: ps[i].Type}
		}
		return out
	}
	return &abi.Signature{Method: f.Method, Dict: f.Dict, Params: conv(f.Params), Results: conv(f.Results)}
}

// Func returns what DWARF says of the function fn, whose Entry is what counts;
// its Name only says where to look first, and whether it is an ABI0 symbol.
// Types are read to depth pointer hops: 0 reads none of the types that
// pointers, slices, maps and channels of the parameters lead to, but leaves
// stubs (kind Invalid, with a name). [Whole] reads them all.
//
// The error is [ErrNoEntry] if DWARF has no function at fn.Entry, as for
// assembly and linker-made code, [ErrClosed], or a [*DecodeError].
func (d *Data) Func(fn symbols.Func, depth int) (*Func, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.readFunc(fn, hopsFor(depth))
	if err != nil {
		return nil, fmt.Errorf("func %s: %w", fn.Name, err)
	}
	return f, nil
}

func (d *Data) readFunc(fn symbols.Func, depth int) (*Func, error) {
	name, abi0 := strings.CutSuffix(fn.Name, ".abi0")
	u, off, err := d.subprogramAt(uint64(fn.Entry), unitNames(name))
	if err != nil {
		return nil, err
	}
	chain, err := d.origins(u, off)
	if err != nil {
		return nil, err
	}
	f := &Func{
		arch: d.arch, inputs: -1,
		Entry: fn.Entry, End: fn.End(), Unit: u.name, Producer: u.producer, Go: u.isGo(), Optimized: true,
	}
	var frameBase []byte
	for _, o := range chain {
		if f.Name == "" {
			if f.Name, err = d.str(o.u, o.e, attrName); err != nil {
				return nil, err
			}
		}
		if f.Line == 0 {
			if n := o.e.uint(attrDeclLine); n < 1<<31 {
				f.Line = int(n)
			}
		}
		f.Wrapper = f.Wrapper || o.e.uint(attrTrampoline) != 0
		if v, ok := o.e.get(attrFrameBase); ok && v.isBlock() && frameBase == nil {
			frameBase = append([]byte{}, v.b...)
		}
	}
	if high, ok, err := d.highPC(u, chain[0].e, uint64(fn.Entry)); err != nil {
		return nil, err
	} else if ok && high > uint64(fn.Entry) {
		f.End = symbols.VirtAddr(high)
	}
	if f.Go {
		f.readProducer()
		f.RegABI = f.RegABI && !abi0
		f.Wrapper = f.Wrapper || abi0 || isMadeUp(f.Name)
		if !f.Wrapper && f.Line <= 1 {
			file, err := d.declFile(chain)
			if err != nil {
				return nil, err
			}
			f.Wrapper = file == madeUp
		}
	}

	r := d.newTypeReader()
	raw, err := d.readParams(r, chain, depth)
	if err != nil {
		return nil, err
	}
	if err := r.commit(); err != nil {
		return nil, err
	}
	if f.Go && f.release.before(20) {
		for i := range raw {
			raw[i].Type = openShapes(raw[i].Type)
		}
	}
	if f.Go && len(raw) == 0 {
		// Units of assembly look like any other, and functions without
		// parameters like those of which they are not told.
		file, err := d.declFile(chain)
		if err != nil {
			return nil, err
		}
		// Wrappers have no file; those that are plain functions are assembly's,
		// such as runtime.call16.
		_, declared := chain[0].e.get(attrDeclFile)
		_, plain := splitPackage(f.Name)
		stub := len(chain) == 1 && !declared && !strings.ContainsAny(plain, ".·-[")
		if f.Assembly = strings.HasSuffix(file, ".s") || stub; f.Assembly {
			f.RegABI = false
		}
	}
	ev := evaluator{order: d.order, addrSize: u.addrSize, frameBase: frameBase}
	dict := false
	for i := range raw {
		p := &raw[i]
		p.ev, p.low, p.ptr = ev, uint64(fn.Entry), d.ptrSize
		p.dialect = dialect{isGo: f.Go, split: f.Go && f.Optimized && p.loc.isList}
		switch {
		case p.result:
			f.Results = append(f.Results, p.Param)
		case f.Go && p.Name == ".dict":
			dict = true
		case f.Go && strings.HasPrefix(p.Name, "."):
			// .closureptr and the like are the compiler's, and no arguments.
		default:
			f.Params = append(f.Params, p.Param)
		}
	}
	if f.Go && !f.Assembly {
		if f.ResultsMissing, err = d.resultsMissing(f, chain); err != nil {
			return nil, err
		}
		f.anyOrder = f.release.minor == 11
		if err := d.addReceiver(f); err != nil {
			return nil, err
		}
		f.place(dict)
		f.countInputs()
	}
	return f, nil
}

// place decides on method and dictionary, which the name tells.
func (f *Func) place(dict bool) {
	n := parseName(f.Name)
	f.Method = n.recv != "" && !f.closureLike(n)
	if !dict && !n.shaped {
		return
	}
	f.Dict = abi.DictFirst
	if f.Method && !f.release.before(20) {
		f.Dict = abi.DictAfterReceiver
	}
}

// closureLike reports whether what looks like a method by its name is none:
// its first parameter is not of the type.
func (f *Func) closureLike(n funcName) bool {
	if len(f.Params) == 0 {
		return true
	}
	return !n.isReceiver(f.Params[0].Type)
}

// isReceiver reports whether a receiver of the method can be of type t.
func (n *funcName) isReceiver(t *abi.Type) bool {
	have := t.Name
	if isPtr := strings.HasPrefix(have, "*"); isPtr != n.ptr {
		return false
	}
	have = stripTypeArgs(strings.TrimPrefix(have, "*"))
	return have == n.recv || strings.HasSuffix(have, "."+n.recv)
}

// goProducer takes apart what cmd/link writes (ld/dwarf.go, "Go cmd/compile "):
// the version, and the flags of cmd/internal/dwarf: "-N", "-l", "-shared",
// "regabi". ok is false for another compiler.
func goProducer(producer string) (version, flags string, ok bool) {
	rest, ok := strings.CutPrefix(producer, "Go cmd/compile ")
	if !ok {
		return "", "", false
	}
	version, flags, _ = strings.Cut(rest, ";")
	switch v := strings.Fields(version); {
	case len(v) > 1 && v[0] == "devel":
		version = v[0] + " " + v[1]
	case len(v) > 0:
		version = v[0]
	default:
		version = ""
	}
	return version, flags, true
}

// readProducer notes the release and how it was asked to compile.
func (f *Func) readProducer() {
	version, flags, ok := goProducer(f.Producer)
	if !ok {
		return
	}
	f.GoVersion = version
	f.release = parseRelease(version)
	for _, flag := range strings.Fields(flags) {
		switch flag {
		case "-N":
			f.Optimized = false
		case "regabi":
			f.RegABI = true
		}
	}
	f.BlanksMissing = f.release.before(22)
	f.KnownRelease = f.release.known()
}
