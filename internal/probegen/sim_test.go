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

const simCPUs = 2

// simFuncs is how many functions there are counters for.
const simFuncs = 16

// newMachine is a machine with a ring buffer of the given size whose scratch
// memory holds garbage.
func newMachine(ring int) *bpfsim.Machine { return newMachineOf(simCPUs, ring) }

func newMachineOf(cpus, ring int) *bpfsim.Machine {
	elements, size := probegen.Scratch(cpus)
	m := &bpfsim.Machine{
		Arrays: map[string][]byte{
			probegen.MapScratch: bytes.Repeat([]byte{bpfsim.Garbage}, elements*size),
			probegen.MapLosses:  make([]byte, (cpus+1)*simFuncs*probegen.LossesSize), // there are tests of a CPU too many
			probegen.MapGates:   make([]byte, simFuncs*probegen.GateSize),
			probegen.MapBudget:  make([]byte, (cpus+1)*probegen.BudgetSize),
			probegen.MapLater:   make([]byte, 8),
		},
		Elements: map[string]int{probegen.MapScratch: elements, probegen.MapLosses: (cpus + 1) * simFuncs, probegen.MapBudget: cpus + 1},
		PerCPU:   map[string]int{probegen.MapLosses: simFuncs, probegen.MapBudget: 1},
		Hash:     bpfsim.Hash{KeySize: probegen.RepeatKeySize, ValueSize: 1, MaxEntries: 16},
		Hashes: map[string]*bpfsim.Hash{
			probegen.MapGrown: {KeySize: probegen.RepeatKeySize, ValueSize: 1, MaxEntries: 1 << 10},
		},
		Ring: bpfsim.Ring{Size: ring},
	}
	for cpu := range cpus {
		for area := range 2 {
			clear(lock(m, cpu, area))
		}
	}
	return m
}

// lock is the lock word of one of a CPU's two scratch areas.
func lock(m *bpfsim.Machine, cpu, area int) []byte {
	_, size := probegen.Scratch(1)
	size /= 2
	return m.Arrays[probegen.MapScratch][(2*cpu+area)*size:][:8]
}

// losses is a counter, of all functions and CPUs.
func losses(m *bpfsim.Machine, cause int) (sum byte) {
	for l := m.Arrays[probegen.MapLosses]; len(l) > 0; l = l[probegen.LossesSize:] {
		sum += l[8*cause]
	}
	return sum
}

// world is a process whose memory is full of words that look like pointers,
// lengths and anything else.
type world struct {
	random
	mem   *bpfsim.Memory
	addrs []uint64
}

func (r random) world() *world {
	w := &world{random: r, mem: bpfsim.NewMemory()}
	if r.arch == abi.I386 {
		w.mem = bpfsim.NewMemoryAt(0x9000_0000)
	}
	w.addrs = []uint64{0, 1, 4096, 0xffff_8000_0000_0000, ^uint64(7), 0xdead_0000_0000_0000}
	type block struct {
		addr uint64
		size int
	}
	var blocks []block
	for range 12 {
		n := pick(r, 8, 24, 64, 600, 5000, 9000)
		a := w.mem.Alloc(n, pick[uint64](r, 1, 8, 8, 16))
		blocks = append(blocks, block{a, n})
		w.addrs = append(w.addrs, a, a, a, a+uint64(r.IntN(n)))
	}
	for _, b := range blocks {
		w.fill(b.addr, b.size)
		switch r.IntN(8) {
		case 0:
			w.mem.Unmap(b.addr, 1)
		case 1:
			w.mem.Evict(b.addr, b.size)
		}
	}
	return w
}

// fill writes words to memory.
func (w *world) fill(addr uint64, size int) {
	var b [8]byte
	for word := int(w.arch.PtrSize); size >= word; size -= word {
		binary.LittleEndian.PutUint64(b[:], w.word())
		w.mem.Put(addr, b[:word])
		addr += uint64(word)
	}
}

// word is a random word of memory or register.
func (w *world) word() uint64 {
	switch w.IntN(10) {
	case 0, 1, 2, 3, 4:
		return pick(w.random, w.addrs...)
	case 5, 6, 7:
		return w.Uint64N(20)
	case 8:
		return pick(w.random, 500, 513, 5000, 1<<31, 1<<32+3, 1<<63, ^uint64(0), ^uint64(3))
	}
	return w.Uint64()
}

func (w *world) hit(wait bool) *hit {
	h := &hit{arch: w.arch, regs: map[abi.Reg]uint64{}, mem: w.mem, pid: 7, tid: 8 + w.Uint32N(4), time: w.Uint64(), wait: wait, flags: w.Uint64(), pc: w.Uint64()}
	mask := uint64(1)<<(8*w.arch.PtrSize) - 1
	for _, r := range contexts[w.arch] {
		if r < wordOther {
			h.regs[r] = w.word() & mask
		}
	}
	h.fsBase = w.word()
	if !w.one(4) {
		// A stack, and a g that can be read.
		sp := w.mem.Alloc(1000, 8)
		w.fill(sp, 1000)
		h.regs[w.arch.SP], h.regs[w.arch.G] = sp, sp
		h.fsBase = w.mem.Alloc(2000, 8) + 1000
		for off := range uint64(200) {
			w.mem.PutWord(h.fsBase-800+8*off, sp)
		}
		if w.arch == abi.I386 {
			h.regs[abi.ECX] = sp
		}
	}
	return h
}

