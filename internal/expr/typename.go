package expr

import (
	"go/ast"
	"go/constant"
	"go/scanner"
	"go/token"
	"strings"

	"github.com/argtap/argtap/abi"
)

// ShortName returns a type's full name with each import path replaced by the
// name that people know the package by: its last element, or where that is a
// major version, what is before it. "map[string]*net/http.Request" is
// "map[string]*http.Request", and "example.com/yaml/v3.Node" is "yaml.Node".
func ShortName(full string) string {
	var b strings.Builder
	for i := 0; i < len(full); {
		if strings.IndexByte(typePunctuation, full[i]) >= 0 {
			b.WriteByte(full[i])
			i++
			continue
		}
		n := strings.IndexAny(full[i:], typePunctuation)
		if n < 0 {
			n = len(full) - i
		}
		b.WriteString(shortWord(full[i : i+n]))
		i += n
	}
	return b.String()
}

// typePunctuation is what separates names in the name of a type.
const typePunctuation = " *[](){},;\""

// shortWord shortens one qualified name.
func shortWord(word string) string {
	slash := strings.LastIndexByte(word, '/')
	last := word[slash+1:]
	// The linker writes dots in the last element of a path as %2e.
	pkg, name, ok := strings.Cut(last, ".")
	if !ok {
		return last
	}
	if base, version, ok := strings.Cut(pkg, "%2e"); ok && isVersion(version) {
		pkg = base // gopkg.in/yaml.v3
	}
	if slash > 0 && isVersion(pkg) {
		pkg = word[strings.LastIndexByte(word[:slash], '/')+1 : slash]
	}
	return pkg + "." + name
}

// isVersion reports whether s is a major version, as v2.
func isVersion(s string) bool {
	return len(s) > 1 && s[0] == 'v' && strings.Trim(s[1:], "0123456789") == ""
}

// maskPaths makes Go of import paths in type assertions, as in
// x.(*example.com/a-b/c.T): it replaces the punctuation of the paths by letters
// of the same length. Everything else stays as it is, and where it is.
func maskPaths(text string) string {
	if !strings.Contains(text, "/") {
		return text
	}
	type tok struct {
		at  int
		tok token.Token
		lit string
	}
	var toks []tok
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, 0)
	for {
		pos, t, lit := s.Scan()
		if t == token.EOF {
			break
		}
		toks = append(toks, tok{file.Offset(pos), t, lit})
	}
	out := []byte(text)
	depth := -1 // of parentheses within the assertion, -1 outside
	for i := 0; i < len(toks); i++ {
		switch {
		case depth < 0 && toks[i].tok == token.PERIOD && i+1 < len(toks) && toks[i+1].tok == token.LPAREN:
			depth = 0
		case depth >= 0 && toks[i].tok == token.LPAREN:
			depth++
		case depth >= 0 && toks[i].tok == token.RPAREN:
			if depth--; depth == 0 {
				depth = -1
			}
		case depth >= 0 && toks[i].tok == token.IDENT:
			// A path has no spaces in it, and ends with its last slash.
			start, end, slash := toks[i].at, toks[i].at, -1
			for end < len(text) && strings.IndexByte(typePunctuation+"\t\n\r", text[end]) < 0 {
				if text[end] == '/' {
					slash = end
				}
				end++
			}
			if slash >= 0 {
				if dot := strings.IndexByte(text[slash:end], '.'); dot >= 0 {
					end = slash + dot
				}
				// Versions as in gopkg.in/yaml.v3.Node belong to the path.
				if rest := text[end:]; len(rest) > 2 {
					if v, _, ok := strings.Cut(rest[1:], "."); ok && isVersion(v) {
						end += 1 + len(v)
					}
				}
				for j := start; j < end; j++ {
					if strings.IndexByte("/.-~%+", out[j]) >= 0 {
						out[j] = '_'
					}
				}
			}
			for i+1 < len(toks) && toks[i+1].at < end {
				i++
			}
		}
	}
	return string(out)
}

