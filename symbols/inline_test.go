package symbols

import (
	"debug/dwarf"
	"debug/elf"
	"debug/gosym"
	"errors"
	"slices"
	"testing"
)

// TestInlined compares the trees of inlined calls with those that DWARF has.
func TestInlined(t *testing.T) {
	for _, b := range tableBuilds {
		t.Run(b.String(), func(t *testing.T) {
			f := b.open(t)
			table, err := f.Table()
			if err != nil {
				t.Fatal(err)
			}
			want := dwarfInlined(t, b.path(t))
			same, calls := 0, 0
			for fn, err := range table.All() {
				if err != nil {
					t.Fatal(err)
				}
				tree, err := table.Inlined(fn)
				if err != nil {
					t.Fatal(err)
				}
				calls += len(tree)
				var got []string
				for _, c := range tree {
					if c.ParentPC < fn.Entry || c.ParentPC >= fn.End() || c.StartLine == 0 {
						t.Fatalf("%s: %+v", fn.Name, c)
					}
					for _, r := range c.Ranges {
						if r.Low < fn.Entry || r.High > fn.End() || r.Low >= r.High {
							t.Fatalf("%s: %+v", fn.Name, c)
						}
					}
					got = append(got, c.Name)
				}
				slices.Sort(got)
				// DWARF lacks calls that left no instruction of their own.
				d := want[fn.Entry]
				missing := slices.DeleteFunc(slices.Clone(d), func(n string) bool { return slices.Contains(got, n) })
				if len(missing) > 0 {
					t.Errorf("%s: DWARF has calls of %q inlined, too", fn.Name, missing)
				}
				if slices.Equal(got, d) {
					same++
				}
			}
			if calls < 1000 || same < table.Len()*9/10 {
				t.Errorf("%d calls; %d of %d functions have the same inlined calls as in DWARF", calls, same, table.Len())
			}
			testNested(t, f, table)
		})
	}
}

// testNested looks at a function with a call in an inlined call.
func testNested(t *testing.T, f *File, table *FuncTable) {
	fn, err := f.Lookup("main.nested")
	if err != nil {
		t.Fatal(err)
	}
	tf, err := table.At(fn.Entry)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := table.Inlined(tf)
	if err != nil {
		t.Fatal(err)
	}
	type call struct {
		name   string
		parent int
	}
	var got []call
	for _, c := range tree {
		got = append(got, call{c.Name, c.Parent})
	}
	want := []call{{"main.inlinedTwice", -1}, {"main.inlined", 0}, {"main.inlined", -1}}
	// The last one may be computed together with the first.
	if !slices.Equal(got, want) && !slices.Equal(got, want[:2]) {
		t.Errorf("calls inlined into main.nested: %+v, want %+v", got, want)
	}
}

// dwarfInlined returns the names of the functions inlined into others, sorted,
// by the others' entry.
func dwarfInlined(t *testing.T, path string) map[VirtAddr][]string {
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d, err := file.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	names := map[dwarf.Offset]string{}
	found := map[VirtAddr][]dwarf.Offset{}
	var entry VirtAddr
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		switch e.Tag {
		case dwarf.TagSubprogram:
			entry = 0
			if low, ok := e.Val(dwarf.AttrLowpc).(uint64); ok {
				entry = VirtAddr(low)
			}
			if name, ok := e.Val(dwarf.AttrName).(string); ok {
				names[e.Offset] = name
			}
		case dwarf.TagInlinedSubroutine:
			if origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok && entry != 0 {
				found[entry] = append(found[entry], origin)
			}
		}
	}
	inlined := map[VirtAddr][]string{}
	for entry, origins := range found {
		for _, o := range origins {
			inlined[entry] = append(inlined[entry], names[o])
		}
		slices.Sort(inlined[entry])
	}
	return inlined
}

// gosymOf has debug/gosym read a table of functions, and returns where the text
// starts, too.
func gosymOf(t *testing.T, f *File, table *FuncTable) (*gosym.Table, VirtAddr) {
	t.Helper()
	text, err := table.TextStart()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, table.stored.size)
	if err := f.DataAt(table.addr, data); err != nil {
		t.Fatal(err)
	}
	all, err := gosym.NewTable(nil, gosym.NewLineTable(data, uint64(text)))
	if err != nil {
		t.Fatal(err)
	}
	return all, text
}

// TestGosym compares the table with what debug/gosym reads from it.
func TestGosym(t *testing.T) {
	b := tableBuilds[0]
	b.stripped = true
	f := b.open(t)
	table, err := f.Table()
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := gosymOf(t, f, table)
	all := allFuncs(t, table)
	if len(ref.Funcs) != len(all) || len(all) < 1000 {
		t.Fatalf("%d functions, debug/gosym has %d", len(all), len(ref.Funcs))
	}
	for i, fn := range ref.Funcs {
		got := all[i]
		if uint64(got.Entry) != fn.Entry || got.Name != fn.Name && got.Name != fn.Name+".abi0" || uint64(got.End()) > fn.End {
			t.Errorf("%+v; debug/gosym: %s from %#x to %#x", got, fn.Name, fn.Entry, fn.End)
		}
	}
}

// TestArgInfo reads what the compiler says about arguments.
func TestArgInfo(t *testing.T) {
	for _, b := range tableBuilds {
		t.Run(b.String(), func(t *testing.T) {
			b.stripped = true
			f := b.open(t)
			table, err := f.Table()
			if err != nil {
				t.Fatal(err)
			}
			word := byte(f.wordSize())
			want := map[string]string{
				"main.called":           string([]byte{0, word, 0xff}),
				"main.(*Server).Serve":  string([]byte{0, word, word, word, 0xff}),
				"main.main":             "\xff",
				"main.Add":              string([]byte{0, word, word, word, 0xff}),
				"main.Add" + suffixABI0: string([]byte{0, word, word, word, 0xff}),
			}
			seen := 0
			for fn, err := range table.All() {
				if err != nil {
					t.Fatal(err)
				}
				a, ok, err := table.FuncData(fn, FuncDataArgInfo)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					continue
				}
				seen++
				if want, ok := want[fn.Name]; ok {
					got := make([]byte, len(want))
					if err := f.DataAt(a, got); err != nil || string(got) != want {
						t.Errorf("%s: % x, %v; want % x", fn.Name, got, err, want)
					}
				}
			}
			if seen < 1000 {
				t.Errorf("only %d functions have it", seen)
			}
		})
	}
	// Out of range is an error, not a panic.
	f := tableBuilds[0].open(t)
	if err := f.DataAt(1<<63, make([]byte, 8)); !errors.Is(err, ErrNotMapped) {
		t.Errorf("DataAt nowhere: %v", err)
	}
}
