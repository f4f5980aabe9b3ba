// Table is the fixture of TestTable: signatures for every corner of the
// calling convention, as far as the arguments of a call go.
package main

import (
	"container/list"
	"math/rand/v2"
	"net/url"
	"unsafe"
)

var (
	sink  uint64
	fsink float64
	asink any
)

type (
	Small  int8
	Name   string
	Names  []Name
	Point  struct{ X, Y int32 }
	Padded struct {
		a int8
		b int64
		_ int32
		c string
	}
	Empty  struct{}
	Nested struct {
		Point
		*Padded
		inner struct {
			e    Empty
			list []uint16
			deep struct{ flag bool }
		}
		Small
	}
	One   struct{ only [1]struct{ s [1]string } }
	Pair  struct{ a, b string }
	Big   struct{ a, b, c, d, e, f, g, h, i, j int } // ten words: never in registers
	Mixed struct {
		f float32
		n int16
		g float64
		z complex64
	}
	List struct {
		next *List
		val  string
	}
	Blank struct {
		_ int64
		_ string
		v uint8
		_ float64
	}
	Stack[T any]  struct{ items []T }
	Two[K, V any] struct {
		k K
		v V
	}
	größe uint16
	Grid  [2][3]int8
	Tail  struct {
		n int64
		_ struct{}
	}
	Marshaler struct{ n int }
	Iface     interface{ Value(int) string }
)

// MarshalJSON must not be asked: a tracer runs no code of the target.
func (Marshaler) MarshalJSON() ([]byte, error) { return []byte(`"never"`), nil }

//go:noinline
func none() { sink++ }

//go:noinline
func bools(a, b bool, c *bool) { sink += b2u(a) + b2u(b) }

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

//go:noinline
func ints(a int8, b int16, c int32, d int64, e int) int { return int(a) + int(b) + int(c) + int(d) + e }

//go:noinline
func uints(a uint8, b uint16, c uint32, d uint64, e uint, f uintptr) uint64 {
	return uint64(a) + uint64(b) + uint64(c) + d + uint64(e) + uint64(f)
}

//go:noinline
func narrow(a int8, b uint16, c bool, d int32) { sink += uint64(a) + uint64(b) + b2u(c) + uint64(d) }

//go:noinline
func dead(a int, b string, c []int) {}

//go:noinline
func blanks(_ int, a string, _ []byte, _ Point, b int) int { return b + len(a) }

//go:noinline
func unnamed(int, string, [2]int, float64) {}

//go:noinline
func str(s string) int { return len(s) }

//go:noinline
func names(a Name, b Names, c Small, d größe) int { return len(a) + len(b) + int(c) + int(d) }

//go:noinline
func slices(a []int, b []string, c []byte) int { return len(a) + len(b) + len(c) }

//go:noinline
func sliceSpill(a []int, b []int8, c []bool, d []uint32) int {
	return len(a) + len(b) + len(c) + len(d)
}

//go:noinline
func sliceKinds(a []float64, b []complex64, c []Point) int { return len(a) + len(b) + len(c) }

//go:noinline
func sliceEmpty(a []Empty, b [][0]int, c []uintptr) int { return len(a) + len(b) + len(c) }

//go:noinline
func arrays(a [0]int, b [1]int, c [2]int, d [1]string, e [3]string) int {
	return b[0] + c[1] + len(d[0]) + len(e[2])
}

//go:noinline
func arrayRegs(a [1]int8, b int, c [1][1]uint16, d [1]Point) int {
	return int(a[0]) + b + int(c[0][0]) + int(d[0].X)
}

//go:noinline
func grid(g Grid, p *Grid) int8 { return g[1][2] + p[0][0] }

//go:noinline
func point(p Point, q *Point) int32 { return p.X + q.Y }

//go:noinline
func padded(p Padded, after int) int { return int(p.a) + after + len(p.c) }

//go:noinline
func nested(n Nested, after uint8) int { return len(n.inner.list) + int(after) }

//go:noinline
func one(o One, after int) int { return len(o.only[0].s[0]) + after }

//go:noinline
func zero(a Empty, b int, c [0]string, d struct{ _ Empty }, e string) int { return b + len(e) }

//go:noinline
func onlyZero(a Empty, b [0]int) { sink++ }

//go:noinline
func tail(t Tail, u Tail) int64 { return t.n + u.n }

//go:noinline
func blankFields(b Blank, c int) uint8 { return b.v + uint8(c) }

//go:noinline
func nine(a, b, c, d, e, f, g, h, i int) int { return a + b + c + d + e + f + g + h + i }

//go:noinline
func ten(a, b, c, d, e, f, g, h, i, j int) int { return a + b + c + d + e + f + g + h + i + j }

//go:noinline
func sixteen(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p int8) int8 { return a + i + j + p }

// The third string does not fit and goes to the stack, the last int fits.
//
//go:noinline
func backfill(a, b, c, d string, e int, f string, g int8) int {
	return len(a) + len(b) + len(c) + len(d) + e + len(f) + int(g)
}

//go:noinline
func big(b Big, after int, p *Big) int { return b.a + b.j + after + p.e }

