package symbols

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Compression is how a section is stored.
type Compression uint8

// The kinds of compression.
const (
	// None: stored as it is.
	None Compression = iota
	// Zlib: a zlib stream behind a compression header (SHF_COMPRESSED,
	// ELFCOMPRESS_ZLIB), as Go's linker does from 1.19.
	Zlib
	// ZlibGNU: a zlib stream behind "ZLIB" and a size, in a section named
	// .zdebug_*, as Go's linker did from 1.11 to 1.18.
	ZlibGNU
	// Zstd: a Zstandard frame behind a compression header (SHF_COMPRESSED,
	// ELFCOMPRESS_ZSTD).
	Zstd
	// Unknown: compressed in a way that this package does not know, or behind
	// a malformed header. [Section.Err] tells.
	Unknown
)

// String returns the name of the compression.
func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case Zlib:
		return "zlib"
	case ZlibGNU:
		return "zlib (GNU)"
	case Zstd:
		return "zstd"
	}
	return "unknown"
}

// Section is a section of the file. It is read-only and safe for concurrent
// use, as long as its File is open.
type Section struct {
	// Name is the name as stored: ".zdebug_info" although ".debug_info" was
	// asked for.
	Name  string
	Type  elf.SectionType
	Flags elf.SectionFlag
	// Addr is where the section is in memory, 0 if it is not loaded.
	Addr VirtAddr
	// Offset is where the bytes of Raw start in the file.
	Offset FileOffset
	// Size is the number of bytes in the section when uncompressed. In a
	// compressed section it is only what the header claims: do not allocate by
	// it unchecked.
	Size uint64
	// RawSize is the number of bytes of Raw. It never exceeds the file's size.
	RawSize uint64

	file        *File
	compression Compression
	err         error
}

// Section returns the section of the given name. A name that starts with
// ".debug_" finds it also where it is stored in compressed form under
// ".zdebug_". The result is false if there is none, or only one without
// contents in the file (SHT_NOBITS), as in a stripped program whose debug
// information is in a file of its own.
func (f *File) Section(name string) (*Section, bool) {
	h := f.header(name)
	if h == nil {
		if rest, ok := strings.CutPrefix(name, ".debug_"); ok {
			h = f.header(".zdebug_" + rest)
		}
	}
	if h == nil {
		return nil, false
	}
	return f.section(h), true
}

func (f *File) header(name string) *header {
	for i := range f.sections {
		if h := &f.sections[i]; h.name == name && h.typ != elf.SHT_NULL && h.typ != elf.SHT_NOBITS {
			return h
		}
	}
	return nil
}

// section reads the compression header of h, if it has one, and bounds what
// the headers claim by the file.
func (f *File) section(h *header) *Section {
	s := &Section{
		Name: h.name, Type: h.typ, Flags: h.flags, Addr: VirtAddr(h.addr),
		Offset: FileOffset(h.stored.off), Size: h.stored.size, RawSize: h.stored.size,
		file: f,
	}
	if !f.fits(h.stored) {
		s.fail(0, ErrTruncated)
		return s
	}
	switch {
	case h.flags&elf.SHF_COMPRESSED != 0:
		s.readCompressionHeader()
	case strings.HasPrefix(h.name, ".zdebug_") && h.stored.size >= 12:
		var b [12]byte // "ZLIB", big-endian size
		if err := f.read(b[:], h.stored.off); err != nil {
			s.fail(0, err)
		} else if string(b[:4]) == "ZLIB" {
			s.compression = ZlibGNU
			s.Size = binary.BigEndian.Uint64(b[4:])
			s.skip(12)
		}
	}
	return s
}

// readCompressionHeader reads Elf32_Chdr or Elf64_Chdr (gABI chapter 4,
// "Section Compression").
func (s *Section) readCompressionHeader() {
	f := s.file
	b := make([]byte, 12)
	if f.class == elf.ELFCLASS64 {
		b = make([]byte, 24)
	}
	if s.RawSize < uint64(len(b)) {
		s.fail(0, fmt.Errorf("compression header: %w", ErrTruncated))
		return
	}
	if err := f.read(b, uint64(s.Offset)); err != nil {
		s.fail(0, err)
		return
	}
	if f.class == elf.ELFCLASS64 {
		s.Size = f.u64(b[8:])
	} else {
		s.Size = uint64(f.u32(b[4:]))
	}
	switch kind := elf.CompressionType(f.u32(b)); kind {
	case elf.COMPRESS_ZLIB:
		s.compression = Zlib
	case elf.COMPRESS_ZSTD:
		s.compression = Zstd
	default:
		s.fail(0, fmt.Errorf("unknown compression %d: decompress with objcopy --decompress-debug-sections", uint32(kind)))
		return
	}
	s.skip(uint64(len(b)))
}

// skip removes a header of n bytes from the front of the section's contents.
func (s *Section) skip(n uint64) {
	s.Offset += FileOffset(n)
	s.RawSize -= n
}

// fail makes s a section that cannot be read.
func (s *Section) fail(at uint64, err error) {
	s.compression = Unknown
	s.RawSize = 0
	s.err = &FormatError{File: s.file.path, Section: s.Name, Offset: SectionOffset(at), Err: err}
}

// Compression returns how the bytes of Raw are compressed.
func (s *Section) Compression() Compression { return s.compression }

// Err returns why the section cannot be read, as a [*FormatError]: it lies
// outside the file ([ErrTruncated]) or has a malformed compression header. Such
// a section has no Raw bytes. Err is nil for any other.
func (s *Section) Err() error { return s.err }

// Raw returns a new reader of the section's bytes as they are stored, without
// the header of a compressed section.
func (s *Section) Raw() *io.SectionReader {
	return io.NewSectionReader(s.file.r, int64(s.Offset), int64(s.RawSize))
}
