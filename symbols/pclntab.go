package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"sync"
)

// magic is the first word of a function table (internal/abi, PCLnTabMagic).
type magic uint32

// The magics, by the release that began to write them. 0xfffffffb is older
// than 1.11, but this package does not know the layouts before.
const (
	magic1_11 magic = 0xfffffffb
	magic1_16 magic = 0xfffffffa
	magic1_18 magic = 0xfffffff0
	magic1_20 magic = 0xfffffff1
)

// Go names the table runtime.pclntab; sections that hold it, as cmd/link names
// them in a program and in a position-independent one up to Go 1.25. An
// external linker may merge the latter into .data.rel.ro.
var tableSections = []string{".gopclntab", ".data.rel.ro.gopclntab"}

// funcLayout says where in a record of type runtime._func its fields are, in
// bytes, and how large it is (runtime/runtime2.go and cmd/link/internal/ld,
// (*Link).pclntab or writeFuncs, of each release). Fields that a release does
// not have are -1.
type funcLayout struct {
	name, args, pcsp, pcfile, npcdata int
	cu                                int
	startLine                         int
	id, flag                          int
	nfuncdata                         int
	nfuncdataWide                     bool // four bytes, not one
	size                              int
}

// layout returns that of the table's records. p is the size of the entry's
// address.
func (m magic) layout(p int) funcLayout {
	switch m {
	case magic1_11: // from Go 1.12; see layout1_11
		return funcLayout{name: p, args: p + 4, pcsp: p + 12, pcfile: p + 16, npcdata: p + 24,
			cu: -1, startLine: -1, id: p + 28, flag: -1, nfuncdata: p + 31, size: p + 32}
	case magic1_16: // the flag's byte is padding, and zero, in Go 1.16
		return funcLayout{name: p, args: p + 4, pcsp: p + 12, pcfile: p + 16, npcdata: p + 24,
			cu: p + 28, startLine: -1, id: p + 32, flag: p + 33, nfuncdata: p + 35, size: p + 36}
	case magic1_18:
		return funcLayout{name: 4, args: 8, pcsp: 16, pcfile: 20, npcdata: 28,
			cu: 32, startLine: -1, id: 36, flag: 37, nfuncdata: 39, size: 40}
	}
	return funcLayout{name: 4, args: 8, pcsp: 16, pcfile: 20, npcdata: 28,
		cu: 32, startLine: 36, id: 40, flag: 41, nfuncdata: 43, size: 44}
}

// layout1_11 is that of Go 1.11, which has the magic of later releases.
func layout1_11(p int) funcLayout {
	return funcLayout{name: p, args: p + 4, pcsp: p + 12, pcfile: p + 16, npcdata: p + 24,
		cu: -1, startLine: -1, id: p + 8, flag: -1, nfuncdata: p + 28, nfuncdataWide: true, size: p + 32}
}

// readTable finds the function table of the file.
func (f *File) readTable() (*FuncTable, error) {
	var fault error
	for _, name := range tableSections {
		h := f.header(name)
		if h == nil {
			continue
		}
		off, err := f.FileOffset(VirtAddr(h.addr))
		if err != nil || uint64(off) != h.stored.off || h.flags&elf.SHF_COMPRESSED != 0 {
			fault = f.malformed(name, 0, "it is not where the program headers load it")
			continue
		}
		if !f.fits(h.stored) {
			return nil, f.malformed(name, 0, "%w", ErrTruncated)
		}
		t, err := f.parseTable(name, VirtAddr(h.addr), h.stored)
		if err == nil {
			return t, nil
		}
		fault = err
	}
	if fault != nil {
		return nil, fault
	}
	return f.scanTable()
}

// maxTableTries bounds the places that look like the beginning of a function
// table and are none.
const maxTableTries = 4096

// headerTexts returns bytes that function tables for the file begin with, but
// for the first lead of them.
func (f *File) headerTexts() (texts [][]byte, lead uint64) {
	quanta := []byte{1, 2, 4}
	switch f.machine {
	case elf.EM_X86_64, elf.EM_386:
		quanta = []byte{1}
	case elf.EM_AARCH64:
		quanta = []byte{4}
	}
	for _, quantum := range quanta {
		rest := []byte{0, 0, quantum, byte(f.wordSize())}
		if !f.big { // the magics differ in the first byte
			texts = append(texts, append([]byte{0xff, 0xff, 0xff}, rest...))
			lead = 1
			continue
		}
		for _, m := range []magic{magic1_11, magic1_16, magic1_18, magic1_20} {
			texts = append(texts, append([]byte{0xff, 0xff, 0xff, byte(m)}, rest...))
		}
	}
	return texts, lead
}

