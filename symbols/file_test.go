package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFixtures(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			f := v.open(t)
			if got := f.GOARCH(); got != v.goarch {
				t.Errorf("GOARCH() = %q, want %q", got, v.goarch)
			}
			if got, want := f.PIE(), v.name == pie.name; got != want {
				t.Errorf("PIE() = %v, want %v", got, want)
			}
			if got := f.Path(); got != v.path(t) {
				t.Errorf("Path() = %q", got)
			}
			if got, ok := f.GoVersion(); got != runtime.Version() || !ok {
				t.Errorf("GoVersion() = %q, %v; want %q", got, ok, runtime.Version())
			}
			if got, want := f.GoBuildID(), strings.TrimSpace(goTool(t, "buildid", v.path(t))); got != want {
				t.Errorf("GoBuildID() = %q, want %q", got, want)
			}
			switch id := f.BuildID(); v.name {
			case knownID.name:
				if id != "0123456789abcdef0123456789abcdef01234567" {
					t.Errorf("BuildID() = %q", id)
				}
			case noID.name:
				if id != "" {
					t.Errorf("BuildID() = %q, want none", id)
				}
			default: // since Go 1.24
				if len(id) != 40 {
					t.Errorf("BuildID() = %q, want 40 digits", id)
				}
			}
			st, err := os.Stat(v.path(t))
			if err != nil {
				t.Fatal(err)
			}
			if f.Size() != st.Size() {
				t.Errorf("Size() = %d, want %d", f.Size(), st.Size())
			}
		})
	}
}

// TestAddresses compares the conversions with debug/elf's program headers.
func TestAddresses(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			f := v.open(t)
			ref, err := elf.Open(v.path(t))
			if err != nil {
				t.Fatal(err)
			}
			defer ref.Close()
			low := ^uint64(0)
			loads := 0
			for _, p := range ref.Progs {
				if p.Type != elf.PT_LOAD {
					continue
				}
				loads++
				low = min(low, p.Vaddr)
				for _, d := range []uint64{0, 1, p.Filesz / 2, p.Filesz - 1} {
					if d >= p.Filesz {
						continue
					}
					a, o := VirtAddr(p.Vaddr+d), FileOffset(p.Off+d)
					if got, err := f.FileOffset(a); got != o || err != nil {
						t.Errorf("FileOffset(%#x) = %#x, %v; want %#x", a, got, err, o)
					}
					if got, err := f.VirtAddr(o); got != a || err != nil {
						t.Errorf("VirtAddr(%#x) = %#x, %v; want %#x", o, got, err, a)
					}
					if s, ok := f.SegmentFor(a); !ok || uint64(s.Addr) != p.Vaddr || s.Exec != (p.Flags&elf.PF_X != 0) {
						t.Errorf("SegmentFor(%#x) = %+v, %v", a, s, ok)
					}
				}
				if p.Memsz > p.Filesz {
					a := VirtAddr(p.Vaddr + p.Filesz)
					if _, err := f.FileOffset(a); !errors.Is(err, ErrNotMapped) {
						t.Errorf("FileOffset(%#x), zeroed memory: %v", a, err)
					}
				}
			}
			if loads < 3 || loads != len(f.Segments()) {
				t.Errorf("%d segments, want %d, at least 3", len(f.Segments()), loads)
			}
			if want := VirtAddr(low &^ 0xfff); f.ImageBase() != want {
				t.Errorf("ImageBase() = %#x, want %#x", f.ImageBase(), want)
			}
			for _, a := range []VirtAddr{0, 1, 1 << 62, 1<<64 - 1} {
				if _, err := f.FileOffset(a); !errors.Is(err, ErrNotMapped) {
					t.Errorf("FileOffset(%#x): %v", a, err)
				}
				if _, err := f.VirtAddr(FileOffset(a) + 1<<40); !errors.Is(err, ErrNotMapped) {
					t.Errorf("VirtAddr(%#x): %v", a+1<<40, err)
				}
			}
		})
	}
}

