package rtype

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/fixture"
)

// TestRuntimeTypes compares the types that descriptors describe with those of
// debug information, and with what programs that run here say of themselves.
func TestRuntimeTypes(t *testing.T) { checkTypes(t, "") }

// TestRuntimeTypesReleases is TestRuntimeTypes for all releases.
func TestRuntimeTypesReleases(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		return
	}
	for _, release := range published {
		t.Run(release, func(t *testing.T) { checkTypes(t, release) })
	}
}

func checkTypes(t *testing.T, release string) {
	for _, arch := range []string{"amd64", "arm64", "386"} {
		for _, fl := range []fixture.Flavour{fixture.Default, fixture.PIE, fixture.Cgo} {
			tc := fixture.Toolchain{Release: release, Arch: arch, Flavour: fl}
			if tc.Check() != nil || testing.Short() && (arch != "amd64" || fl != fixture.Default) {
				continue
			}
			t.Run(arch+"/"+string(fl), func(t *testing.T) {
				minor, err := tc.Minor()
				if err != nil {
					t.Fatal(err)
				}
				src := maps.Clone(fixture.Dir(t, filepath.Join("..", "..", "dwarfargs", "testdata", "types")))
				if minor < 18 {
					delete(src, "generic_18.go")
				}
				path := fixture.BuildWith(t, tc, src)
				f := open(t, path)
				data, err := Open(f, abi.ArchFor(f.GOARCH()))
				if err != nil {
					t.Fatal(err)
				}
				types, err := data.RuntimeTypes()
				if err != nil {
					t.Fatal(err)
				}
				dw, err := dwarfargs.Open(f)
				if err != nil {
					t.Fatal(err)
				}
				defer dw.Close()
				compareTypes(t, types, dw, minor)
				if arch == "arm64" {
					return // does not run everywhere
				}
				start, err := f.Lookup("main.main")
				if err != nil {
					t.Fatal(err)
				}
				runTypes(t, path, types, uint64(data.mod.Types-start.Entry))
			})
		}
	}
}

// compareTypes compares all types that have both a DIE and a descriptor.
func compareTypes(t *testing.T, types *RuntimeTypes, dw *dwarfargs.Data, minor int) {
	described, err := dw.RuntimeTypes()
	if err != nil {
		t.Fatal(err)
	}
	var same, local, unlisted int
	for r, err := range described.All() {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(r.Name, "noalg.") || strings.Contains(r.Name, "map.") || strings.Contains(r.Name, "struct { F uintptr") {
			continue // parts of maps, and closures: their descriptors do not say that they have a name
		}
		want, err := described.At(r.Offset, 2)
		if err != nil {
			t.Fatal(err)
		}
		have, err := types.At(r.Offset, 2)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		d := differ{}
		d.typ(r.Name, have, want)
		switch {
		case strings.HasSuffix(d.diff, "want noalg."+strings.TrimPrefix(r.Name, "*")):
			// A pointer to a part of a map.
		case d.diff != "":
			t.Error(d.diff)
		case d.local:
			local++
		default:
			same++
		}
		if _, ok := slices.BinarySearch(types.types, offset32(r.Offset)); !ok {
			unlisted++
		}
		if direct, err := types.Direct(r.Offset); err != nil || direct != held(want, minor) && !mayBeNotInHeap(want) {
			t.Errorf("%s: direct: %v, %v", want, direct, err)
		}
	}
	undescribed := 0
	for r, err := range types.All() {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := described.At(r.Offset, 0); errors.Is(err, dwarfargs.ErrNoEntry) {
			undescribed++
		} else if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d types are the same, %d with a number; %d of %d are in no list, %d of %d not in DWARF", same, local, unlisted,
		described.Len(), undescribed, types.Len())
	if same < 300 || local > 20 || unlisted > 10 {
		t.Error("too few")
	}
}

// held reports whether interfaces hold a type directly, by its shape
// (cmd/compile/internal/types.IsDirectIface): if it is a pointer, or has one as
// its only field or element. From Go 1.26 on fields without size do not count.
func held(t *abi.Type, minor int) bool {
	switch t.Kind {
	case abi.Pointer, abi.Chan, abi.Map, abi.Func, abi.UnsafePointer:
		return true
	case abi.Array:
		return t.Len == 1 && held(t.Elem, minor)
	case abi.Struct:
		n, all := 0, true
		for _, f := range t.Fields {
			if minor < 26 || f.Type.Size > 0 {
				n++
				all = all && held(f.Type, minor)
			}
		}
		return n == 1 && all
	}
	return false
}

// mayBeNotInHeap reports whether a type is a pointer into the runtime, or has
// one. Those to what is not in the heap are not held directly since Go 1.15;
// before Go 1.20 only a comment in the source told which.
func mayBeNotInHeap(t *abi.Type) bool {
	return strings.HasPrefix(strings.TrimLeft(t.Name, "*"), "runtime.") || strings.HasPrefix(t.Name, "*internal/runtime/") ||
		strings.HasPrefix(t.Name, "*runtime/internal/") || len(t.Fields) == 1 && mayBeNotInHeap(t.Fields[0].Type)
}

// runTypes compares the types with what the program says of them. start is
// where runtime.types is from the program's main.main.
func runTypes(t *testing.T, path string, types *RuntimeTypes, start uint64) {
	out, err := exec.Command(path).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	base, direct := uint64(0), 0
	for i, line := range lines {
		var addr uint64
		if n, err := fmt.Sscanf(line, "%x", &addr); n != 1 || err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if i == 0 {
			base = addr + start
			continue
		}
		part := strings.SplitN(line, " ", 3)
		typ, err := types.At(addr-base, 1)
		if err != nil {
			t.Errorf("%s: %v", part[2], err)
			continue
		}
		held, err := types.Direct(addr - base)
		if err != nil || held != (part[1] == "d") {
			t.Errorf("%s: held directly: %v, %v", line, held, err)
		}
		if held {
			direct++
		}
		found, err := types.Named(part[2])
		if err != nil {
			t.Error(err)
		}
		if !slices.ContainsFunc(found, func(r abi.RuntimeType) bool { return r.Offset == addr-base && r.Name == typ.Name }) {
			// Only what is listed can be found by name.
			if _, ok := slices.BinarySearch(types.types, offset32(addr-base)); ok {
				t.Errorf("%s: %s at its offset %#x, by name %v", part[2], typ, addr-base, found)
			}
		}
	}
	if len(lines) < 50 || direct < 15 {
		t.Errorf("%d types, %d of them held directly", len(lines), direct)
	}
}

func TestNoType(t *testing.T) {
	for _, version := range versions {
		m, err := newImage(version, abi.AMD64)
		if err != nil {
			t.Fatal(err)
		}
		d, err := New(m, abi.AMD64, version, m.module())
		if err != nil {
			t.Fatal(err)
		}
		types, err := d.RuntimeTypes()
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []uint64{0, 1, 3, imageSize, 1 << 31, 1 << 40, ^uint64(0), ^uint64(7)} {
			if typ, err := types.At(off, 3); !errors.Is(err, ErrNoType) {
				t.Errorf("%s: at %#x: %v, %v", version, off, typ, err)
			}
			if direct, err := types.Direct(off); !errors.Is(err, ErrNoType) || direct {
				t.Errorf("%s: at %#x: %v, %v", version, off, direct, err)
			}
		}
	}
}
