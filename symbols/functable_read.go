package symbols

import (
	"strings"
)

// tableReader reads what functions refer to. It is for one goroutine.
type tableReader struct {
	t     *FuncTable
	names names
	full  []byte // for fullName
	text  strings.Builder
	pcs   names
	// assembly says of files whether they are; for tables without flags.
	assembly map[uint64]bool
}

func (t *FuncTable) reader() *tableReader {
	part := func(e extent) names {
		return names{f: t.f, where: extent{t.stored.off + e.off, e.size}, section: t.section, base: e.off}
	}
	return &tableReader{t: t, names: part(t.names), pcs: part(t.pcs)}
}

func (t *FuncTable) nameOffset(r *record) uint32 { return t.f.u32(r.b[t.layout.name:]) }

// function returns the function of r, without its name.
func (n *tableReader) function(r *record) (TableFunc, error) {
	t := n.t
	l := &t.layout
	fn := TableFunc{at: uint32(r.at)}
	text := VirtAddr(0)
	if !t.absolute {
		var err error
		if text, err = t.text(); err != nil {
			return fn, err
		}
	}
	fn.Entry = text + VirtAddr(r.low)
	size, err := n.size(r, fn.Entry)
	if err != nil {
		return fn, err
	}
	fn.Size = size
	fn.Args = int32(t.f.u32(r.b[l.args:]))
	fn.ID = n.t.id(r)
	if l.flag >= 0 {
		fn.Flag = r.b[l.flag]
	}
	if l.startLine >= 0 {
		fn.StartLine = int32(t.f.u32(r.b[l.startLine:]))
	}
	if fn.Asm, err = n.asm(r); err != nil {
		return fn, err
	}
	id, known := t.wrapper()
	fn.Wrapper = known && fn.ID == id
	// What is compiled has pointer maps and a table of PCs for unsafe points at
	// least (cmd/link/internal/ld/pcln.go: where there is no FuncInfo, neither).
	fn.Foreign = !fn.Asm && t.f.u32(r.b[l.npcdata:]) == 0 && t.nfuncdata(r) == 0
	return fn, nil
}

func (t *FuncTable) id(r *record) uint8 {
	if t.layout.nfuncdataWide { // Go 1.11: four bytes
		return uint8(t.f.u32(r.b[t.layout.id:]))
	}
	return r.b[t.layout.id]
}

// asm reports whether the function of r is in assembly.
func (n *tableReader) asm(r *record) (bool, error) {
	if n.t.magic == magic1_11 || n.t.magic == magic1_16 {
		return n.inAssembly(r)
	}
	const flagAsm = 4 // runtime.funcFlag_ASM, from Go 1.18
	return r.b[n.t.layout.flag]&flagAsm != 0, nil
}

// named returns the function of r with its name.
func (n *tableReader) named(r *record) (TableFunc, bool, error) {
	name, ok, err := n.fullName(r)
	if err != nil || !ok {
		return TableFunc{}, false, err
	}
	// Several names share an allocation, but not so many that one name that is
	// kept holds much.
	const block = 2 << 10
	if n.text.Cap()-n.text.Len() < len(name) {
		n.text = strings.Builder{}
		n.text.Grow(max(block, len(name)))
	}
	start := n.text.Len()
	n.text.Write(name)
	full := n.text.String()[start:]
	fn, err := n.function(r)
	fn.Name = full
	return fn, err == nil, err
}

// name returns the name at off in the table's names. The bytes are valid until
// the next call. A name longer than maxName is cut, and ok is false.
func (n *tableReader) name(off uint32) (name []byte, ok bool, err error) {
	return n.names.at(uint64(off))
}

// window reads a part of a table from its beginning to its end, in large
// pieces.
type window struct {
	t    *FuncTable
	base uint64 // where the part starts
	size uint64 // of the part
	at   uint64 // where buf starts in the part
	buf  []byte
}

const windowBytes = 256 << 10

// bytes returns the n bytes at off. They are valid until the next call.
func (w *window) bytes(off uint64, n int) ([]byte, error) {
	if off >= w.at && off-w.at <= uint64(len(w.buf)) && uint64(len(w.buf))-(off-w.at) >= uint64(n) {
		return w.buf[off-w.at:][:n], nil
	}
	if off > w.size || uint64(n) > w.size-off {
		return nil, w.t.malformed(w.base+min(off, w.size), "%w", ErrTruncated)
	}
	size := min(w.size-off, windowBytes)
	if w.buf == nil && n < 4096 {
		size = min(size, 4096) // often just one function is wanted
	}
	if uint64(cap(w.buf)) < size {
		w.buf = make([]byte, size)
	}
	w.buf = w.buf[:size]
	if err := w.t.read(w.buf, w.base+off); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	w.at = off
	return w.buf[:n], nil
}
