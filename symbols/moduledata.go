package symbols

import (
	"bytes"
	"errors"
	"fmt"
)

// ModuleData is what the Go runtime knows about the parts of the program in
// memory (runtime.firstmoduledata, type moduledata in runtime/symtab.go).
// Addresses are as the file states them. Those that a release does not have
// are 0.
type ModuleData struct {
	// Addr is the address of the data itself.
	Addr VirtAddr
	// Text and EText bound the Go code. Offsets of methods in type data count
	// from Text.
	Text, EText VirtAddr
	// Types and ETypes bound the type data: offsets of types and names count
	// from Types. They are not always where a section begins or ends.
	Types, ETypes VirtAddr
	// GoFunc is what offsets of funcdata count from; from Go 1.18.
	GoFunc VirtAddr
	// TypeLinks is the address of TypeLinkCount offsets of 32 bits, from Types,
	// to descriptors of types, ordered by the types' names; up to Go 1.26.
	TypeLinks     VirtAddr
	TypeLinkCount int
	// TypeDescSize, from Go 1.27 and instead of TypeLinks: the descriptors that
	// those would list are one behind the other, each aligned to a word, from
	// one word behind Types to TypeDescSize bytes behind Types (runtime/type.go,
	// moduleTypelinks). Further descriptors follow up to the itabs.
	TypeDescSize uint64
	// ItabOffset, from Types, and ItabSize bound the itabs; from Go 1.27.
	ItabOffset, ItabSize uint64
}

// moduleShape says at which words of the module data the fields are, -1 for
// none.
type moduleShape struct {
	minpc, text    int // and behind them: maxpc, etext
	types, etypes  int
	gofunc         int
	typelinks      int // a slice
	typedesc, itab int
	words          int // how many are needed
}

// moduleShapes are the layouts by magic and, where that does not tell, by
// release, up to and including until. Read from type moduledata in
// runtime/symtab.go of each release from 1.11.13 to 1.27.4.
var moduleShapes = []struct {
	magic       magic
	from, until int // Go 1.from to 1.until
	shape       moduleShape
}{
	{magic1_11, 11, 15, moduleShape{minpc: 10, text: 12, types: 25, etypes: 26, gofunc: -1, typelinks: 30, typedesc: -1, itab: -1, words: 33}},
	{magic1_16, 16, 17, moduleShape{minpc: 20, text: 22, types: 35, etypes: 36, gofunc: -1, typelinks: 40, typedesc: -1, itab: -1, words: 43}},
	{magic1_18, 18, 19, moduleShape{minpc: 20, text: 22, types: 35, etypes: 36, gofunc: 38, typelinks: 42, typedesc: -1, itab: -1, words: 45}},
	{magic1_20, 20, 25, moduleShape{minpc: 20, text: 22, types: 37, etypes: 38, gofunc: 40, typelinks: 44, typedesc: -1, itab: -1, words: 47}},
	{magic1_20, 26, 26, moduleShape{minpc: 20, text: 22, types: 37, etypes: 38, gofunc: 40, typelinks: 45, typedesc: -1, itab: -1, words: 48}},
	{magic1_20, 27, 27, moduleShape{minpc: 20, text: 22, types: 37, etypes: 39, gofunc: 43, typelinks: -1, typedesc: 38, itab: 40, words: 48}},
}

// module is the module data as it is in the file.
type module struct {
	t     *FuncTable
	addr  VirtAddr
	shape moduleShape // what all releases with the table's magic share, until known
	data  []byte
}

func (m *module) word(i int) uint64 { return m.t.f.word(m.data[i*m.t.ptr:]) }

// moduleWords is how many words of the module data are read.
const moduleWords = 48

