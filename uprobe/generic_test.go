package uprobe

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// genericProgram builds the program of generic code that package e2e traces.
func genericProgram(t testing.TB, tc fixture.Toolchain) string {
	t.Helper()
	dir := filepath.Join("..", "internal", "e2e", "testdata")
	src := fixture.Dir(t, filepath.Join(dir, "generic"))
	maps.Copy(src, fixture.Dir(t, filepath.Join(dir, "shape")))
	return fixture.BuildWith(t, tc, src)
}

// TestInstances finds the instances of generic functions and methods, by name.
func TestInstances(t *testing.T) {
	releases := []string{""}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "" {
		releases = append(releases, "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.23.12", "1.24.13", "1.26.8", "1.27.4")
	}
	for _, release := range releases {
		for _, arch := range []string{"amd64", "arm64", "386"} {
			tc := fixture.Toolchain{Release: release, Arch: arch}
			t.Run(tc.String(), func(t *testing.T) { checkInstances(t, genericProgram(t, tc)) })
		}
	}
}

func checkInstances(t *testing.T, path string) {
	for _, tt := range []struct {
		name      string
		functions int // of shared code
		instances int
		one       string // of them
		signature string
	}{
		{"main.Number", 3, 5, "main.Number[main.ID]", "func(x main.ID, y *main.ID, z [3]main.ID) main.ID"},
		{"main.Map", 17, 20, "main.Map[main.ID,*main.Point]", "func(k main.ID, v *main.Point, n int)"},
		{"main.(*Pair).Set", 17, 20, "main.(*Pair[main.Name,main.Node]).Set",
			"func (p *main.Pair[main.Name,main.Node]) (a main.Name, b main.Node) *main.Pair[main.Name,main.Node]"},
		{"main.Pair.Swap", 17, 20, "main.Pair[int,string].Swap", "func (p main.Pair[int,string]) () main.Pair[string,int]"},
		{"main.Text", 3, 4, "main.Text[*main.Point]", "func(t *main.Point, ts []*main.Point)"},
		{"main.Words", 17, 20, "main.Words[main.Age,*int]", "func(m map[main.Age]*int, c chan *int, f func(main.Age) *int)"},
		{"main.Map[main.ID, any]", 1, 1, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.one == "" {
				_, err := Inspect(path, tt.name)
				var missing *symbols.NotFoundError
				if !errors.As(err, &missing) || !slices.Contains(missing.Suggestions, "main.Map[*main.Node,*main.local.1]") {
					t.Fatalf("%v", err)
				}
				return
			}
			funcs, err := Inspect(path, tt.name)
			if err != nil {
				t.Fatal(err)
			}
			// Pointers that have methods which a constraint needs may have a shape
			// of their own, or not, by release.
			if d := len(funcs) - tt.functions; d < -2 || d > 1 {
				t.Errorf("%d functions, want %d", len(funcs), tt.functions)
			}
			var names []string
			for _, f := range funcs {
				if len(f.Instances()) == 0 {
					t.Errorf("%s: no instances", f.Name())
				}
				for _, in := range f.Instances() {
					names = append(names, in.Name)
					if in.Name == tt.one && in.Signature.String() != tt.signature {
						t.Errorf("%s: %s, want %s", in.Name, in.Signature, tt.signature)
					}
					if symbols.WithoutTypeArgs(in.Name) != tt.name || strings.Contains(in.Name+in.Signature.String(), "go.shape.") {
						t.Errorf("%s: %s %s", f.Name(), in.Name, in.Signature)
					}
				}
			}
			slices.Sort(names)
			if n := len(slices.Compact(names)); n != tt.instances {
				t.Errorf("%d instances, want %d: %v", n, tt.instances, names)
			}
			if !slices.Contains(names, tt.one) {
				t.Errorf("no %s in %v", tt.one, names)
			}
			one, err := Inspect(path, tt.one)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range one {
				if f.all || len(f.dicts) != 1 || f.byDict[f.dicts[0]] == nil || f.byDict[f.dicts[0]].Name != tt.one {
					t.Errorf("%s selects %s for %#x", tt.one, f.Name(), f.dicts)
				}
			}
			if len(one) != 1 {
				t.Errorf("%s selects %d functions", tt.one, len(one))
			}
			// All of it, whatever else selects a part.
			both, err := Inspect(path, tt.one, WithFuncs(tt.name))
			if err != nil || len(both) != len(funcs) || !both[0].all || both[0].dicts != nil {
				t.Errorf("both: %v, %v", both, err)
			}
		})
	}
}

