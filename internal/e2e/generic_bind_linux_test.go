package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestBindGeneric gives the arguments of instances of generic functions to funcs that
// take their true types.
func TestBindGeneric(t *testing.T) {
	needRoot(t)
	path := fixture.BuildWith(t, fixture.Toolchain{}, genericSource(t))
	type point struct{ X, Y int32 }
	for _, tt := range []struct {
		fn         string
		bound      uprobe.Option
		ok, others int // calls that are bound, and those that cannot be
	}{
		{"main.Map[main.ID,*main.Point]", uprobe.Bind(func(k int, v *point) {
			if k != 4 || *v != (point{5, 6}) {
				t.Errorf("Map(%d, %v)", k, v)
			}
		}, "k", "v"), 1, 0},
		{"main.Number", uprobe.Bind(func(c *uprobe.Call, x int64) {
			if want := map[string]int64{"main.Number[int]": 17, "main.Number[main.ID]": 18, "main.Number[int64]": 19, "main.Number[uint8]": 20, "main.Number[main.Age]": 21}[c.Instance()]; x != want {
				t.Errorf("%s(%d)", c.Instance(), x)
			}
		}, "x"), 5, 0},
		// Of the code of several instances one is enough: calls of the others are not
		// bound.
		{"main.One[go.shape.*uint8]", uprobe.Bind(func(p point) {
			if p != (point{5, 6}) && p != (point{7, 8}) && p != (point{9, 9}) {
				t.Errorf("One(%v)", p)
			}
		}), 3, 7},
	} {
		tr, err := uprobe.Trace(path, tt.fn, nil, tt.bound)
		if err != nil {
			t.Fatalf("%s: %+v", tt.fn, err)
		}
		cmd := exec.Command(path)
		cmd.Stdin = strings.NewReader("\n")
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		if s := closeAll(t, tr); int(s.Unbound) != tt.others || int(s.Delivered) != tt.ok+tt.others {
			t.Errorf("%s: %+v", tt.fn, s)
		}
	}
	for fn, bound := range map[string]uprobe.Option{
		"main.Map[main.ID,*main.Point]": uprobe.Bind(func(k int, v string) {}, "k", "v"),
		"main.Map[main.ID,main.Name]":   uprobe.Bind(func(k int, v *string, n int) {}),
	} {
		_, err := uprobe.Inspect(path, fn, bound)
		if wrong := strings.Contains(fn, "Point"); wrong != errors.Is(err, uprobe.ErrHandler) {
			t.Errorf("%s: %v", fn, err)
		}
	}
}
