// Command program has functions of every shape that a probe site is chosen
// for. It counts its own calls: after a line on standard input it runs a
// thousand goroutines that call them while their stacks grow, and prints one
// line "name calls" for each function.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

//go:noinline
func leaf(a, b int) int { return a*b + 1 }

//go:noinline
func leafBranch(a, b int) int {
	if a < b {
		return 7
	}
	return b * 3
}

//go:noinline
func loopHead(n int) int {
	for {
		n -= 3
		if n < 0 {
			return n
		}
	}
}

// loopTable's loop starts at its first instruction, and some cases of its
// switch do nothing but go on with the loop.
//
//go:noinline
func loopTable(n, m int) int {
	for {
		n -= 3
		switch n & 15 {
		case 0, 5, 9:
			continue
		case 1:
			m += 34
		case 2:
			m ^= n
		case 3:
			m += 15
		case 4:
			m -= 2
		case 6:
			m -= 3
		case 7:
			m++
		case 8:
			m -= 6
		case 10:
			m *= 8
		case 11, 12, 13, 14:
			continue
		}
		if n < 0 {
			return m
		}
	}
}

//go:noinline
func table(n, m int) int {
	switch n {
	case 0:
		return m * 3
	case 1:
		return m + 5
	case 2:
		return m ^ 9
	case 3:
		return m << 3
	case 4:
		return m - 11
	case 5:
		return m & 13
	case 6:
		return m | 64
	case 7:
		return m % 5
	case 8:
		return -m
	case 9:
		return ^m
	}
	return n
}

//go:noinline
func framedTable(n int, s string) string {
	switch n {
	case 0:
		return s + "a"
	case 1:
		return s + "bc"
	case 2:
		return "d" + s
	case 3:
		return s + s
	case 4:
		return "e"
	case 5:
		return s[:1]
	case 6:
		return s + "fgh"
	case 7:
		return "ij" + s
	case 8:
		return s + "k" + s
	}
	return s
}

//go:noinline
func small(a int, s string) int {
	if a == 0 {
		return len(s)
	}
	return small(a-1, s) + 1
}

//go:noinline
func medium(a int) int {
	var buf [1000]byte
	fill(buf[:], byte(a))
	return int(buf[a&511])
}

//go:noinline
func huge(a int) int {
	var buf [9000]byte
	fill(buf[:], byte(a))
	return int(buf[a&511])
}

//go:noinline
func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

//go:nosplit
//go:noinline
func nosplit(a int) int { return nosplitCallee(a) + 1 }

//go:nosplit
//go:noinline
func nosplitCallee(a int) int { return a ^ 5 }

