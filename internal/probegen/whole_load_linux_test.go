package probegen_test

import (
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// TestVerifierAcceptsWholeCalls loads programs for the entries and returns of all
// plans, of random ones and of walks, and those that tell of panics.
func TestVerifierAcceptsWholeCalls(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		roles := []probegen.Role{probegen.RoleEntry, probegen.RoleReturn}
		if a == abi.I386 {
			roles = roles[:1]
		}
		for _, v := range l.variants() {
			for _, role := range roles {
				t.Run(fmt.Sprintf("%s/%v/%d", a.GOARCH, v, role), func(t *testing.T) {
					for i, tt := range plans() {
						tt.arch, tt.limits.NoLoops, tt.limits.Pair = a, v.noLoops, true
						l.verify(t, v, whole(tt.fn(uint32(i)), role))
					}
					for seed := range 25 {
						r := newRandom(uint64(seed), a)
						limits := heavyLimits(v.noLoops)
						limits.Pair = true
						c := planCase{arch: a, params: r.heavyTypes(), limits: limits}
						l.verify(t, v, whole(c.fn(uint32(seed)), role))
					}
					if v.noLoops {
						return
					}
					cases := walkPlans()
					for i := range cases {
						cases[i].limits.Pair = true
					}
					funcs, types := walks(a, cases, true)
					l.walkMaps(t, types)
					for i := range funcs {
						l.verify(t, v, whole(funcs[i], role))
					}
				})
			}
			var funcs []probegen.Func
			for i, role := range []probegen.Role{probegen.RolePanic, probegen.RoleFatal, probegen.RoleExit, probegen.RoleUnwound} {
				f := probegen.Func{Cookie: uint32(i), ID: uint32(i), Arch: a, Plan: capture.Build(a, nil, capture.Limits{Pair: true})}
				if l.cookies {
					funcs = append(funcs, whole(f, role))
				} else {
					funcs = []probegen.Func{whole(f, role)}
				}
			}
			l.verify(t, v, funcs...)
		}
	}
}