// findModule finds the module data that t belongs to. Where its text is, all
// releases with the same magic agree; shape says no more than that is true.
func (f *File) findModule(t *FuncTable) (*module, error) {
	var shape moduleShape
	for _, s := range moduleShapes {
		if s.magic == t.magic {
			shape = s.shape
			break
		}
	}
	first, _, err := t.entryAt(0)
	if err != nil {
		return nil, err
	}
	last, _, err := t.entryAt(t.count)
	if err != nil {
		return nil, err
	}
	size := moduleWords * t.ptr
	if t.magic != magic1_20 {
		size = shape.words * t.ptr
	}
	try := func(a VirtAddr) *module {
		m := &module{t: t, addr: a, shape: shape, data: make([]byte, size)}
		if uint64(a)%uint64(t.ptr) != 0 || f.image(a, m.data) != nil || !m.valid(first, last) {
			return nil
		}
		return m
	}
	// From Go 1.26 it has a section of its own.
	for _, name := range []string{".go.module", ".data.rel.ro.go.module"} {
		if h := f.header(name); h != nil {
			if m := try(VirtAddr(h.addr)); m != nil {
				return m, nil
			}
		}
	}
	// Otherwise, it begins with the table's address.
	var found *module
	for _, writable := range []bool{true, false} {
		err = f.eachPointer(t.addr, writable, func(a VirtAddr) bool {
			found = try(a)
			return found == nil
		})
		if err != nil {
			return nil, err
		}
		if found != nil {
			break
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: nothing in the file refers to the function table at %#x as it does",
			ErrNoModuleData, uint64(t.addr))
	}
	return found, nil
}

// eachPointer calls visit with the addresses of the words, in writable segments
// or in the others, that hold the address value, until it returns false.
// Words that the loader relocates count as writable.
func (f *File) eachPointer(value VirtAddr, writable bool, visit func(a VirtAddr) bool) error {
	if writable {
		r, err := f.relocs()
		if err != nil {
			return err
		}
		more := true
		if r != nil {
			err = r.eachWith(value, func(a VirtAddr) bool {
				more = visit(a)
				return more
			})
		}
		if err != nil || !more {
			return err
		}
	}
	var want [8]byte
	f.putWord(want[:], uint64(value))
	size := uint64(f.wordSize())
	left, more := maxPointers, true
	for _, s := range f.segments {
		if s.Write != writable || !more {
			continue
		}
		f.findEach(extent{uint64(s.Offset), s.FileSize}, want[:size], func(at uint64) bool {
			a := s.Addr + VirtAddr(at-uint64(s.Offset))
			if uint64(a)%size == 0 {
				left--
				more = visit(a) && left > 0
			}
			return more
		})
	}
	return nil
}

// maxPointers bounds the places that hold a certain address, and are looked
// at. To what is looked for here there are few.
const maxPointers = 1 << 12

// valid reports whether m is the module data of the table whose functions
// start and end at first and last, as the index has them.
func (m *module) valid(first, last uint64) bool {
	if m.word(0) != uint64(m.t.addr) {
		return false
	}
	minpc, maxpc := m.word(m.shape.minpc), m.word(m.shape.minpc+1)
	text, etext := m.word(m.shape.text), m.word(m.shape.text+1)
	if !m.t.absolute {
		first, last = first+text, last+text
	}
	s, err := m.t.f.segmentFor(VirtAddr(text))
	return minpc == first && maxpc == last && text <= minpc && maxpc <= etext && err == nil && s.Exec
}

// ModuleData returns the module data of a Go program. The error is [ErrNoTable]
// or [ErrNoModuleData], which also stands for a release whose layout is not
// known: those from Go 1.11 to 1.27 are.
func (f *File) ModuleData() (*ModuleData, error) {
	m, err := f.module()
	if err != nil {
		return nil, f.wrap("find module data", err)
	}
	return m, nil
}

func (f *File) readModuleData() (*ModuleData, error) {
	t, err := f.table()
	if err != nil {
		return nil, err
	}
	m, err := f.findModule(t)
	if err != nil {
		return nil, err
	}
	shape, err := f.shapeOf(t.magic)
	if err != nil {
		return nil, err
	}
	m.shape = shape
	addr := func(i int) VirtAddr {
		if i < 0 {
			return 0
		}
		return VirtAddr(m.word(i))
	}
	d := &ModuleData{
		Addr: m.addr, Text: addr(shape.text), EText: addr(shape.text + 1),
		Types: addr(shape.types), ETypes: addr(shape.etypes), GoFunc: addr(shape.gofunc),
		TypeLinks: addr(shape.typelinks),
	}
	count := uint64(0)
	if shape.typelinks >= 0 {
		count = m.word(shape.typelinks + 1)
	}
	if shape.typedesc >= 0 {
		d.TypeDescSize, d.ItabOffset, d.ItabSize = m.word(shape.typedesc), m.word(shape.itab), m.word(shape.itab+1)
	}
	types := uint64(d.ETypes - d.Types)
	switch s, err := f.segmentFor(d.Types); {
	case err != nil || d.ETypes < d.Types || !s.contains(d.ETypes-1) && types > 0:
		return nil, f.malformed(partModule, uint64(shape.types*t.ptr), "types from %#x to %#x", uint64(d.Types), uint64(d.ETypes))
	case count > types || count > 0 && !f.mapped(d.TypeLinks, 4*count):
		return nil, f.malformed(partModule, uint64(shape.typelinks*t.ptr), "%d links to types at %#x", count, uint64(d.TypeLinks))
	case d.TypeDescSize > types || d.ItabOffset > types || d.ItabSize > types-d.ItabOffset:
		return nil, f.malformed(partModule, uint64(shape.typedesc*t.ptr), "descriptors end at %#x, itabs are from %#x, with %#x bytes, of %#x bytes of types",
			d.TypeDescSize, d.ItabOffset, d.ItabSize, types)
	case shape.gofunc >= 0 && !f.mapped(d.GoFunc, 0):
		return nil, f.malformed(partModule, uint64(shape.gofunc*t.ptr), "funcdata at %#x", uint64(d.GoFunc))
	}
	d.TypeLinkCount = int(count)
	return d, nil
}

