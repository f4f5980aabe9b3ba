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
	return l.withKeys(t, a, 0, 1)
}

// withKeys is withAggregate with words of Options.Kept, and a depth of stacks.
func (l *loader) withKeys(t *testing.T, a *probegen.Aggregate, kept, depth int) (*loader, func()) {
	t.Helper()
	c := *l
	c.maps = map[string]*ebpf.Map{}
	for name, m := range l.maps {
		c.maps[name] = m
	}
	size := uint32(a.Buckets.RowSize())
	areas, area, _ := probegen.StackScratch(l.cpus)
	var made []*ebpf.Map
	for name, spec := range map[string]*ebpf.MapSpec{
		probegen.MapKeys:  {Type: ebpf.PerCPUHash, KeySize: uint32(max(a.Layout.Size(), 8)), ValueSize: size, MaxEntries: 8},
		probegen.MapOther: {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: size, MaxEntries: loadFuncs},
		probegen.MapZero:  {Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: 1},
		probegen.MapOpen:  {Type: ebpf.Hash, KeySize: probegen.OpenKeySize, ValueSize: uint32(a.OpenSize() + 8*kept), MaxEntries: 64},

		probegen.MapStackArea: {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(area), MaxEntries: uint32(areas)},
		probegen.MapStacks:    {Type: ebpf.Hash, KeySize: uint32(probegen.StackKeySize(depth)), ValueSize: 8, MaxEntries: 64},
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
				entries[0].Aggregate.Unwinds = seed%2 == 0
				ll, done = l.withAggregate(t, entries[0].Aggregate)
				loads(entries)
				loads(returns)
				done()
			}
		}
	}
	t.Logf("keys of up to %d bytes; %s", longest, fmt.Sprintf("at most %d times as many instructions verified as there are", most))
}

// TestVerifierAcceptsKeys: the kernel takes programs that count by who calls, with keys
// as long as they may be, and by what is known at the return.
func TestVerifierAcceptsKeys(t *testing.T) {
	l := newLoader(t)
	l.limits = probegen.Limits{Sample: 3, First: 100, Interval: 1000, Burst: 5, Budget: 1000}
	rounds := 12
	if testing.Short() {
		rounds = 5
	}
	keptKey := 0
	loads := func(ll *loader, v variant, kept int, f probegen.Func) {
		t.Helper()
		o := v.options(ll)
		o.Kept, o.KeptKey = kept, keptKey
		keptKey = 0
		ins, err := probegen.Entry([]probegen.Func{f}, o)
		if err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		p, err := ll.load(ins, v.sleepable)
		if err != nil {
			t.Fatalf("%v: %+v\n%s", v, err, describe(&f))
		}
		p.Close()
	}
	for _, a := range targets() {
		if a == abi.I386 {
			continue // it has neither frame pointers nor results in registers
		}
		for seed := range rounds {
			for _, v := range l.variants() {
				r := newRandom(uint64(seed), a)
				kinds := []probegen.KeyKind{pick(r, identities...), pick(r, identities...), probegen.KeyStack, probegen.KeyCreator}
				if v.noLoops || v.noAtomics {
					kinds = []probegen.KeyKind{probegen.KeyParent, probegen.KeyCreator}
				}
				depth := pick(r, 1, 32, 63, 127)
				f := r.identified(0, kinds, depth)
				depth = f.Plan.StackDepth
				kept := 0
				if r.one(2) { // the longest key
					f.Aggregate.Layout.Strings[0], f.Aggregate.Layout.Strings[1] = true, true
					f.Aggregate.Buckets, f.Aggregate.KeepValue = &probegen.Buckets{Signed: true}, true
					f.Plan = capture.Build(a, nil, capture.Limits{Pair: true})
					f.Plan.Goroutine, f.Plan.Creation, f.Plan.StackDepth = 152, capture.Creation{Parent: 272, GoPC: 280}, depth
					kept = (probegen.MaxKeySize - f.Aggregate.OpenSize() + probegen.OpenSize) / 8
				}
				ll, done := l.withKeys(t, f.Aggregate, kept, max(depth, 1))
				loads(ll, v, kept, f)
				done()
				c := r.returning(t)
				ll, done = l.withKeys(t, c.entry.Aggregate, c.kept, 1)
				loads(ll, v, c.kept, c.entry)
				loads(ll, v, c.kept, c.leave)
				if c.entry.Aggregate.Unwinds {
					for _, role := range []probegen.Role{probegen.RolePanic, probegen.RoleUnwound} {
						p := c.entry
						p.Role, p.Aggregate, p.Keep = role, nil, nil
						keptKey = (c.entry.Aggregate.OpenSize() - probegen.OpenSize) / 8
						loads(ll, v, c.kept, p)
					}
				}
				done()
			}
		}
	}
}
