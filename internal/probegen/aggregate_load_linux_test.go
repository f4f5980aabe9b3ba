package probegen_test

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// withAggregate returns a loader whose maps are those of an aggregation.
func (l *loader) withAggregate(t *testing.T, a *probegen.Aggregate) (*loader, func()) {
	t.Helper()
	c := *l
	c.maps = map[string]*ebpf.Map{}
	for name, m := range l.maps {
		c.maps[name] = m
	}
	size := uint32(a.Buckets.RowSize())
	var made []*ebpf.Map
	for name, spec := range map[string]*ebpf.MapSpec{
		probegen.MapKeys:  {Type: ebpf.PerCPUHash, KeySize: uint32(max(a.Layout.Size(), 8)), ValueSize: size, MaxEntries: 8},
		probegen.MapOther: {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: size, MaxEntries: loadFuncs},
		probegen.MapZero:  {Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: 1},
		probegen.MapOpen:  {Type: ebpf.Hash, KeySize: probegen.OpenKeySize, ValueSize: uint32(a.OpenSize()), MaxEntries: 64},
	} {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, m)
		c.maps[name] = m
	}
	return &c, func() {
		for _, m := range made {
			m.Close()
		}
	}
}

// TestVerifierAcceptsAggregates: the kernel takes programs that count random values by
// random keys, and durations, with all limits, alone and several in one.
func TestVerifierAcceptsAggregates(t *testing.T) {
	l := newLoader(t)
	rounds := 25
	if testing.Short() {
		rounds = 8
	}
	l.limits = probegen.Limits{Sample: 3, First: 100, Interval: 1000, Burst: 5, Budget: 1000}
	var most, longest int
	for _, a := range targets() {
		for seed := range rounds {
			for i, v := range l.variants() {
				r := newRandom(uint64(seed), a)
				c := r.exprCase(0)
				agg, _, _ := r.aggregateOf(c)
				f := c.fn(0, capture.Limits{})
				f.Aggregate, f.Plan = agg, capture.Build(a, nil, capture.Limits{})
				if seed%3 == 0 {
					f.Plan.Goroutine, f.G = 152, r.g()
					agg.Key = append(agg.Key, probegen.KeyPart{Kind: probegen.KeyGoroutine})
					agg.Layout.Strings = append(agg.Layout.Strings, false)
				}
				funcs := []probegen.Func{f}
				if l.cookies {
					f.ID, f.Cookie = 1, 1
					funcs = append(funcs, f)
				}
				longest = max(longest, agg.Layout.Size())
				ll, done := l.withAggregate(t, agg)
				loads := func(funcs []probegen.Func) {
					ins, err := probegen.Entry(funcs, v.options(ll))
					if err != nil {
						t.Fatal(err)
					}
					p, err := ll.load(ins, v.sleepable)
					if err != nil {
						t.Fatalf("%s, seed %d, %v: %+v\n%+v", a.GOARCH, seed, v, err, agg.Buckets)
					}
					if info, err := p.Info(); err == nil {
						n, _ := info.VerifiedInstructions()
						most = max(most, int(n)/len(ins))
					}
					p.Close()
				}
				loads(funcs)
				done()
				if i > 1 && seed > 3 || a == abi.I386 && seed > 5 {
					continue
				}
				entries, returns := r.durations(t)
				for j := range entries {
					entries[j].ID, returns[j].ID = uint32(j), uint32(j)
				}
				if !l.cookies {
					entries, returns = entries[:1], returns[:1]
				}
				ll, done = l.withAggregate(t, entries[0].Aggregate)
				loads(entries)
				loads(returns)
				done()
			}
		}
	}
	t.Logf("keys of up to %d bytes; %s", longest, fmt.Sprintf("at most %d times as many instructions verified as there are", most))
}
