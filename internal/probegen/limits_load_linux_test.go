package probegen_test

import (
	"maps"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// limitSets are all combinations of limits, the last of which has all.
func limitSets() (sets []probegen.Limits) {
	for i := range 16 {
		var l probegen.Limits
		if i&1 != 0 {
			l.Sample = 10
		}
		if i&2 != 0 {
			l.First = 1<<31 - 1
		}
		if i&4 != 0 {
			l.Interval, l.Burst = 1_000_000, 100
		}
		if i&8 != 0 {
			l.Budget = probegen.BudgetWindow
		}
		sets = append(sets, l)
	}
	return sets
}

// TestVerifierAcceptsLimits: the kernel takes all combinations of limits, with
// conditions, marks, several functions in a program, whole calls, and the largest
// programs.
func TestVerifierAcceptsLimits(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, v := range l.variants() {
			cond, types := conditioned(t, a, v), &capture.Types{}
			largest := largestPlans()
			for i := range largest {
				largest[i].arch, largest[i].limits.NoLoops = a, v.noLoops
			}
			var walk probegen.Func
			if !v.noLoops {
				walk, types = largestWalk(t, a)
			}
			for i, limits := range limitSets() {
				l.limits = limits
				never := archFunc(a)
				never.Skip = probegen.Always
				cases := [][]probegen.Func{{cond}, {never}}
				for _, m := range []probegen.Mark{probegen.SkipRepeat, probegen.SetGrown, probegen.SkipGrown} {
					if m != probegen.SkipRepeat && a == abi.I386 {
						continue // it has no register for the g
					}
					f := cond
					f.Mark, f.Skip = m, firstCond(a)+4
					cases = append(cases, []probegen.Func{f})
				}
				if l.cookies {
					var bundle []probegen.Func
					for j, tt := range plans() {
						tt.arch, tt.limits.NoLoops = a, v.noLoops
						bundle = append(bundle, tt.fn(uint32(j)))
					}
					cases = append(cases, bundle)
				}
				if i == 15 && !testing.Short() {
					for _, tt := range largest {
						cases = append(cases, []probegen.Func{tt.fn(0)})
					}
				}
				if i%5 == 0 && i > 0 {
					cases = append(cases, wholeCases(t, a, v)...)
				}
				if !v.noLoops && i == 15 {
					l.verifyWholeWalks(t, a, v)
				}
				for _, funcs := range cases {
					l.verify(t, v, funcs...)
				}
				if !v.noLoops && i%5 == 0 {
					l2 := *l
					l2.maps = maps.Clone(l.maps)
					l2.walkMaps(t, types)
					l2.verify(t, v, walk)
				}
			}
		}
	}
}

// conditioned is a function with a condition that reads memory.
func conditioned(t *testing.T, a *abi.Arch, v variant) probegen.Func {
	t.Helper()
	c := planCase{name: "conditioned", params: []*abi.Type{pointer(tPoint), tString, tInt}, arch: a}
	c.limits.NoLoops = v.noLoops
	scope := &expr.Scope{Arch: a, Package: "main"}
	var locations []abi.Location
	for _, in := range c.inputs() {
		scope.Params = append(scope.Params, abi.Param{Name: in.Name, Type: in.Type})
		locations = append(locations, in.Location)
	}
	e, err := expr.Condition(`int(a.B) > c && b == "GET" || b[c:] < "x"`, scope)
	if err != nil {
		t.Fatal(err)
	}
	f := c.fn(0)
	f.Where = []*capture.Expr{{Root: e.Root, Params: locations}}
	return f
}

// wholeCases are programs for the entries and returns of whole calls.
func wholeCases(t *testing.T, a *abi.Arch, v variant) (cases [][]probegen.Func) {
	t.Helper()
	for i, tt := range plans() {
		tt.arch, tt.limits.NoLoops, tt.limits.Pair = a, v.noLoops, true
		f := whole(tt.fn(uint32(i)), probegen.RoleEntry)
		if i%2 == 0 {
			never, err := expr.Compile("1 > 2", &expr.Scope{Arch: a, Package: "main"})
			if err != nil {
				t.Fatal(err)
			}
			f.Where = []*capture.Expr{{Root: never.Root}}
		}
		cases = append(cases, []probegen.Func{f})
		if a != abi.I386 {
			cases = append(cases, []probegen.Func{whole(tt.fn(uint32(i)), probegen.RoleReturn)})
		}
	}
	witness := probegen.Func{Arch: a, Plan: capture.Build(a, nil, capture.Limits{Pair: true})}
	return append(cases, []probegen.Func{whole(witness, probegen.RolePanic)}, []probegen.Func{whole(witness, probegen.RoleUnwound)})
}

// verifyWholeWalks loads programs for whole calls that walk.
func (l *loader) verifyWholeWalks(t *testing.T, a *abi.Arch, v variant) {
	t.Helper()
	cases := walkPlans()
	for i := range cases {
		cases[i].limits.Pair = true
	}
	funcs, types := walks(a, cases, true)
	l2 := *l
	l2.maps = maps.Clone(l.maps)
	l2.walkMaps(t, types)
	for i := range funcs {
		l2.verify(t, v, whole(funcs[i], probegen.RoleEntry))
		if a != abi.I386 {
			l2.verify(t, v, whole(funcs[i], probegen.RoleReturn))
		}
	}
}
