//go:build go1.18
// +build go1.18

package main

type number interface{ ~int | ~int32 }

//go:noinline
func twice[T number](v T) int {
	tell("", 0)
	return probe(int(v)) * 2
}

func small[T number](v T) int { return twice(v) + 1 }

type box[T any] struct{ v T }

//go:noinline
func (b *box[T]) each(f func(T) int) int {
	tell("", 0)
	return f(b.v)
}

func init() {
	generic = func(n int) {
		sink += small(n) + small(int32(n))
		b := &box[int]{n}
		sink += b.each(probe) + b.each(func(n int) int { return small(n) })
		f := b.each
		sink += f(func(n int) int { return probe(n) })
	}
}
