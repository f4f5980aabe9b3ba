package symbols

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// relocations are the relative relocations with addends that the loader
// applies (DT_RELA, gABI chapter 5, "Dynamic Section"): at each offset it
// stores load bias plus addend. GNU ld leaves the words themselves as zero;
// Go's own linker writes the addend there too.
//
// Those without addends (DT_REL, DT_RELR) have their value in place already.
type relocations struct {
	f     *File
	table extent
	typ   uint32 // the machine's R_*_RELATIVE
	// firsts are the offsets of the first relative relocation of each block of
	// the table. It is nil if the table is not sorted; all is then.
	firsts []uint64
	blocks []uint32 // which block of the table each of firsts is about
	all    []relocation
}

type relocation struct{ offset, addend uint64 }

const (
	relocBlock = 512 // entries
	// maxRelocations bounds those of a table that is not sorted, and so has to
	// be held in memory: 32 MiB. The linkers in use sort theirs.
	maxRelocations = 2 << 20
)

// relativeType returns the type of the relocations that add the load bias.
func relativeType(m elf.Machine) (uint32, bool) {
	switch m {
	case elf.EM_X86_64:
		return uint32(elf.R_X86_64_RELATIVE), true
	case elf.EM_AARCH64:
		return uint32(elf.R_AARCH64_RELATIVE), true
	case elf.EM_PPC64:
		return uint32(elf.R_PPC64_RELATIVE), true
	case elf.EM_RISCV:
		return uint32(elf.R_RISCV_RELATIVE), true
	case elf.EM_LOONGARCH:
		return uint32(elf.R_LARCH_RELATIVE), true
	case elf.EM_S390:
		return uint32(elf.R_390_RELATIVE), true
	}
	return 0, false
}

// readRelocations returns those of the file, nil if it has none.
func (f *File) readRelocations() (*relocations, error) {
	typ, ok := relativeType(f.machine)
	if !ok || f.dynamic.size == 0 {
		return nil, nil
	}
	tags, err := f.dynamicTags()
	if err != nil {
		return nil, err
	}
	addr, size := tags[elf.DT_RELA], tags[elf.DT_RELASZ]
	if addr == 0 || size == 0 {
		return nil, nil
	}
	r := &relocations{f: f, typ: typ}
	entry := r.entry()
	if n := tags[elf.DT_RELAENT]; n != 0 && n != entry {
		return nil, f.malformed(partDynamic, 0, "relocations of %d bytes, not %d", n, entry)
	}
	off, err := f.FileOffset(VirtAddr(addr))
	if err != nil {
		return nil, f.malformed(partDynamic, 0, "relocations: %w", err)
	}
	r.table = extent{uint64(off), size / entry * entry}
	if !f.fits(r.table) {
		return nil, f.malformed(partDynamic, 0, "relocations: %w", ErrTruncated)
	}
	return r, r.index()
}

const partDynamic = "dynamic section"

// dynamicTags returns the values of the dynamic section that are needed here.
func (f *File) dynamicTags() (map[elf.DynTag]uint64, error) {
	tags := map[elf.DynTag]uint64{}
	word := uint64(f.wordSize())
	const maxEntries = 4096
	buf := make([]byte, 2*word)
	for i := range uint64(maxEntries) {
		if (i+1)*2*word > f.dynamic.size {
			break
		}
		if err := f.read(buf, f.dynamic.off+i*2*word); err != nil {
			return nil, f.malformed(partDynamic, i*2*word, "%w", err)
		}
		switch tag := elf.DynTag(f.word(buf)); tag {
		case elf.DT_NULL:
			return tags, nil
		case elf.DT_RELA, elf.DT_RELASZ, elf.DT_RELAENT:
			tags[tag] = f.word(buf[word:])
		}
	}
	return tags, nil
}

func (r *relocations) entry() uint64 { return uint64(3 * r.f.wordSize()) }

// decode returns the relocation in b; false if it is not a relative one.
func (r *relocations) decode(b []byte) (relocation, bool) {
	f := r.f
	w := f.wordSize()
	info := f.word(b[w:])
	typ := uint32(info)
	if w == 4 {
		typ &= 0xff
	}
	return relocation{f.word(b), f.word(b[2*w:])}, typ == r.typ
}

// eachBlock calls visit with the relative relocations of each block from the
// first-th on, until it returns false. The slice is valid during the call.
func (r *relocations) eachBlock(first uint64, visit func(block uint64, rel []relocation) bool) error {
	entry := r.entry()
	count := r.table.size / entry
	buf := make([]byte, relocBlock*entry)
	rel := make([]relocation, 0, relocBlock)
	for at := first * relocBlock; at < count; at += relocBlock {
		b := buf[:min(relocBlock, count-at)*entry]
		if err := r.f.read(b, r.table.off+at*entry); err != nil {
			return r.f.malformed("relocations", at*entry, "%w", err)
		}
		rel = rel[:0]
		for ; len(b) > 0; b = b[entry:] {
			if x, ok := r.decode(b); ok {
				rel = append(rel, x)
			}
		}
		if len(rel) > 0 && !visit(at/relocBlock, rel) {
			break
		}
	}
	return nil
}

