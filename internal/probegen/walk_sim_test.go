package probegen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
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
	var sent, objects, tombs, cutObjects, cutBytes, dynamic, deep, most int
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		limits := capture.Limits{}
		if r.one(2) {
			limits = capture.Limits{
				String: pick(r, 1, 5, 100, 8192), Elems: pick(r, 1, 3, 64, 1024), Bytes: pick(r, 8, 17, 500, 8192),
				Depth: pick(r, -1, 1, 2, 100), Objects: pick(r, 1, 5, 20, 400), Record: pick(r, 1, 500, 3000, 32<<10),
			}
		}
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
	t.Logf("%d records, %d objects, at most %d, %d not readable, %d of dynamic types, %d deep; cut by objects %d, by bytes %d",
		sent, objects, most, tombs, dynamic, deep, cutObjects, cutBytes)
	t.Logf("%+v", scans)
	// The test is worth little if chance does not reach all of these.
	if !testing.Short() && (objects < 2*sent || tombs < sent/5 || dynamic < sent/60 || deep < sent/20 || cutObjects < sent/60 || cutBytes < sent/60) {
		t.Error("too uniform")
	}
	if s := scans; !testing.Short() && (s.maps < sent/20 || s.groups < s.maps || s.tables < 2 || s.chans < sent/40 || s.runs < 3 || s.cut < 10 || s.closures < 2) {
		t.Error("too few maps and channels")
	}
}

// walkModel is what a walk must do, in the plainest way.
type walkModel struct {
	r        *record
	f        *probegen.Func
	bias     uint64
	visited  map[[2]uint64]int64 // (address, type) to record offset
	dynamics map[uint64]uint64

	objects, tombs, dynamic, depth int

	budget        int  // of a scan
	added, wasCut bool // what the last call of follow did
	scanCounts
}

// walk appends the heap to the record of a hit.
func (r *record) walk(f *probegen.Func, bias uint64) *walkModel {
	w := &walkModel{r: r, f: f, bias: bias, visited: map[[2]uint64]int64{}, dynamics: map[uint64]uint64{}, budget: capture.MaxScan}
	keys, values := f.Plan.Walk.Types.EncodeDynamic()
	for i := range keys {
		w.dynamics[keys[i]] = values[i]
	}
	r.put64(capture.OffBias, bias)
	walk := f.Plan.Walk
	w.rows(walk.First, walk.Rows, 0, 0)
	for at := int64(f.Plan.Fixed); at < int64(len(r.data)); {
		word := binary.LittleEndian.Uint32(r.data[at+capture.ObjectType:])
		id, depth := word&(1<<capture.ObjectTypeBits-1), word>>capture.ObjectTypeBits
		count := int64(binary.LittleEndian.Uint32(r.data[at+capture.ObjectCount:]))
		size, first, rows := w.typ(id)
		at += capture.ObjectHeader
		for i := range count {
			w.rows(first, rows, at+i*size, int(depth))
		}
		at += capture.Align8(count * size)
	}
	return w
}

func (w *walkModel) typ(id uint32) (size int64, first, rows uint32) {
	types, _ := w.f.Plan.Walk.Types.Encode()
	b := types[id*capture.TypeSize:]
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	return int64(u32(capture.TypeBytes)), u32(capture.TypeFirst), u32(capture.TypeRows)
}

// pointerAt is the word of the target at off.
func (w *walkModel) pointerAt(off int64) uint64 {
	v := uint64(w.r.pointer(off))
	if w.r.ptr == 4 {
		v &= 1<<32 - 1
	}
	return v
}

// rows follows the references of a value at base.
func (w *walkModel) rows(first, n uint32, base int64, depth int) {
	_, rows := w.f.Plan.Walk.Types.Encode()
	for i := first; i < first+n; i++ {
		b := rows[i*capture.RowSize:]
		u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
		at := base + int64(u32(capture.RowOffset))
		addr := w.pointerAt(at)
		if addr == 0 {
			continue
		}
		switch capture.RowKind(b[capture.RowKindAt]) {
		case capture.RowPointer:
			w.follow(addr, u32(capture.RowType), 1, depth+int(b[capture.RowHop]))
		case capture.RowCounted:
			if n := w.r.pointer(at + w.r.ptr); n > 0 {
				w.follow(addr, u32(capture.RowType), min(n, int64(u32(capture.RowLimit))), depth)
			}
		case capture.RowEface:
			w.dyn(addr, at, depth)
		case capture.RowIface:
			if !probegen.NeedsDynamic(w.f.Plan.Walk.Types) {
				continue
			}
			if obj := w.follow(addr+uint64(w.r.ptr), capture.WordType, 1, depth); obj >= 0 {
				w.dyn(w.pointerAt(obj+capture.ObjectHeader), at, depth)
			}
		case capture.RowMap:
			w.scanMap(addr, u32(capture.RowType), uint64(u32(capture.RowLimit)), depth)
		case capture.RowChan:
			w.scanChan(addr, u32(capture.RowType), uint64(u32(capture.RowLimit)), depth)
		case capture.RowFunc:
			if obj := w.follow(addr, capture.WordType, 1, depth); obj >= 0 {
				if v, ok := w.find(w.pointerAt(obj + capture.ObjectHeader)); ok && v>>32 != capture.DynamicInline {
					w.closures++
					w.follow(addr, uint32(v), 1, depth+int(v>>32))
				}
			}
		}
	}
}