func TestReadOnlyAt(t *testing.T) {
	for _, v := range []variant{plain, pie, arm64, x86} {
		t.Run(v.name, func(t *testing.T) {
			f := v.open(t)
			data, err := os.ReadFile(v.path(t))
			if err != nil {
				t.Fatal(err)
			}
			const text = "symbols: this text is constant"
			at := bytes.Index(data, []byte(text))
			if at < 0 {
				t.Fatal("the constant is not in the file")
			}
			a, err := f.VirtAddr(FileOffset(at))
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, len(text))
			if err := f.ReadOnlyAt(a, buf); err != nil || string(buf) != text {
				t.Errorf("ReadOnlyAt(%#x) = %q, %v", a, buf, err)
			}
			writable := false
			for _, s := range f.Segments() {
				if s.Write {
					writable = true
					if err := f.ReadOnlyAt(s.Addr, buf[:1]); !errors.Is(err, ErrNotReadOnly) {
						t.Errorf("ReadOnlyAt(%#x), writable: %v", s.Addr, err)
					}
				} else if err := f.ReadOnlyAt(s.Addr+VirtAddr(s.FileSize)-1, buf[:2]); !errors.Is(err, ErrNotMapped) {
					t.Errorf("ReadOnlyAt behind the end of a segment: %v", err)
				}
			}
			if !writable {
				t.Error("no writable segment")
			}
		})
	}
}

// TestConstantAt reads words that the loader writes, of which debug/elf tells what it
// writes there.
func TestConstantAt(t *testing.T) {
	f := pie.open(t)
	want, err := elf.Open(pie.path(t))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	constants, data, rela := want.Section(".data.rel.ro"), want.Section(".data"), want.Section(".rela")
	entries, err := rela.Data()
	if err != nil {
		t.Fatal(err)
	}
	within := func(s *elf.Section, a uint64) bool { return a >= s.Addr && a-s.Addr < s.Size }
	for _, header := range []extent{f.relro, {}} { // there is none in files of Go before 1.22
		f.relro = header
		var read, refused int
		for e := entries; len(e) >= 24 && (read < 100 || refused < 100); e = e[24:] {
			a, buf := want.ByteOrder.Uint64(e), make([]byte, 8)
			err := f.ConstantAt(VirtAddr(a), buf)
			switch {
			case want.ByteOrder.Uint32(e[8:]) != uint32(elf.R_X86_64_RELATIVE):
			case within(constants, a):
				read++
				if addend := want.ByteOrder.Uint64(e[16:]); err != nil || want.ByteOrder.Uint64(buf) != addend {
					t.Fatalf("ConstantAt(%#x) = % x, %v, want %#x", a, buf, err, addend)
				}
			case within(data, a):
				refused++
				if !errors.Is(err, ErrNotReadOnly) {
					t.Fatalf("ConstantAt(%#x) in .data: %v", a, err)
				}
			}
		}
		if read < 100 || refused < 100 {
			t.Errorf("only %d words of constants and %d of data are relocated", read, refused)
		}
	}
	end := constants.Addr + constants.Size
	f.relro = extent{}
	if err := f.ConstantAt(VirtAddr(end-4), make([]byte, 8)); err == nil {
		t.Error("ConstantAt reads behind the constants")
	}
}

