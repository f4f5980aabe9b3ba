package expr

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// world is a random package with types and variables, which stand for the
// parameters of a function, as Go source, as go/types has it, and as abi does.
type world struct {
	rnd    *rand.Rand
	source string
	pkg    *types.Package
	fset   *token.FileSet
	vars   []*types.Var
	dyn    []types.Type // what interfaces may hold
	scope  *Scope
	conv   *converter
}

// namedTypes are in every world, besides random structs.
const namedTypes = `
type MyInt int16
type MyUint uint32
type MyByte uint8
type MyBool bool
type MyString string
type MyFloat float32
type MyComplex complex64
type MyPtr *S1
type MySlice []int32
type MyArray [4]uint16
type MyMap map[string]S0
type MyFunc func(int) string
type I interface{ M() }
type Pair[A, B any] struct { First A; Second B }
func (MyInt) M() {}
`

const numStructs = 6

var typeNames = []string{
	"bool", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr",
	"float32", "float64", "complex64", "complex128", "string", "MyInt", "MyUint", "MyByte", "MyBool", "MyString", "MyFloat",
	"MyComplex", "MyPtr", "MySlice", "MyArray", "MyMap", "MyFunc", "I", "any", "Pair[int8,string]", "Pair[S0,*S1]", "unsafe.Pointer",
}

// typeText writes a random type. Structs from number on may only be used behind
// a pointer or the like.
func typeText(rnd *rand.Rand, number, depth int) string {
	if depth <= 0 || rnd.IntN(3) == 0 {
		if rnd.IntN(3) == 0 && number > 0 {
			return fmt.Sprintf("S%d", rnd.IntN(number))
		}
		t := typeNames[rnd.IntN(len(typeNames))]
		if number == 0 && (t == "MyMap" || strings.Contains(t, "S")) {
			return "int" // what is in S0
		}
		return t
	}
	elem := func() string { return typeText(rnd, number, depth-1) }
	switch rnd.IntN(8) {
	case 0, 1:
		return "*" + typeText(rnd, numStructs, depth-1)
	case 2, 3:
		return "[]" + typeText(rnd, numStructs, depth-1)
	case 4:
		return fmt.Sprintf("[%d]%s", rnd.IntN(5), elem())
	case 5:
		keys := []string{"string", "int", "MyInt", "uint8", "bool", "MyString", "float64", "any"}
		return "map[" + keys[rnd.IntN(len(keys))] + "]" + elem()
	case 6:
		return "chan " + elem()
	}
	return "struct { a " + elem() + "; b " + elem() + " }"
}

func newWorld(t testing.TB, rnd *rand.Rand) *world {
	t.Helper()
	var b strings.Builder
	b.WriteString("package main\n\nimport \"unsafe\"\n\nvar _ unsafe.Pointer\n" + namedTypes)
	for i := range numStructs {
		fmt.Fprintf(&b, "type S%d struct {\n", i)
		used := map[string]bool{}
		for j := range 1 + rnd.IntN(6) {
			switch n := rnd.IntN(12); {
			case n == 0:
				fmt.Fprintf(&b, "\t_ %s\n", typeText(rnd, i, 1))
			case n <= 3 && i > 0:
				name := fmt.Sprintf("S%d", rnd.IntN(i))
				if !used[name] {
					used[name] = true
					fmt.Fprintf(&b, "\t%s%s\n", []string{"", "*"}[rnd.IntN(2)], name)
				}
			default:
				// The same names again and again, so that some are ambiguous.
				name := fmt.Sprintf("%c%d", 'f'+rune(rnd.IntN(3)), j)
				fmt.Fprintf(&b, "\t%s %s\n", name, typeText(rnd, i, 2))
			}
		}
		fmt.Fprintf(&b, "}\nfunc (S%d) M() {}\n", i)
	}
	const numVars = 24
	for i := range numVars {
		name := fmt.Sprintf("p%d", i)
		var typ string
		switch i {
		case 0:
			name, typ = "r", "*S5"
		case 1:
			name, typ = "i", "int"
		case 2:
			name, typ = "n", "uint8"
		case 3:
			name, typ = "s", "string"
		case 4:
			name, typ = "e", "any"
		case 5:
			name, typ = "d", "int64"
		default:
			typ = typeText(rnd, numStructs, 3)
		}
		fmt.Fprintf(&b, "var %s %s\n", name, typ)
	}
	w := &world{rnd: rnd, source: b.String(), fset: token.NewFileSet()}
	f, err := parser.ParseFile(w.fset, "w.go", w.source, 0)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.source)
	}
	conf := types.Config{Importer: unsafeOnly{}, Sizes: types.SizesFor("gc", "amd64")}
	if w.pkg, err = conf.Check("main", w.fset, []*ast.File{f}, nil); err != nil {
		t.Fatalf("%v\n%s", err, w.source)
	}
	w.pkg.Scope().Insert(types.NewPkgName(token.NoPos, w.pkg, "unsafe", types.Unsafe))
	w.conv = &converter{sizes: conf.Sizes, types: map[string]*abi.Type{}}
	w.scope = &Scope{Arch: abi.AMD64, Types: w.conv, Package: "main"}
	for _, name := range w.pkg.Scope().Names() {
		switch o := w.pkg.Scope().Lookup(name).(type) {
		case *types.Var:
			if name == "_" {
				continue
			}
			w.vars = append(w.vars, o)
			w.scope.Params = append(w.scope.Params, abi.Param{Name: name, Type: w.conv.convert(o.Type())})
		case *types.TypeName:
			if types.IsInterface(o.Type()) || name == "Pair" {
				continue
			}
			w.dyn = append(w.dyn, o.Type(), types.NewPointer(o.Type()))
			w.conv.convert(o.Type())
			w.conv.convert(types.NewPointer(o.Type()))
		}
	}
	for _, name := range []string{"int", "string", "float64", "uint8"} {
		w.dyn = append(w.dyn, types.Universe.Lookup(name).Type())
		w.conv.convert(w.dyn[len(w.dyn)-1])
	}
	for _, v := range w.vars {
		if !types.IsInterface(v.Type()) {
			w.dyn = append(w.dyn, v.Type())
		}
	}
	return w
}

