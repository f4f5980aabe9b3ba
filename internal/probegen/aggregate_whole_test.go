package probegen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// durations are two functions whose durations are counted by their first argument
// and the goroutine.
func (r random) durations(t *testing.T) (entries, returns []probegen.Func) {
	n := tInt
	if r.arch == abi.I386 {
		n = on386(tInt, map[*abi.Type]*abi.Type{})
	}
	e, err := expr.Compile("n", &expr.Scope{Arch: r.arch, Params: []abi.Param{{Name: "n", Type: n}}})
	if err != nil {
		t.Fatal(err)
	}
	part := &capture.Expr{Root: e.Root, Params: []abi.Location{{{Size: n.Size, Kind: abi.InFrame, CFA: 16}}}}
	a := &probegen.Aggregate{Buckets: &probegen.Buckets{Signed: true}}
	if r.one(3) {
		a.Buckets.Step, a.Buckets.Max = 1000, 50_000
	}
	if !r.one(4) {
		a.Key = []probegen.KeyPart{{Expr: part}, {Kind: probegen.KeyGoroutine}, {Kind: probegen.KeyPID}}
		a.Layout.Strings = []bool{r.one(2), false, false}
	}
	g := probegen.G{Kind: probegen.GRegister, Reg: r.arch.G}
	if r.arch == abi.AMD64 && r.one(2) {
		g = probegen.G{Kind: probegen.GThread, TLS: -8}
	}
	if r.arch == abi.I386 {
		g = probegen.G{Kind: probegen.GThread, TLS: -4}
	}
	for id := range uint32(2) {
		f := probegen.Func{
			ID: id + 10, Cookie: id, Name: fmt.Sprintf("main.f%d", id), Arch: r.arch, Plan: capture.Build(r.arch, nil, capture.Limits{Pair: true}),
			CFA: int64(8 * r.IntN(4)), Skip: probegen.Never, G: g, Site: 0x401000, Aggregate: a,
		}
		f.Plan.Goroutine = 152
		entries = append(entries, f)
		f.Role, f.CFA = probegen.RoleReturn, int64(8*r.IntN(2))
		returns = append(returns, f)
	}
	return entries, returns
}

// TestAggregateDurations enters and leaves functions whose durations are counted,
// with limits, while the maps are full and g cannot be read now and then, and
// compares rows, counters and open calls with what they must be: each call is in
// one of them.
func TestAggregateDurations(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
		t.Run(a.GOARCH, func(t *testing.T) { testAggregateDurations(t, a) })
	}
}

