package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the corpus of FuzzFile again")

// queryAll asks f everything and returns the errors. It fails the test where
// answers contradict each other.
func queryAll(t testing.TB, f *File) []error {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	f.BuildID()
	f.GoBuildID()
	f.GoVersion()
	if f.GOARCH() == "" {
		t.Error("no GOARCH")
	}
	addrs := []VirtAddr{0, f.ImageBase(), 0x401000, 1<<64 - 1}
	for _, s := range f.Segments() {
		addrs = append(addrs, s.Addr, s.Addr+VirtAddr(s.FileSize)-1, s.Addr+VirtAddr(s.FileSize), s.Addr+VirtAddr(s.MemSize))
	}
	for _, a := range addrs[:min(len(addrs), 40)] {
		o, err := f.FileOffset(a)
		note(err)
		if err == nil {
			back, err := f.VirtAddr(o)
			note(err)
			if s, ok := f.SegmentFor(a); err == nil && back != a && (!ok || s.Exec) {
				t.Errorf("%#x is at %#x, which is at %#x", a, o, back)
			}
		}
		note(f.ReadOnlyAt(a, make([]byte, 9)))
		_, err = f.At(a)
		note(err)
	}
	n := 0
	for fn, err := range f.Funcs() {
		note(err)
		if err != nil {
			break
		}
		if n++; n > 50 {
			break
		}
		got, err := f.Lookup(fn.Name)
		var several *AmbiguousError
		switch {
		case errors.As(err, &several):
			if !slices.ContainsFunc(several.Funcs, func(g Func) bool { return g.Entry == fn.Entry }) && len(several.Funcs) < maxAmbiguous {
				t.Errorf("%+v is not among %+v", fn, several.Funcs)
			}
		case err != nil || got.Entry != fn.Entry || got.Name != fn.Name:
			t.Errorf("Lookup(%q) = %+v, %v; Funcs: %+v", fn.Name, got, err, fn)
		}
		_, err = f.At(fn.Entry)
		note(err)
		code, err := f.Code(fn)
		note(err)
		if err == nil && uint64(len(code)) != fn.Size {
			t.Errorf("%d bytes of %+v", len(code), fn)
		}
	}
	_, err := f.Lookup("main.run1")
	note(err)
	_, err = f.Glob("m*.?un*")
	note(err)
	for _, h := range f.sections[:min(len(f.sections), 50)] {
		if s, ok := f.Section(h.name); ok {
			note(s.Err())
			if s.RawSize > f.size {
				t.Errorf("section %q: %d bytes in a file of %d", s.Name, s.RawSize, f.size)
			}
			if _, err := io.Copy(io.Discard, s.Raw()); err != nil {
				t.Errorf("section %q: %v", s.Name, err)
			}
		}
	}
	errs = append(errs, queryTable(t, f)...)
	for _, err := range errs {
		if err.Error() == "" {
			t.Error("error without text")
		}
	}
	return errs
}

// TestTruncated cuts files at many lengths. Every fault must be told as such.
func TestTruncated(t *testing.T) {
	known := []error{ErrNotELF, ErrTruncated, ErrNoFunc, ErrNoSymbols, ErrNoTable, ErrNoModuleData, ErrNoCode, ErrNotMapped, ErrNotReadOnly}
	check := func(t *testing.T, data []byte, n int) (truncated bool) {
		var errs []error
		f, err := NewFile(bytes.NewReader(data[:n]))
		if err != nil {
			errs = append(errs, err)
		} else {
			errs = queryAll(t, f)
		}
		for _, err := range errs {
			if !slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) }) {
				t.Errorf("%d of %d bytes: %v", n, len(data), err)
			}
			truncated = truncated || errors.Is(err, ErrTruncated)
		}
		return truncated
	}
	for _, im := range []image{{}, {bits32: true}, {big: true}} {
		data := small(im).bytes()
		for n := range data {
			if n >= 4 && !check(t, data, n) {
				t.Errorf("%d of %d bytes: nothing says that the file is truncated", n, len(data))
			}
		}
	}
	for _, v := range []variant{plain, x86} {
		data, err := os.ReadFile(v.path(t))
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < len(data); n += len(data) / 40 {
			check(t, data, n)
		}
	}
}

