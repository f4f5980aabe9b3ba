// Command aggregate calls functions from many threads, and says itself what is to be
// counted of the calls: how many there are by key, and their values.
package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"time"

	"fixture/truth"
)

type request struct {
	Method string
	next   *request
	pass   struct{ password string }
}

type method string

const (
	threads   = 8
	perThread = 3000
)

// A hit is a call of hit.
type call struct {
	Key   string // as argtap prints the key
	Value int64
	None  bool // it has no value
}

// counts are the calls of one thread.
type counts map[call]int

var (
	mu  sync.Mutex
	all = map[string]counts{}
)

func add(test string, c counts) {
	mu.Lock()
	defer mu.Unlock()
	if all[test] == nil {
		all[test] = counts{}
	}
	for k, n := range c {
		all[test][k] += n
	}
}

var sink int

//go:noinline
func hit(r *request, n int64, small int8, u uint64, ok bool, list []int) {
	sink += int(n)
	if sink == 1234567891 {
		println(r.Method)
	}
}

//go:noinline
func typed(m method, n uint16) int { return len(m) + int(n) }

//go:noinline
func many(k uint32, n int) { sink += n }

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:noinline
func sleeps(d time.Duration) time.Duration {
	time.Sleep(d)
	return d
}

//go:noinline
func generic[T any](v T, n int) T {
	sink += n
	return v
}

//go:noinline
func leaves(how int) int {
	switch how {
	case 1:
		panic("leave")
	case 2:
		runtime.Goexit()
	}
	return how
}

type failure struct{ code int32 }

func (f *failure) Error() string { return fmt.Sprint(f.code) }

// answers has a result that its arguments do not tell, and forgets its arguments.
//
//go:noinline
func answers(n int, s *string) (out []byte, err error) {
	if n%7 == 3 {
		err = &failure{int32(n)}
	}
	if n%3 > 0 {
		out = make([]byte, n*n%1000, 2000)
	}
	*s, s, n = "forgotten", nil, 0
	sink += n
	return out, err
}

func recovers(how int) {
	defer func() { recover() }()
	leaves(how)
}

func quote(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

func hammer(seed uint64) {
	runtime.LockOSThread()
	byMethod, small, big, elem, keyless := counts{}, counts{}, counts{}, counts{}, counts{}
	src := truth.NewSource(seed)
	long := "a method that is longer than what is kept of a string in a key, and which is cut"
	for i := 0; i < perThread; i++ {
		r := &request{Method: []string{"GET", "POST", "", long, long + "!", "Größe\x00\n"}[src.IntN(6)]}
		key := quote(r.Method)
		if src.IntN(10) == 0 {
			r, key = nil, "(nil pointer)"
		}
		u := src.Uint64() >> uint(src.IntN(64))
		n := int64(u) >> uint(src.IntN(64))
		if src.IntN(2) == 0 {
			n = -n
		}
		ok := src.IntN(3) == 0
		list := make([]int, src.IntN(5), 8)
		for j := range list {
			list[j] = 10*j + src.IntN(3)
		}
		byMethod[call{Key: fmt.Sprint(key, " ", ok), Value: n}]++
		small[call{Key: fmt.Sprint(int8(n)), Value: int64(int8(n))}]++
		big[call{Value: int64(u)}]++ // its bits
		if len(list) > 2 {
			elem[call{Value: int64(list[2])}]++
		} else {
			elem[call{None: true}]++
		}
		keyless[call{}]++
		hit(r, n, int8(n), u, ok, list)
	}
	add("method", byMethod)
	add("small", small)
	add("big", big)
	add("elem", elem)
	add("count", keyless)
}

func main() {
	truth.Start()
	var wg sync.WaitGroup
	run := func(f func(i int)) {
		for i := 0; i < threads; i++ {
			wg.Add(1)
			go func(i int) {
				defer wg.Done()
				f(i)
			}(i)
		}
		wg.Wait()
	}
	run(func(i int) { hammer(uint64(i)) })
	run(func(i int) {
		own := counts{}
		for k := 0; k < 500; k++ {
			own[call{Key: fmt.Sprint(k), Value: int64(k * i)}]++
			many(uint32(k), k*i)
		}
		add("many", own)
	})
	run(func(i int) {
		own := counts{}
		for n := 0; n < 300; n++ {
			own[call{Key: quote("m" + fmt.Sprint(n%3)), Value: int64(n)}]++
			typed(method("m"+fmt.Sprint(n%3)), uint16(n))
		}
		add("typed", own)
	})
	run(func(i int) {
		own := counts{}
		var count func(n int)
		count = func(n int) {
			own[call{Key: fmt.Sprint(n)}]++
			if n >= 2 {
				count(n - 1)
				count(n - 2)
			}
		}
		count(12)
		fib(12)
		add("fib", own)
	})
	run(func(i int) {
		own := counts{}
		for _, d := range []time.Duration{time.Millisecond, time.Millisecond, 50 * time.Millisecond} {
			own[call{Key: fmt.Sprint(int64(d))}]++
			sleeps(d)
		}
		add("sleeps", own)
	})
	run(func(i int) {
		own := counts{}
		for n := 0; n < 50; n++ {
			own[call{Value: int64(n)}] += 3
			generic("a", n)
			generic(n, n)
			generic(&n, n)
		}
		add("generic", own)
	})
	run(func(i int) {
		own := counts{}
		for n := 0; n < 40; n++ {
			own[call{Key: fmt.Sprint(n % 2)}]++
			recovers(n % 2)
		}
		add("leaves", own)
		leaves(2)
	})
	run(func(i int) {
		byErr, bySize, chosen, codes := counts{}, counts{}, counts{}, counts{}
		src := truth.NewSource(uint64(i))
		for k := 0; k < 2000; k++ {
			n := src.IntN(300) - 20
			s := fmt.Sprint("s", n&3)
			key := quote(s)
			out, err := answers(n, &s)
			size := int64(len(out))
			byErr[call{Key: fmt.Sprint(err == nil, " ", n&3)}]++
			bySize[call{Key: key, Value: size}]++
			chosen[call{Key: fmt.Sprint(n > 100 && size > 30 || n == 3), Value: int64(n)}]++
			if err != nil {
				codes[call{Key: fmt.Sprint(err.(*failure).code > 50), Value: int64(err.(*failure).code) + int64(n)}]++
			} else {
				codes[call{Key: "(another dynamic type)", None: true}]++
			}
		}
		add("byErr", byErr)
		add("bySize", bySize)
		add("chosen", chosen)
		add("codes", codes)
	})
	type line struct {
		call
		N int
	}
	for test, c := range all {
		var lines []line
		for k, n := range c {
			lines = append(lines, line{k, n})
		}
		text, err := json.Marshal(lines)
		if err != nil {
			panic(err)
		}
		truth.Print(`{"ev":"counted","test":%q,"rows":%s}`, test, text)
	}
	truth.Print(`{"ev":"all"}`)
	truth.Done()
}