func testAggregateDurations(t *testing.T, a *abi.Arch) {
	type call struct {
		fn   uint32
		time uint64
		key  string
	}
	var counted, overtaken, overtakenByKept, sentLeft, unmatched, full, noG int
	for seed := range 300 {
		r := newRandom(uint64(seed), a)
		entries, returns := r.durations(t)
		agg := entries[0].Aggregate
		o := probegen.Options{CPUs: simCPUs, ThreadBase: 4936}
		if r.one(2) {
			o.Limits = r.randomLimits()
			o.Limits.Budget = 0
		}
		m := newMachine(0)
		if seed%3 == 0 { // calls that are overtaken are sent, if there is room
			agg.Unwinds = true
			m = newMachine(pick(r, 0, 1<<20, 1<<20))
		}
		sends := m.Ring.Size > 0
		if r.one(3) {
			o.NoAtomics, m.NoAtomics = true, true
		}
		model := &limitsModel{o.Limits, map[uint32]*funcModel{}, map[uint32]*budgetModel{}}
		keys := aggregateMaps(m, agg, pick(r, 2, 100))
		open := m.Hashes[probegen.MapOpen]
		enter, leave := load(t, entries, o), load(t, returns, o)
		w := r.world()
		var gs []uint64
		for i := range uint64(3) {
			g := w.mem.Alloc(400, 8)
			w.mem.PutWord(g+152, i) // the first is a system stack
			gs = append(gs, g)
		}
		rows := map[string]*row{}
		others := map[uint32]*row{entries[0].ID: {}, entries[1].ID: {}}
		gone := map[uint32]uint64{}
		sentBefore := sentLeft
		isOpen, wantLosses := map[string]call{}, map[int]uint64{}
		now, hits := r.Uint64N(1<<50), uint64(0)
		for n := range 80 {
			i := r.IntN(len(entries))
			f, prog := &entries[i], enter
			if r.one(2) {
				f, prog = &returns[i], leave
			}
			h := w.hit(false)
			h.pid = 7 + r.Uint32N(2)
			now += pick[uint64](r, 1, 1000, 50_000, 3_000_000)
			h.time, m.CPU = now, r.Uint32N(simCPUs)
			g := pick(r, gs...)
			depth := uint64(64 * (1 + r.IntN(3)))
			stack := w.mem.Alloc(512, 8)
			w.mem.PutWord(g+8, stack+depth)
			h.regs[a.SP] = stack - uint64(f.CFA)
			arg := uint64(r.IntN(3))
			w.mem.PutWord(stack+16, arg)
			h.threadBase = 4936
			blind := r.one(12)
			if f.G.Kind == probegen.GThread {
				h.fsBase = w.mem.Alloc(16, 8) + 8
				w.mem.PutWord(h.fsBase-8, g)
				if blind {
					h.fsBase = 0
				}
			} else {
				h.regs[f.G.Reg] = g
				if blind {
					h.regs[f.G.Reg] = 0
				}
			}
			open.MaxEntries = 1 << 10
			if r.one(10) {
				open.MaxEntries = len(open.Entries)
			}
			h.enter(m)
			m.Cookie, m.PID, m.TID, m.Time = uint64(f.Cookie), h.pid, h.tid, h.time
			var place, key string
			if !blind {
				goroutine, d := h.open(f)
				if d != depth {
					t.Fatalf("depth %d, want %d", d, depth)
				}
				place = fmt.Sprint(h.pid, goroutine, depth)
			}
			if len(agg.Key) > 0 {
				b := make([]byte, agg.Layout.Size())
				put := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
				put(0, uint64(f.ID))
				put(8, arg)
				if blind {
					b[5] = byte(abi.NotResident)
				} else {
					var id [8]byte
					w.mem.Read(g+152, id[:], false)
					put(agg.Layout.Offset(1), binary.LittleEndian.Uint64(id[:]))
				}
				put(agg.Layout.Offset(2), uint64(h.pid))
				key = string(b)
			}
			old, there := isOpen[place]
			var wantLeft []uint64
			overtake := func(kept bool) {
				if !there || blind {
					return
				}
				if sends {
					sentLeft++
					wantLeft = append(wantLeft, old.time)
				} else {
					wantLosses[probegen.Overtaken]++
					gone[old.fn]++
				}
				overtaken++
				if kept {
					overtakenByKept++
				}
				delete(isOpen, place)
			}
			kept := sent
			if f.Role == probegen.RoleEntry {
				hits++
				kept = model.hit(f.ID, m.CPU, now, now, true)
				if o.Limits.Sample > 1 && kept != probegen.Beyond {
					wantLosses[probegen.Seen]++
				}
			}
			switch {
			case kept != sent:
				overtake(true)
				if kept != sampledOut {
					wantLosses[int(kept)]++
				}
			case blind && f.Role == probegen.RoleReturn:
				wantLosses[probegen.LossLater]++
				noG++
			case blind:
				wantLosses[probegen.LossUnread]++
				noG++
			case f.Role == probegen.RoleReturn && (!there || old.fn != f.ID):
				wantLosses[probegen.Unmatched]++
				unmatched++
			case f.Role == probegen.RoleReturn:
				delete(isOpen, place)
				at := others[f.ID]
				switch {
				case len(agg.Key) == 0:
				case rows[old.key] != nil:
					at = rows[old.key]
				case len(rows) < keys.MaxEntries:
					at = &row{}
					rows[old.key] = at
				}
				at.add(agg.Buckets, now-old.time, abi.Present)
				counted++
			case !there && len(isOpen) >= open.MaxEntries:
				wantLosses[probegen.LossOpen]++
				full++
			default:
				overtake(false)
				isOpen[place] = call{f.ID, now, key}
			}
			var oldValue []byte
			if there {
				goroutine, _ := h.open(f)
				k := binary.LittleEndian.AppendUint64(nil, uint64(h.pid))
				k = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(k, goroutine), depth)
				oldValue = slices.Clone(open.Entries[string(k)])
			}
			if _, err := m.Run(prog); err != nil {
				t.Fatalf("seed %d, hit %d: %v", seed, n, err)
			}
			left := m.Ring.Take()
			if len(left) != len(wantLeft) {
				t.Fatalf("seed %d, hit %d: %d records, want %d", seed, n, len(left), len(wantLeft))
			}
			for i, rec := range left {
				word := func(at int) uint64 { return binary.LittleEndian.Uint64(rec[at:]) }
				goroutine, _ := h.open(f)
				if !bytes.Equal(rec[probegen.LeftValue:], oldValue) || word(probegen.LeftPair+capture.PairTime) != wantLeft[i] ||
					word(capture.OffPlan) != capture.KindLeft<<32|uint64(old.fn) || word(capture.OffTime) != now ||
					word(capture.OffPIDTID) != uint64(h.pid)<<32|uint64(h.tid) || word(capture.OffFailed) != 0 ||
					word(probegen.LeftPair+capture.PairGoroutine) != goroutine || word(probegen.LeftPair+capture.PairDepth) != depth ||
					string(agg.KeptKey(rec[probegen.LeftValue:], 0)) != old.key {
					t.Fatalf("seed %d, hit %d: %x is not the record of %+v, %x", seed, n, rec, old, oldValue)
				}
			}
			maps.DeleteFunc(wantLosses, func(_ int, n uint64) bool { return n == 0 })
			got := mapLosses(m)
			maps.DeleteFunc(got, func(_ int, n uint64) bool { return n == 0 })
			if !maps.Equal(got, wantLosses) || len(open.Entries) != len(isOpen) {
				t.Fatalf("seed %d, hit %d, role %d: losses %v, want %v; %d open, want %d", seed, n, f.Role, got, wantLosses, len(open.Entries), len(isOpen))
			}
		}
		if len(keys.Entries) != len(rows) {
			t.Fatalf("seed %d: %d keys, want %d", seed, len(keys.Entries), len(rows))
		}
		inRows := uint64(0)
		check := func(what string, want *row, cpus []byte) {
			if err := want.is(agg.Buckets, cpus); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, what, err)
			}
			for _, n := range want.buckets {
				inRows += n
			}
		}
		for k, want := range rows {
			check(fmt.Sprintf("key %x", k), want, keys.Entries[k])
		}
		for id, want := range others {
			check("the others", want, otherRow(m, agg, id))
		}
		for id := range others {
			got := uint64(0)
			for cpu := range simCPUs {
				got += binary.LittleEndian.Uint64(m.Arrays[probegen.MapLosses][(cpu*simFuncs+int(id))*probegen.LossesSize+8*probegen.Overtaken:])
			}
			if got != gone[id] {
				t.Fatalf("seed %d: %d calls of %d were overtaken, want %d", seed, got, id, gone[id])
			}
		}
		sum := inRows + uint64(len(isOpen)) + uint64(sentLeft-sentBefore) + wantLosses[probegen.Overtaken] + wantLosses[probegen.LossUnread] + wantLosses[probegen.LossOpen] +
			wantLosses[int(probegen.Limited)] + wantLosses[int(probegen.Beyond)]
		for cpu := range uint32(simCPUs) {
			for _, f := range entries {
				if s := model.funcs[f.ID]; s != nil {
					sum += o.Limits.SampledOut(uint64(s.seen[cpu]))
				}
			}
		}
		if sum != hits {
			t.Fatalf("seed %d: %d calls, %d are counted", seed, hits, sum)
		}
	}
	t.Logf("%d counted, %d overtaken, %d of them by calls that were kept back, %d of them sent, %d unmatched, %d found the map full, %d no g",
		counted, overtaken, overtakenByKept, sentLeft, unmatched, full, noG)
	if sentLeft < 50 || counted < 500 || overtaken < 100 || overtakenByKept < 100 || unmatched < 100 || full < 50 || noG < 100 {
		t.Error("too uniform")
	}
}
