// Program has methods with parameters of all kinds, which interfaces and
// reflection keep alive, and with text/template a good part of the standard
// library's. It compiles since Go 1.11.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"text/template"
	"time"
	"unsafe"
)

type small int8

func (s small) Small(a small, b *small) (small, error) { return a + s + *b, nil }

type pointerShaped struct{ p *int }

func (p pointerShaped) Direct(q pointerShaped) *int { return q.p }

type pair struct {
	a int8
	b int64
	_ int32
	s string `tag:"x y"`
}

type inner struct {
	sync.Mutex
	pair
	*small
	err  error
	next *inner
	many [3]struct {
		x complex64
		y [0]int
		z func(int, ...string) (bool, error)
	}
	m map[string][]*pair
	n map[pair]interface{}
}

func (i inner) Value(x [2]int16, y pair, z ...interface{}) (n int, _ string) { return len(z), y.s }
func (i *inner) Pointer(next *inner, t time.Time, d time.Duration) inner     { return *next }
func (i *inner) Chans(a chan int, b <-chan string, c chan<- *inner, d chan (<-chan int), e <-chan chan<- bool) {
}
func (i *inner) Kinds(a bool, b int8, c uint16, d int32, e uint64, f float32, g float64, h complex128,
	u uintptr, p unsafe.Pointer, s string, m map[string]int, x interface {
		M(int) error
		io.Reader
	}) (uint8, rune) {
	return 1, 2
}
func (i *inner) Anonymous(s struct {
	A int `json:"a,omitempty"`
	b uint8
	io.Reader
}, f func(struct{ c, D int }) interface {
	private()
	Public()
}, e struct{}, g func(...int)) {
}
func (i *inner) Deep(p **[4]*pair, q []map[string]chan *inner, r *[]struct{ v *template.Template }) {}

type funcs func(int) string

func (f funcs) Call(n int) string { return f(n) }

type list []pair

func (l list) Len(other list) int { return len(l) + len(other) }

type array [2]pair

func (a array) At(i int) pair { return a[i] }

type table map[string]*pair

func (t table) Get(k string) *pair { return t[k] }

type pipe chan pair

func (p pipe) Send(q pair) { p <- q }

// outer has the methods of what it embeds.
type outer struct {
	*inner
	list
	fmt.Stringer
}

type none struct{}

func (none) Empty(none, [0]int, struct{}) none { return none{} }

func local() interface{} {
	type pair struct{ x, y small }
	return []interface{}{pair{}, &pair{}}
}

func main() {
	n := 0
	s := small(1)
	values := []interface{}{
		small(1), pointerShaped{&n}, pair{}, inner{}, &inner{}, funcs(nil), list(nil), array{}, table(nil), pipe(nil),
		outer{}, &outer{}, none{}, &s, local(), time.Now(), new(bytes.Buffer), json.Number(""),
		struct{ *inner }{}, os.Stdout, template.New("x"),
	}
	for _, v := range values {
		t := reflect.TypeOf(v)
		for i := 0; i < t.NumMethod(); i++ {
			n += len(t.Method(i).Name) + reflect.ValueOf(v).Method(i).Type().NumIn()
		}
	}
	template.Must(template.New("t").Parse("{{.}}\n")).Execute(os.Stdout, n)
}
