// Command panics has goroutines that call, panic, recover, panic anew while they
// panic, and return, as it pleases a random number generator. It keeps account of
// its own calls, and prints how each ended, in which order, and by which panic. It is
// compiled by every release from Go 1.11 on.
package main

import (
	"strings"
	"sync"

	"fixture/truth"
)

const (
	tasks      = 60
	maxDepth   = 14
	maxPanics  = 4 // under way at a time
	callsOfOne = 50
)

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
