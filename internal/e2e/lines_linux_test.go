package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// lineHit is a hit of a line: what is known of its variables.
type lineHit struct {
	vals map[string]string // by name; "" for what is absent
	why  map[string]string
}

// traceLines traces all marked lines of a program while it runs. It returns what the
// program tells and the hits, by tag.
func traceLines(t *testing.T, path string, l *fixture.Lines, opts ...uprobe.Option) (want map[string][][]string, got map[string][]lineHit) {
	t.Helper()
	tags := map[string]string{}
	var names []string
	for tag, m := range l.Marks {
		if m.Bare {
			continue
		}
		name := fmt.Sprintf("%s:%d", m.File, m.Line)
		tags[name] = tag
		_, err := uprobe.Inspect(path, name)
		if errors.Is(err, uprobe.ErrNoLine) {
			continue // no code is left of it
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	got = map[string][]lineHit{}
	tr := trace(t, path, names, func(c *uprobe.Call) {
		file, line := c.Line()
		tag := tags[fmt.Sprintf("%s:%d", file[strings.LastIndexByte(file, '/')+1:], line)]
		if m := l.Marks[tag]; c.Name() != "main."+m.Func {
			t.Errorf("%v: not of main.%s", c, m.Func)
		}
		h := lineHit{map[string]string{}, map[string]string{}}
		for name, v := range c.Args() {
			if _, twice := h.vals[name]; twice {
				t.Errorf("%v: %s is there twice", c, name)
			}
			if why, absent := v.Absent(); absent {
				h.vals[name], h.why[name] = "", why
			} else {
				h.vals[name] = v.String()
			}
		}
		got[tag] = append(got[tag], h)
	}, opts...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, tr)
	return toldOf(out), got
}

// toldOf sorts what a program tells by tag.
func toldOf(out []byte) map[string][][]string {
	want := map[string][][]string{}
	for line := range strings.Lines(string(bytes.TrimSpace(out))) {
		words := strings.Fields(line)
		want[words[0]] = append(want[words[0]], words[1:])
	}
	return want
}

// compareLines compares hits with passes: exactly, or where the compiler may have
// left out, moved or doubled what a statement does, each hit with any pass.
func compareLines(t *testing.T, l *fixture.Lines, want map[string][][]string, got map[string][]lineHit, exact bool) (shown int, absent map[string]int) {
	t.Helper()
	absent = map[string]int{}
	bad, hits := 0, 0
	for tag, m := range l.Marks {
		if m.Bare {
			continue
		}
		w, g := want[tag], got[tag]
		if exact && len(w) != len(g) {
			t.Errorf("%s:%d (%s): %d hits, want %d", m.File, m.Line, tag, len(g), len(w))
			continue
		}
		for n, h := range g {
			match := func(vals []string) bool {
				for i, name := range m.Vars {
					if v, ok := h.vals[name]; !ok && exact || v != "" && v != vals[i] {
						return false
					}
				}
				return len(h.vals) == len(m.Vars) || !exact
			}
			among := w
			if exact {
				among = w[n : n+1]
			}
			if !exact && len(h.why) == len(h.vals) {
				continue // the compiler may do a part of a statement too early
			}
			hits++
			if !slices.ContainsFunc(among, match) {
				if bad++; bad < 12 {
					t.Errorf("%s:%d (%s) in %s: hit %d: %v %v: no pass of %v is so: %v", m.File, m.Line, tag, m.Func, n, h.vals, h.why, m.Vars, among[:min(len(among), 4)])
				}
				break
			}
			for _, name := range m.Vars {
				if why, ok := h.why[name]; ok {
					absent[why]++
				} else {
					shown++
				}
			}
		}
	}
	if bad >= 12 {
		t.Errorf("and %d more", bad-11)
	}
	compared(t, hits)
	return shown, absent
}

// TestRandomLines compares the variables of lines of generated programs: see seedVar.
func TestRandomLines(t *testing.T) {
	needRoot(t)
	list := trials(t, 8)
	if list == nil {
		for seed, b := range builds {
			list = append(list, trial{seed: uint64(seed), funcs: 8, flags: b.flags})
		}
		if os.Getenv("ARGTAP_TOOLCHAINS") == "1" {
			for _, tc := range releases() {
				tc.Flavour = fixture.Unoptimised
				list = append(list, trial{seed: 3, funcs: 8, tc: tc})
			}
		}
	}
	for _, x := range list {
		t.Run(x.String(), func(t *testing.T) {
			exact := x.unoptimised()
			l := fixture.GenerateLines(x.seed, x.funcs)
			want, got := traceLines(t, x.build(t, l.Source), l)
			shown, absent := compareLines(t, l, want, got, exact)
			t.Logf("%s: %d lines, %d values shown, absent: %v", x.again(), len(l.Marks), shown, absent)
			if exact && x.tc.Release == "" && x.funcs >= 8 && (shown < 1000 || len(absent) > 0) {
				t.Errorf("%d values shown, absent: %v", shown, absent)
			}
		})
	}
}
