package probegen_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// walkSite is where walks are probed, and walkBias the load bias.
const (
	walkSite = 0x401000
	walkBias = 0x20_0000
)

// enterWalk gives the machine the maps of walks.
func enterWalk(m *bpfsim.Machine, types *capture.Types) {
	elements, size := probegen.WalkScratch(simCPUs)
	m.Arrays[probegen.MapWalk] = bytes.Repeat([]byte{bpfsim.Garbage}, elements*size)
	m.Elements[probegen.MapWalk] = elements
	m.Arrays[probegen.MapTypes], m.Arrays[probegen.MapRows] = types.Encode()
	h := &bpfsim.Hash{KeySize: 8, ValueSize: capture.DynamicSize, MaxEntries: 64, Entries: map[string][]byte{}}
	keys, values := types.EncodeDynamic()
	for i := range keys {
		h.Entries[string(binary.LittleEndian.AppendUint64(nil, keys[i]))] = binary.LittleEndian.AppendUint64(nil, values[i])
	}
	m.Hashes[probegen.MapDynamic] = h
	for i := range 2 * simCPUs {
		clear(walkLock(m, i))
	}
}

// walkLock is the lock word of one of the scratch areas of walks, which lies two
// words before the record.
func walkLock(m *bpfsim.Machine, area int) []byte {
	_, size := probegen.WalkScratch(1)
	size /= 2
	record := size - capture.MaxWalk - capture.MaxValue - 64
	return m.Arrays[probegen.MapWalk][area*size+record-16:][:8]
}

// walkCase is a random function with a walk.
func (r random) walkFn(id uint32, types *capture.Types, limits capture.Limits, memo map[*abi.Type]*abi.Type) probegen.Func {
	f := r.fn(id)
	c := planCase{arch: r.arch, params: make([]*abi.Type, 1+r.IntN(4))}
	for i := range c.params {
		t := r.typ(4)
		if r.one(2) {
			t = pick(r, pointer(node()), pointer(tree()), tEface, tIface, slice(tEface), slice(slice(tString)), pointer(pointer(tInt)))
		}
		if r.one(3) {
			t = pick(r, mapOf(tString, tInt), mapOf(tInt32, pointer(node())), mapOf(tEface, array(20, tInt)), chanOf(tString), chanOf(tEmpty), tFunc,
				mapOf(tInt, mapOf(tInt, tInt)), structOf("main.S", tFunc, tFunc, chanOf(tInt)))
		}
		c.params[i] = t
	}
	in := c.inputs()
	for i := range in {
		if r.arch == abi.I386 {
			in[i].Type = on386(c.params[i], memo)
		}
		if r.one(4) {
			in[i].Location = r.location(in[i].Type.Size)
		}
	}
	f.CFA = 8
	f.Plan = capture.BuildWalk(r.arch, in, limits, types)
	f.Plan.Goroutine, f.Site = 152, walkSite
	return f
}

// TestWalks runs random walks on random memory and compares each record with the
// model's.
func TestWalks(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		t.Run(a.GOARCH, func(t *testing.T) { testWalks(t, a) })
	}
}

