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

// Instance is an instance of a generic function or method. Those with type
// arguments of one shape share their code: they are one [Func].
//
// Code that is shared is called with a dictionary, which differs for each
// instance. Its address tells which instance a call is of, and so what the
// arguments really are; the debug information says which of its words are their
// types.
type Instance struct {
	// Name is the function's name with true type arguments, such as
	// "main.Map[int,string]".
	Name string
	// Signature has the true types.
	Signature *abi.Signature
	// Params are those of the function, with their true types.
	Params []Param

	dict symbols.Dictionary
	// types are the true types of parameters, parallel to Params; nil for those
	// that are as the code has them.
	types []*abi.Type
	// plan is that of the function but for the types.
	plan *capture.Plan
}

// Instances returns the instances of shared generic code that the binary has, by
// their names. It is empty for other functions, and where nothing tells of the
// instances: in binaries without symbol table or debug information.
func (f *Func) Instances() []Instance { return f.instances }

// Instance returns the name of the instance of a generic function that was called,
// such as "main.Map[int,string]", and Name for other functions or if it is not
// known.
func (c *Call) Instance() string {
	if c.instance != nil {
		return c.instance.Name
	}
	return c.fn.name
}

// findInstance sets which instance the call is of.
func (c *Call) findInstance() {
	c.plan = c.fn.plan
	d := c.plan.Dict
	if d == nil || order.Uint64(c.data[capture.OffFailed:])&(1<<d.Bit) != 0 {
		return
	}
	if in := c.fn.byDict[order.Uint64(c.data[d.Offset:])]; in != nil {
		c.plan, c.instance = in.plan, in
	}
}

// wholeInstances reports whether the plan captures of all instances what a walk
// would. It sets their plans, which have no walks.
func (f *Func) wholeInstances(limits capture.Limits) bool {
	whole := true
	for i := range f.instances {
		in := &f.instances[i]
		var w bool
		in.plan, w = capture.Retype(f.arch, f.plan, f.inputs, in.types, limits)
		whole = whole && w
	}
	return whole
}

// walkInstances makes the plans of the instances walks, and their types those that
// d reads to their ends.
func (b *executable) walkInstances(s symbols.Func, f *Func, d *description, o *options) {
	dicts := make([]symbols.Dictionary, len(f.instances))
	for i := range f.instances {
		dicts[i] = f.instances[i].dict
	}
	f.setInstances(b.instancesOf(s, d, dicts, wholeTypes))
	for i := range f.instances {
		in := &f.instances[i]
		in.plan = capture.BuildWalk(b.arch, capture.Retyped(f.inputs, in.types), o.limits, b.walkTypes)
	}
}

// alsoFor adds to the instances that a function is traced for those that have the
// given dictionaries, nil for all.
func (f *Func) alsoFor(dicts []symbols.VirtAddr) {
	if dicts == nil || len(f.instances) == 0 || f.all {
		f.dicts, f.all = nil, true
		return
	}
	for _, d := range dicts {
		if !slices.Contains(f.dicts, uint64(d)) {
			f.dicts = append(f.dicts, uint64(d))
		}
	}
	slices.Sort(f.dicts)
}

// setInstances makes instances those of the function.
func (f *Func) setInstances(instances []Instance) {
	f.instances = instances
	f.byDict = make(map[uint64]*Instance, len(instances))
	for i := range instances {
		f.byDict[uint64(instances[i].dict.Addr)] = &instances[i]
	}
}

// paramTypes returns the types that a parameter can have in the calls that are
// traced: one, but in generic code.
func (f *Func) paramTypes(i int) []*abi.Type {
	var types []*abi.Type
	for _, in := range f.instances {
		if len(f.dicts) > 0 && !slices.Contains(f.dicts, uint64(in.dict.Addr)) {
			continue
		}
		if t := in.types[i]; t != nil && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		types = append(types, f.params[i].Type)
	}
	return types
}

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
		Params: slices.Clone(d.params), dict: dict, types: types,
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

// mayShape reports whether type arguments may have shapes, by their names. Those of
// types that are declared do not tell.
func mayShape(shapes, args string) bool {
	for shapes != "" && args != "" {
		var shape, arg string
		shape, shapes = cutArg(shapes)
		arg, args = cutArg(args)
		shape = strings.TrimPrefix(shape, "go.shape.")
		switch {
		case predeclared[arg]:
			if rest, ok := strings.CutPrefix(shape, arg); !ok || rest != "" && rest[0] != '_' {
				return false
			}
		case literal(arg) != "" && !strings.HasPrefix(shape, literal(arg)):
			return false
		}
	}
	return shapes == args
}

