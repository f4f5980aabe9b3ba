package main

import (
	"errors"
	"math"
	"strings"
	"unsafe"

	"fixture/truth"
)

func announce(fn, names string, args ...any) { truth.Here().Call(fn, truth.NoDict, names, args...) }

func v[T any](x T) *T { return &x }

func main() {
	truth.Start()
	truth.Run(1, scalars, aggregates, spills, pointersAndRaws, methods, generics, shapes)
	truth.Done()
}

func scalars(t *truth.G) {
	announce("main.none", "")
	none()
	for _, b := range []bool{true, false} {
		c := v(!b)
		announce("main.bools", "a,b,c", v(b), v(!b), &c)
		bools(b, !b, c)
	}
	announce("main.ints", "a,b,c,d,e", v[int8](-128), v[int16](-1), v[int32](math.MinInt32), v[int64](math.MaxInt64), v(-7))
	ints(-128, -1, math.MinInt32, math.MaxInt64, -7)
	announce("main.uints", "a,b,c,d,e,f", v[uint8](255), v[uint16](1), v[uint32](math.MaxUint32), v[uint64](math.MaxUint64), v[uint](0), v[uintptr](1<<63))
	uints(255, 1, math.MaxUint32, math.MaxUint64, 0, 1<<63)
	for range 4 {
		a, b, c, d := int8(t.Uint64()), uint16(t.Uint64()), t.Uint64()&1 == 1, int32(t.Uint64())
		announce("main.narrow", "a,b,c,d", &a, &b, &c, &d)
		narrow(int8(t.Wide(uint64(a), 8)), uint16(t.Wide(uint64(b), 16)), c, int32(t.Wide(uint64(d), 32)))
	}
	announce("main.dead", "a,b,c", v(42), v("dead"), v([]int{4, 2}))
	dead(42, "dead", []int{4, 2})
	announce("main.blanks", "_,a,_,_,b", v(1), v("two"), v([]byte("three")), v(Point{4, 5}), v(6))
	blanks(1, "two", []byte("three"), Point{4, 5}, 6)
	announce("main.unnamed", "_,_,_,_", v(1), v("two"), v([2]int{3, 4}), v(5.5))
	unnamed(1, "two", [2]int{3, 4}, 5.5)
	long := strings.Repeat("0123456789", 500)
	for _, s := range []string{"", "x", "hello", "naïve ☃ 🙂", "\xff\x00\xfe", long, long[:255], long[:256], long[:257], `"\/<&>`} {
		announce("main.str", "s", &s)
		str(s)
	}
	announce("main.names", "a,b,c,d", v[Name]("n"), v(Names{"a", "", "ü"}), v[Small](-3), v[größe](40000))
	names("n", Names{"a", "", "ü"}, -3, 40000)
	announce("main.floats", "a,n,b,s", v(1.5), v(2), v[float32](-0.25), v("four"))
	floats(1.5, 2, -0.25, "four")
	announce("main.complexes", "a,b,c", v(1+2i), v[complex64](3-4i), v(5))
	complexes(1+2i, 3-4i, 5)
}

