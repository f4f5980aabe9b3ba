package expr

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// FuzzCompile: any text gives an error that says where, or an expression that
// can be evaluated over anything.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		"r.URL.Path", "len(body)", "*p.next", `m["key"]`, "err.(*fs.PathError).Path", "s[:16]", "buf[3].name",
		`n > 1000 && s == "GET"`, "1<<n>>3 != 'a'/2.0", "x.(*example.com/a-b/c.v2.T)", "x.([1<<3]map[string]chan<- int)",
		"real(1i)*0x1p-1074", "s[i:n][n:][:len(s):2]", "//line x:9999\n)", "a.b.c.(d)(e)[f]{g}", "\xff", "func() { a }()",
		"e.(main.Pair[int8,string]).First", "((((((((i))))))))", "-n / (i-i) % 2 &^ 7 >> n", "\"\\xff\"[0] == s[0]",
	} {
		f.Add(text)
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	scope := &Scope{Arch: abi.AMD64, Package: "main"}
	for i := range 200 {
		w := newWorld(f, rand.New(rand.NewPCG(uint64(i%4), 1)))
		if i == 0 {
			*scope = *w.scope
		}
		f.Add(w.expression(3))
	}
	params := make([][]byte, len(scope.Params))
	for i, p := range scope.Params {
		params[i] = make([]byte, p.Type.Size)
		for j := range params[i] {
			params[i][j] = byte(rnd.Uint32() & rnd.Uint32() & rnd.Uint32())
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Compile(text, scope)
		if err != nil {
			var ee *Error
			if !errors.As(err, &ee) || ee.Column < 1 || ee.Column > len(text)+1 || ee.Message == "" || strings.Contains(ee.Error(), "\n") {
				t.Fatalf("%q: error %#v", text, err)
			}
			if caret := ee.Caret(); strings.Count(caret, "\n") != 1 || !strings.HasSuffix(caret, "^") {
				t.Fatalf("%q: %q", text, caret)
			}
			return
		}
		walk(e.Root, func(n *Node) {
			if n.Type == nil || n.Type.Kind == abi.Invalid || n.Column < 1 || n.Column > len(text) {
				t.Fatalf("%q: %s: incomplete", text, n.Op)
			}
		})
		v, why := Eval(e, params, garbage{})
		if why == Present && int64(len(v.Bytes)) != e.Type().Size {
			t.Fatalf("%q: %d bytes for a %s", text, len(v.Bytes), e.Type())
		}
		Eval(e, nil, garbage{})
		_ = e.Root.String()
		for _, p := range Touched(e) {
			if p.Param < 0 || p.Param >= len(params) || p.Offset < 0 || p.Size <= 0 {
				t.Fatalf("%q: touches %+v", text, p)
			}
		}
	})
}

// walk visits a tree.
func walk(n *Node, visit func(*Node)) {
	if n == nil {
		return
	}
	visit(n)
	for _, x := range []*Node{n.X, n.Y, n.Hi, n.Max} {
		walk(x, visit)
	}
}
