package uprobe

import (
	"slices"
	"testing"

	"github.com/argtap/argtap/internal/capture"
)

// TestJoinForget has another call take the place of one that a panic has left, just
// when the kernel would be made to forget that: it is not lost.
func TestJoinForget(t *testing.T) {
	x := newJoinTest()
	x.enter(1, 10)
	x.enter(1, 20)
	x.hit(capture.KindPanic, 30)
	entered := false
	x.meanwhile = func() {
		entered = true
		x.open[x.id(1, 20)] = x.now + 1 // as enter is going to tell
	}
	x.hit(capture.KindUnwound, 15)
	x.meanwhile = nil
	x.enter(1, 20)
	x.leave(1, 20, true)
	x.leave(1, 10, true)
	if want := []string{"panicked 20", "returned 20", "returned 10"}; entered || !slices.Equal(x.got, want) {
		t.Errorf("forgotten at once: %v, got %q, want %q", entered, x.got, want)
	}
	x.j.finish()
	if len(x.open) != 0 || len(x.j.stolen) != 0 {
		t.Errorf("left behind: open %v, stolen %v", x.open, x.j.stolen)
	}
}

// TestJoinForgetLater has calls that no other takes the place of: the kernel forgets
// them, a second later or when they are many.
func TestJoinForgetLater(t *testing.T) {
	x := newJoinTest()
	x.enter(1, 10)
	left := func(n int) {
		for i := range n {
			x.enter(1, uint64(20+i))
		}
		x.hit(capture.KindPanic, 1<<40)
		x.hit(capture.KindUnwound, 15)
	}
	left(5)
	for i, want := range []int{6, 6, 1, 1} {
		if len(x.open) != want {
			t.Errorf("%d ticks later: %d are open, want %d", i, len(x.open), want)
		}
		x.j.tick()
	}
	left(maxForgotten + 7)
	if len(x.open) != maxForgotten+1 {
		t.Errorf("%d are open, want %d", len(x.open), maxForgotten+1)
	}
	x.j.tick()
	x.j.tick()
	if len(x.open) != 1 {
		t.Errorf("%d are open, want 1", len(x.open))
	}
	// One that is forgotten in place of another is lost, and counted.
	left(1)
	x.j.tick()
	x.meanwhile = func() { x.open[x.id(1, 20)] = x.now + 1 }
	x.j.tick()
	x.got = nil
	x.enter(1, 20)
	if want := []string{"lost"}; !slices.Equal(x.got, want) {
		t.Errorf("got %q, want %q", x.got, want)
	}
}
