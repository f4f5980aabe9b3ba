package e2e

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/panics/*.go
var panicsFiles embed.FS

// panicsProgram is the program of testdata/panics.
func panicsProgram(t *testing.T) fixture.Source {
	t.Helper()
	src := fixture.Source{"shape.go": shapeSource}
	for _, name := range []string{"main.go", "task.go", "throw.go"} {
		text, err := panicsFiles.ReadFile("testdata/panics/" + name)
		if err != nil {
			t.Fatal(err)
		}
		src[name] = string(text)
	}
	return src
}

// panicFuncs are the functions of testdata/panics that it tells of.
var panicFuncs = []string{"main.plain", "main.single", "main.loops", "main.(*node).method", "main.many", "main.raises"}

// panicCall is a call of testdata/panics, as the program and as the tracer tell.
type panicCall struct {
	Func, How string
	ID        int64
	Goroutine uint64
	Results   []string
	// Panic is the value of the panic that it was left by or recovered.
	Panic string
}

func panicCallOf(c *uprobe.Call) (p panicCall, why map[string]int) {
	p = panicCall{Func: c.Name(), How: "returned", Goroutine: c.Goroutine()}
	why = map[string]int{}
	shapes := func(v uprobe.Value) string {
		text, w := shapeOf(v)
		for r, n := range w {
			why[r] += n
		}
		return text
	}
	if v, ok := c.ArgByName("id"); ok {
		p.ID, _ = v.Int()
	}
	v, ok := c.PanicValue()
	if ok {
		p.Panic = shapes(v)
	}
	switch {
	case c.Panicked():
		p.How = "panicked"
		return p, why
	case c.Recovered():
		p.How = "recovered"
	case ok:
		p.How = "returned with a panic"
	}
	for _, v := range c.Results() {
		p.Results = append(p.Results, shapes(v))
	}
	return p, why
}

// TestPanics compares how the calls of a program end, whose goroutines panic and
// recover at random, with its own account: of programs that the local toolchain
// builds, with ARGTAP_TOOLCHAINS=1 of those of all releases, and with seedVar of
// others.
func TestPanics(t *testing.T) {
	needRoot(t)
	src := panicsProgram(t)
	if list := trials(t, 1); list != nil {
		for _, x := range list {
			t.Run(x.String(), func(t *testing.T) {
				path := x.build(t, src)
				if minor := x.minor(t); minor >= 14 && minor <= 16 && !endsWell(path, x.seed) {
					t.Logf("seed %d: the program crashes when it is not traced, too", x.seed)
					return
				}
				testPanicsOf(t, path, x.seed, 1+int64(x.seed%2), undescribed(x.minor(t))...)
			})
		}
		return
	}
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) { testPanics(t, fixture.Build(t, src, b.flags...), 1) })
	}
	// Calls of which nothing is known, of the same functions, are among the others.
	t.Run("filtered", func(t *testing.T) { testPanics(t, fixture.Build(t, src), 3) })
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, tc := range releases() {
		minor, err := tc.Minor()
		if err != nil {
			t.Fatal(err)
		}
		var allowed []string
		if minor == 11 || minor == 17 { // of which little is described
			allowed = append(allowed, "the debug information may leave out a value before it")
		}
		t.Run(tc.String(), func(t *testing.T) {
			testPanics(t, fixture.BuildWith(t, tc, src), 1, allowed...)
			testPanics(t, fixture.BuildWith(t, tc, src, "-gcflags=all=-N -l"), 1, allowed...)
		})
	}
}

// panicSeed is one with which the program does not crash by itself: the runtime of Go
// 1.14 to 1.16 does not survive all that it does (deferred calls in the open, on which
// a panic comes that another has been recovered in front of).
const panicSeed = 12

// endsWell reports whether the program ends as it should when it is not traced. What it
// does depends on the seed alone.
func endsWell(path string, seed uint64) bool {
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), fmt.Sprintf("FIXTURE_SEED=%d", seed))
	cmd.Stdin = strings.NewReader("go\n")
	return cmd.Run() == nil
}

// testPanics traces the program, one of so many of its calls. Values may be absent
// for the reasons that are allowed.
func testPanics(t *testing.T, path string, each int64, allowed ...string) {
	t.Helper()
	testPanicsOf(t, path, panicSeed, each, allowed...)
}

func testPanicsOf(t *testing.T, path string, seed uint64, each int64, allowed ...string) {
	t.Helper()
	target := fixture.Start(t, path, fmt.Sprintf("FIXTURE_SEED=%d", seed))
	got := map[uint64][]panicCall{} // by goroutine, in order
	reasons := map[string]int{}
	tr := trace(t, path, panicFuncs, func(c *uprobe.Call) {
		p, why := panicCallOf(c)
		for r, n := range why {
			reasons[r] += n
		}
		got[p.Goroutine] = append(got[p.Goroutine], p)
	}, uprobe.WithResults(), uprobe.WithBufferSize(64<<20), uprobe.WithCondition(fmt.Sprintf("id%%%d == 0", each)))
	hows, bad, total := map[string]int{}, 0, 0
	var want []panicCall
	for e := range told[panicCall](t, target) {
		total++
		if e.ID%each == 0 {
			want = append(want, e)
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	missing := uint64(0)
	for _, w := range want {
		hows[w.How]++
		list := got[w.Goroutine]
		if !slices.ContainsFunc(list, func(g panicCall) bool { return g.ID == w.ID }) {
			if missing++; missing > min(s.Lost, mayLose()) {
				t.Fatalf("%+v was not delivered: %+v", w, s)
			}
			continue
		}
		got[w.Goroutine] = list[1:]
		if g := list[0]; !samePanicCall(g, w, len(allowed) > 0) {
			t.Errorf("\n got %+v\nwant %+v", g, w)
			bad++
		}
		if bad > 6 {
			t.Fatal("and more")
		}
	}
	for _, list := range got {
		for _, g := range list {
			t.Errorf("%+v: there was no such call", g)
		}
	}
	for why := range reasons {
		if !slices.Contains(allowed, why) && !slices.Contains(lacking(), why) {
			t.Errorf("absent for %q", why)
		}
	}
	addsUp(t, s, total)
	if s.Delivered+s.Lost != uint64(len(want)) || s.Lost != missing || hows["panicked"] < 100 || hows["recovered"] < 100 || hows["returned"] < 100 {
		t.Errorf("%d calls, %v, stats %+v", total, hows, s)
	}
	compared(t, len(want)-int(missing))
	t.Logf("%v, absent %v", hows, reasons)
}

// samePanicCall compares two calls but for what is absent: the caller looks at the
// reasons. Results may be missing in releases of which little is described.
func samePanicCall(g, w panicCall, missing bool) bool {
	if missing && slices.Contains(g.Results, "(?)") {
		g.Results, w.Results = nil, nil
	}
	if len(g.Results) == 0 && len(w.Results) == 0 {
		g.Results, w.Results = nil, nil
	}
	same := len(g.Results) == len(w.Results) && sameOrAbsent(g.Panic, w.Panic)
	for i := range w.Results {
		same = same && sameOrAbsent(g.Results[i], w.Results[i])
	}
	g.Results, w.Results, g.Panic, w.Panic = nil, nil, "", ""
	return same && fmt.Sprintf("%+v", g) == fmt.Sprintf("%+v", w)
}

// TestPanicsDie has programs that end by a panic that no one recovers.
func TestPanicsDie(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"errors"
	"os"
	"runtime"
	"sync"
)

type secret struct{ Token, Name string }

//go:noinline
func inner(n int) int {
	defer func() {
		if n > 1 {
			panic(errors.New("anew"))
		}
	}()
	panic(secret{"t0k3n", "name"})
}

//go:noinline
func outer(n int) int {
	defer func() {
		if n > 2 {
			r := recover()
			panic(r)
		}
	}()
	return inner(n) + 1
}

//go:noinline
func leaves(n int) int {
	defer func() { recover() }()
	runtime.Goexit()
	return n
}

//go:noinline
func panics(n int) int {
	defer runtime.Goexit()
	panic(n)
}

func main() {
	var wg sync.WaitGroup
	for _, f := range []func(int) int{leaves, panics} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(0)
		}()
	}
	wg.Wait()
	outer(len(os.Args))
}
`})
	for n, want := range map[int]string{
		1: `main.inner(n=1) panicked: main.secret{Token: <redacted>, Name: "name"}, main.outer(n=1) panicked: main.secret{Token: <redacted>, Name: "name"}`,
		2: `main.inner(n=2) panicked: &errors.errorString{s: "anew"}, main.outer(n=2) panicked: &errors.errorString{s: "anew"}`,
		3: `main.inner(n=3) panicked: &errors.errorString{s: "anew"}, main.outer(n=3) panicked: &errors.errorString{s: "anew"}`,
	} {
		var got []string
		tr := trace(t, path, []string{"main.outer", "main.inner", "main.leaves", "main.panics"},
			func(c *uprobe.Call) { got = append(got, c.String()) }, uprobe.WithResults())
		_ = exec.Command(path, slices.Repeat([]string{"x"}, n-1)...).Run() // it fails
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		s := tr.Stats()
		addsUp(t, s, 4)
		if text := strings.Join(got, ", "); text != want || s.Abandoned != 2 || s.Exited != 1 {
			t.Errorf("%d: calls %q, want %q; stats %+v", n, text, want, s)
		}
	}
}
