package dwarfargs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
)

// Witness is what a file tells of a function's arguments elsewhere than in
// DWARF. All of it survives stripping.
type Witness struct {
	// ArgInfo is the function's argument table, which Go writes since 1.17 for
	// every function with arguments; nil if there is none, or if it is not known.
	ArgInfo *arginfo.Info
	// ArgsSize is _func.args of the runtime's function table: the bytes of the
	// caller's frame that belong to the call, for stack-assigned arguments and
	// results and for spill slots. It is negative if it is not known; the table
	// itself has such a number for some functions in assembly.
	ArgsSize int64
	// Spills are the argument registers that the function saves before its stack
	// grows, and where; nil if they are not known.
	Spills []arginfo.Spill
}

// ErrUnconfirmed: nothing tells that the parameters that DWARF describes are all
// that the function has.
var ErrUnconfirmed = errors.New("signature not confirmed")

// Confirm holds the signature that DWARF gives against what else the file
// tells. It is for the functions of which DWARF leaves parameters out
// ([Func.BlanksMissing], closures in generic code), and of releases that this
// package does not know; for all others it is one more check.
//
// If the witness agrees, the signature is believed, and [Func.AtEntry] gives
// more places. If the witness has more parameters than DWARF, and shows
// where, they are added to Params: blank, of a type that stands for what is
// known of them. If there are several possibilities, AtEntry gives what they
// have in common.
//
// The error is [ErrUnconfirmed], with the reason, if nothing is known, or if
// the witness contradicts DWARF: then no parameter is believed that DWARF does
// not place itself.
//
// It changes f, and is to be called before f is used otherwise.
func (f *Func) Confirm(w Witness) error {
	if !f.Go || f.Assembly || len(f.Params)+len(f.Results) > maxHidden {
		return nil
	}
	a := f.arch
	if a == nil {
		return fmt.Errorf("func %s: %w: architecture not supported", f.Name, ErrUnconfirmed)
	}
	if w.ArgsSize < 0 || w.ArgsSize > math.MaxInt32 {
		w.ArgsSize = -1
	}
	if w.ArgInfo == nil && w.ArgsSize < 0 && w.Spills == nil {
		if f.BlanksMissing {
			return fmt.Errorf("func %s: %w: its compiler leaves out blank parameters, and the file has no table that shows them", f.Name, ErrUnconfirmed)
		}
		return nil
	}
	all, err := f.witnessed(a, &w)
	if err != nil {
		f.contradicted = true
		return fmt.Errorf("func %s: %w: %w", f.Name, ErrUnconfirmed, err)
	}
	if all, err = f.notFar(a, all); err != nil {
		return err
	}
	if len(all) == 0 {
		f.contradicted = true
		return fmt.Errorf("func %s: %w: the arguments that the file has a record of are others than %s", f.Name, ErrUnconfirmed, f.Signature())
	}
	f.BlanksMissing = false
	// Up to Go 1.21 only wrappers lack any, but for what resultsMissing says of 1.17.
	if !f.release.before(22) || f.Wrapper {
		f.ResultsMissing = f.ResultsMissing || slices.ContainsFunc(all, func(c candidate) bool { return c.resultsMissing })
	}
	f.conventionShown = len(w.Spills) > 0
	f.adopt(all)
	return nil
}

// witnessed returns the signatures that the function can have by DWARF and by
// the witness.
func (f *Func) witnessed(a *abi.Arch, w *Witness) ([]candidate, error) {
	var all []candidate
	var first error
	for _, base := range f.variants(a) {
		some := []candidate{base}
		var err error
		switch {
		case f.release.before(17):
			some, err = f.stacked(a, &base, w.ArgsSize)
		case w.ArgInfo != nil:
			some, err = f.embed(a, &base, w, f.mayHide())
		}
		if err != nil {
			first = err
		}
		for i := range some {
			if some[i].hasGuess {
				if f.mayAgree(a, &some[i], w) {
					all = append(all, some[i])
				}
				continue
			}
			if ok, err := f.agrees(a, &some[i], w); err != nil {
				first = err
			} else if ok {
				all = append(all, some[i])
			}
		}
		// A variant that is only there in case that the plain one is wrong is not
		// tried if that is right.
		if len(all) > 0 && !f.isGenericClosure() {
			break
		}
	}
	if len(all) > 0 {
		first = nil
	}
	return all, first
}

