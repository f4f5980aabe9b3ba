package goruntime_test

import (
	"debug/buildinfo"
	"debug/dwarf"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// checkPanics compares the layout of panics with the debug information.
func checkPanics(t *testing.T, path, version, goarch string, minor, size int) {
	t.Helper()
	l, ok := goruntime.Panics(minor, size)
	if !ok {
		t.Errorf("%s, %s: no layout of panics", version, goarch)
	}
	at := func(s *dwarf.StructType, name string, off int64) {
		t.Helper()
		if want, wide := offset(t, s, name); off != want || wide != int64(size) {
			t.Errorf("%s, %s: %s of %s at %d, the DWARF says %d, of %d bytes", version, goarch, name, s.StructName, off, want, wide)
		}
	}
	g := runtimeStruct(t, path, "runtime.g")
	at(g, "_panic", l.GPanic)
	if l.PanicSP != 0 {
		at(runtimeStruct(t, path, "runtime._panic"), "sp", l.PanicSP)
		return
	}
	at(g, "_defer", l.GDefer)
	d := runtimeStruct(t, path, "runtime._defer")
	for name, word := range map[string]int64{"sp": goruntime.DeferFrame, "_panic": goruntime.DeferPanic, "link": goruntime.DeferLink} {
		at(d, name, l.DeferSP+word*int64(size))
	}
}

func TestUnknown(t *testing.T) {
	for _, tt := range []struct{ minor, ptrSize int }{
		{10, 8}, {28, 8}, {10, 4}, {28, 4}, {0, 8}, {-1, 8}, {1000, 8}, {26, 0}, {26, 2}, {26, 16}, {26, -8},
	} {
		if got, ok := goruntime.GoroutineID(tt.minor, tt.ptrSize); got != 0 || ok {
			t.Errorf("goid of go1.%d, %d bytes: %d, %t", tt.minor, tt.ptrSize, got, ok)
		}
		if got, ok := goruntime.Panics(tt.minor, tt.ptrSize); got != (goruntime.PanicLayout{}) || ok {
			t.Errorf("panics of go1.%d, %d bytes: %+v, %t", tt.minor, tt.ptrSize, got, ok)
		}
		for name, f := range map[string]func(minor, ptrSize int) (int64, bool){"gopc": goruntime.GoPC, "parentGoid": goruntime.ParentID} {
			if got, ok := f(tt.minor, tt.ptrSize); got != 0 || ok {
				t.Errorf("%s of go1.%d, %d bytes: %d, %t", name, tt.minor, tt.ptrSize, got, ok)
			}
		}
		if got, ok := goruntime.SchedPC(tt.minor, tt.ptrSize); got != 0 || ok {
			t.Errorf("sched.pc of go1.%d, %d bytes: %d, %t", tt.minor, tt.ptrSize, got, ok)
		}
	}
}

// releases are the last patches of the minor releases that the table has, as
// their toolchains are called.
var releases = []string{
	"go1.11.13", "go1.12.17", "go1.13.15", "go1.14.15", "go1.15.15", "go1.16.15", "go1.17.13", "go1.18.10", "go1.19.13",
	"go1.20.14", "go1.21.13", "go1.22.12", "go1.23.12", "go1.24.13", "go1.25.11", "go1.26.8", "go1.27.4",
}

// TestLocalToolchain compares the table with the debug information of programs
// that the local toolchain built.
func TestLocalToolchain(t *testing.T) { checkToolchain(t, "local") }

// TestReleases does the same with each release's toolchain, which the go
// command fetches.
func TestReleases(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		// Without the toolchains at least no release is left out.
		for i, r := range releases {
			if minor, ok := goruntime.Release(r); !ok || minor != 11+i {
				t.Errorf("%s: release %d, %t", r, minor, ok)
			}
			for _, size := range []int{4, 8} {
				if _, ok := goruntime.GoroutineID(11+i, size); !ok {
					t.Errorf("%s: no row for pointers of %d bytes", r, size)
				}
			}
		}
		return
	}
	for _, r := range releases {
		t.Run(r, func(t *testing.T) { checkToolchain(t, r) })
	}
}

