package dwarfargs

import (
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// signatures lists functions of testdata/fixture with the locations that DWARF
// gives their parameters at the entry, in the notation of abi.Location, "-" for
// none. Columns: optimised amd64, unoptimised amd64, optimised arm64. Results
// have none before they are set, and are left out where that is so.
var signatures = []struct {
	name, signature  string
	amd64, nl, arm64 string // "" as the column before
}{
	{"main.Ints", "func(a int, b int8, c uint16, d int32, e uint64) int",
		"RAX:8; RBX:1; RCX:2; RDI:4; RSI:8", "", "reg0:8; reg1:1; reg2:2; reg3:4; reg4:8"},
	{"main.Strings", "func(s string, b []uint8, p *string) (n int, err error)",
		"RAX:8 RBX:8; RCX:8 RDI:8 RSI:8; R8:8", "", "reg0:8 reg1:8; reg2:8 reg3:8 reg4:8; reg5:8"},
	{"main.Floats", "func(f float64, g float32, c complex128, n int) float64",
		"X0:8; X1:4; X2:8 X3:8; RAX:8", "", "reg64:8; reg65:4; reg66:8 reg67:8; reg0:8"},
	// n is on the stack on amd64, and only two words of it are used.
	{"main.Structs", "func(p main.Padded, in main.Inner, n main.Nested) main.Padded",
		"RAX:1 RBX:8 RCX:4 RDI:8 RSI:8; R8:4 R9:4; -", "RAX:1 RBX:8 RCX:4 RDI:8 RSI:8; R8:4 R9:4; [CFA+0]:24",
		"reg0:1 reg1:8 reg2:4 reg3:8 reg4:8; reg5:4 reg6:4; reg7:4 reg8:4 reg9:4 reg10:4 reg11:8"},
	// Of s only the length is used: [CFA+24] without saying so. s is at [CFA+16].
	{"main.Many", "func(a int, b int, c int, d int, e int, f int, g int, h int, i int, j int, k int, s string) int",
		"RAX:8; RBX:8; RCX:8; RDI:8; RSI:8; R8:8; R9:8; R10:8; R11:8; [CFA+0]:8; [CFA+8]:8; (unsupported location):16",
		"RAX:8; RBX:8; RCX:8; RDI:8; RSI:8; R8:8; R9:8; R10:8; R11:8; [CFA+0]:8; [CFA+8]:8; [CFA+16]:16",
		"reg0:8; reg1:8; reg2:8; reg3:8; reg4:8; reg5:8; reg6:8; reg7:8; reg8:8; reg9:8; reg10:8; reg11:8 reg12:8"},
	{"main.Arrays", "func(one [1]string, two [2]int64, none [0]int, e main.Empty) int",
		"RAX:8 RBX:8; [CFA+0]:16; -; -", "RAX:8 RBX:8; [CFA+0]:16; (zero size); (zero size)", "reg0:8 reg1:8; [CFA+8]:16; -; -"},
	{"main.Words", "func(e error, a interface {}, m map[string]int, c chan<- int, f func(), p unsafe.Pointer, u uintptr) bool",
		"RAX:8 RBX:8; RCX:8 RDI:8; RSI:8; R8:8; R9:8; R10:8; R11:8", "",
		"reg0:8 reg1:8; reg2:8 reg3:8; reg4:8; reg5:8; reg6:8; reg7:8; reg8:8"},
	{"main.Blank", "func(a int, _ string, b int) int", "RAX:8; -; RDI:8", "RAX:8; RBX:8 RCX:8; RDI:8", "reg0:8; -; reg3:8"},
	{"main.Unnamed", "func(int, string) (int, error)", "-; -", "RAX:8; RBX:8 RCX:8", "-; -"},
	{"main.Named", "func(c main.Celsius, n *main.Node, v []main.Inner) main.Celsius",
		"RAX:4; RBX:8; RCX:8 RDI:8 RSI:8", "", "reg0:4; reg1:8; reg2:8 reg3:8 reg4:8"},
	{"main.Everything", "func(b *main.Basics, c *main.Counter)", "RAX:8; RBX:8", "", "reg0:8; reg1:8"},
	{"main.Deferred", "func(n int) (total int, err error)", "RAX:8", "", "reg0:8"},
	{"main.Deferred.func1", "func()", "", "", ""},
	{"main.Escapes", "func(n int) *int", "RAX:8", "", "reg0:8"},
	{"main.(*Server).Handle", "func (s *main.Server) (n int) error", "RAX:8; RBX:8", "", "reg0:8; reg1:8"},
	{"main.Server.Name", "func (s main.Server) (prefix string) string", "RAX:8 RBX:8; RCX:8 RDI:8", "", "reg0:8 reg1:8; reg2:8 reg3:8"},
	{"main.Server.Blank", "func (main.Server) (n int) int", "-; RCX:8", "RAX:8 RBX:8; RCX:8", "-; reg2:8"},
	{"main.Gen[go.shape.int]", "func(.dict, x go.shape.int, n int) go.shape.int", "RBX:8; RCX:8", "", "reg1:8; reg2:8"},
	{"main.Gen[go.shape.string]", "func(.dict, x go.shape.string, n int) go.shape.string", "RBX:8 RCX:8; RDI:8", "", "reg1:8 reg2:8; reg3:8"},
	{"main.GenClosure[go.shape.string]", "func(.dict, x go.shape.string) func(int) go.shape.string", "RBX:8 RCX:8", "", "reg1:8 reg2:8"},
	{"main.GenClosure[go.shape.string].func1", "func(n int) go.shape.string", "RAX:8", "", "reg0:8"},
	{"main.(*Stack[go.shape.string]).Push", "func (s *main.Stack[go.shape.string]) (.dict, x go.shape.string) int",
		"RAX:8; RCX:8 RDI:8", "", "reg0:8; reg2:8 reg3:8"},
	{"main.partly", "func(n int, s string) int", "RAX:8; RBX:8 RCX:8", "", "reg0:8; reg1:8 reg2:8"},
}

func TestSignatures(t *testing.T) {
	for _, fl := range flavours {
		t.Run(fl.name, func(t *testing.T) {
			f, d := open(t, fixture(t, fl))
			for _, tt := range signatures {
				fn, err := lookup(t, f, d, tt.name, 0)
				if err != nil {
					t.Errorf("%s: %v", tt.name, err)
					continue
				}
				if got := fn.Signature().String(); got != tt.signature {
					t.Errorf("%s: %s, want %s", tt.name, got, tt.signature)
				}
				if fn.Optimized != (fl.name != "N-l") || fn.RegABI != (fl.goarch != "386") || !fn.Go || !strings.HasPrefix(fn.GoVersion, "go1.") || fn.Line == 0 {
					t.Errorf("%s: read %+v", tt.name, fn)
				}
				want, arch := tt.amd64, abi.AMD64
				if fl.name == "N-l" && tt.nl != "" {
					want = tt.nl
				}
				switch fl.goarch {
				case "arm64":
					want, arch = tt.arm64, &abi.Arch{}
				case "386":
					continue // ABI0: no registers
				}
				if got := entryLocations(fn, arch); got != want {
					t.Errorf("%s: at entry %s, want %s", tt.name, got, want)
				}
			}
		})
	}
}

func entryLocations(fn *Func, a *abi.Arch) string {
	var s []string
	for i := range fn.Params {
		if l, ok := fn.Params[i].At(fn.Entry); ok {
			s = append(s, l.Format(a))
		} else {
			s = append(s, "-")
		}
	}
	return strings.Join(s, "; ")
}

// TestSizes compares the layouts of the fixture's types with go/types, which
// also knows alignments.
func TestSizes(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "testdata/fixture/main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fl := range flavours {
		t.Run(fl.name, func(t *testing.T) {
			sizes := types.SizesFor("gc", fl.goarch)
			conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil), Sizes: sizes}
			pkg, err := conf.Check("main", fset, []*ast.File{file}, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, d := open(t, fixture(t, fl))
			compared := 0
			for _, tt := range signatures {
				short := strings.TrimPrefix(tt.name, "main.")
				obj, ok := pkg.Scope().Lookup(short).(*types.Func)
				if !ok || strings.Contains(short, "[") {
					continue // methods, closures, generic code
				}
				fn, err := lookup(t, f, d, tt.name, 2)
				if err != nil {
					t.Fatal(err)
				}
				sig := obj.Signature()
				for i := range fn.Params {
					compared += compareSizes(t, sizes, fn.Params[i].Type, sig.Params().At(i).Type(), 2)
				}
				for i := range fn.Results {
					compared += compareSizes(t, sizes, fn.Results[i].Type, sig.Results().At(i).Type(), 2)
				}
			}
			if compared < 100 {
				t.Errorf("only %d types compared", compared)
			}
		})
	}
}

