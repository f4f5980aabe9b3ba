package uprobe

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// crowds are the functions that "race" of the caps program calls a thousand times
// in each thread.
var crowds = []string{"main.crowd", "main.throng", "main.list", "main.chain"}

const (
	threads   = 24
	perThread = 1000
)

// added checks that the counts of a tracer that has ended add up, of each function
// and in all, and returns them. Each function was called as often as calls says.
func added(t *testing.T, tr *Tracer, calls uint64, delivered map[string]uint64) (all []FuncStats) {
	t.Helper()
	var sum Stats
	for _, s := range tr.FuncStats() {
		all = append(all, s)
		if n := s.Delivered + s.LostRing + s.LostBusy + s.LostUnread + s.LostMissed + s.LostMalformed + s.LostOpen + s.LostReturn +
			s.Filtered + s.Sampled + s.Limited + s.Beyond + s.Paused + s.Open + s.Abandoned + s.Aggregated; n != s.Calls {
			t.Errorf("%s: %+v add up to %d", s.Func.Name(), s.Stats, n)
		}
		// Of hits that the kernel passed over it does not say which they were.
		// And none is seen when the first ones have been.
		first := uint64(tr.opts.throttle.First)
		if missed := tr.Stats().LostMissed; s.Calls > calls || s.Calls+missed < calls && (first == 0 || s.Delivered+s.Lost < first) {
			t.Errorf("%s: %d calls, want %d: %+v, %d missed", s.Func.Name(), s.Calls, calls, s.Stats, missed)
		}
		if s.Delivered != delivered[s.Func.Name()] {
			t.Errorf("%s: %d delivered, the handler had %d", s.Func.Name(), s.Delivered, delivered[s.Func.Name()])
		}
		sum.add(&s.Stats)
		sum.Delivered += s.Delivered
		sum.Aggregated += s.Aggregated
		sum.LostMalformed += s.LostMalformed
		sum.LostReturn += s.LostReturn
		sum.Open += s.Open
		sum.Abandoned += s.Abandoned
	}
	got := tr.Stats()
	sum.LostMissed, sum.ProbeTime = got.LostMissed, got.ProbeTime
	sum.sum()
	if sum != got || got.LostMalformed != 0 || got.Calls != calls*uint64(len(all)) && tr.opts.throttle.First == 0 {
		t.Errorf("the functions' counts are %+v, the tracer's %+v", sum, got)
	}
	return all
}

// TestThrottle has many threads call functions at the same time, with limits: what
// passes is what the limits say, and every call is counted once.
func TestThrottle(t *testing.T) {
	needRoot(t)
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	target := startCaps(t, buildFixture(t, "caps"))
	// Programs without atomics are for kernels that do not preempt them.
	version, _ := kernelVersion(t)
	forEachWay(t, func(t *testing.T, lack []string) {
		preempted := slices.Contains(lack, "atomics") && version >= 600
		for name, tt := range map[string]struct {
			opts  []Option
			check func(s FuncStats, d time.Duration) bool
		}{
			"nothing": {nil, func(s FuncStats, _ time.Duration) bool { return s.Calls == s.Delivered+s.Lost }},
			"sampling": {[]Option{WithSampling(7)}, func(s FuncStats, _ time.Duration) bool {
				passed := s.Delivered + s.Lost
				return passed*7 >= s.Calls && passed < s.Calls/7+1+uint64(cpus) && s.Sampled == s.Calls-passed
			}},
			"first": {[]Option{WithFirst(100)}, func(s FuncStats, _ time.Duration) bool {
				return s.Delivered+s.Lost == 100 && s.Beyond == s.Calls-100
			}},
			"rate": {[]Option{WithRateLimit(500)}, func(s FuncStats, d time.Duration) bool {
				passed := s.Delivered + s.Lost
				return passed >= 50 && float64(passed) <= 500*(d.Seconds()+0.1)+1 && s.Limited == s.Calls-passed
			}},
			"budget": {[]Option{WithBudget(0.002)}, func(s FuncStats, d time.Duration) bool {
				return s.Paused > 0 && s.Paused == s.Calls-s.Delivered-s.Lost
			}},
			"all": {[]Option{WithSampling(3), WithRateLimit(5000), WithFirst(200), WithBudget(0.5), WithCondition("id % 2 == 0")}, func(s FuncStats, d time.Duration) bool {
				return s.Sampled > 0 && s.Filtered > 0 && s.Delivered+s.Lost <= 200
			}},
			"loss": {[]Option{WithBufferSize(8192), WithSampling(2)}, func(s FuncStats, d time.Duration) bool {
				return s.Sampled > 0
			}},
		} {
			if preempted && strings.Contains("sampling all loss", name) {
				continue
			}
			t.Run(name, func(t *testing.T) { throttle(t, target, name, append(tt.opts, withoutFeatures(lack...)), tt.check) })
			// Calls that are kept back leave nothing that a return is paired with.
			t.Run(name+" results", func(t *testing.T) {
				throttle(t, target, name, append(tt.opts, WithResults(), withoutFeatures(lack...)), tt.check)
			})
		}
	})
}

