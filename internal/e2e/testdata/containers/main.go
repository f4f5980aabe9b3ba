// Command containers calls functions whose arguments are maps, channels and funcs,
// and prints before each call what it passes: the name of the function, and for
// each argument a field in the form of package e2e's shape. It is compiled by
// every release from Go 1.11 on.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

type point struct{ x, y int32 }

type big [200]byte

type id string

type registry struct {
	byName map[string]*entry
	hooks  []func(int) int
	done   chan struct{}
}

type entry struct {
	id   id
	tags map[string]struct{}
	next *entry
	any  interface{}
}

type number int

func (n number) add(m int) int { return int(n) + m }
func (p *point) sum(m int) int { return int(p.x+p.y) + m }
func (e entry) String() string { return string(e.id) }
func twice(n int) int          { return 2 * n }

type chan1 chan int

//go:noinline
func ints(m map[int]int) { sink++ }

//go:noinline
func names(m map[string]string, n map[id][]string) { sink++ }

//go:noinline
func structs(m map[point]point, p *map[string]*point, q map[*point]bool) { sink++ }

//go:noinline
func bigs(a map[big]int, b map[int]big, c map[big]big) { sink++ }

//go:noinline
func anys(a map[interface{}]interface{}, b interface{}, c []interface{}) { sink++ }

//go:noinline
func empties(a map[struct{}]int, b map[int]struct{}, c map[string]map[string]int, d map[float64]complex64) {
	sink++
}

//go:noinline
func chans(c chan int, d <-chan string, e chan<- *point, f chan struct{}, g chan1, h chan []string) {
	sink++
}

//go:noinline
func funcs(f func(int) int, g func(int) int, h []func(int) int) { sink++ }

// use keeps what it is given described in optimised closures.
//
//go:noinline
func use(n int, text string) int { return n + len(text) }

//go:noinline
func nested(r *registry, x interface{}) { sink++ }

var sink int

// What the program knows of its own channels and funcs.
var (
	sent     = map[uintptr][]reflect.Value{}
	captured = map[uintptr][]capture{}
)

type capture struct {
	name string
	v    interface{}
	ref  bool // p is a pointer to the variable
}

func init() {
	buffered = func(c reflect.Value) []reflect.Value { return sent[c.Pointer()] }
	variables = func(v reflect.Value) (names []string, values []reflect.Value) {
		f := twice // the only one in fields
		if v.CanInterface() {
			f, _ = v.Interface().(func(int) int)
		}
		for _, c := range captured[*(*uintptr)(unsafe.Pointer(&f))] {
			names, values = append(names, c.name), append(values, reflect.ValueOf(c.v))
		}
		return names, values
	}
}

func push(c interface{}, list ...interface{}) {
	v := reflect.ValueOf(c)
	for _, x := range list {
		v.Send(reflect.ValueOf(x))
		sent[v.Pointer()] = append(sent[v.Pointer()], reflect.ValueOf(x))
	}
}

func pull(c interface{}, n int) {
	v := reflect.ValueOf(c)
	for i := 0; i < n; i++ {
		v.Recv()
	}
	sent[v.Pointer()] = sent[v.Pointer()][n:]
}

// closure notes what a func has captured.
func closure(f func(int) int, vars ...capture) func(int) int {
	captured[*(*uintptr)(unsafe.Pointer(&f))] = vars
	return f
}

func main() {
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	maps()
	channels()
	closures()
	structures()
}

