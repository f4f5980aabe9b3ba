package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFuncs compares Funcs, Lookup, At and Code with go tool nm and the bytes
// of the file.
func TestFuncs(t *testing.T) {
	for _, v := range withTables {
		t.Run(v.name, func(t *testing.T) {
			f := v.open(t)
			data, err := os.ReadFile(v.path(t))
			if err != nil {
				t.Fatal(err)
			}
			ref, err := elf.NewFile(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			text := ref.Section(".text")
			want := nm(t, v.path(t))
			n := 0
			for fn, err := range f.Funcs() {
				if err != nil {
					t.Fatal(err)
				}
				if !want[fn] {
					t.Errorf("Funcs has %+v, go tool nm does not", fn)
				}
				delete(want, fn)
				if n++; n%7 != 0 && !strings.HasPrefix(fn.Name, "main.") {
					continue
				}
				if got, err := f.Lookup(fn.Name); got != fn || err != nil {
					t.Errorf("Lookup(%q) = %+v, %v; want %+v", fn.Name, got, err, fn)
				}
				if fn.Size == 0 {
					continue
				}
				if got, err := f.At(fn.Entry + VirtAddr(fn.Size) - 1); got != fn || err != nil {
					t.Errorf("At(last byte) = %+v, %v; want %+v", got, err, fn)
				}
				code, err := f.Code(fn)
				if err != nil {
					t.Error(err)
					continue
				}
				off := uint64(fn.Entry) - text.Addr + text.Offset
				if !bytes.Equal(code, data[off:off+fn.Size]) {
					t.Errorf("Code(%s) differs from the file", fn.Name)
				}
			}
			for fn := range want {
				t.Errorf("go tool nm has %+v, Funcs does not", fn)
			}
		})
	}
}

func TestFuncsStops(t *testing.T) {
	n := 0
	for range plain.open(t).Funcs() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d functions", n)
	}
}

