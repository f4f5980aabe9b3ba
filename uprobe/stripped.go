package uprobe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/arginfo"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/gosig"
	"github.com/argtap/argtap/internal/rtype"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// record is what the runtime's function table has of a function.
type record struct {
	fn symbols.TableFunc
	ok bool // there is a table, and the function is in it
	// info is the table of arguments, nil if there is none. hasInfo says that
	// the compiler writes one for functions like this: since Go 1.17, for what it
	// compiles, and for those functions in assembly, with arguments on the stack,
	// that Go code declares.
	info    *arginfo.Info
	hasInfo bool
}

// record looks a function up in the runtime's function table.
func (b *executable) record(s symbols.Func) (r record, err error) {
	table, err := b.file.Table()
	if errors.Is(err, symbols.ErrNoTable) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	fn, err := table.At(s.Entry)
	if errors.Is(err, symbols.ErrNoFunc) || err == nil && fn.Entry != s.Entry {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.fn, r.ok = fn, true
	if minor, known := b.minor(); !known || minor < 17 || fn.Foreign {
		return r, nil
	}
	at, ok, err := table.FuncData(fn, arginfo.FuncData)
	if err != nil {
		return r, err
	}
	r.hasInfo = ok || !fn.Asm
	if !ok {
		return r, nil
	}
	r.info, err = b.argInfo(at)
	return r, err
}

// argInfo reads the table of arguments at an address.
func (b *executable) argInfo(at symbols.VirtAddr) (*arginfo.Info, error) {
	// It may be the last thing of its segment.
	buf := make([]byte, arginfo.MaxLen)
	n := len(buf)
	if seg, ok := b.file.SegmentFor(at); ok {
		n = int(min(uint64(n), uint64(seg.Addr)+seg.FileSize-uint64(at)))
	}
	if err := b.file.DataAt(at, buf[:n]); err != nil {
		return nil, fmt.Errorf("argument table at %#x: %w", uint64(at), err)
	}
	info, err := arginfo.Parse(buf[:n])
	if err != nil {
		return nil, fmt.Errorf("argument table at %#x: %w", uint64(at), err)
	}
	return info, nil
}

// minor returns the minor release of Go that built the binary.
func (b *executable) minor() (minor int, known bool) {
	version, _ := b.file.GoVersion()
	minor, known = goruntime.Release(version)
	return minor, known && minor <= goruntime.Newest
}

// convention reports whether a function that no debug information describes
// takes its arguments in registers.
func (b *executable) convention(s symbols.Func, r record) (regs bool, err error) {
	version, ok := b.file.GoVersion()
	if !ok {
		return false, errors.New("the binary does not say by which Go release it was built, so the calling convention is not known")
	}
	regs, known := goruntime.RegABI(version, b.arch.GOARCH)
	switch {
	case !known:
		return false, fmt.Errorf("the calling convention of %q is not known here", version)
	case r.fn.Foreign:
		return false, errors.New("it is no Go function, and signatures are those of Go functions")
	case !regs || strings.HasSuffix(s.Name, ".abi0"):
		return false, nil
	case r.fn.Asm && !r.hasInfo:
		// cmd/internal/obj/plist.go, Flushplist: only those with arguments on
		// the stack have the table. Of the others, some take them in registers
		// (runtime.memmove).
		return false, errors.New("it is in assembly, and the binary does not say whether it takes arguments in registers")
	}
	return !r.fn.Asm, nil
}

// errNoSource says that a source does not describe a function, and why if that
// is worth knowing. The next source is asked.
type errNoSource struct{ why string }

func (e *errNoSource) Error() string { return e.why }

// fromTypes describes a method by the runtime's type data.
func (b *executable) fromTypes(s symbols.Func, r record, o *options) (*description, error) {
	if !r.ok || r.fn.Asm || !strings.Contains(s.Name, ".") {
		return nil, &errNoSource{}
	}
	types, err := b.runtimeTypes()
	if err != nil {
		return nil, &errNoSource{fmt.Sprintf("runtime type data: %v", err)}
	}
	sig, err := types.Method(s.Entry, typeDepth(o))
	if errors.Is(err, rtype.ErrNoType) {
		return nil, &errNoSource{}
	}
	if err != nil {
		return nil, &errNoSource{fmt.Sprintf("runtime type data: %v", err)}
	}
	d, err := b.fromSignature(s, r, sig)
	if err != nil {
		return nil, &errNoSource{fmt.Sprintf("runtime type data: %v", err)}
	}
	d.source = SourceTypes
	return d, nil
}

func (b *executable) runtimeTypes() (*rtype.Data, error) {
	if b.types == nil && b.noTypes == nil {
		b.types, b.noTypes = rtype.Open(b.file, b.arch)
	}
	return b.types, b.noTypes
}

// fromGiven describes a function by a signature of [WithSignature].
func (b *executable) fromGiven(s symbols.Func, r record, o *options) (*description, error) {
	given := o.givenFor(s.Name)
	if given == nil {
		return nil, &errNoSource{}
	}
	given.used = true
	text := given.text
	sig, err := gosig.Parse(text, b.arch)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	d, err := b.fromSignature(s, r, sig)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrSignature, text, err)
	}
	d.source = SourceGiven
	return d, nil
}

