package matrix

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/argtap/argtap/internal/fixture"
)

// Signatures writes the signatures of a program's functions as somebody would
// who has the source and traces the file without debug information: with all
// types declared in line. Those of generic functions are left out, and what
// is behind more pointers than are followed. The keys are the names that the
// program announces.
func Signatures(p fixture.Program) (map[string]string, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range slices.Sorted(maps.Keys(p.Source)) {
		f, err := parser.ParseFile(fset, name, p.Source[name], parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	// Of the package truth, which is not there, no signature speaks.
	conf := types.Config{IgnoreFuncBodies: true, Importer: std{}, Error: func(error) {}}
	pkg, _ := conf.Check("main", fset, files, nil)
	sigs := map[string]string{}
	for _, fn := range p.Funcs {
		if fn.Generic {
			continue
		}
		parts := []string{fn.Signature}
		if fn.Recv != "" {
			parts = append(parts, "("+fn.Recv+")")
		}
		for i, part := range parts {
			text, err := resolve(fset, pkg, files, part)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", fn.Name, err)
			}
			parts[i] = text
			if text == "" {
				parts = nil
				break
			}
		}
		if parts == nil {
			continue
		}
		if fn.Recv != "" {
			sigs[fn.Name] = "func " + parts[1] + " f" + parts[0]
		} else {
			sigs[fn.Name] = "func" + parts[0]
		}
	}
	return sigs, nil
}

// std imports packages of the standard library, from source.
type std struct{}

var stdImporter = sync.OnceValue(func() types.Importer {
	return importer.ForCompiler(token.NewFileSet(), "source", nil)
})

var stdLock sync.Mutex

func (std) Import(path string) (*types.Package, error) {
	if strings.HasPrefix(path, "fixture/") {
		return nil, fmt.Errorf("package %s is not here", path)
	}
	stdLock.Lock()
	defer stdLock.Unlock()
	return stdImporter().Import(path)
}

// resolve writes the parameters and results of a function type with all types
// in line. It returns nothing where one contains itself and not behind a pointer.
func resolve(fset *token.FileSet, pkg *types.Package, files []*ast.File, text string) (string, error) {
	var err error
	for _, f := range files { // one of them imports what the type names
		var tv types.TypeAndValue
		if tv, err = types.Eval(fset, pkg, f.FileEnd-1, "func"+text); err != nil {
			continue
		}
		sig := tv.Type.(*types.Signature)
		var params, results []string
		in := inliner{within: map[*types.Named]int{}}
		for i := range sig.Params().Len() {
			v := sig.Params().At(i)
			t, prefix := v.Type(), ""
			if sig.Variadic() && i == sig.Params().Len()-1 {
				t, prefix = t.(*types.Slice).Elem(), "..."
			}
			name := v.Name()
			if name == "" {
				name = "_"
			}
			params = append(params, name+" "+prefix+in.inline(t, 0))
		}
		for i := range sig.Results().Len() {
			results = append(results, in.inline(sig.Results().At(i).Type(), 0))
		}
		if in.endless {
			return "", nil
		}
		out := "(" + strings.Join(params, ", ") + ")"
		if len(results) > 0 {
			out += " (" + strings.Join(results, ", ") + ")"
		}
		return out, nil
	}
	return "", err
}

// maxPointers is more pointers than any of the limits has followed.
const maxPointers = 5

// inliner writes types without any that is declared.
type inliner struct {
	// within are the declared types that are being written, and behind how many
	// pointers.
	within  map[*types.Named]int
	endless bool
}

// inline writes a type. pointers counts those that lead to it.
func (in *inliner) inline(t types.Type, pointers int) string {
	if in.endless {
		return ""
	}
	if named, ok := t.(*types.Named); ok {
		before, again := in.within[named]
		if again && before == pointers {
			in.endless = true
			return ""
		}
		in.within[named] = pointers
		defer func() {
			delete(in.within, named)
			if again {
				in.within[named] = before
			}
		}()
	}
	switch t := t.(type) {
	case *types.Pointer:
		if pointers++; pointers > maxPointers {
			return "*byte" // not followed
		}
		return "*" + in.inline(t.Elem(), pointers)
	case *types.Slice:
		return "[]" + in.inline(t.Elem(), pointers)
	case *types.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), in.inline(t.Elem(), pointers))
	case *types.Map:
		return "map[" + in.inline(t.Key(), pointers) + "]" + in.inline(t.Elem(), pointers)
	case *types.Chan:
		return "chan " + in.inline(t.Elem(), pointers)
	case *types.Signature:
		return "func()"
	case *types.Interface:
		if t.NumMethods() == 0 {
			return "any"
		}
		return "error" // what it can hold is not captured
	case *types.Struct:
		var b strings.Builder
		b.WriteString("struct{")
		for i := range t.NumFields() {
			if i > 0 {
				b.WriteString("; ")
			}
			f := t.Field(i) // an embedded one under its type's name
			b.WriteString(f.Name() + " " + in.inline(f.Type(), pointers))
		}
		b.WriteString("}")
		return b.String()
	case *types.Basic:
		return types.TypeString(t, nil)
	}
	return in.inline(t.Underlying(), pointers) // declared, or an alias
}