// TestFlippedBytes changes each byte of a small file in turn.
func TestFlippedBytes(t *testing.T) {
	for _, im := range []image{{}, {bits32: true, big: true}} {
		data := small(im).bytes()
		for i := range data {
			for _, v := range []byte{0, 0xff, data[i] ^ 1, data[i] ^ 0x80} {
				old := data[i]
				data[i] = v
				if f, err := NewFile(bytes.NewReader(data)); err == nil {
					queryAll(t, f)
				}
				data[i] = old
			}
		}
	}
}

// TestHostileSizes: what a file claims must neither be allocated nor believed.
func TestHostileSizes(t *testing.T) {
	const huge = 1 << 60
	le := binary.LittleEndian
	tests := []struct {
		name   string
		change func(im *image) []byte
		says   string
	}{
		{"symbol table", func(im *image) []byte { im.sections[smallSyms-1].size = huge; return im.bytes() }, "malformed .symtab"},
		{"string table", func(im *image) []byte { im.sections[smallStrs-1].size = huge; return im.bytes() }, "malformed .strtab"},
		{"entry size", func(im *image) []byte { im.sections[smallSyms-1].entry = 3; return im.bytes() }, "entries of 3 bytes, not 24"},
		{"string table link", func(im *image) []byte { im.sections[smallSyms-1].link = 999; return im.bytes() }, "section 999 is no string table"},
		{"string table is text", func(im *image) []byte { im.sections[smallSyms-1].link = smallText; return im.bytes() }, "section 1 is no string table"},
		{"compressed symbols", func(im *image) []byte { im.sections[smallSyms-1].flags = elf.SHF_COMPRESSED; return im.bytes() }, "compressed symbol table"},
		{"symbol's name", func(im *image) []byte {
			im.sections[smallSyms-1].data = im.symbols(sym{1 << 30, elf.STT_FUNC, smallText, 0x401000, 4})
			return im.bytes()
		}, "name ends outside the section"},
		{"name without end", func(im *image) []byte {
			im.sections[smallStrs-1].data = []byte("\x00lib.main.run")
			return im.bytes()
		}, "name ends outside the section"},
		{"function", func(im *image) []byte {
			im.sections[smallSyms-1].data = im.symbols(sym{1, elf.STT_FUNC, smallText, 0x401000, huge})
			return im.bytes()
		}, "too large to be true"},
		{"function of 60 MB", func(im *image) []byte {
			im.sections[smallSyms-1].data = im.symbols(sym{1, elf.STT_FUNC, smallText, 0x401000, 60 << 20})
			im.segments[0].file = 63 << 20
			return im.bytes()
		}, "file is truncated"},
		{"segment", func(im *image) []byte { im.segments[0].file = huge; im.segments[1].file = huge; return im.bytes() }, "in 2 segments"},
		{"segment overflows", func(im *image) []byte { im.segments[0].addr = 1<<64 - 8; return im.bytes() }, "overflows"},
		{"file range overflows", func(im *image) []byte { im.segments[0].file = 1<<64 - 8; return im.bytes() }, "overflows"},
		{"number of sections", func(im *image) []byte { b := im.bytes(); le.PutUint16(b[60:], 0xfeff); return b }, "malformed section headers"},
		{"number of sections in section 0", func(im *image) []byte {
			b := im.bytes()
			le.PutUint16(b[60:], 0)
			le.PutUint64(b[le.Uint64(b[40:])+32:], huge)
			return b
		}, "sections are too many"},
		{"section header size", func(im *image) []byte { b := im.bytes(); le.PutUint16(b[58:], 0xffff); return b }, "malformed section headers"},
		{"section headers", func(im *image) []byte { b := im.bytes(); le.PutUint64(b[40:], 1<<64-1); return b }, "malformed section headers"},
		{"section names", func(im *image) []byte { b := im.bytes(); le.PutUint16(b[62:], 99); return b }, "section names are in section 99"},
		{"number of program headers", func(im *image) []byte { b := im.bytes(); le.PutUint16(b[56:], 0xffff); return b }, "too many"},
		{"program header size", func(im *image) []byte { b := im.bytes(); le.PutUint16(b[54:], 8); return b }, "program headers of 8 bytes"},
		{"program headers", func(im *image) []byte { b := im.bytes(); le.PutUint64(b[32:], 1<<64-1); return b }, "malformed program headers"},
		{"notes", func(im *image) []byte { im.sections[smallNote-1].size = huge; return im.bytes() }, ""},
		{"one name for all", func(im *image) []byte {
			// A thousand functions with tails of one long name.
			name := "m" + strings.Repeat("1", 60_000) + ".run"
			var syms []sym
			for i := range 1000 {
				syms = append(syms, sym{1, elf.STT_FUNC, smallText, 0x401000 + uint64(i), 1})
			}
			im.sections[smallSyms-1].data = im.symbols(syms...)
			im.sections[smallStrs-1].data = []byte("\x00" + name + "\x00")
			return im.bytes()
		}, "add up to more than twice the file"},
		{"name beyond reason", func(im *image) []byte {
			im.sections[smallStrs-1].data = []byte("\x00" + strings.Repeat("1", 2*maxName) + "\x00")
			im.sections[smallSyms-1].data = im.symbols(sym{1, elf.STT_FUNC, smallText, 0x401000, 4})
			return im.bytes()
		}, "no such function"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := tt.change(small(image{}))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var errs []error
			if f, err := NewFile(bytes.NewReader(data)); err != nil {
				errs = []error{err}
			} else {
				errs = queryAll(t, f)
			}
			runtime.ReadMemStats(&after)
			// Under the race detector sync.Pool drops buffers at random.
			if n := after.TotalAlloc - before.TotalAlloc; n > 48<<20 {
				t.Errorf("allocated %d bytes for a file of %d", n, len(data))
			}
			if text := fmt.Sprint(errs); !strings.Contains(text, tt.says) {
				t.Errorf("%q is not in %s", tt.says, text)
			}
		})
	}
}

