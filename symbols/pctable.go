package symbols

import (
	"bytes"
	"debug/elf"
)

// A table of PCs gives a value for each instruction of a function: pairs of
// numbers, by how much the value changes (zigzag) and for how many units of
// code it holds then, both as varints. The value starts at -1, a first number
// of zero ends the table (except in the first pair). The units add up to the
// function's size (cmd/internal/obj, funcpctab; runtime, pcvalue and step).

// maxVarint is how many bytes a number of 32 bits can have.
const maxVarint = 5

// varint decodes a number of 32 bits at the beginning of b and returns how
// many bytes it has, 0 if b ends within it or it is longer than any of 32
// bits.
func varint(b []byte) (v uint32, n int) {
	for shift := uint(0); n < len(b) && n < maxVarint; shift += 7 {
		c := b[n]
		n++
		v |= uint32(c&0x7f) << shift
		if c&0x80 == 0 {
			return v, n
		}
	}
	return 0, 0
}

// pcStep is one pair: value holds for the next units of code.
type pcStep struct {
	value int32
	units uint32
}

// pcSteps calls visit for each pair of the table at the start of b until it
// returns false. It is false if b ends before the table does.
func pcSteps(b []byte, visit func(s pcStep) bool) bool {
	s := pcStep{value: -1}
	for first := true; ; first = false {
		delta, n := varint(b)
		if n == 0 {
			return false
		}
		if delta == 0 && !first {
			return true
		}
		units, m := varint(b[n:])
		if m == 0 {
			return false
		}
		b = b[n+m:]
		s.value += int32(-(delta & 1) ^ (delta >> 1))
		s.units = units
		if !visit(s) {
			return true
		}
	}
}

// pcLength adds up the units of the table at the start of b; false if b ends
// before the table does.
func pcLength(b []byte) (units uint64, ok bool) {
	for i := 0; i < len(b); {
		// Nearly all numbers have one byte, or two.
		c := b[i]
		if c == 0 && i > 0 {
			return units, true
		}
		i++
		for n := 1; c&0x80 != 0; n++ {
			if i == len(b) || n == maxVarint {
				return 0, false
			}
			c = b[i]
			i++
		}
		if i == len(b) {
			return 0, false
		}
		if c = b[i]; c&0x80 == 0 {
			i++
			units += uint64(c)
			continue
		}
		u, n := varint(b[i:])
		if n == 0 {
			return 0, false
		}
		i += n
		units += uint64(u)
	}
	return 0, false
}

// maxPCTable bounds the bytes of one table. That of a function of 64 MB has a
// few megabytes.
const maxPCTable = 8 << 20

// pcTable calls decode with the bytes from off in the tables of PCs, more of
// them until it returns true.
func (n *tableReader) pcTable(off uint32, decode func(b []byte) bool) error {
	t := n.t
	at := uint64(off)
	if at >= t.pcs.size {
		return t.malformed(t.pcs.off+min(at, t.pcs.size), "table of PCs: %w", ErrTruncated)
	}
	b, err := n.pcs.page(at >> pageShift)
	if err != nil {
		return err
	}
	if decode(b[at&(pageBytes-1):]) {
		return nil
	}
	for size := uint64(pageBytes); ; size *= 8 {
		b := make([]byte, min(size, t.pcs.size-at))
		if err := t.read(b, t.pcs.off+at); err != nil {
			return err
		}
		if decode(b) {
			return nil
		}
		if size >= maxPCTable || uint64(len(b)) < size {
			return t.malformed(t.pcs.off+at, "table of PCs does not end")
		}
	}
}

// size returns the number of bytes of code of the function of r, without the
// padding behind it.
func (n *tableReader) size(r *record, entry VirtAddr) (uint64, error) {
	t := n.t
	size := r.high - r.low
	if pcsp := t.f.u32(r.b[t.layout.pcsp:]); pcsp != 0 {
		var units uint64
		err := n.pcTable(pcsp, func(b []byte) (ok bool) {
			units, ok = pcLength(b)
			return ok
		})
		if err != nil {
			return 0, err
		}
		if exact := units * t.quantum; exact <= size {
			return exact, nil
		}
		return 0, t.malformed(t.funcs.off+r.at, "the function at %#x has %d bytes, but the next one starts after %d",
			uint64(entry), units*t.quantum, size)
	}
	return size - min(size, t.padding(entry, size)), nil
}

