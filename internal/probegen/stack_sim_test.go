package probegen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// stackMaps gives a machine the maps of stacks, with room for the given number.
func stackMaps(m *bpfsim.Machine, cpus, depth, room int) {
	elements, size, numbers := probegen.StackScratch(cpus)
	area := make([]byte, elements*size)
	for i := range area {
		if i%(size/len(numbers)) >= 128 {
			area[i] = bpfsim.Garbage // what other hits have left
		}
	}
	for i := range elements * len(numbers) {
		binary.LittleEndian.PutUint64(area[i/len(numbers)*size+numbers[i%len(numbers)]:], uint64(i))
	}
	m.Arrays[probegen.MapStackArea] = area
	m.Elements[probegen.MapStackArea] = elements
	m.Hashes[probegen.MapStacks] = &bpfsim.Hash{KeySize: probegen.StackKeySize(depth), ValueSize: 8, MaxEntries: room}
}

// frames lays out random frames above SP, the lowest of which is that of f, if
// it has got so far.
func (w *world) frames(f *probegen.Func, h *hit) {
	size := 4096 + 8*w.IntN(2000)
	base := w.mem.Alloc(size, 16)
	hi := base + uint64(size)
	sp := base + 512
	cfa := sp + uint64(f.CFA)
	own := cfa - 16
	register := abi.RBP
	if f.Arch == abi.ARM64 {
		register, own = abi.X0+29, sp-8
	}
	// The callers' frame pointers, in ascending order.
	next := cfa
	if f.Arch == abi.ARM64 {
		next = cfa - 8
	}
	var fps []uint64
	for range w.IntN(40) {
		fps = append(fps, next)
		next += uint64(16 + 8*w.IntN(12))
		if next > hi-16 {
			break
		}
	}
	link := func(i int) uint64 {
		if i < len(fps) {
			return fps[i]
		}
		switch w.IntN(8) {
		case 0:
			return hi - 8
		case 1:
			return hi + 4096
		case 2:
			return sp - 64
		case 3:
			return next | 4
		case 4:
			return cfa - 16
		}
		return 0
	}
	code := func() uint64 { return 0x7000_0000 + uint64(w.IntN(1<<20)) }
	for i, fp := range fps {
		w.mem.PutWord(fp, link(i+1))
		ret := code()
		if w.one(200) {
			ret = 0
		}
		w.mem.PutWord(fp+8, ret)
		if w.one(150) {
			w.mem.Evict(fp, 16)
		}
	}
	ret := code()
	if w.one(40) {
		ret = 0
	}
	switch {
	case f.Arch == abi.AMD64:
		w.mem.PutWord(cfa-8, ret)
	case f.CFA == 0:
		h.regs[abi.X0+30] = ret
	default:
		w.mem.PutWord(sp, ret)
	}
	h.regs[f.Arch.SP] = sp
	h.regs[register] = link(0)
	if w.one(2) && (f.Arch == abi.AMD64 || f.CFA > 0) {
		h.regs[register] = own
		w.mem.PutWord(own, link(0))
	}
	if w.one(40) {
		w.mem.Evict(cfa-16, 16)
	}
	g := w.mem.Alloc(400, 8)
	w.fill(g, 400)
	w.mem.PutWord(g+8, hi)
	if w.one(40) {
		w.mem.Evict(g, 400)
	}
	if f.G.Kind == probegen.GThread {
		h.threadBase, h.fsBase = 4936, w.mem.Alloc(16, 8)+8
		w.mem.PutWord(h.fsBase-8, g)
	} else {
		h.regs[f.G.Reg] = g
	}
}