// TestInstancesUnknown: without a symbol table nothing tells of instances, and code
// is as it was compiled.
func TestInstancesUnknown(t *testing.T) {
	path := genericProgram(t, fixture.Toolchain{Flavour: fixture.Stripped})
	funcs, err := Inspect(path, "main.Map")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range funcs {
		if len(f.Instances()) != 0 || !strings.Contains(f.Name(), "go.shape.") {
			t.Errorf("%s: %v", f.Name(), f.Instances())
		}
	}
	_, err = Inspect(path, "main.Map[int,string]")
	var missing *symbols.NotFoundError
	if !errors.As(err, &missing) || !slices.ContainsFunc(missing.Suggestions, func(s string) bool { return strings.HasPrefix(s, "main.Map[go.shape.") }) {
		t.Errorf("an instance: %v", err)
	}
}

// TestHostileDictionary decodes records of which the dictionary is any word: none
// makes a value that is of a type which the code cannot have had.
func TestHostileDictionary(t *testing.T) {
	path := genericProgram(t, fixture.Toolchain{})
	funcs, err := Inspect(path, "main.(*Stack[go.shape.*uint8]).Push")
	if err != nil {
		t.Fatal(err)
	}
	f := funcs[0]
	record := func(dict, failed uint64) *Call {
		data := make([]byte, f.plan.Fixed)
		for i := range data {
			data[i] = byte(i)
		}
		order.PutUint64(data[capture.OffFailed:], failed)
		order.PutUint64(data[f.plan.Dict.Offset:], dict)
		c, ok := newCall(f, data, time.Time{})
		if !ok {
			t.Fatal("no call")
		}
		return &c
	}
	known := 0
	for _, in := range f.Instances() {
		for _, c := range []*Call{record(uint64(in.dict.Addr), 0), record(uint64(in.dict.Addr), 0).Clone()} {
			if c.Instance() != in.Name || c.Arg(0).TypeName() != typeName(in.Params[0].Type) || !strings.HasPrefix(c.String(), in.Name+"(") {
				t.Errorf("%s: %s, %s", in.Name, c.Instance(), c.Arg(0).TypeName())
			}
			var v struct{ Func, Instance string }
			if err := json.Unmarshal(c.AppendJSON(nil), &v); err != nil || v.Func != f.Name() || v.Instance != in.Name {
				t.Errorf("%+v, %v", v, err)
			}
			known++
		}
	}
	if known < 8 {
		t.Errorf("%d instances", known/2)
	}
	r := rand.New(rand.NewPCG(1, 2))
	dict := uint64(f.Instances()[0].dict.Addr)
	words := []uint64{0, 1, dict + 1, dict - 1, dict | 1<<63, dict << 1, ^uint64(0), 0x400000}
	for range 1000 {
		words = append(words, r.Uint64(), dict+8*(1+r.Uint64N(1<<20))<<20)
	}
	for _, w := range words {
		c := record(w, 0)
		if f.byDict[w] != nil {
			continue
		}
		if c.Instance() != f.Name() || c.Arg(1).TypeName() != "go.shape.*uint8" {
			t.Fatalf("%#x: %s, %s", w, c.Instance(), c.Arg(1).TypeName())
		}
		_ = c.String()
		// What a pointer of any type leads to is not known.
		if e := c.Arg(1).Elem(); e.reason() == abi.Present {
			t.Fatalf("%#x: %s", w, e)
		}
	}
	// A dictionary that may not be the call's says nothing.
	if c := record(dict, 1<<f.plan.Dict.Bit); c.Instance() != f.Name() {
		t.Errorf("overwritten: %s", c.Instance())
	}
}

