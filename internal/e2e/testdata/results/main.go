// Command results calls functions with results of all kinds, that return, panic,
// recover and end their goroutine, and prints how each call ended: the name of the
// function, and arguments and results in the form of package e2e's shape. It is
// compiled by every release from Go 1.11 on.
package main

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"fixture/truth"
)

type node struct {
	n    int
	next *node
}

type triple struct {
	a int8
	s string
	p *node
}

type failure struct{ code int }

func (f *failure) Error() string { return "failure " + strconv.Itoa(f.code) }

//go:noinline
func ints(a int8, b uint16, c int64) (int8, uint16, int64, bool) { return a + 1, b * 2, -c, c > 3 }

//go:noinline
func many(n int) (a, b, c, d, e, f, g, h, i, j, k, l int) {
	return n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9, n + 10, n + 11
}

//go:noinline
func texts(n int, s string) (string, []string, error) {
	if n%2 == 1 {
		return s + "!", []string{s, strconv.Itoa(n)}, &failure{n}
	}
	return s, nil, nil
}

//go:noinline
func wrapped(n int) error {
	if n == 0 {
		return nil
	}
	return errors.New("error " + strconv.Itoa(n))
}

//go:noinline
func arrays(n int) ([3]int, [1]string, [0]int) {
	return [3]int{n, n * n, -n}, [1]string{"one"}, [0]int{}
}

//go:noinline
func structs(n int) (triple, node) {
	return triple{int8(n), strconv.Itoa(n), &node{n: n + 1}}, node{n, &node{n: n + 2}}
}

//go:noinline
func pointers(n int) (*node, **int, map[string]int) {
	p := &n
	return &node{1, &node{2, &node{n: 3}}}, &p, map[string]int{"n": n}
}

//go:noinline
func anys(n int) (interface{}, interface{}) {
	if n > 2 {
		return n, &node{n: n}
	}
	return nil, "text"
}

//go:noinline
func floats(n int) (float64, int, float32) { return float64(n) / 2, n, 1.5 }

//go:noinline
func none(n int) { sink += n }

//go:noinline
func deferred(n int) (x int, err error) {
	defer func() {
		x *= 2
		if n > 1 {
			err = &failure{x}
		}
	}()
	x = n
	return n + 1, nil
}

//go:noinline
func (p *node) find(n int) (found *node, ok bool) {
	for ; p != nil; p = p.next {
		if p.n == n {
			return p, true
		}
	}
	return nil, false
}

//go:noinline
func fib(n int) (r int) {
	if n < 2 {
		end("main.fib", list(n), list(n))
		return n
	}
	r = fib(n-1) + fib(n-2)
	end("main.fib", list(n), list(r))
	return r
}

//go:noinline
func even(n int) (ok bool) {
	ok = n == 0 || odd(n-1)
	end("main.even", list(n), list(ok))
	return ok
}

//go:noinline
func odd(n int) (ok bool) {
	ok = n != 0 && even(n-1)
	end("main.odd", list(n), list(ok))
	return ok
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
	return sink * 0
}

// grows has its stack moved in the middle of the call.
//
//go:noinline
func grows(n int, s string) (string, int) {
	local := n
	p := &local
	n += burn(64 + n*16)
	*p++
	return s + strconv.Itoa(n), local
}

//go:noinline
func throws(n int) int {
	if n > 0 {
		panic(&failure{n})
	}
	return n
}

//go:noinline
func passes(n int, s string) (string, int) {
	m := throws(n) + burn(n)
	end("main.throws", list(n), list(m))
	return s, m
}

//go:noinline
func recovers(n int) (s string, err error) {
	defer func() {
		if r := recover(); r != nil {
			unwound("main.throws", list(n))
			unwound("main.passes", list(n, "s"))
			err = r.(error)
		}
	}()
	s = "before"
	s, m := passes(n, "s")
	end("main.passes", list(n, "s"), list(s, m))
	return s, nil
}

//go:noinline
func again(n int) (s string) {
	defer func() { recover() }()
	s = "first"
	func() {
		defer func() {
			s += fmt.Sprint(recover())
			throws(n + 1)
		}()
		throws(n)
	}()
	return s
}

//go:noinline
func divides(a, b int) (q int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
			q = -1
		}
	}()
	return a / b, nil
}

//go:noinline
func leaves(n int) int {
	defer func() { sink++ }()
	runtime.Goexit()
	return n
}

