package probegen_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

var identities = []probegen.KeyKind{probegen.KeyPID, probegen.KeyGoroutine, probegen.KeyParent, probegen.KeyCreator, probegen.KeyStack}

// identified is a random function whose calls are counted by who makes them, with a
// depth of stacks.
func (r random) identified(id uint32, kinds []probegen.KeyKind, depth int) probegen.Func {
	f := planCase{name: "who", arch: r.arch}.fn(id)
	f.Site, f.Skip, f.Mark = 0x401000, probegen.Never, probegen.NoMark
	f.CFA = pick[int64](r, 8, 16, 200)
	if r.arch == abi.ARM64 {
		f.CFA = pick[int64](r, 0, 16, 208)
	}
	f.G = probegen.G{Kind: probegen.GRegister, Reg: r.arch.G}
	if r.arch == abi.AMD64 && r.one(3) {
		f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
	}
	f.Plan = capture.Build(r.arch, nil, capture.Limits{})
	f.Plan.Goroutine, f.Plan.Creation = 152, capture.Creation{Parent: 272, GoPC: 280}
	f.Aggregate = &probegen.Aggregate{Layout: probegen.KeyLayout{Strings: make([]bool, len(kinds))}}
	for _, k := range kinds {
		f.Aggregate.Key = append(f.Aggregate.Key, probegen.KeyPart{Kind: k})
		if k == probegen.KeyStack {
			f.Plan.StackDepth = depth
		}
	}
	return f
}

// TestAggregateIdentity hits functions on random stacks of random goroutines, and
// compares the keys that calls are counted by with what is there: equal stacks have one
// ID, others another.
func TestAggregateIdentity(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
		t.Run(a.GOARCH, func(t *testing.T) { testAggregateIdentity(t, a) })
	}
}

func testAggregateIdentity(t *testing.T, a *abi.Arch) {
	counts := map[string]int{}
	for seed := range 200 {
		r := newRandom(uint64(seed), a)
		var kinds []probegen.KeyKind
		for range 1 + r.IntN(4) {
			kinds = append(kinds, pick(r, identities...))
		}
		depth := pick(r, 1, 2, 5, 30, 63, 127)
		funcs := []probegen.Func{r.identified(0, kinds, depth), r.identified(1, kinds, depth)}
		agg := funcs[0].Aggregate
		o := probegen.Options{CPUs: simCPUs, ThreadBase: 4936, Sleepable: r.one(3)}
		if a == abi.AMD64 && r.one(10) {
			o.ThreadBase = 0
		}
		m := newMachine(0)
		keys := aggregateMaps(m, agg, 1000)
		room := pick(r, 1, 1<<10)
		stackMaps(m, simCPUs, depth, room)
		prog := load(t, funcs, o)
		w := r.world()
		stacks := m.Hashes[probegen.MapStacks]
		want := map[string]uint64{}
		var hits []*hit
		var of []*probegen.Func
		for n := range 12 {
			f := &funcs[r.IntN(2)]
			h := w.hit(o.Sleepable)
			w.frames(f, h)
			if n > 0 && r.one(2) {
				i := r.IntN(len(hits))
				f, h = of[i], hits[i]
			}
			hits, of = append(hits, h), append(of, f)
			h.threadBase = int(o.ThreadBase)
			h.pc = f.Site + 0x5000
			m.CPU = r.Uint32N(simCPUs)
			h.enter(m)
			m.Cookie, m.PID, m.TID, m.Time = uint64(f.Cookie), h.pid, h.tid, h.time
			busy := r.one(20)
			if busy {
				stackLocks(m, 1)
			}
			before := len(stacks.Entries)
			if _, err := m.Run(prog); err != nil {
				t.Fatalf("seed %d, hit %d: %v\n%s", seed, n, err, describe(f))
			}
			if busy {
				stackLocks(m, 0)
			}
			key := binary.LittleEndian.AppendUint64(nil, uint64(f.ID))
			for i, k := range kinds {
				v, why := h.identity(f, k, o, stacks, busy)
				key[4+i] = byte(why)
				key = binary.LittleEndian.AppendUint64(key, v)
				if k == probegen.KeyStack && v < capture.StackFirst {
					counts[fmt.Sprint("no stack ", v)]++
				} else if k == probegen.KeyStack && len(stacks.Entries) == before {
					counts["again"]++
				}
				counts[fmt.Sprint(k, " ", why)]++
			}
			want[string(key)]++
		}
		if len(stacks.Entries) > room {
			t.Fatalf("seed %d: %d stacks", seed, len(stacks.Entries))
		}
		ids := map[uint64]bool{}
		for _, v := range stacks.Entries {
			id := binary.LittleEndian.Uint64(v)
			if ids[id] || id < capture.StackFirst || id >= capture.StackKept {
				t.Fatalf("seed %d: the ID %#x", seed, id)
			}
			ids[id] = true
		}
		got := map[string]uint64{}
		for k, v := range keys.Entries {
			for ; len(v) > 0; v = v[8:] {
				got[k] += binary.LittleEndian.Uint64(v)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: %v\ngot  %x\nwant %x", seed, kinds, got, want)
		}
	}
	t.Log(counts)
	for _, k := range []string{"again", "no stack 0", "no stack 3", "no stack 4", "3 present", "3 not resident", "4 present", "4 not resident"} {
		if counts[k] < 10 {
			t.Errorf("%s: %d times only", k, counts[k])
		}
	}
}

// identity returns a part of a key, by its documentation. stacks are those that the
// program has left.
func (h *hit) identity(f *probegen.Func, k probegen.KeyKind, o probegen.Options, stacks *bpfsim.Hash, busy bool) (uint64, abi.Reason) {
	known := probegen.Usable(f.G, o)
	field := func(off int64) (uint64, abi.Reason) {
		var b [8]byte
		g, ok := h.g(f)
		switch {
		case !known:
			return 0, abi.UnknownLayout
		case !ok || !h.mem.Read(g+uint64(off), b[:], false):
			return 0, abi.NotResident
		}
		return binary.LittleEndian.Uint64(b[:]), abi.Present
	}
	switch k {
	case probegen.KeyPID:
		return uint64(h.pid), abi.Present
	case probegen.KeyGoroutine:
		return field(f.Plan.Goroutine)
	case probegen.KeyParent:
		return field(f.Plan.Creation.Parent)
	case probegen.KeyCreator:
		v, why := field(f.Plan.Creation.GoPC)
		if v != 0 {
			v -= h.pc - f.Site
		}
		return v, why
	}
	stack, why := h.stackOf(f)
	switch {
	case !known:
		return capture.StackGoroutine, abi.Present
	case busy:
		return capture.StackNone, abi.Present
	case stack == nil:
		return why, abi.Present
	case stacks.Entries[string(stack)] == nil:
		return capture.StackFull, abi.Present
	}
	return binary.LittleEndian.Uint64(stacks.Entries[string(stack)]), abi.Present
}
