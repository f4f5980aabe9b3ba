package symbols

import (
	"bytes"
	"debug/elf"
	"strings"
)

// symtab is a symbol table and its string table (gABI chapter 4, "Symbol
// Table", "String Table"). Nothing of them is kept in memory.
type symtab struct {
	f     *File
	syms  *header
	strs  *header
	entry int // bytes of a table entry
	// full says that this is .symtab, not only .dynsym, which has just the
	// symbols that other files may use.
	full bool
}

// symtab finds the file's symbol table; ErrNoSymbols if it has none.
func (f *File) symtab() (*symtab, error) {
	t := &symtab{f: f, full: true}
	t.syms = f.headerOf(elf.SHT_SYMTAB)
	if t.syms == nil {
		t.syms, t.full = f.headerOf(elf.SHT_DYNSYM), false
	}
	if t.syms == nil {
		return nil, ErrNoSymbols
	}
	t.entry = 24
	if f.class == elf.ELFCLASS32 {
		t.entry = 16
	}
	if t.syms.entry != 0 && t.syms.entry != uint64(t.entry) {
		return nil, f.malformed(t.syms.name, 0, "entries of %d bytes, not %d", t.syms.entry, t.entry)
	}
	if t.syms.link == 0 || uint64(t.syms.link) >= uint64(len(f.sections)) || f.sections[t.syms.link].typ != elf.SHT_STRTAB {
		return nil, f.malformed(t.syms.name, 0, "section %d is no string table", t.syms.link)
	}
	t.strs = &f.sections[t.syms.link]
	for _, h := range []*header{t.syms, t.strs} {
		if !f.fits(h.stored) {
			return nil, f.malformed(h.name, 0, "%w", ErrTruncated)
		}
		if h.flags&elf.SHF_COMPRESSED != 0 {
			return nil, f.malformed(h.name, 0, "a compressed symbol table is not supported: decompress it with objcopy")
		}
	}
	return t, nil
}

func (f *File) headerOf(typ elf.SectionType) *header {
	for i := range f.sections {
		if f.sections[i].typ == typ {
			return &f.sections[i]
		}
	}
	return nil
}

// symbol is an entry of a symbol table.
type symbol struct {
	name  uint32 // offset in the string table
	typ   elf.SymType
	index elf.SectionIndex
	value VirtAddr
	size  uint64
}

func (t *symtab) symbol(b []byte) symbol {
	f := t.f
	if f.class == elf.ELFCLASS64 {
		return symbol{
			name: f.u32(b), typ: elf.ST_TYPE(b[4]), index: elf.SectionIndex(f.u16(b[6:])),
			value: VirtAddr(f.u64(b[8:])), size: f.u64(b[16:]),
		}
	}
	return symbol{
		name: f.u32(b), typ: elf.ST_TYPE(b[12]), index: elf.SectionIndex(f.u16(b[14:])),
		value: VirtAddr(f.u32(b[4:])), size: uint64(f.u32(b[8:])),
	}
}

// inCode reports whether s is defined, in a section of code.
func (t *symtab) inCode(s symbol) bool {
	switch {
	case s.index == elf.SHN_UNDEF:
		return false
	case uint64(s.index) < uint64(len(t.f.sections)) && s.index < elf.SHN_LORESERVE:
		return t.f.sections[s.index].flags&elf.SHF_EXECINSTR != 0
	case s.index == elf.SHN_XINDEX:
		// The index is in a table of its own; the address tells as much.
		seg, err := t.f.segmentFor(s.value)
		return err == nil && seg.Exec
	}
	return false
}

// isFunc reports whether s is a function. An STT_GNU_IFUNC is not: its address
// is that of a resolver, not of the function that calls go to.
func (t *symtab) isFunc(s symbol) bool { return s.typ == elf.STT_FUNC && t.inCode(s) }

// isMarker reports whether a function symbol without size only marks where
// Go's text begins or ends (cmd/link/internal/ld, (*Link).textaddress).
func isMarker(name string) bool {
	return name == "runtime.text" || name == "runtime.etext" || strings.HasPrefix(name, "runtime.text.")
}

