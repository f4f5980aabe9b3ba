package expr

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"
	"time"

	"github.com/argtap/argtap/abi"
)

// maxText bounds the text of an expression, in bytes, and with it the depth of
// its tree and the size of its constants.
const maxText = 1 << 12

// Scope is what an expression can name.
type Scope struct {
	// Arch is the target's architecture. It must not be nil.
	Arch *abi.Arch
	// Params are the parameters, the receiver among them, and where the
	// expression is evaluated at a return, the results and "duration". A name
	// that is no Go identifier, or blank, cannot be said. Parameters shadow
	// what Go declares in advance.
	Params []abi.Param
	// Moved are the types of the pointers by which variables are reached that were
	// moved to the heap, by the number of the parameter: a parameter that is in it
	// has the address of the variable that Params describes.
	Moved map[int]*abi.Type
	// Types has the types that are not parts of the parameters' types. It may be
	// nil.
	Types Types
	// Package is the import path of the function's package, whose types need no
	// package name. It may be empty.
	Package string
	// Direct reports whether an interface that holds a value of the type holds
	// the value itself, and not its address. It may be nil: then what is the
	// same in all Go releases is known, and the rest is an error.
	Direct func(*abi.Type) bool
	// Results says that the parameters include results.
	Results bool
	// Durations says that there are constants of [DurationType] such as 10ms and
	// 1h30m.
	Durations bool
}

// Types finds types of the target.
type Types interface {
	// Lookup returns the types that are called name: those with the full
	// name, or if there are none those whose [ShortName] it is. Types are
	// called as the compiler's debug information does it: "*fs.PathError",
	// "[]uint8", "main.Stack[int]". A type that was not read completely is not
	// returned.
	Lookup(name string) []*abi.Type
}

// Expr is an expression whose meaning is known. It is immutable.
type Expr struct {
	// Text is what the user wrote.
	Text string
	// Root computes the value.
	Root *Node

	arch *abi.Arch
}

// Of makes an expression of a tree that was made of parts of others.
func Of(a *abi.Arch, root *Node) *Expr { return &Expr{Root: root, arch: a} }

// Type returns the type of the value.
func (e *Expr) Type() *abi.Type { return e.Root.Type }

// String returns the text.
func (e *Expr) String() string { return e.Text }

// Compile understands the text of an expression. The error is an [*Error].
//
// Types are untrusted: those that contradict themselves are an error where the
// expression needs them.
func Compile(text string, s *Scope) (*Expr, error) {
	x, c, err := analyse(text, s)
	if err != nil {
		return nil, err
	}
	root, err := c.value(x, nil)
	if err != nil {
		return nil, err
	}
	return &Expr{Text: text, Root: root, arch: s.Arch}, nil
}

// Condition is [Compile] for an expression that must be a bool.
func Condition(text string, s *Scope) (*Expr, error) {
	x, c, err := analyse(text, s)
	if err != nil {
		return nil, err
	}
	if !x.isBool() {
		return nil, c.errorAt(x.pos, "a condition is a bool; this is %s: compare it with something", c.describe(x))
	}
	root, err := c.value(x, nil)
	if err != nil {
		return nil, err
	}
	return &Expr{Text: text, Root: root, arch: s.Arch}, nil
}

// checker is the state of one analysis.
type checker struct {
	*Scope
	text string
	base int // the position of the text's first byte
	// basic has the predeclared types, by name.
	basic map[string]*abi.Type
	// found has what Lookup returned for types that were not read.
	found map[string]*abi.Type
	// called says that there was a call whose result is no constant, since
	// somebody has set it to false.
	called bool
	// durations are the constants of DurationType, by their offsets in the text.
	durations map[int]time.Duration
}

// analyse parses the text and gives it types.
func analyse(text string, s *Scope) (*operand, *checker, error) {
	c := &checker{Scope: s, text: text, basic: basicTypes(s.Arch.PtrSize), found: map[string]*abi.Type{}}
	if len(text) > maxText {
		c.base = 1
		return nil, nil, c.errorAt(1, "%d bytes long: at most %d are read", len(text), maxText)
	}
	if strings.TrimSpace(text) == "" {
		c.base = 1
		return nil, nil, c.errorAt(1, "it is empty")
	}
	source := text
	if s.Durations {
		var at int
		var wrong string
		if source, c.durations, at, wrong = maskDurations(text); wrong != "" {
			c.base = 1
			return nil, nil, c.errorAt(token.Pos(at+1), "%s", wrong)
		}
	}
	fset := token.NewFileSet()
	root, err := parser.ParseExprFrom(fset, "", maskPaths(source), parser.SkipObjectResolution)
	fset.Iterate(func(f *token.File) bool {
		c.base = f.Base()
		return false
	})
	if err != nil {
		var list scanner.ErrorList
		if !errors.As(err, &list) || len(list) == 0 {
			return nil, nil, c.errorAt(token.Pos(c.base), "%v", err)
		}
		return nil, nil, c.errorAt(token.Pos(c.base+list[0].Pos.Offset), "%s", syntaxMessage(list[0].Msg))
	}
	x, err := c.expr(root)
	if err != nil {
		return nil, nil, err
	}
	if x.mode == isType {
		return nil, nil, c.errorAt(x.pos, "%s is a type, and no value", x.name)
	}
	return x, c, nil
}