//go:noinline
func stackMix(a Big, b int8, c [2]int16, d bool, e [3]uint8, f string) int {
	return a.c + int(b) + int(c[0]) + int(e[2])
}

//go:noinline
func stackStrings(a [2]string, b [2]Pair, c [1]Pair) int {
	return len(a[1]) + len(b[1].b) + len(c[0].a)
}

//go:noinline
func stackSlices(a [2][]int, b [3]*int) int { return len(a[1]) }

//go:noinline
func floats(a float64, n int, b float32, s string) float64 {
	return a + float64(n) + float64(b) + float64(len(s))
}

//go:noinline
func mixed(m Mixed, n int) float64 { return m.g + float64(n) + float64(m.f) }

//go:noinline
func floatMem(a [2]float64, b *float32, c []float32, d *Mixed, e [2]complex128) float64 {
	return a[1] + float64(*b)
}

// The sixteenth float is on the stack.
//
//go:noinline
func manyFloats(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p float64, q int) float64 {
	return a + p + float64(q)
}

//go:noinline
func complexes(a complex128, b complex64, c int) int { return c }

//go:noinline
func ptrs(a *int, b *string, c *[]int, d *[3]int16, e *Padded, f **int) int {
	if a != nil {
		return *a
	}
	return 0
}

//go:noinline
func sameTwice(a, b *Padded) bool { return a == b }

//go:noinline
func linked(l *List) int { return len(l.val) }

//go:noinline
func ptrToEmpty(a *Empty, b *[0]int, c *Tail) {}

//go:noinline
func raws(a any, b int, c error, d string) int { return b + len(d) }

//go:noinline
func rawRefs(m map[string]int, a int, c chan int, b bool, f func(), s string, u unsafe.Pointer) int {
	return a + len(s)
}

//go:noinline
func rawFields(a struct {
	e error
	n int
	m map[int]int
}, after string) int {
	return a.n + len(after)
}

//go:noinline
func variadic(a int, rest ...string) int { return a + len(rest) }

//go:noinline
func variadicAny(format string, args ...any) int { return len(format) + len(args) }

//go:noinline
func results(a int, b string) (n int, s string, err error, p Point) { return a, b, nil, Point{1, 2} }

//go:noinline
func bigResult(a int, b [2]int) (Big, [2]string) { return Big{a: a, j: b[1]}, [2]string{} }

//go:noinline
func (p Point) Value(n int) string { return string(rune('a' + (int(p.X)+n)%26)) }

//go:noinline
func (p *Point) Move(dx, dy int32) { p.X += dx; p.Y += dy }

//go:noinline
func (n Names) First(def Name) Name { return def }

//go:noinline
func (b Big) Sum(n int) int { return b.a + b.j + n }

//go:noinline
func (Empty) Nothing(n int) int { return n }

//go:noinline
func (s *Small) Set(v Small) {
	if s != nil {
		*s = v
	}
}

//go:noinline
func gen[T any](a int, v T, list []T) int { asink = v; return a + len(list) }

//go:noinline
func gen2[K comparable, V any](k K, v V, n int, s string) int { return n + len(s) }

//go:noinline
func (s *Stack[T]) Push(v T, n int) { s.items = append(s.items, v); sink += uint64(n) }

//go:noinline
func (t Two[K, V]) Show(prefix string, k K) int { return len(prefix) }

// Types that are instances, with packages whose path is longer than their name.
//
//go:noinline
func instances(a Two[int8, url.Values], b *Stack[list.Element], c url.Error, d []mapKey[rand.PCG]) int {
	return int(a.k) + len(c.Op)
}

type mapKey[T any] struct{ n uint8 }

//go:noinline
func recurse(depth int, s string) int {
	if depth == 0 {
		return len(s)
	}
	d, u := depth-1, s[1:]
	announce("main.recurse", "depth,s", &d, &u)
	return recurse(d, u) + 1
}

//go:noinline
func huge(n int, s string) byte {
	var buf [20000]byte
	buf[n%len(buf)] = byte(len(s))
	return buf[(n+1)%len(buf)] + buf[sink%20000]
}

//go:noinline
func medium(n int, s string) byte {
	var buf [1000]byte
	buf[n%len(buf)] = byte(len(s))
	return buf[sink%1000]
}

//go:nosplit
//go:noinline
func nosplit(a int, s string, p *Point) int { return a + len(s) }

// Its loop may begin at the first instruction.
//
//go:noinline
func loop(n int) int {
	for n > 10 {
		n -= 3
	}
	return n
}

//go:noinline
func countdown(n int, p *uint64) {
	for ; n > 0; n-- {
		*p += uint64(n)
	}
}

//go:noinline
func swapped(a, b []int) int {
	if len(a) < len(b) {
		a, b = b, a
	}
	return len(a) - len(b)
}

//go:noinline
func escapes(a int, b string, c Point) *int {
	asink = &b
	asink = &c
	return &a
}

//go:noinline
func panics(n int, s string) (ok bool) {
	defer func() { ok = recover() != nil }()
	if n > 0 {
		panic(s)
	}
	return false
}

//go:noinline
func marshaler(m Marshaler, p *Marshaler) int { return m.n + p.n }
