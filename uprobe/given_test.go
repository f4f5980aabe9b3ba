package uprobe

import (
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

// givenSource has functions of which sizes alone tell too little.
var givenSource = fixture.Source{
	"main.go": `package main

import "os"

type stack[T any] struct {
	n int
	v []T
}

//go:noinline
func (s *stack[T]) push(v T) { s.n++; s.v = append(s.v, v) }

//go:noinline
func larger[T int | string](a, b T) T {
	f := func(x T, k int) bool { os.Exit(k); return x == a }
	if call(f, b) {
		return a
	}
	return b
}

//go:noinline
func call[T int | string](f func(T, int) bool, x T) bool { return f(x, 7) }

//go:noinline
func float(x float64, n int64) float64 { os.Getenv("x"); return x + float64(n) }

//go:noinline
func pair(a, b int32, s string) int { return len(os.Getenv(s)) + int(a) + int(b) }

func sum(a, b int64) int64

func main() {
	var s stack[int]
	s.push(larger(len(os.Args), 5))
	os.Exit(int(float(1.5, 2)) + pair(1, 2, "s") + int(sum(3, 4)))
}
`,
	"sum_amd64.s": `#include "textflag.h"
TEXT ·sum(SB),NOSPLIT,$0-24
	MOVQ a+0(FP), AX
	ADDQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET
`,
	"sum_arm64.s": `#include "textflag.h"
TEXT ·sum(SB),NOSPLIT,$0-24
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	ADD R0, R1
	MOVD R1, ret+16(FP)
	RET
`,
}

// TestGiven gives signatures, right and wrong, of functions in a stripped
// program.
func TestGiven(t *testing.T) {
	path := fixture.Build(t, givenSource, "GOARCH=amd64", "-ldflags=-s -w")
	for _, tt := range []struct {
		fn, sig string
		// places are where the parameters are said to be; err is what the error
		// names instead.
		places, err string
	}{
		// Integers and floats of one size are told apart by the registers that
		// are saved when the stack grows.
		{"main.float", "func(x float64, n int64) float64", "X0:8; RAX:8", ""},
		{"main.float", "func(x, n int64) float64", "", "register X0, not RAX"},
		{"main.float", "func(x, n float64) float64", "", "register RAX, not X1"},
		{"main.pair", "func(a int32, b float32, s string) int", "", "register RBX, not X0"},
		{"main.pair", "func(a, b int32, s string) int", "RAX:4; RBX:4; RCX:8 RDI:8", ""},
		// The name says where the dictionary is, however the receiver is written.
		{"main.(*stack[go.shape.int]).push", "func (s *struct{ n int; v []int }) push(v int)", "RAX:8; RCX:8", ""},
		{"main.(*stack[go.shape.int]).push", "func(s *struct{ n int; v []int }, v int)", "RAX:8; RCX:8", ""},
		{"main.larger[go.shape.int]", "func(a, b int) int", "RBX:8; RCX:8", ""},
		{"main.larger[go.shape.int]", "func(a int) f(b int) int", "RBX:8; RCX:8", ""},
		// Closures in generic code may take one, or not.
		{"main.larger[go.shape.int].func1", "func(x, k int) bool", "", "closure in generic code"},
		{"main.larger[go.shape.int].func1", "func(k int) bool", "", "closure in generic code"},
		// Assembly with arguments on the stack has the declaration's sizes; the
		// other may have them in registers, as this one.
		{"main.sum.abi0", "func(a, b int64) int64", "[CFA+0]:8; [CFA+8]:8", ""},
		{"main.sum.abi0", "func(a, b int32) int64", "", "0:8, not 0:4"},
		{"runtime.memmove", "func(to, from unsafe.Pointer, n uintptr)", "", "assembly"},
	} {
		fs, err := Inspect(path, tt.fn, WithSignature(tt.sig))
		if tt.err != "" {
			if !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %s: error %v, want %v with %q", tt.fn, tt.sig, err, ErrSignature, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %s: %v", tt.fn, tt.sig, err)
			continue
		}
		if got := places(fs[0]); got != tt.places || fs[0].Source() != SourceGiven {
			t.Errorf("%s: %s: at %s from %v, want %s", tt.fn, tt.sig, got, fs[0].Source(), tt.places)
		}
	}
}