// stackOf is the record of the stack from StackInfo on, or why there is none: by
// the documentation of package capture.
func (h *hit) stackOf(f *probegen.Func) (key []byte, why uint64) {
	word := func(a uint64) (uint64, bool) {
		var b [8]byte
		ok := h.mem.Read(a, b[:], false)
		return binary.LittleEndian.Uint64(b[:]), ok
	}
	bias := h.pc - f.Site
	g, ok := h.g(f)
	if !ok {
		return nil, capture.StackGoroutine
	}
	hi, ok := word(g + 8)
	if !ok {
		return nil, capture.StackUnread
	}
	sp := h.regs[f.Arch.SP]
	cfa := sp + uint64(f.CFA)
	var ret, fp uint64
	if f.Arch == abi.ARM64 {
		fp = h.regs[abi.X0+29]
		if ret, ok = h.regs[abi.X0+30], true; f.CFA > 0 {
			if ret, ok = word(sp); ok && fp == sp-8 {
				fp, ok = word(sp - 8)
			}
		}
	} else {
		fp = h.regs[abi.RBP]
		if ret, ok = word(cfa - 8); ok && fp == cfa-16 {
			fp, ok = word(cfa - 16)
		}
	}
	if !ok || ret == 0 {
		return nil, capture.StackUnread
	}
	depth := f.Plan.StackDepth
	key = make([]byte, probegen.StackKeySize(depth))
	put := func(i int, pc uint64, distance uint64) {
		binary.LittleEndian.PutUint64(key[8+8*i:], pc<<16>>16|distance<<48)
	}
	put(0, ret-bias, 0)
	n, end, before := 1, uint32(0), cfa-16
	for end == 0 {
		switch {
		case fp == 0:
			end = capture.StackStart
		case n == depth:
			end = capture.StackDepth
		case fp > hi-16:
			end = capture.StackLeft
		case fp <= before || fp%8 != 0:
			end = capture.StackBroken
		default:
			d := min((fp-before)/8, capture.StackFar)
			put(n-1, ret-bias, d)
			before = fp
			var b [16]byte
			if !h.mem.Read(fp, b[:], false) {
				end = capture.StackCut
				break
			}
			if ret = binary.LittleEndian.Uint64(b[8:]); ret == 0 {
				end = capture.StackBroken
				break
			}
			fp = binary.LittleEndian.Uint64(b[:])
			put(n, ret-bias, 0)
			n++
		}
	}
	binary.LittleEndian.PutUint32(key, uint32(n))
	binary.LittleEndian.PutUint32(key[4:], end)
	return key, 0
}

// TestStacks hits random functions on random stacks, and compares the stacks that
// are sent with what they must be: each once, and before the calls that refer to it.
func TestStacks(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
		t.Run(a.GOARCH, func(t *testing.T) { testStacks(t, a) })
	}
}