// scanTable searches the segments for a function table, those without code
// first.
func (f *File) scanTable() (*FuncTable, error) {
	texts, lead := f.headerTexts()
	var fault error
	tries := 0
	for _, exec := range []bool{false, true} {
		for _, s := range f.segments {
			if s.Exec != exec {
				continue
			}
			for _, text := range texts {
				t, err := f.scanSegment(s, text, lead, &tries)
				if t != nil {
					return t, nil
				}
				if err != nil {
					fault = err
				}
			}
		}
	}
	if fault != nil {
		return nil, fault
	}
	return nil, ErrNoTable
}

// scanSegment searches s for a table that begins with text, but for the first
// lead bytes. The error is that of the last place that looked like one.
func (f *File) scanSegment(s Segment, text []byte, lead uint64, tries *int) (t *FuncTable, err error) {
	off := uint64(s.Offset)
	f.findEach(extent{off, s.FileSize}, text, func(at uint64) bool {
		head := at - lead
		if at < off+lead || (uint64(s.Addr)+head-off)%uint64(f.wordSize()) != 0 {
			return true
		}
		found, fault := f.parseTable(partScanned, s.Addr+VirtAddr(head-off), extent{head, s.FileSize - (head - off)})
		switch {
		case fault == nil:
			t, err = found, nil
			return false
		case !errors.Is(fault, errNotTable):
			err = fault
		}
		*tries++
		return *tries < maxTableTries
	})
	return t, err
}

// partScanned is what errors call a function table without a section of its
// own; their offsets count from the table's beginning.
const partScanned = "function table"

var errNotTable = errors.New("it does not begin as a function table")

// parseTable reads the header of the table at addr. stored is where it is in
// the file and how long it can be.
func (f *File) parseTable(section string, addr VirtAddr, stored extent) (*FuncTable, error) {
	p := f.wordSize()
	var buf [8 + 8*8]byte
	head := buf[:min(uint64(8+8*p), stored.size)]
	if len(head) < 8+2*p {
		return nil, f.malformed(section, 0, "%w", ErrTruncated)
	}
	if err := f.read(head, stored.off); err != nil {
		return nil, f.malformed(section, 0, "%w", err)
	}
	t := &FuncTable{
		f: f, section: section, addr: addr, stored: stored,
		magic: magic(f.u32(head)), quantum: uint64(head[6]), ptr: p,
	}
	t.text = sync.OnceValues(t.readTextStart)
	t.bridges = sync.OnceValues(t.findBridges)
	t.wrapper = sync.OnceValues(t.findWrapperID)
	words := 0 // in the header
	switch t.magic {
	case magic1_11:
		words = 1
	case magic1_16:
		words = 7
	case magic1_18, magic1_20:
		words = 8
	default:
		return nil, f.malformed(section, 0, "%w", errNotTable)
	}
	if head[4] != 0 || head[5] != 0 || bytes.IndexByte([]byte{1, 2, 4}, head[6]) < 0 || int(head[7]) != p {
		return nil, f.malformed(section, 4, "%w", errNotTable)
	}
	if len(head) < 8+words*p {
		return nil, f.malformed(section, 0, "%w", ErrTruncated)
	}
	word := func(i int) uint64 { return f.word(head[8+i*p:]) }
	t.count = word(0)
	var err error
	switch t.magic {
	case magic1_11:
		err = t.parts1_11()
	case magic1_16:
		err = t.parts(word(2), word(3), word(4), word(5), word(6))
	default:
		err = t.parts(word(3), word(4), word(5), word(6), word(7))
	}
	if err != nil {
		return nil, err
	}
	return t, t.check()
}