// TestFitting compares types with shapes.
func TestFitting(t *testing.T) {
	num := func(name string, k abi.Kind, size int64) *abi.Type {
		return &abi.Type{Name: name, Kind: k, Size: size, Align: size}
	}
	ptr := func(e *abi.Type) *abi.Type {
		return &abi.Type{Name: "*", Kind: abi.Pointer, Size: 8, Align: 8, Elem: e}
	}
	str := func(fields ...abi.Field) *abi.Type {
		return &abi.Type{Name: "struct", Kind: abi.Struct, Size: 16, Align: 8, Fields: fields}
	}
	shapeInt, id, i32 := num("go.shape.int", abi.Int, 8), num("main.ID", abi.Int, 8), num("int32", abi.Int32, 4)
	list := &abi.Type{Name: "main.List[go.shape.int]", Kind: abi.Struct, Size: 16, Align: 8}
	list.Fields = []abi.Field{{Name: "v", Type: shapeInt}, {Name: "next", Type: ptr(list), Offset: 8}}
	ids := &abi.Type{Name: "main.List[main.ID]", Kind: abi.Struct, Size: 16, Align: 8}
	ids.Fields = []abi.Field{{Name: "v", Type: id}, {Name: "next", Type: ptr(ids), Offset: 8}}
	for _, tt := range []struct {
		name     string
		shape, t *abi.Type
		want     bool
	}{
		{"int", shapeInt, id, true},
		{"kind", shapeInt, num("main.U", abi.Uint, 8), false},
		{"size", shapeInt, num("main.I", abi.Int, 4), false},
		{"pointer to anything", ptr(nil), ptr(i32), true},
		{"pointer", ptr(shapeInt), ptr(id), true},
		{"pointer to another", ptr(shapeInt), ptr(i32), false},
		{"no pointer", ptr(nil), id, false},
		{"cycle", ptr(list), ptr(ids), true},
		{"field's name", str(abi.Field{Name: "a", Type: shapeInt}), str(abi.Field{Name: "b", Type: id}), false},
		{"field's offset", str(abi.Field{Name: "a", Type: shapeInt}), str(abi.Field{Name: "a", Type: id, Offset: 8}), false},
		{"fields", str(abi.Field{Name: "a", Type: shapeInt}), str(), false},
		{"not read", num("go.shape.int", abi.Invalid, 0), id, false},
		{"not read behind a pointer", ptr(num("go.shape.int", abi.Invalid, 0)), ptr(id), true},
	} {
		var f fitting
		if got := f.fits(tt.shape, tt.t, 0); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestMayShape(t *testing.T) {
	for _, tt := range []struct {
		shapes, args string
		want         bool
	}{
		{"go.shape.int", "int", true},
		{"go.shape.int_0", "int", true},
		{"go.shape.int", "int64", false},
		{"go.shape.int64", "int", false},
		{"go.shape.int", "main.ID", true},
		{"go.shape.int,go.shape.string", "main.ID,string", true},
		{"go.shape.int,go.shape.int", "main.ID,string", false},
		{"go.shape.int", "main.ID,string", false},
		{"go.shape.*uint8", "*main.T", true},
		{"go.shape.*main.T", "*main.T", true},
		{"go.shape.*uint8", "main.T", true},
		{"go.shape.int", "*main.T", false},
		{"go.shape.[]int", "[]int", true},
		{"go.shape.[]int", "[2]int", false},
		{"go.shape.[3]int", "[2]int", false},
		{"go.shape.map[string]int", "map[string]int", true},
		{"go.shape.map[string]int", "func(string) int", false},
		{"go.shape.struct { X int; Y [2]string },go.shape.uint8", "main.T[int,string],bool", false},
		{"go.shape.struct { X int; Y [2]string },go.shape.bool", "main.T[int,string],bool", true},
		{"go.shape.interface { Error() string }", "error", true},
		{"go.shape.func(int, string)", "func(int, string)", true},
		{"go.shape.<-chan int", "<-chan int", true},
		{"go.shape.chan int", "<-chan int", false},
	} {
		if got := mayShape(tt.shapes, tt.args); got != tt.want {
			t.Errorf("%s for %s: %t", tt.shapes, tt.args, got)
		}
	}
}

func TestCanonical(t *testing.T) {
	for name, want := range map[string]string{
		"main.Map[int, string]":                 "main.Map[int,string]",
		"main.Map[any,map[string]any]":          "main.Map[interface {},map[string]interface {}]",
		"main.Map[[]byte,rune]":                 "main.Map[[]uint8,int32]",
		"main.(*Stack[interface{}]).Push":       "main.(*Stack[interface {}]).Push",
		"main.Map[main.any,example.com/rune.T]": "main.Map[main.any,example.com/rune.T]",
		"main.F[main.local·1]":                  "main.F[main.local.1]",
	} {
		if got := canonical(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"main.Map[int]": true, "main.(*S[int]).M": true, "main.Map": false, "main.Map[go.shape.int]": false, "main.Map[...]": false,
		"type:.eq.[2]string": false,
	} {
		if got := isInstance(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// inlinedSource has functions that the compiler inlines in main, but not in big.
func inlinedSource() string {
	return `package main

import "fmt"

type id int
type age int

type stack[T any] struct{ list []T }

func (s *stack[T]) push(t T) { s.list = append(s.list, t); sink += cap(s.list)*3 + len(s.list)%7 + sink*sink*5%11 }

func last[T any](list []T, n int) T { sink += cap(list)*3 + len(list)%7 + n*n; return list[(len(list)-1+n*n*n)%len(list)] }

func both[A, B any](a []A, b []B) int { sink += cap(a)*3 + len(a)%7 + cap(b)*5; return sink*7%5 + len(b) }

var sink int

func big() {
	var s stack[id]
	s.push(1)
	fmt.Println(last([]id{1, 2}, 0), last([]*age{nil}, 0), both([]id{1}, []age{2}), both([]id{1}, []string{"x"}))
	` + strings.Repeat("sink += sink*3%7 ^ len(s.list)\n\t", 1500) + `
}

func main() {
	var s stack[id]
	s.push(1)
	fmt.Println(last([]id{1, 2}, 0), last([]*age{nil}, 0), both([]id{1}, []age{2}), both([]id{1}, []string{"x"}))
	big()
}
`
}

// TestInlinedElsewhere: of what the compiler has inlined somewhere, it does not say
// which word of the dictionary a parameter's type is. It is found if there is only
// one, and else the type is the shape.
func TestInlinedElsewhere(t *testing.T) {
	path := fixture.BuildWith(t, fixture.Toolchain{}, fixture.Source{"main.go": inlinedSource()})
	file, err := symbols.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dw, err := dwarfargs.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer dw.Close()
	for name, want := range map[string][]string{
		"main.(*stack[main.id]).push": {"func (s *main.stack[main.id]) (t main.id)"},
		"main.last[main.id]":          {"func(list []main.id, n int) main.id"},
		"main.last[*main.age]":        {"func(list []*main.age, n int) *main.age"},
		"main.both[main.id,string]":   {"func(a []main.id, b []string) int"},
		"main.both[main.id,main.age]": {"func(a []go.shape.int, b []go.shape.int) int"},
	} {
		funcs, err := Inspect(path, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range funcs {
			fn, err := file.Lookup(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			d, err := dw.Func(fn, 1)
			if err != nil || d.Params[0].TypeParam >= 0 {
				t.Errorf("%s is not inlined anywhere: %v", f.Name(), err)
			}
			for _, in := range f.Instances() {
				if in.Name == name && !slices.Contains(want, in.Signature.String()) {
					t.Errorf("%s: %s, want %s", in.Name, in.Signature, want)
				}
			}
		}
	}
}