// variants returns the signatures that are possible without hidden parameters,
// the one that DWARF has first: see [Func.placements] for closures in generic
// code. A first parameter that is of the receiver's type need not be the
// receiver, where that is blank and left out.
func (f *Func) variants(a *abi.Arch) []candidate {
	plain := f.plain()
	all := []candidate{plain}
	switch {
	case f.isGenericClosure():
		for i := range len(f.Params) + 1 {
			all = append(all, plain.insert(i, abi.Param{Name: ".dict", Type: dictType(a)}))
		}
	case f.BlanksMissing && f.Method && !f.receiverAdded && len(f.Params) > 0:
		all = append(all, plain.insert(0, abi.Param{Name: "_", Type: f.Params[0].Type}))
	}
	return all
}

// plain returns the signature as DWARF has it.
func (f *Func) plain() candidate {
	c := candidate{sig: f.Signature(), at: make([]int, len(f.Params))}
	for i := range c.at {
		c.at[i] = i
	}
	if f.isGenericClosure() {
		c.sig.Dict = abi.NoDict
	}
	if rangeBody(f.Name) && len(f.Results) == 0 {
		// It tells whether the loop goes on, by a result that DWARF leaves out.
		c.sig.Results = []abi.Param{{Name: "_", Type: &abi.Type{Name: "bool", Kind: abi.Bool, Size: 1, Align: 1}}}
	}
	return c
}

// isGenericClosure reports whether the function is a closure in generic code,
// or the body of a loop there.
func (f *Func) isGenericClosure() bool {
	return strings.Contains(f.Name, "[go.shape.") && !parseName(f.Name).shaped
}

// insert returns the candidate with one more parameter, before the i-th.
func (c *candidate) insert(i int, p abi.Param) candidate {
	sig := *c.sig
	sig.Params = slices.Insert(slices.Clone(sig.Params), i, p)
	at := slices.Clone(c.at)
	for j := range at {
		if at[j] >= i {
			at[j]++
		}
	}
	return candidate{sig: &sig, at: at}
}

// dictType stands for the dictionary's type where it is passed like any other
// parameter.
func dictType(a *abi.Arch) *abi.Type {
	return &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: a.PtrSize, Align: a.PtrSize}
}

// convention returns the calling convention of the function.
func (f *Func) convention() func(*abi.Arch, *abi.Signature) (*abi.Assignment, error) {
	if f.RegABI {
		return abi.Internal
	}
	return abi.Stack
}

// adopt takes the candidates over. If there is only one, its hidden parameters
// become visible.
func (f *Func) adopt(all []candidate) {
	f.candidates = all
	c := &all[0]
	if len(all) == 1 && c.results != nil {
		results := make([]Param, len(c.results))
		for i, j := range c.results {
			results[i] = f.Results[j]
		}
		f.Results, c.results = results, nil
	}
	if len(all) > 1 || len(c.sig.Params) == len(f.Params) && slices.IsSorted(c.at) || f.isGenericClosure() {
		return
	}
	params := make([]Param, len(c.sig.Params))
	at := make([]int, len(params))
	var unsure []bool
	if c.unsure != nil {
		unsure = make([]bool, len(params))
	}
	for i, p := range c.sig.Params {
		at[i] = i
		params[i] = Param{Name: p.Name, Type: p.Type, TypeParam: -1, ptr: f.arch.PtrSize, dialect: dialect{isGo: true}}
	}
	for i, j := range c.at {
		params[j] = f.Params[i]
		if c.unsure != nil {
			unsure[j] = c.unsure[i]
		}
	}
	f.Params, c.at, c.unsure = params, at, unsure
}

// rangeBody reports whether the compiler made the function of a loop's body
// (range over functions, Go 1.23). It lacks the last parameters in DWARF, those
// that the source gives no name; that moves none of the others.
func rangeBody(name string) bool {
	i := strings.LastIndex(name, "-range")
	return i >= 0 && strings.Trim(name[i+len("-range"):], "0123456789") == ""
}
