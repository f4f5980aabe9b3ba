// Command stack calls functions in many ways, and prints the stack of each call as
// runtime.CallersFrames has it, and how its goroutine came to be. It is compiled by
// every release from Go 1.11 on.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"fixture/truth"
)

var sink int

// tell prints the stack of the caller's caller: the function that is traced, or if
// leaf is not "", of that function, which the caller calls in the same line. It
// returns n.
//
//go:noinline
func tell(leaf string, n int) int {
	var pcs [1000]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var b bytes.Buffer
	if leaf != "" {
		fmt.Fprintf(&b, `{"func":"main.%s"},`, leaf)
	}
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, `{"func":%q,"file":%q,"line":%d},`, f.Function, f.File, f.Line)
		if !more {
			break
		}
	}
	var parent, line int
	var by, file string
	lines := strings.Split(strings.TrimSpace(string(debug.Stack())), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "created by ") {
			by = strings.TrimPrefix(l, "created by ")
			if k := strings.Index(by, " in goroutine "); k >= 0 {
				parent, _ = strconv.Atoi(by[k+len(" in goroutine "):])
				by = by[:k]
			}
			file = strings.Fields(lines[i+1])[0]
			k := strings.LastIndexByte(file, ':')
			line, _ = strconv.Atoi(file[k+1:])
			file = file[:k]
		}
	}
	truth.Print(`{"ev":"stack","goroutine":%d,"frames":[%s],"parent":%d,"by":%q,"file":%q,"line":%d}`,
		truth.GoroutineID(), strings.TrimSuffix(b.String(), ","), parent, by, file, line)
	return n
}

//go:noinline
func probe(n int) int {
	tell("", n)
	return n + 1
}

//go:noinline
func leaf(n int) int { return n*3 + 1 }

//go:noinline
//go:nosplit
func nosplit(n int) int { return n ^ sink }

// loops is a function that its own end jumps back to the beginning of.
//
//go:noinline
func loops(n int) int {
	for n > 10 {
		n -= 3
	}
	return n
}

// grows needs more stack than a goroutine has at first.
//
//go:noinline
func grows(n int) int {
	var room [100000]byte
	room[n&0xffff] = 1
	tell("", n)
	return int(room[n&0xff]) + n
}

func inlined1(n int) int { return probe(n) + 1 }
func inlined2(n int) int { return inlined1(n+1) * 2 }
func inlined3(n int) int {
	if n > 1000 {
		return 0
	}
	return inlined2(n + 1)
}

//go:noinline
func leaves(n int) {
	sink += leaf(tell("leaf", n))
	sink += nosplit(tell("nosplit", n))
	sink += loops(tell("loops", n))
}

//go:noinline
func recursive(depth, n int) int {
	if depth == 0 {
		return probe(n)
	}
	return recursive(depth-1, n) + 1
}

type inner struct{ a int }

func (v inner) Value(n int) int    { return probe(n + v.a) }
func (p *inner) Pointer(n int) int { return probe(n + p.a) }

type outer struct {
	pad [3]int
	inner
}

type deep struct{ *outer }

type valuer interface{ Value(n int) int }
type pointer interface{ Pointer(n int) int }

//go:noinline
func byInterface(v valuer, p pointer, n int) { sink += v.Value(n) + p.Pointer(n) }

//go:noinline
func call(f func(int) int, n int) int { return f(n) }

//go:noinline
func deferred(n int) {
	defer probe(n)
	defer func() { sink += probe(n + 1) }()
	for i := 0; i < 2; i++ {
		defer func(i int) { sink += inlined3(i) }(i)
	}
	sink++
}

var nothing *outer

//go:noinline
func faultLeaf(p *outer) int { return p.a }

//go:noinline
func faults(kind string, n int) (r int) {
	defer func() {
		sink += probe(n)
		recover()
	}()
	switch kind {
	case "leaf":
		return faultLeaf(nothing)
	case "nil":
		return nothing.a + len(kind)
	case "index":
		return []int{1, 2}[n+sink&1+2]
	case "divide":
		return n / (sink & 0)
	case "panic":
		panic(errors.New(kind))
	case "nested":
		defer func() {
			defer func() { sink += probe(n + 1) }()
			panic("inner")
		}()
		panic("outer")
	case "exit":
		runtime.Goexit()
	}
	return 0
}

