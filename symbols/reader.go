package symbols

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"sync"
)

// extent is a run of bytes in the file as headers state it, not yet checked.
type extent struct{ off, size uint64 }

// end returns the offset behind the extent; false if it overflows.
func (e extent) end() (uint64, bool) {
	end := e.off + e.size
	return end, end >= e.off
}

// sizeOf returns the size of r in bytes. Where r does not know it, sizeOf
// finds it by reading single bytes.
func sizeOf(r io.ReaderAt) (uint64, error) {
	switch s := r.(type) {
	case interface{ Size() int64 }:
		return uint64(max(s.Size(), 0)), nil
	case interface{ Stat() (fs.FileInfo, error) }:
		st, err := s.Stat()
		if err != nil {
			return 0, err
		}
		return uint64(max(st.Size(), 0)), nil
	}
	var b [1]byte
	has := func(off uint64) (bool, error) {
		n, err := r.ReadAt(b[:], int64(off))
		if n == 1 {
			return true, nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	// Every offset below lo exists, hi does not.
	var lo, hi uint64 = 0, 1
	for {
		ok, err := has(hi - 1)
		if err != nil {
			return 0, err
		}
		if !ok {
			hi--
			break
		}
		lo = hi
		if hi >= 1<<62 {
			return 0, errors.New("endless input")
		}
		hi *= 2
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		ok, err := has(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// read fills buf from the file's bytes at off; ErrTruncated if there are fewer.
func (f *File) read(buf []byte, off uint64) error {
	if end, ok := (extent{off, uint64(len(buf))}).end(); !ok || end > f.size {
		return ErrTruncated
	}
	n, err := f.r.ReadAt(buf, int64(off))
	switch {
	case n == len(buf):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return ErrTruncated // it has become shorter since it was opened
	}
	return err
}

// fits reports whether the whole extent lies in the file.
func (f *File) fits(e extent) bool {
	end, ok := e.end()
	return ok && end <= f.size
}

func (f *File) u16(b []byte) uint16 {
	if f.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (f *File) u32(b []byte) uint32 {
	if f.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (f *File) u64(b []byte) uint64 {
	if f.big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// chunkSize is how many bytes of a table are read at once. It is a multiple of
// the sizes of both kinds of symbol table entries (16 and 24 bytes).
const chunkSize = 24 * 16 * 512

var chunks = sync.Pool{New: func() any { b := new([chunkSize]byte); return b }}
