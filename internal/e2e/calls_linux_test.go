package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestGoroutineID compares the goroutine, process and thread of each call.
func TestGoroutineID(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"runtime"
	"sync"
	"syscall"

	"fixture/truth"
)

//go:noinline
func hit(i int) {}

func main() {
	truth.Start()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			runtime.LockOSThread()
			truth.Print(` + "`" + `{"ev":"hit","i":%d,"goroutine":%d,"tid":%d}` + "`" + `, i, truth.GoroutineID(), syscall.Gettid())
			hit(i)
			runtime.UnlockOSThread()
		})
	}
	wg.Wait()
	truth.Done()
}
`})
	target := fixture.Start(t, path)
	type id struct {
		I         int64
		Goroutine uint64
		TID       int
	}
	var got []id
	tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
		i, _ := c.Arg(0).Int()
		got = append(got, id{i, c.Goroutine(), c.TID()})
		if c.PID() != target.PID {
			t.Errorf("call %d: process %d, want %d", i, c.PID(), target.PID)
		}
	})
	target.Go()
	var want []id
	for range 50 {
		var h id
		target.Event("hit", &h)
		want = append(want, h)
	}
	target.Calls()
	closeAll(t, tr)
	byI := func(a, b id) int { return int(a.I - b.I) }
	slices.SortFunc(want, byI)
	slices.SortFunc(got, byI)
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestTime requires the time of each call to lie between the times that the
// target took before and after it.
func TestTime(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"time"

	"fixture/truth"
)

//go:noinline
func hit(i int) {}

func main() {
	truth.Start()
	for i := range 200 {
		before := time.Now().UnixNano()
		hit(i)
		after := time.Now().UnixNano()
		truth.Print(` + "`" + `{"ev":"hit","before":%d,"after":%d}` + "`" + `, before, after)
		time.Sleep(2 * time.Millisecond)
	}
	truth.Done()
}
`})
	target := fixture.Start(t, path)
	var got []time.Time
	tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) { got = append(got, c.Time()) })
	target.Go()
	var hits [200]struct{ Before, After int64 }
	for i := range hits {
		target.Event("hit", &hits[i])
	}
	target.Calls()
	closeAll(t, tr)
	if len(got) != len(hits) {
		t.Fatalf("%d calls, want %d", len(got), len(hits))
	}
	// The offset between the clocks is measured once or now and then, and
	// the wall clock is slewed meanwhile.
	const tolerance = 200 * time.Microsecond
	for i, h := range hits {
		before, after := time.Unix(0, h.Before), time.Unix(0, h.After)
		if got[i].Before(before.Add(-tolerance)) || got[i].After(after.Add(tolerance)) {
			t.Errorf("call %d at %v, want between %v and %v", i, got[i], before, after)
		}
	}
}

// TestStackGrowth counts the calls that 1000 goroutines make to functions
// whose prologue grows their stack.
func TestStackGrowth(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"runtime"
	"sync"

	"fixture/truth"
)

var sink int

//go:noinline
func small(depth, sum int) int {
	if depth == 0 {
		return sum
	}
	return small(depth-1, sum+1) - 1
}

//go:noinline
func medium(depth, sum int) int {
	var buf [1000]byte
	buf[sum%1000] = 1
	if depth == 0 {
		return int(buf[depth])
	}
	return medium(depth-1, sum+1) + int(buf[7])
}

//go:noinline
func huge(depth, sum int) int {
	var buf [10000]byte
	buf[sum%10000] = 1
	if depth == 0 {
		return int(buf[depth])
	}
	return huge(depth-1, sum+1) + int(buf[7])
}

// Its arguments are dead: the compiler doesn't keep their registers while the
// stack grows.
//
//go:noinline
func dead(depth, sum int) {
	var buf [10000]byte
	buf[sink%10000] = 1
	sink = int(buf[sink%9999])
}