//go:noinline
func hops(n int) (int, string) {
	for i := 0; i < 3; i++ {
		if n%7 == 0 {
			time.Sleep(time.Millisecond)
		}
		runtime.Gosched()
	}
	return n * n, strconv.Itoa(n)
}

//go:noinline
func slow(ms int) int { time.Sleep(time.Duration(ms) * time.Millisecond); return ms }

var sink int

func main() {
	truth.Start()
	for n := 0; n < 5; n++ {
		kinds(n)
	}
	fib(7)
	even(6)
	for n := 0; n < 4; n++ {
		s, err := recovers(n)
		end("main.recovers", list(n), list(s, &err))
		s = again(n + 1)
		unwound("main.throws", list(n+2)) // which is the one further down
		unwound("main.throws", list(n+1))
		end("main.again", list(n+1), list(s))
		q, err := divides(n, n%2)
		end("main.divides", list(n, n%2), list(q, &err))
	}
	var wg sync.WaitGroup
	for n := 0; n < 4; n++ {
		wg.Add(1)
		n := n
		go func() {
			defer wg.Done()
			leaves(n)
		}()
	}
	wg.Wait()
	for n := 0; n < 3; n++ {
		c := make(chan bool)
		go func(n int) {
			s, m := grows(n, "g")
			end("main.grows", list(n, "g"), list(s, m))
			close(c)
		}(n)
		<-c
	}
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for n := 0; n < 1000; n++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			for i := 0; i < 3; i++ {
				a, b := hops(n)
				end("main.hops", list(n), list(a, b))
			}
		}(n)
	}
	wg.Wait()
	close(stop)
	for n := 1; n < 30; n += 9 {
		start := time.Now()
		m := slow(n)
		took := time.Since(start)
		lock.Lock()
		truth.Print(`{"ev":"end","func":"main.slow","how":"returned","goroutine":%d,"args":["%d"],"results":["%d"],"least":%d,"most":%d}`,
			truth.GoroutineID(), n, m, n*1000000, took.Nanoseconds())
		lock.Unlock()
	}
	truth.Print(`{"ev":"all"}`)
	truth.Done()
}

func kinds(n int) {
	i8, u16, i64, ok := ints(int8(n-2), uint16(n), int64(n))
	end("main.ints", list(int8(n-2), uint16(n), int64(n)), list(i8, u16, i64, ok))
	a, b, c, d, e, f, g, h, i, j, k, l := many(n)
	end("main.many", list(n), list(a, b, c, d, e, f, g, h, i, j, k, l))
	s, ss, err := texts(n, "t")
	end("main.texts", list(n, "t"), list(s, ss, &err))
	err = wrapped(n)
	end("main.wrapped", list(n), list(&err))
	a3, a1, a0 := arrays(n)
	end("main.arrays", list(n), list(a3, a1, a0))
	t, nd := structs(n)
	end("main.structs", list(n), list(t, nd))
	p, pp, m := pointers(n)
	end("main.pointers", list(n), list(p, pp, m))
	x, y := anys(n)
	end("main.anys", list(n), list(&x, &y))
	f64, fi, f32 := floats(n)
	end("main.floats", list(n), list(f64, fi, f32))
	none(n)
	end("main.none", list(n), nil)
	dx, err := deferred(n)
	end("main.deferred", list(n), list(dx, &err))
	found, ok := p.find(n)
	end("main.(*node).find", list(p, n), list(found, ok))
}

func list(v ...interface{}) []interface{} { return v }

var lock sync.Mutex

func end(name string, args, results []interface{}) { print(name, "returned", args, results) }

func unwound(name string, args []interface{}) { print(name, "panicked", args, nil) }

func print(name, how string, args, results []interface{}) {
	lock.Lock()
	defer lock.Unlock()
	truth.Print(`{"ev":"end","func":%q,"how":%q,"goroutine":%d,"args":[%s],"results":[%s]}`,
		name, how, truth.GoroutineID(), texted(args), texted(results))
}

func texted(values []interface{}) string {
	var all []string
	for _, v := range values {
		s := shape{seen: map[string]bool{}}
		switch v := v.(type) {
		case *error:
			s.value(reflect.ValueOf(v).Elem())
		case *interface{}:
			s.value(reflect.ValueOf(v).Elem())
		default:
			s.value(reflect.ValueOf(v))
		}
		all = append(all, strconv.Quote(string(s.b)))
	}
	return strings.Join(all, ",")
}
