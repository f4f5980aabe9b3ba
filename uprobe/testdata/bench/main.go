// Command bench is the target of the benchmarks: it calls the functions that
// it is told to call, and says how much of a processor's time a call took.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type point struct{ X, Y int }

var sink int

//go:noinline
func one(n int) {
	if n < 0 {
		grow()
	}
	sink = n
}

//go:noinline
func three(n int, s string, p *point) {
	if n < 0 {
		grow()
	}
	sink = n + len(s) + p.X
}

// same returns what it takes.
//
//go:noinline
func same(n int, s string) (int, string) {
	if n < 0 {
		grow()
	}
	return n + 1, s
}

// huge takes more than fits a small buffer.
//
//go:noinline
func huge(a [1000]int) { sink += a[sink&511] }

// leaf is a node of a graph that is larger than any limit.
type leaf struct {
	kids  []*leaf
	names [8]string
	next  [4]*leaf
	any   any
}

// secret is one whose fields are redacted.
type secret struct {
	kids      []*secret
	passwords [8]string
	token     string
	n         int
	tokens    [3]int
	any       any
}

//go:noinline
func tree(n int, t *leaf) {
	if n < 0 {
		grow()
	}
	sink = n
}

//go:noinline
func anys(n int, list []any) {
	if n < 0 {
		grow()
	}
	sink = n
}

// knots takes pointers to few things.
//
//go:noinline
func knots(n int, list []*[400]*int) {
	if n < 0 {
		grow()
	}
	sink = n
}

// stripe is redacted in every other byte.
type stripe struct{ token, x uint8 }

//go:noinline
func stripes(n int, list [][]stripe) {
	if n < 0 {
		grow()
	}
	sink = n
}

func newStripes() (list [][]stripe) {
	for range 64 {
		list = append(list, make([]stripe, 64))
	}
	return list
}

//go:noinline
func secrets(n int, t *secret) {
	if n < 0 {
		grow()
	}
	sink = n
}

func newTree(depth int) *leaf {
	t := &leaf{any: depth}
	for i := range t.names {
		t.names[i] = strings.Repeat("name", 1+i+depth)
	}
	if depth > 0 {
		for range 20 {
			t.kids = append(t.kids, newTree(depth-1))
		}
		copy(t.next[:], t.kids)
		t.any = t.kids[0]
	}
	return t
}

func newSecret(depth int) *secret {
	t := &secret{any: depth, token: "token"}
	for i := range t.passwords {
		t.passwords[i] = strings.Repeat("name", 1+i+depth)
	}
	if depth > 0 {
		for range 20 {
			t.kids = append(t.kids, newSecret(depth-1))
		}
	}
	return t
}

func newAnys(depth int) (list []any) {
	for i := range 64 {
		if depth > 0 {
			list = append(list, newAnys(depth-1))
		} else {
			list = append(list, i, "text", error(fmt.Errorf("error %d", i)))
		}
	}
	return list
}

func newKnots() (list []*[400]*int) {
	var few [4]int
	for range 64 {
		k := new([400]*int)
		for i := range k {
			k[i] = &few[i%len(few)]
		}
		list = append(list, k)
	}
	return list
}

// deep calls one n times, as many calls deep as depth says.
//
//go:noinline
func deep(depth, n int) {
	if depth > 0 {
		deep(depth-1, n)
		return
	}
	for i := range n {
		one(i)
	}
}

// grow gives its callers a stack check.
//
//go:noinline
func grow() { fmt.Fprintln(os.Stderr, "grow") }

// processorTime is what the process has had of the processors. What others take
// meanwhile, the tracer among them, is not in it.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// main reads lines "function calls" and answers with nanoseconds per call.
func main() {
	in := bufio.NewScanner(os.Stdin)
	s := strings.Repeat("abcde", 1)
	p := &point{3, 4}
	large, list, knot, hidden, stripy := newTree(3), newAnys(2), newKnots(), newSecret(3), newStripes()
	for in.Scan() {
		name, count, _ := strings.Cut(in.Text(), " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		start := processorTime()
		switch name {
		case "one":
			for i := range n {
				one(i)
			}
		case "deep":
			deep(40, n)
		case "same":
			for i := range n {
				same(i, s)
			}
		case "huge":
			huge([1000]int{})
		case "tree":
			for i := range n {
				tree(i, large)
			}
		case "anys":
			for i := range n {
				anys(i, list)
			}
		case "knots":
			for i := range n {
				knots(i, knot)
			}
		case "stripes":
			for i := range n {
				stripes(i, stripy)
			}
		case "secrets":
			for i := range n {
				secrets(i, hidden)
			}
		case "three":
			for i := range n {
				three(i, s, p)
			}
		}
		fmt.Println(float64(processorTime()-start) / float64(n))
	}
}