// maxPadding bounds the padding between functions, which start at multiples of
// 32 at most (cmd/link/internal/ld, funcAlign).
const maxPadding = 31

// padding returns how many bytes before the next function only fill the space
// between. Go's linker fills it with INT3 on x86 and with zeros on arm64
// (cmd/link/internal/*/obj.go, CodePad).
func (t *FuncTable) padding(entry VirtAddr, size uint64) uint64 {
	var buf [maxPadding]byte
	b := buf[:min(size, maxPadding)]
	if t.f.image(entry+VirtAddr(size-uint64(len(b))), b) != nil {
		return 0
	}
	fill, unit := byte(0), 4
	switch t.f.machine {
	case elf.EM_X86_64, elf.EM_386:
		fill, unit = 0xcc, 1
	case elf.EM_AARCH64:
	default:
		return 0
	}
	n := 0
	for n < len(b) && b[len(b)-1-n] == fill {
		n++
	}
	return uint64(n / unit * unit)
}

// inAssembly reports whether the file that the function of r starts in is one
// of assembly.
func (n *tableReader) inAssembly(r *record) (bool, error) {
	key, ok, err := n.file(r)
	if err != nil || !ok {
		return false, err
	}
	if is, ok := n.assembly[key]; ok {
		return is, nil
	}
	name, err := n.fileName(key)
	if err != nil {
		return false, err
	}
	is := bytes.HasSuffix(name, []byte(".s"))
	if n.assembly == nil {
		n.assembly = map[uint64]bool{}
	}
	n.assembly[key] = is
	return is, nil
}

// isGenerated reports whether the function of r starts in no file, as bridges
// do.
func (n *tableReader) isGenerated(r *record) (bool, error) {
	key, ok, err := n.file(r)
	if err != nil || !ok {
		return false, err
	}
	name, err := n.fileName(key)
	return string(name) == "<autogenerated>", err
}

// file returns which file the function of r starts in, for fileName.
func (n *tableReader) file(r *record) (key uint64, ok bool, err error) {
	t := n.t
	pcfile := t.f.u32(r.b[t.layout.pcfile:])
	if pcfile == 0 {
		return 0, false, nil
	}
	file := int32(-1)
	err = n.pcTable(pcfile, func(b []byte) bool {
		return pcSteps(b, func(s pcStep) bool { file = s.value; return false })
	})
	if err != nil || file < 0 {
		return 0, false, err
	}
	key = uint64(uint32(file))
	if t.layout.cu >= 0 {
		key += uint64(t.f.u32(r.b[t.layout.cu:]))
	}
	return key, true, nil
}

// fileName returns the name of a file: in tables with compilation units, by
// its index in all of theirs, else by its number. It is empty if the table
// does not tell.
func (n *tableReader) fileName(index uint64) ([]byte, error) {
	t := n.t
	var b [4]byte
	where := t.cus
	if t.magic == magic1_11 {
		// Behind the index, whose last entry is only an address, is the offset
		// of the table.
		if err := t.read(b[:], t.index.off+t.count*t.indexEntry()+uint64(t.ptr)); err != nil {
			return nil, err
		}
		start := uint64(t.f.u32(b[:]))
		where = extent{start, t.stored.size - min(start, t.stored.size)}
	}
	if index >= where.size/4 {
		return nil, t.malformed(where.off, "file %d: %w", index, ErrTruncated)
	}
	if err := t.read(b[:], where.off+4*index); err != nil {
		return nil, err
	}
	off := t.f.u32(b[:])
	if off == ^uint32(0) {
		return nil, nil
	}
	files := names{f: t.f, where: extent{t.stored.off + t.files.off, t.files.size}, section: t.section, base: t.files.off}
	name, _, err := files.at(uint64(off))
	return name, err
}
