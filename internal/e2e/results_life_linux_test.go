package e2e

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// addsUp requires the counts of a tracer of whole calls to add up to calls.
func addsUp(t *testing.T, s uprobe.Stats, calls int) {
	t.Helper()
	if s.Calls != uint64(calls) || s.Calls != s.Delivered+s.Lost+s.Filtered+s.Open+s.Abandoned ||
		s.Lost != s.LostRing+s.LostBusy+s.LostUnread+s.LostMissed+s.LostMalformed+s.LostOpen+s.LostReturn {
		t.Errorf("stats %+v do not add up to %d calls", s, calls)
	}
}

// TestResultsOpen has calls that begin before the tracer, and that do not return
// until the process is killed.
func TestResultsOpen(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"time"

	"fixture/truth"
)

//go:noinline
func waits(n int, c chan bool) int {
	<-c
	return n
}

func main() {
	early := make(chan bool)
	ended := make(chan int)
	go func() { ended <- waits(1, early) }()
	time.Sleep(50 * time.Millisecond)
	truth.Start()
	close(early)
	<-ended
	waits(2, early)
	for n := range 3 {
		go waits(n+3, nil)
	}
	time.Sleep(50 * time.Millisecond)
	truth.Done()
}
`})
	for _, killed := range []bool{false, true} {
		target := fixture.Start(t, path)
		var got []string
		tr := trace(t, path, []string{"main.waits"}, func(c *uprobe.Call) {
			if r, ok := c.ResultByName("~r0"); ok {
				got = append(got, c.Name()+" "+r.String())
			}
		}, uprobe.WithResults(), uprobe.WithImmediate())
		target.Go()
		target.Calls()
		eventually(t, "all calls are seen", func() bool { return tr.Stats().Calls == 4 })
		addsUp(t, tr.Stats(), 4)
		if killed {
			target.Kill()
			time.Sleep(2500 * time.Millisecond) // the tracer finds out
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		s := tr.Stats()
		addsUp(t, s, 4)
		if s.Open != 3 || s.Delivered != 1 || s.Unmatched != 1 || strings.Join(got, ", ") != "main.waits 2" {
			t.Errorf("killed %t: calls %q, stats %+v", killed, got, s)
		}
	}
}

// TestResultsDie has programs that end in the midst of calls.
func TestResultsDie(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		body string
		want string
		open uint64
	}{
		{`panic("dies")`, `main.inner(n=3) panicked: "dies", main.outer(n=2) panicked: "dies"`, 0},
		{`var p *int; return *p`, `main.inner(n=3) panicked: runtime.errorString("invalid memory address or nil pointer dereference"), ` +
			`main.outer(n=2) panicked: runtime.errorString("invalid memory address or nil pointer dereference")`, 0},
		{`os.Exit(0); return 1`, "", 2},
		{`defer func() { recover(); os.Exit(1) }(); panic("no")`, "", 2},
		{`syscall.Kill(os.Getpid(), syscall.SIGKILL); return 1`, "", 2},
	} {
		path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"os"
	"syscall"
)

var _, _ = os.Exit, syscall.Kill

//go:noinline
func inner(n int) int {
	if n > 0 { ` + tt.body + ` }
	return 5
}

//go:noinline
func outer(n int) int { return inner(n+1) + 1 }

func main() { outer(2) }
`})
		var got []string
		tr := trace(t, path, []string{"main.outer", "main.inner"}, func(c *uprobe.Call) { got = append(got, c.String()) },
			uprobe.WithResults())
		_ = exec.Command(path).Run() // it fails
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		s := tr.Stats()
		addsUp(t, s, 2)
		// What jumps to os.Exit has perhaps no return.
		if text := strings.Join(got, ", "); text != tt.want || s.Open != tt.open {
			t.Errorf("%s: calls %q, want %q; stats %+v", tt.body, text, tt.want, s)
		}
	}
}

// pairsProgram calls a function whose result tells of its argument, often at the
// same depth, and leaves it by panics now and then.
const pairsProgram = `package main

import "fixture/truth"

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

func try(n int) {
	defer func() { recover() }()
	sevenfold(n, n%3)
}

func main() {
	truth.Start()
	for n := range 30000 {
		try(n)
	}
	truth.Done()
}
`

const pairsCalls = 60000