// diff says where a record is not what it should be.
func diff(got []byte, want *record) error {
	if len(got) != len(want.data) {
		return fmt.Errorf("%d bytes, want %d", len(got), len(want.data))
	}
	for i := range got {
		if got[i] != want.data[i] && !want.unused[i] {
			from := i &^ 7
			to := min(from+8, len(got))
			return fmt.Errorf("byte %d: %x, want %x", i, got[from:to], want.data[from:to])
		}
	}
	return nil
}

// load generates and encodes a program.
func load(t testing.TB, funcs []probegen.Func, o probegen.Options) *bpfsim.Program {
	t.Helper()
	ins, err := probegen.Entry(funcs, o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bpfsim.Load(ins)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRecords runs random programs, alone and bundled, on random registers and
// memory, and compares each record with the model's.
func TestRecords(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		t.Run(a.GOARCH, func(t *testing.T) { testRecords(t, a) })
	}
}

func testRecords(t *testing.T, a *abi.Arch) {
	rounds := 250
	if testing.Short() {
		rounds = 60
	}
	var sent, variable, failed, absent, cut, known, erased int
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		r.noLoops = seed%4 == 1
		var funcs []probegen.Func
		for id := range pick(r, 1, 1, 1, 3, 8) {
			if seed%5 == 0 {
				funcs = append(funcs, r.heavy(uint32(id)))
			} else {
				funcs = append(funcs, r.fn(uint32(id)))
			}
		}
		o := probegen.Options{CPUs: simCPUs, Sleepable: r.one(2), ThreadBase: pick[int64](r, 0, 8, 4936)}
		m := newMachine(1 << 20)
		m.NoLoops = r.noLoops
		if r.one(3) {
			o.Sleepable, o.NoAtomics, m.NoAtomics = false, true, true
		}
		prog := load(t, funcs, o)
		w := r.world()
		for n := range 10 {
			f := &funcs[r.IntN(len(funcs))]
			h := w.hit(o.Sleepable)
			h.threadBase = int(o.ThreadBase)
			h.enter(m)
			m.Cookie, m.CPU = uint64(f.Cookie), r.Uint32N(simCPUs)
			m.PID, m.TID, m.Time = h.pid, h.tid, h.time
			fatal := func(err error) {
				t.Fatalf("seed %d, hit %d, %+v: %v\n%s", seed, n, o, err, describe(f))
			}
			if _, err := m.Run(prog); err != nil {
				fatal(err)
			}
			got := m.Ring.Take()
			if skipped(f.Skip, h.flags) {
				if len(got) != 0 {
					fatal(fmt.Errorf("a record though condition %#x holds for flags %#x", f.Skip, h.flags))
				}
				continue
			}
			if len(got) != 1 {
				fatal(fmt.Errorf("%d records", len(got)))
			}
			want := h.record(f)
			if err := diff(got[0], want); err != nil {
				fatal(err)
			}
			if len(want.data) > f.Plan.MaxRecord {
				fatal(fmt.Errorf("%d bytes, MaxRecord is %d", len(want.data), f.Plan.MaxRecord))
			}
			sent++
			if want.erased > 0 {
				erased++
			}
			if len(want.data) > f.Plan.Fixed {
				variable++
			}
			if want.word(capture.OffFailed) != 0 {
				failed++
			}
			if want.word(capture.OffGoroutine) != 0 {
				known++
			}
			for i := f.Plan.SlotBase; i < f.Plan.Fixed; i += 8 {
				switch want.word(int64(i)) {
				case capture.NoSlot(abi.NotResident):
					absent++
				case capture.NoSlot(abi.CutRecord):
					cut++
				}
			}
		}
		for i := range 2 * simCPUs {
			if l := lock(m, i/2, i%2); !bytes.Equal(l, make([]byte, 8)) {
				t.Fatalf("seed %d: lock %d is %x", seed, i, l)
			}
		}
		if l := m.Arrays[probegen.MapLosses]; !bytes.Equal(l, make([]byte, len(l))) {
			t.Fatalf("seed %d: losses %x", seed, l)
		}
	}
	t.Logf("%d records, %d with chunks, %d with failed reads, %d with a goroutine, %d absent and %d cut chunks, %d erased", sent, variable, failed, known, absent, cut, erased)
	// The test is worth little if chance does not reach all of these.
	if variable < sent/10 || failed < sent/20 || absent < sent/20 || known < sent/10 || erased < sent/10 {
		t.Error("too uniform")
	}
}

func describe(f *probegen.Func) string {
	s := fmt.Sprintf("fixed %d, slots from %d, CFA %d, skip %#x, g %+v\n", f.Plan.Fixed, f.Plan.SlotBase, f.CFA, f.Skip, f.G)
	for _, p := range f.Plan.Params {
		s += fmt.Sprintf("%s %s at %d, %d of %d bytes\n", p.Name, p.Image.Type, p.Offset, p.Image.Size, p.Image.Type.Size)
	}
	s += fmt.Sprintf("stores %+v\nreads %+v\n", f.Plan.Stores, f.Plan.Reads)
	return s
}
