package uprobe

import (
	"fmt"
	"slices"
	"testing"
)

// TestResultsInEveryWay joins entries and returns on kernels that lack features.
func TestResultsInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		for _, filtered := range []bool{false, true} {
			opts := []Option{WithResults(), withoutFeatures(lack...)}
			if filtered {
				opts = append(opts, WithPID(target.pid()))
			}
			var got []string
			tr, err := Trace(target.path, "main.results", func(c *Call) {
				end := " panicked"
				if v, ok := c.PanicValue(); ok {
					end += " " + v.Dynamic().String()
				}
				if d, ok := c.Duration(); ok {
					end = fmt.Sprintf(" = (%v, %v, %v)", c.Result(0), c.Result(1), c.Result(2))
					if d <= 0 {
						t.Errorf("%v took %v", c, d)
					}
				}
				got = append(got, fmt.Sprintf("%v %t%s", c.Arg(0), c.Panicked(), end))
			}, opts...)
			if err != nil {
				t.Fatalf("%+v", err)
			}
			const calls = 12
			target.do(fmt.Sprint("results ", calls))
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			s := tr.Stats()
			if s.Calls != calls || s.Delivered != calls {
				t.Errorf("stats %+v", s)
			}
			for i := range calls {
				want := fmt.Sprintf("%d false = (%d, %d!, [{%d 0}])", i, i+1, i, i)
				if i%3 == 2 {
					want = fmt.Sprintf("%d true panicked %d", i, i)
					if slices.Contains(lack, "loops") {
						want = fmt.Sprintf("%d true panicked <kernel lacks bpf_loop (Linux 5.17)>", i)
					}
				}
				if i >= len(got) || got[i] != want {
					t.Errorf("%d calls: %q, want %s", len(got), got, want)
					break
				}
			}
		}
	})
}
