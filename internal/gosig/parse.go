// Package gosig reads the signature of a function as the user writes it in Go,
// for functions that nothing in the binary describes. Types are laid out as the
// Go compiler does for the target.
package gosig

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"strings"

	"github.com/argtap/argtap/abi"
)

const (
	// maxSource bounds the text of a signature, in bytes.
	maxSource = 1 << 14
	// maxNest bounds types within types.
	maxNest = 100
)

// Error is an error in a signature.
type Error struct {
	// Line and Column of the signature, in bytes, the first of each being 1.
	Line, Column int
	// Msg says what is wrong, and what to do.
	Msg string
}

// Error returns "signature: column 9: …".
func (e *Error) Error() string {
	if e.Line > 1 {
		return fmt.Sprintf("signature: line %d, column %d: %s", e.Line, e.Column, e.Msg)
	}
	return fmt.Sprintf("signature: column %d: %s", e.Column, e.Msg)
}

// Parse reads a signature for the architecture a. It is written as a func type,
// or as the head of a func declaration:
//
//	func(iterations int64) float64
//	func compute(iterations int64) float64
//	func (s *struct{ n int }) Add(delta int) error
//	func (s *struct{ n int }) (delta int) error
//
// The last form is no Go. It is understood as a method where it cannot be a func
// type with results; "func (a T) (b U)" is a func type. Whether the first
// parameter is a receiver makes no difference but for [abi.Signature.Method].
//
// The types may be made of the predeclared ones, unsafe.Pointer, and type
// literals; the layout of any other named type is not known and is to be
// written inline. Type parameters are replaced by type arguments: the caller
// knows from the function's name that it takes a dictionary, so
// [abi.Signature.Dict] is not set.
//
// Parameters need no names. Parameters without one are called "_", results "~r0",
// "~r1", …, as dwarfargs does. Names of types are those of the compiler: byte
// is "uint8".
//
// The error is an [*Error].
func Parse(src string, a *abi.Arch) (*abi.Signature, error) {
	p := source{text: src}
	if len(src) > maxSource {
		return nil, p.errorf(0, "%d bytes long: at most %d are read", len(src), maxSource)
	}
	decl, err := p.parse()
	if err != nil {
		return nil, err
	}
	ft, method, err := p.check(decl)
	if err != nil {
		return nil, err
	}
	t, err := p.typeOf(ft)
	if err != nil {
		return nil, err
	}
	c := converter{src: &p, ptrSize: a.PtrSize}
	sig := &abi.Signature{Method: method}
	if sig.Params, err = c.tuple(t.Params(), ft.Params, false); err != nil {
		return nil, err
	}
	if sig.Results, err = c.tuple(t.Results(), ft.Results, true); err != nil {
		return nil, err
	}
	return sig, nil
}

// source is the text of a signature, and how it became a declaration.
type source struct {
	text string
	// at is where a name was inserted, -1 if none was.
	at   int
	fset *token.FileSet
}

const (
	before   = "package p; "
	inserted = " _ "
)

// errorf makes an error at an offset of the text.
func (p *source) errorf(offset int, format string, args ...any) *Error {
	offset = max(0, min(offset, len(p.text)))
	line := strings.Count(p.text[:offset], "\n")
	return &Error{line + 1, offset - strings.LastIndexByte(p.text[:offset], '\n'), fmt.Sprintf(format, args...)}
}

// offset returns where a position of the parsed file is in the text.
func (p *source) offset(file int) int {
	n := file - len(before)
	if p.at >= 0 && n > p.at {
		n = max(p.at, n-len(inserted))
	}
	return n
}

func (p *source) errorAt(pos token.Pos, format string, args ...any) *Error {
	return p.errorf(p.offset(p.fset.Position(pos).Offset), format, args...)
}

// parse reads the text as a declaration. What is not one gets a name.
func (p *source) parse() (*ast.FuncDecl, error) {
	var err error
	if p.at, err = p.nameless(); err != nil {
		return nil, err
	}
	text := p.text
	if p.at >= 0 {
		text = text[:p.at] + inserted + text[p.at:]
	}
	p.fset = token.NewFileSet()
	f, err := parser.ParseFile(p.fset, "", before+text, parser.SkipObjectResolution)
	if err != nil {
		var list scanner.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			msg := strings.ReplaceAll(list[0].Msg, "newline", "the end")
			return nil, p.errorf(p.offset(list[0].Pos.Offset), "%s: write a Go func type, as in func(n int, s string) error", msg)
		}
		return nil, p.errorf(0, "%v", err)
	}
	if len(f.Decls) != 1 {
		return nil, p.errorf(len(p.text), "%d declarations: write one func type", len(f.Decls))
	}
	d, ok := f.Decls[0].(*ast.FuncDecl)
	if !ok {
		return nil, p.errorAt(f.Decls[0].Pos(), "no func type: write one, as in func(n int, s string) error")
	}
	if d.Body != nil {
		return nil, p.errorAt(d.Body.Pos(), "a function with a body: write the signature alone")
	}
	return d, nil
}

