package arginfo

import (
	"errors"
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
)

// Func is a function as a source other than its table describes it.
type Func struct {
	// Symbol is the function's name in the symbol table or the runtime's
	// function table. It matters whether it has type arguments, in full or as
	// "[...]".
	Symbol string
	// Minor is the minor number of the Go release that compiled it, 0 if it is
	// not known; such a function counts as compiled by a new one.
	Minor int
	Arch  *abi.Arch
	// Sig and As are the signature, with dictionary if there is one, and its
	// assignment by the convention of the function.
	Sig *abi.Signature
	As  *abi.Assignment
}

// ErrMismatch is the error of [Info.Check] if the table is not that of the
// signature.
var ErrMismatch = errors.New("the compiler recorded other arguments")

// Check compares the table with the one that the compiler writes for f. It
// returns nil if they are the same, and an error that is [ErrMismatch] and
// names the first difference if not. A nil Info stands for a function without
// table, which is right if it has no arguments.
//
// The tables agree on sizes, grouping and number of the arguments, on which
// have places on the stack and which spill slots, and thereby on the order of
// both. They do not tell floats from integers, and nothing behind the tenth
// component.
func (in *Info) Check(f Func) error {
	want, err := Expect(f)
	if err != nil {
		return err
	}
	switch {
	case want == nil && (in == nil || len(in.Components) == 0):
		return nil // assembly has a table for a declaration without arguments, too
	case in == nil:
		return fmt.Errorf("func %s: %w: none, not [%s]", f.Symbol, ErrMismatch, want)
	case want == nil:
		return fmt.Errorf("func %s: %w: [%s], not none", f.Symbol, ErrMismatch, in)
	}
	if d := difference(in.Components, want.Components); d != "" {
		return fmt.Errorf("func %s: %w: [%s], not [%s]: argument %s", f.Symbol, ErrMismatch, in, want, d)
	}
	return nil
}

// difference describes where two lists of components differ first, "" if they
// do not.
func difference(have, want []Component) string {
	for i := range max(len(have), len(want)) {
		switch {
		case i == len(have):
			return fmt.Sprintf("%d: missing, not %s", i+1, want[i])
		case i == len(want):
			return fmt.Sprintf("%d: %s, not missing", i+1, have[i])
		}
		h, w := &have[i], &want[i]
		if h.Kind == Group && w.Kind == Group {
			if d := difference(h.Elems, w.Elems); d != "" {
				return fmt.Sprintf("%d, component %s", i+1, d)
			}
			continue
		}
		if h.Kind != w.Kind || h.Offset != w.Offset || h.Size != w.Size {
			return fmt.Sprintf("%d: %s, not %s", i+1, h, w)
		}
	}
	return ""
}

// Expect returns the table that the compiler writes for f, nil if it writes
// none because f has no arguments. It fails for types that were not read
// completely.
//
// From Go 1.18 on the compiler leaves out the first argument of functions with
// "[" in their name. That is meant for the dictionary of shaped generic code,
// but hits the receivers of shaped methods since Go 1.20, the first argument of
// closures in generic code and of wrappers of instantiated types, and that of
// the equality function of an array type.
func Expect(f Func) (*Info, error) {
	args, err := arguments(f)
	if err != nil {
		return nil, fmt.Errorf("func %s: %w", f.Symbol, err)
	}
	if len(args) == 0 {
		return nil, nil
	}
	if LacksFirst(f.Symbol, f.Minor) {
		args = args[1:]
	}
	e := emitter{ptrSize: f.Arch.PtrSize}
	for _, a := range args {
		if !e.visit(&e.root, a.t, a.offset, 0) {
			break
		}
	}
	if e.err != nil {
		return nil, fmt.Errorf("func %s: %w", f.Symbol, e.err)
	}
	in := &Info{Components: e.root}
	if n := len(e.root); n > 0 && e.root[n-1].Kind == More {
		in.Cut = true
	}
	return in, nil
}

// LacksFirst reports whether the compiler leaves the first argument out of the
// table of the function that is called symbol: see [Expect].
func LacksFirst(symbol string, minor int) bool {
	return strings.Contains(symbol, "[") && (minor == 0 || minor >= 18)
}

// argument is an argument with the place that the table gives it.
type argument struct {
	t      *abi.Type
	offset int64
}

