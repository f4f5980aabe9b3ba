package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// stackFuncs are the functions of testdata/stack that are traced.
var stackFuncs = []string{"main.probe", "main.leaf", "main.nosplit", "main.loops", "main.grows"}

// stackSource is the program of testdata/stack.
func stackSource(t *testing.T) fixture.Source {
	return fixture.Dir(t, filepath.Join("testdata", "stack"))
}

// TestStack compares the stacks of calls with those that the runtime has, of
// programs that the local toolchain builds, and with ARGTAP_TOOLCHAINS=1 of those of
// all releases.
func TestStack(t *testing.T) {
	needRoot(t)
	if withoutLoops() {
		t.Log("the kernel has no loops")
		return
	}
	src := stackSource(t)
	for _, b := range append(slices.Clone(builds), struct {
		name  string
		flags []string
	}{"stripped", []string{"-ldflags=-s -w"}}) {
		t.Run(b.name, func(t *testing.T) { testStack(t, fixture.Build(t, src, b.flags...), 64, 99) })
	}
	path := fixture.Build(t, src)
	t.Run("shallow", func(t *testing.T) { testStack(t, path, 3, 99) })
	t.Run("deep", func(t *testing.T) { testStack(t, path, 127, 99) })
	t.Run("results", func(t *testing.T) { testStack(t, path, 64, 99, uprobe.WithResults()) })
	t.Run("limits", func(t *testing.T) {
		testStack(t, path, 64, 99, uprobe.WithLimits(uprobe.Limits{String: 5}))
	})
	t.Run("budget", func(t *testing.T) { testStack(t, path, 64, 99, uprobe.WithBudget(0.9)) })
	t.Run("condition", func(t *testing.T) { testStackWhere(t, path) })
	t.Run("parallel", func(t *testing.T) { testParallelStacks(t, path) })
	t.Run("lost", func(t *testing.T) { testLostStacks(t, path) })
	if runtime.GOARCH == "amd64" {
		t.Run("386", func(t *testing.T) {
			testNoStack(t, fixture.BuildWith(t, fixture.Toolchain{Arch: "386"}, src), "no frame pointers on 386")
		})
	}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, r := range knownReleases {
		for _, flavour := range []fixture.Flavour{fixture.Default, fixture.Unoptimised, fixture.PIE, fixture.Stripped} {
			tc := fixture.Toolchain{Release: r, Flavour: flavour}
			t.Run(tc.String(), func(t *testing.T) {
				minor, err := tc.Minor()
				if err != nil {
					t.Fatal(err)
				}
				testStack(t, fixture.BuildWith(t, tc, src), 64, minor)
			})
		}
	}
}

