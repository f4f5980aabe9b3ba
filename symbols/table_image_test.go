package symbols

import (
	"debug/elf"
	"encoding/binary"
)

// fake is a function of a function table that is assembled by hand.
type fake struct {
	name     string
	at, size uint64 // from the text's start
	args     int32
	id, flag uint8
	line     int32
	file     string   // "" for none, and no tables of PCs, as of functions in C
	inlined  []pcStep // the table of PCs of the tree of inlined calls
	funcdata []uint64 // addresses; 0 for none
}

// fakeProgram is a file with a function table, module data and code.
type fakeProgram struct {
	image
	magic     magic
	go1_11    bool
	treePC    int    // which table of PCs is that of the tree of inlined calls
	textStart bool   // in the header, as before Go 1.26
	relocated bool   // addresses are only in relocations
	unnamed   bool   // without section headers
	version   string // in the build information
	shape     moduleShape
	funcs     []fake
	variables []uint64 // behind the module data: pairs of an address and a number
	relocs    []relocation
}

// Where the parts of a fakeProgram are.
const (
	fakeText   = 0x401000
	fakeEText  = 0x401100
	fakeTable  = 0x410000
	fakeModule = 0x420000
	fakeData   = 0x430000 // types, and what funcdata refers to
	fakeInfo   = 0x438000
	fakeRela   = 0x440000
)

func (p *fakeProgram) word() int {
	if p.bits32 {
		return 4
	}
	return 8
}

func (p *fakeProgram) quantum() uint32 {
	if p.machine == elf.EM_AARCH64 {
		return 4
	}
	return 1
}

func (p *fakeProgram) absolute() bool { return p.magic == magic1_11 || p.magic == magic1_16 }

// put writes v at off in b.
func (p *fakeProgram) put(b []byte, off uint64, size int, v uint64) {
	copy(b[off:off+uint64(size)], p.words(nil, uint64(size), v))
}

// putAddr writes the address v at off in b, which is loaded at base, or a
// relocation for it.
func (p *fakeProgram) putAddr(b []byte, base, off, v uint64) {
	if p.relocated {
		p.relocs = append(p.relocs, relocation{base + off, v})
		return
	}
	p.put(b, off, p.word(), v)
}

// pcTableOf returns a table of PCs.
func pcTableOf(steps ...pcStep) []byte {
	var b []byte
	value := int32(-1)
	for _, s := range steps {
		d := s.value - value
		b = binary.AppendUvarint(b, uint64(uint32(d)<<1^uint32(d>>31)))
		b = binary.AppendUvarint(b, uint64(s.units))
		value = s.value
	}
	return append(b, 0)
}

// texts are the parts of a function table that records refer to, and for each
// function where in them is what.
type texts struct {
	names, cus, files, pcs []byte
	refs                   []struct{ name, pcsp, pcfile, inline uint64 }
}

// texts returns those parts. Offsets of a table that is all in one count from
// base, and everything is in names.
func (p *fakeProgram) texts(base uint64) texts {
	t := texts{pcs: []byte{0}} // 0 is no table
	names, files, pcs := &t.names, &t.files, &t.pcs
	if p.magic == magic1_11 {
		files, pcs = names, names
	}
	add := func(to *[]byte, b ...byte) uint64 {
		at := base + uint64(len(*to))
		*to = append(*to, b...)
		return at
	}
	if p.magic == magic1_11 {
		add(names, 0)
	}
	for i, f := range p.funcs {
		var r struct{ name, pcsp, pcfile, inline uint64 }
		r.name = add(names, append([]byte(f.name), 0)...)
		file := uint64(0xffffffff)
		if f.file != "" {
			file = add(files, append([]byte(f.file), 0)...)
			units := uint32(f.size) / p.quantum()
			r.pcsp = add(pcs, pcTableOf(pcStep{0, units/2 + 1}, pcStep{200, units - units/2 - 1})...)
			r.pcfile = add(pcs, pcTableOf(pcStep{int32(i), units})...)
		}
		if f.inlined != nil {
			r.inline = add(pcs, pcTableOf(f.inlined...)...)
		}
		t.cus = p.words(t.cus, 4, file)
		t.refs = append(t.refs, r)
	}
	return t
}