// arguments returns all arguments in the order of the assignment.
func arguments(f Func) ([]argument, error) {
	if len(f.As.Params) != len(f.Sig.Params) {
		return nil, fmt.Errorf("assignment of %d parameters for a signature of %d", len(f.As.Params), len(f.Sig.Params))
	}
	args := make([]argument, 0, len(f.Sig.Params)+1)
	add := func(t *abi.Type, l abi.EntryLocation, slot abi.CFAOffset, spilled bool) {
		a := argument{t: t}
		if at := l.AtEntry(); spilled {
			a.offset = int64(slot - f.Arch.ArgBase)
		} else if len(at) > 0 {
			a.offset = int64(at[0].CFA - f.Arch.ArgBase)
		} // else it has no bytes, and no offset that would be written
		args = append(args, a)
	}
	dict := func() {
		slot, spilled := f.As.DictSpillSlot()
		add(&abi.Type{Kind: abi.Uintptr, Size: f.Arch.PtrSize}, f.As.Dict, slot, spilled)
	}
	if f.Sig.Dict == abi.DictFirst {
		dict()
	}
	for i, p := range f.Sig.Params {
		slot, spilled := f.As.SpillSlot(i)
		add(p.Type, f.As.Params[i], slot, spilled)
		if i == 0 && f.Sig.Dict == abi.DictAfterReceiver {
			dict()
		}
	}
	return args, nil
}

// emitter does what EmitArgInfo does.
type emitter struct {
	ptrSize int64
	root    []Component
	n       int // components so far
	err     error
}

// visit adds a value of type t at the given offset to the list, and returns
// whether there is room for more.
func (e *emitter) visit(list *[]Component, t *abi.Type, offset int64, depth int) bool {
	if e.n >= limit {
		*list = append(*list, Component{Kind: More})
		return false
	}
	if t == nil || t.Kind == abi.Invalid || t.Kind > abi.UnsafePointer {
		e.err = fmt.Errorf("type %s: layout not known", t)
		return false
	}
	words, size := int64(0), e.ptrSize
	switch t.Kind {
	case abi.String, abi.Interface:
		words = 2
	case abi.Slice:
		words = 3
	case abi.Complex64, abi.Complex128:
		words, size = 2, t.Size/2
	case abi.Array:
	case abi.Struct:
		if simd(t) {
			return e.value(list, offset, t.Size)
		}
	default:
		return e.value(list, offset, t.Size)
	}

	*list = append(*list, Component{Kind: Group})
	elems := &(*list)[len(*list)-1].Elems
	if depth++; depth >= maxDepth {
		*elems = []Component{{Kind: More}}
		e.n++
		return true
	}
	switch {
	case words > 0:
		word := &abi.Type{Kind: abi.Uintptr, Size: size}
		for i := range words {
			if !e.visit(elems, word, offset+i*size, depth) {
				break
			}
		}
	case t.Kind == abi.Array && t.Len == 0 || t.Kind == abi.Struct && len(t.Fields) == 0:
		e.n++ // {} counts
	case t.Kind == abi.Array:
		// Every element is a component at least, so this ends soon.
		for range t.Len {
			if !e.visit(elems, t.Elem, offset, depth) {
				break
			}
			offset += t.Elem.Size
		}
	default:
		for i := range t.Fields {
			if !e.visit(elems, t.Fields[i].Type, offset+t.Fields[i].Offset, depth) {
				break
			}
		}
	}
	return e.err == nil
}

func (e *emitter) value(list *[]Component, offset, size int64) bool {
	if offset >= special {
		*list = append(*list, Component{Kind: TooFar})
	} else {
		*list = append(*list, Component{Kind: Value, Offset: offset, Size: int(size)})
	}
	e.n++
	return true
}

// simd reports whether t is a vector type of GOEXPERIMENT=simd, which counts as
// one value (isStructNotSIMD in cmd/compile/internal/ssagen, Go 1.26): a struct
// whose first field is a marker (simdify in cmd/compile/internal/types/size.go).
func simd(t *abi.Type) bool {
	if len(t.Fields) == 0 || t.Fields[0].Type == nil {
		return false
	}
	switch t.Fields[0].Type.Name {
	case "simd/archsimd.v128", "simd/archsimd.v256", "simd/archsimd.v512":
		return true
	}
	return false
}
