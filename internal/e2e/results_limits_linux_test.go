package e2e

import (
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// threadsProgram has threads call functions whose results tell of their arguments,
// at the same depths over and over, and leave them by panics now and then.
const threadsProgram = `package main

import (
	"runtime"
	"sync"

	"fixture/truth"
)

//go:noinline
func sevenfold(n int, depth int) int {
	if depth > 0 {
		return sevenfold(n, depth-1)
	}
	if n%5 == 4 {
		panic(n)
	}
	return 7 * n
}

//go:noinline
func twice(n int, s string) (string, int) { return s + s, 2 * n }

func try(n int) {
	defer func() { recover() }()
	sevenfold(n, n%3)
}

func main() {
	truth.Start()
	runtime.GOMAXPROCS(8)
	var end sync.WaitGroup
	for thread := range 8 {
		end.Go(func() {
			runtime.LockOSThread()
			for i := range 3000 {
				n := 3000*thread + i
				try(n)
				twice(n, string(rune('a'+n%26)))
			}
		})
	}
	end.Wait()
	truth.Done()
}
`

// TestResultsLimits never takes a return for that of another call, and counts every
// call once, while limits keep calls of many threads back.
func TestResultsLimits(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": threadsProgram})
	// sevenfold calls itself n%3 times.
	calls := map[string]uint64{"main.sevenfold": 2 * 24000, "main.twice": 24000}
	roomy := uprobe.WithBufferSize(64 << 20)
	type stats = uprobe.Stats
	for _, tt := range []struct {
		name string
		opts []uprobe.Option
		// kept are the calls that must have been kept back.
		kept func(s stats) uint64
	}{
		{"all", []uprobe.Option{roomy}, nil},
		{"sampling", []uprobe.Option{roomy, uprobe.WithSampling(7)}, func(s stats) uint64 { return s.Sampled }},
		{"rate", []uprobe.Option{roomy, uprobe.WithRateLimit(2000)}, func(s stats) uint64 { return s.Limited }},
		{"first", []uprobe.Option{roomy, uprobe.WithFirst(5000)}, nil},
		{"budget", []uprobe.Option{roomy, uprobe.WithBudget(0.02)}, func(s stats) uint64 { return s.Paused }},
		{"condition", []uprobe.Option{roomy, uprobe.WithCondition("n%2 == 0")}, func(s stats) uint64 { return s.Filtered }},
		{"everything", []uprobe.Option{
			roomy, uprobe.WithSampling(2), uprobe.WithRateLimit(20_000), uprobe.WithFirst(5000), uprobe.WithBudget(0.3),
			uprobe.WithCondition("n%7 != 0"),
		}, func(s stats) uint64 { return min(s.Sampled, s.Filtered) }},
		{"losses", []uprobe.Option{uprobe.WithBufferSize(4 << 10), uprobe.WithSampling(2)}, func(s stats) uint64 { return min(s.Sampled, s.Lost) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := fixture.Start(t, path)
			delivered := map[string]uint64{}
			panicked := 0
			tr := trace(t, path, []string{"main.sevenfold", "main.twice"}, func(c *uprobe.Call) {
				delivered[c.Name()]++
				if tt.name == "losses" && delivered[c.Name()]%50 == 0 {
					time.Sleep(time.Millisecond)
				}
				n, _ := c.Arg(0).Int()
				_, returned := c.Duration()
				switch {
				case c.Panicked():
					panicked++
					if n%5 != 4 || returned || c.Name() != "main.sevenfold" {
						t.Errorf("%v", c)
					}
				case c.Name() == "main.sevenfold":
					if r, ok := c.Result(0).Int(); !ok || r != 7*n || n%5 == 4 || !returned {
						t.Errorf("%v", c)
					}
				default:
					want := string([]rune{'a' + rune(n%26), 'a' + rune(n%26)})
					s, _ := c.Result(0).Text()
					if r, ok := c.Result(1).Int(); !ok || r != 2*n || string(s) != want {
						t.Errorf("%v", c)
					}
				}
			}, append(tt.opts, uprobe.WithResults())...)
			target.Go()
			target.Calls()
			target.Close()
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			s := tr.Stats()
			t.Logf("%d panicked, %+v", panicked, s)
			if s.LostMissed != 0 || s.LostMalformed != 0 || s.Calls != sumOf(s) {
				t.Errorf("%+v", s)
			}
			for _, f := range tr.FuncStats() {
				name := f.Func.Name()
				// When the first calls are captured, no more are seen.
				used := (tt.name == "first" || tt.name == "everything") && f.Delivered+f.Lost == 5000
				if f.Calls > calls[name] || f.Calls < calls[name] && !used || f.Calls != sumOf(f.Stats) || f.Delivered != delivered[name] {
					t.Errorf("%s: %d calls, %d delivered: %+v", name, calls[name], delivered[name], f.Stats)
				}
				if tt.kept != nil && tt.kept(f.Stats) == 0 {
					t.Errorf("%s: none were kept back: %+v", name, f.Stats)
				}
				if tt.name != "losses" && (f.Lost != 0 || f.Open != 0 || f.Abandoned != 0) {
					t.Errorf("%s: %+v", name, f.Stats)
				}
			}
			if panicked == 0 {
				t.Error("no call panicked")
			}
		})
	}
}

// sumOf is the sum of what may become of a call.
func sumOf(s uprobe.Stats) uint64 {
	return s.Delivered + s.LostRing + s.LostBusy + s.LostUnread + s.LostMissed + s.LostMalformed + s.LostOpen + s.LostReturn +
		s.Filtered + s.Sampled + s.Limited + s.Beyond + s.Paused + s.Open + s.Abandoned
}
