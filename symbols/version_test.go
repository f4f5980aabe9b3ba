package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

func TestGoVersion(t *testing.T) {
	const data = 0x403000
	inline := func(version string) []byte {
		b := append([]byte(buildInfoMagic), 8, 2)
		b = append(b, make([]byte, 16)...)
		return append(binary.AppendUvarint(b, uint64(len(version))), version...)
	}
	// Go 1.13 to 1.17: the header, at 48 the string header, at 64 the text.
	pointer := func(im *image, size uint64, length uint64) []byte {
		flags := byte(0)
		if im.big {
			flags = 1
		}
		b := append([]byte(buildInfoMagic), byte(size), flags)
		b = im.words(b, size, data+48, size, 0)
		b = append(b, make([]byte, 48-len(b))...)
		b = im.words(b, size, data+64, size, length)
		b = append(b, make([]byte, 64-len(b))...)
		return append(b, "go1.17.13"...)
	}
	le, be, narrow := image{}, image{big: true}, image{bits32: true}
	tests := []struct {
		name    string
		im      image
		section string
		data    []byte
		want    string
	}{
		{"inline", le, ".go.buildinfo", inline("go1.26.8"), "go1.26.8"},
		{"inline, experiments", le, ".go.buildinfo", inline("go1.26.8 X:simd"), "go1.26.8 X:simd"},
		{"inline, section without name", le, ".data", append(make([]byte, 160), inline("go1.20")...), "go1.20"},
		{"inline, not aligned", le, ".data", append(make([]byte, 161), inline("go1.20")...), ""},
		{"inline, far", le, ".data", append(make([]byte, 2*chunkSize-16), inline("go1.20")...), "go1.20"},
		{"pointers", le, ".go.buildinfo", pointer(&le, 8, 9), "go1.17.13"},
		{"pointers, big endian", be, ".go.buildinfo", pointer(&be, 8, 9), "go1.17.13"},
		{"pointers, 32 bits", narrow, ".go.buildinfo", pointer(&narrow, 4, 9), "go1.17.13"},
		{"pointers of odd size", le, ".go.buildinfo", pointer(&le, 2, 9), ""},
		{"too long", le, ".go.buildinfo", pointer(&le, 8, 1<<60), ""},
		{"empty", le, ".go.buildinfo", inline(""), ""},
		{"no text", le, ".go.buildinfo", inline("go1\x00"), ""},
		{"longer than any", le, ".go.buildinfo", inline("go" + strings.Repeat("1", 600)), ""},
		{"cut", le, ".go.buildinfo", inline("go1.26.8")[:32], ""},
		{"magic only", le, ".go.buildinfo", []byte(buildInfoMagic), ""},
		{"none", le, ".data", make([]byte, 100), ""},
	}
	for _, tt := range tests {
		im := small(tt.im)
		im.sections = append(im.sections, sect{name: tt.section, typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_WRITE, addr: data, data: tt.data})
		im.segments = append(im.segments, seg{typ: elf.PT_LOAD, flags: elf.PF_R | elf.PF_W, section: len(im.sections)})
		f, err := NewFile(bytes.NewReader(im.bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := f.GoVersion(); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestNotes(t *testing.T) {
	im := &image{}
	gnu, gob := im.note("GNU\x00", 3, "\xab\xcd"), im.note("Go\x00\x00", 4, "a/b/c/d")
	tests := []struct {
		name     string
		data     []byte
		gnu, gob string
	}{
		{"both", append(bytes.Clone(gnu), gob...), "abcd", "a/b/c/d"},
		{"other first", append(im.note("GNU\x00", 1, "....xx"), gnu...), "abcd", ""},
		{"odd owner", append(im.note("Linuxers", 3, "x"), gob...), "", "a/b/c/d"},
		{"first counts", append(bytes.Clone(gnu), im.note("GNU\x00", 3, "zz")...), "abcd", ""},
		{"other type", im.note("GNU\x00", 5, "xx"), "", ""},
		{"empty ID", im.note("GNU\x00", 3, ""), "", ""},
		{"cut", gnu[:len(gnu)-3], "", ""},
		{"name too long", im.words(nil, 4, 1<<32-1, 4, 1, 4, 3), "", ""},
		{"description too long", im.words(nil, 4, 4, 4, 1<<32-1, 4, 3, 4, 0), "", ""},
		{"description beyond reason", im.note("GNU\x00", 3, strings.Repeat("x", maxBuildID+1)), "", ""},
		{"section beyond reason", append(bytes.Clone(gnu), make([]byte, maxNotes)...), "", ""},
	}
	for _, tt := range tests {
		for _, typ := range []elf.SectionType{elf.SHT_NOTE, elf.SHT_PROGBITS} { // by section, by segment
			im := small(image{})
			im.sections[smallNote-1].typ, im.sections[smallNote-1].data = typ, tt.data
			f, err := NewFile(bytes.NewReader(im.bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if f.BuildID() != tt.gnu || f.GoBuildID() != tt.gob {
				t.Errorf("%s, %v: %q, %q; want %q, %q", tt.name, typ, f.BuildID(), f.GoBuildID(), tt.gnu, tt.gob)
			}
		}
	}
}