// parts sets the table's parts from their offsets in the header.
func (t *FuncTable) parts(names, cus, files, pcs, funcs uint64) error {
	offsets := []uint64{uint64(8), names, cus, files, pcs, funcs, t.stored.size}
	for i := 1; i < len(offsets); i++ {
		if offsets[i] < offsets[i-1] {
			return t.malformed(8, "its parts are not in order")
		}
	}
	t.names = extent{names, cus - names}
	t.cus = extent{cus, files - cus}
	t.files = extent{files, pcs - files}
	t.pcs = extent{pcs, funcs - pcs}
	t.funcs = extent{funcs, t.stored.size - funcs}
	t.index = t.funcs
	t.absolute = t.magic == magic1_16
	t.layout = t.magic.layout(t.ptr)
	if !t.fitIndex() {
		return t.malformed(8, "%d functions do not fit: %w", t.count, ErrTruncated)
	}
	return nil
}

// parts1_11 sets the parts of a table that has everything in one, the index
// behind the header, then the offset of the table of files.
func (t *FuncTable) parts1_11() error {
	head := uint64(8 + t.ptr)
	all := extent{0, t.stored.size}
	t.names, t.pcs, t.funcs, t.files = all, all, all, all
	t.index = extent{head, t.stored.size - head}
	t.absolute = true
	t.layout = t.magic.layout(t.ptr)
	if !t.fitIndex() {
		return t.malformed(8, "%d functions do not fit: %w", t.count, ErrTruncated)
	}
	// Only Go 1.11 has the number of funcdata in four bytes, the last of which
	// is later the whole number, and the first the ID. Compiled functions have
	// at least two, some of the runtime's an ID.
	const sample = 512
	old := true
	always0 := t.layout.nfuncdata
	if t.f.big {
		always0 = t.layout.id
	}
	err := t.each(func(r *record) bool {
		old = r.b[always0] == 0
		return old && r.index < sample
	})
	if err != nil {
		return err
	}
	if old {
		t.layout = layout1_11(t.ptr)
	}
	return nil
}

// maxFuncs bounds the functions of a table; the index has 32-bit offsets.
const maxFuncs = 1 << 26

// fitIndex reports whether the index has room for its functions.
func (t *FuncTable) fitIndex() bool {
	if t.count > maxFuncs {
		return false
	}
	// The last entry is only an address.
	return t.count*t.indexEntry()+t.indexEntry()/2 <= t.index.size
}

// indexEntry returns how many bytes an entry of the index has.
func (t *FuncTable) indexEntry() uint64 {
	if t.absolute {
		return uint64(2 * t.ptr)
	}
	return 8
}

// check looks at some functions, so that a table that only looks like one is
// not taken for one.
func (t *FuncTable) check() error {
	if t.count == 0 {
		return t.malformed(8, "%w: it has no functions", errNotTable)
	}
	const sample = 16
	n := t.reader()
	var fault error
	err := t.each(func(r *record) bool {
		entry := uint64(t.f.u32(r.b))
		if t.absolute {
			// The record's own address is a word that the loader relocates.
			var b [8]byte
			if fault = t.readWords(b[:t.ptr], t.funcs.off+r.at); fault != nil {
				return false
			}
			entry = t.f.word(b[:])
		}
		if entry != r.low {
			fault = t.malformed(t.funcs.off+r.at, "the function starts at %#x, not %#x as in the index", entry, r.low)
			return false
		}
		if _, _, fault = n.name(t.nameOffset(r)); fault != nil {
			return false
		}
		return r.index < sample
	})
	if fault != nil {
		return fault
	}
	return err
}

// malformed returns a FormatError at off in the table.
func (t *FuncTable) malformed(off uint64, format string, args ...any) error {
	return &FormatError{File: t.f.path, Section: t.section, Offset: SectionOffset(off), Err: fmt.Errorf(format, args...)}
}

// read fills buf from the table's bytes at off.
func (t *FuncTable) read(buf []byte, off uint64) error {
	if off > t.stored.size || uint64(len(buf)) > t.stored.size-off {
		return t.malformed(off, "%w", ErrTruncated)
	}
	if err := t.f.read(buf, t.stored.off+off); err != nil {
		return t.malformed(off, "%w", err)
	}
	return nil
}

// readWords is read for bytes that hold addresses, which the loader relocates.
func (t *FuncTable) readWords(buf []byte, off uint64) error {
	if off > t.stored.size || uint64(len(buf)) > t.stored.size-off {
		return t.malformed(off, "%w", ErrTruncated)
	}
	if err := t.f.image(t.addr+VirtAddr(off), buf); err != nil {
		return t.malformed(off, "%w", err)
	}
	return nil
}
