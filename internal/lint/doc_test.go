package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// wellKnown are methods whose meaning the interface fixes that they are for:
// error, fmt.Stringer, errors.Unwrap and errors.Is.
var wellKnown = []string{"Error", "String", "Unwrap", "Is"}

// undocumented returns the exported identifiers of a file that have no doc
// comment. A comment on a group of constants or variables serves them all.
func undocumented(f *ast.File) (missing []*ast.Ident) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc != nil || !d.Name.IsExported() || d.Recv != nil &&
				(!receiver(d.Recv).IsExported() || slices.Contains(wellKnown, d.Name.Name)) {
				continue
			}
			missing = append(missing, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					alone := d.Doc != nil && !d.Lparen.IsValid()
					if spec.Name.IsExported() && !alone && spec.Doc == nil && spec.Comment == nil {
						missing = append(missing, spec.Name)
					}
				case *ast.ValueSpec:
					if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
						continue
					}
					for _, name := range spec.Names {
						if name.IsExported() {
							missing = append(missing, name)
						}
					}
				}
			}
		}
	}
	return missing
}

// receiver returns the name of a method's receiver type.
func receiver(list *ast.FieldList) *ast.Ident {
	e := list.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return ast.NewIdent("_")
		}
	}
}

func TestDocComments(t *testing.T) {
	packages := map[string]bool{} // by directory: has a package comment
	for _, f := range goFiles(t) {
		if f.test || strings.HasPrefix(f.dir, ".") && f.dir != "." {
			continue
		}
		packages[f.dir] = packages[f.dir] || f.ast.Doc != nil
		if f.ast.Name.Name == "main" {
			continue
		}
		for _, id := range undocumented(f.ast) {
			t.Errorf("%s: exported %s has no doc comment", f.fset.Position(id.Pos()), id.Name)
		}
	}
	for dir, ok := range packages {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestDocRule makes sure that the rule can be broken.
func TestDocRule(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
type A int
// B is good.
type B int
func (B) String() string
func (B) Method()
func (*G[T]) Method()
func (b) Method()
// Good constants.
const (
	C = 1
)
var D, d int
const E = 1 // good
// F is good.
func F()
func H()
func h()
`, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, id := range undocumented(f) {
		got = append(got, id.Name)
	}
	if want := "A Method Method D H"; strings.Join(got, " ") != want {
		t.Errorf("undocumented are %s, want %s", got, want)
	}
}