func aggregates(t *truth.G) {
	long := make([]int, 3000)
	for i := range long {
		long[i] = i
	}
	for _, a := range [][]int{nil, {}, {1}, {-1, 2, 3}, make([]int, 0, 5), long[:3], long[10:12:15], long} {
		b, c := []string{"x", "", "日本"}, []byte{0, 1, 255}
		announce("main.slices", "a,b,c", &a, &b, &c)
		slices(a, b, c)
	}
	a8, bs, us := []int8{-1}, []bool{true, false}, []uint32{7, 8}
	announce("main.sliceSpill", "a,b,c,d", v([]int{5}), &a8, &bs, &us)
	sliceSpill([]int{5}, a8, bs, us)
	fs, cs, ps := []float64{1.5, math.Inf(-1), math.NaN(), math.Copysign(0, -1), 1e300}, []complex64{1i, 2}, []Point{{1, 2}, {3, 4}}
	announce("main.sliceKinds", "a,b,c", &fs, &cs, &ps)
	sliceKinds(fs, cs, ps)
	announce("main.sliceEmpty", "a,b,c", v(make([]Empty, 3)), v(make([][0]int, 2)), v([]uintptr{1}))
	sliceEmpty(make([]Empty, 3), make([][0]int, 2), []uintptr{1})
	announce("main.arrays", "a,b,c,d,e", v([0]int{}), v([1]int{1}), v([2]int{2, 3}), v([1]string{"four"}), v([3]string{"5", "", "seven"}))
	arrays([0]int{}, [1]int{1}, [2]int{2, 3}, [1]string{"four"}, [3]string{"5", "", "seven"})
	announce("main.arrayRegs", "a,b,c,d", v([1]int8{-1}), v(2), v([1][1]uint16{{3}}), v([1]Point{{4, -5}}))
	arrayRegs([1]int8{-1}, 2, [1][1]uint16{{3}}, [1]Point{{4, -5}})
	g := Grid{{1, 2, 3}, {-4, -5, -6}}
	announce("main.grid", "g,p", &g, v(&g))
	grid(g, &g)
	announce("main.point", "p,q", v(Point{-1, 2}), v(&Point{3, -4}))
	point(Point{-1, 2}, &Point{3, -4})
	pad := Padded{a: -1, b: 1 << 40, c: "padded"}
	announce("main.padded", "p,after", &pad, v(9))
	padded(pad, 9)
	var n Nested
	n.Point, n.Padded, n.Small = Point{1, 2}, &pad, -5
	n.inner.list, n.inner.deep.flag = []uint16{1, 2}, true
	announce("main.nested", "n,after", &n, v[uint8](200))
	nested(n, 200)
	var o One
	o.only[0].s[0] = "only"
	announce("main.one", "o,after", &o, v(1))
	one(o, 1)
	announce("main.zero", "a,b,c,d,e", v(Empty{}), v(1), v([0]string{}), v(struct{ _ Empty }{}), v("e"))
	zero(Empty{}, 1, [0]string{}, struct{ _ Empty }{}, "e")
	announce("main.onlyZero", "a,b", v(Empty{}), v([0]int{}))
	onlyZero(Empty{}, [0]int{})
	announce("main.tail", "t,u", v(Tail{n: 1}), v(Tail{n: -2}))
	tail(Tail{n: 1}, Tail{n: -2})
	announce("main.blankFields", "b,c", v(Blank{v: 7}), v(8))
	blankFields(Blank{v: 7}, 8)
	announce("main.mixed", "m,n", v(Mixed{1, 2, 3, 4}), v(5))
	mixed(Mixed{1, 2, 3, 4}, 5)
	f32 := v[float32](0.1)
	announce("main.floatMem", "a,b,c,d,e", v([2]float64{0.1, math.Pi}), &f32, v([]float32{1.5, math.MaxFloat32}),
		v(&Mixed{1, 2, 3, 4i}), v([2]complex128{1i, 2}))
	floatMem([2]float64{0.1, math.Pi}, f32, []float32{1.5, math.MaxFloat32}, &Mixed{1, 2, 3, 4i}, [2]complex128{1i, 2})
	announce("main.marshaler", "m,p", v(Marshaler{1}), v(&Marshaler{2}))
	marshaler(Marshaler{1}, &Marshaler{2})
}

