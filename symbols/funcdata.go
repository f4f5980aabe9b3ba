package symbols

import (
	"fmt"
	"sort"
)

// Indices of funcdata that do not differ by release from the first that has
// them on (internal/abi/symtab.go, runtime/symtab.go).
const (
	// FuncDataArgsPointerMaps tells which words of the arguments on the stack
	// are pointers.
	FuncDataArgsPointerMaps = 0
	// FuncDataArgInfo tells offsets and sizes of the arguments' components,
	// from Go 1.17.
	FuncDataArgInfo = 5
)

// maxFuncData bounds the funcdata and the tables of PCs of a function, each.
// There are eight and five kinds.
const maxFuncData = 64

// funcRefs are what a record refers to behind its fixed part.
type funcRefs struct {
	pcdata   []uint32
	funcdata []byte // words that the loader relocates, or 32-bit offsets
	wide     bool   // words
	ptr      int    // size of a word
}

// nfuncdata returns how many kinds of funcdata the function of r may have.
func (t *FuncTable) nfuncdata(r *record) uint32 {
	if t.layout.nfuncdataWide {
		return t.f.u32(r.b[t.layout.nfuncdata:])
	}
	return uint32(r.b[t.layout.nfuncdata])
}

// refs reads what the function of r refers to.
func (t *FuncTable) refs(r *record) (funcRefs, error) {
	l := &t.layout
	npcdata := t.f.u32(r.b[l.npcdata:])
	nfuncdata := t.nfuncdata(r)
	if npcdata > maxFuncData || nfuncdata > maxFuncData {
		return funcRefs{}, t.malformed(t.funcs.off+r.at, "%d tables of PCs and %d funcdata are too many", npcdata, nfuncdata)
	}
	refs := funcRefs{ptr: t.ptr}
	at := t.funcs.off + r.at + uint64(l.size)
	b := make([]byte, 4*npcdata)
	if err := t.read(b, at); err != nil {
		return funcRefs{}, err
	}
	for ; len(b) > 0; b = b[4:] {
		refs.pcdata = append(refs.pcdata, t.f.u32(b))
	}
	at += 4 * uint64(npcdata)
	if !t.absolute {
		refs.funcdata = make([]byte, 4*nfuncdata)
		return refs, t.read(refs.funcdata, at)
	}
	// Addresses are aligned, counting from the table's beginning.
	word := uint64(t.ptr)
	at = (at + word - 1) / word * word
	refs.wide = true
	refs.funcdata = make([]byte, word*uint64(nfuncdata))
	return refs, t.readWords(refs.funcdata, at)
}

// record reads the record of fn, without its place in the index.
func (t *FuncTable) record(fn TableFunc) (*record, error) {
	r := &record{index: -1, at: uint64(fn.at), b: make([]byte, t.layout.size)}
	if r.at > t.funcs.size || uint64(len(r.b)) > t.funcs.size-r.at {
		return nil, t.malformed(t.funcs.off+r.at, "%w", ErrTruncated)
	}
	return r, t.read(r.b, t.funcs.off+r.at)
}

// FuncData returns the address of the data of kind index that the compiler
// made about fn, a function of this table, for the runtime; false if there is
// none. The data, which [File.DataAt] reads, are in a segment that the program
// does not write; they do not say how long they are.
//
// Indices are those of internal/abi, FUNCDATA_*; they differ by release, but
// for those that have constants here. The error is [ErrNoModuleData] where
// addresses count from it and it is not known, from Go 1.18.
func (t *FuncTable) FuncData(fn TableFunc, index int) (VirtAddr, bool, error) {
	a, ok, err := t.funcData(fn, index)
	if err != nil {
		err = t.f.wrap(fmt.Sprintf("funcdata %d of %s", index, fn.Name), err)
	}
	return a, ok, err
}

func (t *FuncTable) funcData(fn TableFunc, index int) (VirtAddr, bool, error) {
	r, err := t.record(fn)
	if err != nil {
		return 0, false, err
	}
	refs, err := t.refs(r)
	if err != nil {
		return 0, false, err
	}
	return t.dataOf(refs, index)
}