// table returns the function table.
func (p *fakeProgram) table() []byte {
	word := uint64(p.word())
	b := p.words(nil, 4, uint64(p.magic), 2, 0, 1, uint64(p.quantum()), 1, word, 0, uint64(len(p.funcs)))
	align := func() uint64 {
		for uint64(len(b))%8 != 0 {
			b = append(b, 0)
		}
		return uint64(len(b))
	}
	layout := p.magic.layout(int(word))
	if p.go1_11 {
		layout = layout1_11(int(word))
	}
	entry := uint64(8) // of the index
	if p.absolute() {
		entry = 2 * word
	}
	indexSize := entry*uint64(len(p.funcs)) + entry/2

	var t texts
	var index, records uint64 // where the index is, and what records count from
	if p.magic == magic1_11 {
		index = uint64(len(b))
		b = append(b, make([]byte, indexSize+4)...)
		t = p.texts(uint64(len(b)))
		b = append(b, t.names...)
		p.put(b, index+indexSize, 4, align())
		b = append(b, t.cus...)
	} else {
		t = p.texts(0)
		b = p.words(b, 0, 1) // files
		if p.magic != magic1_16 {
			b = p.words(b, 0, 0)
			if p.textStart {
				p.putAddr(b, fakeTable, uint64(len(b))-word, fakeText)
			}
		}
		parts := uint64(len(b))
		b = append(b, make([]byte, 5*word)...)
		for i, data := range [][]byte{t.names, t.cus, t.files, t.pcs, make([]byte, indexSize)} {
			index = align()
			p.put(b, parts+uint64(i)*word, int(word), index)
			b = append(b, data...)
		}
		records = index
	}
	align()
	last := p.funcs[len(p.funcs)-1]
	for i, f := range p.funcs {
		at := p.record(&b, layout, f, t.refs[i].name, t.refs[i].pcsp, t.refs[i].pcfile, t.refs[i].inline)
		align()
		p.entry(b, index+uint64(i)*entry, f.at)
		p.put(b, index+uint64(i)*entry+entry/2, int(entry/2), at-records)
	}
	p.entry(b, index+uint64(len(p.funcs))*entry, last.at+last.size)
	return b
}

// entry writes where a function is, at off in the table b.
func (p *fakeProgram) entry(b []byte, off, at uint64) {
	if p.absolute() {
		p.putAddr(b, fakeTable, off, fakeText+at)
		return
	}
	p.put(b, off, 4, at)
}

// record appends the record of f to the table, and returns where it is.
func (p *fakeProgram) record(b *[]byte, l funcLayout, f fake, name, pcsp, pcfile, inline uint64) uint64 {
	at := uint64(len(*b))
	pcdata := 0
	if f.inlined != nil {
		pcdata = p.treePC + 1
	}
	rec := make([]byte, l.size+4*pcdata)
	*b = append(*b, rec...)
	field := func(off, size int, v uint64) {
		if off >= 0 {
			p.put(*b, at+uint64(off), size, v)
		}
	}
	p.entry(*b, at, f.at)
	field(l.name, 4, name)
	field(l.args, 4, uint64(uint32(f.args)))
	field(l.pcsp, 4, pcsp)
	field(l.pcfile, 4, pcfile)
	field(l.npcdata, 4, uint64(pcdata))
	field(l.startLine, 4, uint64(uint32(f.line)))
	field(l.flag, 1, uint64(f.flag))
	size := 1
	if l.nfuncdataWide {
		size = 4
	}
	field(l.id, size, uint64(f.id))
	field(l.nfuncdata, size, uint64(len(f.funcdata)))
	if pcdata > 0 {
		field(l.size+4*(pcdata-1), 4, inline)
	}
	wide := 4
	if p.absolute() {
		wide = p.word()
		for len(*b)%wide != 0 {
			*b = append(*b, 0)
		}
	}
	for _, v := range f.funcdata {
		off := uint64(len(*b))
		*b = append(*b, make([]byte, wide)...)
		switch {
		case p.absolute() && v != 0:
			p.putAddr(*b, fakeTable, off, v)
		case v == 0 && !p.absolute():
			p.put(*b, off, 4, 0xffffffff)
		case v != 0:
			p.put(*b, off, 4, v-fakeData)
		}
	}
	return at
}

