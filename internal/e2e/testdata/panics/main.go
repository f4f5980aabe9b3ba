// Command panics has goroutines that call, panic, recover, panic anew while they
// panic, and return, as it pleases a random number generator. It keeps account of
// its own calls, and prints how each ended, in which order, and by which panic. It is
// compiled by every release from Go 1.11 on.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"fixture/truth"
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

const (
	tasks      = 60
	maxDepth   = 14
	maxPanics  = 4 // under way at a time
	callsOfOne = 50
)

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

func (t *task) body(id int) int {
	sum := id
	for i := 0; i < 3; i++ {
		switch k := t.random(8); {
		case k < 2:
			t.throw()
		case k < 6 && t.left > 0 && len(t.stack) < maxDepth:
			sum += t.child()
		}
	}
	return sum
}

func (t *task) child() int {
	t.left--
	id := t.n*1000 + callsOfOne - t.left
	switch t.random(6) {
	case 0:
		r := plain(t.n, id)
		t.returned(id, r)
		return r
	case 1:
		r, s := single(t.n, id)
		t.returned(id, r, s)
		return r
	case 2:
		s, r, w := loops(t.n, id)
		t.returned(id, s, r, w)
		return r
	case 3:
		r, err := (&node{id}).method(t.n, id)
		t.returned(id, r, &err)
		return r
	case 4:
		if len(t.panics) < maxPanics {
			raises(t.n, id)
		}
	}
	burn(8)
	many(t.n, id)
	t.returned(id)
	return 1
}

type failure struct {
	code int
	next *failure
}

func (f *failure) Error() string { return "failure " + strconv.Itoa(f.code) }

type small struct {
	a int8
	s string
}

// throw panics, if not too many panics are under way.
func (t *task) throw() {
	p := t.thrown(11)
	if p != nil {
		panic(p.value)
	}
}

// own returns what a function is to panic with itself, nil if it is not to.
func (t *task) own() *thrown {
	if t.random(6) > 0 {
		return nil
	}
	return t.thrown(9)
}

// thrown begins a panic of one of so many kinds, if not too many are under way. Those
// of the last kinds it panics with itself.
func (t *task) thrown(kinds int) *thrown {
	if len(t.panics) == maxPanics || len(t.stack) < 2 {
		return nil
	}
	k, n := t.random(kinds), t.random(1000)
	p := &thrown{at: len(t.stack)}
	switch k {
	case 0:
		p.value = "text " + strconv.Itoa(n)
	case 1:
		p.value = n
	case 2:
		p.value = &failure{n, &failure{n + 1, nil}}
	case 3:
		p.value = errors.New("error " + strconv.Itoa(n))
	case 4:
		p.value = fmt.Errorf("formatted %d", n)
	case 5:
		p.value = small{int8(n), "s"}
	case 6:
		p.value = []string{"a", strconv.Itoa(n)}
	case 7:
		p.value = float64(n) / 4
	case 8: // nil: recover returns another value since Go 1.21
	default:
		// What the runtime panics with is the same each time.
		func() {
			defer func() { p.value = recover() }()
			wrong(k, n)
		}()
		t.panics = append(t.panics, p)
		wrong(k, n)
	}
	t.panics = append(t.panics, p)
	return p
}

//go:noinline
func wrong(k, n int) int {
	var p *int
	if k == 9 {
		return all[0].left/zero + *p
	}
	return []int{1, 2, 3}[n+3]
}

var zero int

// burn uses that much stack.
//
//go:noinline
func burn(kb int) int {
	var buf [1024]byte
	buf[kb%1024] = byte(kb)
	if kb > 0 {
		return burn(kb-1) + int(buf[kb%1000])*0
	}
	return 0
}

// plain has a jump table.
//
//go:noinline
func plain(k, id int) int {
	t := all[k]
	t.enter(id, "plain")
	switch id % 8 {
	case 0:
		return t.body(id + 5)
	case 1:
		return t.body(id - 1)
	case 2:
		return t.body(2*id) + 1
	case 3:
		return t.body(3) * 4
	case 4:
		return t.body(id) + t.body(7)
	case 5:
		return t.body(id+7) - id
	case 6:
		return -t.body(id + 9)
	case 7:
		return t.body(id &^ 3)
	}
	return t.body(id)
}

//go:noinline
func single(k, id int) (res int, s string) {
	t := all[k]
	c := t.enter(id, "single")
	defer func() {
		if t.recovers(c) {
			t.recovered(c, recover())
			s += " and recovered"
		}
		t.after(c)
	}()
	res, s = -id, "named"
	if p := t.own(); p != nil {
		panic(p.value)
	}
	res = t.body(id)
	return res, "returned"
}

//go:noinline
func loops(k, id int) (s string, res int, w [2]int) {
	t := all[k]
	c := t.enter(id, "loops")
	for i := 0; i < 1+id%3; i++ {
		i := i
		defer func() {
			if t.recovers(c) {
				t.recovered(c, recover())
				w[i%2]++
				res = id
			}
			t.after(c)
		}()
	}
	s = "set"
	if p := t.own(); p != nil {
		panic(p.value)
	}
	res = t.body(id)
	return "end", res, w
}

type node struct{ n int }

// method has both kinds of deferred calls.
//
//go:noinline
func (p *node) method(k, id int) (res int, err error) {
	t := all[k]
	c := t.enter(id, "(*node).method")
	defer func() {
		if t.recovers(c) {
			r := recover()
			t.recovered(c, r)
			if e, ok := r.(error); ok {
				err = e
			}
		}
		t.after(c)
	}()
	if p.n%2 == 0 {
		defer t.later(c)
	}
	res = 1
	if p := t.own(); p != nil {
		panic(p.value)
	}
	return t.body(id) + p.n, nil
}

func (t *task) later(c *call) {
	if t.recovers(c) {
		t.recovered(c, recover())
	}
	t.after(c)
}

// many has more deferred calls than open-coded ones are made for, and no results.
//
//go:noinline
func many(k, id int) {
	t := all[k]
	c := t.enter(id, "many")
	defer t.later(c)
	defer burn(1)
	defer burn(2)
	defer burn(1)
	defer burn(2)
	defer t.later(c)
	defer burn(1)
	defer burn(2)
	defer t.later(c)
	defer burn(40)
	if p := t.own(); p != nil {
		panic(p.value)
	}
	t.body(id)
}

// raises has no return.
//
//go:noinline
func raises(k, id int) (res int) {
	t := all[k]
	t.enter(id, "raises")
	res = id
	panic(t.thrown(9).value)
}

func (t *task) run() {
	t.goroutine = truth.GoroutineID()
	t.left = callsOfOne
	for t.left > 0 {
		t.left--
		id := t.n*1000 + callsOfOne - t.left
		r, s := single(t.n, id)
		t.returned(id, r, s)
	}
	if len(t.stack) > 0 || len(t.panics) > 0 {
		broken("calls are left")
	}
}

func main() {
	seed := int(truth.Seed())
	truth.Start()
	var wg sync.WaitGroup
	for n := range all {
		t := &task{n: n, seed: seed*tasks + n}
		all[n] = t
		wg.Add(1)
		go func() {
			defer wg.Done()
			t.run()
		}()
	}
	wg.Wait()
	for _, t := range all {
		for _, c := range t.ended {
			truth.Print(`{"ev":"end","func":%q,"id":%d,"how":%q,"goroutine":%d,"results":[%s],"panic":%q}`,
				"main."+c.fn, c.id, c.how, t.goroutine, strings.Join(c.results, ","), c.by)
		}
	}
	truth.Print(`{"ev":"all"}`)
	truth.Done()
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
