// Command hidden has functions that take parameters which DWARF does not
// describe: closures of generic code that are called where they stand take the
// dictionary, and bodies of range-over-func loops all that the iterator yields.
package main

import "fmt"

type T[P any] struct{ p P }

//go:noinline
func show(a ...any) { fmt.Println(a...) }

//go:noinline
func F[P any](p P, q int) {
	n := q
	s := "x"
	func() {
		defer func() { recover() }()
		show(p, s)
		n++
		var z P
		show(z)
	}()
	func(a int, _ string, b P) {
		defer func() { recover() }()
		show(b)
		n += a
	}(q, s, p)
	func(unused int) {
		defer func() { recover() }()
		var z P
		show(z, s)
		n += 1
	}(q)
	show(n, s)
	var all []func(int, string)
	all = append(all, func(_ int, s string) {
		defer func() { recover() }()
		var z P
		show(z, s)
	})
	all[0](1, "")
}

//go:noinline
func (t *T[P]) M(q int) {
	func(a int, _ string, b P) {
		defer func() { recover() }()
		show(b, t.p)
	}(q, "", t.p)
	f := func(a int) { show(a, t.p) }
	show(f)
}

func seq(yield func(int, string) bool)     { yield(1, "") }
func seq1(yield func([3]int, string) bool) { yield([3]int{}, "") }

//go:noinline
func R(k int) {
	for i := range seq {
		defer show(i)
	}
	for _, s := range seq {
		defer show(s)
	}
	for range seq {
		defer show(k)
	}
	for i := range seq1 {
		defer show(i)
	}
	for _, s := range seq1 {
		defer show(s)
	}
	for range seq1 {
		defer show(k)
	}
}

func main() {
	F(1, 2)
	F("", 2)
	(&T[int]{}).M(3)
	R(4)
}
