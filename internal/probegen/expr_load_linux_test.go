package probegen_test

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// TestVerifierAcceptsExprs: the kernel takes random expressions, whose values
// are followed as those of parameters.
func TestVerifierAcceptsExprs(t *testing.T) {
	l := newLoader(t)
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	most := 0
	for _, a := range targets() {
		for seed := range rounds {
			for _, v := range l.variants() {
				r := newRandom(uint64(seed), a)
				c, limits := r.exprCase(pick(r, 1, 4, 20)), capture.Limits{Depth: pick(r, 0, 0, 4), NoLoops: v.noLoops}
				if seed%3 == 1 {
					c, limits = r.heavyExprs(), heavyLimits(v.noLoops)
				}
				f := c.fn(0, limits)
				f.Plan.Goroutine, f.G = 152, r.g()
				if seed%2 == 0 && c.held.list != nil {
					if e, err := expr.Condition(c.condition(3), c.scope); err == nil {
						var locations []abi.Location
						for _, in := range c.inputs {
							locations = append(locations, in.Location)
						}
						f.Where = append(f.Where, &capture.Expr{Root: e.Root, Params: locations})
					}
				}
				funcs := []probegen.Func{f}
				if seed%4 == 0 && l.cookies {
					g := c.fn(1, capture.Limits{NoLoops: v.noLoops})
					funcs = append(funcs, g)
				}
				ins, err := probegen.Entry(funcs, v.options(l))
				if err != nil {
					t.Fatal(err)
				}
				p, err := l.load(ins, v.sleepable)
				if err != nil {
					t.Fatalf("%s, seed %d, %v: %+v\n%s", a.GOARCH, seed, v, err, describe(&f))
				}
				if info, err := p.Info(); err == nil {
					n, _ := info.VerifiedInstructions()
					most = max(most, int(n)/len(ins))
				}
				p.Close()
			}
		}
	}
	t.Logf("at most %d times as many instructions verified as there are", most)
}
