package dwarfargs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"

	random "github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// TestClosure compares what debug information says of closures with what
// programs of every release have in theirs.
func TestClosure(t *testing.T) {
	for _, release := range available(t) {
		for _, arch := range []string{"amd64", "386"} {
			for _, fl := range []random.Flavour{random.Default, random.Unoptimised} {
				tc := toolchain(t, release, arch)
				tc.Flavour = fl
				t.Run(fmt.Sprintf("%s/%s/%s", release, arch, fl), func(t *testing.T) {
					minor := minorOf(release)
					src := maps.Clone(random.Dir(t, "testdata/closures"))
					if minor < 18 {
						delete(src, "generic_18.go")
					}
					path := random.BuildWith(t, tc, src)
					out, err := exec.Command(path).Output()
					if err != nil {
						t.Fatal(err)
					}
					f, d := open(t, path)
					vars := 0
					lines := strings.Split(strings.TrimSpace(string(out)), "\n")
					for _, line := range lines {
						vars += checkClosure(t, f, d, strings.Fields(line), minor, fl != random.Unoptimised)
					}
					least := 4 // the method values'
					if minor >= 23 {
						least = 19
					}
					if vars < least {
						t.Errorf("%d variables, want %d", vars, least)
					}
				})
			}
		}
	}
}

// checkClosure compares one closure: the address of its code, what there is
// where it points to, and its variables. It returns how many were found.
func checkClosure(t *testing.T, f *symbols.File, d *Data, line []string, minor int, optimised bool) (found int) {
	var entry uint64
	if _, err := fmt.Sscanf(line[0], "%x", &entry); err != nil {
		t.Fatal(err)
	}
	mem := line[1]
	fn, err := f.At(symbols.VirtAddr(entry))
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Closure(fn, 1)
	if minor < 23 && !strings.HasSuffix(fn.Name, "-fm") {
		if !errors.Is(err, ErrNoClosure) || c != nil {
			t.Errorf("%s: %+v, %v", fn.Name, c, err)
		}
		return 0
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	if c.MethodValue != strings.HasSuffix(fn.Name, "-fm") {
		t.Errorf("%s: %+v", fn.Name, c)
	}
	want := map[string]string{}
	for _, v := range line[2:] {
		name, value, _ := strings.Cut(v, "=")
		want[name] = value
	}
	for _, v := range c.Vars {
		name := v.Name
		if v.ByReference {
			name = "&" + name
		}
		if _, byValue := want[name]; v.Unknown && !optimised {
			if !byValue {
				name = "&" + name
			}
			if _, ok := want[name]; !ok {
				t.Errorf("%s: captures %+v, which it should not", fn.Name, v)
			}
			delete(want, name)
			continue
		}
		value, ok := want[name]
		if !ok || 2*(v.Offset+v.Type.Size) > int64(len(mem)) {
			t.Errorf("%s: captures %+v, which it should not", fn.Name, v)
			continue
		}
		found++
		delete(want, name)
		have := mem[2*v.Offset : 2*(v.Offset+v.Type.Size)]
		if zero := hex.EncodeToString(make([]byte, len(have)/2)); v.ByReference && value == zero && have != zero {
			continue // the program does not say where it is
		}
		if have != value {
			t.Errorf("%s: %s %s at %d is %s, want %s", fn.Name, name, v.Type, v.Offset, have, value)
		}
	}
	// Small values that are only converted to interfaces are not described
	// where code is optimised.
	if c.Gaps != (len(want) > 0) || c.Gaps && (!optimised || want["small"] == "" && want["k"] == "") {
		t.Errorf("%s: gaps: %v, %d variables are missing: %v in %+v", fn.Name, c.Gaps, len(want), want, c.Vars)
	}
	if generic := strings.Contains(fn.Name, "[go.shape"); c.Dict > 0 && !generic || c.Dict == 0 && generic && !optimised {
		t.Errorf("%s: the dictionary is at %d", fn.Name, c.Dict)
	}
	return found
}

// TestClosuresWhole: where all that pointers lead to is wanted, each type is there
// once, and not once for each number of hops up to some limit.
func TestClosuresWhole(t *testing.T) {
	f, d := open(t, random.Build(t, random.Dir(t, "testdata/closures")))
	var fns []symbols.Func
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		fns = append(fns, fn)
	}
	n := 0
	if err := d.Closures(fns, Whole, func(fn symbols.Func, c *Closure) { n += len(c.Vars) }); err != nil || n < 19 {
		t.Fatalf("%d variables, %v", n, err)
	}
	for k := range d.types {
		if k.hops != Whole {
			t.Fatalf("the type at %#x was read to %d hops", k.off, k.hops)
		}
	}
	types := len(d.types)
	for _, fn := range fns {
		if strings.HasPrefix(fn.Name, "main.") && strings.Contains(fn.Name, ".func") {
			if _, err := d.Closure(fn, Whole); err != nil {
				t.Error(err)
			}
		}
	}
	if len(d.types) != types {
		t.Errorf("%d types, then %d", types, len(d.types))
	}
}