//go:noinline
func afterPanics(n int) {
	for i, kind := range []string{"leaf", "nil", "index", "divide", "panic", "nested"} {
		faults(kind, n+i)
		sink += probe(n + 10 + i)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		faults("exit", n)
	}()
	<-done
}

// recovers goes on behind a panic, with a deferred call that is left.
//
//go:noinline
func recovers(n int) {
	defer probe(n)
	defer func() { recover() }()
	panic("one")
}

type byProbe []int

func (b byProbe) Len() int           { return len(b) }
func (b byProbe) Less(i, j int) bool { sink += probe(i); return b[i] < b[j] }
func (b byProbe) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

func goroutines(n int) {
	var wg sync.WaitGroup
	wg.Add(3)
	go func() {
		defer wg.Done()
		sink += probe(n)
		wg.Add(1)
		go nested(&wg, n)
	}()
	go runs(&wg, n)
	go (&inner{n}).run(&wg)
	wg.Wait()
	done := make(chan bool)
	time.AfterFunc(time.Microsecond, func() { probe(n); close(done) })
	<-done
}

//go:noinline
func nested(wg *sync.WaitGroup, n int) {
	recursive(3, n)
	wg.Done()
}

//go:noinline
func runs(wg *sync.WaitGroup, n int) {
	leaves(n)
	grows(n)
	wg.Done()
}

//go:noinline
func (p *inner) run(wg *sync.WaitGroup) {
	inlined3(p.a)
	wg.Done()
}

func finalized() {
	done := make(chan bool)
	func() {
		o := &outer{}
		o.a = 3
		runtime.SetFinalizer(o, func(o *outer) { probe(o.a); close(done) })
	}()
	for {
		runtime.GC()
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// down calls leaf(n) from n calls of itself.
//
//go:noinline
func down(depth, n int) int {
	if depth == 0 {
		return leaf(n)
	}
	return down(depth-1, n) + 1
}

// parallel calls leaf(n) from many goroutines at once, each from a depth of its own.
func parallel(calls int) {
	var wg sync.WaitGroup
	for n := 0; n < 32; n++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			for i := 0; i < calls; i++ {
				down(n, n)
			}
		}(n)
	}
	wg.Wait()
}

// generic is set by generic.go.
var generic func(n int)

func main() {
	truth.Start()
	rounds := 1
	if os.Getenv("STACK_ROUNDS") != "" {
		rounds, _ = strconv.Atoi(os.Getenv("STACK_ROUNDS"))
	}
	calls, _ := strconv.Atoi(os.Getenv("STACK_PARALLEL"))
	parallel(calls)
	for i := 0; i < rounds && calls == 0; i++ {
		all(i)
	}
	truth.Print(`{"ev":"all"}`)
	truth.Done()
}

func all(n int) {
	sink += probe(1)
	sink += inlined3(2)
	leaves(3)
	for _, d := range []int{0, 1, 7, 40, 59, 60, 61, 62, 63, 64, 300} {
		recursive(d, d)
	}
	byInterface(inner{1}, &inner{2}, 3)
	byInterface(&inner{1}, &outer{}, 4)
	byInterface(outer{}, &deep{&outer{}}, 5)
	byInterface(deep{&outer{}}, deep{&outer{}}, 6)
	o := &outer{}
	sink += call(o.Value, 7) + call(o.Pointer, 8) + call(probe, 9)
	sink += call(func(n int) int { return inlined3(n + len(o.pad)) }, 10)
	sink += call(func(n int) int { return call(func(m int) int { return probe(n + m) }, 1) }, 11)
	deferred(12)
	afterPanics(20)
	recovers(30)
	sort.Sort(byProbe{3, 1, 2})
	s := []int{5, 4}
	sort.Slice(s, func(i, j int) bool { return probe(s[i]) < s[j] })
	var once sync.Once
	once.Do(func() { probe(31) })
	strings.Map(func(r rune) rune { probe(int(r)); return r }, "ab")
	reflect.ValueOf(probe).Call([]reflect.Value{reflect.ValueOf(32)})
	reflect.ValueOf(o).MethodByName("Value").Call([]reflect.Value{reflect.ValueOf(33)})
	reflect.MakeFunc(reflect.TypeOf(probe), func(in []reflect.Value) []reflect.Value {
		return []reflect.Value{reflect.ValueOf(probe(int(in[0].Int())))}
	}).Interface().(func(int) int)(34)
	goroutines(40)
	finalized()
	if generic != nil {
		generic(50)
	}
	done := make(chan bool)
	go func() { grows(60); close(done) }()
	<-done
}
