package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestWrappersSelected selects methods together with their wrappers: each call is
// one. The program tells how many there are.
func TestWrappersSelected(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, wrapperSource(t, 0))
	for _, tt := range []struct {
		what  string
		funcs []string
		count map[string]bool // the methods that calls must be of
	}{
		{"a method, and all methods of pointers to its type", []string{"main.T.Small", "main.(*T).*"},
			map[string]bool{"main.T.Small": true, "main.(*T).PSmall": true, "main.(*T).PBig": true, "main.(*T).PNil": true}},
		{"the same in the other order", []string{"main.(*T).*", "main.T.Small", "main.T.Big"},
			map[string]bool{"main.T.Small": true, "main.T.Big": true, "main.(*T).PSmall": true, "main.(*T).PBig": true, "main.(*T).PNil": true}},
		{"a method and its wrappers by their names", []string{"main.(*T).Small", "main.T.Small-fm", "main.(*T).Big", "main.T.Big", "main.T.Small"},
			map[string]bool{"main.T.Small": true, "main.T.Big": true}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			got := map[string]int{}
			tr := trace(t, path, tt.funcs, func(c *uprobe.Call) { got[c.Name()]++ })
			cmd := exec.Command(path)
			cmd.Stdin = strings.NewReader("go\n")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			closeAll(t, tr)
			want := map[string]int{}
			for line := range strings.Lines(string(out)) {
				name, _, _ := strings.Cut(line, "\t")
				want[name]++
			}
			for name := range tt.count {
				if got[name] != want[name] || want[name] == 0 {
					t.Errorf("%s: %d calls, want %d", name, got[name], want[name])
				}
			}
			for _, name := range []string{"main.(*T).Small", "main.(*T).Big", "main.T.Small-fm"} {
				if strings.Contains(strings.Join(tt.funcs, " ")+" ", name+" ") && got[name] > 0 {
					t.Errorf("%s: %d calls, which are those of its method", name, got[name])
				}
			}
			left := false
			for _, err := range tr.LeftOut() {
				left = left || errors.Is(err, uprobe.ErrWrapper)
			}
			if !left {
				t.Error("no wrapper was left out")
			}
		})
	}
}

// TestWrapperItself traces a wrapper by its own name, without its method.
func TestWrapperItself(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, wrapperSource(t, 0))
	n := 0
	tr := trace(t, path, []string{"main.(*T).Big"}, func(c *uprobe.Call) {
		if c.Name() != "main.(*T).Big" || c.Via() != "" {
			t.Errorf("%s via %q", c.Name(), c.Via())
		}
		n++
	})
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	closeAll(t, tr)
	if n == 0 {
		t.Error("no calls")
	}
}

// TestWrappersARM64 works out wrappers of a program for arm64.
func TestWrappersARM64(t *testing.T) {
	path := fixture.BuildWith(t, fixture.Toolchain{Arch: "arm64"}, wrapperSource(t, 0))
	for _, tt := range []struct{ method, via, receiver string }{
		{"main.T.Small", "main.(*T).Small", "[R0+0]:32"},
		{"main.T.Small", "main.T.Small-fm", "[R26+8]:32"},
		{"main.T.Const", "main.(*T).Const", "[R0+0]:32"},
		{"main.(*T).PSmall", "main.(*OuterV).PSmall", "R0+8:8"},
		{"main.(*T).PSmall", "main.(*OuterP).PSmall", "[R0+8]:8"},
		{"main.T.Small", "main.(*Deep).Small", "[[[R0+8]+24]+0]:32"},
		{"main.Int.Add", "main.(*Int).Add", "[R0+0]:8"},
	} {
		funcs, err := uprobe.Inspect(path, tt.method)
		if err != nil {
			t.Errorf("%s: %v", tt.method, err)
			continue
		}
		found := false
		for _, f := range funcs {
			if f.Via() == tt.via {
				found = true
				if got := f.Params()[0].LocationText(); got != tt.receiver || f.Name() != tt.method {
					t.Errorf("%s through %s: receiver at %s, want %s", f.Name(), tt.via, got, tt.receiver)
				}
			}
		}
		if !found {
			t.Errorf("%s: no probe in %s; wrappers %v", tt.method, tt.via, funcs[0].Wrappers())
		}
	}
	for _, tt := range []struct {
		wrapper, method string
		how             uprobe.Reach
	}{
		{"main.(*T).Small", "main.T.Small", uprobe.ReachInlined},
		{"main.(*T).Big", "main.T.Big", uprobe.ReachCalls},
		{"main.(*OuterV).PBig", "main.(*T).PBig", uprobe.ReachJumps},
		{"main.T.Const-fm", "main.T.Const", uprobe.ReachInlined},
	} {
		funcs, err := uprobe.Inspect(path, tt.wrapper)
		if err != nil {
			t.Errorf("%s: %v", tt.wrapper, err)
			continue
		}
		if method, how := funcs[0].Wraps(); method != tt.method || how != tt.how {
			t.Errorf("%s: %s %s, want %s %s", tt.wrapper, how, method, tt.how, tt.method)
		}
	}
}
