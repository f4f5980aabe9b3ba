package symbols

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// TestSections compares names, sizes and contents with debug/elf.
func TestSections(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			f := v.open(t)
			ref, err := elf.Open(v.path(t))
			if err != nil {
				t.Fatal(err)
			}
			defer ref.Close()
			compressed := 0
			for _, want := range ref.Sections {
				got, ok := f.Section(want.Name)
				if has := want.Type != elf.SHT_NOBITS && want.Type != elf.SHT_NULL; ok != has {
					t.Errorf("Section(%q): %v, want %v", want.Name, ok, has)
				}
				if !ok {
					continue
				}
				if got.Err() != nil || got.Name != want.Name || got.Type != want.Type || got.Flags != want.Flags ||
					uint64(got.Addr) != want.Addr || got.Size != want.Size {
					t.Errorf("Section(%q) = %+v, want %+v", want.Name, got, want.SectionHeader)
				}
				contents, err := inflate(got)
				if err != nil {
					t.Errorf("%s: %v", got.Name, err)
				}
				if data, err := want.Data(); err != nil || !bytes.Equal(contents, data) {
					t.Errorf("%s: contents differ (%v)", got.Name, err)
				}
				if got.Compression() == Zlib {
					compressed++
				} else if got.RawSize != got.Size || uint64(got.Offset) != want.Offset {
					t.Errorf("%s: %d of %d bytes at %#x", got.Name, got.RawSize, got.Size, got.Offset)
				}
			}
			if want := v.name != noSymbols.name && v.name != noDWARF.name && v.name != knownID.name; want != (compressed > 3) {
				t.Errorf("%d compressed sections", compressed)
			}
		})
	}
}

func inflate(s *Section) ([]byte, error) {
	if s.Compression() == None {
		return io.ReadAll(s.Raw())
	}
	r, err := zlib.NewReader(s.Raw())
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestCompression(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte("hello"))
	w.Close()
	im := small(image{})
	gnu := append(binary.BigEndian.AppendUint64([]byte("ZLIB"), 5), z.Bytes()...)
	chdr := func(kind, size uint64) []byte {
		return append(im.words(nil, 4, kind, 4, 0, 8, size, 8, 1), z.Bytes()...)
	}
	im.sections = append(im.sections,
		sect{name: ".zdebug_line", typ: elf.SHT_PROGBITS, data: gnu},
		sect{name: ".zdebug_odd", typ: elf.SHT_PROGBITS, data: []byte("not compressed at all")},
		sect{name: ".zdebug_short", typ: elf.SHT_PROGBITS, data: []byte("ZLIB")},
		sect{name: ".debug_zlib", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: chdr(1, 5)},
		sect{name: ".debug_zstd", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: chdr(2, 5)},
		sect{name: ".debug_new", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: chdr(9, 5)},
		sect{name: ".debug_cut", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: []byte{1, 0, 0}},
		sect{name: ".debug_long", typ: elf.SHT_PROGBITS, data: []byte{1}, size: 1 << 60},
		sect{name: ".debug_none", typ: elf.SHT_NOBITS, size: 99},
	)
	f, err := NewFile(bytes.NewReader(im.bytes()))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		stored string
		kind   Compression
		size   uint64
		raw    uint64
		err    error // or errAny
	}{
		{".debug_line", ".zdebug_line", ZlibGNU, 5, uint64(z.Len()), nil},
		{".zdebug_line", ".zdebug_line", ZlibGNU, 5, uint64(z.Len()), nil},
		{".debug_odd", ".zdebug_odd", None, 21, 21, nil},
		{".debug_short", ".zdebug_short", None, 4, 4, nil},
		{".debug_zlib", ".debug_zlib", Zlib, 5, uint64(z.Len()), nil},
		{".debug_zstd", ".debug_zstd", Zstd, 5, uint64(z.Len()), nil},
		{".debug_new", ".debug_new", Unknown, 5, 0, errAny},
		{".debug_cut", ".debug_cut", Unknown, 3, 0, ErrTruncated},
		{".debug_long", ".debug_long", Unknown, 1 << 60, 0, ErrTruncated},
	}
	for _, tt := range tests {
		s, ok := f.Section(tt.name)
		if !ok {
			t.Errorf("%s: not found", tt.name)
			continue
		}
		if s.Name != tt.stored || s.Compression() != tt.kind || s.Size != tt.size || s.RawSize != tt.raw || s.Raw().Size() != int64(tt.raw) {
			t.Errorf("%s: %+v, %v", tt.name, s, s.Compression())
		}
		var format *FormatError
		switch {
		case tt.err == nil && s.Err() == nil:
		case tt.err == errAny && errors.As(s.Err(), &format) && format.Section == tt.stored:
		case tt.err != nil && errors.Is(s.Err(), tt.err):
		default:
			t.Errorf("%s: error %v", tt.name, s.Err())
		}
		if tt.kind == Zlib || tt.kind == ZlibGNU {
			if b, err := inflate(s); string(b) != "hello" || err != nil {
				t.Errorf("%s: %q, %v", tt.name, b, err)
			}
		}
	}
	for _, name := range []string{".debug_none", ".debug_nothing", ""} {
		if s, ok := f.Section(name); ok {
			t.Errorf("Section(%q) = %+v", name, s)
		}
	}
}

var errAny = errors.New("any error")
