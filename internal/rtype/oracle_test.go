package rtype

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// program is testdata/program for a release.
func program(t testing.TB, minor int) fixture.Source {
	t.Helper()
	src := fixture.Source{}
	for _, name := range []string{"main.go", "generic_18.go"} {
		if name == "generic_18.go" && minor < 18 {
			continue
		}
		b, err := os.ReadFile(filepath.Join("testdata", "program", name))
		if err != nil {
			t.Fatal(err)
		}
		src[name] = string(b)
	}
	return src
}

func open(t testing.TB, path string) *symbols.File {
	t.Helper()
	f, err := symbols.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// compared counts what compare found: how many methods type data describes, and
// of these, how many debug information describes in the same way. The others
// are of known kinds.
type compared struct {
	methods, same int
	noName        int // their name, as the runtime has it, is that of several functions
	noDWARF       int // no debug information, as for bridges between two ABIs
	blanks        int // the same but for blank parameters, which debug information lacks: Go up to 1.21
	reordered     int // the same in another order, and perhaps without blank ones: Go 1.11, and up to 1.16 those of no size
	noResults     int // the same but for results that debug information lacks
	numbered      int // types declared in functions have a number behind their name, in debug information
}

func (c compared) String() string {
	return fmt.Sprintf("%d methods: %d the same, %d without a name of their own, %d not in DWARF; in DWARF %d without blanks, %d in another order, %d without results, %d with numbered types",
		c.methods, c.same, c.noName, c.noDWARF, c.blanks, c.reordered, c.noResults, c.numbered)
}

// bound fails if a kind has cases that the compiler of the release does not
// make: debug information of 1.17 has no results in registers, that of 1.20 and
// 1.21 none of wrappers that end in a jump, and since range-over-func those are
// missing that a loop's body sets.
func (c compared) bound(t *testing.T, minor int) {
	t.Helper()
	noResults := 0
	switch {
	case minor == 17:
		noResults = c.methods
	case minor == 20 || minor == 21:
		noResults = c.methods / 10
	case minor >= 23:
		noResults = 4
	}
	if c.methods < 500 || c.noResults > noResults || c.same+c.blanks+c.reordered+c.noResults+c.numbered+c.noName+c.noDWARF != c.methods ||
		c.noName > 0 && (minor < 18 || minor > 20) || c.blanks > 0 && minor > 21 || c.reordered > 0 && minor > 16 || c.reordered > 2 && minor > 11 ||
		c.noDWARF > 0 || c.numbered > 0 {
		t.Errorf("%s: not what Go 1.%d makes", c, minor)
	}
}

// compare resolves all methods of a stripped program, and compares them with
// what the debug information of the same program says.
func compare(t *testing.T, stripped, full *symbols.File) (c compared) {
	t.Helper()
	a := abi.ArchFor(full.GOARCH())
	data, err := Open(stripped, a)
	if err != nil {
		t.Fatal(err)
	}
	table, err := stripped.Table()
	if err != nil {
		t.Fatal(err)
	}
	dw, err := dwarfargs.Open(full)
	if err != nil {
		t.Fatal(err)
	}
	defer dw.Close()
	for fn, err := range table.All() {
		if err != nil {
			t.Fatal(err)
		}
		sig, err := data.Method(fn.Entry, 2)
		if errors.Is(err, ErrNoType) {
			if strings.Contains(err.Error(), "several types") {
				t.Errorf("%s: %v", fn.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", fn.Name, err)
			continue
		}
		c.methods++
		if strings.Contains(fn.Name, "[...]") {
			c.noName++
			continue
		}
		// The linker writes "." into the symbol table (cmd/link/internal/ld/symtab.go,
		// putelfsym).
		same, err := full.Lookup(strings.ReplaceAll(fn.Name, "·", "."))
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := dw.Func(same, 2)
		if errors.Is(err, dwarfargs.ErrNoEntry) {
			c.noDWARF++
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		c.kind(t, fn.Name, sig, want)
	}
	return c
}

// old are the releases up to Go 1.16.
var old = regexp.MustCompile(`^go1\.1[1-6](\D|$)`)

// kind counts one method.
func (c *compared) kind(t *testing.T, name string, sig *abi.Signature, dw *dwarfargs.Func) {
	t.Helper()
	want := dw.Signature()
	results := sig.Results
	if len(want.Results) < len(results) && contains(results, want.Results, true) {
		results = want.Results
	}
	d := differ{}
	d.params("parameter", sig.Params, want.Params)
	d.params("result", results, want.Results)
	switch {
	case d.diff == "" && len(results) < len(sig.Results):
		c.noResults++
	case d.diff == "" && d.local:
		c.numbered++
	case d.diff == "":
		c.same++
	case dw.BlanksMissing && contains(sig.Params, want.Params, true) && contains(results, want.Results, true):
		c.blanks++
	case old.MatchString(dw.GoVersion) && contains(sig.Params, want.Params, false) && contains(results, want.Results, false):
		c.reordered++
	default:
		t.Errorf("%s: %s\n got %s\nwant %s", name, d.diff, sig, want)
	}
}

// contains reports whether all of part is in the list, in this order if that
// counts.
func contains(list, part []abi.Param, ordered bool) bool {
	list = slices.Clone(list)
	for _, p := range part {
		i := slices.IndexFunc(list, func(q abi.Param) bool {
			d := differ{}
			d.typ("parameter 0", q.Type, p.Type)
			return d.diff == ""
		})
		switch {
		case i < 0:
			return false
		case ordered:
			list = list[i+1:]
		default:
			list = slices.Delete(list, i, i+1)
		}
	}
	return true
}

// differ finds the first difference between types.
type differ struct {
	diff  string
	local bool
	seen  map[[2]*abi.Type]bool
}

func (d *differ) params(what string, have, want []abi.Param) {
	if len(have) != len(want) {
		d.note("%d %ss, want %d", len(have), what, len(want))
		return
	}
	for i := range have {
		d.typ(fmt.Sprintf("%s %d", what, i), have[i].Type, want[i].Type)
	}
}

func (d *differ) note(format string, args ...any) {
	if d.diff == "" {
		d.diff = fmt.Sprintf(format, args...)
	}
}

// number is behind the name of a type that is declared in a function.
var number = regexp.MustCompile(`·\d+`)

func (d *differ) typ(at string, have, want *abi.Type) {
	if have == nil || want == nil {
		if have != want {
			d.note("%s: %v, want %v", at, have, want)
		}
		return
	}
	if d.seen[[2]*abi.Type{have, want}] {
		return
	}
	if d.seen == nil {
		d.seen = map[[2]*abi.Type]bool{}
	}
	d.seen[[2]*abi.Type{have, want}] = true
	if have.Name != want.Name {
		if have.Name != number.ReplaceAllString(want.Name, "") {
			d.note("%s: type %s, want %s", at, have.Name, want.Name)
			return
		}
		d.local = true
	}
	if want.Kind == abi.Invalid && strings.HasPrefix(at, "parameter 0") {
		return // a receiver without a name is known from the function's name only
	}
	if have.Kind != want.Kind || have.Size != want.Size || have.Align != want.Align || have.Len != want.Len ||
		(have.NumMethod == 0) != (want.NumMethod == 0) || len(have.Fields) != len(want.Fields) {
		d.note("%s: %+v, want %+v", at, *have, *want)
		return
	}
	if want.RuntimeType != 0 && have.RuntimeType != 0 && have.Kind == abi.Invalid {
		d.note("%s: a stub with descriptor", at)
	}
	d.typ(at+" key", have.Key, want.Key)
	d.typ(at+" elem", have.Elem, want.Elem)
	for i := range have.Fields {
		h, w := &have.Fields[i], &want.Fields[i]
		if h.Name != w.Name || h.Offset != w.Offset || h.Embedded != w.Embedded {
			d.note("%s field %d: %s at %d, embedded %v, want %s at %d, %v", at, i, h.Name, h.Offset, h.Embedded, w.Name, w.Offset, w.Embedded)
			return
		}
		d.typ(at+"."+h.Name, h.Type, w.Type)
	}
}

// check builds the program and compares its methods. The default build is
// compared with the stripped one, others with themselves.
func check(t *testing.T, tc fixture.Toolchain) {
	t.Helper()
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	src := program(t, minor)
	full := fixture.BuildWith(t, tc, src)
	stripped := full
	if tc.Flavour == fixture.Default {
		tc.Flavour = fixture.Stripped
		stripped = fixture.BuildWith(t, tc, src)
	}
	c := compare(t, open(t, stripped), open(t, full))
	t.Log(c)
	c.bound(t, minor)
}

// TestGoCommand compares the methods of a program that is not small.
func TestGoCommand(t *testing.T) {
	if testing.Short() {
		return
	}
	build := func(name string, flags ...string) *symbols.File {
		out := filepath.Join(t.TempDir(), name)
		cmd := fixture.GoCommand(append(append([]string{"build", "-o", out}, flags...), "cmd/go")...)
		cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH=amd64")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return open(t, out)
	}
	c := compare(t, build("stripped", "-ldflags=-s -w"), build("full"))
	t.Log(c)
	if c.methods < 5000 || c.same+c.noResults+c.numbered != c.methods || c.noResults+c.numbered > c.methods/500 {
		t.Error("too few methods are the same")
	}
}

// checkAll runs check for all architectures, and for the flavours in which
// descriptors are relocated, by the Go linker and by the C compiler's.
func checkAll(t *testing.T, release string) {
	for _, arch := range []string{"amd64", "arm64", "386"} {
		for _, fl := range []fixture.Flavour{fixture.Default, fixture.PIE, fixture.Cgo} {
			tc := fixture.Toolchain{Release: release, Arch: arch, Flavour: fl}
			if tc.Check() != nil || testing.Short() && (arch != "amd64" || fl != fixture.Default) {
				continue
			}
			t.Run(arch+"/"+string(fl), func(t *testing.T) { check(t, tc) })
		}
	}
}

func TestOracle(t *testing.T) { checkAll(t, "") }

// published are the releases that are known, with their last patch.
var published = []string{
	"1.11.13", "1.12.17", "1.13.15", "1.14.15", "1.15.15", "1.16.15", "1.17.13", "1.18.10",
	"1.19.13", "1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.11", "1.26.8", "1.27.4",
}

// TestReleases is TestOracle for all releases. It fetches toolchains, and so is
// asked for by ARGTAP_TOOLCHAINS=1.
func TestReleases(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		return
	}
	for _, release := range published {
		t.Run(release, func(t *testing.T) { checkAll(t, release) })
	}
}
