package dwarfargs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	random "github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// typesSource is testdata/types as a release can compile it.
func typesSource(t testing.TB, minor int) random.Source {
	src := maps.Clone(random.Dir(t, "testdata/types"))
	if minor < 18 {
		delete(src, "generic_18.go")
	}
	return src
}

// printed is what testdata/types prints: addresses in its process, by what is
// there, in this order.
type printed struct {
	addr uint64
	name string
}

func runTypes(t *testing.T, path string) (list []printed) {
	out, err := exec.Command(path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var p printed
		if n, err := fmt.Sscanf(line, "%x", &p.addr); n != 1 || err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		p.name = strings.SplitN(line, " ", 3)[2]
		list = append(list, p)
	}
	return list
}

// TestRuntimeTypes compares the types that are found by descriptors and by names
// with what programs of every release say of themselves.
func TestRuntimeTypes(t *testing.T) {
	for _, release := range available(t) {
		for _, arch := range []string{"amd64", "386"} {
			for _, fl := range []random.Flavour{random.Default, random.PIE, random.Cgo} {
				tc := toolchain(t, release, arch)
				tc.Flavour = fl
				if tc.Check() != nil || testing.Short() && fl != random.Default {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", release, arch, fl), func(t *testing.T) {
					minor := minorOf(release)
					path := random.BuildWith(t, tc, typesSource(t, minor))
					f, d := open(t, path)
					checkRuntimeTypes(t, f, d, runTypes(t, path), minor)
				})
			}
		}
	}
}

func checkRuntimeTypes(t *testing.T, f *symbols.File, d *Data, list []printed, minor int) {
	types, err := d.RuntimeTypes()
	if err != nil {
		t.Fatal(err)
	}
	md, err := f.ModuleData()
	if err != nil {
		t.Fatal(err)
	}
	start, err := f.Lookup("main.main")
	if err != nil {
		t.Fatal(err)
	}
	base := list[0].addr - uint64(start.Entry) + uint64(md.Types)
	missing := 0
	for _, p := range list[1:] {
		off := p.addr - base
		typ, err := types.At(off, 1)
		if errors.Is(err, ErrNoEntry) {
			missing++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		if typ.RuntimeType != off {
			t.Errorf("%s: the descriptor is at %#x, the type says %#x", p.name, off, typ.RuntimeType)
		}
		found, err := types.Named(p.name)
		if err != nil {
			t.Error(err)
		}
		same := 0
		for _, n := range found {
			if n.Offset == off {
				same++
				if n.Name != typ.Name {
					t.Errorf("%s: called %s at its offset, %s by name", p.name, typ.Name, n.Name)
				}
			}
		}
		// %T says nothing of the function that a type is declared in.
		if same != 1 && !strings.Contains(typ.Name, "·") {
			t.Errorf("%s: %s at its offset %#x, by name %v", p.name, typ.Name, off, found)
		}
	}
	// Up to Go 1.24 linkers describe no types that are only converted to
	// interfaces, and unsafe.Pointer's DIE has no attribute up to Go 1.22
	// (cmd/link/internal/ld/dwarf.go, DW_ABRV_BARE_PTRTYPE).
	most := 0
	if minor < 25 {
		most = 12
	}
	if missing > most || len(list) < 50 {
		t.Errorf("%d of %d types are missing, at most %d should be", missing, len(list), most)
	}
	n, last := 0, uint64(0)
	for r, err := range types.All() {
		if err != nil {
			t.Fatal(err)
		}
		typ, err := types.At(r.Offset, 0)
		if err != nil {
			t.Fatal(err)
		}
		if r.Offset <= last || r.Name == "" || typ.Name != r.Name || typ.Kind == abi.Invalid {
			t.Errorf("%+v, after %#x: type %+v", r, last, typ)
		}
		n, last = n+1, r.Offset
	}
	if n != types.Len() || n < 300 {
		t.Errorf("%d of %d types", n, types.Len())
	}
	if _, err := types.At(last+1, 0); !errors.Is(err, ErrNoEntry) {
		t.Errorf("behind the last: %v", err)
	}
	if found, err := types.Named("nowhere.T"); err != nil || len(found) > 0 {
		t.Errorf("found %v, %v", found, err)
	}
}

// TestPackageNames finds a type by the name of a package that is not the last
// element of its path.
func TestPackageNames(t *testing.T) {
	path := random.Build(t, random.Source{
		"main.go":      "package main\n\nimport p \"fixture/some.v3\"\n\nvar sink interface{}\n\nfunc main() { sink = &p.T{}; println(sink, sink.(interface{ M() int }).M()) }\n",
		"some.v3/p.go": "package yaml\n\ntype T struct{ A int }\n\n//go:noinline\nfunc (t *T) M() int { return t.A }\n",
	})
	_, d := open(t, path)
	types, err := d.RuntimeTypes()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"*yaml.T": 1, "*fixture/some.v3.T": 1, "yaml.T": 1, "*some.T": 0, "*some.v3.T": 0, "T": 0,
	} {
		if found, err := types.Named(name); err != nil || len(found) != want {
			t.Errorf("%s: %v, %v, want %d", name, found, err, want)
		}
	}
}

// bigBinary is the program in ARGTAP_BINARY, or the go command.
func bigBinary(b *testing.B) string {
	if path := os.Getenv("ARGTAP_BINARY"); path != "" {
		return path
	}
	return goCommand(b)
}

// BenchmarkRuntimeTypes goes through the types of a program.
func BenchmarkRuntimeTypes(b *testing.B) {
	path := bigBinary(b)
	b.ReportAllocs()
	for b.Loop() {
		_, d := open(b, path)
		types, err := d.RuntimeTypes()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(types.Len()), "types")
		d.Close()
	}
}

func BenchmarkNamed(b *testing.B) {
	_, d := open(b, bigBinary(b))
	types, err := d.RuntimeTypes()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if found, err := types.Named("*fs.PathError"); err != nil || len(found) != 1 {
			b.Fatal(found, err)
		}
	}
}
