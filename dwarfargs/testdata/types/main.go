// Command types prints where the descriptors of types are, and whether an
// interface holds a value directly (d) or by a pointer (i).
package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type eface struct{ typ, data uintptr }

type point struct {
	X, Y int
	_    uint16
}

type named map[string]*point

type list struct {
	next *list
	any  interface{}
}

type single struct{ p *point }

type padded struct {
	_ struct{}
	p *point
}

type shape interface{ area() float64 }

func (p point) area() float64 { return 0 }

var more []interface{}

//go:noinline
func values() []interface{} {
	type local struct{ a, b string }
	var r io.Reader = strings.NewReader("")
	return append([]interface{}{
		true, 1, int8(1), int16(1), int32(1), int64(1), uint(1), uint8(1), uint16(1), uint32(1), uint64(1), uintptr(1),
		float32(1), 1.5, complex64(1), complex(1, 2), "s", unsafe.Pointer(nil),
		[]byte{1}, []string{"a"}, [3]int{}, [1]*point{{}}, [1]uintptr{1}, [0]*point{}, map[string]int{}, named{}, make(chan int), make(chan<- string), func(int) string { return "" },
		point{}, &point{}, single{&point{}}, padded{p: &point{}}, [1]single{{&point{}}}, struct {
			_ [0]int
			p *point
		}{p: &point{}}, &list{}, list{}, local{}, []local{}, &local{},
		errors.New("x"), &os.PathError{}, syscall.Errno(2), time.Time{}, time.Second, &url.URL{}, r, &r, new(shape), &sync.Mutex{},
		struct {
			A int `json:"a b"`
			b []byte
		}{},
		map[string]map[[2]int]*os.PathError{}, fmt.Errorf("%v", 1), reflect.TypeOf(1), os.Stdout,
	}, more...)
}

func main() {
	fmt.Printf("%x d main.main\n", reflect.ValueOf(main).Pointer())
	for _, v := range values() {
		if _, ok := v.(shape); ok {
			fmt.Fprintln(os.Stderr, "has an area")
		}
		e := (*eface)(unsafe.Pointer(&v))
		fmt.Printf("%x %c %T\n", e.typ, held(e, reflect.ValueOf(v)), v)
	}
}

// held tells by the second word of an interface whether it is the value.
func held(e *eface, v reflect.Value) rune {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	if v.Type().Size() == unsafe.Sizeof(e.data) && *(*uintptr)(unsafe.Pointer(p.Pointer())) == e.data {
		return 'd'
	}
	return 'i'
}