func compareSizes(t *testing.T, sizes types.Sizes, got *abi.Type, want types.Type, depth int) int {
	t.Helper()
	n := 1
	if got.Kind == abi.Invalid && depth < 0 {
		return 0
	}
	if got.Size != sizes.Sizeof(want) || got.Align != sizes.Alignof(want) {
		// go/types does not know that sync/atomic aligns its 64-bit types on
		// 32-bit targets; the compiler does.
		if !strings.Contains(types.TypeString(want, nil), "Counter") && !strings.Contains(types.TypeString(want, nil), "atomic") {
			t.Errorf("%s: size %d, align %d, want %d and %d", got, got.Size, got.Align, sizes.Sizeof(want), sizes.Alignof(want))
		}
	}
	switch u := want.Underlying().(type) {
	case *types.Struct:
		for i := range u.NumFields() {
			if got.Fields[i].Name != u.Field(i).Name() || got.Fields[i].Embedded != u.Field(i).Embedded() {
				t.Errorf("%s: field %d is %+v, want %s", got, i, got.Fields[i], u.Field(i))
			}
			n += compareSizes(t, sizes, got.Fields[i].Type, u.Field(i).Type(), depth)
		}
	case *types.Array:
		n += compareSizes(t, sizes, got.Elem, u.Elem(), depth)
	case *types.Slice:
		n += compareSizes(t, sizes, got.Elem, u.Elem(), depth-1)
	case *types.Pointer:
		n += compareSizes(t, sizes, got.Elem, u.Elem(), depth-1)
	case *types.Map:
		n += compareSizes(t, sizes, got.Elem, u.Elem(), depth-1)
		n += compareSizes(t, sizes, got.Key, u.Key(), depth-1)
	case *types.Chan:
		n += compareSizes(t, sizes, got.Elem, u.Elem(), depth-1)
	}
	return n
}