// nameless returns where a name is to be inserted to make a declaration of the
// text, -1 if there is one.
func (p *source) nameless() (int, error) {
	var s scanner.Scanner
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(p.text))
	s.Init(file, []byte(p.text), func(token.Position, string) {}, 0) // the parser reports errors
	end := 0
	next := func() token.Token {
		pos, tok, lit := s.Scan()
		if tok == token.SEMICOLON && lit == "\n" {
			tok = token.EOF
		}
		end = fset.Position(pos).Offset
		return tok
	}
	if tok := next(); tok != token.FUNC {
		return 0, p.errorf(end, "a signature begins with func, as in func(n int, s string) error")
	}
	afterFunc := end + len("func")
	// list skips a list in parentheses, of which the first is read, and
	// returns the token behind it.
	list := func() token.Token {
		for depth := 1; depth > 0; {
			switch next() {
			case token.LPAREN:
				depth++
			case token.RPAREN:
				depth--
			case token.EOF:
				return token.ILLEGAL
			}
		}
		return next()
	}
	switch next() {
	case token.IDENT:
		if next() == token.PERIOD {
			return 0, p.errorf(end, "a name with a package: leave the function's name out")
		}
		return -1, nil
	case token.LPAREN:
	default:
		return afterFunc, nil
	}
	switch list() {
	case token.IDENT:
		if next() == token.LPAREN {
			return -1, nil // a method
		}
	case token.LPAREN:
		first := end
		switch list() {
		case token.EOF, token.ILLEGAL:
		default:
			return first, nil // a third part: the first is the receiver
		}
	}
	return afterFunc, nil
}

// check looks for what is good Go, but not for a signature, and makes the
// receiver the first parameter.
func (p *source) check(d *ast.FuncDecl) (ft *ast.FuncType, method bool, err error) {
	if list := d.Type.TypeParams; list != nil {
		return nil, false, p.errorAt(list.Pos(), "type parameters: the layout depends on what stands for them: write the type arguments in their places")
	}
	ft = &ast.FuncType{Func: d.Type.Func, Params: &ast.FieldList{Opening: d.Type.Params.Opening, Closing: d.Type.Params.Closing}, Results: d.Type.Results}
	if d.Recv != nil {
		if n := d.Recv.NumFields(); n != 1 {
			return nil, false, p.errorAt(d.Recv.Pos(), "%d receivers: write one, or none", n)
		}
		method = true
		recv := *d.Recv.List[0]
		if named := len(d.Type.Params.List) == 0 || len(d.Type.Params.List[0].Names) > 0; named && len(recv.Names) == 0 {
			recv.Names = []*ast.Ident{{NamePos: recv.Type.Pos(), Name: "_"}}
		} else if !named {
			recv.Names = nil // a list has names or has none
		}
		ft.Params.List = append(ft.Params.List, &recv)
	}
	ft.Params.List = append(ft.Params.List, d.Type.Params.List...)
	v := validator{p: p}
	ast.Walk(&v, ft)
	if v.err != nil {
		return nil, false, v.err
	}
	return ft, method, nil
}

// typeOf has the type checker look at ft.
func (p *source) typeOf(ft *ast.FuncType) (*types.Signature, error) {
	pkg := types.NewPackage("p", "p")
	pkg.Scope().Insert(types.NewPkgName(token.NoPos, pkg, "unsafe", types.Unsafe))
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	if err := types.CheckExpr(p.fset, pkg, token.NoPos, ft, info); err != nil {
		var te types.Error
		if errors.As(err, &te) {
			return nil, p.errorAt(te.Pos, "%s", te.Msg)
		}
		return nil, p.errorf(0, "%v", err)
	}
	sig, ok := info.Types[ft].Type.(*types.Signature)
	if !ok {
		return nil, p.errorf(0, "no func type")
	}
	return sig, nil
}
