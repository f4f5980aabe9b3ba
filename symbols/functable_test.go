package symbols

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// build is a way to build testdata/calls.
type build struct {
	toolchain string // as GOTOOLCHAIN
	goarch    string
	mode      string // -buildmode
	external  bool   // by the C linker, with cgo
	stripped  bool
}

func (b build) String() string {
	s := fmt.Sprintf("%s-%s-%s", b.toolchain, b.goarch, b.mode)
	if b.external {
		s += "-external"
	}
	return s
}

// open builds the program and opens it.
func (b build) open(t testing.TB) *File {
	t.Helper()
	f, err := Open(b.path(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (b build) path(t testing.TB) string {
	t.Helper()
	fixtures.Lock()
	defer fixtures.Unlock()
	name := fmt.Sprintf("calls-%v-%v", b, b.stripped)
	if p, ok := fixtures.built[name]; ok {
		return p
	}
	dir := filepath.Join(fixtures.dir, name+".src")
	if err := os.CopyFS(dir, os.DirFS("testdata/calls")); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"go.mod": "module example.com/x\n"}
	cgo := "0"
	if b.external {
		cgo = "1"
		files["c.go"] = "package main\n\n// int twice(int n) { return 2 * n; }\nimport \"C\"\n\nfunc init() { println(C.twice(4)) }\n"
		// A package with cgo has no assembly of Go's.
		for _, s := range []string{"amd64", "arm64", "386"} {
			os.Remove(filepath.Join(dir, "asm_"+s+".s"))
		}
		files["noasm.go"] = "package main\n\nfunc Add(a, b int) int { return a + b }\nfunc Back(a int) int { return called(a) }\n"
		main, err := os.ReadFile(filepath.Join(dir, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		files["main.go"] = regexp.MustCompile(`(?m)^func (Add|Back)\(.*$`).ReplaceAllString(string(main), "")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := filepath.Join(fixtures.dir, name)
	args := []string{"build", "-o", p, "-buildmode=" + b.mode}
	var ldflags []string
	if b.external {
		ldflags = append(ldflags, "-linkmode=external")
	}
	if b.stripped {
		ldflags = append(ldflags, "-s", "-w")
	}
	args = append(args, "-ldflags="+strings.Join(ldflags, " "), ".")
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+b.goarch, "CGO_ENABLED="+cgo, "GOENV=off", "GO111MODULE=on",
		"GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN="+b.toolchain)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %v: %v\n%s", b, err, out)
	}
	fixtures.built[name] = p
	return p
}

// tableBuilds are what the local toolchain makes.
var tableBuilds = []build{
	{toolchain: "local", goarch: "amd64", mode: "exe"},
	{toolchain: "local", goarch: "amd64", mode: "pie"},
	{toolchain: "local", goarch: "arm64", mode: "exe"},
	{toolchain: "local", goarch: "arm64", mode: "pie"},
	{toolchain: "local", goarch: "386", mode: "exe"},
}

// TestTable compares the function table of stripped programs with the symbol
// table of unstripped ones.
func TestTable(t *testing.T) {
	for _, b := range tableBuilds {
		t.Run(b.String(), func(t *testing.T) { testTable(t, b) })
	}
}

func testTable(t *testing.T, b build) {
	full := b.open(t)
	b.stripped = true
	bare := b.open(t)
	if got := full.FuncSource(); got != SymbolTable {
		t.Errorf("FuncSource() = %v", got)
	}
	if got := bare.FuncSource(); got != FunctionTable {
		t.Errorf("FuncSource() of the stripped program = %v", got)
	}
	version, ok := full.GoVersion()
	if got, _ := bare.GoVersion(); got != version || !ok {
		t.Errorf("GoVersion() = %q, %q when stripped", version, got)
	}
	minor, ok := goMinor(version)
	if !ok {
		t.Fatalf("version %q", version)
	}
	syms := map[Func]bool{}
	for fn, err := range full.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		syms[fn] = true
	}
	table, err := bare.Table()
	if err != nil {
		t.Fatal(err)
	}
	known := compareTable(t, table, syms, minor, b.external)
	t.Logf("%s: %d functions, known differences %v", version, table.Len(), known)

	// The table of the unstripped program says the same.
	other, err := full.Table()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := allFuncs(t, table), allFuncs(t, other); !slices.Equal(a, b) {
		t.Errorf("%d functions when stripped, %d otherwise, or others", len(a), len(b))
	}
	testTableQueries(t, bare, table)
}

func allFuncs(t *testing.T, table *FuncTable) (all []TableFunc) {
	for fn, err := range table.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fn)
	}
	return all
}