// testStack traces a program that a minor release of Go built.
func testStack(t *testing.T, path string, depth, minor int, opts ...uprobe.Option) {
	target := fixture.Start(t, path)
	type key struct {
		fn        string
		goroutine uint64
	}
	got := map[key][]toldStack{}
	var kept []*uprobe.Call
	var texts []string
	funcs := stackFuncs
	if minor >= 21 { // in stripped programs of older releases wrappers have the same name
		funcs = append(slices.Clone(funcs), "main.twice*", "main.(*box*).each")
	}
	tr := trace(t, path, funcs, func(c *uprobe.Call) {
		s, why := stackOf(c)
		if why != "" {
			t.Errorf("%s: no stack: %s", c, why)
		}
		k := key{plainName(c.Name()), c.Goroutine()}
		got[k] = append(got[k], s)
		if len(kept) < 50 {
			kept, texts = append(kept, c.Clone()), append(texts, c.Stack().String()+c.Creation().String())
		}
	}, append(opts, uprobe.WithStack(depth))...)
	var want []toldStack
	untold := func(fn string) bool {
		return minor < 21 && (strings.HasPrefix(fn, "main.twice") || strings.HasPrefix(fn, "main.(*box"))
	}
	for e := range told[toldStack](t, target) {
		if !untold(e.Frames[0].Func) {
			want = append(want, e)
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if s := tr.Stats(); s.Calls != s.Delivered || s.LostStacks != 0 || int(s.Delivered) != len(want) {
		t.Errorf("%d calls, stats %+v", len(want), s)
	}
	counts := compareStacks(t, got, want, func(s toldStack) key { return key{plainName(s.Frames[0].Func), s.Goroutine} }, depth, minor)
	compared(t, len(want))
	t.Logf("%d calls: %v", len(want), counts)
	for i, c := range kept {
		if text := c.Stack().String() + c.Creation().String(); text != texts[i] {
			t.Errorf("a clone's stack:\n%s\nwant\n%s", text, texts[i])
		}
	}
}

// testStackWhere has a condition let two calls pass.
func testStackWhere(t *testing.T, path string) {
	target := fixture.Start(t, path)
	var texts []string
	tr := trace(t, path, []string{"main.probe"}, func(c *uprobe.Call) {
		var names []string
		for _, f := range c.Stack().Frames() {
			names = append(names, f.Func)
		}
		texts = append(texts, fmt.Sprintf("%v %s %s", c.Arg(0), strings.Join(names, " "), c.Stack().End()))
	}, uprobe.WithStack(4), uprobe.WithCondition("n == 9 || n == 60"), uprobe.WithCapture("n*2"))
	toldAll(t, target)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	slices.Sort(texts)
	want := []string{
		"120 main.probe main.recursive main.recursive main.recursive main.recursive cut at depth 4",
		"18 main.probe main.call main.all main.main runtime.main cut at depth 4",
	}
	if s := tr.Stats(); !slices.Equal(texts, want) || s.Filtered == 0 {
		t.Errorf("%q, want %q; %+v", texts, want, s)
	}
}

// testParallelStacks has many goroutines call a function at the same time, each from
// a depth of its own.
func testParallelStacks(t *testing.T, path string) {
	const calls = 300
	target := fixture.Start(t, path, fmt.Sprintf("STACK_PARALLEL=%d", calls))
	whole, busy := map[int64]int{}, 0
	tr := trace(t, path, []string{"main.leaf"}, func(c *uprobe.Call) {
		n, _ := c.Arg(0).Int()
		s := c.Stack()
		if why, absent := s.Absent(); absent {
			if busy++; why != "lost: no memory was free to collect it in" {
				t.Errorf("absent for %q", why)
			}
			return
		}
		// leaf, down n+1 times, a function literal, runtime.goexit.
		if frames := s.Frames(); len(frames) != int(n)+4 || s.End() != "" || frames[n+1].Func != "main.down" ||
			frames[n+2].Func != "main.parallel.func1" {
			t.Errorf("the stack of leaf(%d):\n%v", n, s)
		}
		whole[n]++
	}, uprobe.WithStack(64))
	toldAll(t, target)
	closeAll(t, tr)
	n := 0
	for _, k := range whole {
		n += k
	}
	if s := tr.Stats(); len(whole) != 32 || n+busy != 32*calls || int(s.LostStacks) != busy || busy > calls {
		t.Errorf("%d whole, %d without, %+v", n, busy, s)
	}
}

// testLostStacks takes calls from a small buffer slowly, and counts.
func testLostStacks(t *testing.T, path string) {
	target := fixture.Start(t, path, "STACK_ROUNDS=20")
	reasons := map[string]int{}
	texts := map[string]bool{}
	tr := trace(t, path, stackFuncs, func(c *uprobe.Call) {
		time.Sleep(time.Millisecond)
		why, _ := c.Stack().Absent()
		reasons[why]++
		texts[c.Stack().String()] = true
	}, uprobe.WithStack(32), uprobe.WithBufferSize(4096), uprobe.WithImmediate())
	toldAll(t, target)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	lost := reasons["lost: the ring buffer was full"]
	t.Logf("%+v, %v, %d different", s, reasons, len(texts))
	if s.Calls != s.Delivered+s.Lost || s.LostRing == 0 || int(s.LostStacks) != lost || int(s.Delivered) != reasons[""]+lost {
		t.Errorf("%+v, %v", s, reasons)
	}
}

// testNoStack traces a program whose calls have no stacks.
func testNoStack(t *testing.T, path, want string) {
	target := fixture.Start(t, path)
	calls, parents := 0, 0
	tr := trace(t, path, stackFuncs, func(c *uprobe.Call) {
		calls++
		if why, _ := c.Stack().Absent(); why != want {
			t.Errorf("%s: absent for %q", c, why)
		}
		created := c.Creation()
		if why, absent := created.Absent(); absent && (c.Name() != "main.nosplit" || why != "nothing tells its goroutine") {
			t.Errorf("%s: no creation: %s", c, why)
		}
		if id, ok := created.Parent(); ok && id > 0 && created.By.Line > 0 {
			parents++
		}
	}, uprobe.WithStack(32))
	toldAll(t, target)
	closeAll(t, tr)
	for _, f := range tr.Funcs() {
		if why := f.NoStack(); why != want {
			t.Errorf("%s: %q", f.Name(), why)
		}
	}
	if calls < 60 || parents < 5 {
		t.Errorf("%d calls, %d of goroutines with a parent", calls, parents)
	}
}
