package e2e

import (
	"os/exec"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestReceiverUnread calls a method through a wrapper with a pointer to where nothing
// is: the wrapper faults before it comes to the method, which the probe, in front of
// that, cannot know. The hit is counted under its own cause, and the sums add up.
func TestReceiverUnread(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"fmt"
	"unsafe"
)

type T struct{ A int }

var sink int

func (t T) Add(n int) int {
	sink += n
	return t.A + n
}

type Outer struct {
	X int
	*T
}

type adder interface{ Add(n int) int }

var bad uintptr = 24 // the runtime makes a nil dereference of it, which can be recovered

//go:noinline
func call(a adder) (r string) {
	defer func() { r = fmt.Sprint(recover() != nil) }()
	a.Add(5)
	return
}

func main() {
	fmt.Println(call(*(**Outer)(unsafe.Pointer(&bad))), call(&Outer{1, &T{2}}), sink)
}
`})
	n := 0
	tr := trace(t, path, []string{"main.T.Add"}, func(c *uprobe.Call) {
		n++
		if v, ok := c.Arg(1).Int(); !ok || v != 5 || c.Via() != "main.(*Outer).Add" {
			t.Errorf("%v via %q", c, c.Via())
		}
	})
	if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != "true false 5\n" {
		t.Fatalf("%v: %s", err, out)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	if n != 1 || s.Calls != 2 || s.Delivered != 1 || s.Lost != 1 || s.LostUnread != 1 || s.LostBusy != 0 {
		t.Errorf("%d calls: %+v", n, s)
	}
	calls, unread := uint64(0), uint64(0)
	for _, f := range tr.FuncStats() {
		calls, unread = calls+f.Calls, unread+f.LostUnread
	}
	if calls != 2 || unread != 1 {
		t.Errorf("%d calls and %d unread in all functions", calls, unread)
	}
}
