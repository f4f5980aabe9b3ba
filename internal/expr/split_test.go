package expr

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
)

// met evaluates a condition: one without a value is not met.
func met(root *Node, params [][]byte) bool {
	v, why := Eval(Of(abi.AMD64, root), params, garbage{})
	return why == Present && v.Bytes[0] != 0
}

// TestSplit takes random conditions apart by when the parameters are known: what is
// decided early and late together is what the whole condition says, and Without says
// what it is when those that are late have no value.
func TestSplit(t *testing.T) {
	outcomes, keeps, cannots, splits := map[Outcome]int{}, 0, 0, 0
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		w := newWorld(t, rnd)
		n := len(w.scope.Params)
		for range 60 {
			text := "(" + w.boolText(2) + ")" + w.pick(" && ", " || ", " && !") + "(" + w.boolText(2) + ")" + w.pick(" && ", " || ") + w.boolText(1)
			e, err := Condition(text, w.scope)
			if err != nil || e.Root.Op == Const {
				continue
			}
			isEarly := make([]bool, n)
			for i := range isEarly {
				isEarly[i] = rnd.IntN(2) == 0
			}
			early := func(p int64) bool { return isEarly[p] }
			late := func(p int64) bool { return p < int64(n) && !isEarly[p] }
			params := make([][]byte, n)
			for i, p := range w.scope.Params {
				params[i] = make([]byte, p.Type.Size)
				for j := range params[i] {
					params[i][j] = byte(rnd.IntN(3)) * byte(rnd.IntN(2))
				}
			}
			want, got, possible := met(e.Root, params), true, true
			for _, c := range Conjuncts(e.Root) {
				if Find(c, late) == nil {
					got = got && met(c, params)
					splits++
					continue
				}
				rest, kept, cannot := Keep(c, early, int64(n))
				if cannot != nil {
					possible = false
					cannots++
					break
				}
				// Only what is late and what was kept is there for the rest.
				later := slices.Clone(params)
				for i := range later {
					if isEarly[i] {
						later[i] = nil
					}
				}
				for _, k := range kept {
					keeps++
					v, why := Eval(Of(abi.AMD64, k), params, garbage{})
					if why != Present {
						v.Bytes = nil
					}
					later = append(later, v.Bytes)
				}
				got = got && met(rest, later)
			}
			if possible && got != want {
				t.Fatalf("%s: %v, want %v", text, got, want)
			}
			gone := slices.Clone(params)
			for i := range gone {
				if !isEarly[i] {
					gone[i] = nil
				}
			}
			outcome, rest := Without(e.Root, late)
			outcomes[outcome]++
			switch want := metWithout(e.Root, gone, late); outcome {
			case Depends:
				if Find(rest, late) != nil || met(rest, params) != want {
					t.Fatalf("%s without: %s is %v, want %v", text, rest, !want, want)
				}
			default:
				if want != (outcome == Met) {
					t.Fatalf("%s without: %v", text, outcome)
				}
			}
		}
	}
	t.Logf("%v outcomes, %d parts kept, %d early conjuncts, %d that cannot", outcomes, keeps, splits, cannots)
	if len(outcomes) < 2 || keeps == 0 || cannots == 0 || splits == 0 {
		t.Error("the conditions say too little")
	}
}

// metWithout is met where an operation, other than of conditions, that names something
// late has no value.
func metWithout(n *Node, params [][]byte, late func(int64) bool) bool {
	var eval func(n *Node) (b byte, ok bool) // memory may have bools that are neither
	eval = func(n *Node) (b byte, ok bool) {
		switch n.Op {
		case Not:
			b, ok = eval(n.X)
			return b ^ 1, ok
		case AndAnd, OrOr:
			if b, ok = eval(n.X); !ok || (b != 0) == (n.Op == OrOr) {
				return b, ok
			}
			return eval(n.Y)
		}
		if Find(n, late) != nil {
			return 0, false
		}
		v, why := Eval(Of(abi.AMD64, n), params, garbage{})
		if why != Present {
			return 0, false
		}
		return v.Bytes[0], true
	}
	b, ok := eval(n)
	return ok && b != 0
}