// TestShrinkingFile: a file that is cut while it is open.
func TestShrinkingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	data := small(image{}).bytes()
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 300); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lookup("main.run"); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), path) {
		t.Errorf("Lookup: %v", err)
	}
}

// corpus is what FuzzFile starts from: small files of each layout.
func corpus() map[string][]byte {
	bare := small(image{}).bytes()
	binary.LittleEndian.PutUint64(bare[40:], 0) // no section headers
	return map[string][]byte{
		"elf64":       small(image{}).bytes(),
		"elf32":       small(image{bits32: true, machine: elf.EM_386}).bytes(),
		"elf64-big":   small(image{big: true, machine: elf.EM_S390, typ: elf.ET_DYN}).bytes(),
		"no-sections": bare,
	}
}

func FuzzFile(f *testing.F) {
	for name, data := range corpus() {
		f.Add(data)
		path := filepath.Join("testdata/fuzz/FuzzFile", name)
		text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", data)
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				f.Fatal(err)
			}
		}
		if old, err := os.ReadFile(path); err != nil || string(old) != text {
			f.Errorf("%s is not what the test would write (%v): run go test -update", path, err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return // only slower
		}
		file, err := NewFile(bytes.NewReader(data))
		if err != nil {
			if err.Error() == "" {
				t.Error("error without text")
			}
			return
		}
		queryAll(t, file)
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("main.(*Server).*", "main.(*Server).Serve")
	f.Add("*a?*b", "xaéb")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if !IsPattern(pattern) && Match(pattern, name) != (pattern == name) {
			t.Errorf("Match(%q, %q) = %v", pattern, name, pattern != name)
		}
		if !Match("*", name) || !Match(pattern+"*", pattern+name) && !IsPattern(pattern) && !strings.HasSuffix(pattern, "go.shape.") {
			t.Errorf("a star does not match the rest: %q, %q", pattern, name)
		}
		if Match(pattern, name) && name != "" && !Match("*", name[1:]) {
			t.Errorf("%q, %q", pattern, name)
		}
	})
}
