// Command wrappers calls methods in all ways in which Go lets them be called, and
// prints of each call the method, how it is called, the receiver and arguments as
// %#v prints them, and the result. It is compiled by every release from Go 1.11 on.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
)

// T has methods that are inlined, and others that are not.
type T struct {
	A int
	S string
	F float64
}

var sink int

func (t T) Small(n int, s string) int {
	sink += n
	if len(s) > 3 {
		return n
	}
	return t.A + n
}

//go:noinline
func (t T) Big(n int, s string) int {
	sink += n
	return t.A + n + len(s)
}

func (t T) Const(n int) int { return 7 }

func (t T) Nop(n int) {}

func (t T) Many(a int8, b string, c []int, d interface{}, e [2]int, f uint16) (int, string) {
	return int(a) + len(c) + e[1] + int(f), b
}

func (t *T) PSmall(n int) int {
	sink += n
	return t.A + n
}

//go:noinline
func (t *T) PBig(n int) int {
	sink += n
	return t.A + n
}

func (t *T) PNil(n int) int {
	sink += n
	if t == nil {
		return -1
	}
	return n
}

// Int is no struct, Large one that is passed in memory, Empty has no size.
type Int int

func (i Int) Add(n int) int { return int(i) + n + sink }

type Large struct{ A [30]int }

func (l Large) At(n int) int { return l.A[n] }

type Empty struct{}

func (e Empty) Say(n int) int { return n + 1 }

// Types that embed T in some ways.
type (
	OuterV struct {
		X int
		T
	}
	OuterP struct {
		X int
		*T
	}
	Mid struct {
		Y string
		OuterP
	}
	Deep struct {
		Z int8
		*Mid
	}
	OuterI struct {
		X int8
		All
	}
)

// All has all methods of *T.
type All interface {
	Values
	PSmall(n int) int
	PBig(n int) int
	PNil(n int) int
}

// Values has those of T.
type Values interface {
	Small(n int, s string) int
	Big(n int, s string) int
	Const(n int) int
	Nop(n int)
	Many(a int8, b string, c []int, d interface{}, e [2]int, f uint16) (int, string)
}

type adder interface{ Add(n int) int }
type ater interface{ At(n int) int }
type sayer interface{ Say(n int) int }

func say(method, how string, args ...interface{}) {
	text := []string{method, how}
	for _, a := range args {
		text = append(text, fmt.Sprintf("%#v", a))
	}
	fmt.Println(strings.Join(text, "\t"))
}

// results stands before the results in the arguments of say.
type results struct{}

//go:noinline
func values(how string, v Values, t T, n int) {
	say("main.T.Small", how, t, n, "abc", results{}, v.Small(n, "abc"))
	say("main.T.Small", how, t, n, "long text", results{}, v.Small(n, "long text"))
	say("main.T.Big", how, t, n, "big", results{}, v.Big(n, "big"))
	say("main.T.Const", how, t, n, results{}, v.Const(n))
	v.Nop(n)
	say("main.T.Nop", how, t, n, results{})
	a, b := v.Many(int8(n), "many", []int{1, n}, n, [2]int{n, 2}, 9)
	say("main.T.Many", how, t, int8(n), "many", []int{1, n}, interface{}(n), [2]int{n, 2}, uint16(9), results{}, a, b)
}

//go:noinline
func pointers(how string, v All, t *T, n int) {
	say("main.(*T).PSmall", how, t, n, results{}, v.PSmall(n))
	say("main.(*T).PBig", how, t, n, results{}, v.PBig(n))
	say("main.(*T).PNil", how, t, n, results{}, v.PNil(n))
}

//go:noinline
func later(how string, v Values, p All, t T, n int) {
	func() {
		defer v.Small(n, "defer")
		defer p.PSmall(n)
	}()
	say("main.(*T).PSmall", how+" deferred", &t, n, results{}, t.A+n)
	say("main.T.Small", how+" deferred", t, n, "defer", results{}, n)
	running := goroutines()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer v.Big(n, "go")
	}()
	wg.Wait()
	wait(running)
	say("main.T.Big", how+" in another goroutine", t, n, "go", results{}, t.A+n+2)
	before := goroutines()
	go v.Small(n, "go!!")
	wait(before)
	say("main.T.Small", how+" by go", t, n, "go!!", results{}, n)
}

//go:noinline
func call2(how, method string, f func(int, string) int, t T, n int) {
	say(method, how, t, n, "f", results{}, f(n, "f"))
	func() { defer f(n, "fd") }()
	result := t.A + n
	if method == "main.T.Big" {
		result += len("fd")
	}
	say(method, how+" deferred", t, n, "fd", results{}, result)
	say(method, how, t, 0, "long text", results{}, f(0, "long text"))
}

//go:noinline
func call1(how, method string, f func(int) int, recv interface{}, n int) {
	say(method, how, recv, n, results{}, f(n))
}

//go:noinline
func nils(what string, f func()) {
	defer func() {
		if recover() == nil {
			fmt.Println("main.none\t" + what + " did not panic")
		}
	}()
	f()
}

//go:noinline
func expr(how string, f func(T, int, string) int, g func(*T, int, string) int, h func(Values, int, string) int, t T) {
	say("main.T.Small", how+" T.Small", t, 1, "e", results{}, f(t, 1, "e"))
	say("main.T.Small", how+" (*T).Small", t, 2, "e", results{}, g(&t, 2, "e"))
	say("main.T.Small", how+" Values.Small, T", t, 3, "e", results{}, h(t, 3, "e"))
	say("main.T.Small", how+" Values.Small, *T", t, 4, "e", results{}, h(&t, 4, "e"))
}