// compareTable compares the table with the symbols, and returns the known
// kinds of differences and how often they are.
func compareTable(t *testing.T, table *FuncTable, syms map[Func]bool, minor int, external bool) map[string]int {
	byEntry := map[VirtAddr][]Func{}
	for fn := range maps.Keys(syms) {
		byEntry[fn.Entry] = append(byEntry[fn.Entry], fn)
	}
	known := map[string]int{}
	n := 0
	for fn, err := range table.All() {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if syms[fn.Func] {
			delete(byEntry, fn.Entry)
			continue
		}
		why := ""
		for _, s := range byEntry[fn.Entry] {
			if why == "" {
				why = difference(fn, s, minor)
			}
		}
		if why == "" {
			t.Errorf("%+v is not among the symbols: %+v", fn, byEntry[fn.Entry])
		}
		known[why]++
		delete(byEntry, fn.Entry)
	}
	if n != table.Len() || n < 1000 {
		t.Errorf("%d functions of %d", n, table.Len())
	}
	for _, s := range byEntry {
		if external && !slices.ContainsFunc(s, func(fn Func) bool { return isGo.MatchString(fn.Name) }) {
			known["C"]++
			continue
		}
		t.Errorf("%+v is not in the table", s)
	}
	return known
}

// isGo matches names of functions in packages of Go.
var isGo = regexp.MustCompile(`^(main|runtime|[a-z0-9/]+/[a-z0-9]+|fmt|os|reflect|strconv|sync|syscall|time)\.`)

// difference says why fn differs from its symbol, "" if that is not known.
func difference(fn TableFunc, s Func, minor int) string {
	if fn.Size != s.Size {
		// Go's linker gives one byte to the functions without code that mark
		// the FIPS module's text; it is padding.
		if fn.Name == s.Name && s.Size == 1 && fn.Size == 0 && strings.HasPrefix(s.Name, "go:textfips") {
			return "marks"
		}
		return ""
	}
	// The function table of Go 1.18 to 1.20 has no type arguments.
	if i, j := strings.IndexByte(s.Name, '['), strings.LastIndexByte(s.Name, ']'); 18 <= minor && minor <= 20 && i >= 0 && j > i {
		s.Name = s.Name[:i] + "[...]" + s.Name[j+1:]
	}
	base, abi0 := strings.CutSuffix(s.Name, ".abi0")
	switch {
	case fn.Name == s.Name:
		return "type arguments"
	case strings.ReplaceAll(fn.Name, "·", ".") == s.Name:
		return "middle dot"
	case abi0 && fn.Asm && fn.Name == base && 17 <= minor && minor <= 21:
		return "assembly of package runtime"
	}
	return ""
}

// testTableQueries compares Lookup, Glob and At with the list.
func testTableQueries(t *testing.T, f *File, table *FuncTable) {
	all := allFuncs(t, table)
	count := map[string]int{}
	for _, fn := range all {
		count[fn.Name]++
	}
	for i, fn := range all {
		got, err := table.At(fn.Entry)
		if fn.Size > 0 && (got != fn || err != nil) {
			t.Fatalf("At(%#x) = %+v, %v; want %+v", fn.Entry, got, err, fn)
		}
		if i%7 != 0 && !strings.HasPrefix(fn.Name, "main.") && !strings.HasSuffix(fn.Name, suffixABI0) {
			continue
		}
		if last, err := f.At(fn.End() - 1); fn.Size > 0 && (last != fn.Func || err != nil) {
			t.Errorf("At(%#x) = %+v, %v; want %+v", fn.End()-1, last, err, fn.Func)
		}
		one, err := f.Lookup(fn.Name)
		var several *AmbiguousError
		switch {
		case count[fn.Name] > 1 && errors.As(err, &several):
			if len(several.Funcs) != min(count[fn.Name], maxAmbiguous) {
				t.Errorf("Lookup(%q): %d functions, want %d", fn.Name, len(several.Funcs), count[fn.Name])
			}
		case err != nil || one != fn.Func || count[fn.Name] > 1:
			t.Errorf("Lookup(%q) = %+v, %v; want %+v", fn.Name, one, err, fn.Func)
		}
	}
	last := all[len(all)-1]
	for _, a := range []VirtAddr{0, all[0].Entry - 1, last.End() + 1, last.End() + 100, 1<<64 - 1} {
		if fn, err := table.At(a); !errors.Is(err, ErrNoFunc) {
			t.Errorf("At(%#x) = %+v, %v", a, fn, err)
		}
	}
	var want []Func
	for _, fn := range all {
		if Match("main.*", fn.Name) {
			want = append(want, fn.Func)
		}
	}
	if got, err := f.Glob("main.*"); err != nil || !slices.Equal(got, want) || len(got) < 8 {
		t.Errorf("Glob: %+v, %v; want %+v", got, err, want)
	}
	_, err := f.Lookup("main.(*Server).serve")
	var missing *NotFoundError
	if !errors.As(err, &missing) || missing.Stripped || missing.Source != FunctionTable ||
		!slices.Contains(missing.Suggestions, "main.(*Server).Serve") {
		t.Errorf("Lookup of a misspelt name: %v", err)
	}
	if _, err := f.Glob("main.no*such"); !errors.Is(err, ErrNoFunc) || errors.Is(err, ErrNoSymbols) {
		t.Errorf("Glob of a pattern that matches nothing: %v", err)
	}
}
