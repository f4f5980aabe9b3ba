package arginfo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/arginfo"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// checked counts functions by what their table says of the signature that debug
// information has.
type checked struct {
	right     int
	none      int // no arguments and no table
	noDWARF   int // assembly, and what the linker made
	blanks    int // debug information lacks blank arguments: Go up to 1.21
	closures  int // in shaped code: an argument that debug information lacks may be a captured dictionary
	rangeBody int // of a range-over-func loop: the last arguments are missing if unused

	// Words of the arguments, by where Params says they are.
	inRegister, float, onStack, unknown int
}

// checkAll compares the tables of all functions with their signatures. It fails
// for any difference that has no known reason.
func checkAll(t *testing.T, path string) (c checked) {
	t.Helper()
	f, err := symbols.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dw, err := dwarfargs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	defer dw.Close()
	table, err := f.Table()
	if err != nil {
		t.Fatal(err)
	}
	a := abi.ArchFor(f.GOARCH())
	for fn, err := range table.All() {
		if err != nil {
			t.Fatal(err)
		}
		in := info(t, f, table, fn)
		fd, err := dw.Func(fn.Func, 0)
		if fn.Asm || errors.Is(err, dwarfargs.ErrNoEntry) || err == nil && (fd.Assembly || !fd.Go) {
			c.noDWARF++
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		assign := abi.Stack
		if fd.RegABI {
			assign = abi.Internal
		}
		sig := fd.Signature()
		as, err := assign(a, sig)
		if err != nil {
			t.Error(err)
			continue
		}
		err = in.Check(arginfo.Func{Symbol: fn.Name, Arch: a, Sig: sig, As: as, Minor: minor(t, fd)})
		shaped := strings.Contains(fn.Name, "[")
		switch {
		case err == nil && in == nil:
			c.none++
		case err == nil:
			c.right++
			c.places(t, f, a, fn, in, as, fd.RegABI)
		case !errors.Is(err, arginfo.ErrMismatch):
			t.Error(err)
		case fd.BlanksMissing:
			c.blanks++
		case shaped && !fd.Method && strings.Contains(fn.Name, "].func"):
			c.closures++
		case strings.Contains(fn.Name, "-range"):
			c.rangeBody++
		default:
			t.Errorf("%s: %v", sig, err)
		}
	}
	return c
}

// places compares where Params says that words are with the assignment.
func (c *checked) places(t *testing.T, f *symbols.File, a *abi.Arch, fn symbols.TableFunc, in *arginfo.Info, as *abi.Assignment, registers bool) {
	t.Helper()
	code, err := f.Code(fn.Func)
	if err != nil {
		t.Fatal(err)
	}
	var spills []arginfo.Spill
	found, _ := site.Spills(a, code, fn.Entry)
	for _, s := range found {
		spills = append(spills, arginfo.Spill(s))
	}
	want := map[int64]abi.Reg{} // by offset of the slot
	add := func(l abi.Location, slot abi.CFAOffset, spilled bool) {
		for _, p := range l {
			if spilled {
				want[int64(slot-a.ArgBase)+p.Offset] = p.Reg
			}
		}
	}
	slot, ok := as.DictSpillSlot()
	add(as.Dict.AtEntry(), slot, ok)
	for i := range as.Params {
		slot, ok := as.SpillSlot(i)
		add(as.Params[i].AtEntry(), slot, ok)
	}
	// Values of the table and pieces of the parameters are in the same order.
	var values []arginfo.Component
	var walk func(list []arginfo.Component)
	walk = func(list []arginfo.Component) {
		for _, v := range list {
			if v.Kind == arginfo.Value {
				values = append(values, v)
			}
			walk(v.Elems)
		}
	}
	walk(in.Components)
	for _, p := range in.Params(a, registers, spills) {
		for _, piece := range p.Location {
			if piece.Reason == abi.CutCompiler {
				continue
			}
			v := values[0]
			values = values[1:]
			reg, inReg := want[v.Offset]
			switch {
			case piece.Size != int64(v.Size):
				t.Errorf("%s: a piece of %d bytes for %s", fn.Name, piece.Size, v)
			case piece.Kind == abi.InRegister && inReg && piece.Reg == reg:
				c.inRegister++
			case piece.Reason == abi.RegisterNotReadable && inReg && a.IsFloat(reg):
				c.float++
			case piece.Kind == abi.InFrame && !inReg && int64(piece.CFA-a.ArgBase) == v.Offset:
				c.onStack++
			case piece.Reason == abi.UnknownRegister:
				c.unknown++
			default:
				t.Errorf("%s: %s is %s, want register %s (%v)", fn.Name, v, p.Location.Format(a), a.RegName(reg), inReg)
			}
		}
	}
	if len(values) > 0 {
		t.Errorf("%s: [%s]: %d values have no place", fn.Name, in, len(values))
	}
}

// info returns the table of a function, nil if it has none.
func info(t *testing.T, f *symbols.File, table *symbols.FuncTable, fn symbols.TableFunc) *arginfo.Info {
	t.Helper()
	at, ok, err := table.FuncData(fn, arginfo.FuncData)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil
	}
	b := make([]byte, arginfo.MaxLen)
	for f.DataAt(at, b) != nil && len(b) > 0 {
		b = b[:len(b)-1] // the segment ends
	}
	in, err := arginfo.Parse(b)
	if err != nil {
		t.Fatalf("%s: %v", fn.Name, err)
	}
	return in
}

func minor(t *testing.T, fd *dwarfargs.Func) int {
	t.Helper()
	n, err := fixture.Toolchain{Release: strings.TrimPrefix(fd.GoVersion, "go")}.Minor()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (c checked) bound(t *testing.T, minor int) {
	t.Helper()
	t.Logf("%+v", c)
	if c.right < 1000 || c.blanks > 0 && minor > 21 || c.blanks > c.right/4 || c.closures > c.right/100 || c.rangeBody > c.right/100 ||
		c.closures > 0 && minor < 18 || c.rangeBody > 0 && minor < 23 {
		t.Errorf("not what Go 1.%d makes", minor)
	}
}

// TestGoCommand checks the tables of a program that is not small.
func TestGoCommand(t *testing.T) {
	if testing.Short() {
		return
	}
	out := filepath.Join(t.TempDir(), "go")
	cmd := fixture.GoCommand("build", "-o", out, "cmd/go")
	cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	checkAll(t, out).bound(t, 99)
}

func check(t *testing.T, tc fixture.Toolchain) {
	t.Helper()
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	p, err := fixture.Table(minor)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, fixture.BuildWith(t, tc, p.Source)).bound(t, minor)
}

func TestTable(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "386"} {
		for _, fl := range []fixture.Flavour{fixture.Default, fixture.Unoptimised} {
			if testing.Short() && (arch != "amd64" || fl != fixture.Default) {
				continue
			}
			t.Run(arch+"/"+string(fl), func(t *testing.T) { check(t, fixture.Toolchain{Arch: arch, Flavour: fl}) })
		}
	}
}

// TestReleases is TestTable for all releases that have tables. It fetches
// toolchains, and so is asked for by ARGTAP_TOOLCHAINS=1.
func TestReleases(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		return
	}
	for _, release := range []string{"1.17.13", "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13",
		"1.25.11", "1.26.8", "1.27.4"} {
		for _, arch := range []string{"amd64", "arm64", "386"} {
			t.Run(release+"/"+arch, func(t *testing.T) { check(t, fixture.Toolchain{Release: release, Arch: arch}) })
		}
	}
}
