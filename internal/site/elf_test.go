package site

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// elfFile is a Linux program, read with debug/elf: package symbols has
// tests of its own.
type elfFile struct {
	path string
	arch *abi.Arch
	// stackABI says that all functions take their arguments on the stack.
	stackABI bool
	file     *elf.File
	// funcs are the functions by entry; names has the name of each entry.
	funcs []symbols.Func
	names map[symbols.VirtAddr]string
	ro    []segment // what no program changes
}

type segment struct {
	addr uint64
	data []byte
}

// goBuild builds a program for Linux amd64 with the local toolchain and
// returns its path.
func goBuild(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	return goBuildFor(t, "amd64", pkg, flags...)
}

// goBuildFor is goBuild for any architecture.
func goBuildFor(t testing.TB, goarch, pkg string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local", "GOOS=linux",
		"GOARCH="+goarch, "GOAMD64=v1", "GO386=sse2", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, msg)
	}
	return out
}

func openBinary(t testing.TB, path string) *elfFile {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	arch := map[elf.Machine]*abi.Arch{elf.EM_X86_64: abi.AMD64, elf.EM_386: abi.I386, elf.EM_AARCH64: abi.ARM64}[f.Machine]
	if arch == nil {
		t.Fatalf("%s is for %v", path, f.Machine)
	}
	b := &elfFile{path: path, arch: arch, file: f, names: map[symbols.VirtAddr]string{}}
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_W != 0 {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		b.ro = append(b.ro, segment{p.Vaddr, data})
	}
	// Position-independent programs have their jump tables where the loader
	// relocates them. The linker leaves the unrelocated words in place.
	if sec := f.Section(".data.rel.ro"); sec != nil {
		data, err := sec.Data()
		if err != nil {
			t.Fatal(err)
		}
		b.ro = append(b.ro, segment{sec.Addr, data})
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Size == 0 {
			continue
		}
		fn := symbols.Func{Name: s.Name, Entry: symbols.VirtAddr(s.Value), Size: s.Size}
		b.funcs = append(b.funcs, fn)
		b.names[fn.Entry] = fn.Name
	}
	slices.SortFunc(b.funcs, func(x, y symbols.Func) int { return int(x.Entry) - int(y.Entry) })
	return b
}

var errUnmapped = errors.New("not in a read-only segment")

// read is a Memory.
func (b *elfFile) read(a symbols.VirtAddr, buf []byte) error {
	for _, s := range b.ro {
		if off := uint64(a) - s.addr; off < uint64(len(s.data)) && uint64(len(s.data))-off >= uint64(len(buf)) {
			copy(buf, s.data[off:])
			return nil
		}
	}
	return errUnmapped
}

func (b *elfFile) code(t testing.TB, fn symbols.Func) []byte {
	t.Helper()
	code := make([]byte, fn.Size)
	if err := b.read(fn.Entry, code); err != nil {
		t.Fatalf("%s: %v", fn.Name, err)
	}
	return code
}

func (b *elfFile) lookup(t testing.TB, name string) symbols.Func {
	t.Helper()
	for _, fn := range b.funcs {
		if fn.Name == name {
			return fn
		}
	}
	t.Fatalf("%s: no function %s", b.path, name)
	return symbols.Func{}
}

// find is FindIn with the registers that a tracer asks for.
func (b *elfFile) find(t testing.TB, fn symbols.Func) (*Sites, error) {
	return FindIn(b.arch, b.code(t, fn), fn.Entry, b.liveIn(fn.Name), b.read)
}

// liveIn are all registers that can hold an argument; of assembly, which
// takes its arguments on the stack, none.
func (b *elfFile) liveIn(name string) []abi.Reg {
	if strings.HasSuffix(name, ".abi0") {
		return nil
	}
	if b.stackABI {
		return []abi.Reg{b.arch.Closure}
	}
	live := slices.Concat(b.arch.Ints, b.arch.Floats, []abi.Reg{b.arch.Closure})
	if b.arch.HasG {
		live = append(live, b.arch.G)
	}
	return live
}

// programPath has the builds of the fixture by the flags, each made once.
var programPath = struct {
	sync.Mutex
	byFlags map[string]string
	dir     string
}{byFlags: map[string]string{}}

// fixture returns the program in testdata, built for amd64 with flags.
func fixture(t testing.TB, flags ...string) *elfFile {
	t.Helper()
	return fixtureFor(t, "amd64", flags...)
}

// fixtureFor is fixture for any architecture.
func fixtureFor(t testing.TB, goarch string, flags ...string) *elfFile {
	t.Helper()
	p := &programPath
	p.Lock()
	defer p.Unlock()
	key := goarch + strings.Join(flags, " ")
	if p.byFlags[key] == "" {
		built := goBuildFor(t, goarch, "./testdata/program", flags...)
		kept := filepath.Join(p.dir, "program"+strings.Map(letters, key))
		if err := os.Rename(built, kept); err != nil {
			t.Fatal(err)
		}
		p.byFlags[key] = kept
	}
	return openBinary(t, p.byFlags[key])
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		panic(err)
	}
	programPath.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
