package abi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"testing"
)

// parseFuncs type-checks a Go file and returns the signatures of its functions
// and methods in source order, laid out for the architecture by go/types. A function with
// type parameters is given a dictionary, at the place that the compiler uses
// since Go 1.20, and its type parameters stand for one pointer-shaped type.
func parseFuncs(t *testing.T, a *Arch, src string) (names []string, sigs []*Signature) {
	t.Helper()
	layout := layout{a, types.SizesFor("gc", a.GOARCH)}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{IgnoreFuncBodies: true, Importer: unsafeOnly{}}
	if _, err := conf.Check("p", fset, []*ast.File{file}, info); err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		fd, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		names = append(names, src[fd.Pos()-file.FileStart:fd.Type.End()-file.FileStart])
		sig := info.Defs[fd.Name].Type().(*types.Signature)
		s := &Signature{}
		if r := sig.Recv(); r != nil {
			s.Method = true
			s.Params = append(s.Params, Param{r.Name(), layout.typ(r.Type())})
		}
		if sig.TypeParams().Len() > 0 {
			s.Dict = DictFirst
		} else if sig.RecvTypeParams().Len() > 0 {
			s.Dict = DictAfterReceiver
		}
		for v := range sig.Params().Variables() {
			s.Params = append(s.Params, Param{v.Name(), layout.typ(v.Type())})
		}
		for v := range sig.Results().Variables() {
			s.Results = append(s.Results, Param{v.Name(), layout.typ(v.Type())})
		}
		sigs = append(sigs, s)
	}
	return names, sigs
}

type unsafeOnly struct{}

func (unsafeOnly) Import(path string) (*types.Package, error) {
	if path != "unsafe" {
		return nil, fmt.Errorf("import %q: these sources import unsafe only", path)
	}
	return types.Unsafe, nil
}

// layout converts types of go/types.
type layout struct {
	arch  *Arch
	sizes types.Sizes
}

// typ converts a type, as a reader of debug information would give it.
func (l layout) typ(g types.Type) *Type {
	if _, ok := g.(*types.TypeParam); ok {
		return &Type{Name: g.String(), Kind: Pointer, Size: l.arch.PtrSize, Align: l.arch.PtrSize}
	}
	t := &Type{Name: g.String(), Size: l.sizes.Sizeof(g), Align: l.sizes.Alignof(g)}
	switch u := g.Underlying().(type) {
	case *types.Basic:
		t.Kind = basicKinds[u.Kind()]
	case *types.Array:
		t.Kind, t.Elem, t.Len = Array, l.typ(u.Elem()), u.Len()
	case *types.Struct:
		t.Kind = Struct
		var vars []*types.Var
		for v := range u.Fields() {
			vars = append(vars, v)
		}
		offsets := l.sizes.Offsetsof(vars)
		for i, v := range vars {
			t.Fields = append(t.Fields, Field{v.Name(), l.typ(v.Type()), offsets[i], v.Embedded()})
		}
	case *types.Slice:
		t.Kind = Slice
	case *types.Map:
		t.Kind = Map
	case *types.Chan:
		t.Kind = Chan
	case *types.Pointer:
		t.Kind = Pointer
	case *types.Signature:
		t.Kind = Func
	case *types.Interface:
		t.Kind = Interface
	}
	return t
}

var basicKinds = map[types.BasicKind]Kind{
	types.Bool: Bool, types.Int: Int, types.Int8: Int8, types.Int16: Int16,
	types.Int32: Int32, types.Int64: Int64, types.Uint: Uint, types.Uint8: Uint8,
	types.Uint16: Uint16, types.Uint32: Uint32, types.Uint64: Uint64,
	types.Uintptr: Uintptr, types.Float32: Float32, types.Float64: Float64,
	types.Complex64: Complex64, types.Complex128: Complex128,
	types.String: String, types.UnsafePointer: UnsafePointer,
}