// has reports whether there is funcdata of kind index.
func (refs funcRefs) has(index int) bool {
	size := 4
	none := "\xff\xff\xff\xff"
	if refs.wide {
		size = refs.ptr
		none = "\x00\x00\x00\x00\x00\x00\x00\x00"[:size]
	}
	return index < len(refs.funcdata)/size && string(refs.funcdata[index*size:][:size]) != none
}

func (t *FuncTable) dataOf(refs funcRefs, index int) (VirtAddr, bool, error) {
	size := 4
	if refs.wide {
		size = t.ptr
	}
	if index < 0 || index >= len(refs.funcdata)/size {
		return 0, false, nil
	}
	b := refs.funcdata[index*size:]
	if refs.wide {
		a := t.f.word(b)
		return VirtAddr(a), a != 0, nil
	}
	off := t.f.u32(b)
	if off == ^uint32(0) {
		return 0, false, nil
	}
	m, err := t.f.module()
	if err != nil {
		return 0, false, err
	}
	return m.GoFunc + VirtAddr(off), true, nil
}

// Range is a range of addresses: from Low up to, not including, High.
type Range struct{ Low, High VirtAddr }

// InlinedCall is a call that the compiler replaced by the body of the function
// called.
type InlinedCall struct {
	// Name is the name of the function called.
	Name string
	// Parent is the position of the call, in the slice it is in, that this one
	// is in the body of; -1 if it is in the function's own code.
	Parent int
	// ParentPC is the address of an instruction, mostly a NOP, whose position
	// in the source is that of the call; 0 in Go 1.11, which does not tell.
	ParentPC VirtAddr
	// StartLine is the line of the called function's declaration, 0 before Go
	// 1.20.
	StartLine int32
	// CallLine is the line of the call, 0 from Go 1.20.
	CallLine int32
	// Ranges are where the instructions of the body are, without those of calls
	// inlined into it, ascending. There may be none: all optimized away.
	Ranges []Range
}

// inlineLayout says how the tree of inlined calls is stored: which funcdata it
// is, which table of PCs refers to it, and where in an element (type
// inlinedCall in runtime/symtab.go or symtabinl.go) its fields are, -1 for
// none.
type inlineLayout struct {
	funcdata, pcdata                int
	size                            int
	parent                          int
	parentWide                      bool // 32 bits, not 16
	line, name, parentPC, startLine int
}

// inlineLayout returns that of the table's release.
func (t *FuncTable) inlineLayout() (inlineLayout, error) {
	middle := inlineLayout{size: 20, parent: 0, line: 8, name: 12, parentPC: 16, startLine: -1}
	switch t.magic {
	case magic1_20:
		return inlineLayout{funcdata: 3, pcdata: 2, size: 16, parent: -1, line: -1, name: 4, parentPC: 8, startLine: 12}, nil
	case magic1_16, magic1_18:
		middle.funcdata, middle.pcdata = 3, 2
		return middle, nil
	}
	if t.layout.nfuncdataWide { // Go 1.11
		return inlineLayout{funcdata: 2, pcdata: 1, size: 16, parent: 0, parentWide: true, line: 8, name: 12, parentPC: -1, startLine: -1}, nil
	}
	version, _ := t.f.GoVersion()
	switch minor, known := goMinor(version); {
	case !known:
		return inlineLayout{}, fmt.Errorf("inlined calls: %w: the file does not say which release of Go built it", ErrNoModuleData)
	case minor == 12:
		middle.funcdata, middle.pcdata = 2, 1
	default:
		middle.funcdata, middle.pcdata = 4, 2
	}
	return middle, nil
}

// maxInlined bounds the calls inlined into one function, maxSpans the ranges of
// instructions they are in, and maxInlinedNames the bytes of their names. The
// largest functions have some thousands of calls.
const (
	maxInlined      = 1 << 16
	maxSpans        = 1 << 18
	maxInlinedNames = 16 << 20
)

