package symbols

import (
	"bytes"
	"debug/elf"
	"fmt"
)

// Limits on what the headers may ask for. The kernel refuses more than 64 KiB
// of program headers (fs/binfmt_elf.c, load_elf_phdrs); linkers write some
// dozens of sections and some kilobytes of their names.
const (
	maxProgramHeaders = 64 << 10 // bytes
	maxSections       = 1 << 16
	maxSectionNames   = 4 << 20 // bytes
)

// header is a section header.
type header struct {
	name   string
	typ    elf.SectionType
	flags  elf.SectionFlag
	addr   uint64
	stored extent // in the file; unchecked, and empty in the file for SHT_NOBITS
	link   uint32
	entry  uint64 // size of an entry, for tables
}

const (
	partELF      = "ELF header"
	partProgram  = "program headers"
	partSections = "section headers"
)

// readHeaders reads and checks the ELF header and the tables that it refers
// to (gABI chapter 4, "ELF Header", "Section Header"; chapter 5, "Program
// Header").
func (f *File) readHeaders() error {
	var buf [64]byte // Elf64_Ehdr; Elf32_Ehdr has 52
	start := buf[:min(f.size, uint64(len(buf)))]
	if err := f.read(start, 0); err != nil {
		return f.wrap("read "+partELF, err)
	}
	if !bytes.HasPrefix(start, []byte(elf.ELFMAG)) {
		what := foreign(start, f)
		if f.path == "" {
			return fmt.Errorf("%w: %s", ErrNotELF, what)
		}
		return fmt.Errorf("open %s: %w: %s", f.path, ErrNotELF, what)
	}
	if len(start) < 52 {
		return f.malformed(partELF, f.size, "%w", ErrTruncated)
	}
	f.class = elf.Class(start[elf.EI_CLASS])
	if f.class != elf.ELFCLASS32 && f.class != elf.ELFCLASS64 {
		return f.malformed(partELF, elf.EI_CLASS, "unknown class %d", start[elf.EI_CLASS])
	}
	if f.class == elf.ELFCLASS64 && len(start) < 64 {
		return f.malformed(partELF, f.size, "%w", ErrTruncated)
	}
	switch elf.Data(start[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
	case elf.ELFDATA2MSB:
		f.big = true
	default:
		return f.malformed(partELF, elf.EI_DATA, "unknown byte order %d", start[elf.EI_DATA])
	}
	if v := start[elf.EI_VERSION]; v != byte(elf.EV_CURRENT) {
		return f.malformed(partELF, elf.EI_VERSION, "unknown version %d", v)
	}
	f.typ = elf.Type(f.u16(start[16:]))
	f.machine = elf.Machine(f.u16(start[18:]))
	switch f.typ {
	case elf.ET_EXEC, elf.ET_DYN:
	case elf.ET_REL:
		return f.wrap("open", fmt.Errorf("%w: it is an object file: link it into a program first", ErrNotProgram))
	case elf.ET_CORE:
		return f.wrap("open", fmt.Errorf("%w: it is a core dump: give the program that dumped it", ErrNotProgram))
	default:
		return f.malformed(partELF, 16, "unknown file type %d", uint16(f.typ))
	}

	var t tables
	if f.class == elf.ELFCLASS64 {
		t = tables{phoff: f.u64(start[32:]), shoff: f.u64(start[40:])}
		t.counts(f, start[54:])
	} else {
		t = tables{phoff: uint64(f.u32(start[28:])), shoff: uint64(f.u32(start[32:]))}
		t.counts(f, start[42:])
	}
	if err := f.readProgramHeaders(t); err != nil {
		return err
	}
	return f.readSectionHeaders(t)
}

// tables is where the ELF header says that the other headers are.
type tables struct {
	phoff, shoff                        uint64
	phsize, phnum, shsize, shnum, names uint64
}

// counts reads e_phentsize to e_shstrndx from b.
func (t *tables) counts(f *File, b []byte) {
	t.phsize, t.phnum = uint64(f.u16(b)), uint64(f.u16(b[2:]))
	t.shsize, t.shnum = uint64(f.u16(b[4:])), uint64(f.u16(b[6:]))
	t.names = uint64(f.u16(b[8:]))
}

func (f *File) readProgramHeaders(t tables) error {
	if t.phnum == 0 || t.phoff == 0 {
		return nil
	}
	want := uint64(56)
	if f.class == elf.ELFCLASS32 {
		want = 32
	}
	if t.phsize < want {
		return f.malformed(partELF, 0, "program headers of %d bytes, not %d", t.phsize, want)
	}
	if t.phnum*t.phsize > maxProgramHeaders {
		return f.malformed(partELF, 0, "%d program headers are too many", t.phnum)
	}
	table := make([]byte, t.phnum*t.phsize)
	if err := f.read(table, t.phoff); err != nil {
		return f.malformed(partProgram, 0, "%w", err)
	}
	for i := range t.phnum {
		b := table[i*t.phsize:]
		var typ elf.ProgType
		var flags elf.ProgFlag
		var where extent
		var addr, mem uint64
		if f.class == elf.ELFCLASS64 {
			typ, flags = elf.ProgType(f.u32(b)), elf.ProgFlag(f.u32(b[4:]))
			where = extent{f.u64(b[8:]), f.u64(b[32:])}
			addr, mem = f.u64(b[16:]), f.u64(b[40:])
		} else {
			typ, flags = elf.ProgType(f.u32(b)), elf.ProgFlag(f.u32(b[24:]))
			where = extent{uint64(f.u32(b[4:])), uint64(f.u32(b[16:]))}
			addr, mem = uint64(f.u32(b[8:])), uint64(f.u32(b[20:]))
		}
		switch typ {
		case elf.PT_LOAD:
			if _, ok := where.end(); !ok {
				return f.malformed(partProgram, i*t.phsize, "file range of segment %d overflows", i)
			}
			if _, ok := (extent{addr, max(mem, where.size)}).end(); !ok {
				return f.malformed(partProgram, i*t.phsize, "address range of segment %d overflows", i)
			}
			f.segments = append(f.segments, Segment{
				Addr: VirtAddr(addr), Offset: FileOffset(where.off),
				FileSize: where.size, MemSize: max(mem, where.size),
				Read: flags&elf.PF_R != 0, Write: flags&elf.PF_W != 0, Exec: flags&elf.PF_X != 0,
			})
		case elf.PT_NOTE:
			f.noteSegs = append(f.noteSegs, where)
		case elf.PT_DYNAMIC:
			f.dynamic = where
		case elf.PT_GNU_RELRO:
			f.relro = extent{addr, mem}
		}
	}
	return nil
}

func (f *File) readSectionHeaders(t tables) error {
	if t.shoff == 0 {
		return nil // stripped of them; the kernel does not need any
	}
	want := uint64(64)
	if f.class == elf.ELFCLASS32 {
		want = 40
	}
	if t.shsize < want {
		if t.shnum == 0 {
			return nil
		}
		return f.malformed(partELF, 0, "section headers of %d bytes, not %d", t.shsize, want)
	}
	if t.shnum == 0 || t.names == uint64(elf.SHN_XINDEX) {
		// Numbers that have no room in the ELF header are in section 0.
		b := make([]byte, want)
		if err := f.read(b, t.shoff); err != nil {
			return f.malformed(partSections, 0, "%w", err)
		}
		h := f.sectionHeader(b)
		if t.shnum == 0 {
			t.shnum = h.stored.size
		}
		if t.names == uint64(elf.SHN_XINDEX) {
			t.names = uint64(h.link)
		}
	}
	if t.shnum > maxSections {
		return f.malformed(partELF, 0, "%d sections are too many", t.shnum)
	}
	if !f.fits(extent{t.shoff, t.shnum * t.shsize}) {
		return f.malformed(partSections, 0, "%w", ErrTruncated)
	}
	table := make([]byte, t.shnum*t.shsize)
	if err := f.read(table, t.shoff); err != nil {
		return f.malformed(partSections, 0, "%w", err)
	}
	f.sections = make([]header, t.shnum)
	for i := range f.sections {
		f.sections[i] = f.sectionHeader(table[uint64(i)*t.shsize:])
	}
	if t.names == uint64(elf.SHN_UNDEF) {
		return nil
	}
	if t.names >= t.shnum {
		return f.malformed(partELF, 0, "section names are in section %d of %d", t.names, t.shnum)
	}
	return f.nameSections(f.sections[t.names].stored, table, t.shsize)
}

// sectionHeader decodes b but for the name.
func (f *File) sectionHeader(b []byte) header {
	if f.class == elf.ELFCLASS64 {
		return header{
			typ: elf.SectionType(f.u32(b[4:])), flags: elf.SectionFlag(f.u64(b[8:])),
			addr: f.u64(b[16:]), stored: extent{f.u64(b[24:]), f.u64(b[32:])},
			link: f.u32(b[40:]), entry: f.u64(b[56:]),
		}
	}
	return header{
		typ: elf.SectionType(f.u32(b[4:])), flags: elf.SectionFlag(f.u32(b[8:])),
		addr: uint64(f.u32(b[12:])), stored: extent{uint64(f.u32(b[16:])), uint64(f.u32(b[20:]))},
		link: f.u32(b[24:]), entry: uint64(f.u32(b[36:])),
	}
}

func (f *File) nameSections(where extent, table []byte, shsize uint64) error {
	if where.size > maxSectionNames {
		return f.malformed(partSections, 0, "%d bytes of section names are too many", where.size)
	}
	if !f.fits(where) {
		return f.malformed(partSections, 0, "section names: %w", ErrTruncated)
	}
	names := make([]byte, where.size)
	if err := f.read(names, where.off); err != nil {
		return f.malformed(partSections, 0, "section names: %w", err)
	}
	for i := range f.sections {
		at := uint64(i) * shsize
		off := uint64(f.u32(table[at:]))
		if off >= where.size {
			return f.malformed(partSections, at, "name of section %d lies outside the names", i)
		}
		rest := names[off:]
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			return f.malformed(partSections, at, "name of section %d has no end", i)
		}
		if end > maxSectionName {
			return f.malformed(partSections, at, "name of section %d is too long", i)
		}
		f.sections[i].name = string(rest[:end])
	}
	return nil
}

