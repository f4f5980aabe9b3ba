package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/argtap/argtap/uprobe"
)

// toldStack is the stack of a call and how its goroutine came to be, as the program
// and as the tracer tell.
type toldStack struct {
	Goroutine uint64
	Frames    []toldFrame
	// Parent is 0 where nothing tells it.
	Parent   uint64
	By, File string
	Line     int

	end       string
	start     string
	noParent  string
	noCreated string
}

type toldFrame struct {
	Func, File string
	Line       int
	missing    string
}

// typeArgs are those in a function's name, which the runtime leaves out.
var typeArgs = regexp.MustCompile(`\[.*\]`)

func plainName(name string) string { return typeArgs.ReplaceAllString(name, "[...]") }

func stackOf(c *uprobe.Call) (s toldStack, why string) {
	st, created := c.Stack(), c.Creation()
	s = toldStack{Goroutine: c.Goroutine(), end: st.End()}
	for _, f := range st.Frames() {
		s.Frames = append(s.Frames, toldFrame{plainName(f.Func), f.File, f.Line, f.Missing})
	}
	s.By, s.File, s.Line = plainName(created.By.Func), created.By.File, created.By.Line
	s.Parent, _ = created.Parent()
	s.noParent = created.NoParent()
	s.noCreated, _ = created.Absent()
	s.start = created.Start.Func
	why, _ = st.Absent()
	return s, why
}

func showStack(s toldStack) string {
	var b strings.Builder
	for _, f := range s.Frames {
		fmt.Fprintf(&b, "\n\t%s %s:%d", f.Func, filepath.Base(f.File), f.Line)
		if f.missing != "" {
			fmt.Fprintf(&b, " <%s>", f.missing)
		}
	}
	return fmt.Sprintf("goroutine %d %s\n\t<%s> created by %s %s:%d in %d, starts with %s", s.Goroutine, b.String(), s.end, s.By, s.File, s.Line, s.Parent, s.start)
}

// compareStack returns what is wrong with a stack, "" if nothing is.
func compareStack(got, want toldStack, depth, minor int, counts map[string]int) string {
	g, w := got.Frames, want.Frames
	if g[0].Func != plainName(w[0].Func) || w[0].File != "" && g[0].File != w[0].File || g[0].Line <= 0 {
		return "another function"
	}
	for i := range w {
		w[i].Func = plainName(w[i].Func)
	}
	n := 1
	for i := 1; i < len(g); i++ {
		f := g[i]
		if n < len(w) && g[i-1].missing != "" && (f.Func != w[n].Func || f.Line != w[n].Line) {
			counts["missing: "+g[i-1].missing]++
			n++
		}
		f.missing = ""
		if n >= len(w) || f != w[n] {
			return fmt.Sprintf("frame %d", i)
		}
		n++
	}
	switch {
	case got.end == "":
		if n != len(w) {
			return "not all frames"
		}
		counts["whole"]++
	case got.end == fmt.Sprintf("cut at depth %d", depth):
		if n < depth/2 || n >= len(w) { // frames of wrappers are not shown
			return "cut"
		}
		counts["cut"]++
	default:
		counts[got.end]++
		if n >= len(w) {
			return "no end"
		}
	}
	switch {
	case got.noCreated != "":
		return "no creation: " + got.noCreated
	case want.By == "":
		// Tracebacks do not show it of the runtime's own goroutines, and the first.
	case got.By != plainName(want.By) || got.File != want.File || got.Line != want.Line:
		return "created elsewhere"
	case minor < 21 && got.noParent == "" || minor >= 21 && (got.noParent != "" || got.Parent != want.Parent):
		return "another parent: " + got.noParent
	}
	if n := len(w) - 2; n > 0 && got.end == "" && plainName(got.start) != w[n].Func && (minor < 17 || minor > 21 && !strings.Contains(got.start, "gowrap")) {
		return "starts with another function"
	}
	return ""
}

// compareStacks compares the stacks of all calls with what a program tells of them, those
// of a key in their order, and takes them from got. It returns what compareStack counts.
func compareStacks[K comparable](t *testing.T, got map[K][]toldStack, want []toldStack, key func(toldStack) K, depth, minor int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, w := range want {
		k := key(w)
		if len(got[k]) == 0 {
			t.Errorf("no call of %v:%s", k, showStack(w))
			continue
		}
		g := got[k][0]
		got[k] = got[k][1:]
		if why := compareStack(g, w, depth, minor, counts); why != "" {
			t.Errorf("%s:\n got %s\nwant %s", why, showStack(g), showStack(w))
		}
	}
	for _, all := range got {
		for _, g := range all {
			t.Errorf("a call too many: %s", showStack(g))
		}
	}
	return counts
}
