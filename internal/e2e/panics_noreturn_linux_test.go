package e2e

import (
	"fmt"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestOnlyPanics traces one function of testdata/panics, which has no return, and
// nothing else of which a call could tell more.
func TestOnlyPanics(t *testing.T) {
	needRoot(t)
	src := panicsProgram(t)
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			path := fixture.Build(t, src, b.flags...)
			target := fixture.Start(t, path, fmt.Sprintf("FIXTURE_SEED=%d", panicSeed))
			got := map[int64]panicCall{}
			tr := trace(t, path, []string{"main.raises"}, func(c *uprobe.Call) {
				p, why := panicCallOf(c)
				if _, twice := got[p.ID]; twice || len(why) > 0 {
					t.Errorf("%+v, absent %v", p, why)
				}
				got[p.ID] = p
			}, uprobe.WithResults())
			var want []panicCall
			for e := range told[panicCall](t, target) {
				if e.Func == "main.raises" {
					want = append(want, e)
				}
			}
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			for _, w := range want {
				if g := got[w.ID]; !samePanicCall(g, w, false) {
					t.Errorf("\n got %+v\nwant %+v", g, w)
				}
			}
			n := len(want)
			if s := tr.Stats(); n < 100 || s.Calls != uint64(n) || s.Delivered != uint64(n) || len(got) != n {
				t.Errorf("%d calls, %d seen, stats %+v", n, len(got), s)
			}
		})
	}
}
