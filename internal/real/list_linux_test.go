package real

import (
	"bufio"
	"bytes"
	"debug/elf"
	"debug/gosym"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/symbols"
)

// TestList compares the functions of each program with those that the Go
// toolchain knows: go tool nm for one with a symbol table, debug/gosym for a
// stripped one.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, p *program, path string, _ []string) {
		f, err := symbols.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var got []string
		for fn, err := range f.Funcs() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fn.Name)
		}
		want := theirs(t, path)
		if want == nil {
			want = theirTable(t, path)
			// The table does not tell two functions of one name apart, argtap
			// names one of them as the linker would.
			for i, name := range got {
				got[i] = strings.TrimSuffix(name, ".abi0")
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d functions, want %d; too many %q, missing %q", len(got), len(want), few(minus(got, want)), few(minus(want, got)))
		}
		if len(got) < 10000 {
			t.Errorf("%d functions only", len(got))
		}
		t.Logf("%d functions from %v", len(got), f.FuncSource())
	})
}

// theirs has the functions that go tool nm lists, nil if there is no symbol
// table. It takes all symbols of code for functions; those that the file itself
// does not call so, as labels in assembly of C's library, are left out.
func theirs(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil
	}
	labels := map[string]bool{}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_NOTYPE {
			labels[s.Name] = true
		}
	}
	out, err := exec.Command("go", "tool", "nm", path).Output()
	if err != nil {
		t.Fatalf("go tool nm %s: %v", path, err)
	}
	var names []string
	in := bufio.NewScanner(bytes.NewReader(out))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		// An address, which undefined symbols lack, a letter, and a name that may have spaces.
		f := strings.Fields(in.Text())
		if len(f) < 3 || f[1] != "T" && f[1] != "t" {
			continue
		}
		name := strings.Join(f[2:], " ")
		if name != "runtime.text" && name != "runtime.etext" && !labels[name] {
			names = append(names, name)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// theirTable has the functions of .gopclntab as debug/gosym reads it.
func theirTable(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var pclntab []byte
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s := f.Section(name); s != nil {
			if pclntab, err = s.Data(); err != nil {
				t.Fatal(err)
			}
		}
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(pclntab, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range table.Funcs {
		names = append(names, table.Funcs[i].Name)
	}
	return names
}

// minus returns what is in a, but not in b; both are sorted.
func minus(a, b []string) (rest []string) {
	for _, x := range a {
		if _, ok := slices.BinarySearch(b, x); !ok {
			rest = append(rest, x)
		}
	}
	return rest
}

func few(list []string) []string { return list[:min(len(list), 10)] }
