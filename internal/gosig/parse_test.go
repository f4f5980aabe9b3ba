package gosig

import (
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// describe writes a signature with all of the layout.
func describe(s *abi.Signature) string {
	var b strings.Builder
	if s.Method {
		b.WriteString("method ")
	}
	list := func(params []abi.Param) {
		for i, p := range params {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(p.Name + " ")
			layout(&b, p.Type)
		}
	}
	list(s.Params)
	if len(s.Results) > 0 {
		b.WriteString(" -> ")
		list(s.Results)
	}
	return b.String()
}

func layout(b *strings.Builder, t *abi.Type) {
	fmt.Fprintf(b, "%s:%d/%d", t.Kind, t.Size, t.Align)
	if t.Len != 0 {
		fmt.Fprintf(b, "*%d", t.Len)
	}
	if t.NumMethod != 0 {
		fmt.Fprintf(b, " m%d", t.NumMethod)
	}
	if t.Key != nil {
		b.WriteByte('[')
		layout(b, t.Key)
		b.WriteByte(']')
	}
	if t.Elem != nil {
		b.WriteByte('(')
		layout(b, t.Elem)
		b.WriteByte(')')
	}
	if t.Kind == abi.Struct {
		b.WriteByte('{')
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteByte(' ')
			}
			if f.Embedded {
				b.WriteByte('+')
			}
			fmt.Fprintf(b, "%s@%d ", f.Name, f.Offset)
			layout(b, f.Type)
		}
		b.WriteByte('}')
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		src  string
		arch *abi.Arch // nil: amd64
		want string    // describe
		sig  string    // Signature.String; "": src
	}{
		{src: "func()", want: ""},
		{src: "func(iterations int64) float64", want: "iterations int64:8/8 -> ~r0 float64:8/8"},
		{src: "func(int, string) (bool, error)", want: "_ int:8/8, _ string:16/8 -> ~r0 bool:1/1, ~r1 interface:16/8 m1"},
		{src: "func(a, _ uint8, n uintptr) (x int, err error)", sig: "func(a uint8, _ uint8, n uintptr) (x int, err error)",
			want: "a uint8:1/1, _ uint8:1/1, n uintptr:8/8 -> x int:8/8, err interface:16/8 m1"},
		{src: " func f ( x int ) ;", want: "x int:8/8", sig: "func(x int)"},
		{src: "func\tf(\n\tx int,\n\ty string,\n)\n", want: "x int:8/8, y string:16/8", sig: "func(x int, y string)"},
		{src: "func (s *struct{ n int }) Add(delta int) error", sig: "func (s *struct { n int }) (delta int) error",
			want: "method s pointer:8/8(struct:8/8{n@0 int:8/8}), delta int:8/8 -> ~r0 interface:16/8 m1"},
		{src: "func (s *struct{ n int }) (delta int) error", sig: "func (s *struct { n int }) (delta int) error",
			want: "method s pointer:8/8(struct:8/8{n@0 int:8/8}), delta int:8/8 -> ~r0 interface:16/8 m1"},
		{src: "func (s int) () (x int)", sig: "func (s int) () (x int)", want: "method s int:8/8 -> x int:8/8"},
		{src: "func (int) M(x uint8)", sig: "func (int) (x uint8)", want: "method _ int:8/8, x uint8:1/1"},
		{src: "func (s int) M(uint8)", sig: "func (int) (uint8)", want: "method _ int:8/8, _ uint8:1/1"},
		{src: "func (s int) M()", sig: "func (s int) ()", want: "method s int:8/8"},
		{src: "func (a int) (b uint8)", sig: "func(a int) (b uint8)", want: "a int:8/8 -> b uint8:1/1"},
		{src: "func(x byte, r rune, a any)", sig: "func(x uint8, r int32, a interface {})",
			want: "x uint8:1/1, r int32:4/4, a interface:16/8"},
		{src: "func(format string, args ...any)", sig: "func(format string, args []interface {})",
			want: "format string:16/8, args slice:24/8(interface:16/8)"},
		{src: "func(p unsafe.Pointer, f func(int, ...string) (bool, error))", sig: "func(p unsafe.Pointer, f func(int, ...string) (bool, error))",
			want: "p unsafe.Pointer:8/8, f func:8/8"},
		{src: "func(c <-chan chan<- (<-chan int), d chan (<-chan int))",
			sig:  "func(c <-chan chan<- <-chan int, d chan (<-chan int))",
			want: "c chan:8/8(chan:8/8(chan:8/8(int:8/8))), d chan:8/8(chan:8/8(int:8/8))"},
		{src: "func(m map[[2]string]*[3 << 1]complex64)", sig: "func(m map[[2]string]*[6]complex64)",
			want: "m map:8/8[array:32/8*2(string:16/8)](pointer:8/8(array:48/4*6(complex64:8/4)))"},
		{src: "func(i interface{ M(int) string; error })", sig: "func(i interface { Error() string; M(int) string })",
			want: "i interface:16/8 m2"},
		{src: "func(s struct { a int8; _ int32; int; *string `json:\"x\"`; e struct{} })",
			sig:  "func(s struct { a int8; _ int32; int; *string \"json:\\\"x\\\"\"; e struct {} })",
			want: "s struct:32/8{a@0 int8:1/1 _@4 int32:4/4 +int@8 int:8/8 +string@16 pointer:8/8(string:16/8) e@24 struct:0/1{}}"},
		{src: "func(a int8, b struct{ x int8; y int64 }, c complex128, s []float32)", arch: abi.I386,
			sig:  "func(a int8, b struct { x int8; y int64 }, c complex128, s []float32)",
			want: "a int8:1/1, b struct:12/4{x@0 int8:1/1 y@4 int64:8/4}, c complex128:16/4, s slice:12/4(float32:4/4)"},
		{src: "func(a int, b struct{ x int8; y int64 })", arch: abi.ARM64,
			sig:  "func(a int, b struct { x int8; y int64 })",
			want: "a int:8/8, b struct:16/8{x@0 int8:1/1 y@8 int64:8/8}"},
	}
	for _, tt := range tests {
		a := tt.arch
		if a == nil {
			a = abi.AMD64
		}
		sig, err := Parse(tt.src, a)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got := describe(sig); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.src, got, tt.want)
		}
		want := tt.sig
		if want == "" {
			want = tt.src
		}
		if got := sig.String(); got != want {
			t.Errorf("%s: written as %s, want %s", tt.src, got, want)
		}
		if _, err := abi.Internal(a, sig); err != nil {
			t.Errorf("%s: %v", tt.src, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"", "column 1: a signature begins with func"},
		{"int", "column 1: a signature begins with func"},
		{"(x int)", "column 1: a signature begins with func"},
		{"func", "column 5: "},
		{"func(x", "column 7: "},
		{"func(x int", "column 11: missing ',' before the end in parameter list: write a Go func type, as in"},
		{"func(x int) (y int", "column 19: "},
		{"func(x int) {}", "column 13: a function with a body"},
		{"func(x int) func f()", "column 18: expected"},
		{"func(x int); func(y int)", "column 25: "},
		{"func(x int); var y int", "column 23: 2 declarations"},
		{"func(x, string int, bool)", "column 25: "},
		{"func main.f(x int)", "column 10: a name with a package: leave the function's name out"},
		{"func f[T any](x T)", "column 7: type parameters: the layout depends"},
		{"func [T any](x T)", "column 6: type parameters"},
		{"func(f func[T any](T))", "column 12: "},
		{"func(t time.Time) error", "column 8: type time.Time: its layout is not known here: write it inline"},
		{"func(x int, t *T) error", "column 16: type T: its layout is not known here"},
		{"func(x Stack[int])", "column 8: an instantiated type"},
		{"func(x unsafe.Slice)", "column 8: type unsafe.Slice: its layout"},
		{"func(x nil)", "column 8: type nil: its layout"},
		{"func(x len)", "column 8: type len: its layout"},
		{"func(x comparable)", "column 8: "},
		{"func(x interface{ comparable })", "column 8: "},
		{"func(x interface{ ~int })", "column 19: no type"},
		{"func(x int | string)", "column 12: "},
		{"func(x [n]int)", "column 9: the length of an array is not known: write a number"},
		{"func(x [...]int)", "column 9: "},
		{"func(x [-1]int)", "column 9: the length of an array"},
		{"func(x [1 - 2]int)", "column 9: invalid array length"},
		{"func(x [1 / 0]int)", "column 13: invalid operation: division by zero"},
		{"func(x [1.5]int)", "column 9: the length of an array"},
		{"func(x [len(string)]int)", "column 9: the length of an array"},
		{"func(x map[[]int]int)", "column 12: invalid map key"},
		{"func(x, x int)", "column 9: x redeclared"},
		{"func(x struct{ a, a int })", "column 19: a redeclared"},
		{"func(x ...int, y int)", "column 8: can only use ... with final parameter"},
		{"func (a, b int) M()", "column 6: 2 receivers: write one, or none"},
		{"func (a T) M()", "column 9: type T: its layout"},
		{"func (a int) (x T) (y int)", "column 17: type T: its layout"},
		{"func (a int) (x int) (y T)", "column 25: type T: its layout"},
		{"func(\n\tx int,\n\ty T,\n)", "line 3, column 4: type T: its layout"},
		{"func(x [1 << 40]int)", "column 8: type [1099511627776]int: too large for an argument"},
		{"func(x [1 << 61]int64)", "too large for an argument"},
		{"func(x [1 << 61][1 << 61]struct{})", ""}, // of no size
		{"func(\"x\" int)", "column 6: "},
		{"func(x int /*", "comment not terminated"},
		{"func(x " + strings.Repeat("*", 200) + "int)", "types nested more than 100 deep"},
		{"func(" + strings.Repeat("x", maxSource) + " int)", "column 1: 16394 bytes long: at most 16384 are read"},
	} {
		_, err := Parse(tt.src, abi.AMD64)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.src, err)
			}
			continue
		}
		var pe *Error
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.src, err, tt.want)
		}
	}
}