// fromSignature places the parameters of a signature, and compares that with
// what the compiler recorded of the function.
func (b *executable) fromSignature(s symbols.Func, r record, sig *abi.Signature) (*description, error) {
	regs, err := b.convention(s, r)
	if err != nil {
		return nil, err
	}
	minor, _ := b.minor()
	if strings.Contains(s.Name, "[...]") {
		return nil, errors.New("it is a generic function, and the binary does not say of which type arguments: it may take a hidden one")
	}
	dict, method, ok := dwarfargs.Dictionary(s.Name, minor)
	if !ok {
		return nil, errors.New("it is a closure in generic code, and the binary does not say whether it takes a hidden argument")
	}
	if sig.Dict = dict; dict != abi.NoDict {
		// Receiver or not, it is the name that decides where the dictionary is.
		sig.Method = method
	}
	assign := abi.Stack
	if regs {
		assign = abi.Internal
	}
	as, err := assign(b.arch, sig)
	if err != nil {
		return nil, err
	}
	checked, err := b.compared(s, r, sig, as, minor)
	if err != nil {
		return nil, err
	}
	d := &description{sig: sig, goCode: true, regs: regs, full: sig}
	d.results = func() ([]Param, error) {
		results := make([]Param, len(sig.Results))
		for i, p := range sig.Results {
			results[i] = Param{Name: resultName(p.Name, i), Type: p.Type, Location: as.Results[i].AtReturn(), Source: checked}
		}
		return results, nil
	}
	for i, p := range sig.Params {
		d.params = append(d.params, Param{Name: p.Name, Type: p.Type, Location: as.Params[i].AtEntry(), Source: checked})
	}
	return d, nil
}

// compared compares an assignment with what the compiler recorded. It returns
// what was compared in a phrase.
func (b *executable) compared(s symbols.Func, r record, sig *abi.Signature, as *abi.Assignment, minor int) (string, error) {
	switch {
	case r.hasInfo:
		if err := r.info.Check(arginfo.Func{Symbol: s.Name, Minor: minor, Arch: b.arch, Sig: sig, As: as}); err != nil {
			return "", err
		}
		return "sizes agree", b.savedAs(s, sig, as)
	case !r.ok || r.fn.Asm:
		return "not checked", nil
	case r.fn.Args >= 0:
		// Before Go 1.17 only the size of arguments and results is there.
		if want := as.ArgSize + as.ResultSize; int64(r.fn.Args) != want {
			return "", fmt.Errorf("arguments and results take %d bytes on the stack, the compiler recorded %d", want, r.fn.Args)
		}
		return "size agrees", nil
	}
	return "not checked", nil
}

// savedAs compares an assignment with the registers that the function saves
// before its stack grows, if it does: it tells, as sizes do not, which arguments
// are floats.
func (b *executable) savedAs(s symbols.Func, sig *abi.Signature, as *abi.Assignment) error {
	spills, err := b.spills(s)
	if err != nil {
		return err
	}
	saved := make(map[abi.CFAOffset]abi.Reg, len(spills))
	for _, sp := range spills {
		saved[sp.Slot] = sp.Reg
	}
	for i, p := range sig.Params {
		slot, ok := as.SpillSlot(i)
		if !ok {
			continue
		}
		for _, piece := range as.Params[i].AtEntry() {
			if reg, ok := saved[slot+abi.CFAOffset(piece.Offset)]; ok && reg != piece.Reg {
				return fmt.Errorf("the function takes parameter %d (%s %s) in register %s, not %s", i+1, p.Name, p.Type,
					b.arch.RegName(reg), b.arch.RegName(piece.Reg))
			}
		}
	}
	return nil
}

// fromArgInfo describes a function by the words that the compiler recorded.
func (b *executable) fromArgInfo(s symbols.Func, r record, _ *options) (*description, error) {
	if !r.ok || !r.hasInfo {
		return nil, &errNoSource{}
	}
	regs, err := b.convention(s, r)
	if err != nil {
		return nil, &errNoSource{err.Error()}
	}
	d := &description{source: SourceArgInfo, sig: &abi.Signature{}, goCode: true, regs: regs}
	if r.info == nil {
		return d, nil // it takes none
	}
	spills, err := b.spills(s)
	if err != nil {
		return nil, err
	}
	params := r.info.Params(b.arch, regs, spills)
	if minor, _ := b.minor(); arginfo.LacksFirst(s.Name, minor) {
		switch dict, _, ok := dwarfargs.Dictionary(s.Name, minor); {
		case strings.Contains(s.Name, "[...]"):
			d.why = "the compiler leaves one out, the first one or a hidden one"
		case ok && dict == abi.DictFirst: // which is no argument
		case ok && dict == abi.DictAfterReceiver && len(params) > 0:
			params[0] = arginfo.Missing() // in place of the dictionary
		default:
			params = slices.Insert(params, 0, arginfo.Missing())
		}
	}
	for i, p := range params {
		name := "_"
		if r.info.Cut && i == len(params)-1 {
			name = arginfo.Rest
		}
		d.params = append(d.params, Param{Name: name, Type: p.Type, Location: p.Location, Source: "size only"})
		d.sig.Params = append(d.sig.Params, abi.Param{Name: name, Type: p.Type})
	}
	return d, nil
}

// spills returns which registers a function saves to which places before its
// stack grows, nil if it is not known.
func (b *executable) spills(s symbols.Func) ([]arginfo.Spill, error) {
	code, err := b.file.Code(s)
	if err != nil {
		return nil, err
	}
	found, _ := site.Spills(b.arch, code, s.Entry)
	var spills []arginfo.Spill
	for _, sp := range found {
		spills = append(spills, arginfo.Spill(sp))
	}
	return spills, nil
}

// witness gathers what the binary says of a function's arguments elsewhere than
// in the debug information.
func (b *executable) witness(s symbols.Func) dwarfargs.Witness {
	w := dwarfargs.Witness{ArgsSize: -1}
	r, err := b.record(s)
	if err != nil || !r.ok {
		return w // a malformed table is as good as none
	}
	w.ArgInfo, w.ArgsSize = r.info, int64(r.fn.Args)
	w.Spills, _ = b.spills(s)
	return w
}