// Inlined returns the calls that the compiler inlined into fn, a function of
// this table: all that left an instruction, and those that they are in. Calls
// that left none, of which nothing tells, are missing from its end.
func (t *FuncTable) Inlined(fn TableFunc) ([]InlinedCall, error) {
	calls, err := t.inlined(fn)
	if err != nil {
		return nil, t.f.wrap("inlined calls of "+fn.Name, err)
	}
	return calls, nil
}

func (t *FuncTable) inlined(fn TableFunc) ([]InlinedCall, error) {
	l, err := t.inlineLayout()
	if err != nil {
		return nil, err
	}
	r, err := t.record(fn)
	if err != nil {
		return nil, err
	}
	refs, err := t.refs(r)
	if err != nil || l.pcdata >= len(refs.pcdata) || refs.pcdata[l.pcdata] == 0 {
		return nil, err
	}
	tree, ok, err := t.dataOf(refs, l.funcdata)
	if err != nil || !ok {
		return nil, err
	}
	n := t.reader()
	last := int32(-1)
	type span struct {
		Range
		call int32
	}
	var spans []span
	err = n.pcTable(refs.pcdata[l.pcdata], func(b []byte) bool {
		spans, last = spans[:0], -1
		pc := fn.Entry
		return pcSteps(b, func(s pcStep) bool {
			next := pc + VirtAddr(uint64(s.units)*t.quantum)
			if s.value >= 0 && next > pc {
				spans = append(spans, span{Range{pc, next}, s.value})
				last = max(last, s.value)
			}
			pc = next
			return last < maxInlined && len(spans) < maxSpans
		})
	})
	if err != nil {
		return nil, err
	}
	if last >= maxInlined || len(spans) >= maxSpans {
		return nil, t.malformed(t.funcs.off+r.at, "%d inlined calls in %d places are too many", last, len(spans))
	}
	at := func(pc VirtAddr) int { // spans are ascending
		i := sort.Search(len(spans), func(i int) bool { return spans[i].High > pc })
		if i < len(spans) && spans[i].Low <= pc {
			return int(spans[i].call)
		}
		return -1
	}
	total := 0
	calls := make([]InlinedCall, 0, last+1)
	for i := 0; i <= int(last); i++ {
		b := make([]byte, l.size)
		a := tree + VirtAddr(i*l.size)
		if err := t.f.image(a, b); err != nil {
			return nil, fmt.Errorf("call %d: %w", i, err)
		}
		c := InlinedCall{Parent: -1}
		switch {
		case l.parent < 0:
		case l.parentWide:
			c.Parent = int(int32(t.f.u32(b[l.parent:])))
		default:
			c.Parent = int(int16(t.f.u16(b[l.parent:])))
		}
		if l.line >= 0 {
			c.CallLine = int32(t.f.u32(b[l.line:]))
		}
		if l.startLine >= 0 {
			c.StartLine = int32(t.f.u32(b[l.startLine:]))
		}
		if l.parentPC >= 0 {
			c.ParentPC = fn.Entry + VirtAddr(int32(t.f.u32(b[l.parentPC:])))
			if l.parent < 0 {
				c.Parent = at(c.ParentPC)
			}
		}
		// A call is listed behind the one that it is in.
		if c.Parent < -1 || c.Parent >= i {
			return nil, fmt.Errorf("call %d is in call %d: malformed tree at %#x", i, c.Parent, uint64(tree))
		}
		name, ok, err := n.name(t.f.u32(b[l.name:]))
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", i, err)
		}
		if total += len(name); total > maxInlinedNames {
			return nil, t.malformed(t.funcs.off+r.at, "the names of inlined functions are too long")
		}
		if ok {
			c.Name = string(name)
		}
		calls = append(calls, c)
	}
	for _, s := range spans {
		c := &calls[s.call]
		c.Ranges = append(c.Ranges, s.Range)
	}
	return calls, nil
}