// written returns what the user wrote where the parser read an identifier.
func (c *checker) written(id *ast.Ident) string {
	at := c.offset(id.Pos())
	return c.text[at:min(at+len(id.Name), len(c.text))]
}

// typeName writes a type as the debug information calls it.
func (c *checker) typeName(e ast.Expr) (name string, err error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return c.typeName(e.X)
	case *ast.Ident:
		switch name := c.written(e); {
		case e.Name == "any":
			return "interface {}", nil
		case c.basic[e.Name] != nil:
			return c.basic[e.Name].Name, nil
		case e.Name == "error" || c.Package == "" || name != e.Name:
			return name, nil
		default:
			return c.Package + "." + name, nil
		}
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			return escapePath(c.written(id)) + "." + e.Sel.Name, nil
		}
	case *ast.StarExpr:
		name, err := c.typeName(e.X)
		return "*" + name, err
	case *ast.ArrayType:
		length := ""
		if e.Len != nil {
			x, err := c.operandOf(e.Len)
			if err != nil {
				return "", err
			}
			if x.mode != isConst || constant.ToInt(x.val).Kind() != constant.Int || constant.Sign(x.val) < 0 {
				return "", c.errorAt(x.pos, "the length of an array is a constant, not negative")
			}
			length = constant.ToInt(x.val).ExactString()
		}
		name, err := c.typeName(e.Elt)
		return "[" + length + "]" + name, err
	case *ast.MapType:
		key, err := c.typeName(e.Key)
		if err != nil {
			return "", err
		}
		name, err := c.typeName(e.Value)
		return "map[" + key + "]" + name, err
	case *ast.ChanType:
		name, err := c.typeName(e.Value)
		switch e.Dir {
		case ast.SEND:
			return "chan<- " + name, err
		case ast.RECV:
			return "<-chan " + name, err
		}
		if strings.HasPrefix(name, "<-") {
			name = "(" + name + ")"
		}
		return "chan " + name, err
	case *ast.InterfaceType:
		if e.Methods == nil || len(e.Methods.List) == 0 {
			return "interface {}", nil
		}
	case *ast.IndexExpr:
		return c.instanceName(e.X, []ast.Expr{e.Index})
	case *ast.IndexListExpr:
		return c.instanceName(e.X, e.Indices)
	case *ast.StructType, *ast.FuncType:
		return "", c.unsupported(e.Pos(), "a type literal: only types with names can be asserted")
	}
	return "", c.errorAt(e.Pos(), "not a type")
}

// instanceName writes an instance of a generic type, as main.Pair[int,string].
func (c *checker) instanceName(generic ast.Expr, args []ast.Expr) (string, error) {
	name, err := c.typeName(generic)
	if err != nil {
		return "", err
	}
	var names []string
	for _, a := range args {
		arg, err := c.typeName(a)
		if err != nil {
			return "", err
		}
		names = append(names, arg)
	}
	return name + "[" + strings.Join(names, ",") + "]", nil
}

// escapePath writes an import path as the linker does in the names of symbols:
// dots in the last element are %2e (cmd/internal/objabi.PathToPrefix).
func escapePath(path string) string {
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 {
		return path
	}
	return path[:slash] + strings.ReplaceAll(path[slash:], ".", "%2e")
}

// namedType returns the type that is written, nil if there is none.
func (c *checker) namedType(e ast.Expr, what string) (*abi.Type, error) {
	name, err := c.typeName(e)
	if err != nil {
		return nil, err
	}
	if t := c.basic[name]; t != nil {
		return t, nil
	}
	if c.Types == nil {
		return nil, nil
	}
	all := c.Types.Lookup(name)
	var exact, short []*abi.Type
	for _, t := range all {
		switch {
		case t == nil || t.Kind == abi.Invalid:
		case t.Name == name:
			exact = append(exact, t)
		case ShortName(t.Name) == name:
			short = append(short, t)
		}
	}
	if len(exact) == 0 {
		exact = short
	}
	if len(exact) == 0 {
		return nil, nil
	}
	for _, t := range exact[1:] {
		switch first := exact[0]; {
		case t.Name != first.Name:
			var names []string
			for _, t := range exact {
				names = append(names, t.Name)
			}
			return nil, c.errorAt(e.Pos(), "%s can be %s: write the import path", what, strings.Join(sorted(names), " or "))
		case t.RuntimeType != first.RuntimeType && t.RuntimeType != 0 && first.RuntimeType != 0:
			return nil, c.errorAt(e.Pos(), "two types are called %s, and their names cannot tell them apart", t.Name)
		}
	}
	return c.complete(e.Pos(), exact[0])
}

