package dwarfargs

import (
	"errors"
	"strings"

	"github.com/argtap/argtap/abi"
)

// addReceiver adds the receiver of a method that DWARF describes without one:
// up to Go 1.21 those of wrappers, whose name is ".this"
// (cmd/compile/internal/gc/subr.go, genwrapper), and blank ones. That there is a
// receiver, and of which type, the function's name tells. Where the type is not
// in the debug information, nothing is added, and [Func.Confirm] is to tell.
func (d *Data) addReceiver(f *Func) error {
	n := parseName(f.Name)
	if !f.BlanksMissing || n.recv == "" || !f.closureLike(n) {
		return nil
	}
	if f.release.before(17) {
		// Perhaps it has only been moved: see stackArea.
		for i := range f.Params {
			p := &f.Params[i]
			if (p.Type.Size == 0 || f.anyOrder) && n.isReceiver(p.Type) {
				moved := *p
				copy(f.Params[1:i+1], f.Params[:i])
				f.Params[0] = moved
				return nil
			}
		}
	}
	name := receiverType(f.Name)
	p := Param{Name: "_", TypeParam: -1, low: uint64(f.Entry), ptr: d.ptrSize, dialect: dialect{isGo: true}}
	if n.ptr {
		p.Type = &abi.Type{Name: "*" + name, Kind: abi.Pointer, Size: d.ptrSize, Align: d.ptrSize, Elem: &abi.Type{Name: name}}
	} else {
		t, err := d.typeNamed(name, 0, isTypeTag)
		if errors.Is(err, ErrNoEntry) {
			f.receiverMissing = true
			return nil
		}
		if err != nil {
			return err
		}
		p.Type = t
	}
	f.Params = append([]Param{p}, f.Params...)
	f.receiverAdded = true
	return nil
}

// isTypeTag reports whether a DIE with that tag is a type that can have methods.
func isTypeTag(t tag) bool {
	switch t {
	case tagBaseType, tagStructureType, tagArrayType, tagTypedef, tagSubroutineType, tagPointerType:
		return true
	}
	return false
}

// resultsMissing reports whether results of f can be missing in DWARF, other
// than at the end.
//
// Go 1.17 leaves out those that are returned in registers and that nothing
// keeps in memory, unless the function is inlined somewhere: its abstract
// instance has them (cmd/compile/internal/dwarfgen, createDwarfVars; golang/go
// issue 48573).
//
// From 1.23 on, and in 1.22 as an experiment, results without a name, or with a
// blank one, get the names #rv1, #rv2, … if a loop that ranges over a function
// returns from f (cmd/compile/internal/types2, RenameResult), and what begins
// with # is not described (cmd/compile/internal/ssa, IsVarWantedForDebug). Then
// f has no result, or only named ones. The loops show by their bodies, which are
// functions called f-range1, inlined or not; but not if nothing is left of them.
func (d *Data) resultsMissing(f *Func, chain []origin) (bool, error) {
	if f.release.before(22) {
		return f.release.minor == 17 && f.RegABI && len(chain) == 1, nil
	}
	for i := range f.Results {
		if strings.HasPrefix(f.Results[i].Name, "~") {
			return false, nil
		}
	}
	for _, o := range chain {
		if found, err := d.mentions(o.u, f.Name+"-range1"); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// countInputs finds out how many inputs the function has. Up to Go 1.17 unnamed
// and blank results have names with a number that begins behind the last input,
// the receiver not counted, and grows with each such result
// (cmd/compile/internal/gc/dcl.go, funcargs; since 1.17 in typecheck).
func (f *Func) countInputs() {
	if !f.release.before(18) || f.receiverMissing {
		return
	}
	for i := range f.Results {
		name := f.Results[i].Name
		for _, prefix := range []string{"~r", "~b"} {
			if digits, ok := strings.CutPrefix(name, prefix); ok {
				if n, rest := number(digits); n >= 0 && rest == "" && (f.inputs < 0 || n < f.inputs) {
					f.inputs = n
				}
			}
		}
	}
	if n, told := f.compareInputs(len(f.Params)); !told || n != 0 || f.arch == nil {
		return
	}
	if !f.release.before(17) {
		f.BlanksMissing = false
		return
	}
	// All parameters are there. Their order is another matter.
	plain := f.plain()
	if all, err := f.stacked(f.arch, &plain, -1); err == nil && len(all) > 0 {
		f.BlanksMissing = false
		f.adopt(all)
	}
}
