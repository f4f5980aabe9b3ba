package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestBind gives the arguments of each call to a func, and those calls whose
// arguments cannot be given to another.
func TestBind(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": accessProgram})
	target := fixture.Start(t, path)
	type point struct {
		X    int64
		Name string
	}
	bound, unbound, all := 0, 0, 0
	tr, err := uprobe.Trace(path, "main.hit", func(*uprobe.Call) { all++ }, uprobe.WithPID(target.PID),
		uprobe.Bind(func(c *uprobe.Call, n int, s string, list []uint32, p point) {
			if n != -bound || s != "s"[:bound%2] || len(list) != 3 || list[2] != uint32(bound) || p != (point{int64(bound), "p"}) || c.PID() != target.PID {
				t.Errorf("call %d was given %d, %q, %v, %v", bound, n, s, list, p)
			}
			bound++
		}, "n", "s", "list", "p"),
		uprobe.WithUnbound(func(c *uprobe.Call, reason error) {
			unbound++
			n, _ := c.Arg(0).Int()
			if want := "s: <cut at the limit on bytes of a string>: 512 of 1000 bytes"; n != 100 || reason.Error() != want || !errors.As(reason, new(uprobe.Absent)) {
				t.Errorf("call with %d was not bound: %v, want %s", n, reason, want)
			}
		}))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer tr.Close()
	target.Go()
	target.Calls()
	s := closeAll(t, tr)
	if all != 21 || bound != 20 || unbound != 1 || s.Unbound != 1 || s.Delivered != 21 {
		t.Errorf("%d calls, %d bound, %d not; %+v", all, bound, unbound, s)
	}
}

func TestBindMismatch(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": accessProgram})
	tr, err := uprobe.Trace(path, "main.hit", nil, uprobe.Bind(func(s int) {}, "s"))
	if err == nil {
		tr.Close()
		t.Fatal("no error")
	}
	var fe *uprobe.FuncError
	for _, part := range []string{"function main.hit: ", "func(int) does not fit func(n int8, s string, list []uint16, ", ": parameter s: string, not int"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
	if !errors.Is(err, uprobe.ErrHandler) || !errors.As(err, &fe) {
		t.Errorf("%#v", err)
	}
	if _, err := uprobe.Inspect(path, "main.hit", uprobe.Bind(func(s int) {}, "s")); !errors.Is(err, uprobe.ErrHandler) {
		t.Errorf("to inspect: %v", err)
	}
	// Functions that a pattern selects are left out.
	tr, err = uprobe.Trace(path, "main.*", nil, uprobe.Bind(func(s string) {}, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if len(tr.Funcs()) != 1 || len(tr.LeftOut()) == 0 || !errors.Is(tr.LeftOut()[0], uprobe.ErrHandler) {
		t.Errorf("traced %v, left out %v", tr.Funcs(), tr.LeftOut())
	}
}
