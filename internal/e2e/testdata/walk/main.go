// Command walk calls functions whose arguments are graphs, and prints before
// each call what it passes: the name of the function, and for each argument a
// line in the form of package e2e's shape. Every release of Go from 1.11 on can
// build it: files whose names end in a number are for releases from that on.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

type node struct {
	id   int
	name string
	next *node
}

type tree struct {
	key         int8
	left, right *tree
	tags        []string
	parent      *tree
	any         interface{}
}

type point struct{ x, y int32 }

type code int16

func (c code) Error() string { return "code " + strconv.Itoa(int(c)) }

type wrapped struct {
	point
	cause error
	more  []error
}

func (w *wrapped) Error() string { return "wrapped" }

type single struct{ p *node }

type nothing struct{}

type stringer interface{ String() string }

type label string

func (l label) String() string { return string(l) }

//go:noinline
func list(n *node) { sink++ }

//go:noinline
func trees(t tree, p *tree) { sink++ }

//go:noinline
func shared(a, b *node, c []*node) { sink++ }

//go:noinline
func slices(b [][]byte, s []string, ss [][]string, sss [][][]int32) { sink++ }

//go:noinline
func anys(a interface{}, xs []interface{}) { sink++ }

//go:noinline
func one(a interface{}) { sink++ }

//go:noinline
func errs(e error) { sink++ }

//go:noinline
func arrays(a *[3]*node, b *[2]interface{}, c *[2][2]string) { sink++ }

//go:noinline
func pointers(p ****int, q **string, s *single) { sink++ }

//go:noinline
func named(s stringer, t reflect.Type) { sink++ }

//go:noinline
func dangling(p *node, s []*node, e error) { sink++ }

var sink int

// What later releases of Go have, beside those that this file is for.
var (
	newErrors []error
	newValues []interface{}
)

func main() {
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')

	chain := func(n int) *node {
		var first *node
		for i := n; i > 0; i-- {
			first = &node{i, strings.Repeat("n", i%7), first}
		}
		return first
	}
	ring := chain(5)
	last := ring
	for last.next != nil {
		last = last.next
	}
	last.next = ring
	self := &node{id: 1, name: "self"}
	self.next = self
	for _, n := range []*node{nil, chain(1), chain(12), chain(60), ring, self} {
		show("main.list", n)
		list(n)
	}

	var grow func(depth int, up *tree) *tree
	grow = func(depth int, up *tree) *tree {
		if depth == 0 {
			return nil
		}
		t := &tree{key: int8(depth), parent: up, tags: []string{"a", strings.Repeat("t", depth)}, any: depth}
		t.left, t.right = grow(depth-1, t), grow(depth-2+depth%2, t)
		return t
	}
	top := grow(4, nil)
	for _, t := range []*tree{nil, {}, top, {any: top, tags: []string{}}} {
		v := tree{key: -1, left: t, any: t}
		show("main.trees", v, t)
		trees(v, t)
	}

	two := chain(2)
	show("main.shared", two, two.next, []*node{two, nil, two.next, two})
	shared(two, two.next, []*node{two, nil, two.next, two})

	b := [][]byte{[]byte("ab"), nil, {}, []byte("xyz\xff")}
	s := []string{"", "x", "héllo"}
	ss := [][]string{{"a", "b"}, nil, {}, {"c"}, s}
	sss := [][][]int32{{{1, 2}, {3}}, nil, {nil, {4}}}
	show("main.slices", b, s, ss, sss)
	slices(b, s, ss, sss)
	show("main.slices", b[:0], s[:1], ss[2:], sss[1:])
	slices(b[:0], s[:1], ss[2:], sss[1:])

	num, text := 7, "seven"
	values := []interface{}{
		nil, 1, int8(-2), uint16(3), "str", "", true, 1.5, float32(2.5), 3 + 4i, label("l"), point{1, 2}, &point{3, 4},
		[]int{1, 2}, []string{"p"}, [2]string{"q", "r"}, &num, &text, nothing{}, &nothing{}, single{two}, [1]*node{two}, two,
		wrapped{cause: code(3)}, uintptr(9), interface{}(interface{}(5)), []interface{}{1, []interface{}{"deep"}}, &[]interface{}{nil}, (*node)(nil),
	}
	values = append(values, newValues...)
	for _, v := range values {
		show("main.one", v)
		one(v)
		show("main.anys", v, []interface{}{v, v})
		anys(v, []interface{}{v, v})
	}
	show("main.anys", values, values)
	anys(values, values)

	_, missing := os.Open("/does/not/exist")
	plain := errors.New("plain")
	for _, e := range append([]error{
		nil, plain, missing, syscall.ENOENT, code(4), &wrapped{point{1, 2}, plain, []error{code(1), nil, plain}},
		&os.PathError{Op: "op", Path: "p", Err: plain}, (*wrapped)(nil),
	}, newErrors...) {
		show("main.errs", e)
		errs(e)
	}

	a3, a2, a4 := &[3]*node{two, nil, self}, &[2]interface{}{two, 3}, &[2][2]string{{"a", "b"}, {"c", ""}}
	show("main.arrays", a3, a2, a4)
	arrays(a3, a2, a4)

	p1 := &num
	p2 := &p1
	p3 := &p2
	q := &text
	box := &single{two}
	show("main.pointers", &p3, &q, box)
	pointers(&p3, &q, box)

	show("main.named", stringer(label("x")), reflect.TypeOf(node{}))
	named(label("x"), reflect.TypeOf(node{}))

	mem, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	gone := (*node)(unsafe.Pointer(&mem[0]))
	syscall.Munmap(mem)
	fmt.Printf("main.dangling\t&%p(?)\t[&%p(?) &%p{1 \"self\" ^%p}]\t*main.wrapped:&%p(?)\n", gone, gone, self, self, gone)
	dangling(gone, []*node{gone, self}, (*wrapped)(unsafe.Pointer(gone)))
}

func show(name string, args ...interface{}) {
	line := name
	for i := range args {
		sh := shape{seen: map[string]bool{}}
		v := reflect.ValueOf(&args[i]).Elem().Elem() // the argument
		if name == "main.errs" || name == "main.one" || name == "main.anys" && i == 0 || name == "main.named" {
			v = reflect.ValueOf(&args[i]).Elem() // an interface itself
		}
		sh.value(v)
		line += "\t" + string(sh.b)
	}
	fmt.Println(line)
}
