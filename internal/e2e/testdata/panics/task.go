package main

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
)

// call is a traced call, and what becomes of it.
type call struct {
	id      int
	fn, how string
	by      string // the panic that it was left by
	caught  *thrown
	results []string
	// recovering: it has recovered a panic, and not gone on yet.
	recovering bool
}

// thrown is a panic that is under way. at is how many calls were on the stack.
type thrown struct {
	value     interface{}
	at        int
	recovered bool
}

type task struct {
	n, seed, left int
	goroutine     uint64
	stack, ended  []*call
	panics        []*thrown
}

var all [tasks]*task

func (t *task) random(n int) int {
	t.seed = (t.seed*1103515245 + 12345) & 0x7fffffff
	return t.seed >> 12 % n
}

func (t *task) top() *thrown {
	if len(t.panics) == 0 {
		return nil
	}
	return t.panics[len(t.panics)-1]
}

func (t *task) index(c *call) int {
	for i, d := range t.stack {
		if c == d {
			return i
		}
	}
	broken("a call is not on the stack")
	return 0
}

func broken(what string) {
	fmt.Fprintln(os.Stderr, "the program's own account is wrong:", what)
	os.Exit(3)
}

func (t *task) enter(id int, fn string) *call {
	c := &call{id: id, fn: fn}
	t.stack = append(t.stack, c)
	return c
}

// unwinding reports whether a deferred call of c runs because of a panic.
func (t *task) unwinding(c *call) bool {
	p := t.top()
	return p != nil && !p.recovered && p.at > t.index(c)
}

// goesOn ends what c has left behind by recovering a panic.
func (t *task) goesOn(c *call) {
	if !c.recovering {
		return
	}
	c.recovering = false
	if p := t.top(); p == nil || !p.recovered {
		return // another panic keeps it from that
	}
	i := t.index(c)
	for n := len(t.stack) - 1; n > i; n-- {
		t.ended = append(t.ended, t.stack[n])
	}
	t.stack = t.stack[:i+1]
	for n := len(t.panics); n > 0 && t.panics[n-1].at > i; n-- {
		t.panics = t.panics[:n-1]
	}
}

// passes tells the calls behind c by which panic they were left.
func (t *task) passes(c *call) {
	p := t.top()
	for _, d := range t.stack[t.index(c)+1 : p.at] {
		if d.how == "" {
			d.how, d.by = "panicked", text(p.value)
		}
	}
}

// recovers begins a deferred call of c, and reports whether it is to recover.
func (t *task) recovers(c *call) bool {
	t.goesOn(c)
	if !t.unwinding(c) {
		return false
	}
	t.passes(c)
	return t.index(c) == 0 || t.random(3) > 0
}

// recovered takes what c has recovered.
func (t *task) recovered(c *call, r interface{}) {
	p := t.top()
	if p.value != nil && text(r) != text(p.value) {
		broken("recovered " + text(r) + ", not " + text(p.value))
	}
	p.recovered = true
	c.caught, c.recovering = p, true
}

// after is the rest of a deferred call of c. Nothing recovers what those of the
// outermost call panic with.
func (t *task) after(c *call) {
	if t.index(c) == 0 {
		return
	}
	for t.random(3) == 0 && t.left > 0 {
		t.child()
	}
	if t.random(3) == 0 {
		t.throw()
	}
}

func (t *task) returned(id int, results ...interface{}) {
	n := len(t.stack)
	for n--; n > 0 && t.stack[n].id != id; n-- {
	}
	c := t.stack[n]
	t.goesOn(c)
	if c.id != id || n != len(t.stack)-1 {
		broken("another call returned")
	}
	t.stack = t.stack[:n]
	c.how = "returned"
	if c.caught != nil {
		c.how, c.by = "recovered", text(c.caught.value)
	}
	for _, v := range results {
		c.results = append(c.results, strconv.Quote(result(v)))
	}
	t.ended = append(t.ended, c)
}

// text is a value with its type.
func text(v interface{}) string {
	s := shape{seen: map[string]bool{}}
	s.value(reflect.ValueOf(&v).Elem())
	return string(s.b)
}

// result is a result, an interface by its address.
func result(v interface{}) string {
	s := shape{seen: map[string]bool{}}
	if err, ok := v.(*error); ok {
		s.value(reflect.ValueOf(err).Elem())
	} else {
		s.value(reflect.ValueOf(v))
	}
	return string(s.b)
}