// TestSizes compares the layout of types with that of go/types, which the
// compiler's own tests hold to be the compiler's.
func TestSizes(t *testing.T) {
	list := []string{"bool", "int16", "int", "int64", "float32", "complex64", "complex128", "string", "error", "[]int", "uintptr",
		"[3]int16", "[0]int64", "struct{}", "[2]struct{ a int8; b int64 }", "unsafe.Pointer", "map[int]int", "func()", "chan int"}
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		sizes := types.SizesFor("gc", a.GOARCH)
		for i, x := range list {
			y, z := list[(i*7+3)%len(list)], list[(i*5+1)%len(list)]
			text := fmt.Sprintf("struct { a %s; b struct { _ %s; c %s }; d %s }", x, y, z, x)
			sig, err := Parse("func("+text+")", a)
			if err != nil {
				t.Fatal(err)
			}
			pkg := types.NewPackage("p", "p")
			pkg.Scope().Insert(types.NewPkgName(0, pkg, "unsafe", types.Unsafe))
			tv, err := types.Eval(token.NewFileSet(), pkg, 0, text)
			if err != nil {
				t.Fatal(err)
			}
			same(t, a.GOARCH+": "+text, sig.Params[0].Type, tv.Type, sizes)
		}
	}
}

func same(t *testing.T, name string, have *abi.Type, want types.Type, sizes types.Sizes) {
	t.Helper()
	if s, a := sizes.Sizeof(want), sizes.Alignof(want); have.Size != s || have.Align != a {
		t.Errorf("%s: %s has size %d, alignment %d, want %d, %d", name, have, have.Size, have.Align, s, a)
	}
	st, ok := want.(*types.Struct)
	if !ok {
		return
	}
	vars := make([]*types.Var, st.NumFields())
	for i := range vars {
		vars[i] = st.Field(i)
	}
	for i, off := range sizes.Offsetsof(vars) {
		if have.Fields[i].Offset != off {
			t.Errorf("%s: %s: field %d at %d, want %d", name, have, i, have.Fields[i].Offset, off)
		}
		same(t, name, have.Fields[i].Type, vars[i].Type(), sizes)
	}
}

// TestDeep must not take time that is exponential in the depth.
func TestDeep(t *testing.T) {
	text := strings.Repeat("struct{ a int8; b ", 45) + "int64" + strings.Repeat("}", 45)
	sig, err := Parse("func("+text+")", abi.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	if got := sig.Params[0].Type.Size; got != 46*8 {
		t.Errorf("%d bytes", got)
	}
}
