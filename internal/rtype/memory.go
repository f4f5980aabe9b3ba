package rtype

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// Memory reads a program's memory as it is before the program runs.
type Memory interface {
	// DataAt fills buf with the bytes at a, with relocations applied.
	DataAt(a symbols.VirtAddr, buf []byte) error
}

const (
	// chunkSize is what is read at once.
	chunkSize = 64 << 10
	// maxChunks bounds the bytes that are kept.
	maxChunks = (24 << 20) / chunkSize
	// maxData bounds the type data of one program: descriptors refer to each
	// other by offsets of 31 bits.
	maxData = 1<<31 - 1
)

// errOutside is the error of what leads out of the type data.
var errOutside = errors.New("outside of the type data")

// offset is a distance in bytes from runtime.types.
type offset uint64

// data is a program's type data: what is from runtime.types to runtime.etypes.
type data struct {
	mem   Memory
	order binary.ByteOrder
	ptr   int64
	base  symbols.VirtAddr
	size  uint64

	chunks [][]byte // by number; nil if not read
	held   int
	// budget is how many elements and bytes of names may still be read. Types
	// can refer to the same data as often as they like.
	budget int
}

// Budgets of one call, and of finding all methods.
const (
	callBudget  = 1 << 23
	indexBudget = 1 << 27
)

// spend takes n off the budget.
func (d *data) spend(n int) error {
	if d.budget -= n; d.budget < 0 {
		return errors.New("type data: larger than any program's")
	}
	return nil
}

func newData(mem Memory, a *abi.Arch, types, etypes symbols.VirtAddr) (*data, error) {
	if types == 0 || etypes <= types || uint64(etypes-types) > maxData {
		return nil, fmt.Errorf("type data from %#x to %#x: impossible", uint64(types), uint64(etypes))
	}
	size := uint64(etypes - types)
	return &data{mem: mem, order: a.ByteOrder, ptr: a.PtrSize, base: types, size: size,
		chunks: make([][]byte, (size+chunkSize-1)/chunkSize)}, nil
}

// bytes returns n bytes at off. They are not to be changed.
func (d *data) bytes(off offset, n int64) ([]byte, error) {
	if uint64(off) > d.size || uint64(n) > d.size-uint64(off) {
		return nil, fmt.Errorf("type data: offset %#x: %w", uint64(off), errOutside)
	}
	i, at := uint64(off)/chunkSize, uint64(off)%chunkSize
	chunk, err := d.chunk(i)
	if err != nil {
		return nil, err
	}
	if end := at + uint64(n); end <= uint64(len(chunk)) {
		return chunk[at:end], nil
	}
	out := make([]byte, 0, n)
	for {
		take := min(uint64(n)-uint64(len(out)), uint64(len(chunk))-at)
		out = append(out, chunk[at:at+take]...)
		if uint64(len(out)) == uint64(n) {
			return out, nil
		}
		i, at = i+1, 0
		if chunk, err = d.chunk(i); err != nil {
			return nil, err
		}
	}
}

func (d *data) chunk(i uint64) ([]byte, error) {
	if c := d.chunks[i]; c != nil {
		return c, nil
	}
	if d.held == maxChunks {
		clear(d.chunks)
		d.held = 0
	}
	from := i * chunkSize
	buf := make([]byte, min(chunkSize, d.size-from))
	if err := d.mem.DataAt(d.base+symbols.VirtAddr(from), buf); err != nil {
		return nil, fmt.Errorf("type data: offset %#x: %w", from, err)
	}
	d.chunks[i] = buf
	d.held++
	return buf, nil
}

// word reads a pointer or a uintptr from b.
func (d *data) word(b []byte) uint64 {
	if d.ptr == 4 {
		return uint64(d.order.Uint32(b))
	}
	return d.order.Uint64(b)
}

// ref makes an offset of a pointer.
func (d *data) ref(p uint64) (offset, error) {
	off := p - uint64(d.base)
	if p < uint64(d.base) || off >= d.size {
		return 0, fmt.Errorf("type data: address %#x: %w", p, errOutside)
	}
	return offset(off), nil
}

// pointer follows the pointer at off.
func (d *data) pointer(off offset) (offset, error) {
	b, err := d.bytes(off, d.ptr)
	if err != nil {
		return 0, err
	}
	return d.ref(d.word(b))
}

// bad says what is wrong at off.
func bad(off offset, format string, args ...any) error {
	return fmt.Errorf("type data: offset %#x: %w", uint64(off), fmt.Errorf(format, args...))
}