// module returns the module data.
func (p *fakeProgram) module() []byte {
	b := make([]byte, 48*p.word())
	addr := func(i int, v uint64) {
		if i >= 0 {
			p.putAddr(b, fakeModule, uint64(i*p.word()), v)
		}
	}
	last := p.funcs[len(p.funcs)-1]
	addr(0, fakeTable)
	addr(p.shape.minpc, fakeText+p.funcs[0].at)
	addr(p.shape.minpc+1, fakeText+last.at+last.size)
	addr(p.shape.text, fakeText)
	addr(p.shape.text+1, fakeEText)
	addr(p.shape.types, fakeData)
	addr(p.shape.etypes, fakeData+0x100)
	addr(p.shape.gofunc, fakeData)
	addr(p.shape.typelinks, fakeData+0x80)
	number := func(i int, v uint64) { p.put(b, uint64(i*p.word()), p.word(), v) }
	if i := p.shape.typelinks; i >= 0 {
		number(i+1, 5)
	}
	if i := p.shape.typedesc; i >= 0 {
		number(i, 0x40)
		number(p.shape.itab, 0x60)
		number(p.shape.itab+1, 0x20)
	}
	for i := 0; i < len(p.variables); i += 2 {
		at := uint64(len(b))
		b = p.words(b, 0, 0, 0, p.variables[i+1])
		p.putAddr(b, fakeModule, at, p.variables[i])
	}
	return b
}

// Positions of the sections of a fakeProgram.
const (
	fakeSectText = iota + 1
	fakeSectTable
	fakeSectModule
	fakeSectData
	fakeSectInfo
	fakeSectRela
	fakeSectDynamic
)

// file assembles the program. data is what is at fakeData.
func (p *fakeProgram) file(data []byte) []byte {
	p.typ = elf.ET_EXEC
	p.relocs = nil
	code := make([]byte, fakeEText-fakeText)
	if p.machine == elf.EM_X86_64 || p.machine == elf.EM_386 {
		for i := range code {
			code[i] = 0xcc
		}
	}
	for _, f := range p.funcs {
		for i := range f.size {
			code[f.at+i] = 0x90
		}
	}
	table, module := p.table(), p.module()
	info := make([]byte, 32)
	if p.version != "" {
		info = append([]byte(buildInfoMagic), byte(p.word()), 2)
		info = append(info, make([]byte, 32-len(info))...)
		info = append(append(info, byte(len(p.version))), p.version...)
	}
	const alloc, write = elf.SHF_ALLOC, elf.SHF_WRITE
	p.sections = []sect{
		{name: ".text", typ: elf.SHT_PROGBITS, flags: alloc | elf.SHF_EXECINSTR, addr: fakeText, data: code},
		{name: ".gopclntab", typ: elf.SHT_PROGBITS, flags: alloc, addr: fakeTable, data: table},
		{name: ".noptrdata", typ: elf.SHT_PROGBITS, flags: alloc | write, addr: fakeModule, data: module},
		{name: ".rodata", typ: elf.SHT_PROGBITS, flags: alloc, addr: fakeData, data: data},
		{name: ".go.buildinfo", typ: elf.SHT_PROGBITS, flags: alloc | write, addr: fakeInfo, data: info},
	}
	p.segments = nil
	for i, s := range p.sections {
		flags := elf.PF_R
		if s.flags&write != 0 {
			flags |= elf.PF_W
		}
		if s.flags&elf.SHF_EXECINSTR != 0 {
			flags |= elf.PF_X
		}
		p.segments = append(p.segments, seg{typ: elf.PT_LOAD, flags: flags, section: i + 1})
	}
	if p.relocated {
		p.typ = elf.ET_DYN
		var rela []byte
		typ, _ := relativeType(p.machine)
		for _, r := range p.relocs {
			rela = p.words(rela, 0, r.offset, 0, uint64(typ), 0, r.addend)
		}
		word := uint64(p.word())
		dynamic := p.words(nil, 0, uint64(elf.DT_RELA), 0, fakeRela, 0, uint64(elf.DT_RELASZ), 0, uint64(len(rela)),
			0, uint64(elf.DT_RELAENT), 0, 3*word, 0, 0, 0, 0)
		p.sections = append(p.sections,
			sect{name: ".rela.dyn", typ: elf.SHT_RELA, flags: alloc, addr: fakeRela, data: rela},
			sect{name: ".dynamic", typ: elf.SHT_DYNAMIC, data: dynamic})
		p.segments = append(p.segments, seg{typ: elf.PT_LOAD, flags: elf.PF_R, section: fakeSectRela},
			seg{typ: elf.PT_DYNAMIC, flags: elf.PF_R, section: fakeSectDynamic})
	}
	b := p.bytes()
	if p.unnamed {
		// e_shoff, e_shnum and e_shstrndx
		if p.bits32 {
			p.put(b, 32, 4, 0)
			p.put(b, 48, 4, 0)
		} else {
			p.put(b, 40, 8, 0)
			p.put(b, 60, 4, 0)
		}
	}
	return b
}
