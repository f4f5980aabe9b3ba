// Command generic has generic functions and methods, called with types of the
// same shape and of others.
package main

import (
	"fmt"
	"io"
	"strings"
)

type name string

type point struct{ x, y int }

//go:noinline
func two[K comparable, V any](k K, v V, n int) (K, error) {
	fmt.Println(k, v, n)
	one(v)
	return k, nil
}

//go:noinline
func one[T any](t T) { fmt.Println(t) }

type stack[T any] struct{ list []T }

//go:noinline
func (s *stack[T]) push(t T) { s.list = append(s.list, t); fmt.Println(t) }

//go:noinline
func (s stack[T]) top(def T) T {
	if len(s.list) == 0 {
		return def
	}
	return s.list[0]
}

type pair[K, V any] struct {
	k K
	v V
}

//go:noinline
func (p *pair[K, V]) set(k K, v V) { p.k, p.v = k, v; fmt.Println(k, v) }

func use[T any](t T) {
	var s stack[T]
	s.push(t)
	fmt.Println(s.top(t))
}

func main() {
	two("a", 1.5, 1)
	two(name("b"), &point{}, 2)
	two(point{}, name("c"), 3)
	two(7, io.Reader(strings.NewReader("")), 4)
	use("d")
	use(name("e"))
	use(&point{})
	use([]*point{})
	use(func(int) string { return "" })
	var p pair[name, *point]
	p.set("f", nil)
	var q pair[string, *name]
	q.set("g", nil)
}
