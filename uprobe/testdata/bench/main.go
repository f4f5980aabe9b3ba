// Command bench is the target of the benchmarks: it calls the functions that
// it is told to call, and says how long a call took.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
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

// huge takes more than fits a small buffer.
//
//go:noinline
func huge(a [1000]int) { sink += a[sink&511] }

// grow gives its callers a stack check.
//
//go:noinline
func grow() { fmt.Fprintln(os.Stderr, "grow") }

// main reads lines "function calls" and answers with nanoseconds per call.
func main() {
	in := bufio.NewScanner(os.Stdin)
	s := strings.Repeat("abcde", 1)
	p := &point{3, 4}
	for in.Scan() {
		name, count, _ := strings.Cut(in.Text(), " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		start := time.Now()
		switch name {
		case "one":
			for i := range n {
				one(i)
			}
		case "huge":
			huge([1000]int{})
		case "three":
			for i := range n {
				three(i, s, p)
			}
		}
		fmt.Println(float64(time.Since(start)) / float64(n))
	}
}
