package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

const togetherProgram = `package main

func clamp(v, low int) int {
	if v < low {
		return low
	}
	return v
}

//go:noinline
func work(i int) (n int) {
	n = clamp(i, 3)
	n += i
	return n
}

var sum int

func main() {
	done := make(chan bool)
	go func() {
		for i := range 5 {
			sum += work(i)
		}
		done <- true
	}()
	<-done
}
`

// TestTogether combines what is traced in place of functions with options for these.
func TestTogether(t *testing.T) {
	needRoot(t)
	src := fixture.Source{"main.go": togetherProgram}
	optimised, plain := fixture.Build(t, src), fixture.Build(t, src, "-gcflags=all=-N -l")
	t.Run("stack", func(t *testing.T) {
		for fn, path := range map[string]string{"main.go:13": plain, "main.clamp": optimised} {
			want := map[string]string{"main.go:13": "main.work 13 ", "main.clamp": "main.clamp 4 main.work 12 "}[fn] + "main.main.func1 23 runtime.goexit"
			var calls int
			tr := trace(t, path, []string{fn}, func(c *uprobe.Call) {
				calls++
				by := c.Creation().By
				text := ""
				for _, f := range c.Stack().Frames() {
					text += f.Func
					if f.Func != "runtime.goexit" {
						text += fmt.Sprintf(" %d ", f.Line)
					}
				}
				if text != want || c.Stack().End() != "" || by.Func != "main.main" || by.Line != 21 {
					t.Errorf("%s: stack %s, want %s; created by %+v", fn, text, want, by)
				}
			}, uprobe.WithInlined(), uprobe.WithStack(8))
			if out, err := exec.Command(path).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			eventually(t, "the calls", func() bool { return tr.Stats().Delivered == 5 })
			closeAll(t, tr)
			if calls != 5 {
				t.Errorf("%s: %d calls", fn, calls)
			}
			for _, f := range tr.Funcs() {
				if f.NoStack() != "" {
					t.Errorf("%s has no stacks: %s", f, f.NoStack())
				}
			}
		}
	})
	t.Run("counted", func(t *testing.T) {
		tr, err := uprobe.Trace(optimised, "main.clamp", nil, uprobe.WithInlined(), uprobe.WithCount("v"), uprobe.WithCondition("v > 1"))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(optimised).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		rows, err := tr.Aggregates()
		if s := tr.Stats(); err != nil || len(rows) != 3 || s.Aggregated != 3 || s.Filtered != 2 || s.Calls != 5 {
			t.Errorf("%v, %+v, %v", rows, s, err)
		}
	})
	for name, opts := range map[string][]uprobe.Option{
		"no return of its own": {uprobe.WithInlined(), uprobe.WithResults(), uprobe.WithCondition("duration > 1ms")},
	} {
		handler := func(*uprobe.Call) {}
		if tr, err := uprobe.Trace(optimised, "main.clamp", handler, opts...); err == nil {
			tr.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	_, err := uprobe.Trace(optimised, "main.clamp", nil, uprobe.WithInlined(), uprobe.WithCount("v"), uprobe.WithCondition("duration > 1ms"))
	var e *uprobe.ExprError
	if !errors.As(err, &e) || e.NeedsResults || !strings.Contains(err.Error(), "no return of its own") {
		t.Errorf("%v", err)
	}
	_, err = uprobe.Trace(optimised, "main.work", nil, uprobe.WithCount("i"), uprobe.WithStack(4))
	if err == nil || !strings.Contains(err.Error(), "leave out WithStack") {
		t.Errorf("%v", err)
	}
}