const partModule = "module data"

// mapped reports whether size bytes at a are in one segment; an address right
// behind one counts for no bytes.
func (f *File) mapped(a VirtAddr, size uint64) bool {
	for _, s := range f.segments {
		if a >= s.Addr && uint64(a-s.Addr) <= s.MemSize && size <= s.MemSize-uint64(a-s.Addr) {
			return true
		}
	}
	return false
}

// shapeOf returns the layout of the module data in a file whose table has the
// given magic.
func (f *File) shapeOf(of magic) (moduleShape, error) {
	version, _ := f.GoVersion()
	minor, known := goMinor(version)
	var lack string
	switch {
	case version == "":
		lack = "the file does not say which release of Go built it"
	case !known:
		lack = fmt.Sprintf("%q is no release of Go", version)
	default:
		lack = fmt.Sprintf("its layout in %s is not known", version)
	}
	var fits []moduleShape
	for _, s := range moduleShapes {
		if s.magic != of {
			continue
		}
		if known && s.from <= minor && minor <= s.until {
			return s.shape, nil
		}
		fits = append(fits, s.shape)
	}
	// Without a version the magic may tell as much.
	if !known && len(fits) == 1 {
		return fits[0], nil
	}
	return moduleShape{}, fmt.Errorf("%w: %s", ErrNoModuleData, lack)
}

// goMinor returns N of the first "go1.N" in a version such as "go1.26.8",
// "go1.27rc1 X:simd" or "devel go1.28-abcdef Tue …".
func goMinor(version string) (int, bool) {
	const mark = "go1."
	i := bytes.Index([]byte(version), []byte(mark))
	if i < 0 {
		return 0, false
	}
	n, digits := 0, 0
	for _, c := range version[i+len(mark):] {
		if c < '0' || c > '9' || digits == 4 {
			break
		}
		n = 10*n + int(c-'0')
		digits++
	}
	return n, digits > 0
}

// wrapperIDs are the values of FuncIDWrapper by release (runtime/symtab.go,
// internal/abi/symtab.go): from Go 1.from to 1.until.
var wrapperIDs = []struct {
	from, until int
	id          uint8
}{
	{12, 13, 20}, {14, 17, 22}, {18, 21, 21}, {22, 24, 22}, {25, 27, 23},
}

// findWrapperID returns the runtime's number of functions that the compiler
// made; false if there is none, or it is not known.
func (t *FuncTable) findWrapperID() (uint8, bool) {
	version, _ := t.f.GoVersion()
	minor, known := goMinor(version)
	if known && minor < 12 || !known && t.layout.nfuncdataWide {
		return 0, false
	}
	for _, w := range wrapperIDs {
		if known && w.from <= minor && minor <= w.until {
			return w.id, true
		}
	}
	// Since Go 1.14 one function that every program has is given that number
	// to hide it in tracebacks (cmd/internal/objabi/funcid.go).
	offsets, err := t.f.findText(extent{t.stored.off + t.names.off, t.names.size}, t.section, t.names.off, "runtime.deferreturn")
	if err != nil || len(offsets) == 0 {
		return 0, false
	}
	var id uint8
	err = t.each(func(r *record) bool {
		if contains(offsets, t.nameOffset(r)) {
			id = t.id(r)
		}
		return id == 0
	})
	return id, err == nil && id != 0
}

// isNoTable reports whether err only says that there is no function table.
func isNoTable(err error) bool { return errors.Is(err, ErrNoTable) }