func TestLookup(t *testing.T) {
	f, err := NewFile(bytes.NewReader(small(image{}).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Func{
		{"lib.main.run", 0x401000, 16},
		{"main.run", 0x401010, 8}, // the tail of another name
		{"start", 0x401028, 0},    // without a type
	} {
		if got, err := f.Lookup(want.Name); got != want || err != nil {
			t.Errorf("Lookup(%q) = %+v, %v; want %+v", want.Name, got, err, want)
		}
	}
	for _, name := range []string{
		"", "run", ".run", "main.ru", "main.runs", "ib.main.run", "\x00main.run", "main.run\x00", "main.run\x00helper",
		"table", // a variable
		"lib.main.run\x00helper\x00start\x00table\x00and more",
		strings.Repeat("main.run", 10_000),
	} {
		_, err := f.Lookup(name)
		var e *NotFoundError
		if !errors.As(err, &e) || !errors.Is(err, ErrNoFunc) || errors.Is(err, ErrNoSymbols) {
			t.Errorf("Lookup(%q): %v", name, err)
		}
	}
}

func TestLookupAmbiguous(t *testing.T) {
	f, err := NewFile(bytes.NewReader(small(image{}).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Lookup("helper")
	var e *AmbiguousError
	if !errors.As(err, &e) || len(e.Funcs) != 2 || e.Funcs[0].Entry != 0x401018 || e.Funcs[1].Entry != 0x401020 {
		t.Fatalf("Lookup: %v", err)
	}
	if want := "find function helper: several functions have this name, at 0x401018 0x401020: use a pattern that selects them all"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if fns, err := f.Glob("helpe?"); len(fns) != 2 || err != nil {
		t.Errorf("Glob = %v, %v", fns, err)
	}
}

// TestLookupChoice: which of several symbols of a name is the function.
func TestLookupChoice(t *testing.T) {
	const undef, abs = uint64(elf.SHN_UNDEF), uint64(elf.SHN_ABS)
	const text, data = smallText, smallData
	f := func(name string, syms ...sym) (Func, error) {
		im := small(image{})
		im.sections[smallSyms-1].data = im.symbols(syms...)
		im.sections[smallStrs-1].data = []byte("\x00" + name + "\x00")
		file, err := NewFile(bytes.NewReader(im.bytes()))
		if err != nil {
			t.Fatal(err)
		}
		return file.Lookup(name)
	}
	tests := []struct {
		name string
		syms []sym
		want Func // without name; zero: not found
	}{
		{"f", []sym{{1, elf.STT_FUNC, text, 0x401000, 4}, {1, elf.STT_FUNC, text, 0x401000, 4}}, Func{"", 0x401000, 4}},
		{"alias without size", []sym{{1, elf.STT_FUNC, text, 0x401000, 0}, {1, elf.STT_FUNC, text, 0x401000, 4}}, Func{"", 0x401000, 4}},
		{"function and variable", []sym{{1, elf.STT_OBJECT, data, 0x402000, 8}, {1, elf.STT_FUNC, text, 0x401000, 4}}, Func{"", 0x401000, 4}},
		{"function and label", []sym{{1, elf.STT_NOTYPE, text, 0x401020, 0}, {1, elf.STT_FUNC, text, 0x401000, 4}}, Func{"", 0x401000, 4}},
		{"import", []sym{{1, elf.STT_FUNC, undef, 0, 0}}, Func{}},
		{"import and definition", []sym{{1, elf.STT_FUNC, undef, 0, 0}, {1, elf.STT_FUNC, text, 0x401000, 4}}, Func{"", 0x401000, 4}},
		{"in data", []sym{{1, elf.STT_FUNC, data, 0x402000, 4}}, Func{}},
		{"absolute", []sym{{1, elf.STT_FUNC, abs, 0x401000, 4}}, Func{}},
		{"indirect", []sym{{1, elf.STT_GNU_IFUNC, text, 0x401000, 4}}, Func{}},
		{"far index", []sym{{1, elf.STT_FUNC, uint64(elf.SHN_XINDEX), 0x401000, 4}}, Func{"", 0x401000, 4}},
		{"far index in data", []sym{{1, elf.STT_FUNC, uint64(elf.SHN_XINDEX), 0x402000, 4}}, Func{}},
		{"no such section", []sym{{1, elf.STT_FUNC, 99, 0x401000, 4}}, Func{}},
		{"runtime.text", []sym{{1, elf.STT_FUNC, text, 0x401000, 0}}, Func{}},
		{"runtime.etext", []sym{{1, elf.STT_FUNC, text, 0x401000, 0}}, Func{}},
	}
	for _, tt := range tests {
		got, err := f(tt.name, tt.syms...)
		if tt.want == (Func{}) {
			if !errors.Is(err, ErrNoFunc) {
				t.Errorf("%s: %+v, %v; want none", tt.name, got, err)
			}
			continue
		}
		tt.want.Name = tt.name
		if got != tt.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
}

// TestFindName puts names around the borders of the chunks that are read.
func TestFindName(t *testing.T) {
	for _, length := range []int{1, 2, 5, 30, 31, 32, 33, 100, 5000} {
		name := strings.Repeat("n", length-1) + "m"
		for _, border := range []int{chunkSize, 2*chunkSize - 31, 2 * chunkSize} {
			for _, shift := range []int{-length - 2, -length - 1, -length, -length / 2, -1, 0, 1} {
				strs := bytes.Repeat([]byte("\x00x"), 3*chunkSize/2)
				at := border + shift
				copy(strs[at-1:], "\x00"+name+"\x00")
				im := small(image{})
				im.sections[smallStrs-1].data = strs
				im.sections[smallSyms-1].data = im.symbols(sym{uint64(at), elf.STT_FUNC, smallText, 0x401000, 4})
				f, err := NewFile(bytes.NewReader(im.bytes()))
				if err != nil {
					t.Fatal(err)
				}
				tab, err := f.symtab()
				if err != nil {
					t.Fatal(err)
				}
				got, err := tab.findName(name)
				if err != nil || len(got) != 1 || got[0] != uint32(at) {
					t.Fatalf("name of %d bytes at %d: found at %v, %v", length, at, got, err)
				}
				// A page of the name cache may end there too.
				n := tab.names()
				if b, ok, err := n.at(uint64(at)); string(b) != name || !ok || err != nil {
					t.Fatalf("name of %d bytes at %d: read %q, %v, %v", length, at, b, ok, err)
				}
			}
		}
	}
}

// TestStripped: a file that has neither symbols nor a function table.
func TestStripped(t *testing.T) {
	im := small(image{})
	im.sections[smallSyms-1].typ = elf.SHT_PROGBITS
	path := filepath.Join(t.TempDir(), "stripped")
	if err := os.WriteFile(path, im.bytes(), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, errLookup := f.Lookup("main.main")
	_, errGlob := f.Glob("main.*")
	_, errAt := f.At(f.ImageBase() + 0x1000)
	var errFuncs error
	for _, err := range f.Funcs() {
		errFuncs = err
	}
	for i, err := range []error{errLookup, errGlob, errAt, errFuncs} {
		if !errors.Is(err, ErrNoSymbols) || !strings.Contains(err.Error(), "-ldflags=-s") || !strings.Contains(err.Error(), f.Path()) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := f.FuncSource(); got != NoFunctions {
		t.Errorf("FuncSource() = %v", got)
	}
	if _, err := f.Table(); !errors.Is(err, ErrNoTable) || !strings.Contains(err.Error(), path) {
		t.Errorf("Table: %v", err)
	}
}

// TestDynamicSymbols: a stripped library still has the functions it exports.
func TestDynamicSymbols(t *testing.T) {
	im := small(image{typ: elf.ET_DYN})
	im.sections[smallSyms-1].typ = elf.SHT_DYNSYM
	f, err := NewFile(bytes.NewReader(im.bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if fn, err := f.Lookup("main.run"); fn.Entry != 0x401010 || err != nil {
		t.Errorf("Lookup = %+v, %v", fn, err)
	}
	if _, err := f.Lookup("main.other"); !errors.Is(err, ErrNoFunc) || !errors.Is(err, ErrNoSymbols) {
		t.Errorf("Lookup of a function that is not exported: %v", err)
	}
}

func TestAt(t *testing.T) {
	f, err := NewFile(bytes.NewReader(small(image{}).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[VirtAddr]string{
		0x401000: "lib.main.run", 0x40100f: "lib.main.run", 0x401010: "main.run", 0x401020: "helper",
		0x400fff: "", 0x401028: "", 0x402000: "", 0: "", 1<<64 - 1: "",
	} {
		fn, err := f.At(a)
		if fn.Name != want || (want == "") != errors.Is(err, ErrNoFunc) {
			t.Errorf("At(%#x) = %+v, %v; want %q", a, fn, err, want)
		}
	}
}

func TestCodeErrors(t *testing.T) {
	f, err := NewFile(bytes.NewReader(small(image{}).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, fn := range []Func{
		{"without size", 0x401000, 0},
		{"huge", 0x401000, 1 << 40},
		{"beyond the segment", 0x401000, 65},
		{"overflows", 0x401010, 1<<64 - 1},
		{"data", 0x402000, 8},
		{"nowhere", 0x10, 8},
	} {
		if _, err := f.Code(fn); !errors.Is(err, ErrNoCode) {
			t.Errorf("Code(%+v): %v", fn, err)
		}
	}
	code, err := f.Code(Func{"whole", 0x401000, 64})
	if err != nil || len(code) != 64 || code[1] != 0x81 {
		t.Errorf("Code: % x, %v", code, err)
	}
}

// TestErrorTexts is what users read.
func TestErrorTexts(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&NotFoundError{File: "app", Name: "main.f"},
			"find function main.f in app: no such function: names are those of the symbol table, such as main.run or main.(*Server).Serve; a function that is inlined everywhere or never called has none"},
		{&NotFoundError{File: "app", Name: "f", Suggestions: []string{"main.f"}},
			"find function f in app: no such function: did you mean main.f?"},
		{&NotFoundError{Name: "f", Suggestions: []string{"a.f", "b.f", "c.f"}},
			"find function f: no such function: did you mean a.f, b.f or c.f?"},
		{&NotFoundError{File: "app", Name: "x.*", Pattern: true},
			"find functions x.* in app: no such function: no name matches the whole pattern: '*' stands for any characters, '?' for one"},
		{&NotFoundError{File: "app", Name: "f", Stripped: true},
			"find function f in app: no symbol table: the file was stripped: build it without -ldflags=-s, or keep the unstripped file"},
		{&FormatError{File: "app", Section: ".symtab", Offset: 24, Err: ErrTruncated},
			"app: malformed .symtab at 0x18: file is truncated: copy or build the file again"},
		{&FormatError{Section: ".strtab", Err: fmt.Errorf("odd")}, "malformed .strtab at 0x0: odd"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