// predeclared are the types whose shapes have their names.
var predeclared = map[string]bool{}

func init() {
	for k := abi.Bool; k <= abi.Complex128; k++ {
		predeclared[k.String()] = true
	}
	predeclared[abi.String.String()] = true
}

// literal returns how the shapes of types begin that are written as arg is, "" for
// a name.
func literal(arg string) string {
	for _, begin := range []string{"*", "[]", "map[", "func(", "chan ", "<-chan ", "struct {", "interface {"} {
		if strings.HasPrefix(arg, begin) {
			return begin
		}
	}
	if strings.HasPrefix(arg, "[") {
		return arg[:strings.IndexByte(arg, ']')+1]
	}
	return ""
}

// cutArg cuts the first off a list of type arguments.
func cutArg(args string) (first, rest string) {
	depth, quoted := 0, false
	for i := 0; i < len(args); i++ {
		switch c := args[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '(' || c == '{':
			depth++
		case c == ']' || c == ')' || c == '}':
			depth--
		case depth == 0 && (c == ',' || c == ';'):
			return args[:i], args[i+1:]
		}
	}
	return args, ""
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

// selected is a function that a name or pattern selects, with the dictionaries of
// the instances that it is to be traced for; nil for all.
type selected struct {
	symbols.Func
	dicts []symbols.VirtAddr
}

// findInstance returns the code that an instance of a generic function shares with
// others, by the instance's name: with true type arguments. It returns none if
// there is no such code, and a [symbols.NotFoundError] if there is for other
// instances only.
func (b *executable) findInstance(name string, o *options) (found []selected, err error) {
	shared, err := b.file.Generic(name)
	if err != nil {
		return nil, err
	}
	want := canonical(name)
	var others []string
	for _, s := range shared {
		if !strings.Contains(s.Name, "go.shape.") {
			continue
		}
		d, err := b.describe(s, o)
		if err != nil {
			continue
		}
		var dicts []symbols.VirtAddr
		instances := b.instances(s, d, typeDepth(o))
		for _, in := range instances {
			if canonical(in.Name) == want {
				dicts = append(dicts, in.dict.Addr)
			}
			others = append(others, in.Name)
		}
		if len(instances) == 0 {
			others = append(others, s.Name)
		}
		if dicts != nil {
			found = append(found, selected{s, dicts})
		}
	}
	if len(found) == 0 && len(others) > 0 {
		slices.Sort(others)
		others = slices.Compact(others)
		return nil, &symbols.NotFoundError{
			File: b.file.Path(), Name: name, Source: b.file.FuncSource(), Suggestions: others[:min(len(others), maxSuggested)],
		}
	}
	return found, nil
}

// maxSuggested is how many instances an error lists.
const maxSuggested = 12

// isInstance reports whether a name has type arguments, and they are no shapes.
func isInstance(name string) bool {
	return symbols.TypeArgs(name) != "" && symbols.WithoutTypeArgs(name) != name &&
		!strings.Contains(name, "go.shape.") && !strings.Contains(name, "[...]")
}

// canonical returns a name with the type arguments written as the linker writes
// them: without spaces behind commas, without aliases, and with a dot before the
// number of a type that is declared in a function.
func canonical(name string) string {
	for _, r := range [][2]string{
		{", ", ","}, {"interface{", "interface {"}, {"struct{", "struct {"}, {"·", "."},
	} {
		name = strings.ReplaceAll(name, r[0], r[1])
	}
	var b strings.Builder
	for len(name) > 0 {
		n := strings.IndexFunc(name, func(r rune) bool { return !isIdent(r) })
		if n == 0 {
			b.WriteByte(name[0])
			name = name[1:]
			continue
		}
		if n < 0 {
			n = len(name)
		}
		word := name[:n]
		if full, ok := aliases[word]; ok {
			word = full
		}
		b.WriteString(word)
		name = name[n:]
	}
	return b.String()
}

// aliases are predeclared.
var aliases = map[string]string{"any": "interface {}", "byte": "uint8", "rune": "int32"}

// isIdent reports whether a character is part of a name, qualified or not.
func isIdent(r rune) bool {
	return r == '_' || r == '.' || r == '/' || r == '%' || r == '-' || r >= 0x80 ||
		'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
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