// TestAlign64 is about what go/types does not know.
func TestAlign64(t *testing.T) {
	f, d := open(t, fixture(t, flavours[6]))
	fn, err := lookup(t, f, d, "main.Everything", 1)
	if err != nil {
		t.Fatal(err)
	}
	c := fn.Params[1].Type.Elem
	if c.Align != 8 || c.Size != 24 || c.Fields[1].Offset != 8 || c.Fields[1].Type.Align != 8 {
		t.Errorf("Counter on 386: %+v", c)
	}
}

func TestTypesDetail(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	fn, err := lookup(t, f, d, "main.Everything", 1)
	if err != nil {
		t.Fatal(err)
	}
	basics := fn.Params[0].Type.Elem
	want := []struct {
		field, name string
		kind        abi.Kind
	}{
		{"B", "bool", abi.Bool}, {"I", "int", abi.Int}, {"I8", "int8", abi.Int8}, {"I16", "int16", abi.Int16},
		{"I32", "int32", abi.Int32}, {"I64", "int64", abi.Int64}, {"U", "uint", abi.Uint}, {"U8", "uint8", abi.Uint8},
		{"U16", "uint16", abi.Uint16}, {"U32", "uint32", abi.Uint32}, {"U64", "uint64", abi.Uint64},
		{"Uptr", "uintptr", abi.Uintptr}, {"F32", "float32", abi.Float32}, {"F64", "float64", abi.Float64},
		{"C64", "complex64", abi.Complex64}, {"C128", "complex128", abi.Complex128}, {"A", "[3]int16", abi.Array},
		{"Ch", "chan int", abi.Chan}, {"Fn", "func(int) string", abi.Func}, {"E", "error", abi.Interface},
		{"Any", "interface {}", abi.Interface}, {"M", "map[string]main.Inner", abi.Map}, {"P", "*main.Inner", abi.Pointer},
		{"Sl", "[]main.Inner", abi.Slice}, {"S", "string", abi.String}, {"UP", "unsafe.Pointer", abi.UnsafePointer},
	}
	if len(basics.Fields) != len(want) {
		t.Fatalf("%d fields, want %d", len(basics.Fields), len(want))
	}
	for i, w := range want {
		g := basics.Fields[i]
		if g.Name != w.field || g.Type.Name != w.name || g.Type.Kind != w.kind {
			t.Errorf("field %d: %s %s, kind %s; want %+v", i, g.Name, g.Type, g.Type.Kind, w)
		}
		switch w.kind {
		case abi.Slice, abi.Pointer, abi.Map, abi.Chan:
			if e := g.Type.Elem; e == nil || e.Kind != abi.Invalid || e.Name == "" {
				t.Errorf("field %s: element beyond the depth is %+v, want a stub", w.field, e)
			}
		case abi.Interface:
			if (g.Type.NumMethod > 0) != (w.name == "error") {
				t.Errorf("field %s: NumMethod %d", w.field, g.Type.NumMethod)
			}
		}
		if g.Type.RuntimeType == 0 && w.kind != abi.UnsafePointer {
			t.Errorf("field %s: no runtime type", w.field)
		}
	}
}