// TestResultsPairs never takes a return for that of another call: while calls are
// filtered, and while records are lost.
func TestResultsPairs(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": pairsProgram})
	for _, tt := range []struct {
		name  string
		lossy bool
		opts  []uprobe.Option
	}{
		{"all", false, []uprobe.Option{uprobe.WithBufferSize(64 << 20)}},
		{"filtered", false, []uprobe.Option{uprobe.WithCondition("n%2 == 0 && depth != 1"), uprobe.WithBufferSize(64 << 20)}},
		{"lossy", true, []uprobe.Option{uprobe.WithBufferSize(4 << 10)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := fixture.Start(t, path)
			var panicked, returned int
			tr := trace(t, path, []string{"main.sevenfold"}, func(c *uprobe.Call) {
				n, _ := c.Arg(0).Int()
				if c.Panicked() {
					panicked++
					if n%5 != 4 {
						t.Errorf("%v", c)
					}
					return
				}
				returned++
				if r, ok := c.Result(0).Int(); !ok || r != 7*n || n%5 == 4 {
					t.Errorf("%v", c)
				}
				if tt.lossy && returned%50 == 0 {
					time.Sleep(time.Millisecond)
				}
			}, append(tt.opts, uprobe.WithResults())...)
			target.Go()
			target.Calls()
			target.Close()
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			s := tr.Stats()
			addsUp(t, s, pairsCalls)
			t.Logf("%d panicked, %d returned, %+v", panicked, returned, s)
			switch {
			case tt.lossy:
				if s.LostRing == 0 || s.LostReturn == 0 || returned == 0 {
					t.Errorf("%d returned, nothing was lost: %+v", returned, s)
				}
			case s.Lost != 0 || s.Abandoned != 0 || s.Open != 0:
				t.Errorf("stats %+v", s)
			case tt.name == "filtered" && s.Filtered != pairsCalls*2/3:
				t.Errorf("stats %+v", s)
			case panicked < 1000 || returned < 4*panicked-100 || returned > 4*panicked+100:
				t.Errorf("%d panicked, %d returned", panicked, returned)
			}
		})
	}
}

// TestResultsGeneric has results whose types only the instance tells.
func TestResultsGeneric(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import "fixture/truth"

type point struct{ X, Y int }

type id string

//go:noinline
func pair[T any](x T, n int) (T, []T, any, error) { return x, []T{x, x}, x, nil }

//go:noinline
func first[T any](x []T) *T {
	if len(x) == 0 {
		return nil
	}
	return &x[0]
}

func main() {
	truth.Start()
	pair(1, 1)
	pair("a", 2)
	pair(id("b"), 3)
	pair(&point{1, 2}, 4)
	pair(point{3, 4}, 5)
	first([]point{{5, 6}})
	first([]id{"c"})
	first([]*point{{7, 8}})
	truth.Done()
}
`})
	target := fixture.Start(t, path)
	var got []string
	tr := trace(t, path, []string{"main.pair", "main.first"}, func(c *uprobe.Call) {
		line := strings.TrimPrefix(c.Instance(), "main.")
		for _, v := range c.Results() {
			line += " " + v.TypeName() + " " + v.String() + ";"
		}
		got = append(got, line)
	}, uprobe.WithResults())
	target.Go()
	target.Calls()
	closeAll(t, tr)
	want := `pair[int] int 1; []int []int{1, 1}; interface {} 1; error nil;
pair[string] string "a"; []string []string{"a", "a"}; interface {} "a"; error nil;
pair[main.id] main.id "b"; []main.id []main.id{"b", "b"}; interface {} main.id("b"); error nil;
pair[*main.point] *main.point &main.point{X: 1, Y: 2}; []*main.point []*main.point{&main.point{X: 1, Y: 2}, (*main.point)(ADDR)}; interface {} &main.point{X: 1, Y: 2}; error nil;
pair[main.point] main.point main.point{X: 3, Y: 4}; []main.point []main.point{main.point{X: 3, Y: 4}, main.point{X: 3, Y: 4}}; interface {} main.point{X: 3, Y: 4}; error nil;
first[main.point] *main.point &main.point{X: 5, Y: 6};
first[main.id] *main.id &"c";
first[*main.point] **main.point &&main.point{X: 7, Y: 8};`
	if text := regexp.MustCompile("0x[0-9a-f]+").ReplaceAllString(strings.Join(got, "\n"), "ADDR"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