// throttle has the threads of TestThrottle call the functions once.
func throttle(t *testing.T, target *capsTarget, name string, opts []Option, check func(FuncStats, time.Duration) bool) {
	t.Helper()
	delivered := map[string]uint64{}
	tr, err := Trace(target.path, crowds[0], func(c *Call) {
		delivered[c.Name()]++
		if name == "loss" {
			time.Sleep(50 * time.Microsecond)
		}
	}, append(opts, WithFuncs(crowds[1:]...))...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	start := time.Now()
	target.do(fmt.Sprint("race ", threads))
	d := time.Since(start)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range added(t, tr, threads*perThread, delivered) {
		if !check(s, d) {
			t.Errorf("%s, in %v: %+v", s.Func.Name(), d, s.Stats)
		}
	}
	s := tr.Stats()
	if (s.ProbeTime > 0) != (name == "budget" || name == "all") {
		t.Errorf("the programs took %v", s.ProbeTime)
	}
	if name == "loss" && s.LostRing == 0 {
		t.Error("nothing was lost")
	}
	t.Logf("%v: %+v", d, s)
}

// TestBudgetPauses: when the budget is spent, calls are counted but not captured,
// until the next interval. Both are logged.
func TestBudgetPauses(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	var (
		mu   sync.Mutex
		text strings.Builder
		ids  []int64
	)
	logged := func(what string) bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(text.String(), what)
	}
	log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(b)
	}), nil))
	tr, err := Trace(target.path, "main.hit", func(c *Call) {
		n, _ := c.Arg(0).Int()
		ids = append(ids, n)
	}, WithBudget(0.002), WithLogger(log))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	const many = 40_000
	calls := uint64(0)
	start := time.Now()
	for time.Since(start) < 1500*time.Millisecond {
		target.do(fmt.Sprint("hit ", many))
		calls += many
	}
	d := time.Since(start)
	s := tr.Stats()
	for deadline := time.Now().Add(10 * time.Second); !logged("no longer pause"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("that the pause has ended is not logged: %s", text.String())
		}
	}
	target.do("hit 3")
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	after := added(t, tr, calls+3, map[string]uint64{"main.hit": uint64(len(ids))})[0]
	if s.Paused == 0 || after.Paused != s.Paused || len(ids) < 3 || !slices.Equal(ids[len(ids)-3:], []int64{0, 1, 2}) {
		t.Errorf("%+v, then %+v, %v", s, after.Stats, ids[max(0, len(ids)-5):])
	}
	if !logged("level=WARN msg=\"the probes pause") || !logged("budget=0.2%") {
		t.Errorf("logged %s", text.String())
	}
	// What they take is the budget of each window, and a call more that may have
	// been preempted.
	windows := float64(d/(100*time.Millisecond)+2) * float64(runtime.NumCPU())
	if most := time.Duration(windows * float64(200*time.Microsecond+5*time.Millisecond)); s.ProbeTime > most || s.ProbeTime == 0 {
		t.Errorf("the programs took %v in %v", s.ProbeTime, d)
	}
	// Each window begins with calls that are captured.
	if resumed := slices.IndexFunc(ids, func(n int64) bool { return n > many/10 }); resumed < 0 {
		t.Error("the first calls of all are the only ones that were captured")
	}
	t.Logf("%v: %+v", d, s)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestFuncStats: counts can be had while the tracer runs, and stay when it has
// ended.
func TestFuncStats(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	tr, err := Trace(target.path, "main.hit", func(*Call) {}, WithFuncs("main.chain"), WithImmediate())
	if err != nil {
		t.Fatalf("%+v", err)
	}
	target.do("hit 7")
	target.do("chain 3")
	for deadline := time.Now().Add(10 * time.Second); tr.Stats().Calls < 8; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", tr.Stats())
		}
	}
	running := tr.FuncStats()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	want := map[string]Stats{"main.hit": {Calls: 7, Delivered: 7}, "main.chain": {Calls: 1, Delivered: 1}}
	for i, s := range tr.FuncStats() {
		if s.Stats != want[s.Func.Name()] || s != running[i] || s.Func != tr.Funcs()[i] {
			t.Errorf("%s: %+v, while it ran %+v", s.Func.Name(), s.Stats, running[i])
		}
	}
}