// expr gives an expression a type. The operand is a value, a constant, nil, or
// a type.
func (c *checker) expr(e ast.Expr) (*operand, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return c.expr(e.X)
	case *ast.Ident:
		return c.ident(e)
	case *ast.BasicLit:
		return c.literal(e)
	case *ast.SelectorExpr:
		return c.selector(e)
	case *ast.StarExpr:
		return c.star(e)
	case *ast.UnaryExpr:
		return c.unary(e)
	case *ast.BinaryExpr:
		return c.binary(e)
	case *ast.IndexExpr:
		return c.index(e)
	case *ast.SliceExpr:
		return c.slice(e)
	case *ast.TypeAssertExpr:
		return c.assert(e)
	case *ast.CallExpr:
		return c.call(e)
	case *ast.CompositeLit:
		return nil, c.unsupported(e.Pos(), "composite literal: expressions make no values")
	case *ast.FuncLit:
		return nil, c.unsupported(e.Pos(), "function literal: expressions call no functions")
	case *ast.IndexListExpr:
		return nil, c.unsupported(e.Pos(), "instantiation: expressions call no functions")
	case *ast.KeyValueExpr, *ast.Ellipsis, *ast.BadExpr:
		return nil, c.errorAt(e.Pos(), "not an expression")
	}
	return nil, c.unsupported(e.Pos(), "a type, and no value")
}

// operandOf is expr for what must have a value.
func (c *checker) operandOf(e ast.Expr) (*operand, error) {
	x, err := c.expr(e)
	if err == nil && x.mode == isType {
		return nil, c.errorAt(x.pos, "%s is a type, and no value", x.name)
	}
	return x, err
}

// ident resolves a name: of a parameter, or of what Go declares in advance.
func (c *checker) ident(e *ast.Ident) (*operand, error) {
	pos := e.Pos()
	if e.Name == "_" {
		return nil, c.errorAt(pos, "_ is no name of a value; parameters: %s", list(c.paramNames()))
	}
	if i := c.param(e.Name); i >= 0 {
		if slot := c.paramAfter(e.Name, i); slot >= 0 {
			return nil, c.errorAt(pos, "%s is the name of parameters %d and %d", e.Name, i, slot)
		}
		t, err := c.complete(pos, c.Params[i].Type)
		if err != nil {
			return nil, err
		}
		n := c.node(Param, pos, t, int64(i))
		if ptr := c.Moved[i]; ptr != nil {
			n = c.node(Deref, pos, t, 0, c.node(Param, pos, ptr, int64(i)))
		}
		return &operand{mode: isValue, pos: pos, typ: t, addressable: true, node: n}, nil
	}
	switch e.Name {
	case "true", "false":
		return untypedConst(pos, untypedBool, boolConst(e.Name == "true")), nil
	case "nil":
		return &operand{mode: isNil, pos: pos}, nil
	case "iota":
		return nil, c.errorAt(pos, "iota has a value in declarations of constants only")
	}
	if builtin[e.Name] {
		return nil, c.errorAt(pos, "%s is a function and must be called", e.Name)
	}
	t, err := c.namedType(e, e.Name)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return &operand{mode: isType, pos: pos, typ: t, name: e.Name}, nil
	}
	names := c.paramNames()
	if c.Results {
		return nil, c.errorAt(pos, "no parameter or result %s; there are: %s%s", e.Name, list(names), didYouMean(e.Name, names))
	}
	return nil, c.errorAt(pos, "no parameter %s; parameters: %s%s", e.Name, list(names), didYouMean(e.Name, names))
}

// param returns the index of the first parameter with the name, or -1.
func (c *checker) param(name string) int { return c.paramAfter(name, -1) }

func (c *checker) paramAfter(name string, i int) int {
	for i++; i < len(c.Params); i++ {
		if c.Params[i].Name == name {
			return i
		}
	}
	return -1
}

// paramNames returns the names that can be said.
func (c *checker) paramNames() []string {
	var names []string
	for _, p := range c.Params {
		if token.IsIdentifier(p.Name) && p.Name != "_" {
			names = append(names, p.Name)
		}
	}
	return names
}

// node makes an operation.
func (c *checker) node(op Op, pos token.Pos, t *abi.Type, n int64, operands ...*Node) *Node {
	node := &Node{Op: op, Type: t, N: n, Column: c.offset(pos) + 1}
	for i, x := range operands {
		*[]**Node{&node.X, &node.Y, &node.Hi, &node.Max}[i] = x
	}
	return node
}
