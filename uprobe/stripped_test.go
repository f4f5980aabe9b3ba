package uprobe

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// stripHeaders copies a 64-bit ELF file without its section headers: no symbol
// table, no debug information, and no names for what is left.
func stripHeaders(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// e_shoff; e_shentsize, e_shnum and e_shstrndx (gABI, chapter 4).
	binary.LittleEndian.PutUint64(b[0x28:], 0)
	binary.LittleEndian.PutUint16(b[0x3c:], 0)
	binary.LittleEndian.PutUint16(b[0x3e:], 0)
	to := filepath.Join(t.TempDir(), "stripped")
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestSources asks for the same functions where less and less is known of them.
func TestSources(t *testing.T) {
	src := fixture.Dir(t, "testdata/inspect")
	whole := fixture.Build(t, src)
	noDWARF, noSymbols := fixture.Build(t, src, "-ldflags=-w"), fixture.Build(t, src, "-ldflags=-s -w")
	bare := stripHeaders(t, whole)
	for _, tt := range []struct {
		name, path, fn string
		opts           []Option
		source         Source
		sig            string
	}{
		{"whole", whole, "main.three", nil, SourceDWARF, "func(n int, s string, p *main.point) int"},
		{"-w", noDWARF, "main.three", nil, SourceArgInfo, "func(uint64, group, uint64)"},
		{"-s -w", noSymbols, "main.three", nil, SourceArgInfo, "func(uint64, group, uint64)"},
		{"no section headers", bare, "main.three", nil, SourceArgInfo, "func(uint64, group, uint64)"},
		{"registers saved", noSymbols, "main.(*server).serve", nil, SourceArgInfo, "func(uint64, group, uint64)"},
		{"assembly", noSymbols, "runtime.memequal", nil, SourceNone, "func()"},
		{"method", noSymbols, "syscall.Errno.Error", nil, SourceTypes, "func (syscall.Errno) () string"},
		{"given", noSymbols, "main.three", []Option{WithSignature("func(i int, s string, p *struct{ a, b int64 })")}, SourceGiven,
			"func(i int, s string, p *struct { a int64; b int64 })"},
		{"given for another", noSymbols, "main.three", []Option{WithSignature("func(i int)", "main.four")}, SourceArgInfo, "func(uint64, group, uint64)"},
		{"given, not needed", whole, "main.three", []Option{WithSignature("func(i int)")}, SourceDWARF, "func(n int, s string, p *main.point) int"},
		{"debug file", bare, "main.three", []Option{WithDebugFile(whole)}, SourceDWARF, "func(n int, s string, p *main.point) int"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs, err := Inspect(tt.path, tt.fn, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			f := fs[0]
			if f.Source() != tt.source || f.Signature().String() != tt.sig {
				t.Errorf("%s from %v (%s), want %s from %v", f.Signature(), f.Source(), f.SourceDetail(), tt.sig, tt.source)
			}
			for _, p := range f.Params() {
				// main.three never grows its stack, so nothing shows which of its
				// arguments are in registers for floats. The other one does.
				want := ""
				if tt.source == SourceArgInfo {
					want = abi.UnknownRegister.String()
					if tt.fn != "main.three" {
						want = map[string]string{"RAX:8": "", "RBX:8 RCX:8": ""}[p.LocationText()]
						if strings.HasPrefix(p.LocationText(), "X0") || strings.Contains(p.LocationText(), "not readable") {
							want = abi.RegisterNotReadable.String()
						}
					}
				}
				if why, _ := p.Absent(); why != want {
					t.Errorf("%s %s at %s is absent: %q, want %q", p.Name, p.TypeName(), p.LocationText(), why, want)
				}
			}
		})
	}
}

func TestSourceErrors(t *testing.T) {
	src := fixture.Dir(t, "testdata/inspect")
	whole, stripped := fixture.Build(t, src), fixture.Build(t, src, "-ldflags=-s -w")
	for _, tt := range []struct {
		name, path string
		opt        Option
		is         error
		want       string
	}{
		{"other signature", stripped, WithSignature("func(i int, s []byte, p *int)"), ErrSignature, "argument 2"},
		{"too few", stripped, WithSignature("func(i int, s string)"), ErrSignature, "argument 3"},
		{"no signature", stripped, WithSignature("three"), ErrSignature, "column 1"},
		{"named type", stripped, WithSignature("func(i int, s string, p *pair)"), ErrSignature, "pair"},
		{"no debug file", stripped, WithDebugFile("/nothing"), ErrDebugFile, "/nothing"},
		{"other program's debug file", stripped, WithDebugFile(whole), ErrDebugFile, "build"},
		{"debug file without any", stripped, WithDebugFile(stripped), ErrDebugFile, "debug"},
		{"empty path", stripped, WithDebugFile(""), nil, "empty path"},
	} {
		_, err := Inspect(tt.path, "main.three", tt.opt)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %v with %q", tt.name, err, tt.is, tt.want)
		}
	}
}

// TestRefusedDebugFile: who put a debug file beside the program should learn why
// it is not used.
func TestRefusedDebugFile(t *testing.T) {
	path := fixture.Build(t, fixture.Dir(t, "testdata/inspect"), "-ldflags=-s -w")
	f, err := symbols.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id := f.BuildID()
	if len(id) < 4 {
		t.Skip("the toolchain writes no GNU build ID")
	}
	cache := t.TempDir()
	t.Setenv("DEBUGINFOD_CACHE_PATH", cache)
	debug := filepath.Join(cache, id, "debuginfo")
	if err := os.Mkdir(filepath.Dir(debug), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(debug, []byte("no ELF file"), 0o666); err != nil {
		t.Fatal(err)
	}
	fs, err := Inspect(path, "main.three")
	if err != nil {
		t.Fatal(err)
	}
	if got := fs[0].SourceDetail(); strings.Count(got, debug) != 1 {
		t.Errorf("%q does not say why %s is not used", got, debug)
	}
}