// TestDepth follows a linked list: what a call gets depends on its own depth
// only, whatever was read before.
func TestDepth(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	for _, depth := range []int{3, 0, 5, 1, maxDepth + 10} {
		fn, err := lookup(t, f, d, "main.Named", depth)
		if err != nil {
			t.Fatal(err)
		}
		n, typ := 0, fn.Params[1].Type
		for typ.Elem.Kind != abi.Invalid {
			typ = typ.Elem.Fields[0].Type
			n++
		}
		if n != min(depth, maxDepth) || typ.Elem.Name != "main.Node" {
			t.Errorf("depth %d: %d nodes, then %q", depth, n, typ.Elem.Name)
		}
		again, err := lookup(t, f, d, "main.Named", depth)
		if err != nil || again.Params[1].Type != fn.Params[1].Type {
			t.Errorf("depth %d: types are not shared between calls (%v)", depth, err)
		}
	}
}

func TestTypeParam(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	fn, err := lookup(t, f, d, "main.Gen[go.shape.string]", 0)
	if err != nil {
		t.Fatal(err)
	}
	if x, n := fn.Params[0], fn.Params[1]; x.TypeParam < 0 || x.Type.Kind != abi.String || n.TypeParam != -1 {
		t.Errorf("x %d %s, n %d", x.TypeParam, x.Type.Kind, n.TypeParam)
	}
}

func TestStruct(t *testing.T) {
	for _, fl := range flavours[:3] {
		_, d := open(t, fixture(t, fl))
		g, err := d.Struct("runtime.g", 1)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range g.Fields {
			if f.Name == "goid" {
				found = f.Type.Kind == abi.Uint64 && f.Offset == 152 // FACTS: go1.26
			}
		}
		if g.Kind != abi.Struct || !found {
			t.Errorf("%s: runtime.g without goid: %+v", fl.name, g)
		}
		if n, err := d.Struct("main.Node", 0); err != nil || n.Size != 48 {
			t.Errorf("main.Node: %+v, %v", n, err)
		}
		for _, name := range []string{"main.Nothing", "ode", "", "main.Ints"} {
			if _, err := d.Struct(name, 0); !errors.Is(err, ErrNoEntry) {
				t.Errorf("struct %q: %v, want ErrNoEntry", name, err)
			}
		}
	}
}

func TestInlined(t *testing.T) {
	for _, fl := range flavours[:3] {
		_, d := open(t, fixture(t, fl))
		for name, want := range map[string]bool{
			"main.inlined": fl.name != "N-l", "main.partly": false, "main.Ints": false, "main.nothing": false, "inlined": false,
		} {
			if got, err := d.Inlined(name); got != want || err != nil {
				t.Errorf("%s: %s inlined: %t, %v, want %t", fl.name, name, got, err, want)
			}
		}
	}
}

func TestWrappers(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	found := 0
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(fn.Name, "main.") && !strings.HasSuffix(fn.Name, ".abi0") {
			continue
		}
		got, err := d.Func(fn, 0)
		if errors.Is(err, ErrNoEntry) {
			continue // assembly
		}
		if err != nil {
			t.Fatal(err)
		}
		want := strings.HasSuffix(fn.Name, ".abi0") || strings.HasPrefix(fn.Name, "main.Outer.") || strings.HasPrefix(fn.Name, "main.(*Outer).")
		if got.Wrapper != want {
			t.Errorf("%s: wrapper: %t (line %d)", fn.Name, got.Wrapper, got.Line)
		}
		if got.RegABI == strings.HasSuffix(fn.Name, ".abi0") {
			t.Errorf("%s: RegABI: %t", fn.Name, got.RegABI)
		}
		if want {
			found++
		}
	}
	if found < 10 {
		t.Errorf("only %d wrappers", found)
	}
}

func TestErrors(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	fn, err := f.Lookup("main.Ints")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Func(symbols.Func{Name: "main.Ints", Entry: fn.Entry + 1}, 0); !errors.Is(err, ErrNoEntry) {
		t.Errorf("inside a function: %v", err)
	}
	before, err := d.Func(fn, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	d.Close()
	if _, err := d.Func(fn, 0); err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if l, ok := before.Params[0].At(fn.Entry); !ok || l.Format(abi.AMD64) != "RAX:8" {
		t.Errorf("after Close: %v, %t", l, ok)
	}

	w := fixture(t, flavour{name: "w", goarch: "amd64", args: []string{"-ldflags=-w"}})
	g, err := symbols.Open(w)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := Open(g); !errors.Is(err, ErrNoDWARF) || !strings.Contains(err.Error(), "-ldflags") {
		t.Errorf("built with -w: %v", err)
	}
}
