package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// inlinedCall is a call as the program or the tracer tells it.
type inlinedCall struct {
	fn   string
	vals []string // "" for what is absent
	why  []string
}

// TestRandomInlined compares inlined calls of generated programs, by the line of the
// call: see seedVar.
func TestRandomInlined(t *testing.T) {
	needRoot(t)
	list := trials(t, 30)
	if list == nil {
		for seed := uint64(1); seed < 4; seed++ {
			list = append(list, trial{seed: seed, funcs: 30})
		}
		if os.Getenv("ARGTAP_TOOLCHAINS") == "1" {
			for _, tc := range releases() {
				list = append(list, trial{seed: 3, funcs: 30, tc: tc})
			}
		}
	}
	calls, shown := 0, 0
	for _, x := range list {
		t.Run(x.String(), func(t *testing.T) {
			if x.unoptimised() {
				t.Log("nothing is inlined")
				return
			}
			l := fixture.GenerateLines(x.seed, x.funcs)
			c, s := testInlined(t, l, x.build(t, l.Source))
			calls, shown = calls+c, shown+s
		})
	}
	if os.Getenv(seedVar) == "" && (calls < 100 || shown < 100) {
		t.Errorf("%d calls and %d arguments were seen", calls, shown)
	}
}

func testInlined(t *testing.T, l *fixture.Lines, path string) (calls, shown int) {
	got := map[int][]inlinedCall{}
	tr := trace(t, path, []string{"main.inl?"}, func(c *uprobe.Call) {
		at, ok := c.Inlined()
		if !ok {
			t.Errorf("%v: not inlined", c)
			return
		}
		k := inlinedCall{fn: strings.TrimPrefix(c.Name(), "main.")}
		for _, v := range c.Args() {
			why, absent := v.Absent()
			k.why = append(k.why, why)
			if absent {
				k.vals = append(k.vals, "")
			} else {
				k.vals = append(k.vals, v.String())
			}
		}
		got[at.Line] = append(got[at.Line], k)
	}, uprobe.WithInlined())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, tr)
	traced := map[int]bool{}
	for _, f := range tr.Funcs() {
		at, _ := f.Inlined()
		traced[at.Line] = true
	}
	// What is told behind a statement are the calls that it makes.
	want := map[int][]inlinedCall{}
	line := 0
	for text := range strings.Lines(string(bytes.TrimSpace(out))) {
		words := strings.Fields(text)
		fn, entry := strings.CutSuffix(words[0], "e")
		switch {
		case entry:
			want[line] = append(want[line], inlinedCall{fn: fn, vals: words[1:]})
		case !strings.HasPrefix(words[0], "inl"):
			line = l.Marks[words[0]].Line
		}
	}
	absent := map[string]int{}
	for line := range traced {
		w, g := want[line], got[line]
		if len(w) != len(g) {
			t.Errorf("funcs.go:%d: %d inlined calls, want %d", line, len(g), len(w))
			continue
		}
		for i := range g {
			calls++
			for k, v := range g[i].vals {
				if v == "" {
					absent[g[i].why[k]]++
				} else if shown++; v != w[i].vals[k] || g[i].fn != w[i].fn {
					t.Errorf("funcs.go:%d: call %d: %+v, want %+v", line, i, g[i], w[i])
				}
			}
		}
	}
	compared(t, calls)
	t.Logf("%d calls in %d places, %d left out, %d arguments shown, absent: %v", calls, len(traced), len(tr.LeftOut()), shown, absent)
	return calls, shown
}
