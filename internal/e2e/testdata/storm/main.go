// Command storm does everything at once that is hard on a tracer, and checks its
// own results: very many goroutines, deep recursion, stacks that grow and shrink,
// panics and recoveries, garbage collection all the time, preemption by signals,
// signals of its own, and callbacks from C where it is built with cgo.
//
// The functions that are to be traced count their calls themselves. Their results
// follow from their arguments.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"fixture/truth"
)

const width = 64

// mix is a number that tells of both its arguments.
func mix(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 + b
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	return x ^ x>>27
}

// counter is spread out so that processors do not fight for it.
type counter struct {
	n [width]struct {
		atomic.Uint64
		_ [56]byte
	}
}

func (c *counter) add(id uint64) { c.n[id%width].Add(1) }

func (c *counter) sum() (sum uint64) {
	for i := range c.n {
		sum += c.n[i].Load()
	}
	return sum
}

var deeps, grows, fails, saves, waits, backs counter

var bad atomic.Uint64

func check(ok bool) {
	if !ok {
		bad.Add(1)
	}
}

// deep recurses n deep.
//
//go:noinline
func deep(id uint64, n int) uint64 {
	deeps.add(id)
	if n == 0 {
		return mix(id, 0)
	}
	return deep(id, n-1) + 1
}

// grow has a large frame, and the stack grows for it.
//
//go:noinline
func grow(id uint64, n int) (sum uint64, name string) {
	grows.add(id)
	var room [256]uint64
	for i := range room {
		room[i] = id + uint64(i)
	}
	if n > 0 {
		sum, name = grow(id, n-1)
	} else {
		name = strconv.FormatUint(id, 10)
	}
	check(room[int(id)%len(room)] == id+id%uint64(len(room)))
	return sum + mix(id, uint64(n)), name
}

// fail panics n calls further down.
//
//go:noinline
func fail(id uint64, n int) uint64 {
	fails.add(id)
	if n == 0 {
		panic(id)
	}
	return fail(id, n-1) + 1
}

// save recovers from the panic of fail, and panics itself and recovers within.
//
//go:noinline
func save(id uint64, n int) (got uint64) {
	saves.add(id)
	defer func() {
		got, _ = recover().(uint64)
		defer func() { recover() }()
		if n%2 == 0 {
			panic("again")
		}
	}()
	return fail(id, n)
}

// wait lets others run, so that the goroutine may go on elsewhere.
//
//go:noinline
func wait(id uint64, ch chan uint64) uint64 {
	waits.add(id)
	go func() {
		time.Sleep(time.Duration(id%200) * time.Microsecond)
		ch <- mix(id, 1)
	}()
	runtime.Gosched()
	return <-ch
}

// spin runs without a call, so that only a signal preempts it.
//
//go:noinline
func spin(n uint64) (sum uint64) {
	for i := uint64(0); i < n; i++ {
		sum += i ^ sum<<1
	}
	return sum
}

// one does all of it once.
func one(id uint64) {
	check(deep(id, int(id%30)) == mix(id, 0)+id%30)
	n := int(id % 7)
	sum, name := grow(id, n)
	for i := 0; i <= n; i++ {
		sum -= mix(id, uint64(i))
	}
	check(sum == 0 && name == strconv.FormatUint(id, 10))
	check(save(id, int(id%5)) == id)
	check(wait(id, make(chan uint64)) == mix(id, 1))
	callback(id)
}

// back is called from C where there is C.
//
//go:noinline
func back(id uint64) uint64 {
	backs.add(id)
	return mix(id, 2)
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func main() {
	truth.Start()
	duration := time.Duration(number("STORM_MS", 1000)) * time.Millisecond
	goroutines := number("STORM_GOROUTINES", 10_000)
	deadline := time.Now().Add(duration)
	stop := make(chan bool)
	var helpers, workers sync.WaitGroup
	every := func(d time.Duration, f func()) {
		helpers.Add(1)
		go func() {
			defer helpers.Done()
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					f()
				}
			}
		}()
	}
	var seen, spins atomic.Uint64
	signals := make(chan os.Signal, 1000)
	signal.Notify(signals, syscall.SIGALRM)
	go func() {
		for range signals {
			seen.Add(1)
		}
	}()
	// The kernel sends a signal every millisecond, however busy all threads are.
	interval := [4]int64{0, 1000, 0, 1000}
	if _, _, err := syscall.Syscall(syscall.SYS_SETITIMER, 0, uintptr(unsafe.Pointer(&interval)), 0); err != 0 {
		panic(err)
	}
	debug.SetGCPercent(5)
	every(time.Millisecond, runtime.GC)
	every(50*time.Millisecond, debug.FreeOSMemory)
	every(5*time.Millisecond, func() { check(spin(1_000_000) == spin(1_000_000)); spins.Add(1) })

	var next, done atomic.Uint64
	for i := 0; i < goroutines; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			// Each goroutine does it at least once.
			for first := true; first || time.Now().Before(deadline); first = false {
				one(next.Add(1))
				done.Add(1)
				if first {
					time.Sleep(time.Millisecond)
				}
			}
		}()
	}
	workers.Wait()
	close(stop)
	helpers.Wait()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	truth.Print(`{"ev":"end","bad":%d,"rounds":%d,"signals":%d,"spins":%d,"gcs":%d,"deep":%d,"grow":%d,"fail":%d,"save":%d,"wait":%d,"back":%d}`,
		bad.Load(), done.Load(), seen.Load(), spins.Load(), mem.NumGC,
		deeps.sum(), grows.sum(), fails.sum(), saves.sum(), waits.sum(), backs.sum())
	truth.Done()
}
