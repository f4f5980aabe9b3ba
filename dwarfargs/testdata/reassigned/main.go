// Command reassigned has functions whose parameters the compiler describes by
// the places of others, that are assigned to them, or of the copies that the
// function moves to the heap.
package main

import "unsafe"

var (
	sink int
	heap any
	cond bool
)

//go:noinline
func registers(a, b int) {
	if cond {
		a, b = b, a
	}
	sink += a - b
}

// The slices leave no register for the strings.
//
//go:noinline
func stack(a, b, c []int, s, t string) {
	if cond {
		s, t = t, s
	}
	use(len(a), len(b), len(c))
	use(len(s), int(s[0]), len(t))
	use(int(t[0]), 0, 0)
}

// Only the lengths are used, so only they are described.
//
//go:noinline
func lengths(a, b, c []int, s, t, u string) {
	if cond {
		s, t, u = t, u, s
	}
	sink += cap(a) + cap(b) + cap(c) + 2*len(s) + 3*len(t) + 4*len(u)
}

//go:noinline
func mixed(a []int, b, c, d string, s []int) {
	if cond {
		a, s = s, a
	}
	sink += len(a) + 2*len(s) + len(b) + len(c) + len(d)
}

//go:noinline
func circle(a, b, c, d, e, f, g, h, i, j int) {
	if cond {
		a, j, e = j, e, a
	}
	sink += a + 2*j + 3*e + b + c + d + f + g + h + i
}

//go:noinline
func conversions(a int, b uint64, c *int, d unsafe.Pointer, e uint8) {
	if cond {
		b, d, e = uint64(a), unsafe.Pointer(c), uint8(a)
	}
	heap = d
	sink += int(b) + 2*int(e)
}

//go:noinline
func floats(x, y float64, n int) float64 {
	if cond {
		x, y = y, x
	}
	return x - 2*y + float64(n)
}

// The parameters that escape are passed on the stack.
//
//go:noinline
func escapes(a [10]int, b, c, d []int, e string, _ int, f [2]string) {
	heap = &e
	sink += len(*heap.(*string)) + len(b) + len(c) + len(d) + a[sink] + len(f[0])
}

//go:noinline
func generic[T any](a, b T, list []T) T {
	func(x, y T) {
		defer func() { recover() }()
		if cond {
			x, y = y, x
		}
		if cond {
			a = x
		}
		list = append(list, x, y, a)
		heap = list
	}(a, b)
	return a
}

//go:noinline
func use(a, b, c int) { sink += a + b + c }

func main() {
	one, text := []int{1}, "text"
	registers(1, 2)
	stack(one, one, one, text, text)
	lengths(one, one, one, text, text, text)
	mixed(one, text, text, text, one)
	circle(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	conversions(1, 2, &sink, nil, 3)
	floats(1, 2, 3)
	escapes([10]int{}, one, one, one, text, 1, [2]string{})
	generic(1, 2, one)
	generic(text, text, nil)
	func(a, b int) {
		if cond {
			a, b = b, a
		}
		defer func() { sink++ }()
		use(a, 2*b, sink)
	}(1, sink)
}