func TestTextRelocations(t *testing.T) {
	im := small(image{typ: elf.ET_DYN})
	im.sections = append(im.sections, sect{name: ".dynamic", typ: elf.SHT_DYNAMIC,
		data: im.words(nil, 8, uint64(elf.DT_FLAGS), 8, uint64(elf.DF_TEXTREL), 8, 0, 8, 0)})
	im.segments = append(im.segments, seg{typ: elf.PT_DYNAMIC, section: len(im.sections)})
	f, err := NewFile(bytes.NewReader(im.bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.ReadOnlyAt(0x402000, make([]byte, 4)); !errors.Is(err, ErrNotReadOnly) {
		t.Errorf("with DF_TEXTREL: %v", err)
	}
}

func TestNotAProgram(t *testing.T) {
	object := small(image{typ: elf.ET_REL}).bytes()
	core := small(image{typ: elf.ET_CORE}).bytes()
	tests := []struct {
		name, content string
		cause         error
		says          string
	}{
		{"empty", "", ErrNotELF, "empty"},
		{"text", "hello, this is no program\n", ErrNotELF, "text file"},
		{"script", "#!/bin/sh\nexit 0\n", ErrNotELF, "script"},
		{"one byte", "\x7f", ErrNotELF, "only 1 bytes"},
		{"magic only", "\x7fELF", ErrTruncated, "ELF header"},
		{"Mach-O", "\xcf\xfa\xed\xfe\x07\x00\x00\x01", ErrNotELF, "Mach-O program, for macOS"},
		{"universal", "\xca\xfe\xba\xbe\x00\x00\x00\x02", ErrNotELF, "universal Mach-O"},
		{"PE", "MZ\x90\x00\x03", ErrNotELF, "PE program, for Windows"},
		{"archive", "!<arch>\n__.PKGDEF", ErrNotELF, "archive"},
		{"gzip", "\x1f\x8b\x08\x00", ErrNotELF, "compressed"},
		{"wasm", "\x00asm\x01\x00\x00\x00", ErrNotELF, "WebAssembly"},
		{"bytes", "\x00\x01\x02\x03\x04", ErrNotELF, "00 01 02 03"},
		{"object file", string(object), ErrNotProgram, "object file"},
		{"core dump", string(core), ErrNotProgram, "core dump"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !errors.Is(err, tt.cause) {
				t.Fatalf("Open: %v; want %v", err, tt.cause)
			}
			for _, want := range []string{tt.says, path} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if _, err := NewFile(strings.NewReader(tt.content)); !errors.Is(err, tt.cause) {
				t.Errorf("NewFile: %v; want %v", err, tt.cause)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open: %v", err)
		}
	})
	t.Run("directory", func(t *testing.T) {
		_, err := Open(t.TempDir())
		if !errors.Is(err, ErrNotELF) || !strings.Contains(err.Error(), "directory") {
			t.Errorf("Open: %v", err)
		}
	})
	t.Run("device", func(t *testing.T) {
		_, err := Open(os.DevNull)
		if !errors.Is(err, ErrNotELF) {
			t.Errorf("Open: %v", err)
		}
	})
}

func TestArchitectures(t *testing.T) {
	tests := []struct {
		machine elf.Machine
		bits32  bool
		big     bool
		want    string
	}{
		{elf.EM_X86_64, false, false, "amd64"},
		{elf.EM_X86_64, true, false, "amd64p32"},
		{elf.EM_386, true, false, "386"},
		{elf.EM_AARCH64, false, false, "arm64"},
		{elf.EM_AARCH64, false, true, "arm64be"},
		{elf.EM_ARM, true, false, "arm"},
		{elf.EM_PPC64, false, false, "ppc64le"},
		{elf.EM_PPC64, false, true, "ppc64"},
		{elf.EM_S390, false, true, "s390x"},
		{elf.EM_RISCV, false, false, "riscv64"},
		{elf.EM_LOONGARCH, false, false, "loong64"},
		{elf.EM_MIPS, false, true, "mips64"},
		{elf.EM_MIPS, true, false, "mipsle"},
		{elf.EM_SPARC, true, true, "sparc"},
	}
	for _, tt := range tests {
		im := small(image{bits32: tt.bits32, big: tt.big, machine: tt.machine})
		f, err := NewFile(bytes.NewReader(im.bytes()))
		if err != nil {
			t.Errorf("%v: %v", tt.machine, err)
			continue
		}
		if got := f.GOARCH(); got != tt.want {
			t.Errorf("%v, 32 bits %v, big endian %v: GOARCH() = %q, want %q", tt.machine, tt.bits32, tt.big, got, tt.want)
		}
		// The tables must read the same in every layout.
		fn, err := f.Lookup("main.run")
		if want := (Func{"main.run", 0x401010, 8}); fn != want || err != nil {
			t.Errorf("%v: Lookup = %+v, %v", tt.machine, fn, err)
		}
		if f.BuildID() != "123456789a" || f.GoBuildID() != "a/b" {
			t.Errorf("%v: build IDs %q, %q", tt.machine, f.BuildID(), f.GoBuildID())
		}
	}
}

// bare hides the methods of a reader that tell its size.
type bare struct{ io.ReaderAt }

func TestSizeByProbing(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 5, 1023, 1024, 1025, 4097} {
		got, err := sizeOf(bare{bytes.NewReader(make([]byte, n))})
		if got != uint64(n) || err != nil {
			t.Errorf("size of %d bytes: %d, %v", n, got, err)
		}
	}
	data := small(image{}).bytes()
	f, err := NewFile(bare{bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	if f.Size() != int64(len(data)) {
		t.Errorf("Size() = %d, want %d", f.Size(), len(data))
	}
	if _, err := sizeOf(bare{endless{}}); err == nil {
		t.Error("no error for an endless reader")
	}
	broken := errors.New("broken")
	if _, err := NewFile(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("NewFile of a broken reader: %v", err)
	}
}

type endless struct{}

func (endless) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestConcurrentUse(t *testing.T) {
	f := plain.open(t)
	want, err := f.Lookup("main.computeE")
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	const n = 8
	for range n {
		go func() {
			got, err := f.Lookup("main.computeE")
			if err == nil && (got != want || f.BuildID() == "") {
				err = fmt.Errorf("Lookup = %+v, build ID %q", got, f.BuildID())
			}
			for fn, e := range f.Funcs() {
				if e != nil || fn == (Func{}) {
					err = errors.Join(err, e)
				}
			}
			results <- err
		}()
	}
	for range n {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