func spills(t *truth.G) {
	n := make([]int, 16)
	t.Fill(&n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9])
	announce("main.nine", "a,b,c,d,e,f,g,h,i", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8])
	nine(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8])
	announce("main.ten", "a,b,c,d,e,f,g,h,i,j", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9])
	ten(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9])
	b := func(i int8) *int8 { return v(-i) }
	announce("main.sixteen", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p",
		b(1), b(2), b(3), b(4), b(5), b(6), b(7), b(8), b(9), b(10), b(11), b(12), b(13), b(14), b(15), b(16))
	sixteen(-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15, -16)
	announce("main.backfill", "a,b,c,d,e,f,g", v("a"), v("bb"), v("ccc"), v("dddd"), v(5), v("ffffff"), v[int8](-7))
	backfill("a", "bb", "ccc", "dddd", 5, "ffffff", -7)
	big1 := Big{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	announce("main.big", "b,after,p", &big1, v(11), v(&big1))
	big(big1, 11, &big1)
	announce("main.stackMix", "a,b,c,d,e,f", &big1, v[int8](-1), v([2]int16{-2, 3}), v(true), v([3]uint8{4, 5, 6}), v("seven"))
	stackMix(big1, -1, [2]int16{-2, 3}, true, [3]uint8{4, 5, 6}, "seven")
	announce("main.stackStrings", "a,b,c", v([2]string{"x", "yy"}), v([2]Pair{{"a", "b"}, {"", "cc"}}), v([1]Pair{{"d", "e"}}))
	stackStrings([2]string{"x", "yy"}, [2]Pair{{"a", "b"}, {"", "cc"}}, [1]Pair{{"d", "e"}})
	i := v(5)
	announce("main.stackSlices", "a,b", v([2][]int{{1}, nil}), v([3]*int{i, nil, v(7)}))
	stackSlices([2][]int{{1}, nil}, [3]*int{i, nil, v(7)})
	f := func(x float64) *float64 { return &x }
	announce("main.manyFloats", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8),
		f(9), f(10), f(11), f(12), f(13), f(14), f(15), f(16.5), v(17))
	manyFloats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16.5, 17)
	announce("main.results", "a,b", v(1), v("b"))
	results(1, "b")
	announce("main.bigResult", "a,b", v(1), v([2]int{2, 3}))
	bigResult(1, [2]int{2, 3})
}

func pointersAndRaws(t *truth.G) {
	a, b, c, d, e := v(1), v("two"), v([]int{3}), v([3]int16{4, 5, 6}), &Padded{a: 7, b: 8, c: "nine"}
	f := v(a)
	announce("main.ptrs", "a,b,c,d,e,f", &a, &b, &c, &d, &e, &f)
	ptrs(a, b, c, d, e, f)
	a, b, c, d, e, f = nil, nil, nil, nil, nil, nil
	announce("main.ptrs", "a,b,c,d,e,f", &a, &b, &c, &d, &e, &f)
	ptrs(a, b, c, d, e, f)
	e = &Padded{c: "same"}
	announce("main.sameTwice", "a,b", &e, &e)
	sameTwice(e, e)
	l := &List{val: "self"}
	l.next = l
	announce("main.linked", "l", &l)
	linked(l)
	announce("main.ptrToEmpty", "a,b,c", v(&Empty{}), v(&[0]int{}), v(&Tail{n: 3}))
	ptrToEmpty(&Empty{}, &[0]int{}, &Tail{n: 3})
	for _, x := range []any{nil, 1, "dynamic", e, 1.5, []int{1}} {
		err := errors.New("an error")
		announce("main.raws", "a,b,c,d", &x, v(7), &err, v("after"))
		raws(x, 7, err, "after")
	}
	m, ch, fn := map[string]int{"k": 1}, make(chan int, 3), none
	ch <- 1
	p := unsafe.Pointer(a)
	announce("main.rawRefs", "m,a,c,b,f,s,u", &m, v(1), &ch, v(true), &fn, v("s"), &p)
	rawRefs(m, 1, ch, true, fn, "s", p)
	m, ch, fn, p = nil, nil, nil, unsafe.Pointer(&sink)
	announce("main.rawRefs", "m,a,c,b,f,s,u", &m, v(1), &ch, v(false), &fn, v(""), &p)
	rawRefs(m, 1, ch, false, fn, "", p)
	var s struct {
		e error
		n int
		m map[int]int
	}
	s.n = 9
	announce("main.rawFields", "a,after", &s, v("x"))
	rawFields(s, "x")
	announce("main.variadic", "a,rest", v(1), v([]string{"x", "y"}))
	variadic(1, "x", "y")
	announce("main.variadic", "a,rest", v(1), v([]string(nil)))
	variadic(1)
	announce("main.variadicAny", "format,args", v("%d %s"), v([]any{1, "x"}))
	variadicAny("%d %s", 1, "x")
}