//go:noinline
func kinds(a adder, at ater, s sayer, how string, i Int, l Large, e Empty) {
	say("main.Int.Add", how, i, 5, results{}, a.Add(5))
	say("main.Large.At", how, l, 3, results{}, at.At(3))
	say("main.Empty.Say", how, e, 4, results{}, s.Say(4))
}

func main() {
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	t := T{len(os.Args) * 40, "text", 1.5}
	values("interface with a T", t, t, 1)
	values("interface with a *T", &t, t, 2)
	pointers("interface with a *T", &t, &t, 3)
	values("embedded", OuterV{1, t}, t, 4)
	ov := &OuterV{2, t}
	values("embedded, by pointer", ov, t, 5)
	pointers("embedded, by pointer", ov, &ov.T, 6)
	values("embedded pointer", OuterP{3, &t}, t, 7)
	pointers("embedded pointer", OuterP{3, &t}, &t, 8)
	values("embedded pointer, by pointer", &OuterP{4, &t}, t, 9)
	pointers("embedded pointer, by pointer", &OuterP{4, &t}, &t, 10)
	deep := Deep{5, &Mid{"y", OuterP{6, &t}}}
	values("embedded deeply", deep, t, 11)
	pointers("embedded deeply", deep, &t, 12)
	values("embedded deeply, by pointer", &deep, t, 13)
	pointers("embedded deeply, by pointer", &deep, &t, 14)
	values("embedded interface", OuterI{7, &t}, t, 15)
	pointers("embedded interface, by pointer", &OuterI{7, &t}, &t, 16)
	later("*T", &t, &t, t, 17)
	later("*OuterV", ov, ov, t, 18)
	later("Deep", deep, deep, t, 19)

	call2("method value", "main.T.Small", t.Small, t, 20)
	call2("method value", "main.T.Big", t.Big, t, 21)
	call2("method value of what is embedded", "main.T.Small", deep.Small, t, 22)
	call1("method value", "main.(*T).PSmall", t.PSmall, &t, 23)
	call1("method value", "main.(*T).PBig", t.PBig, &t, 24)
	call1("method value", "main.(*T).PNil", (*T)(nil).PNil, (*T)(nil), 25)
	call1("method value", "main.Int.Add", Int(3).Add, Int(3), 26)
	call1("method value", "main.T.Const", t.Const, t, 27)
	l := Large{[30]int{1, 2, 3, 4, 5}}
	call1("method value", "main.Large.At", l.At, l, 4)
	call1("method value", "main.Empty.Say", Empty{}.Say, Empty{}, 28)
	var v Values = &t
	call2("method value of an interface", "main.T.Small", v.Small, t, 29)
	expr("method expression", T.Small, (*T).Small, Values.Small, t)

	i, e := Int(9), Empty{}
	kinds(i, l, e, "value", i, l, e)
	kinds(&i, &l, &e, "pointer", i, l, e)

	// None of these comes to a method, but where said.
	nils("nil *T", func() { asValues((*T)(nil)).Small(1, "nil") })
	nils("nil *T, nop", func() { asValues((*T)(nil)).Nop(1) })
	nils("nil *Int", func() { asAdder((*Int)(nil)).Add(1) })
	nils("nil *Empty", func() { asSayer((*Empty)(nil)).Say(1) })
	nils("nil *OuterV", func() { asValues((*OuterV)(nil)).Small(1, "nil") })
	nils("nil *OuterV, pointer", func() { asAll((*OuterV)(nil)).PNil(1) })
	nils("nil *OuterP", func() { asAll((*OuterP)(nil)).PNil(1) })
	nils("nil in OuterP", func() { asValues(OuterP{}).Small(1, "nil") })
	nils("nil in *OuterP", func() { asValues(&OuterP{}).Small(1, "nil") })
	nils("nil in Deep", func() { asAll(Deep{}).PNil(1) })
	nils("nil in Deep, deeper", func() { asAll(Deep{Mid: &Mid{}}).Small(1, "nil") })
	nils("nil in *Deep", func() { asAll(&Deep{}).Small(1, "nil") })
	say("main.(*T).PNil", "nil in OuterP", (*T)(nil), 1, results{}, asAll(OuterP{}).PNil(1))
	say("main.(*T).PNil", "nil in *OuterP", (*T)(nil), 2, results{}, asAll(&OuterP{}).PNil(2))
	say("main.(*T).PNil", "nil in Deep", (*T)(nil), 3, results{}, asAll(Deep{Mid: &Mid{}}).PNil(3))

	// By their names: only those that are not inlined are to be seen.
	direct("by value", t, &t)
	generic(t)
	fmt.Println("end")
}

//go:noinline
func asValues(v Values) Values { return v }

//go:noinline
func asAll(v All) All { return v }

//go:noinline
func asAdder(v adder) adder { return v }

//go:noinline
func asSayer(v sayer) sayer { return v }

//go:noinline
func direct(how string, t T, p *T) {
	say("main.T.Big", how, t, 30, "d", results{}, t.Big(30, "d"))
	say("main.T.Big", how+" of pointer", t, 31, "d", results{}, p.Big(31, "d"))
	say("main.(*T).PBig", how, p, 32, results{}, p.PBig(32))
	func() {
		defer t.Big(33, "d")
		defer p.PBig(34)
	}()
	say("main.(*T).PBig", how+" deferred", p, 34, results{}, t.A+34)
	say("main.T.Big", how+" deferred", t, 33, "d", results{}, t.A+34)
	before := goroutines()
	go p.PBig(35)
	wait(before)
	say("main.(*T).PBig", how+" by go", p, 35, results{}, t.A+35)
}
