package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// stormMix is the mix of testdata/storm.
func stormMix(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 + b
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	return x ^ x>>27
}

// storm checks the calls of testdata/storm.
type storm struct {
	t         *testing.T
	delivered map[string]uint64
	panicked  uint64
	wrong     int
}

func (s *storm) call(c *uprobe.Call) {
	s.delivered[c.Name()]++
	id, ok1 := c.Arg(0).Uint()
	arg, _ := c.Arg(1 % c.NumArgs()).Int()
	n := uint64(arg)
	good := ok1
	if d, returned := c.Duration(); returned {
		r, ok := c.Result(0).Uint()
		good = good && ok && d > 0 && !c.Panicked()
		switch c.Name() {
		case "main.deep":
			good = good && r == stormMix(id, 0)+n
		case "main.grow":
			for i := range n + 1 {
				r -= stormMix(id, i)
			}
			name, ok := c.Result(1).Str()
			good = good && ok && r == 0 && name == strconv.FormatUint(id, 10)
		case "main.save":
			good = good && r == id
		case "main.wait":
			good = good && r == stormMix(id, 1)
		case "main.back":
			good = good && r == stormMix(id, 2)
		default: // fail always panics
			good = false
		}
	} else {
		s.panicked++
		good = good && c.Panicked() && c.Name() == "main.fail"
	}
	if !good {
		if s.wrong++; s.wrong <= 10 {
			s.t.Errorf("wrong: %v", c)
		}
	}
}

// testStorm traces a program built of testdata/storm.
func testStorm(t *testing.T, path string, duration time.Duration, goroutines int) {
	target := fixture.Start(t, path, fmt.Sprintf("STORM_MS=%d", duration.Milliseconds()), fmt.Sprintf("STORM_GOROUTINES=%d", goroutines),
		"GODEBUG=asyncpreemptoff=0", "GOTRACEBACK=all")
	s := &storm{t: t, delivered: map[string]uint64{}}
	names := []string{"deep", "grow", "fail", "save", "wait", "back"}
	var funcs []string
	for _, name := range names {
		funcs = append(funcs, "main."+name)
	}
	tr := trace(t, path, funcs, s.call, uprobe.WithPID(target.PID), uprobe.WithBufferSize(64<<20), uprobe.WithResults())
	target.Go()
	var end struct {
		Bad, Rounds, Signals, Spins, GCs   uint64
		Deep, Grow, Fail, Save, Wait, Back uint64
	}
	target.Event("end", &end)
	if err := tr.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	target.Close()
	if end.Bad != 0 {
		t.Errorf("%d of the program's own checks failed", end.Bad)
	}
	if end.Rounds < uint64(goroutines) || end.Signals < 10 || end.GCs < 10 || end.Spins == 0 {
		t.Errorf("the program did too little: %+v", end)
	}
	made := map[string]uint64{
		"main.deep": end.Deep, "main.grow": end.Grow, "main.fail": end.Fail,
		"main.save": end.Save, "main.wait": end.Wait, "main.back": end.Back,
	}
	missed := tr.Stats().LostMissed
	var sum uprobe.Stats
	for _, f := range tr.FuncStats() {
		name := f.Func.Name()
		if f.Calls > made[name] || f.Calls+missed < made[name] || f.Calls != sumOf(f.Stats) || f.Delivered != s.delivered[name] {
			t.Errorf("%s: the program made %d calls, %d were delivered: %+v", name, made[name], s.delivered[name], f.Stats)
		}
		if f.Open != 0 || f.Abandoned != 0 || f.LostMalformed != 0 || f.LostOpen != 0 {
			t.Errorf("%s: %+v", name, f.Stats)
		}
		if f.Lost > f.Calls/4 {
			t.Errorf("%s: too much is lost: %+v", name, f.Stats)
		}
		sum.Calls += f.Calls
		sum.Delivered += f.Delivered
		sum.Lost += f.Lost
	}
	st := tr.Stats()
	if st.Calls != sum.Calls+missed && missed != 0 || st.Delivered != sum.Delivered || st.Calls != sumOf(st) {
		t.Errorf("the functions' counts add up to %+v, the tracer's are %+v", sum, st)
	}
	if s.panicked == 0 || s.wrong != 0 {
		t.Errorf("%d panicked, %d are wrong", s.panicked, s.wrong)
	}
	compared(t, int(st.Delivered))
	t.Logf("%+v; %d panicked, %+v", end, s.panicked, st)
}

// stormVar is how long TestStorm takes, in seconds: 20 if it is not set, 300 is the
// long form.
const stormVar = "ARGTAP_STORM"

// TestStorm traces whole calls of a program that does everything at once that is
// hard on a tracer: every call is paired with its own return.
func TestStorm(t *testing.T) {
	needRoot(t)
	duration := 20 * time.Second
	if text := os.Getenv(stormVar); text != "" {
		var err error
		if duration, err = time.ParseDuration(text + "s"); err != nil {
			t.Fatal(err)
		}
	}
	src := fixture.Dir(t, "testdata/storm")
	t.Run("pure", func(t *testing.T) { testStorm(t, fixture.Build(t, src), duration/2, 10_000) })
	t.Run("cgo", func(t *testing.T) {
		if _, err := exec.LookPath("gcc"); err != nil {
			t.Logf("no callbacks from C: %v", err)
			return
		}
		testStorm(t, fixture.Build(t, src, "CGO_ENABLED=1"), duration/2, 10_000)
	})
}