// maxSectionName bounds one name, so that many sections that share a long name
// do not add up. The longest that toolchains write have some dozens of bytes;
// -ffunction-sections makes them as long as a C++ name, but those are gone
// after linking.
const maxSectionName = 1 << 10

// hasTextRelocations reports whether the dynamic section asks the loader to
// write to read-only segments (DT_TEXTREL, gABI chapter 5, "Dynamic Section").
// If it cannot be read, the answer is yes: trust nothing.
func (f *File) hasTextRelocations() bool {
	if f.dynamic.size == 0 {
		return false
	}
	word := uint64(f.wordSize())
	const maxEntries = 4096
	buf := make([]byte, 2*word)
	for i := range uint64(maxEntries) {
		if (i+1)*2*word > f.dynamic.size {
			return false
		}
		off := f.dynamic.off + i*2*word
		if off < f.dynamic.off || f.read(buf, off) != nil {
			return true
		}
		tag, val := f.word(buf), f.word(buf[word:])
		switch {
		case elf.DynTag(tag) == elf.DT_NULL:
			return false
		case elf.DynTag(tag) == elf.DT_TEXTREL,
			elf.DynTag(tag) == elf.DT_FLAGS && elf.DynFlag(val)&elf.DF_TEXTREL != 0:
			return true
		}
	}
	return true
}

// wordSize returns the size of an address in bytes.
func (f *File) wordSize() int {
	if f.class == elf.ELFCLASS64 {
		return 8
	}
	return 4
}

// word reads an address-sized number.
func (f *File) word(b []byte) uint64 {
	if f.class == elf.ELFCLASS64 {
		return f.u64(b)
	}
	return uint64(f.u32(b))
}
