// Command releases is what every Go release from 1.11 on compiles: a part of
// the standard library, and a function for each thing that a release's debug
// information has wrong. It is only built, never run.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strings"
	"text/template"
	"time"
)

type (
	empty struct{}
	// padded is 40 bytes of which 25 carry information, in 5 words.
	padded struct {
		a int8
		b int64
		_ int32
		s string
	}
	wide  struct{ a, b, c, d, e, f, g int }
	small struct{ x, y int32 }
	one   [1]string
	mixed struct {
		f float32
		n int16
		c complex64
		o one
	}
	server struct {
		name string
		hits int64
		mux  map[string]int
	}
	byHits []server
)

var (
	isink int
	lsink int64
	ssink string
	psink *int
	bsink []byte
	fsink func(int) string
	xsink interface{}
)

//go:noinline
func use(xs ...interface{}) { xsink = xs }

// ---- Parameters that debug information leaves out.

//go:noinline
func Blank(a int, _ string, b int64) int { use(a); return a + int(b) }

//go:noinline
func BlankFirst(_ int, s string) int { use(s); return len(s) }

//go:noinline
func BlankLast(s string, _ int) int { use(s); return len(s) }

//go:noinline
func BlankSmall(a int8, _ int8, b int8, _ int64) int { use(a); return int(a) + int(b) }

//go:noinline
func BlankWide(_ wide, a int) (int, string) { use(a); return a, "blank" }

//go:noinline
func BlankZero(_ empty, a int, _ [0]int64, b int) int { use(a); return a + b }

//go:noinline
func BlankFloat(f float64, _ float32, g float64, n int) float64 { use(f, n); return f + g }

//go:noinline
func Unnamed(int, string, []byte) (int, error) { use(1); return 1, nil }

//go:noinline
func (server) Unnamed(n int) int { use(n); return n }

//go:noinline
func (*server) Blank(_ string, n int) int { use(n); return n }

// ---- Results.

//go:noinline
func Results(a int, s string) (n int, t string, err error) {
	use(a)
	return a, s, nil
}

//go:noinline
func UnnamedResults(a int, s string, _ bool) (int, string, error) {
	use(a, s)
	return a, s, nil
}

//go:noinline
func Deferred(n int) (total int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
			total++
		}
	}()
	use(n)
	total = n * 2
	return total, nil
}

//go:noinline
func DeferredWide(n int) (w wide, s string) {
	defer func() {
		if recover() != nil {
			w.a, s = n, "recovered"
		}
	}()
	use(n)
	w.g = n
	return w, "wide"
}

//go:noinline
func BlankResults(n int) (_ int, s string, _ error) { use(n); return n, "s", nil }

// ---- Parameters whose locations name other parameters.

//go:noinline
func Swap(z *big.Int, x, y *big.Int) *big.Int {
	if x.Sign() < 0 {
		x, y = y, x
	}
	use(x)
	return z.Add(x, y)
}

//go:noinline
func SwapStrings(n int, s, t string) string {
	if n > 3 {
		s, t = t, s
	}
	use(s)
	return s + t
}

// ---- Order: what has no size is moved by the offset on the stack.

//go:noinline
func ZeroSize(a int, z empty, b int, y [0]int32, c int8, x empty) int {
	use(a, z, y, x)
	return a + b + int(c)
}

//go:noinline
func ZeroSizeFirst(z empty, a int, b string) int { use(a, b); return a + len(b) }

//go:noinline
func ZeroSizeOnly(z empty, y [0]int32, x empty) (r empty) { use(z); return }

// ---- What is passed in other ways.

//go:noinline
func Ints(a int, b int8, c uint16, d int32, e uint64) int {
	use(a, b)
	return a + int(b) + int(c) + int(d) + int(e)
}

//go:noinline
func Longs(a int32, b int64, c int8, d float64, e uint64) int64 {
	use(a, b)
	return int64(a) + b + int64(c) + int64(d) + int64(e)
}

//go:noinline
func Floats(f float64, g float32, c complex128, n int, d complex64) float64 {
	use(f, n)
	return f + float64(g) + real(c) + float64(real(d))
}

//go:noinline
func Structs(p padded, s small, w wide, m mixed, o one) int {
	use(p.s, m.o)
	return int(p.b) + int(s.y) + w.g + len(o[0])
}

//go:noinline
func Arrays(a one, b [2]int64, c [0]int, d empty, e [3]byte) int {
	use(a, b)
	return len(a[0]) + int(b[1]) + int(e[2])
}

//go:noinline
func Many(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r int, s string) int {
	use(a, r)
	return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r + len(s)
}

//go:noinline
func Words(e error, a interface{}, m map[string]int, c chan<- int, f func(), p *int, u uintptr) bool {
	use(e, a)
	return len(m) > 0 && c != nil && f != nil && p != nil && u > 1
}

//go:noinline
func Unused(a int, s string, b []byte, w wide) { use(1) }