type unsafeOnly struct{}

func (unsafeOnly) Import(string) (*types.Package, error) { return types.Unsafe, nil }

// converter makes types as abi has them, and is the program's Types.
type converter struct {
	sizes types.Sizes
	types map[string]*abi.Type
}

func (c *converter) Lookup(name string) (all []*abi.Type) {
	if t := c.types[name]; t != nil {
		return []*abi.Type{t}
	}
	for _, t := range c.types {
		if ShortName(t.Name) == name {
			all = append(all, t)
		}
	}
	return all
}

// typeString writes a type as the debug information does. go/types leaves out
// some spaces.
func typeString(t types.Type) string {
	s := types.TypeString(t, nil)
	s = strings.ReplaceAll(s, "struct{", "struct { ")
	s = strings.ReplaceAll(s, "}", " }")
	s = strings.ReplaceAll(s, "struct {  }", "struct {}")
	return strings.ReplaceAll(s, "any", "interface {}")
}

func (c *converter) convert(t types.Type) *abi.Type {
	t = types.Unalias(t)
	name := typeString(t)
	if b, ok := t.(*types.Basic); ok {
		name = types.Typ[b.Kind()].String() // not the alias
	}
	if out := c.types[name]; out != nil {
		return out
	}
	out := &abi.Type{Name: name, Size: c.sizes.Sizeof(t), Align: c.sizes.Alignof(t), RuntimeType: uint64(len(c.types)) + 1}
	c.types[name] = out
	switch u := t.Underlying().(type) {
	case *types.Basic:
		kinds := map[types.BasicKind]abi.Kind{types.String: abi.String, types.UnsafePointer: abi.UnsafePointer}
		if out.Kind = kinds[u.Kind()]; out.Kind == abi.Invalid {
			out.Kind = abi.Kind(u.Kind()) // they are in the same order
		}
	case *types.Pointer:
		out.Kind, out.Elem = abi.Pointer, c.convert(u.Elem())
	case *types.Slice:
		out.Kind, out.Elem = abi.Slice, c.convert(u.Elem())
	case *types.Chan:
		out.Kind, out.Elem = abi.Chan, c.convert(u.Elem())
	case *types.Array:
		out.Kind, out.Elem, out.Len = abi.Array, c.convert(u.Elem()), u.Len()
	case *types.Map:
		out.Kind, out.Key, out.Elem = abi.Map, c.convert(u.Key()), c.convert(u.Elem())
	case *types.Signature:
		out.Kind = abi.Func
	case *types.Interface:
		out.Kind, out.NumMethod = abi.Interface, u.NumMethods()
	case *types.Struct:
		out.Kind = abi.Struct
		var fields []*types.Var
		for i := range u.NumFields() {
			fields = append(fields, u.Field(i))
		}
		for i, at := range c.sizes.Offsetsof(fields) {
			f := fields[i]
			out.Fields = append(out.Fields, abi.Field{Name: f.Name(), Type: c.convert(f.Type()), Offset: at, Embedded: f.Embedded()})
		}
	}
	return out
}

// check asks go/types about an expression.
func (w *world) check(text string) (types.Type, error) {
	// Within the package its name says nothing.
	e, err := parser.ParseExprFrom(w.fset, "", strings.ReplaceAll(text, "main.", ""), 0)
	if err != nil {
		return nil, err
	}
	// What is untyped gets a type where it is used.
	used := &ast.CallExpr{Fun: ast.NewIdent("any"), Args: []ast.Expr{e}}
	if err := types.CheckExpr(w.fset, w.pkg, token.NoPos, used, nil); err != nil {
		return nil, err
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if err := types.CheckExpr(w.fset, w.pkg, token.NoPos, e, info); err != nil {
		return nil, err
	}
	tv := info.Types[e]
	switch {
	case tv.IsType():
		return nil, fmt.Errorf("a type")
	case !tv.IsValue() || tv.IsNil():
		return nil, fmt.Errorf("no value")
	}
	return types.Default(tv.Type), nil
}

// hostArch is whether programs that the local toolchain builds run here and are
// laid out as the worlds are.
func hostArch() bool { return runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" }
