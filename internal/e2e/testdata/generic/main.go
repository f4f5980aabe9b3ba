// Command generic calls generic functions and methods with types of the same
// shape and of others, and prints before each call what it passes: the name of
// the function without type arguments, and for each argument its type, a space,
// and the value in the form of package e2e's shape.
package main

import (
	"bufio"
	"fmt"
	"os"
)

type (
	ID    int
	Age   int
	Name  string
	Point struct{ X, Y int32 }
	Node  struct {
		Name string
		Next *Node
		any  any
	}
)

func (i ID) Text() string     { return fmt.Sprint(int(i)) }
func (p *Point) Text() string { return fmt.Sprint(p.X, p.Y) }
func (n *Node) Text() string  { return n.Name }

type Texter interface{ Text() string }

type Getter[T any] interface{ Get() T }

type Box[T any] struct{ V T }

func (b Box[T]) Get() T { return b.V }

type Pair[A, B any] struct {
	First  A
	Second B
	Size   uint8
}

type Stack[T any] struct {
	list []T
	top  *T
}

type List[T any] struct {
	value T
	next  *List[T]
}

//go:noinline
func One[T any](t T) { sink++ }

//go:noinline
func Map[K comparable, V any](k K, v V, n int) { sink++ }

//go:noinline
func Slices[T any](s []T, a [2]T, p *T, pp **T, ss ...[]T) { sink++ }

//go:noinline
func Mixed[A, B any](b B, a A, p Pair[A, B], q *Pair[B, A]) { sink++ }

//go:noinline
func Words[K comparable, V any](m map[K]V, c chan V, f func(K) V) { sink++ }

//go:noinline
func Text[T Texter](t T, ts []T) { sink += len(t.Text()) }

//go:noinline
func Get[T any](g Getter[T], i interface{ Get() T }, a any) { sink++ }

//go:noinline
func Lists[T any](l *List[T], n int) { sink++ }

//go:noinline
func Number[T ~int | ~int64 | ~uint8](x T, y *T, z [3]T) T { return x + *y }

//go:noinline
func Many[T any](a, b, c, d, e, f, g, h, i int, t T, j int, p *T) { sink++ }

//go:noinline
func (s *Stack[T]) Push(t T, more ...T) { s.list = append(append(s.list, t), more...); s.top = &t }

//go:noinline
func (s Stack[T]) Top(def T) T { return def }

//go:noinline
func (p *Pair[A, B]) Set(a A, b B) *Pair[A, B] { p.First, p.Second = a, b; return p }

//go:noinline
func (p Pair[A, B]) Swap() Pair[B, A] { return Pair[B, A]{First: p.Second, Second: p.First} }

type Pusher[T any] interface{ Push(T, ...T) }

var sink int

func call[K comparable, V any](k K, v V) {
	show("main.Map", &k, &v, &sink)
	Map(k, v, sink)
	one(k)
	one(v)
	p, q := Pair[K, V]{k, v, 7}, &Pair[V, K]{v, k, 8}
	show("main.Mixed", &v, &k, &p, &q)
	Mixed(v, k, p, q)
	m, c, f := map[K]V{k: v}, make(chan V, 1), func(K) V { return v }
	show("main.Words", &m, &c, &f)
	Words(m, c, f)
	pp := &p
	show("main.(*Pair).Set", &pp, &k, &v)
	p.Set(k, v)
	show("main.Pair.Swap", &p)
	p.Swap()
	// The type argument is made of those of the caller.
	show("main.One", &p)
	One(p)
	list := []*V{&v}
	show("main.One", &list)
	One(list)
	byName := map[string]V{"m": v}
	show("main.One", &byName)
	One(byName)
}

func one[T any](t T) {
	show("main.One", &t)
	One(t)
	s, a, p, ss := []T{t, t}, [2]T{t, t}, &t, [][]T{{t}, nil}
	pp := &p
	show("main.Slices", &s, &a, &p, &pp, &ss)
	Slices(s, a, p, pp, ss...)
	var g Getter[T] = Box[T]{t}
	var i interface{ Get() T } = &Box[T]{t}
	var x any = s
	show("main.Get", &g, &i, &x)
	Get(g, i, x)
	l, n := &List[T]{t, &List[T]{value: t}}, 5
	show("main.Lists", &l, &n)
	Lists(l, n)
	one, two := 1, 2
	show("main.Many", &one, &one, &one, &one, &one, &one, &one, &one, &one, &t, &two, &p)
	Many(one, one, one, one, one, one, one, one, one, t, two, p)
	st := &Stack[T]{list: []T{t}}
	show("main.(*Stack).Push", &st, &t, &s)
	st.Push(t, s...)
	show("main.Stack.Top", st, &t)
	st.Top(t)
	// Through an interface, which holds a wrapper.
	var push Pusher[T] = st
	show("main.(*Stack).Push", &st, &t, &s)
	push.Push(t, s...)
	// And through a method value and a method expression.
	f := st.Push
	show("main.(*Stack).Push", &st, &t, &s)
	f(t, s...)
	h := (*Stack[T]).Push
	show("main.(*Stack).Push", &st, &t, &s)
	h(st, t, s...)
}

func text[T Texter](t T) {
	ts := []T{t}
	show("main.Text", &t, &ts)
	Text(t, ts)
	one(t)
}

func number[T ~int | ~int64 | ~uint8](x T) {
	y, z := &x, [3]T{x, x + 1, x + 2}
	show("main.Number", &x, &y, &z)
	Number(x, y, z)
}

func main() {
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')

	type local struct{ A, B string }
	node := &Node{"head", &Node{Name: "tail"}, ID(3)}
	num := 5
	call(1, "one")
	call(ID(2), Name("two"))
	call(Age(3), &num)
	call(ID(4), &Point{5, 6})
	call("x", node)
	call(Name("y"), *node)
	call(Point{1, 2}, []int{3, 4})
	call(&Point{7, 8}, []Name{"n"})
	call(local{"a", "b"}, local{"c", "d"})
	call(node, (*local)(nil))
	call(uint8(9), Box[ID]{10})
	call(ID(11), &Box[*Node]{node})
	call([2]ID{1, 2}, any(ID(3)))
	call[ID, error](12, os.ErrNotExist)
	call[ID, Texter](13, node)
	call(true, func(ID) Name { return "" })
	call(ID(14), map[Name]*Node{"m": node})
	call(int8(-1), make(chan ID))
	call(struct{ X ID }{15}, struct{}{})
	call([1]*Node{node}, struct{ P *Point }{&Point{1, 1}})
	one([]*Node{node, nil})
	one([][]Name{{"p"}, {"q", "r"}})
	one(&[]Name{"z"})
	text(ID(16))
	text(node)
	text(&Point{9, 9})
	text[Texter](node)
	number(17)
	number(ID(18))
	number(int64(19))
	number(uint8(20))
	number(Age(21))
}
