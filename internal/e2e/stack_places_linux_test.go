package e2e

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/stack/main.go
var stackText string

// callingLines are lines of testdata/stack each of which calls one function that tells
// its stack, once a pass.
var callingLines = []string{
	"return probe(n)", "sink += probe(n)", "sink += probe(n + 10 + i)", "sink += probe(1)",
	`sink += leaf(tell("leaf", n))`, `sink += nosplit(tell("nosplit", n))`, `sink += loops(tell("loops", n))`,
}

// TestStackPlaces compares the stacks of lines and of inlined calls with those that the
// runtime has of the calls that are made there.
func TestStackPlaces(t *testing.T) {
	needRoot(t)
	if withoutLoops() {
		t.Log("the kernel has no loops")
		return
	}
	src := stackSource(t)
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		for _, b := range builds[:2] {
			t.Run(b.name, func(t *testing.T) { testStackPlaces(t, fixture.Build(t, src, b.flags...), 99, b.name != "unoptimised") })
		}
		return
	}
	for _, r := range knownReleases {
		for _, flavour := range []fixture.Flavour{fixture.Default, fixture.Unoptimised} {
			tc := fixture.Toolchain{Release: r, Flavour: flavour}
			t.Run(tc.String(), func(t *testing.T) {
				minor, err := tc.Minor()
				if err != nil {
					t.Fatal(err)
				}
				testStackPlaces(t, fixture.BuildWith(t, tc, src), minor, flavour == fixture.Default && minor >= 21)
			})
		}
	}
}

// testStackPlaces traces a program that a minor release of Go built, and its inlined
// calls if it has the same of them as the runtime tells.
func testStackPlaces(t *testing.T, path string, minor int, inlined bool) {
	var patterns []string
	lines := map[int]bool{}
	for i, l := range strings.Split(stackText, "\n") {
		if slices.Contains(callingLines, strings.TrimSpace(l)) {
			patterns = append(patterns, fmt.Sprintf("main.go:%d", i+1))
			lines[i+1] = true
		}
	}
	opts := []uprobe.Option{uprobe.WithStack(32)}
	if inlined {
		patterns, opts = append(patterns, "main.inlined1"), append(opts, uprobe.WithInlined())
	}
	target := fixture.Start(t, path)
	type key struct {
		fn        string
		line      int
		goroutine uint64
	}
	got := map[key][]toldStack{}
	texts := map[string]uint64{}
	tr := trace(t, path, patterns, func(c *uprobe.Call) {
		s, why := stackOf(c)
		if why != "" {
			t.Errorf("%s: no stack: %s", c, why)
			return
		}
		k := key{plainName(c.Name()), s.Frames[0].Line, c.Goroutine()}
		got[k] = append(got[k], s)
		texts[c.Stack().String()]++
	}, opts...)
	counted, err := uprobe.Trace(path, patterns[0], nil, append(opts, uprobe.WithFuncs(patterns[1:]...), uprobe.WithCount("stack"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer counted.Close()
	var want []toldStack
	for e := range told[toldStack](t, target) {
		if len(e.Frames) < 2 {
			continue
		}
		e.Frames = e.Frames[1:]
		f := e.Frames[0]
		if !(lines[f.Line] && filepath.Base(f.File) == "main.go") && !(inlined && f.Func == "main.inlined1") {
			continue
		}
		want = append(want, e)
	}
	closeAll(t, tr)
	counts := compareStacks(t, got, want, func(s toldStack) key {
		return key{plainName(s.Frames[0].Func), s.Frames[0].Line, s.Goroutine}
	}, 32, minor)
	if err := counted.Close(); err != nil {
		t.Error(err)
	}
	rows, err := counted.Aggregates()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		s, _ := r.Key[0].Value.(uprobe.Stack)
		texts[s.String()] -= r.Count
	}
	for s, n := range texts {
		if n != 0 {
			t.Errorf("%d calls more than are counted of\n%s", int64(n), s)
		}
	}
	t.Logf("%d calls, %d rows: %v", len(want), len(rows), counts)
	if len(want) < 30 {
		t.Error("too few")
	}
}
