package symbols

import (
	"fmt"
)

// Segment is a part of the file that a process has in its memory (PT_LOAD).
type Segment struct {
	// Addr is where the segment starts in memory, Offset where in the file.
	Addr   VirtAddr
	Offset FileOffset
	// FileSize is how many bytes come from the file, MemSize how many the
	// segment has in memory. Those behind FileSize start as zero.
	FileSize, MemSize uint64
	Read, Write, Exec bool
}

// contains reports whether a byte of the segment is at a in memory.
func (s Segment) contains(a VirtAddr) bool {
	return a >= s.Addr && uint64(a-s.Addr) < s.MemSize
}

// Segments returns the loaded segments in the file's order, which the gABI
// wants to be that of their addresses.
func (f *File) Segments() []Segment { return append([]Segment(nil), f.segments...) }

// SegmentFor returns the segment that holds address a; false if none or, in a
// malformed file, more than one does.
func (f *File) SegmentFor(a VirtAddr) (Segment, bool) {
	s, err := f.segmentFor(a)
	return s, err == nil
}

func (f *File) segmentFor(a VirtAddr) (Segment, error) {
	var found Segment
	var n int
	for _, s := range f.segments {
		if s.contains(a) {
			found = s
			n++
		}
	}
	switch n {
	case 0:
		return Segment{}, fmt.Errorf("address %#x: %w", uint64(a), ErrNotMapped)
	case 1:
		return found, nil
	}
	return Segment{}, f.malformed(partProgram, 0, "address %#x is in %d segments", uint64(a), n)
}

// pageMask clears the part of an address within a page. 4 KiB is the smallest
// page of every architecture here; segments are aligned to at least that.
const pageMask = ^uint64(1<<12 - 1)

// ImageBase returns the lowest address of a loaded segment, rounded down to a
// page: the address that a process moves by its load bias to where the file's
// first mapping starts. It is 0 for a file without segments.
func (f *File) ImageBase() VirtAddr {
	if len(f.segments) == 0 {
		return 0
	}
	low := f.segments[0].Addr
	for _, s := range f.segments {
		low = min(low, s.Addr)
	}
	return VirtAddr(uint64(low) & pageMask)
}

// FileOffset returns where in the file the byte is that a process has at
// address a. For code this is the offset that a uprobe is placed at. The error
// is [ErrNotMapped] if a is in no segment, or in a part of one that is not
// taken from the file.
func (f *File) FileOffset(a VirtAddr) (FileOffset, error) {
	s, err := f.segmentFor(a)
	if err != nil {
		return 0, f.wrap("file offset", err)
	}
	d := uint64(a - s.Addr)
	if d >= s.FileSize {
		return 0, f.wrap("file offset", fmt.Errorf("address %#x: zeroed memory: %w", uint64(a), ErrNotMapped))
	}
	return s.Offset + FileOffset(d), nil
}

// VirtAddr returns the address at which a process has the byte at o in the
// file. Where several segments hold it, as happens where one begins in the
// page in which another ends, the executable one counts. The error is
// [ErrNotMapped] if no segment does.
//
// A segment's own range of bytes counts. The rest of its first and last page
// is mapped too, but nothing is meant to be there.
func (f *File) VirtAddr(o FileOffset) (VirtAddr, error) {
	var code, data []VirtAddr
	for _, s := range f.segments {
		if o < s.Offset || uint64(o-s.Offset) >= s.FileSize {
			continue
		}
		a := s.Addr + VirtAddr(o-s.Offset)
		if s.Exec {
			code = append(code, a)
		} else {
			data = append(data, a)
		}
	}
	if len(code) == 0 {
		code = data
	}
	switch len(code) {
	case 0:
		return 0, f.wrap("virtual address", fmt.Errorf("file offset %#x: %w", uint64(o), ErrNotMapped))
	case 1:
		return code[0], nil
	}
	return 0, f.malformed(partProgram, 0, "file offset %#x is in %d segments", uint64(o), len(code))
}

// ReadOnlyAt fills buf with the bytes that every process has at address a:
// those of one segment that is not writable, taken from the file. Text of
// constant strings is there. The error is [ErrNotMapped] where the file has no
// such bytes and [ErrNotReadOnly] where a process may change them, which the
// loader does too: for pointers in position-independent files.
func (f *File) ReadOnlyAt(a VirtAddr, buf []byte) error {
	s, err := f.segmentFor(a)
	if err != nil {
		return f.wrap("read constant", err)
	}
	if s.Write || f.textrel() {
		return f.wrap("read constant", fmt.Errorf("address %#x: %w: read it from the process", uint64(a), ErrNotReadOnly))
	}
	if err := f.readSegment(s, a, buf); err != nil {
		return f.wrap("read constant", err)
	}
	return nil
}

// readSegment fills buf with the bytes of s at a, which is in s.
func (f *File) readSegment(s Segment, a VirtAddr, buf []byte) error {
	d := uint64(a - s.Addr)
	if d > s.FileSize || uint64(len(buf)) > s.FileSize-d {
		return fmt.Errorf("addresses %#x to %#x: %w", uint64(a), uint64(a)+uint64(len(buf)), ErrNotMapped)
	}
	if err := f.read(buf, uint64(s.Offset)+d); err != nil {
		return fmt.Errorf("addresses %#x to %#x: %w", uint64(a), uint64(a)+uint64(len(buf)), err)
	}
	return nil
}

// maxCode bounds the code of one function, in bytes. The largest that
// compilers write have a few megabytes.
const maxCode = 64 << 20

// Code returns the code bytes of fn, from its entry to its end, as the file
// has them. The caller owns the slice. The error is [ErrNoCode] if the size of
// the function is not known or too large to be true (over 64 MiB), or if its
// bytes are not all in one executable segment, as in a file that holds debug
// information only.
func (f *File) Code(fn Func) ([]byte, error) {
	op := "code of " + fn.Name
	if fn.Size == 0 {
		return nil, f.wrap(op, fmt.Errorf("%w: its symbol has no size", ErrNoCode))
	}
	if fn.Size > maxCode {
		return nil, f.wrap(op, fmt.Errorf("%w: a size of %d bytes is too large to be true", ErrNoCode, fn.Size))
	}
	s, err := f.segmentFor(fn.Entry)
	if err != nil {
		return nil, f.wrap(op, fmt.Errorf("%w: %w", ErrNoCode, err))
	}
	if !s.Exec {
		return nil, f.wrap(op, fmt.Errorf("%w: address %#x is not executable", ErrNoCode, uint64(fn.Entry)))
	}
	d := uint64(fn.Entry - s.Addr)
	if d > s.FileSize || fn.Size > s.FileSize-d {
		return nil, f.wrap(op, fmt.Errorf("%w: addresses %#x to %#x are not in the file: use the program, not a file of debug information",
			ErrNoCode, uint64(fn.Entry), uint64(fn.End())))
	}
	if !f.fits(extent{uint64(s.Offset) + d, fn.Size}) {
		return nil, f.wrap(op, fmt.Errorf("%w: %w: copy or build the file again", ErrNoCode, ErrTruncated))
	}
	code := make([]byte, fn.Size)
	if err := f.readSegment(s, fn.Entry, code); err != nil {
		return nil, f.wrap(op, err)
	}
	return code, nil
}
