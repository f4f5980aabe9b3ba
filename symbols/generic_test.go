package symbols

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

const genericSource = `package main

import "fmt"

type name string

type stack[T any] struct{ list []T }

//go:noinline
func (s *stack[T]) push(t T) { s.list = append(s.list, t) }

//go:noinline
func (s stack[T]) top() T { return s.list[0] }

type pusher[T any] interface{ push(T) }

//go:noinline
func gen[K comparable, V any](k K, v V) func() { fmt.Println(k, v); return func() { fmt.Println(v) } }

//go:noinline
func plain() {}

func use[T any](t T) {
	s := &stack[T]{}
	s.push(t)
	var p pusher[T] = s
	p.push(t)
	fmt.Println(s.top())
}

func main() {
	gen(1, 2)()
	gen(name("a"), 2)()
	gen("b", [2]struct{ X int ` + "`json:\"]\"`" + `}{})()
	use(1)
	use(name("c"))
	use("d")
	use([]int{1})
	plain()
}
`

func TestSelect(t *testing.T) {
	releases := []string{""}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "" {
		releases = append(releases, "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.24.13", "1.27.4")
	}
	for _, release := range releases {
		for _, fl := range []fixture.Flavour{fixture.Default, fixture.Unoptimised, fixture.Stripped} {
			tc := fixture.Toolchain{Release: release, Flavour: fl}
			t.Run(tc.String(), func(t *testing.T) { checkSelect(t, tc) })
		}
	}
}

func checkSelect(t *testing.T, tc fixture.Toolchain) {
	f, err := Open(fixture.BuildWith(t, tc, fixture.Source{"main.go": genericSource}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	collapsed := tc.Flavour == fixture.Stripped && minor < 21
	for _, tt := range []struct {
		name string
		n    int
	}{
		{"main.gen", 3}, {"main.gen.func1", 3},
		{"main.(*stack).push", 3}, {"main.stack.top", 3},
		{"main.(*stack[*]).push", 3}, {"main.g*", 6},
		{"main.plain", 1}, {"main.main", 1},
	} {
		generic := strings.ContainsAny(tt.name, "*[") || tt.n != 1
		found, err := f.Select(tt.name)
		if generic && collapsed {
			if !IsPattern(tt.name) && !errors.Is(err, ErrNoFunc) {
				t.Errorf("%s: %v, %v, want no function", tt.name, found, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(found) != tt.n {
			t.Errorf("%s: %d functions, want %d: %v", tt.name, len(found), tt.n, found)
		}
		for _, fn := range found {
			if tt.n > 1 && !isShaped(fn.Name) {
				t.Errorf("%s: %s is no shared code", tt.name, fn.Name)
			}
		}
		if !slices.IsSortedFunc(found, byEntry) {
			t.Errorf("%s: not in order", tt.name)
		}
	}
	if _, err := f.Select("main.nothing"); !errors.Is(err, ErrNoFunc) {
		t.Errorf("main.nothing: %v", err)
	}
}

func TestWithoutTypeArgs(t *testing.T) {
	for _, tt := range []struct{ name, want, args string }{
		{"main.main", "main.main", ""},
		{"main.Map[go.shape.int,go.shape.[]string]", "main.Map", "go.shape.int,go.shape.[]string"},
		{"main.(*Stack[go.shape.int]).Push", "main.(*Stack).Push", "go.shape.int"},
		{"main.Stack[[]int].Push.func1", "main.Stack.Push.func1", "[]int"},
		{`main.G[struct { X int "a:\"]\"" }].func1`, "main.G.func1", `struct { X int "a:\"]\"" }`},
		{"a/b%2ec.F[a/b%2ec.T[int]]-fm", "a/b%2ec.F-fm", "a/b%2ec.T[int]"},
		{"main.F[int", "main.F[int", ""},
		{"type:.eq.[2]string", "type:.eq.[2]string", "2"},
	} {
		if got := WithoutTypeArgs(tt.name); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := TypeArgs(tt.name); got != tt.args {
			t.Errorf("%s: arguments %s, want %s", tt.name, got, tt.args)
		}
	}
}