// index prepares finding relocations by their offset.
func (r *relocations) index() error {
	sorted, last, total := true, uint64(0), 0
	err := r.eachBlock(0, func(block uint64, rel []relocation) bool {
		r.firsts = append(r.firsts, rel[0].offset)
		r.blocks = append(r.blocks, uint32(block))
		for _, x := range rel {
			sorted = sorted && x.offset >= last
			last = x.offset
		}
		total += len(rel)
		return true
	})
	if err != nil || sorted {
		return err
	}
	if total > maxRelocations {
		return r.f.malformed("relocations", 0, "%d unsorted relocations are too many", total)
	}
	r.firsts, r.blocks = nil, nil
	r.all = make([]relocation, 0, total)
	err = r.eachBlock(0, func(_ uint64, rel []relocation) bool {
		r.all = append(r.all, rel...)
		return true
	})
	slices.SortStableFunc(r.all, func(a, b relocation) int { return cmp.Compare(a.offset, b.offset) })
	return err
}

// apply stores in buf, the bytes of the file at a, what the loader would
// store there with a load bias of zero.
func (r *relocations) apply(a VirtAddr, buf []byte) error {
	word := uint64(r.f.wordSize())
	start, end := uint64(a), uint64(a)+uint64(len(buf))
	from := start - min(start, word-1) // a word may begin before a
	store := func(rel []relocation) (more bool) {
		i := sort.Search(len(rel), func(i int) bool { return rel[i].offset >= from })
		for _, x := range rel[i:] {
			if x.offset >= end {
				return false
			}
			var b [8]byte
			r.f.putWord(b[:], x.addend)
			for j := range word {
				if at := x.offset + j; at >= start && at < end {
					buf[at-start] = b[j]
				}
			}
		}
		return true
	}
	if r.all != nil {
		store(r.all)
		return nil
	}
	i := sort.Search(len(r.firsts), func(i int) bool { return r.firsts[i] > from })
	// Equal offsets, of which the last counts, may begin in the block before.
	if i > 0 {
		i--
	}
	if i == len(r.firsts) {
		return nil
	}
	return r.eachBlock(uint64(r.blocks[i]), func(_ uint64, rel []relocation) bool { return store(rel) })
}

// eachWith calls visit with the addresses of the words that hold value, until
// it returns false.
func (r *relocations) eachWith(value VirtAddr, visit func(a VirtAddr) bool) error {
	left := maxPointers
	find := func(rel []relocation) bool {
		for _, x := range rel {
			if x.addend != uint64(value) {
				continue
			}
			if left--; left == 0 || !visit(VirtAddr(x.offset)) {
				return false
			}
		}
		return true
	}
	if r.all != nil {
		find(r.all)
		return nil
	}
	return r.eachBlock(0, func(_ uint64, rel []relocation) bool { return find(rel) })
}

func (f *File) putWord(b []byte, v uint64) {
	n := f.wordSize()
	for i := range n {
		shift := 8 * i
		if f.big {
			shift = 8 * (n - 1 - i)
		}
		b[i] = byte(v >> shift)
	}
}

// DataAt fills buf with the bytes at address a as the linker meant them: those
// of the file, of any segment, with the relative relocations of a
// position-independent file applied for a load bias of zero. A pointer in it is
// an address as the file states it.
//
// What a running process has there may differ, unless [File.ReadOnlyAt] has it
// too or the program never writes it, as with type descriptors, constant data
// that holds pointers and the runtime's module data. The error is
// [ErrNotMapped] where the file has no such bytes.
func (f *File) DataAt(a VirtAddr, buf []byte) error {
	if err := f.image(a, buf); err != nil {
		return f.wrap("read data", err)
	}
	return nil
}

// ConstantAt is [File.ReadOnlyAt] with the constants that hold addresses: in
// position-independent files, where the loader writes these, they are as by
// [File.DataAt]. Such are the jump tables of switch statements. The error is
// [ErrNotReadOnly] where the program itself may write.
func (f *File) ConstantAt(a VirtAddr, buf []byte) error {
	err := f.ReadOnlyAt(a, buf)
	if !errors.Is(err, ErrNotReadOnly) || f.textrel() || !f.loaderOnly(a, uint64(len(buf))) {
		return err
	}
	return f.DataAt(a, buf)
}

// loaderOnly reports whether nothing but the loader writes to so many bytes at a: by
// the program headers, or by the section's name where a linker did not write that
// header, as that of Go before 1.22.
func (f *File) loaderOnly(a VirtAddr, size uint64) bool {
	within := func(addr, n uint64) bool {
		return uint64(a) >= addr && uint64(a)-addr <= n && size <= n-(uint64(a)-addr)
	}
	if within(f.relro.off, f.relro.size) {
		return true
	}
	h := f.header(".data.rel.ro")
	return h != nil && within(h.addr, h.stored.size)
}

// image is DataAt with an error that does not name the file.
func (f *File) image(a VirtAddr, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	s, err := f.segmentFor(a)
	if err != nil {
		return err
	}
	if err := f.readSegment(s, a, buf); err != nil {
		return err
	}
	r, err := f.relocs()
	if err != nil {
		return fmt.Errorf("addresses %#x to %#x: %w", uint64(a), uint64(a)+uint64(len(buf)), err)
	}
	if r == nil {
		return nil
	}
	return r.apply(a, buf)
}
