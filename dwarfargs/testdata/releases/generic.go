//go:build go1.18
// +build go1.18

package main

import (
	"fmt"
	"sort"
)

type stack[T any] struct {
	items []T
	n     int
}

type pair[K comparable, V any] struct {
	k K
	v V
}

//go:noinline
func (s *stack[T]) Push(x T, n int) int {
	s.items = append(s.items, x)
	use(n)
	return len(s.items) + n
}

//go:noinline
func (s stack[T]) Top(_ int, n int) (T, bool) {
	use(n)
	if n > len(s.items) {
		var zero T
		return zero, false
	}
	return s.items[n], true
}

//go:noinline
func (p pair[K, V]) Equal(k K, n int) bool { use(k, n); return p.k == k }

//go:noinline
func Gen[T any](x T, n int) T { use(x, n); return x }

//go:noinline
func GenBlank[T any](_ int, x T, _ string, n int) T { use(x, n); return x }

//go:noinline
func Map[T, U any](xs []T, f func(T) U) []U {
	var us []U
	for _, x := range xs {
		us = append(us, f(x))
	}
	return us
}

//go:noinline
func GenClosure[T any](x T, n int) func(int) T {
	func() {
		defer func(s string) { use(s, x, n) }("deferred")
	}()
	return func(k int) T { use(k, n); return x }
}

type named interface{ String() string }

//go:noinline
func Names[T named](xs []T, sep string) (s string) {
	sort.Slice(xs, func(i, j int) bool { return xs[i].String() < xs[j].String() })
	for _, x := range xs {
		s += x.String() + sep
	}
	return
}

func newer() []interface{} {
	s, t := &stack[int]{}, &stack[string]{}
	a, _ := s.Top(1, 2)
	b, _ := t.Top(1, 2)
	var i interface{ Push(string, int) int } = t
	return []interface{}{
		s.Push(1, 2), t.Push("x", 2), a, b, i.Push("y", 3), stack[wide]{}.n, Gen(1, 2), Gen("x", 2), Gen(wide{}, 2), Gen(2.5, 1),
		GenBlank(1, 2, "", 3), GenBlank(1, "x", "", 3), pair[string, int]{}.Equal("x", 1), pair[int8, wide]{}.Equal(3, 1),
		Map([]int{1}, func(n int) string { return fmt.Sprint(n) }), GenClosure("x", 2)(3), GenClosure(4.5, 2)(3),
		Names([]*server{{}}, ","), Names([]server{{}}, ","), t.Push, s.Push,
	}
}
