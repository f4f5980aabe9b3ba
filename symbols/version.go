package symbols

import (
	"bytes"
	"encoding/binary"
)

// GoVersion returns the version of the Go toolchain that built the file, as
// [runtime.Version] returns it in the program: "go1.26.8", possibly followed by
// " X:" and experiments, "devel go1.28-" and a commit, or what a vendor made of
// it. It is false for a file that does not tell, such as one that Go did not
// build.
//
// From Go 1.13 the build information tells. Its format is that of cmd/link's
// buildinfo and debug/buildinfo: 14 bytes of magic, pointer size and flags;
// then, from Go 1.18, at byte 32 the version with its length as varint before
// it, or earlier, at byte 16, the address of a string header. Before, it is the
// variable runtime.buildVersion, which the symbol table or, in a stripped
// file, a search of the data finds.
func (f *File) GoVersion() (string, bool) {
	v := f.version()
	return v, v != ""
}

func (f *File) readGoVersion() string {
	if v, ok := f.buildInfoVersion(); ok {
		return v
	}
	return f.oldVersion()
}

// buildInfoVersion returns the version that the build information has.
func (f *File) buildInfoVersion() (string, bool) {
	hdr, at, ok := f.buildInfo()
	if !ok {
		return "", false
	}
	const (
		flagBig    = 1
		flagInline = 2
	)
	ptrSize, flags := uint64(hdr[14]), hdr[15]
	if flags&flagInline != 0 {
		var b [binary.MaxVarintLen64]byte
		n := f.readSome(b[:], at+buildInfoSize)
		length, used := binary.Uvarint(b[:n])
		if used <= 0 {
			return "", false
		}
		return f.versionAt(at+buildInfoSize+uint64(used), length)
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if flags&flagBig != 0 {
		order = binary.BigEndian
	}
	ptr := func(b []byte) uint64 {
		if ptrSize == 4 {
			return uint64(order.Uint32(b))
		}
		return order.Uint64(b)
	}
	if ptrSize != 4 && ptrSize != 8 {
		return "", false
	}
	// The header's addresses are relocated in a position-independent file.
	if a, err := f.VirtAddr(FileOffset(at)); err == nil {
		if f.image(a, hdr[:]) != nil {
			return "", false
		}
	}
	str := make([]byte, 2*ptrSize)
	if f.image(VirtAddr(ptr(hdr[16:])), str) != nil {
		return "", false
	}
	off, err := f.FileOffset(VirtAddr(ptr(str)))
	if err != nil {
		return "", false
	}
	return f.versionAt(uint64(off), ptr(str[ptrSize:]))
}

const (
	buildInfoMagic = "\xff Go buildinf:"
	buildInfoSize  = 32
	buildInfoAlign = 16
	// maxVersion bounds the version's text, in bytes. Development versions
	// carry a commit, a date and experiments.
	maxVersion = 512
	// maxBuildInfoSearch is how far into the data the header is searched where
	// there is no section for it; debug/buildinfo searches all, but the linker
	// puts it first.
	maxBuildInfoSearch = 1 << 20
)

// buildInfo returns the header of the build information and its offset in the
// file.
func (f *File) buildInfo() (hdr [buildInfoSize]byte, at uint64, ok bool) {
	if s, found := f.Section(".go.buildinfo"); found && s.compression == None {
		at = uint64(s.Offset)
		if s.RawSize >= buildInfoSize && f.read(hdr[:], at) == nil && string(hdr[:len(buildInfoMagic)]) == buildInfoMagic {
			return hdr, at, true
		}
	}
	for _, s := range f.segments {
		if !s.Write {
			continue
		}
		size := min(s.FileSize, maxBuildInfoSearch)
		if at, ok := f.find(extent{uint64(s.Offset), size}, []byte(buildInfoMagic), buildInfoAlign); ok && f.read(hdr[:], at) == nil {
			return hdr, at, true
		}
	}
	return hdr, 0, false
}

// find returns where in the file the first text is that starts in where, at a
// multiple of align.
func (f *File) find(where extent, text []byte, align uint64) (at uint64, ok bool) {
	f.findEach(where, text, func(found uint64) bool {
		if ok = found%align == 0; ok {
			at = found
		}
		return !ok
	})
	return at, ok
}

// findEach calls visit with where in the file text is, of which all bytes are
// in where, until it returns false.
func (f *File) findEach(where extent, text []byte, visit func(at uint64) bool) {
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	for done := uint64(0); done < where.size; {
		b := chunk[:f.readSome(chunk[:min(where.size-done, chunkSize)], where.off+done)]
		for i := 0; ; {
			n := bytes.Index(b[i:], text)
			if n < 0 {
				break
			}
			if !visit(where.off + done + uint64(i+n)) {
				return
			}
			i += n + 1
		}
		if len(b) < chunkSize {
			break
		}
		done += uint64(len(b) - len(text) + 1)
	}
}

// versionAt reads the version's n bytes at off in the file.
func (f *File) versionAt(off, n uint64) (string, bool) {
	if n == 0 || n > maxVersion {
		return "", false
	}
	b := make([]byte, n)
	if f.read(b, off) != nil {
		return "", false
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return "", false
		}
	}
	return string(b), true
}

// readSome reads up to len(buf) bytes at off and returns how many there are.
func (f *File) readSome(buf []byte, off uint64) int {
	if off >= f.size {
		return 0
	}
	n := min(uint64(len(buf)), f.size-off)
	if f.read(buf[:n], off) != nil {
		return 0
	}
	return int(n)
}
