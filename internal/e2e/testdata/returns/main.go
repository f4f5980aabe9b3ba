// Command returns calls functions that return, panic, recover and end their
// goroutine, and says for each call which of the conditions in conditions.go were
// met: it evaluates them itself, over copies of the arguments that were made before
// the call. A condition that panics is not met.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

type node struct {
	n    int
	f    float64
	kids []int
	next *node
}

type failure struct{ code int }

func (f *failure) Error() string { return "failure" }

var sink int

// work returns, or panics where n is 7. It changes what its arguments point to.
//
//go:noinline
func work(id, n int, b int8, s string, p *node, flag bool) (r int, out string, q *node, err error) {
	if n == 6 {
		defer func() {
			recover()
			r = -6
		}()
	}
	if p != nil {
		p.n += 1000
		p.f = -p.f
		p.kids = nil
	}
	grow(id % 40)
	if n == 5 {
		time.Sleep(3 * time.Millisecond)
	}
	if n == 6 || n == 7 {
		panic("work")
	}
	q = &node{n: n * 2, f: float64(n) / 2, kids: []int{n, int(b), 3}, next: p}
	switch n {
	case 3:
		err = &failure{n}
	case 4:
		err = fmt.Errorf("other")
		q = nil
	}
	return n*int(b) + len(s), s + "!", q, err
}

// pair has results without names.
//
//go:noinline
func pair(id, n int, b int8, s string, p *node, flag bool) (int, []int, bool) {
	if n == 7 {
		panic("pair")
	}
	if p != nil {
		p.n = 0
	}
	return n + int(b), []int{n, n + 1}[:n%3%2+1], flag != (n > 2)
}

//go:noinline
func grow(kb int) int {
	var buf [1024]byte
	buf[kb] = 1
	if kb > 0 {
		return grow(kb-1) + int(buf[kb])
	}
	return sink * 0
}

//go:noinline
func leaves(n int) (r int) {
	defer func() { sink++ }()
	if n > 0 {
		runtime.Goexit()
	}
	return n
}

// end is how a call ended.
type end struct {
	id, n    int
	b        int8
	s        string
	p        *node // a copy
	flag     bool
	r        int
	out      string
	q        *node
	err      error
	i        int
	list     []int
	ok       bool
	panicked bool
	took     time.Duration
}

// res is the call if it returned.
func (e *end) res() *end {
	if e.panicked {
		panic("there are no results")
	}
	return e
}

func (p *node) clone() *node {
	if p == nil {
		return nil
	}
	c := *p
	c.next = p.next.clone()
	return &c
}

func met(cond func(e *end) bool, e *end) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return cond(e)
}

func call(fn string, id int) {
	e := &end{id: id, n: id % 8, b: int8(id*37%19 - 9), s: strings.Repeat("ab", id%4)[id%2*(id%4)/3:], flag: id%3 == 0}
	var p *node
	if id%5 > 0 {
		p = &node{n: id%11 - 3, f: float64(id%5) - 1.5, kids: []int{id % 7, 1, 2}}
		if id%3 > 0 {
			p.next = &node{n: id % 4}
		}
	}
	e.p = p.clone()
	func() {
		defer func() {
			if recover() != nil {
				e.panicked = true
			}
		}()
		start := time.Now()
		if fn == "work" {
			e.r, e.out, e.q, e.err = work(e.id, e.n, e.b, e.s, p, e.flag)
		} else {
			e.i, e.list, e.ok = pair(e.id, e.n, e.b, e.s, p, e.flag)
		}
		e.took = time.Since(start)
	}()
	bits := ""
	for _, c := range conditions[fn] {
		bits += fmt.Sprintf("%d", map[bool]int{true: 1}[met(c, e)])
	}
	fmt.Println(fn, id, bits)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		for id := 0; id < 120; id++ {
			call("work", id)
			call("pair", id)
		}
		for i := 0; i < 4; i++ {
			done := make(chan bool)
			go func() {
				defer close(done)
				leaves(i % 2)
			}()
			<-done
		}
		fmt.Println("done")
	}
}