func main() {
	truth.Start()
	var wg sync.WaitGroup
	stop := make(chan bool)
	wg.Go(func() { // preemption runs prologues again, too
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	var calls sync.WaitGroup
	for range 1000 {
		calls.Go(func() { small(150, 1) })
		calls.Go(func() { medium(12, 1) })
		calls.Go(func() { huge(2, 1) })
		calls.Go(func() { dead(7, 8) })
	}
	calls.Wait()
	close(stop)
	wg.Wait()
	truth.Done()
}
`})
	target := fixture.Start(t, path)
	bad, absent := 0, 0
	type count struct{ calls, sum int64 } // sum of the arguments
	got := map[string]count{}
	tr := trace(t, path, []string{"main.small", "main.medium", "main.huge", "main.dead"}, func(c *uprobe.Call) {
		depth, ok1 := c.Arg(0).Int()
		sum, ok2 := c.Arg(1).Int()
		switch {
		case c.Name() == "main.dead" && !ok1 && !ok2:
			absent++
			depth, sum = 7, 8
		case !ok1 || !ok2:
			bad++
		}
		n := got[c.Name()]
		n.calls++
		n.sum += depth*1000 + sum
		got[c.Name()] = n
	})
	target.Go()
	target.Calls()
	closeAll(t, tr)
	target.Close()
	if bad > 0 {
		t.Errorf("%d calls with absent arguments", bad)
	}
	t.Logf("%d of %d calls with dead arguments lack them", absent, got["main.dead"].calls)
	if want := (count{1000, 1000 * 7008}); got["main.dead"] != want {
		t.Errorf("main.dead: %+v, want %+v", got["main.dead"], want)
	}
	for name, depth := range map[string]int64{"main.small": 150, "main.medium": 12, "main.huge": 2} {
		n := depth + 1 // depth runs from depth to 0, sum from 1 to n
		want := count{1000 * n, 1000 * (1000*depth*n/2 + n*(n+1)/2)}
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
}

// countedCalls is a program that calls main.hit(i) with i = 0, 1, … as often as
// CALLS says, for every line that it is given.
const countedCalls = `package main

import (
	"os"
	"strconv"

	"fixture/truth"
)

//go:noinline
func hit(i int, s string) {}

func main() {
	n, err := strconv.Atoi(os.Getenv("CALLS"))
	if err != nil {
		panic(err)
	}
	truth.Start()
	for i := 0; ; {
		for range n {
			hit(i, "hit")
			i++
		}
		truth.Done()
	}
}
`

// TestLoss overflows a small buffer: what is not delivered must be counted.
func TestLoss(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	target := fixture.Start(t, path, "CALLS=100000")
	last, delivered := int64(-1), uint64(0)
	tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
		i, ok := c.Arg(0).Int()
		s, _ := c.Arg(1).Str()
		if !ok || i <= last || i >= 100000 || s != "hit" {
			t.Errorf("call %v after %d", c, last)
		}
		last = i
		if delivered++; delivered < 100 {
			time.Sleep(3 * time.Millisecond)
		}
	}, uprobe.WithBufferSize(4096))
	target.Go()
	target.Calls()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	t.Logf("%+v", s)
	if s.Calls != 100000 || s.Delivered+s.Lost != s.Calls || s.Delivered != delivered {
		t.Errorf("stats %+v, want 100000 calls and %d delivered", s, delivered)
	}
	if s.Lost == 0 || s.LostRing+s.LostBusy+s.LostUnread+s.LostMissed+s.LostMalformed != s.Lost || s.LostMalformed != 0 {
		t.Errorf("stats %+v: the loss does not add up", s)
	}
	if last == -1 {
		t.Error("nothing was delivered")
	}
}

// TestDelivery requires calls to be delivered soon, with and without batching,
// and the order of one thread's calls to be kept.
func TestDelivery(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	for name, opts := range map[string][]uprobe.Option{
		"default":   nil,
		"immediate": {uprobe.WithImmediate()},
		"delay":     {uprobe.WithDelay(time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			target := fixture.Start(t, path, "CALLS=1")
			calls := make(chan int64, 100)
			trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
				i, _ := c.Arg(0).Int()
				calls <- i
			}, append(opts, uprobe.WithPID(target.PID))...)
			for want := range int64(10) {
				start := time.Now()
				target.Go()
				target.Calls()
				select {
				case i := <-calls:
					if i != want {
						t.Errorf("call %d, want %d", i, want)
					}
					if d := time.Since(start); d > 500*time.Millisecond {
						t.Errorf("call %d was delivered after %v", i, d)
					}
				case <-time.After(5 * time.Second):
					t.Fatalf("call %d was not delivered", want)
				}
			}
		})
	}
}
