package symbols

import (
	"debug/elf"
	"encoding/binary"
)

// image is an ELF file to be assembled by hand.
type image struct {
	bits32, big bool
	typ         elf.Type
	machine     elf.Machine
	sections    []sect // without the first, empty one and the names
	segments    []seg
}

// sect is a section; its index is its position in image.sections plus 1.
type sect struct {
	name  string
	typ   elf.SectionType
	flags elf.SectionFlag
	addr  uint64
	link  uint32
	entry uint64
	data  []byte
	size  uint64 // if not 0: claimed instead of len(data)
}

// seg is a program header for the bytes of a section.
type seg struct {
	typ     elf.ProgType
	flags   elf.ProgFlag
	section int    // index
	addr    uint64 // if not 0: instead of the section's
	file    uint64 // if not 0: claimed instead of the section's size
	mem     uint64 // if not 0: likewise
}

func (im *image) order() binary.AppendByteOrder {
	if im.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// words appends numbers of the given sizes in bytes; 0 is an address's.
func (im *image) words(b []byte, pairs ...uint64) []byte {
	for i := 0; i < len(pairs); i += 2 {
		size, v := pairs[i], pairs[i+1]
		if size == 0 {
			size = 8
			if im.bits32 {
				size = 4
			}
		}
		switch size {
		case 1:
			b = append(b, byte(v))
		case 2:
			b = im.order().AppendUint16(b, uint16(v))
		case 4:
			b = im.order().AppendUint32(b, uint32(v))
		case 8:
			b = im.order().AppendUint64(b, v)
		}
	}
	return b
}

// sym is an entry of a symbol table.
type sym struct {
	name  uint64
	typ   elf.SymType
	index uint64
	value uint64
	size  uint64
}

func (im *image) symbols(syms ...sym) []byte {
	b := make([]byte, 24)
	if im.bits32 {
		b = b[:16]
	}
	for _, s := range syms {
		if im.bits32 {
			b = im.words(b, 4, s.name, 4, s.value, 4, s.size, 1, uint64(s.typ), 1, 0, 2, s.index)
		} else {
			b = im.words(b, 4, s.name, 1, uint64(s.typ), 1, 0, 2, s.index, 8, s.value, 8, s.size)
		}
	}
	return b
}

func (im *image) note(owner string, typ uint64, desc string) []byte {
	b := im.words(nil, 4, uint64(len(owner)), 4, uint64(len(desc)), 4, typ)
	b = append(b, owner...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, desc...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (im *image) bytes() []byte {
	ehsize, phsize, shsize := uint64(64), uint64(56), uint64(64)
	class := elf.ELFCLASS64
	if im.bits32 {
		ehsize, phsize, shsize, class = 52, 32, 40, elf.ELFCLASS32
	}
	data := elf.ELFDATA2LSB
	if im.big {
		data = elf.ELFDATA2MSB
	}
	names := []byte{0}
	sections := append([]sect{{}}, im.sections...)
	sections = append(sections, sect{name: ".shstrtab", typ: elf.SHT_STRTAB})
	nameAt := make([]uint64, len(sections))
	for i, s := range sections {
		if s.name != "" {
			nameAt[i] = uint64(len(names))
			names = append(append(names, s.name...), 0)
		}
	}
	sections[len(sections)-1].data = names

	at := ehsize + phsize*uint64(len(im.segments))
	offset := make([]uint64, len(sections))
	for i, s := range sections {
		at = (at + 15) &^ 15
		offset[i] = at
		at += uint64(len(s.data))
	}
	shoff := (at + 7) &^ 7

	b := append([]byte(elf.ELFMAG), byte(class), byte(data), 1)
	b = append(b, make([]byte, 16-len(b))...)
	b = im.words(b, 2, uint64(im.typ), 2, uint64(im.machine), 4, 1, 0, 0, 0, ehsize, 0, shoff, 4, 0,
		2, ehsize, 2, phsize, 2, uint64(len(im.segments)), 2, shsize, 2, uint64(len(sections)), 2, uint64(len(sections)-1))
	for _, p := range im.segments {
		s := sections[p.section]
		addr, file := s.addr, uint64(len(s.data))
		if p.addr != 0 {
			addr = p.addr
		}
		if p.file != 0 {
			file = p.file
		}
		mem := file
		if p.mem != 0 {
			mem = p.mem
		}
		off := offset[p.section]
		if im.bits32 {
			b = im.words(b, 4, uint64(p.typ), 4, off, 4, addr, 4, addr, 4, file, 4, mem, 4, uint64(p.flags), 4, 4)
		} else {
			b = im.words(b, 4, uint64(p.typ), 4, uint64(p.flags), 8, off, 8, addr, 8, addr, 8, file, 8, mem, 8, 4)
		}
	}
	for i, s := range sections {
		b = append(b, make([]byte, offset[i]-uint64(len(b)))...)
		b = append(b, s.data...)
	}
	b = append(b, make([]byte, shoff-uint64(len(b)))...)
	for i, s := range sections {
		size := uint64(len(s.data))
		if s.size != 0 {
			size = s.size
		}
		b = im.words(b, 4, nameAt[i], 4, uint64(s.typ), 0, uint64(s.flags), 0, s.addr, 0, offset[i], 0, size,
			4, uint64(s.link), 4, 0, 0, 1, 0, s.entry)
	}
	return b
}

// Positions of the sections of small.
const (
	smallText = iota + 1
	smallData
	smallNote
	smallSyms
	smallStrs
	smallDebug
)

// Offsets in the string table of small; the tail of the first name is the
// second's, as GNU ld merges them.
const (
	smallNames = "\x00lib.main.run\x00helper\x00start\x00table\x00"
	nameLibRun = 1
	nameRun    = 5
	nameHelper = 14
	nameStart  = 21
	nameTable  = 27
)

// small returns a file with a bit of everything: the functions lib.main.run and
// main.run, two that are called helper, start without a type, a variable, notes
// and a compressed section.
func small(im image) *image {
	if im.typ == 0 {
		im.typ = elf.ET_EXEC
	}
	if im.machine == 0 {
		im.machine = elf.EM_X86_64
	}
	code := make([]byte, 64)
	for i := range code {
		code[i] = byte(0x80 + i)
	}
	entry := uint64(24)
	if im.bits32 {
		entry = 16
	}
	debug := im.words(nil, 4, 1, 4, 0, 8, 5, 8, 1)
	if im.bits32 {
		debug = im.words(nil, 4, 1, 4, 5, 4, 1)
	}
	im.sections = []sect{
		{name: ".text", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, addr: 0x401000, data: code},
		{name: ".rodata", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, addr: 0x402000, data: []byte("constant")},
		{name: ".note.x", typ: elf.SHT_NOTE, data: append(im.note("GNU\x00", 3, "\x12\x34\x56\x78\x9a"), im.note("Go\x00\x00", 4, "a/b")...)},
		{name: ".symtab", typ: elf.SHT_SYMTAB, link: smallStrs, entry: entry, data: im.symbols(
			sym{nameLibRun, elf.STT_FUNC, smallText, 0x401000, 16},
			sym{nameRun, elf.STT_FUNC, smallText, 0x401010, 8},
			sym{nameHelper, elf.STT_FUNC, smallText, 0x401018, 8},
			sym{nameHelper, elf.STT_FUNC, smallText, 0x401020, 8},
			sym{nameStart, elf.STT_NOTYPE, smallText, 0x401028, 0},
			sym{nameTable, elf.STT_OBJECT, smallData, 0x402000, 8},
		)},
		{name: ".strtab", typ: elf.SHT_STRTAB, data: []byte(smallNames)},
		{name: ".debug_info", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: append(debug, "zzz"...)},
	}
	im.segments = []seg{
		{typ: elf.PT_LOAD, flags: elf.PF_R | elf.PF_X, section: smallText},
		{typ: elf.PT_LOAD, flags: elf.PF_R, section: smallData, mem: 16},
		{typ: elf.PT_NOTE, flags: elf.PF_R, section: smallNote},
	}
	return &im
}
