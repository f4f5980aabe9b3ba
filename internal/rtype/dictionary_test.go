package rtype

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// TestDictionaries finds the types that the parameters of generic functions
// really have, for every release that has them.
func TestDictionaries(t *testing.T) {
	list := []string{""}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "" {
		list = append(list, published[18-11:]...)
	}
	for _, release := range list {
		for _, arch := range []string{"amd64", "arm64", "386"} {
			for _, fl := range []fixture.Flavour{fixture.Default, fixture.PIE} {
				tc := fixture.Toolchain{Release: release, Arch: arch, Flavour: fl}
				if tc.Check() == nil {
					t.Run(tc.String(), func(t *testing.T) { checkDictionaries(t, tc) })
				}
			}
		}
	}
}

// self is the type that a dictionary belongs to, pointer a pointer to it; other
// numbers are those of its type arguments.
const self, pointer = -1, -2

// parameters are those of testdata/generic whose types are known by their shapes,
// by the functions' names, and what they are.
var parameters = map[string]map[string]int{
	"two": {"k": 0, "v": 1, "~r0": 0}, "one": {"t": 0}, "use": {"t": 0},
	"push": {"s": pointer, "t": 0}, "top": {"s": self, "def": 0, "~r0": 0}, "set": {"p": pointer, "k": 0, "v": 1},
}

func checkDictionaries(t *testing.T, tc fixture.Toolchain) {
	f := open(t, fixture.BuildWith(t, tc, fixture.Dir(t, filepath.Join("testdata", "generic"))))
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
	// The words of each function's dictionary, by what calls it.
	words := map[string]map[string]int{}
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(fn.Name, "main.") || !strings.Contains(fn.Name, "[go.shape.") {
			continue
		}
		fd, err := dw.Func(fn, 0)
		if err != nil {
			t.Fatal(err)
		}
		short := fn.Name[strings.LastIndexByte(fn.Name, '.')+1:]
		if strings.HasSuffix(fn.Name, "]") {
			short = strings.TrimPrefix(fn.Name[:strings.IndexByte(fn.Name, '[')], "main.")
		}
		for _, p := range append(fd.Params, fd.Results...) {
			if _, ok := parameters[short][p.Name]; ok != (p.TypeParam >= 0) {
				t.Errorf("%s: %s %s is of word %d", fn.Name, p.Name, p.Type, p.TypeParam)
			}
			if p.TypeParam >= 0 {
				if words[short] == nil {
					words[short] = map[string]int{}
				}
				if old, ok := words[short][p.Name]; ok && old != p.TypeParam {
					t.Errorf("%s: %s is of word %d, and of %d", fn.Name, p.Name, p.TypeParam, old)
				}
				words[short][p.Name] = p.TypeParam
			}
		}
	}
	dicts, err := f.Dictionaries()
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	for _, d := range dicts {
		rest, ok := strings.CutPrefix(d.Name, "main.")
		from, to := strings.IndexByte(rest, '['), strings.LastIndexByte(rest, ']')
		if !ok || from < 0 || to < from {
			continue
		}
		base := strings.TrimPrefix(rest[:from], "(*")
		want := map[int]string{self: "main." + base + rest[from:to+1], pointer: "*main." + base + rest[from:to+1]}
		for i, arg := range split(rest[from+1 : to]) {
			want[i] = arg
		}
		// Methods have a dictionary of their own up to Go 1.19.
		funcs := map[string][]string{"stack": {"push", "top"}, "pair": {"set"}}[base]
		if method := strings.TrimLeft(rest[to+1:], ")."); method != "" {
			funcs = []string{method}
		} else if funcs == nil {
			funcs = []string{base}
		}
		for _, short := range funcs {
			for _, name := range slices.Sorted(maps.Keys(words[short])) {
				off, err := data.DictionaryType(d.Addr, words[short][name])
				if err != nil {
					t.Errorf("%s: %s %s: %v", d.Name, short, name, err)
					continue
				}
				typ, err := types.At(off, 0)
				if err != nil {
					t.Error(err)
					continue
				}
				if w := want[parameters[short][name]]; typ.Name != w {
					t.Errorf("%s: %s %s is a %s, want %s", d.Name, short, name, typ, w)
				}
				checked[short]++
			}
		}
	}
	t.Log(len(dicts), words, checked)
	for short, least := range map[string]int{"two": 12, "one": 4, "use": 5, "push": 10, "top": 15, "set": 6} {
		if checked[short] < least {
			t.Errorf("%d types of %s", checked[short], short)
		}
	}
	if _, err := data.DictionaryType(data.mod.Text, 0); !errors.Is(err, ErrNoType) {
		t.Errorf("a dictionary in the code: %v", err)
	}
	if _, err := data.DictionaryType(symbols.VirtAddr(1), 1<<30); !errors.Is(err, ErrNoType) {
		t.Errorf("no dictionary: %v", err)
	}
}

// split splits type arguments at the commas between them.
func split(args string) (list []string) {
	depth, from := 0, 0
	for i, c := range args {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				list = append(list, args[from:i])
				from = i + 1
			}
		}
	}
	return append(list, args[from:])
}
