// Command returns has functions for conditions over what they return.
package main

import "errors"

type node struct{ n int }

//go:noinline
func work(id, n int, s string, p *node) (r int, err error, out string, q *node) { //lint:ignore ST1008 the error is not the last
	if n > id {
		err = errors.New(s)
	}
	return p.n + n, err, s + "!", p
}

//go:noinline
func blanks(n int) (int, bool) { return n + 1, n > 2 }

//go:noinline
func shadows(duration, panicked int) (result1, other int) { return duration, panicked }

//go:noinline
func floats(n int) float64 { return float64(n) }

//go:noinline
func never(n int) {
	for {
		n++
		if println(n); n < 0 {
			panic("never")
		}
	}
}

//go:noinline
func panics(n int) int { panic(n) }

//go:noinline
func many(n int) (r int) { return n * 2 }

func main() {
	work(1, 2, "s", &node{})
	blanks(1)
	shadows(1, 2)
	floats(1)
	many(1)
	panics(1)
	never(1)
}