// find looks up a word among the dynamic types.
func (w *walkModel) find(word uint64) (uint64, bool) {
	key := word - w.bias
	if w.r.ptr == 4 {
		key &= 1<<32 - 1
	}
	v, ok := w.dynamics[key]
	return v, ok
}

// inline follows the references of the second word of an interface.
func (w *walkModel) inline(v uint64, at int64, depth int) {
	_, first, rows := w.typ(uint32(v))
	w.rows(first, rows, at+w.r.ptr, depth)
}

func (w *walkModel) dyn(word uint64, at int64, depth int) {
	v, ok := w.find(word)
	if ok && v>>32 == capture.DynamicInline {
		w.inline(v, at, depth)
		return
	}
	if data := w.pointerAt(at + w.r.ptr); ok && data != 0 {
		w.dynamic++
		w.follow(data, uint32(v), 1, depth+int(v>>32))
	}
}

// follow appends what lies at an address, and returns where it is, -1 if it is
// not there.
func (w *walkModel) follow(addr uint64, id uint32, count int64, depth int) int64 {
	w.added, w.wasCut = false, false
	walk := w.f.Plan.Walk
	size, _, _ := w.typ(id)
	size *= count
	if depth > walk.Depth || id == 0 || size == 0 || size > capture.MaxValue {
		return -1
	}
	w.depth = max(w.depth, depth)
	key := [2]uint64{addr, uint64(id)}
	word := func(depth int) uint32 { return id | uint32(depth)<<capture.ObjectTypeBits }
	if at, ok := w.visited[key]; ok {
		have := int64(binary.LittleEndian.Uint32(w.r.data[at+capture.ObjectCount:]))
		if have == 0 {
			return -1
		}
		if have >= count {
			if old := binary.LittleEndian.Uint32(w.r.data[at+capture.ObjectType:]) >> capture.ObjectTypeBits; int(old) > depth {
				w.r.put32(int(at)+capture.ObjectType, word(depth))
			}
			return at
		}
	}
	cut := func(flag uint16) int64 {
		b := w.r.data[capture.OffFlags:]
		binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(b)|flag)
		w.wasCut = true
		return -1
	}
	if w.objects >= walk.Objects {
		return cut(capture.FlagObjects)
	}
	if len(w.r.data)+capture.ObjectHeader+int(size) > walk.Bytes {
		return cut(capture.FlagBytes)
	}
	data := make([]byte, capture.Align8(size))
	ok := w.r.hit.mem.Read(addr, data[:size], w.r.hit.wait)
	if !ok {
		data, size, count = nil, 0, 0
		w.tombs++
	}
	at := w.r.grow(capture.ObjectHeader + int64(len(data)))
	w.r.put64(int(at)+capture.ObjectAddr, addr)
	w.r.put32(int(at)+capture.ObjectType, word(depth))
	w.r.put32(int(at)+capture.ObjectCount, uint32(count))
	copy(w.r.data[at+capture.ObjectHeader:], data)
	for i := at + capture.ObjectHeader + size; i < int64(len(w.r.data)); i++ {
		w.r.unused[i] = true
	}
	w.visited[key] = at
	w.objects++
	if !ok {
		return -1
	}
	w.added = true
	return at
}

// objectsOf lists the objects of a record.
func objectsOf(f *probegen.Func, data []byte) string {
	var b strings.Builder
	for at := f.Plan.Fixed; at+capture.ObjectHeader <= len(data); {
		word := binary.LittleEndian.Uint32(data[at+capture.ObjectType:])
		id, count := word&(1<<capture.ObjectTypeBits-1), binary.LittleEndian.Uint32(data[at+capture.ObjectCount:])
		img := f.Plan.Walk.Types.Image(id)
		if img == nil {
			break
		}
		fmt.Fprintf(&b, "%d: %#x, %d of %s, depth %d\n", at, binary.LittleEndian.Uint64(data[at:]), count, img.Type.Name, word>>capture.ObjectTypeBits)
		at += capture.ObjectHeader + int(capture.Align8(int64(count)*img.Size))
	}
	return b.String()
}
