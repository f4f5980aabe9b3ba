// Command closures prints what its func values are, and what they have captured.
package main

import (
	"fmt"
	"unsafe"
)

type point struct {
	x, y int64
	name string
}

func (p point) M() string   { return p.name }
func (p *point) P() string  { return p.name }
func (p *point) Q(int) bool { return p.x > 0 }

type namer interface{ M() string }

type outer struct {
	*point
	z int
}

type block [200]byte

// variable is a captured variable: its value, or its address if the closure has
// that.
type variable struct {
	name  string
	p     unsafe.Pointer
	size  uintptr
	byRef bool
}

// show prints a func value, which f points to: what it points to, and the
// variables that it should have.
func show(f unsafe.Pointer, vars ...variable) {
	p := *(*unsafe.Pointer)(f)
	fmt.Printf("%x", *(*uintptr)(p))
	fmt.Printf(" %s", dump(p, 128))
	for _, v := range vars {
		if v.byRef {
			addr := v.p
			fmt.Printf(" &%s=%s", v.name, dump(unsafe.Pointer(&addr), unsafe.Sizeof(addr)))
		} else {
			fmt.Printf(" %s=%s", v.name, dump(v.p, v.size))
		}
	}
	fmt.Println()
}

func dump(p unsafe.Pointer, n uintptr) (s string) {
	for i := uintptr(0); i < n; i++ {
		s += fmt.Sprintf("%02x", *(*byte)(unsafe.Pointer(uintptr(p) + i)))
	}
	return s
}

var sink []interface{}

// pad keeps memory behind a closure readable.
func keep(f interface{}) { sink = append(sink, f) }

//go:noinline
func capture(n int64, s string, e error, small bool, x uint16, p *point, b block, any interface{}, list []string) {
	n2, s2, e2, small2, x2, p2, any2, list2 := n, s, e, small, x, p, any, list

	f1 := func() int64 { return n }
	keep(f1)
	show(unsafe.Pointer(&f1), variable{"n", unsafe.Pointer(&n2), 8, false})

	f2 := func() string { return s + fmt.Sprint(n, x) }
	keep(f2)
	show(unsafe.Pointer(&f2), variable{"s", unsafe.Pointer(&s2), unsafe.Sizeof(s), false},
		variable{"n", unsafe.Pointer(&n2), 8, false}, variable{"x", unsafe.Pointer(&x2), 2, false})

	count, text := 0, "a"
	f3 := func() { count++; text += "b" }
	keep(f3)
	show(unsafe.Pointer(&f3), variable{"count", unsafe.Pointer(&count), 0, true}, variable{"text", unsafe.Pointer(&text), 0, true})

	f4 := func() byte { return b[n] }
	keep(f4)
	show(unsafe.Pointer(&f4), variable{"b", nil, 0, true}, variable{"n", unsafe.Pointer(&n2), 8, false})

	f5 := func() string { return fmt.Sprint(small, e, p.x, any, len(list), list) }
	keep(f5)
	show(unsafe.Pointer(&f5), variable{"small", unsafe.Pointer(&small2), 1, false}, variable{"e", unsafe.Pointer(&e2), unsafe.Sizeof(e), false},
		variable{"p", unsafe.Pointer(&p2), unsafe.Sizeof(p), false}, variable{"any", unsafe.Pointer(&any2), unsafe.Sizeof(any), false},
		variable{"list", unsafe.Pointer(&list2), unsafe.Sizeof(list), false})

	f6 := func() int { return 6 }
	keep(f6)
	show(unsafe.Pointer(&f6))

	f7 := capture
	keep(f7)
	show(unsafe.Pointer(&f7))
}

//go:noinline
func methods(v point, p *point, i namer, o outer) {
	v2, p2, i2 := v, p, i
	f1 := v.M
	keep(f1)
	show(unsafe.Pointer(&f1), variable{"", unsafe.Pointer(&v2), unsafe.Sizeof(v), false})
	f2 := p.P
	keep(f2)
	show(unsafe.Pointer(&f2), variable{"", unsafe.Pointer(&p2), unsafe.Sizeof(p), false})
	f3 := i.M
	keep(f3)
	show(unsafe.Pointer(&f3), variable{"", unsafe.Pointer(&i2), unsafe.Sizeof(i), false})
	f4 := o.Q
	keep(f4)
	show(unsafe.Pointer(&f4), variable{"", unsafe.Pointer(&o.point), unsafe.Sizeof(p), false})
}

// shadowed has variables of one name: one is captured by value and known by its
// address, the other one is captured by reference.
//
//go:noinline
func shadowed(x point, p *point) {
	{
		x := x
		f1 := func() { x.x++; x = point{} }
		keep(f1)
		show(unsafe.Pointer(&f1), variable{"x", nil, 0, true})
	}
	x2 := x
	f2 := func() string { return fmt.Sprint(x) }
	keep(f2)
	show(unsafe.Pointer(&f2), variable{"x", unsafe.Pointer(&x2), unsafe.Sizeof(x), false})

	y := *p
	f3 := func() {
		y.x++
		y := y
		y2 := y
		f4 := func() string { return fmt.Sprint(y) }
		keep(f4)
		show(unsafe.Pointer(&f4), variable{"y", unsafe.Pointer(&y2), unsafe.Sizeof(y), false})
	}
	keep(f3)
	show(unsafe.Pointer(&f3), variable{"y", nil, 0, true})
	f3()

	var none [0]int64
	many := int8(5)
	f5 := func() int { many++; return len(none) + len(fmt.Sprint(none)) }
	keep(f5)
	show(unsafe.Pointer(&f5), variable{"none", nil, 0, false}, variable{"many", nil, 0, true})
}

func main() {
	p := &point{1, 2, "three"}
	shadowed(point{3, 4, "five"}, p)
	capture(0x1122334455667788, "text", fmt.Errorf("e"), true, 0x9988, p, block{}, p, []string{"a"})
	methods(*p, p, p, outer{point: p})
	if more != nil {
		more()
	}
}

var more func()