func testWalks(t *testing.T, a *abi.Arch) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	var scans scanCounts
	var sent, objects, tombs, cutObjects, cutBytes, dynamic, deep, most, erased int
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		limits := capture.Limits{}
		if r.one(2) {
			limits = capture.Limits{
				String: pick(r, 1, 5, 100, 8192), Elems: pick(r, 1, 3, 64, 1024), Bytes: pick(r, 8, 17, 500, 8192),
				Depth: pick(r, -1, 1, 2, 100), Objects: pick(r, 1, 5, 20, 400), Record: pick(r, 1, 500, 3000, 32<<10),
			}
		}
		limits.Redact = r.walkRedaction()
		types := capture.NewTypes(a, limits)
		types.SetRelease(pick(r, "go1.11.13", "go1.23.12", "go1.26.8", "go1.27.4", ""))
		memo := map[*abi.Type]*abi.Type{}
		var funcs []probegen.Func
		for id := range pick(r, 1, 1, 3) {
			funcs = append(funcs, r.walkFn(uint32(id), types, limits, memo))
		}
		if r.one(3) {
			funcs = append(funcs, r.fn(uint32(len(funcs)))) // one without a walk
		}
		if !r.one(5) {
			addDynamics(a, types)
		}
		o := probegen.Options{CPUs: simCPUs, Sleepable: r.one(2)}
		m := newMachine(1 << 22)
		enterWalk(m, types)
		if r.one(3) {
			o.Sleepable, o.NoAtomics, m.NoAtomics = false, true, true
		}
		prog := load(t, funcs, o)
		w := r.world()
		w.addrs = w.addrs[:10]
		for _, k := range dynamicKeys {
			for range 2 {
				w.addrs = append(w.addrs, k+walkBias)
			}
		}
		var blocks []uint64
		for range 6 {
			at := w.mem.Alloc(12000, 8)
			blocks = append(blocks, at)
			for range 12 {
				w.addrs = append(w.addrs, at+uint64(8*r.IntN(300)))
			}
		}
		for _, at := range blocks {
			w.fill(at, 12000)
		}
		for range 60 {
			at := pick(r, blocks...) + uint64(8*r.IntN(300))
			w.header(at)
			w.addrs = append(w.addrs, at)
		}
		for range 5 {
			f := &funcs[r.IntN(len(funcs))]
			h := w.hit(o.Sleepable)
			h.pc = walkSite + walkBias
			h.enter(m)
			m.Cookie, m.CPU = uint64(f.Cookie), r.Uint32N(simCPUs)
			m.PID, m.TID, m.Time = h.pid, h.tid, h.time
			if _, err := m.Run(prog); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, describe(f))
			}
			got := m.Ring.Take()
			if skipped(f.Skip, h.flags) {
				continue
			}
			if len(got) != 1 {
				t.Fatalf("seed %d: %d records", seed, len(got))
			}
			want := h.record(f)
			if f.Plan.Walk == nil {
				if err := diff(got[0], want); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				continue
			}
			wm := want.walk(f, walkBias)
			if err := diff(got[0], want); err != nil {
				t.Fatalf("seed %d, %+v: %v\n%s\ngot\n%s\nwant\n%s", seed, f.Plan.Walk, err, describe(f), objectsOf(f, got[0]), objectsOf(f, want.data))
			}
			if len(got[0]) > f.Plan.MaxRecord {
				t.Fatalf("seed %d: %d bytes, MaxRecord is %d", seed, len(got[0]), f.Plan.MaxRecord)
			}
			sent++
			if want.erased > 0 {
				erased++
			}
			objects += wm.objects
			tombs += wm.tombs
			dynamic += wm.dynamic
			scans.add(&wm.scanCounts)
			most = max(most, wm.objects)
			if wm.depth > 1 {
				deep++
			}
			flags := binary.LittleEndian.Uint16(want.data[capture.OffFlags:])
			cutObjects += int(flags & capture.FlagObjects)
			cutBytes += int(flags & capture.FlagBytes / capture.FlagBytes)
		}
		for i := range 2 * simCPUs {
			if l := walkLock(m, i); !bytes.Equal(l, make([]byte, 8)) {
				t.Fatalf("seed %d: lock %d is %x", seed, i, l)
			}
		}
	}
	t.Logf("%d records, %d objects, at most %d, %d not readable, %d of dynamic types, %d deep; cut by objects %d, by bytes %d; erased in %d",
		sent, objects, most, tombs, dynamic, deep, cutObjects, cutBytes, erased)
	t.Logf("%+v", scans)
	// The test is worth little if chance does not reach all of these.
	if !testing.Short() && (objects < 2*sent || tombs < sent/5 || dynamic < sent/60 || deep < sent/20 || cutObjects < sent/60 || cutBytes < sent/60 || erased < sent/40) {
		t.Error("too uniform")
	}
	if s := scans; !testing.Short() && (s.maps < sent/20 || s.groups < s.maps || s.tables < 2 || s.chans < sent/40 || s.runs < 3 || s.cut < 10 || s.closures < 2) {
		t.Error("too few maps and channels")
	}
}
