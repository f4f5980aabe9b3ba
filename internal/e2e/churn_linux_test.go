package e2e

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/leaktest"
	"github.com/argtap/argtap/uprobe"
)

// churnVar is for how long TestChurn has tracers come and go, in seconds: 5 if it
// is not set, 60 is the long form.
const churnVar = "ARGTAP_CHURN"

// TestChurn begins a tracer of whole calls every 100 milliseconds, each for 100
// milliseconds, while a program is busy. Its checks must hold all the time, what is delivered must be
// right though calls are open at both ends, and in the end nothing may be left: in
// the kernel, in the program's code, and in this process.
func TestChurn(t *testing.T) {
	needRoot(t)
	duration := 5 * time.Second
	if text := os.Getenv(churnVar); text != "" {
		var err error
		if duration, err = time.ParseDuration(text + "s"); err != nil {
			t.Fatal(err)
		}
	}
	src := fixture.Dir(t, "testdata/storm")
	src["churn.go"] = "package main // a file of this test alone"
	path := fixture.Build(t, src)
	target := fixture.Start(t, path, fmt.Sprintf("STORM_MS=%d", (duration+time.Second).Milliseconds()), "STORM_GOROUTINES=200")
	before := leaktest.Now()
	objects := map[leaktest.Object]bool{}
	target.Go()
	var (
		mu                               sync.Mutex
		all                              sync.WaitGroup
		slots                            = make(chan bool, 6)
		tracers, wrong                   int
		calls, delivered, open, panicked uint64
	)
	one := func(i int) {
		defer all.Done()
		defer func() { <-slots }()
		opts := []uprobe.Option{
			uprobe.WithFuncs("main.deep", "main.grow", "main.fail", "main.save", "main.wait", "main.back"),
			uprobe.WithResults(), uprobe.WithBufferSize(4 << 20),
		}
		if i%2 == 0 {
			opts = append(opts, uprobe.WithPID(target.PID))
		}
		s := &storm{t: t, delivered: map[string]uint64{}}
		tr, err := uprobe.Trace(path, "", s.call, opts...)
		if err != nil {
			t.Errorf("tracer %d: %+v", i, err)
			return
		}
		time.Sleep(100 * time.Millisecond)
		seen := leaktest.Objects(0)
		if err := tr.Close(); err != nil {
			t.Errorf("tracer %d: close: %v", i, err)
		}
		st := tr.Stats()
		if st.Calls != sumOf(st) || st.LostMalformed != 0 {
			t.Errorf("tracer %d: %+v", i, st)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, o := range seen {
			objects[o] = true
		}
		calls, delivered, open = calls+st.Calls, delivered+st.Delivered, open+st.Open
		panicked, wrong = panicked+s.panicked, wrong+s.wrong
	}
	for start := time.Now(); time.Since(start) < duration; time.Sleep(100 * time.Millisecond) {
		slots <- true // on a slow machine fewer come and go
		all.Add(1)
		go one(tracers)
		tracers++
	}
	all.Wait()
	linksLeft, eventsLeft := linksTo(t, path), tracefsEvents(t, path)
	var end struct{ Bad, Rounds uint64 }
	target.Event("end", &end)
	if end.Bad != 0 || end.Rounds == 0 {
		t.Errorf("%d of the program's own checks failed, in %d rounds", end.Bad, end.Rounds)
	}
	if n := patched(t, target.PID, path, path); n != 0 {
		t.Errorf("%d bytes of code still differ", n)
	}
	target.Close()
	if wrong != 0 || delivered == 0 || tracers < 10 {
		t.Errorf("%d tracers, %d calls, %d delivered, %d of them wrong", tracers, calls, delivered, wrong)
	}
	if linksLeft != 0 || eventsLeft != 0 {
		t.Errorf("%d links and %d events are left", linksLeft, eventsLeft)
	}
	if len(objects) < 4*tracers {
		t.Errorf("%d BPF objects were seen of %d tracers", len(objects), tracers)
	}
	eventually(t, "all BPF objects are gone", func() bool {
		for o := range objects {
			if o.Alive() {
				return false
			}
			delete(objects, o)
		}
		return true
	})
	for _, what := range before.Since() {
		t.Errorf("left open: %s", what)
	}
	t.Logf("%d tracers, %d calls, %d delivered, %d open when a tracer ended, %d panicked", tracers, calls, delivered, open, panicked)
}
