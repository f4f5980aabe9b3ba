package gosig

import (
	"go/ast"
	"go/token"
	"go/types"
)

// validator walks a func type and stops at what is not allowed, with an error
// that says what to write.
type validator struct {
	p    *source
	nest int
	err  *Error
}

// Visit looks at a node, and at what is in it if that is allowed.
func (v *validator) Visit(n ast.Node) ast.Visitor {
	if v.err != nil || n == nil {
		return nil
	}
	if v.nest > maxNest {
		v.err = v.p.errorAt(n.Pos(), "types nested more than %d deep", maxNest)
		return nil
	}
	in := *v
	in.nest++
	walk := func(nodes ...ast.Expr) {
		for _, c := range nodes {
			if c != nil && in.err == nil {
				ast.Walk(&in, c)
			}
		}
		v.err = in.err
	}
	switch n := n.(type) {
	case *ast.FieldList:
		for _, f := range n.List {
			walk(f.Type) // names and tags may be any
		}
	case *ast.FuncType:
		if n.TypeParams != nil {
			v.err = v.p.errorAt(n.TypeParams.Pos(), "type parameters: write the type arguments in their places")
			return nil
		}
		for _, l := range []*ast.FieldList{n.Params, n.Results} {
			if l != nil && in.err == nil {
				ast.Walk(&in, l)
			}
		}
		v.err = in.err
	case *ast.StructType:
		ast.Walk(&in, n.Fields)
		v.err = in.err
	case *ast.InterfaceType:
		ast.Walk(&in, n.Methods)
		v.err = in.err
	case *ast.ArrayType:
		if n.Len != nil {
			v.length(n.Len)
			in.err = v.err
		}
		walk(n.Elt)
	case *ast.StarExpr:
		walk(n.X)
	case *ast.ParenExpr:
		walk(n.X)
	case *ast.Ellipsis:
		walk(n.Elt)
	case *ast.MapType:
		walk(n.Key, n.Value)
	case *ast.ChanType:
		walk(n.Value)
	case *ast.Ident:
		v.ident(n)
	case *ast.SelectorExpr:
		v.selector(n)
	case *ast.IndexExpr, *ast.IndexListExpr:
		v.err = v.p.errorAt(n.Pos(), "an instantiated type: its layout is not known here: write it inline, as in struct{ n int }")
	default:
		v.err = v.p.errorAt(n.Pos(), "no type: write predeclared types and type literals")
	}
	return nil
}

func (v *validator) ident(n *ast.Ident) {
	if _, ok := types.Universe.Lookup(n.Name).(*types.TypeName); ok {
		return
	}
	v.err = v.p.errorAt(n.Pos(), "type %s: its layout is not known here: write it inline, as in struct{ n int }, or *struct{} for a pointer that is not followed", n.Name)
}

func (v *validator) selector(n *ast.SelectorExpr) {
	pkg, ok := n.X.(*ast.Ident)
	if ok && pkg.Name == "unsafe" && n.Sel.Name == "Pointer" {
		return
	}
	name := n.Sel.Name
	if ok {
		name = pkg.Name + "." + name
	}
	v.err = v.p.errorAt(n.Pos(), "type %s: its layout is not known here: write it inline, as in struct{ n int }, or *struct{} for a pointer that is not followed", name)
}

// length allows constants made of literals.
func (v *validator) length(e ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.INT || e.Kind == token.CHAR {
			return
		}
	case *ast.ParenExpr:
		v.length(e.X)
		return
	case *ast.BinaryExpr:
		v.length(e.X)
		if v.err == nil {
			v.length(e.Y)
		}
		return
	}
	v.err = v.p.errorAt(e.Pos(), "the length of an array is not known: write a number")
}