func maps() {
	show("main.ints", map[int]int(nil))
	ints(nil)
	for _, n := range []int{0, 1, 7, 8, 9, 30, 64} {
		m := map[int]int{}
		for i := 0; i < n; i++ {
			m[i*i] = -i
			if i%9 == 4 || i == n-1 {
				show("main.ints", m)
				ints(m)
			}
		}
		show("main.ints", m)
		ints(m)
	}
	// Growing at the same size, and after deletions.
	m := map[int]int{}
	for i := 0; i < 2000; i++ {
		m[i] = i
		delete(m, i-20)
		if i%97 == 0 {
			show("main.ints", m)
			ints(m)
		}
	}
	// With room for many.
	wide := make(map[int]int, 100)
	wide[5] = 6
	show("main.ints", wide)
	ints(wide)

	a, b := map[string]string{}, map[id][]string{}
	for i := 0; i < 20; i++ {
		k := strings.Repeat("k", i%5) + strconv.Itoa(i)
		a[k] = "v" + k
		b[id(k)] = []string{k, a[k]}[:i%3]
		if i%4 == 0 {
			show("main.names", a, b)
			names(a, b)
		}
	}
	p, q, r := map[point]point{{1, 2}: {3, 4}, {}: {5, 6}}, map[string]*point{"a": {1, 1}, "nil": nil}, map[*point]bool{nil: true}
	show("main.structs", p, &q, r)
	structs(p, &q, r)
	x, y, z := map[big]int{{1}: 1, {2}: 2}, map[int]big{1: {1}, 2: {2}}, map[big]big{{7}: {8}}
	show("main.bigs", x, y, z)
	bigs(x, y, z)
	for i := 0; i < 20; i++ {
		y[10+i] = big{byte(i)}
	}
	show("main.bigs", x, y, z)
	bigs(x, y, z)
	e := map[interface{}]interface{}{1: "one", "two": 2, point{1, 2}: []int{3}, nil: nil, 1.5: map[string]int{"in": 1}, true: &point{4, 5}}
	list := []interface{}{map[string]int{"a": 1}, map[string]int(nil), e, &e, struct{ m map[int]bool }{map[int]bool{true2: true}}, [1]map[int]int{{1: 2}}}
	direct := interface{}(map[string]int{"direct": 1})
	show("main.anys", e, direct, list)
	anys(e, direct, list)
	s, t, u, v := map[struct{}]int{{}: 5}, map[int]struct{}{3: {}, 4: {}}, map[string]map[string]int{"x": {"y": 1}, "nil": nil}, map[float64]complex64{1.5: 2, -0.5: 3i}
	show("main.empties", s, t, u, v)
	empties(s, t, u, v)
}

const true2 = 2

func channels() {
	var none chan int
	c, d, e, f, g, h := make(chan int, 5), make(chan string, 2), make(chan *point, 3), make(chan struct{}, 3), make(chan1), make(chan []string, 1)
	call := func(c chan int) {
		show("main.chans", c, (<-chan string)(d), (chan<- *point)(e), f, g, h)
		chans(c, d, e, f, g, h)
	}
	call(none)
	call(c)
	push(c, 1, 2, 3)
	push(d, "a", "bb")
	push(e, &point{1, 2}, (*point)(nil), &point{3, 4})
	push(f, struct{}{}, struct{}{})
	push(h, []string{"x", "y"})
	call(c)
	pull(c, 2)
	push(c, 4, 5, 6) // around the end
	call(c)
	push(c, 7)
	pull(d, 1)
	close(c)
	close(f)
	close(g)
	call(c)
	pull(c, 5)
	call(c)
	many := make(chan int, 100)
	for i := 0; i < 150; i++ {
		push(many, i)
		if i >= 50 {
			pull(many, 1)
		}
	}
	call(many)
}

func closures() {
	n, text, p := len(os.Args)+2, strings.Repeat("text", len(os.Args)), &point{1, 2} // no constants
	counter := 10
	byValue := closure(func(x int) int { return use(n, text) + x + int(p.x) }, capture{"n", n, false}, capture{"text", text, false}, capture{"p", p, false})
	byRef := closure(func(x int) int { counter += x; return counter }, capture{"counter", &counter, true})
	counter++
	method := closure(number(5).add, capture{"receiver", number(5), false})
	pointer := closure(p.sum, capture{"receiver", p, false})
	for _, f := range []func(int) int{nil, twice, byValue, byRef, method, pointer} {
		show("main.funcs", f, twice, []func(int) int{f, byValue})
		funcs(f, twice, []func(int) int{f, byValue})
	}
	show("main.nested", (*registry)(nil), interface{}(byValue))
	nested(nil, byValue)
}

func structures() {
	last := &entry{id: "last", any: errors.New("stop")}
	first := &entry{id: "first", tags: map[string]struct{}{"t": {}, "u": {}}, next: last, any: map[string]interface{}{"deep": []int{1}, "nil": nil, "self": last}}
	r := &registry{
		byName: map[string]*entry{"first": first, "last": last, "none": nil},
		hooks:  []func(int) int{twice, nil}, done: make(chan struct{}),
	}
	loop := map[string]interface{}{"one": 1}
	loop["loop"] = loop
	show("main.nested", r, loop)
	nested(r, loop)
	c := make(chan int, 2)
	push(c, 9)
	show("main.nested", r, c)
	nested(r, c)
}

func show(name string, args ...interface{}) {
	line := name
	for i := range args {
		sh := shape{seen: map[string]bool{}}
		v := reflect.ValueOf(args[i])
		if (name == "main.anys" && i == 1) || (name == "main.nested" && i == 1) {
			v = reflect.ValueOf(&args[i]).Elem() // an interface itself
		}
		sh.value(v)
		line += "\t" + string(sh.b)
	}
	fmt.Println(line)
}
