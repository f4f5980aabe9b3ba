package probegen_test

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// TestVerifierAcceptsWhose loads programs that select processes, for all roles and in
// all places where records are built.
func TestVerifierAcceptsWhose(t *testing.T) {
	l := newLoader(t)
	array, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer array.Close()
	l.maps[probegen.MapCgroup] = array
	byID := features.HaveProgramHelper(ebpf.Kprobe, asm.FnGetCurrentAncestorCgroupId) == nil
	loads := func(t *testing.T, ins asm.Instructions, err error, sleepable bool) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.load(ins, sleepable)
		if err != nil {
			t.Fatalf("%+v\n%v", err, ins)
		}
		p.Close()
	}
	for _, sleepable := range []bool{false, true} {
		if sleepable && !l.sleepable {
			continue
		}
		for name, o := range whoseOptions(sleepable) {
			if !byID && o.Cgroup.ID != 0 && !o.Cgroup.Map {
				continue
			}
			o.CPUs, o.NoAtomics, o.ThreadBase, o.ThreadStack = l.cpus, !l.atomics, 4936, l.multi
			t.Run(name, func(t *testing.T) {
				for _, limits := range []probegen.Limits{{}, {Budget: 1000, First: 3}} {
					o.Limits = limits
					for _, params := range [][]*abi.Type{{tInt}, {tString}, {array4k()}} {
						for _, pair := range []bool{false, true} {
							c := planCase{name: "f", params: params, limits: capture.Limits{Pair: pair, NoLoops: !l.loops}}
							roles := []probegen.Role{probegen.RoleEntry}
							if pair {
								roles = []probegen.Role{probegen.RoleEntry, probegen.RoleReturn, probegen.RolePanic, probegen.RoleUnwound}
							}
							for _, role := range roles {
								f := c.fn(0)
								if pair {
									f = whole(f, role)
								}
								ins, err := probegen.Entry([]probegen.Func{f}, o)
								loads(t, ins, err, sleepable)
								if pair {
									continue
								}
								f.Mark = probegen.SkipRepeat
								ins, err = probegen.Entry([]probegen.Func{f}, o)
								loads(t, ins, err, sleepable)
							}
						}
					}
				}
				ins, err := probegen.Start(o)
				loads(t, ins, err, sleepable)
				ins, err = probegen.BackEdge(intFunc(), probegen.Taken{Cond: probegen.Always}, o)
				loads(t, ins, err, sleepable)
			})
		}
	}
}

// array4k is a value whose record is reserved in the ring buffer.
func array4k() *abi.Type { return array(512, tInt) }