// mixed has arguments of every size in both kinds of registers, all of which
// the tail of its stack check spills.
//
//go:noinline
func mixed(a int8, b uint16, c bool, d float32, e float64, s []int32) float64 {
	return e + float64(d) + float64(small(int(a), "")) + float64(b) + float64(len(s)) + float64(btoi(c))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

//go:noinline
func onStack(a [3]int, b, c, d, e, f, g, h, i, j, k int) int {
	return a[1] + b + c + d + e + f + g + h + i + j + small(k, "")
}

// unused reads none of its arguments: what morestack leaves in their registers
// is not restored.
//
//go:noinline
func unused(a, b int, s string) int { return small(1, "") + len(os.Args) }

type value struct{ x, y int }

//go:noinline
func (v value) Sum() int { return v.x + small(v.y, "y") }

//go:noinline
func (v *value) Add(n int) { v.x += small(n, "") }

type summer interface{ Sum() int }

type outer struct {
	n int
	summer
}

//go:noinline
func callSummer(s summer) int { return s.Sum() }

// pointer's methods are wrappers that end in a jump to value's.
type pointer struct {
	n int
	*value
}

type adder interface{ Add(n int) }

//go:noinline
func callAdder(a adder) int {
	calls[cSmall].Add(2)
	a.Add(1)
	return 1
}

//go:noinline
func recovers(n int) (r int) {
	defer func() {
		if recover() != nil {
			r = -1
		}
	}()
	if n%3 == 0 {
		panic("three")
	}
	return small(n&3, "r")
}

//go:noinline
func generic[T any](list []T, f func(T) int) int {
	n := 0
	for _, v := range list {
		n += f(v)
	}
	return n
}

//go:noinline
func newClosure(n int) func(int) int {
	return func(a int) int {
		n += a
		return small(n&3, "c")
	}
}

//go:noinline
func endless() {
	for {
	}
}

// store writes what its argument points to before anything else.
//
//go:noinline
func store(p *int, n int) int {
	*p = n
	if n > 3 {
		return 1
	}
	return n
}

// counted are the functions that run calls, with its own count of calls.
var counted = []string{
	"main.leaf", "main.leafBranch", "main.loopHead", "main.table", "main.framedTable",
	"main.small", "main.medium", "main.huge", "main.nosplit", "main.mixed", "main.onStack",
	"main.value.Sum", "main.recovers", "main.generic[go.shape.int]", "main.newClosure.func1",
	"main.loopTable", "main.store", "main.unused",
}

const (
	cLeaf = iota
	cLeafBranch
	cLoopHead
	cTable
	cFramedTable
	cSmall
	cMedium
	cHuge
	cNosplit
	cMixed
	cOnStack
	cSum
	cRecovers
	cGeneric
	cClosure
	cLoopTable
	cStore
	cUnused
	cEnd
)

// counter is padded to a cache line.
type counter struct {
	atomic.Int64
	_ [56]byte
}

var calls [cEnd]counter

var sink atomic.Int64

func one(i int) int {
	calls[i].Add(1)
	return 0
}

// deep calls small, which calls itself n times more.
func deep(n int) int {
	calls[cSmall].Add(int64(n) + 1)
	return small(n, "deep")
}

func run(id int) {
	n := 0
	n += one(cLeaf) + leaf(id, 3)
	n += one(cLeafBranch) + leafBranch(id, 500)
	n += one(cLoopHead) + loopHead(id%60)
	n += one(cTable) + table(id%11, id)
	n += one(cLoopTable) + loopTable(id, 3)
	n += one(cFramedTable) + len(framedTable(id%10, "text"))
	n += deep(id % 7) // the stack grows in here,
	calls[cSmall].Add(2)
	n += one(cUnused) + unused(id, id, "u")
	n += one(cMedium) + medium(id)
	n += one(cHuge) + huge(id)
	n += deep(100 + id%100) // here,
	n += one(cNosplit) + nosplit(id)
	calls[cSmall].Add(2)
	n += one(cMixed) + int(mixed(1, uint16(id), id%2 == 0, 1.5, 2.5, []int32{1}))
	calls[cSmall].Add(3)
	n += one(cOnStack) + onStack([3]int{1, 2, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2)
	calls[cSmall].Add(2)
	n += one(cSum) + callSummer(outer{id, value{id, 1}})
	if id%3 != 0 {
		calls[cSmall].Add(int64(id&3) + 1)
	}
	n += one(cRecovers) + recovers(id)
	n += one(cGeneric) + generic([]int{1, 2, 3}, func(v int) int { return v * id })
	n += generic([]string{"a"}, func(s string) int { return len(s) })
	f := newClosure(0)
	calls[cSmall].Add(2)
	n += one(cClosure) + f(1)
	n += one(cStore) + store(new(int), id%5)
	v := value{1, 2}
	calls[cSmall].Add(3)
	v.Add(2)
	n += v.x + deep(400+id%64) // and here.
	n += callAdder(pointer{id, &v})
	sink.Add(int64(n))
}

func main() {
	if len(os.Args) > 1 { // never: keeps it linked
		endless()
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	stop := make(chan struct{})
	go func() { // preempts, and shrinks stacks so that they grow again
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var wg sync.WaitGroup
	for id := range 1000 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			run(id)
			runtime.Gosched()
			run(id + 1000) // on a stack that may have shrunk
		}()
	}
	wg.Wait()
	close(stop)
	for i, name := range counted {
		fmt.Println(name, calls[i].Load())
	}
}
