// Command unwound has calls that return, panic, or end with their goroutine, at once or
// after a while, and says how many of each there were.
package main

import (
	"runtime"
	"sync"
	"time"

	"fixture/truth"
)

//go:noinline
func work(how, n int) (out int) {
	switch how {
	case 1:
		panic(n)
	case 2:
		runtime.Goexit()
	case 3:
		time.Sleep(1200 * time.Millisecond)
		panic("late")
	case 4:
		return deeper(n)
	}
	return n
}

// deeper recovers a panic, and goes on.
//
//go:noinline
func deeper(n int) (out int) {
	defer func() {
		recover()
		out = n
	}()
	return work(1, n) + 1
}

// fails can only panic.
//
//go:noinline
func fails(n int) { panic(n) }

func failing(n int) {
	defer func() { recover() }()
	fails(n)
}

func guarded(how, n int) {
	defer func() { recover() }()
	work(how, n)
}

func main() {
	truth.Start()
	var wg sync.WaitGroup
	const goroutines, rounds = 20, 30
	for i := 0; i < goroutines; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for k := 0; k < rounds; k++ {
				guarded(0, k)
				guarded(1, k)
				guarded(4, k)
				if k%10 == 0 {
					time.Sleep(300 * time.Millisecond)
				}
			}
			failing(i)
			guarded(3, i)
			work(2, i)
		}(i)
	}
	wg.Wait()
	const all = goroutines * rounds
	truth.Print(`{"ev":"counted","rows":{"0 false":%d,"1 true":%d,"4 false":%d,"3 true":%d},"exited":%d}`, all, 2*all, all, goroutines, goroutines)
	truth.Done()
	work(1, 0) // no one recovers it
}