func testStacks(t *testing.T, a *abi.Arch) {
	rounds := 400
	if testing.Short() {
		rounds = 150
	}
	counts := map[string]int{}
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		depth := pick(r, 1, 2, 5, 30, 63, 127)
		var funcs []probegen.Func
		for id := range 3 {
			c := planCase{name: "stack", arch: a, limits: r.limits(), params: make([]*abi.Type, r.IntN(4))}
			c.limits.Stack = depth
			for i := range c.params {
				c.params[i] = r.typ(2)
			}
			f := c.fn(uint32(id))
			f.Site, f.Skip, f.Mark = 0x401000, probegen.Never, probegen.NoMark
			f.CFA = pick[int64](r, 8, 16, 200)
			if a == abi.ARM64 {
				f.CFA = pick[int64](r, 0, 16, 208)
			}
			f.G = probegen.G{Kind: probegen.GRegister, Reg: a.G}
			if a == abi.AMD64 && r.one(3) {
				f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
			}
			f.Plan.Goroutine, f.Plan.StackDepth = 152, depth
			f.Plan.Creation = pick(r, capture.Creation{}, capture.Creation{GoPC: 280}, capture.Creation{Parent: 272, GoPC: 280})
			funcs = append(funcs, f)
		}
		o := probegen.Options{CPUs: simCPUs, ThreadBase: 4936, Sleepable: r.one(3)}
		if a == abi.AMD64 && r.one(20) {
			o.ThreadBase = 0
		}
		m := newMachine(1 << 20)
		room := pick(r, 1, 1<<10)
		stackMaps(m, simCPUs, depth, room)
		prog := load(t, funcs, o)
		w := r.world()
		sent := map[string]uint64{}
		used := map[uint64]bool{}
		var hits []*hit
		for n := range 12 {
			f := &funcs[r.IntN(len(funcs))]
			h := w.hit(o.Sleepable)
			h.threadBase = int(o.ThreadBase)
			w.frames(f, h)
			h.threadBase = int(o.ThreadBase)
			if n > 0 && r.one(2) { // the same stack again, if the function is the same
				h.regs = hits[r.IntN(len(hits))].regs
			}
			hits = append(hits, h)
			h.pc = f.Site + 0x5000
			m.CPU = r.Uint32N(simCPUs)
			m.Ring.Size = pick(r, 1<<20, 1<<20, 1<<20, 1<<20, 8)
			h.enter(m)
			m.Cookie, m.PID, m.TID, m.Time = uint64(f.Cookie), h.pid, h.tid, h.time
			fatal := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("seed %d, hit %d: %s\n%s", seed, n, fmt.Sprintf(format, args...), describe(f))
			}
			busy := r.one(20)
			if busy {
				stackLocks(m, 1)
			}
			if _, err := m.Run(prog); err != nil {
				fatal("%v", err)
			}
			if busy {
				stackLocks(m, 0)
			}
			records := m.Ring.Take()
			key, why := h.stackOf(f)
			old, isSent := sent[string(key)]
			fails := m.Ring.Size == 8
			switch {
			case why == capture.StackGoroutine:
			case busy:
				key, why = nil, capture.StackNone
			case key != nil && !isSent && fails:
				why = capture.StackRing
			}
			if fails {
				if len(records) > 0 {
					fatal("%d records in a full ring buffer", len(records))
				}
				counts["lost"]++
				continue
			}
			want := h.record(f)
			var id uint64
			switch {
			case key == nil:
				id = why
				counts[fmt.Sprint("none ", why)]++
			case isSent:
				id = old | capture.StackKept
				counts["again"]++
			default:
				if len(records) != 2 {
					fatal("%d records of a new stack", len(records))
				}
				s := records[0]
				records = records[1:]
				count := binary.LittleEndian.Uint32(key)
				if len(s) != capture.StackFixed+8*int(count) || binary.LittleEndian.Uint16(s[capture.OffKind:]) != capture.KindStack {
					fatal("a stack of %d addresses has %d bytes: % x", count, len(s), s[:8])
				}
				if !bytes.Equal(s[capture.StackInfo:], key[:len(s)-capture.StackInfo]) {
					fatal("stack\n% x, want\n% x", s[capture.StackInfo:], key)
				}
				id = binary.LittleEndian.Uint64(s[capture.StackSelf:])
				if used[id] || id < capture.StackFirst || id >= capture.StackKept {
					fatal("the ID %#x", id)
				}
				used[id] = true
				counts[fmt.Sprint("end ", binary.LittleEndian.Uint32(key[4:]))]++
				if len(sent) < room {
					sent[string(key)] = id
					id |= capture.StackKept
				} else {
					counts["no room"]++
				}
			}
			if len(records) != 1 {
				fatal("%d records", len(records))
			}
			at := f.Plan.Stack
			want.put64(at+capture.StackID, id)
			want.put64(at+capture.StackBias, 0x5000)
			if g, ok := h.g(f); ok {
				c := f.Plan.Creation
				off, from, size := at+capture.StackParent, c.Parent, 32
				if c.Parent == 0 {
					off, from, size = at+capture.StackGoPC, c.GoPC, 24
				}
				if from != 0 && !h.mem.Read(g+uint64(from), want.data[off:][:size], false) {
					clear(want.data[off:][:size])
					want.fail(f.Plan.StackBit)
				}
			}
			if err := diff(records[0], want); err != nil {
				fatal("%v", err)
			}
		}
	}
	t.Log(counts)
	for _, k := range []string{"again", "lost", "no room", "none 0", "none 3", "end 1", "end 2", "end 3", "end 4", "end 5"} {
		if counts[k] < 10 {
			t.Errorf("%s: %d times only", k, counts[k])
		}
	}
}

// stackLocks sets the locks of all areas.
func stackLocks(m *bpfsim.Machine, v uint64) {
	_, size, numbers := probegen.StackScratch(1)
	size /= len(numbers)
	for a := m.Arrays[probegen.MapStackArea]; len(a) > 0; a = a[size:] {
		binary.LittleEndian.PutUint64(a[128-16:], v)
	}
}