func checkToolchain(t *testing.T, toolchain string) {
	t.Helper()
	for goarch, size := range map[string]int{"amd64": 8, "arm64": 8, "386": 4} {
		out := build(t, toolchain, goarch)
		version := goVersion(t, out)
		minor, ok := goruntime.Release(version)
		if !ok || toolchain != "local" && version != toolchain {
			t.Fatalf("version %q, built by %s", version, toolchain)
		}
		checkPanics(t, out, version, goarch, minor, size)
		g := runtimeStruct(t, out, "runtime.g")
		for _, f := range []struct {
			name string
			off  func(minor, ptrSize int) (int64, bool)
			path []string
			size int64
		}{
			{"goid", goruntime.GoroutineID, []string{"goid"}, 8},
			{"sched.pc", goruntime.SchedPC, []string{"sched", "pc"}, int64(size)},
			{"gopc", goruntime.GoPC, []string{"gopc"}, int64(size)},
			{"startpc", startPC, []string{"startpc"}, int64(size)},
			{"parentGoid", goruntime.ParentID, []string{"parentGoid"}, 8},
		} {
			if f.name == "parentGoid" && minor < 21 {
				if off, ok := f.off(minor, size); ok {
					t.Errorf("%s, %s: parentGoid at %d", version, goarch, off)
				}
				continue
			}
			want, wide := offset(t, g, f.path...)
			if got, ok := f.off(minor, size); !ok || got != want {
				t.Errorf("%s, %s: %s at %d (known: %t), the DWARF says %d", version, goarch, f.name, got, ok, want)
			}
			if wide != f.size {
				t.Errorf("%s, %s: %s has %d bytes, want %d", version, goarch, f.name, wide, f.size)
			}
		}
	}
}

// startPC is where g.startpc is.
func startPC(minor, ptrSize int) (int64, bool) {
	off, ok := goruntime.GoPC(minor, ptrSize)
	return off + 2*int64(ptrSize), ok
}

// build builds a program for Linux and returns its path.
func build(t *testing.T, toolchain, goarch string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/empty\n", "main.go": "package main\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-o", "out", ".")
	cmd.Dir = dir
	// Old releases know neither the flags nor the variables that a user's
	// configuration may set for new ones.
	cmd.Env = append(os.Environ(), "GOENV=off", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on",
		"GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0", "GOTOOLCHAIN="+toolchain)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s for %s: %v: %s", toolchain, goarch, err, msg)
	}
	return filepath.Join(dir, "out")
}

// goVersion returns the version of the toolchain that built a program: from
// Go 1.13 on it is in the build information, before that in the producer.
func goVersion(t *testing.T, path string) string {
	t.Helper()
	if info, err := buildinfo.ReadFile(path); err == nil && info.GoVersion != "" {
		return info.GoVersion
	}
	d := openDWARF(t, path)
	e, err := d.Reader().Next()
	if err != nil {
		t.Fatal(err)
	}
	producer, _ := e.Val(dwarf.AttrProducer).(string)
	_, version, _ := strings.Cut(producer, "Go cmd/compile ")
	version, _, _ = strings.Cut(version, ";")
	return version
}

// offset returns the offset and size of a field, or of a field within a field.
func offset(t *testing.T, s *dwarf.StructType, path ...string) (off, size int64) {
	t.Helper()
	for _, f := range s.Field {
		if f.Name != path[0] {
			continue
		}
		if len(path) == 1 {
			return f.ByteOffset, f.Type.Size()
		}
		typ := f.Type
		if def, ok := typ.(*dwarf.TypedefType); ok {
			typ = def.Type
		}
		off, size = offset(t, typ.(*dwarf.StructType), path[1:]...)
		return f.ByteOffset + off, size
	}
	t.Fatalf("no field %s in %s", path[0], s.StructName)
	return 0, 0
}

// runtimeStruct reads a struct from the DWARF of a program.
func runtimeStruct(t *testing.T, path, name string) *dwarf.StructType {
	t.Helper()
	d := openDWARF(t, path)
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			t.Fatal("no type " + name)
		}
		if e.Tag != dwarf.TagStructType || e.Val(dwarf.AttrName) != name {
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

func openDWARF(t *testing.T, path string) *dwarf.Data {
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
	return d
}
