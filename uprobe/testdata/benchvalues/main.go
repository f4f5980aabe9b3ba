// Command benchvalues is bench for values of more than one object: it calls the
// functions that it is told to call, and says how much of a processor's time a call took.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var sink int

//go:noinline
func texts(s []string) {
	if len(s) > 1000 {
		grow()
	}
	sink = len(s)
}

//go:noinline
func mapping(m map[string]int) {
	if len(m) > 1000 {
		grow()
	}
	sink = len(m)
}

//go:noinline
func failure(err error) {
	if err == nil {
		grow()
	}
	sink++
}

//go:noinline
func request(r *http.Request) {
	if r == nil {
		grow()
	}
	sink++
}

// node is a part of a graph in which everything refers to everything.
type node struct {
	name  string
	peers []*node
	any   any
	index map[string]*node
}

//go:noinline
func graph(n *node) {
	if n == nil {
		grow()
	}
	sink++
}

// grow gives its callers a stack check.
//
//go:noinline
func grow() { fmt.Fprintln(os.Stderr, "grow") }

// processorTime is what the process has had of the processors.
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
	var s []string
	m := map[string]int{}
	for i := range 8 {
		s = append(s, strings.Repeat("s", 5+i))
		m[s[i]] = i
	}
	err := fmt.Errorf("open: %w", &fs.PathError{Op: "open", Path: "/tmp/x", Err: os.ErrNotExist})
	r := httptest.NewRequestWithContext(context.Background(), "GET", "http://example.com/path?q=1", nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", "bench/1.0")
	var nodes []*node
	for i := range 300 {
		nodes = append(nodes, &node{name: strconv.Itoa(i), index: map[string]*node{}})
	}
	for i, n := range nodes {
		n.peers, n.any = nodes, n
		for j := range 30 {
			n.index[strconv.Itoa(j)] = nodes[(i+j)%len(nodes)]
		}
	}
	for in.Scan() {
		name, count, _ := strings.Cut(in.Text(), " ")
		n, cerr := strconv.Atoi(count)
		if cerr != nil {
			fmt.Fprintln(os.Stderr, cerr)
			os.Exit(2)
		}
		start := processorTime()
		for range n {
			switch name {
			case "texts":
				texts(s)
			case "mapping":
				mapping(m)
			case "failure":
				failure(err)
			case "request":
				request(r)
			case "graph":
				graph(nodes[0])
			}
		}
		fmt.Println(float64(processorTime()-start) / float64(n))
	}
}
