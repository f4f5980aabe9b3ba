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

// TestOldVersion: files without build information.
func TestOldVersion(t *testing.T) {
	old := fakeReleases[0]
	tests := []struct {
		name      string
		release   release
		relocated bool
		texts     string            // in the data, at fakeData+0x80
		strings   map[uint64]uint64 // headers behind the module data: where the text is, how long
		want      string
	}{
		{"1.11", old, false, "xgo1.11.13go1.12", map[uint64]uint64{0x81: 9}, "go1.11.13"},
		{"1.12, the first of the minor", old, false, "go1.12go1.11.13", map[uint64]uint64{0x80: 6}, "go1.12"},
		{"release candidate", old, false, "go1.12rc1/", map[uint64]uint64{0x80: 9}, "go1.12rc1"},
		{"relocated", old, true, "go1.12.3", map[uint64]uint64{0x80: 8}, "go1.12.3"},
		{"several", old, false, "go1.11go1.12", map[uint64]uint64{0x80: 6, 0x86: 6}, ""},
		{"twice the same", old, false, "go1.11 go1.11", map[uint64]uint64{0x80: 6, 0x87: 6}, "go1.11"},
		{"a part of a text", old, false, "go1.11.13", map[uint64]uint64{0x80: 7}, ""},
		{"no variable", old, false, "go1.11.13", nil, ""},
		{"a later release", fakeReleases[6], false, "go1.11.13", map[uint64]uint64{0x80: 9}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.release.program(image{machine: elf.EM_X86_64})
			p.version, p.relocated = "", tt.relocated
			data := tt.release.data(p)
			copy(data[0x80:], tt.texts)
			p.variables = nil
			for at, size := range tt.strings {
				p.variables = append(p.variables, fakeData+at, size)
			}
			f, err := NewFile(bytes.NewReader(p.file(data)))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := f.GoVersion(); got != tt.want || ok != (tt.want != "") {
				t.Errorf("GoVersion() = %q, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

// TestVersionSymbol: the symbol table leads to the variable.
func TestVersionSymbol(t *testing.T) {
	im := small(image{})
	im.sections[smallStrs-1].data = append([]byte(smallNames), "runtime.buildVersion\x00"...)
	im.sections[smallData-1].data = im.words(nil, 8, 0x402010, 8, 9)
	im.sections[smallData-1].data = append(im.sections[smallData-1].data, "go1.11.13"...)
	im.sections[smallSyms-1].data = im.symbols(sym{uint64(len(smallNames)), elf.STT_OBJECT, smallData, 0x402000, 16})
	im.segments[1].mem = 0
	f, err := NewFile(bytes.NewReader(im.bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := f.GoVersion(); got != "go1.11.13" || !ok {
		t.Errorf("GoVersion() = %q, %v", got, ok)
	}
}

// TestVersionForms: versions are returned as they are.
func TestVersionForms(t *testing.T) {
	for version, minor := range map[string]int{
		"go1.26.8": 26, "go1.27rc1": 27, "go1.25.3 X:jsonv2,greenteagc": 25, "devel go1.28-0123456789 Tue Feb 3 10:00:00 2026 +0000": 28,
		"go1.22.4-vendor+fips1": 22, "devel +0123456789 Tue Feb 3 10:00:00 2015 +0000": -1, "gccgo (GCC) 13": -1, "go1.x": -1, "go1.123456": 1234,
	} {
		p := fakeReleases[8].program(image{machine: elf.EM_X86_64})
		p.version = version
		f, err := NewFile(bytes.NewReader(p.file(make([]byte, 0x100))))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := f.GoVersion(); got != version || !ok {
			t.Errorf("GoVersion() = %q, %v; want %q", got, ok, version)
		}
		if got, ok := goMinor(version); ok != (minor >= 0) || ok && got != minor {
			t.Errorf("minor of %q: %d, %v", version, got, ok)
		}
	}
}
