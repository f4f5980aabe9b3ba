package bpfsim

import "encoding/binary"

// PageSize is the size of a page of a [Memory] in bytes.
const PageSize = 4096

// Memory is the memory of a process, in pages. A read fails unless all of its
// pages can be read.
type Memory struct {
	pages map[uint64]*page
	next  uint64
}

type page struct {
	data   [PageSize]byte
	absent bool // only a helper that may wait reads it, each time
}

// NewMemory returns memory without pages.
func NewMemory() *Memory { return NewMemoryAt(0xc000000000) }

// NewMemoryAt returns memory without pages in which [Memory.Alloc] begins at an
// address, a multiple of [PageSize].
func NewMemoryAt(addr uint64) *Memory {
	return &Memory{pages: make(map[uint64]*page), next: addr}
}

// Map makes the pages that hold [addr, addr+n) readable, all zero.
func (m *Memory) Map(addr uint64, n int) {
	for a := addr &^ (PageSize - 1); a < addr+uint64(n); a += PageSize {
		if m.pages[a] == nil {
			m.pages[a] = new(page)
		}
	}
}

// Unmap makes the pages that hold [addr, addr+n) unreadable.
func (m *Memory) Unmap(addr uint64, n int) {
	for a := addr &^ (PageSize - 1); a < addr+uint64(n); a += PageSize {
		delete(m.pages, a)
	}
}

// Evict makes the pages that hold [addr, addr+n) readable by waiting only.
func (m *Memory) Evict(addr uint64, n int) {
	for a := addr &^ (PageSize - 1); a < addr+uint64(n); a += PageSize {
		if p := m.pages[a]; p != nil {
			p.absent = true
		}
	}
}

// Put writes bytes that must be mapped.
func (m *Memory) Put(addr uint64, b []byte) {
	for len(b) > 0 {
		p := m.pages[addr&^(PageSize-1)]
		n := copy(p.data[addr%PageSize:], b)
		b = b[n:]
		addr += uint64(n)
	}
}

// PutWord writes an integer of eight bytes.
func (m *Memory) PutWord(addr, v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	m.Put(addr, b[:])
}

// Alloc maps room for n bytes and returns their address, a multiple of align,
// which is a power of two. The room ends where readable memory ends, but for
// the alignment: reading more fails.
func (m *Memory) Alloc(n int, align uint64) uint64 {
	size := (uint64(n) + PageSize - 1) / PageSize * PageSize
	addr := (m.next + size - uint64(n)) &^ (align - 1)
	m.Map(addr, max(n, 1))
	m.next += size + 2*PageSize
	return addr
}

// Read copies len(b) bytes from addr, and reports whether all of them could be
// read. wait allows it to fetch pages.
func (m *Memory) Read(addr uint64, b []byte, wait bool) bool {
	if addr+uint64(len(b)) < addr {
		return false
	}
	for len(b) > 0 {
		p := m.pages[addr&^(PageSize-1)]
		if p == nil || p.absent && !wait {
			return false
		}
		n := copy(b, p.data[addr%PageSize:])
		b = b[n:]
		addr += uint64(n)
	}
	return true
}
