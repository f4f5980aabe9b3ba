package main

import (
	"container/list"
	"math/rand/v2"
	"net/url"
	"sync"

	"fixture/truth"
)

func methods(t *truth.G) {
	p := Point{3, 4}
	announce("main.Point.Value", "p,n", &p, v(5))
	p.Value(5)
	var i Iface = p // through a wrapper
	announce("main.Point.Value", "p,n", &p, v(6))
	i.Value(6)
	value := p.Value // through another
	announce("main.Point.Value", "p,n", &p, v(7))
	value(7)
	q := &p
	announce("main.(*Point).Move", "p,dx,dy", v(&Point{3, 4}), v[int32](-1), v[int32](1))
	(&Point{3, 4}).Move(-1, 1)
	_ = q
	var n Nested
	n.Point = Point{8, 9}
	announce("main.Point.Value", "p,n", &n.Point, v(8)) // promoted
	n.Value(8)
	announce("main.Names.First", "n,def", v(Names{"x"}), v[Name]("y"))
	Names{"x"}.First("y")
	b := Big{a: 1, j: 10}
	announce("main.Big.Sum", "b,n", &b, v(5))
	b.Sum(5)
	announce("main.Empty.Nothing", "_,n", v(Empty{}), v(5))
	Empty{}.Nothing(5)
	s := v[Small](4)
	announce("main.(*Small).Set", "s,v", v(v[Small](4)), v[Small](-5))
	s.Set(-5)
	s = nil
	announce("main.(*Small).Set", "s,v", &s, v[Small](-6))
	s.Set(-6)
}

func generics(t *truth.G) {
	const first, afterReceiver = truth.DictFirst, truth.DictAfterReceiver
	t.Call("main.gen[go.shape.int]", first, "a,v*,list*", v(1), v(2), v([]int{3, 4}))
	gen(1, 2, []int{3, 4})
	t.Call("main.gen[go.shape.string]", first, "a,v*,list*", v(1), v("two"), v([]string{"three"}))
	gen(1, "two", []string{"three"})
	t.Call("main.gen[go.shape.int8]", first, "a,v*,list*", v(1), v[Small](-2), v([]Small{-3}))
	gen(1, Small(-2), []Small{-3})
	x := v(77)
	t.Call("main.gen[go.shape.*uint8]", first, "a,v*,list*", v(1), &x, v([]*int{x, nil}))
	gen(1, x, []*int{x, nil})
	t.Call("main.gen[go.shape.float64]", first, "a,v*,list*", v(1), v(2.5), v([]float64{3.5}))
	gen(1, 2.5, []float64{3.5})
	t.Call("main.gen2[go.shape.string,go.shape.[]uint8]", first, "k*,v*,n,s", v("k"), v([]byte("v")), v(3), v("s"))
	gen2("k", []byte("v"), 3, "s")
	st := &Stack[string]{items: []string{"a"}}
	t.Call("main.(*Stack[go.shape.string]).Push", afterReceiver, "s*,v*,n", &st, v("b"), v(1))
	st.Push("b", 1)
	si := &Stack[int]{}
	t.Call("main.(*Stack[go.shape.int]).Push", afterReceiver, "s*,v*,n", &si, v(5), v(2))
	si.Push(5, 2)
	two := Two[int8, string]{-1, "v"}
	t.Call("main.Two[go.shape.int8,go.shape.string].Show", afterReceiver, "t*,prefix,k*", &two, v("p"), v[int8](-2))
	two.Show("p", -2)
	values := Two[int8, url.Values]{k: 5}
	elems := &Stack[list.Element]{}
	err := url.Error{Op: "op", URL: "url"}
	keys := []mapKey[rand.PCG]{{1}, {2}}
	announce("main.instances", "a,b,c,d", &values, &elems, &err, &keys)
	instances(values, elems, err, keys)
}

// shapes calls functions whose code, or whose way of being called, is special.
func shapes(t *truth.G) {
	announce("main.recurse", "depth,s", v(5), v("abcdefgh"))
	recurse(5, "abcdefgh")
	announce("main.huge", "n,s", v(3), v("huge"))
	huge(3, "huge")
	announce("main.medium", "n,s", v(3), v("medium"))
	medium(3, "medium")
	announce("main.nosplit", "a,s,p", v(1), v("s"), v(&Point{2, 3}))
	nosplit(1, "s", &Point{2, 3})
	for _, n := range []int{0, 10, 11, 100, -5} {
		announce("main.loop", "n", &n)
		loop(n)
		var u uint64
		announce("main.countdown", "n,p", &n, v(&u))
		countdown(n, &u)
	}
	a, b := []int{1}, []int{2, 3}
	announce("main.swapped", "a,b", &a, &b)
	swapped(a, b)
	announce("main.swapped", "a,b", &b, &a)
	swapped(b, a)
	announce("main.escapes", "a,b,c", v(1), v("esc"), v(Point{5, 6}))
	escapes(1, "esc", Point{5, 6})
	for n := range 2 {
		announce("main.panics", "n,s", &n, v("boom"))
		panics(n, "boom")
	}
	func() {
		announce("main.results", "a,b", v(2), v("deferred"))
		defer results(2, "deferred")
	}()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		truth.New(2)
		announce("main.dead", "a,b,c", v(3), v("go"), v([]int(nil)))
		dead(3, "go", nil)
	}()
	wg.Wait()
	k := t.Uint64() | 1
	var c func(n uint64, s string) uint64
	c = func(n uint64, s string) uint64 { return n + k + uint64(len(s)) }
	announce("main.shapes.func3", "n,s", &k, v("closure"))
	sink += c(k, "closure")
}