func places(f *Func) string {
	var places []string
	for _, p := range f.Params() {
		places = append(places, p.LocationText())
	}
	return strings.Join(places, "; ")
}

// TestTableLacksFirst shows arguments of generic code as words: that of which
// nothing is recorded is not passed over.
func TestTableLacksFirst(t *testing.T) {
	path := fixture.Build(t, givenSource, "GOARCH=amd64", "-ldflags=-s -w")
	const cut = "(cut at the compiler's limit):0; "
	for fn, want := range map[string]string{
		"main.(*stack[go.shape.int]).push": cut + "RCX:8", // not the dictionary
		"main.larger[go.shape.int]":        "RBX:8; RCX:8",
		"main.larger[go.shape.int].func1":  cut + "RBX:8",
		"main.sum.abi0":                    "[CFA+0]:8; [CFA+8]:8",
	} {
		fs, err := Inspect(path, fn)
		if err != nil {
			t.Fatal(err)
		}
		if got := places(fs[0]); got != want || fs[0].Source() != SourceArgInfo {
			t.Errorf("%s: at %s from %v, want %s", fn, got, fs[0].Source(), want)
		}
	}
}

// TestGivenAssembly: debug information does not describe assembly, so it is no
// reason to ignore what the user says.
func TestGivenAssembly(t *testing.T) {
	path := fixture.Build(t, givenSource, "GOARCH=amd64")
	for _, tt := range []struct {
		opts   []Option
		source Source
	}{
		{nil, SourceArgInfo},
		{[]Option{WithSignature("func(a, b int64) int64")}, SourceGiven},
	} {
		fs, err := Inspect(path, "main.sum.abi0", tt.opts...)
		if err != nil {
			t.Fatal(err)
		}
		if got := places(fs[0]); got != "[CFA+0]:8; [CFA+8]:8" || fs[0].Source() != tt.source {
			t.Errorf("at %s from %v, want it from %v", got, fs[0].Source(), tt.source)
		}
	}
}

// TestForeign: what the runtime's table says of functions in C means nothing.
func TestForeign(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc")
	}
	src := fixture.Source{"main.go": "package main\n\nimport \"net\"\n\nfunc main() { net.LookupHost(\"localhost\") }\n"}
	path := fixture.Build(t, src, "CGO_ENABLED=1", "-ldflags=-s -w -linkmode=internal")
	const fn = "x_cgo_thread_start"
	fs, err := Inspect(path, fn)
	if err != nil {
		t.Fatal(err)
	}
	if f := fs[0]; f.Source() != SourceNone || f.SignatureKnown() {
		t.Errorf("%s %s from %v, want it from %v", fn, f.Signature(), f.Source(), SourceNone)
	}
	if _, err := Inspect(path, fn, WithSignature("func()")); !errors.Is(err, ErrSignature) {
		t.Errorf("with a signature: error %v, want %v", err, ErrSignature)
	}
}

// TestUnusedSignature warns of signatures that no function has been given.
func TestUnusedSignature(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  Option
		used bool
		want string
	}{
		{"for another", WithSignature("func()", "main.nothing"), false, "no function"},
		{"not needed", WithSignature("func()", "main.described"), false, "describes"},
		{"used", WithSignature("func()"), true, ""},
	} {
		var text strings.Builder
		o, err := newOptions([]Option{tt.opt, WithLogger(slog.New(slog.NewTextHandler(&text, nil)))})
		if err != nil {
			t.Fatal(err)
		}
		o.given[0].used = tt.used
		o.warnUnused([]*Func{{name: "main.described"}})
		if got := text.String(); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q, want it to have %q", tt.name, got, tt.want)
		}
	}
}
