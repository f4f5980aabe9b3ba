package probegen_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// stacked makes of a function, whose plan has room for one, one with a stack.
func stacked(f probegen.Func, depth int) probegen.Func {
	f.Plan.Goroutine, f.Plan.StackDepth = 152, depth
	f.Plan.Creation = capture.Creation{Parent: 272, GoPC: 280}
	f.G = probegen.G{Kind: probegen.GRegister, Reg: f.Arch.G}
	if f.Arch == abi.AMD64 && f.ID%2 == 1 {
		f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
	}
	return f
}

// TestVerifierAcceptsStacks loads programs that collect stacks for all plans, for
// random ones with as many references as there may be, and for walks; also as whole
// calls.
func TestVerifierAcceptsStacks(t *testing.T) {
	l := newLoader(t)
	if !l.loops || !l.atomics {
		t.Log("the kernel has no loops")
		return
	}
	arch := targets()[0]
	for _, depth := range []int{1, 32, 63, capture.MaxStack} {
		l := *l
		l.maps = maps.Clone(l.maps)
		elements, size, _ := probegen.StackScratch(l.cpus)
		for name, spec := range map[string]*ebpf.MapSpec{
			probegen.MapStackArea: {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(elements)},
			probegen.MapStacks:    {Type: ebpf.Hash, KeySize: uint32(probegen.StackKeySize(depth)), ValueSize: 8, MaxEntries: 64},
		} {
			m, err := ebpf.NewMap(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			l.maps[name] = m
		}
		for _, v := range l.variants() {
			if v.noLoops || v.noAtomics {
				continue
			}
			t.Run(fmt.Sprintf("%d/%v", depth, v), func(t *testing.T) {
				var most uint32
				loads := func(f probegen.Func) {
					t.Helper()
					_, verified := l.verify(t, v, f)
					most = max(most, verified)
				}
				for i, tt := range plans() {
					tt.arch, tt.limits.Stack, tt.limits.Pair = arch, depth, i%3 == 0
					loads(stacked(tt.fn(uint32(i)), depth))
				}
				for seed := range 6 {
					r := newRandom(uint64(seed), arch)
					limits := heavyLimits(false)
					limits.Stack = depth
					c := planCase{arch: arch, params: r.heavyTypes(), limits: limits}
					loads(stacked(c.fn(uint32(seed)), depth))
				}
				cases := walkPlans()
				for i := range cases {
					cases[i].limits.Stack, cases[i].limits.Pair = depth, i%2 == 0
				}
				funcs, types := walks(arch, cases, true)
				l.walkMaps(t, types)
				for i := range funcs {
					loads(stacked(funcs[i], depth))
				}
				t.Logf("at most %d instructions verified", most)
			})
		}
	}
}
