package goruntime_test

import (
	"debug/buildinfo"
	"debug/dwarf"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/argtap/argtap/internal/goruntime"
)

func TestRelease(t *testing.T) {
	for version, want := range map[string]int{
		"go1.17": 17, "go1.26.8": 26, "go1.27rc1": 27, "go1.26.8 X:nodwarf5": 26, "go1.9": 9, "go1.100.1": 100,
		"": -1, "go": -1, "go1": -1, "go1.": -1, "go1.x": -1, "go2.3": -1, "1.26": -1, "go1.99999999999999999999": -1,
		"devel go1.27-3b2f7c1 Thu Jan 1": -1, "devel +0123456789": -1, "go1.-5": -1,
	} {
		got, ok := goruntime.Release(version)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %t, want %d", version, got, ok, want)
		}
	}
}

func TestGoroutineID(t *testing.T) {
	for minor, want := range map[int]int64{16: 0, 17: 152, 22: 152, 23: 160, 24: 160, 25: 152, 27: 152, 0: 0, -1: 0, 1000: 0} {
		if got, ok := goruntime.GoroutineID(minor); got != want || ok != (want != 0) {
			t.Errorf("go1.%d: %d, %t, want %d", minor, got, ok, want)
		}
	}
}

// TestLocalToolchain compares the table with the debug information of a program
// that the local toolchain built.
func TestLocalToolchain(t *testing.T) {
	dir := t.TempDir()
	src, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "main")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() {}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", out, src)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	info, err := buildinfo.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	minor, ok := goruntime.Release(info.GoVersion)
	if !ok {
		t.Fatalf("version %q", info.GoVersion)
	}
	got, ok := goruntime.GoroutineID(minor)
	if !ok {
		t.Fatalf("no row for %s: read runtime.g.goid from this test's DWARF, and add it", info.GoVersion)
	}
	g := runtimeG(t, out)
	if want := offset(t, g, "goid"); got != want {
		t.Errorf("%s: goid at %d, the DWARF says %d", info.GoVersion, got, want)
	}
	got, ok = goruntime.SchedPC(minor)
	if want := offset(t, g, "sched", "pc"); !ok || got != want {
		t.Errorf("%s: sched.pc at %d, the DWARF says %d", info.GoVersion, got, want)
	}
}

// offset returns the offset of a field, or of a field within a field.
func offset(t *testing.T, s *dwarf.StructType, path ...string) int64 {
	t.Helper()
	for _, f := range s.Field {
		if f.Name != path[0] {
			continue
		}
		if len(path) == 1 {
			return f.ByteOffset
		}
		typ := f.Type
		if def, ok := typ.(*dwarf.TypedefType); ok {
			typ = def.Type
		}
		return f.ByteOffset + offset(t, typ.(*dwarf.StructType), path[1:]...)
	}
	t.Fatalf("no field %s in %s", path[0], s.StructName)
	return 0
}

// runtimeG reads runtime.g from the DWARF of a program.
func runtimeG(t *testing.T, path string) *dwarf.StructType {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			t.Fatal("no type runtime.g")
		}
		if e.Tag != dwarf.TagStructType || e.Val(dwarf.AttrName) != "runtime.g" {
			if e.Tag != dwarf.TagCompileUnit {
				r.SkipChildren()
			}
			continue
		}
		typ, err := d.Type(e.Offset)
		if err != nil {
			t.Fatal(err)
		}
		return typ.(*dwarf.StructType)
	}
}