// eachChunk calls visit with the table's entries, many at a time, until it
// returns false. The bytes are valid during the call.
func (t *symtab) eachChunk(visit func(entries []byte) bool) error {
	size := t.syms.stored.size / uint64(t.entry) * uint64(t.entry)
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	for at := uint64(0); at < size; at += chunkSize {
		b := chunk[:min(size-at, chunkSize)]
		if err := t.f.read(b, t.syms.stored.off+at); err != nil {
			return t.f.malformed(t.syms.name, at, "%w", err)
		}
		if !visit(b) {
			return nil
		}
	}
	return nil
}

// eachSymbol calls visit for each symbol until it returns false.
func (t *symtab) eachSymbol(visit func(s symbol) bool) error {
	return t.eachChunk(func(b []byte) bool {
		for ; len(b) > 0; b = b[t.entry:] {
			if !visit(t.symbol(b)) {
				return false
			}
		}
		return true
	})
}

// maxName bounds the bytes of a name that is read. Go's and Rust's longest are
// below 1 KiB, those of C++ templates below some 10 KiB.
const maxName = 64 << 10

const (
	pageShift = 14
	pageBytes = 1 << pageShift
	pageCount = 512 // 8 MiB in all
)

// names reads names by their offset. Symbols mostly refer to ascending
// offsets, but GNU ld sorts the strings otherwise, so it keeps the pages of the
// string table that were used last, by the low bits of their numbers. It is for
// one goroutine.
type names struct {
	f       *File
	where   extent // of the string table, in the file
	section string // its name, for errors
	base    uint64 // where in that section it starts
	pages   []page // made when needed
	long    []byte
}

type page struct {
	number uint64
	data   []byte
}

func (t *symtab) names() *names {
	return &names{f: t.f, where: t.strs.stored, section: t.strs.name}
}

// at returns the name at off. The bytes are valid until the next call. A name
// longer than maxName is cut, and ok is false.
func (n *names) at(off uint64) (name []byte, ok bool, err error) {
	at, size := off, n.where.size
	n.long = n.long[:0]
	for at < size {
		data, err := n.page(at >> pageShift)
		if err != nil {
			return nil, false, err
		}
		data = data[at&(pageBytes-1):]
		end := bytes.IndexByte(data, 0)
		if end >= 0 && len(n.long) == 0 {
			return data[:end], true, nil
		}
		if end >= 0 {
			n.long = append(n.long, data[:end]...)
			return n.long, len(n.long) <= maxName, nil
		}
		n.long = append(n.long, data...)
		if len(n.long) > maxName {
			return n.long[:maxName], false, nil
		}
		at += uint64(len(data))
	}
	return nil, false, n.f.malformed(n.section, n.base+off, "name ends outside the section")
}

func (n *names) page(number uint64) ([]byte, error) {
	if n.pages == nil {
		n.pages = make([]page, min(n.where.size>>pageShift+1, pageCount))
	}
	p := &n.pages[number%uint64(len(n.pages))]
	if p.number == number && len(p.data) > 0 {
		return p.data, nil
	}
	if p.data == nil {
		p.data = make([]byte, pageBytes)
	}
	at := number << pageShift
	data := p.data[:min(n.where.size-at, pageBytes)]
	p.data = p.data[:0]
	if err := n.f.read(data, n.where.off+at); err != nil {
		return nil, n.f.malformed(n.section, n.base+at, "%w", err)
	}
	p.number, p.data = number, data
	return data, nil
}

// eachFunc calls visit for each function and its name until it returns false.
// The name's bytes are valid during the call. Functions with a name of more
// than maxName bytes are passed over, and so are those without one.
func (t *symtab) eachFunc(visit func(s symbol, name []byte) bool) error {
	n := t.names()
	var fault error
	err := t.eachSymbol(func(s symbol) bool {
		if !t.isFunc(s) || s.name == 0 {
			return true
		}
		name, ok, err := n.at(uint64(s.name))
		if err != nil {
			fault = err
			return false
		}
		if !ok || len(name) == 0 || s.size == 0 && isMarker(string(name)) {
			return true
		}
		return visit(s, name)
	})
	if fault != nil {
		return fault
	}
	return err
}
