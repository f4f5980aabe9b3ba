package uprobe

import (
	"slices"
	"testing"
)

// TestReturnConditionsInEveryWay: conditions of the return need nothing that not
// every kernel has, and the probes go when the first calls that meet them are
// captured.
func TestReturnConditionsInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		for _, first := range []int{0, 2} {
			var got []int64
			opts := []Option{
				withoutFeatures(lack...), WithResults(), WithDepth(0),
				WithCondition("result0 > 6 && (result2[0].X == n || panicked) && result1[0] == s[0]+0 && duration < 1h"),
			}
			if first > 0 {
				opts = append(opts, WithFirst(first))
			}
			tr, err := Trace(target.path, "main.results", func(c *Call) {
				n, _ := c.Arg(0).Int()
				got = append(got, n)
			}, opts...)
			if err != nil {
				t.Fatalf("%+v", err)
			}
			target.do("results 10")
			if first > 0 {
				if err := ends(t, tr); err != nil {
					t.Error(err)
				}
			} else if err := tr.Close(); err != nil {
				t.Error(err)
			}
			var want []int64
			for n := int64(6); n < 10 && (first == 0 || len(want) < first); n++ {
				if !panics(n) {
					want = append(want, n)
				}
			}
			s := tr.Stats()
			if !slices.Equal(got, want) || s.Delivered != uint64(len(want)) || s.Delivered+s.Filtered+s.Beyond+s.Lost+s.Open+s.Abandoned != s.Calls || s.Lost+s.Open+s.Abandoned != 0 || first == 0 && s.Calls != 10 {
				t.Errorf("%v, want %v: %+v", got, want, s)
			}
		}
	})
}

// panics reports whether results of the caps program panics.
func panics(n int64) bool { return n%3 == 2 }
