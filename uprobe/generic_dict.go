package uprobe

import (
	"cmp"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/symbols"
)

// dictionaries returns the dictionaries of the binary by the names that they
// have, without type arguments.
func (b *executable) dictionaries(names ...string) (list []symbols.Dictionary) {
	if b.dicts == nil {
		b.dicts = make(map[string][]symbols.Dictionary)
		all, err := b.file.Dictionaries()
		if err != nil && b.debugFile != nil {
			all, _ = b.debugFile.Dictionaries()
		}
		for _, d := range all {
			name := symbols.WithoutTypeArgs(d.Name)
			b.dicts[name] = append(b.dicts[name], d)
		}
	}
	for i, n := range names {
		if n != "" && !slices.Contains(names[:i], n) {
			list = append(list, b.dicts[n]...)
		}
	}
	return list
}

// instances returns the instances of a function that d describes, by their names,
// with types that are read to depth pointers. There may be some that no call is
// of: those whose code was inlined everywhere.
func (b *executable) instances(s symbols.Func, d *description, depth int) []Instance {
	if len(d.dict) == 0 {
		return nil
	}
	base := symbols.WithoutTypeArgs(s.Name)
	return b.instancesOf(s, d, b.dictionaries(base, receiverOf(base)), depth)
}

// instancesOf returns those of the instances that have one of the dictionaries.
func (b *executable) instancesOf(s symbols.Func, d *description, dicts []symbols.Dictionary, depth int) []Instance {
	name := strings.TrimSuffix(s.Name, ".abi0")
	found := make(map[symbols.VirtAddr]Instance)
	var several []symbols.VirtAddr
	for _, dict := range dicts {
		if len(found) == probegen.MaxDicts {
			break
		}
		in, ok := b.instance(name, d, dict, depth)
		if !ok {
			continue
		}
		if _, ok := found[dict.Addr]; ok {
			several = append(several, dict.Addr)
		}
		found[dict.Addr] = in
	}
	for _, a := range several { // it does not tell them apart
		delete(found, a)
	}
	list := make([]Instance, 0, len(found))
	for _, in := range found {
		list = append(list, in)
	}
	slices.SortFunc(list, func(a, b Instance) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.dict.Addr, b.dict.Addr))
	})
	return list
}

// receiverOf returns the name of the type that a method belongs to, by the
// method's name without type arguments: its dictionary is named after the type
// since Go 1.20.
func receiverOf(method string) string {
	i := strings.LastIndexByte(method, '.')
	if i < 0 || strings.HasSuffix(method[:i], "/") {
		return ""
	}
	name := method[:i]
	if pkg, recv, ok := strings.Cut(name, ".(*"); ok {
		return pkg + "." + strings.TrimSuffix(recv, ")")
	}
	return name
}

// instance returns the instance of a function that has a dictionary, if it can be
// one of it.
func (b *executable) instance(name string, d *description, dict symbols.Dictionary, depth int) (in Instance, ok bool) {
	if !mayShape(symbols.TypeArgs(name), symbols.TypeArgs(dict.Name)) {
		return in, false
	}
	var types, results []*abi.Type
	for i, word := range d.words {
		t, ok := b.dictType(dict, word, d.params[i].Type, depth)
		if !ok {
			return in, false
		}
		types = append(types, t)
	}
	for i, word := range d.resultWords {
		if i == len(d.sig.Results) {
			break
		}
		t, ok := b.dictType(dict, word, d.sig.Results[i].Type, depth)
		if !ok {
			return in, false
		}
		results = append(results, t)
	}
	in = Instance{
		Name:   strings.Replace(name, "["+symbols.TypeArgs(name)+"]", "["+symbols.TypeArgs(dict.Name)+"]", 1),
		Params: slices.Clone(d.params), dict: dict, types: types, results: results,
	}
	sig := *d.sig
	sig.Dict, sig.Params, sig.Results = abi.NoDict, slices.Clone(sig.Params), slices.Clone(sig.Results)
	in.Signature = &sig
	for i, t := range types {
		in.Params[i].arch = b.arch
		if t == nil {
			continue
		}
		in.Params[i].Type = t
		if len(sig.Params) == len(types) {
			sig.Params[i].Type = t
		}
	}
	for i, t := range results {
		if t != nil {
			sig.Results[i].Type = t
		}
	}
	return in, true
}

// dictWord is a word of a dictionary, and how deep its type is read.
type dictWord struct {
	addr        symbols.VirtAddr
	word, depth int
}

// dictType returns the type that a word of a dictionary leads to, if it has the
// shape: nil if the word is -1, or [anyWord] and nothing tells which it is.
func (b *executable) dictType(dict symbols.Dictionary, word int, shape *abi.Type, depth int) (t *abi.Type, ok bool) {
	switch {
	case word == anyWord:
		return b.onlyType(dict, shape, depth)
	case word < 0:
		return nil, true
	}
	if t = b.wordType(dict, word, depth); t == nil {
		return nil, false
	}
	var f fitting
	return t, f.fits(shape, t, 0)
}

// anyWord stands for the word of a dictionary that has the type of a parameter
// where the compiler does not say which: in functions that it has inlined
// elsewhere, which it describes apart from any dictionary
// (cmd/internal/dwarf, putAbstractVar).
const anyWord = -2

// maxSearched bounds the words of a dictionary that are searched.
const maxSearched = 256