//go:noinline
func Dead(s string, b []byte, n int) int { use(n); return len(b) }

//go:noinline
func Leaf(a int, s string, b []byte) int { return a*3 + len(s) + cap(b) }

//go:noinline
func Escapes(n int, w wide, s string) *int {
	psink = &w.b
	use(s)
	return &n
}

// EscapesAtOnce has pointers to its copies that need no place in the frame.
//
//go:noinline
func EscapesAtOnce(a int, s string, v small) *int {
	func() { use(&s, &v) }()
	return &a
}

//go:noinline
func EscapingResult(a int) (r wide, n int) {
	psink = &n
	use(&r)
	n = a
	return
}

//go:noinline
func Loop(n int, s string) (t int) {
	for i := 0; i < n; i++ {
		t += len(s) * i
		n -= t & 1
	}
	return
}

//go:noinline
func Slices(a, b []int) []int {
	sort.Ints(a)
	return append(a, b...)
}

//go:noinline
func (s *server) Handle(w http.ResponseWriter, r *http.Request) {
	s.hits++
	fmt.Fprintf(w, "%s %s %d", s.name, r.URL, s.hits)
}

func (h byHits) Len() int           { return len(h) }
func (h byHits) Less(i, j int) bool { return h[i].hits < h[j].hits }
func (h byHits) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

//go:noinline
func (s server) String() string { return s.name + fmt.Sprint(s.hits) }

//go:noinline
func (p padded) Sum(n int, _ string, f float64) (int, float64) { use(n); return n + int(p.b), f }

//go:noinline
func (w wide) Max(n int) int {
	if w.a > n {
		return w.a
	}
	return w.g
}

// embeds has promoted methods: wrappers.
type embeds struct {
	n int
	*server
	wide
	fmt.Stringer
}

type maxer interface{ Max(int) int }

func closures(n int, s string) func(int) string {
	k := n
	f := func(a int) string { k++; return s + fmt.Sprint(a, k) }
	g := func(_ int, b string) string { return b + s }
	fsink = f
	use(g)
	func() {
		defer func(a int, t string) { use(a, t, n) }(n, s)
		go func(b []byte) { use(b, s) }([]byte(s))
	}()
	return f
}

func main() {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	io.Copy(z, strings.NewReader("text"))
	z.Close()
	var v map[string]interface{}
	json.Unmarshal(buf.Bytes(), &v)
	template.Must(template.New("t").Parse("{{.}}")).Execute(os.Stdout, v)
	s := &server{name: "s"}
	sort.Sort(byHits{*s, *s})
	http.HandleFunc("/", s.Handle)
	u, _ := url.Parse("http://example.com/")
	use(u, regexp.MustCompile("a+").FindString("aaa"), sha256.Sum256([]byte("x")), base64.StdEncoding, time.Now())
	e, err := parser.ParseFile(token.NewFileSet(), "", "package p", 0)
	use(e, err)
	use(big.NewInt(1).Exp(big.NewInt(3), big.NewInt(4), nil), s.String, s.Unnamed, padded.Sum, wide.Max)
	use(Blank(1, "", 2), BlankFirst(1, "s"), BlankLast("s", 1), BlankSmall(1, 2, 3, 4), BlankZero(empty{}, 1, [0]int64{}, 2))
	use(BlankFloat(1, 2, 3, 4), server{}.Unnamed(1), s.Blank("", 2))
	use(BlankWide(wide{}, 1))
	use(Unnamed(1, "", nil))
	use(Results(1, ""))
	use(UnnamedResults(1, "", false))
	use(Deferred(1))
	use(DeferredWide(1))
	use(BlankResults(1))
	use(Swap(big.NewInt(1), big.NewInt(2), big.NewInt(3)), SwapStrings(1, "", ""))
	use(ZeroSize(1, empty{}, 2, [0]int32{}, 3, empty{}), ZeroSizeFirst(empty{}, 1, ""), ZeroSizeOnly(empty{}, [0]int32{}, empty{}))
	use(Ints(1, 2, 3, 4, 5), Longs(1, 2, 3, 4, 5), Floats(1, 2, 3, 4, 5), Structs(padded{}, small{}, wide{}, mixed{}, one{}))
	use(Arrays(one{}, [2]int64{}, [0]int{}, empty{}, [3]byte{}), Many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, ""))
	use(Words(nil, nil, nil, nil, nil, nil, 0), Dead("", nil, 1), Leaf(1, "", nil), Escapes(1, wide{}, ""), EscapesAtOnce(1, "", small{}), Loop(9, ""), Slices(nil, nil))
	Unused(1, "", nil, wide{})
	use(EscapingResult(1))
	use(closures(1, "")(2))
	em := embeds{server: s}
	use(em, &em, maxer(em), maxer(&em))
	use(newer()...)
	http.ListenAndServe(":0", nil)
}
