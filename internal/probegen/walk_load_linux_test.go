package probegen_test

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// walkMaps adds the maps of walks to the loader.
func (l *loader) walkMaps(t *testing.T, types *capture.Types) {
	t.Helper()
	elements, size := probegen.WalkScratch(l.cpus)
	typeTable, rows := types.Encode()
	for name, spec := range map[string]*ebpf.MapSpec{
		probegen.MapWalk:    {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(elements)},
		probegen.MapTypes:   {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(typeTable)), MaxEntries: 1},
		probegen.MapRows:    {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(rows)), MaxEntries: 1},
		probegen.MapDynamic: {Type: ebpf.Hash, KeySize: 8, ValueSize: capture.DynamicSize, MaxEntries: 64},
	} {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		l.maps[name] = m
	}
}

func TestVerifierAcceptsWalks(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, cpus := range []int{l.cpus, 200} {
			for _, v := range l.variants() {
				if v.noLoops {
					continue // a walk needs loops
				}
				for _, tt := range append([][]planCase{walkPlans()}, split(walkPlans())...) {
					for _, withDynamic := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s/%s-%d/%v/%d/%t", a.GOARCH, tt[0].name, len(tt), v, cpus, withDynamic), func(t *testing.T) {
							testWalkLoads(t, l, a, cpus, v, tt, withDynamic)
						})
					}
				}
			}
		}
	}
}

func split(cases []planCase) (each [][]planCase) {
	for _, c := range cases {
		each = append(each, []planCase{c})
	}
	return each
}

func testWalkLoads(t *testing.T, l *loader, a *abi.Arch, cpus int, v variant, cases []planCase, withDynamic bool) {
	if len(cases) > 1 && !l.cookies {
		return
	}
	funcs, types := walks(a, cases, withDynamic)
	l2 := *l
	l2.cpus = cpus
	l2.maps = map[string]*ebpf.Map{}
	for k, m := range l.maps {
		l2.maps[k] = m
	}
	l2.walkMaps(t, types)
	size, verified := l2.verify(t, v, funcs...)
	t.Logf("%d instructions, %d verified", size, verified)
}