// source returns the text of a part of the expression.
func (c *checker) source(e ast.Expr) string {
	return c.text[c.offset(e.Pos()):max(c.offset(e.Pos()), c.offset(e.End()))]
}

// assert is a type assertion.
func (c *checker) assert(e *ast.TypeAssertExpr) (*operand, error) {
	x, err := c.operandOf(e.X)
	if err != nil {
		return nil, err
	}
	if e.Type == nil {
		return nil, c.errorAt(e.Lparen, "a type switch is no expression")
	}
	if x.mode != isValue || x.typ == nil || x.typ.Kind != abi.Interface {
		return nil, c.errorAt(x.pos, "only an interface can be asserted to hold a type; this is %s", c.describe(x))
	}
	if _, ok := ast.Unparen(e.Type).(*ast.InterfaceType); ok {
		return nil, c.unsupported(e.Type.Pos(), "assertion of an interface type: name the type that the interface holds")
	}
	what := c.source(e.Type)
	if id, ok := e.Type.(*ast.Ident); ok && c.param(id.Name) >= 0 {
		return nil, c.errorAt(e.Type.Pos(), "%s is a parameter, and no type", what)
	}
	if what == "error" || what == "any" {
		return nil, c.unsupported(e.Type.Pos(), "assertion of an interface type: name the type that the interface holds")
	}
	t, err := c.namedType(e.Type, what)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, c.errorAt(e.Type.Pos(), "no type %s in the program%s", what, c.otherType(e.Type, what))
	}
	if t.Kind == abi.Interface {
		return nil, c.unsupported(e.Type.Pos(), "%s is an interface type: name the type that the interface holds", what)
	}
	if t.RuntimeType == 0 {
		// The predeclared types here have no descriptor; the program's have.
		if t, err = c.withDescriptor(e.Type.Pos(), t); err != nil {
			return nil, err
		}
	}
	direct, err := c.holdsItself(e.Type.Pos(), t)
	if err != nil {
		return nil, err
	}
	n := c.node(Assert, e.Lparen, t, 0, x.node)
	n.Methods, n.Direct = x.typ.NumMethod > 0, direct
	return &operand{mode: isValue, pos: e.Pos(), typ: t, node: n}, nil
}

// withDescriptor returns the type as the program describes it at run time.
func (c *checker) withDescriptor(pos token.Pos, t *abi.Type) (*abi.Type, error) {
	if c.Types != nil {
		for _, other := range c.Types.Lookup(t.Name) {
			if other != nil && other.RuntimeType != 0 && other.Name == t.Name && other.Kind == t.Kind {
				return c.complete(pos, other)
			}
		}
	}
	return nil, c.errorAt(pos, "no interface of the program can hold a %s: it has no descriptor", t.Name)
}

// otherType hints at the pointer to a type, or at what it points to.
func (c *checker) otherType(e ast.Expr, what string) string {
	other, said := ast.Expr(&ast.StarExpr{Star: e.Pos(), X: e}), "*"+what
	if p, ok := e.(*ast.StarExpr); ok {
		other, said = p.X, strings.TrimPrefix(what, "*")
	}
	if t, err := c.namedType(other, said); err != nil || t == nil || t.Kind == abi.Interface {
		return ""
	}
	return "; did you mean " + said + "?"
}
