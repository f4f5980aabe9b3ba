package probegen_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// wholeFuncs are the programs of random functions of which whole calls are
// recorded: their entries, and their returns where the g is known there.
func (r random) wholeFuncs() (entries, returns []probegen.Func) {
	g := probegen.G{Kind: probegen.GRegister, Reg: r.arch.G}
	switch {
	case r.arch == abi.I386:
		g.Reg = abi.ECX
	case r.arch == abi.AMD64 && r.one(3):
		g = probegen.G{Kind: probegen.GThread, TLS: -8}
	}
	memo := map[*abi.Type]*abi.Type{}
	plan := func() *capture.Plan {
		c := planCase{arch: r.arch, params: make([]*abi.Type, r.IntN(5))}
		for i := range c.params {
			c.params[i] = r.typ(3)
		}
		in := c.inputs()
		for i := range in {
			if r.arch == abi.I386 {
				in[i].Type = on386(c.params[i], memo)
			}
			in[i].Location = r.location(in[i].Type.Size)
		}
		limits := r.limits()
		limits.Pair = true
		p := capture.Build(r.arch, in, limits)
		p.Goroutine = 152
		return p
	}
	for id := range uint32(1 + r.IntN(4)) {
		f := probegen.Func{
			ID: id + 10, Cookie: id, Name: fmt.Sprintf("main.f%d", id), Arch: r.arch, Plan: plan(),
			CFA: int64(8 * r.IntN(4)), Skip: probegen.Never, G: g, Site: 0x401000,
		}
		entries = append(entries, f)
		f.Plan, f.Role, f.CFA = plan(), probegen.RoleReturn, int64(8*r.IntN(2))
		returns = append(returns, f)
	}
	return entries, returns
}

// TestWholeCalls enters and leaves random functions, with limits and conditions,
// while the ring buffer or the map of open calls is full and g cannot be read now
// and then, and compares records, counters and map with what they must be.
func TestWholeCalls(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		t.Run(a.GOARCH, func(t *testing.T) { testWholeCalls(t, a) })
	}
}