// onlyType returns the only type in a dictionary that has the shape, nil if there
// are several. It is not ok if there is none: that of each parameter is in it, since
// Go 1.20 (cmd/compile/internal/noder, varDictIndex).
func (b *executable) onlyType(dict symbols.Dictionary, shape *abi.Type, depth int) (only *abi.Type, ok bool) {
	words := dict.Size / uint64(b.arch.PtrSize)
	if words > maxSearched {
		return nil, true
	}
	for word := range int(words) {
		t := b.wordType(dict, word, depth)
		if t == nil {
			continue
		}
		var f fitting
		if !f.fits(shape, t, 0) {
			continue
		}
		if only != nil && only.RuntimeType != t.RuntimeType {
			return nil, true
		}
		only = t
	}
	return only, only != nil
}

// wordType is readDict, which it calls once.
func (b *executable) wordType(dict symbols.Dictionary, word, depth int) *abi.Type {
	key := dictWord{dict.Addr, word, depth}
	t, ok := b.dictTypes[key]
	if !ok {
		if b.dictTypes == nil {
			b.dictTypes = make(map[dictWord]*abi.Type)
		}
		t = b.readDict(dict, word, depth)
		b.dictTypes[key] = t
	}
	return t
}

// readDict returns the type that a word of a dictionary leads to, nil if it leads
// to none.
func (b *executable) readDict(dict symbols.Dictionary, word, depth int) *abi.Type {
	data, err := b.runtimeTypes()
	if err != nil || uint64(word+1)*uint64(b.arch.PtrSize) > dict.Size {
		return nil
	}
	off, err := data.DictionaryType(dict.Addr, word)
	if err != nil {
		return nil
	}
	t, err := b.typeAt(off, depth)
	if err != nil {
		return nil
	}
	return t
}

// typeAt returns the type with a descriptor at an offset from runtime.types: as
// the debug information describes it, or else as the descriptor does.
func (b *executable) typeAt(off uint64, depth int) (*abi.Type, error) {
	if b.dwarf != nil {
		if types, err := b.dwarf.RuntimeTypes(); err == nil {
			if t, err := types.At(off, depth); err == nil && t.RuntimeType == off {
				return t, nil
			}
		}
	}
	data, err := b.runtimeTypes()
	if err != nil {
		return nil, err
	}
	types, err := data.RuntimeTypes()
	if err != nil {
		return nil, err
	}
	return types.At(off, depth)
}

// fitting compares types with their shapes.
type fitting struct {
	// Pairs that are being compared: the first ones, which mostly are all, and all.
	first [8][2]*abi.Type
	n     int
	all   map[[2]*abi.Type]bool
}

// maxFitting bounds the pairs that are compared, and how deep types nest.
const maxFitting = 1 << 14

// seen reports whether a pair is being compared already.
func (f *fitting) seen(pair [2]*abi.Type) bool {
	if slices.Contains(f.first[:min(f.n, len(f.first))], pair) || f.all[pair] {
		return true
	}
	if f.n < len(f.first) {
		f.first[f.n] = pair
	} else {
		if f.all == nil {
			f.all = make(map[[2]*abi.Type]bool)
		}
		f.all[pair] = true
	}
	f.n++
	return false
}

// fits reports whether a value of type t can be what the code with the shape
// handles: it lies in memory in the same way, and so does all that it leads to.
// A pointer's shape need not say what it leads to.
func (f *fitting) fits(shape, t *abi.Type, depth int) bool {
	if shape == nil || t == nil {
		return shape == t
	}
	if shape == t || f.n > maxFitting || depth > maxFitting {
		return true
	}
	if shape.Kind == abi.Invalid || t.Kind == abi.Invalid {
		return depth > 0 // was not read
	}
	if shape.Kind != t.Kind || shape.Size != t.Size || shape.Align != t.Align {
		return false
	}
	if f.seen([2]*abi.Type{shape, t}) {
		return true
	}
	elems := func() bool {
		return shape.Elem == nil || t.Elem == nil || f.fits(shape.Elem, t.Elem, depth+1)
	}
	switch t.Kind {
	case abi.Pointer, abi.Slice, abi.Chan:
		return elems()
	case abi.Array:
		return shape.Len == t.Len && elems()
	case abi.Map:
		return elems() && (shape.Key == nil || t.Key == nil || f.fits(shape.Key, t.Key, depth+1))
	case abi.Interface:
		return (shape.NumMethod > 0) == (t.NumMethod > 0)
	case abi.Struct:
		if len(shape.Fields) != len(t.Fields) {
			return false
		}
		for i := range t.Fields {
			a, b := &shape.Fields[i], &t.Fields[i]
			if a.Name != b.Name || a.Offset != b.Offset || !f.fits(a.Type, b.Type, depth+1) {
				return false
			}
		}
	}
	return true
}

// dictInput is the dictionary as a plan takes it.
func dictInput(a *abi.Arch, l abi.Location) capture.Input {
	t := &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: a.PtrSize, Align: a.PtrSize}
	return capture.Input{Name: ".dict", Type: t, Location: l, Dict: true}
}

// setDict describes the dictionary of f, and which words of it are the types of
// the parameters for which keep is true. search says that the types of all of them
// are in the dictionary.
func (d *description) setDict(f *dwarfargs.Func, a *abi.Arch, search bool, keep func(name string) bool) {
	d.dict, _ = f.DictAtEntry(a)
	word := func(p *dwarfargs.Param) int {
		if p.TypeParam < 0 && search && strings.Contains(p.Type.Name, "go.shape.") {
			return anyWord
		}
		return p.TypeParam
	}
	for i := range f.Params {
		if keep(f.Params[i].Name) {
			d.words = append(d.words, word(&f.Params[i]))
		}
	}
	for i := range f.Results {
		d.resultWords = append(d.resultWords, word(&f.Results[i]))
	}
}