func testWholeCalls(t *testing.T, a *abi.Arch) {
	rounds := 400
	if testing.Short() {
		rounds = 150
	}
	type call struct {
		fn   uint32
		time uint64
	}
	var recorded, paired, unmatched, stale, lost, full, noG int
	keptBack := map[outcome]int{} // where a call under the same key was open
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		entries, returns := r.wholeFuncs()
		o := probegen.Options{CPUs: simCPUs, Sleepable: r.one(2), ThreadBase: 4936}
		if r.one(2) {
			o.Limits = r.randomLimits()
		}
		if r.one(2) {
			o.Slots = pick(r, 2, 4, 32)
		}
		if r.one(4) {
			e, err := expr.Compile("1 > 2", &expr.Scope{Arch: a, Package: "main"})
			if err != nil {
				t.Fatal(err)
			}
			entries[0].Where = []*capture.Expr{{Root: e.Root}}
		}
		model := &limitsModel{o.Limits, map[uint32]*funcModel{}, map[uint32]*budgetModel{}}
		if a == abi.I386 {
			if _, err := probegen.Entry(returns, o); err == nil {
				t.Fatal("a program for a return where nothing tells the goroutine")
			}
		}
		m := newMachine(1 << 20)
		table := newOpenTable(m, o.Slots)
		open := table.hash
		enter := load(t, entries, o)
		var leave *bpfsim.Program
		if a != abi.I386 {
			leave = load(t, returns, o)
		}
		// Two goroutines, and a system stack, of which nothing but the distance of
		// a frame from the upper end is fixed.
		w := r.world()
		var gs []uint64
		for i := range uint64(3) {
			g := w.mem.Alloc(400, 8)
			w.mem.PutWord(g+152, i)
			gs = append(gs, g)
		}
		want := map[string]call{}
		now := r.Uint64N(1 << 50)
		for n := range 60 {
			i := r.IntN(len(entries))
			f, prog := &entries[i], enter
			if leave != nil && r.one(2) {
				f, prog = &returns[i], leave
			}
			h := w.hit(o.Sleepable)
			h.pid = 7 + r.Uint32N(2)
			now += pick[uint64](r, 1, 1000, 50_000, 3_000_000, 60_000_000)
			h.time, m.CPU = now, r.Uint32N(simCPUs)
			if r.one(6) && model.budget[m.CPU] != nil {
				spent := m.Arrays[probegen.MapBudget][m.CPU*probegen.BudgetSize+probegen.BudgetSpent:]
				binary.LittleEndian.PutUint64(spent, binary.LittleEndian.Uint64(spent)+uint64(o.Limits.Budget))
				model.budget[m.CPU].spent += uint64(o.Limits.Budget)
			}
			g := pick(r, gs...)
			depth := uint64(64 * (1 + r.IntN(3)))
			hi := uint64(0x7000_0000) + uint64(r.IntN(8))<<16
			if a == abi.I386 {
				w.mem.Put(g+4, binary.LittleEndian.AppendUint32(nil, uint32(hi)))
			} else {
				w.mem.PutWord(g+8, hi)
			}
			h.regs[a.SP] = hi - depth - uint64(f.CFA)
			h.threadBase = 4936
			if f.G.Kind == probegen.GThread {
				h.fsBase = w.mem.Alloc(16, 8) + 8
				w.mem.PutWord(h.fsBase-8, g)
			} else {
				h.regs[f.G.Reg] = g
			}
			m.Ring.Size = 1 << 20
			if r.one(6) {
				m.Ring.Size = 8
			}
			open.MaxEntries = 1 << 10
			if r.one(10) {
				open.MaxEntries = len(open.Entries)
			}
			blind := r.one(10)
			if blind && f.G.Kind == probegen.GThread {
				h.fsBase = 0
			} else if blind {
				h.regs[f.G.Reg] = 0
			}
			h.lost = binary.LittleEndian.Uint64(m.Arrays[probegen.MapLater])
			h.enter(m)
			m.Cookie, m.PID, m.TID, m.Time = uint64(f.Cookie), h.pid, h.tid, h.time
			before := maps.Clone(mapLosses(m))
			fatal := func(err error) {
				t.Fatalf("seed %d, hit %d, role %d, %+v: %v\n%s", seed, n, f.Role, o, err, describe(f))
			}
			var k string
			if !blind {
				goroutine, d := h.open(f)
				if d != depth {
					t.Fatalf("depth %d, want %d", d, depth)
				}
				var key []byte
				for _, word := range []uint64{uint64(h.pid), goroutine, depth} {
					key = binary.LittleEndian.AppendUint64(key, word)
				}
				k = string(key)
			}
			old, isOpen := want[k]
			// What must happen.
			cause, kept := int(sent), sent
			if f.Role == probegen.RoleEntry {
				kept = model.hit(f.ID, m.CPU, now, now, f.Where == nil)
			}
			if o.Limits.Sample > 1 && f.Role == probegen.RoleEntry && kept != probegen.Paused && kept != probegen.Beyond {
				before[probegen.Seen]++
			}
			switch {
			case kept != sent:
				if isOpen {
					keptBack[kept]++
				}
				delete(want, k)
				table.leave(k)
				cause = int(kept)
			case blind && f.Role == probegen.RoleReturn:
				cause = probegen.LossLater
				noG++
			case blind:
				cause = probegen.LossUnread
				noG++
			case f.Role == probegen.RoleReturn && (!isOpen || old.fn != f.ID):
				cause = probegen.Unmatched
				unmatched++
			case f.Role == probegen.RoleReturn:
				delete(want, k)
				table.leave(k)
				h.entered = old.time
				if m.Ring.Size == 8 {
					cause = probegen.LossLater
					lost++
				}
			default:
				if isOpen {
					stale++
				}
				want[k] = call{f.ID, h.time}
				switch {
				case !table.enter(k):
					cause = probegen.LossOpen
					full++
				case m.Ring.Size == 8:
					cause = probegen.LossRing
					lost++
				}
				if cause >= 0 {
					delete(want, k)
					table.leave(k)
				}
			}
			if _, err := m.Run(prog); err != nil {
				fatal(err)
			}
			got := m.Ring.Take()
			after := mapLosses(m)
			if cause >= 0 {
				before[cause]++
			}
			if cause == probegen.LossLater {
				h.lost++
			}
			if later := binary.LittleEndian.Uint64(m.Arrays[probegen.MapLater]); later != h.lost {
				fatal(fmt.Errorf("%d records that are not of entries are lost, want %d", later, h.lost))
			}
			if !maps.Equal(before, after) {
				fatal(fmt.Errorf("losses %v, want %v", after, before))
			}
			if (cause != int(sent)) != (len(got) == 0) {
				fatal(fmt.Errorf("%d records, cause %d", len(got), cause))
			}
			if cause == int(sent) {
				if err := diff(got[0], h.record(f)); err != nil {
					fatal(err)
				}
				recorded++
				if f.Role == probegen.RoleReturn {
					paired++
				}
			}
			calls, err := table.calls()
			if err != nil {
				fatal(err)
			}
			if len(calls) != len(want) {
				fatal(fmt.Errorf("%d calls are open, want %d", len(calls), len(want)))
			}
			for k, c := range want {
				v := calls[k]
				if len(v) == 0 || binary.LittleEndian.Uint64(v[probegen.OpenTime:]) != c.time ||
					binary.LittleEndian.Uint64(v[probegen.OpenFunc:]) != uint64(c.fn) {
					fatal(fmt.Errorf("open call %x, want %+v", v, c))
				}
			}
		}
	}
	t.Logf("%d records, %d pairs, %d unmatched returns, %d replaced, %d lost, %d found the map full, %d no g, kept back in the place of others: %v",
		recorded, paired, unmatched, stale, lost, full, noG, keptBack)
	for _, o := range []outcome{sampledOut, probegen.Filtered, probegen.Limited, probegen.Beyond, probegen.Paused} {
		if keptBack[o] < 3 {
			t.Errorf("outcome %d: %d times only", o, keptBack[o])
		}
	}
	if recorded < 1000 || stale < 100 || lost < 100 || full < 20 || a != abi.I386 && (paired < 300 || unmatched < 100) {
		t.Error("too uniform")
	}
}

func mapLosses(m *bpfsim.Machine) map[int]uint64 {
	all := map[int]uint64{}
	for i := range probegen.LossesSize / 8 {
		for l := m.Arrays[probegen.MapLosses]; len(l) > 0; l = l[probegen.LossesSize:] {
			all[i] += binary.LittleEndian.Uint64(l[8*i:])
		}
	}
	return all
}

// whole makes of a function one whose entries or returns are joined.
func whole(f probegen.Func, role probegen.Role) probegen.Func {
	f.Role = role
	f.Plan.Goroutine = 152
	f.G = probegen.G{Kind: probegen.GRegister, Reg: f.Arch.G}
	switch {
	case f.Arch == abi.AMD64 && f.ID%2 == 1:
		f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
	case f.Arch == abi.I386:
		f.G.Reg = abi.ECX
	}
	if role != probegen.RoleEntry {
		f.Skip = probegen.Never
	}
	return f
}
