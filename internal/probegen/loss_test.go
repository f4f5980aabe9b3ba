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

// stringHit is a hit whose first parameter is a string of n bytes b.
func stringHit(n int, b byte) *hit {
	h := &hit{mem: bpfsim.NewMemory(), regs: map[abi.Reg]uint64{}}
	a := h.mem.Alloc(n, 1)
	h.mem.Put(a, bytes.Repeat([]byte{b}, n))
	h.regs[abi.RAX], h.regs[abi.RBX] = a, uint64(n)
	return h
}

func stringFunc() probegen.Func {
	return planCase{name: "string", params: []*abi.Type{tString}}.fn(0)
}

func TestRingFull(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    probegen.Func
		ring int // has room for two records but not for three
	}{
		{"fixed", intFunc(), 3*(48+8) - 1},
		{"variable", stringFunc(), 3*(40+16+8+8+8) - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, []probegen.Func{tt.f}, probegen.Options{CPUs: 1})
			m := newMachine(tt.ring)
			stringHit(8, 'x').enter(m)
			for range 5 {
				if _, err := m.Run(p); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(m.Ring.Take()); n != 2 {
				t.Errorf("%d records, want 2", n)
			}
			if n := losses(m, probegen.LossRing); n != 3 {
				t.Errorf("%d lost, want 3", n)
			}
			if n := losses(m, probegen.LossBusy); n != 0 {
				t.Errorf("%d lost for want of scratch memory", n)
			}
			// Room again: nothing of the loss must stay.
			if _, err := m.Run(p); err != nil || len(m.Ring.Take()) != 1 {
				t.Errorf("no record after the reader made room: %v", err)
			}
		})
	}
}

// TestScratchBusy holds locks as a thread would that was preempted in the
// middle of the program.
func TestScratchBusy(t *testing.T) {
	f := stringFunc()
	p := load(t, []probegen.Func{f}, probegen.Options{CPUs: simCPUs})
	for _, tt := range []struct {
		name    string
		cpu     uint32
		held    [2 * simCPUs]byte
		records int
	}{
		{"free", 0, [4]byte{}, 1},
		{"first taken", 0, [4]byte{1, 0, 0, 0}, 1},
		{"second taken", 0, [4]byte{0, 1, 0, 0}, 1},
		{"both taken", 0, [4]byte{1, 1, 0, 0}, 0},
		{"those of the other CPU taken", 0, [4]byte{0, 0, 1, 1}, 1},
		{"both taken on the second CPU", 1, [4]byte{0, 0, 1, 1}, 0},
		{"no such CPU", simCPUs, [4]byte{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(4096)
			for i, b := range tt.held {
				lock(m, i/2, i%2)[0] = b
			}
			m.CPU = tt.cpu
			h := stringHit(5, 'x')
			h.enter(m)
			if _, err := m.Run(p); err != nil {
				t.Fatal(err)
			}
			recs := m.Ring.Take()
			if len(recs) != tt.records || int(losses(m, probegen.LossBusy)) != 1-tt.records {
				t.Errorf("%d records, %d lost", len(recs), losses(m, probegen.LossBusy))
			}
			if len(recs) == 1 {
				if err := diff(recs[0], h.record(&f)); err != nil {
					t.Error(err)
				}
			}
			for i, b := range tt.held {
				if l := lock(m, i/2, i%2)[0]; l != b {
					t.Errorf("lock %d is %d after the run, was %d", i, l, b)
				}
			}
		})
	}
}

// TestManyCPUs: from some number on, each CPU has an element of its own.
func TestManyCPUs(t *testing.T) {
	f := stringFunc()
	for _, cpus := range []int{1, 51, 52, 300} {
		elements, size := probegen.Scratch(cpus)
		if want := cpus > 51; elements > 1 != want || size > 4<<20 {
			t.Errorf("%d CPUs: %d elements of %d bytes", cpus, elements, size)
		}
		for _, o := range []probegen.Options{{CPUs: cpus}, {CPUs: cpus, NoAtomics: true}} {
			p := load(t, []probegen.Func{f}, o)
			m := newMachineOf(cpus, 1<<20)
			for _, cpu := range []int{0, cpus - 1, cpus / 2, cpus} {
				m.CPU = uint32(cpu)
				h := stringHit(5, 'x')
				h.enter(m)
				if _, err := m.Run(p); err != nil {
					t.Fatal(err)
				}
				recs := m.Ring.Take()
				if len(recs) == 1 {
					if err := diff(recs[0], h.record(&f)); err != nil {
						t.Errorf("CPU %d of %d: %v", cpu, cpus, err)
					}
				} else if len(recs) != 0 || cpu != cpus {
					t.Errorf("CPU %d of %d: %d records", cpu, cpus, len(recs))
				}
			}
			if n := losses(m, probegen.LossBusy); n != 1 {
				t.Errorf("%d CPUs: %d lost, want 1", cpus, n)
			}
		}
	}
}

// TestPreempted runs other hits on the same CPU before each helper call of a
// hit, two deep: the second area serves the first of them, the deepest is
// lost, and no record shows anything of another.
func TestPreempted(t *testing.T) {
	for _, sleepable := range []bool{false, true} {
		person := structOf("main.Person", tString, tInt)
		f := planCase{name: "people", params: []*abi.Type{slice(person)}}.fn(0)
		f.Plan.Goroutine = 0
		p := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1, Sleepable: sleepable})
		m := newMachine(1 << 24)
		hits := make([]*hit, 3)
		for i := range hits {
			h := &hit{mem: bpfsim.NewMemory(), regs: map[abi.Reg]uint64{}, time: uint64(i), wait: sleepable}
			a := h.mem.Alloc(3*24, 8)
			for j := range uint64(3) {
				s := h.mem.Alloc(5, 1)
				h.mem.Put(s, bytes.Repeat([]byte{byte('a' + i)}, 5))
				h.mem.PutWord(a+24*j, s)
				h.mem.PutWord(a+24*j+8, 5)
				h.mem.PutWord(a+24*j+16, uint64(i))
			}
			h.regs[abi.RAX], h.regs[abi.RBX], h.regs[abi.RCX] = a, 3, 3
			hits[i] = h
		}
		depth, outer, inner, busy := 0, 0, 0, 0
		var run func()
		m.Hook = func(helper string) {
			// The locks are taken after the first helper call.
			if depth >= len(hits)-1 || helper == "get_smp_processor_id" {
				return
			}
			depth++
			run()
			depth--
			hits[depth].enter(m)
			m.Time = hits[depth].time
		}
		run = func() {
			hits[depth].enter(m)
			m.Time = hits[depth].time
			before := len(m.Ring.Records)
			lost := losses(m, probegen.LossBusy)
			if _, err := m.Run(p); err != nil {
				t.Fatal(err)
			}
			switch depth {
			case 0:
				outer++
			case 1:
				inner++
			default:
				busy++
				if losses(m, probegen.LossBusy) != lost+1 || len(m.Ring.Records) != before {
					t.Fatal("a third hit in the middle of two was not lost")
				}
			}
		}
		run()
		recs := m.Ring.Take()
		if len(recs) != outer+inner {
			t.Fatalf("%d records, want %d", len(recs), outer+inner)
		}
		for i, rec := range recs {
			which := rec[capture.OffTime]
			if err := diff(rec, hits[which].record(&f)); err != nil {
				t.Errorf("record %d, of hit %d: %v", i, which, err)
			}
		}
		t.Logf("sleepable %t: %d in the middle of one, %d lost in the middle of two", sleepable, inner, busy)
	}
}

// TestRecordFull reads more chunks than a record holds: what is beyond is cut,
// and the record stays within its bound.
func TestRecordFull(t *testing.T) {
	many := make([]*abi.Type, 90)
	for i := range many {
		many[i] = tString
	}
	f := planCase{name: "wide", params: []*abi.Type{structOf("main.Wide", many...)}, limits: capture.Limits{String: 8192, Bytes: 8192}}.fn(0)
	f.Plan.Goroutine = 0
	p := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
	for _, size := range []int{100, 8192, 8191, 300} {
		m := newMachine(1 << 20)
		h := stringHit(size, 'x')
		sp := h.mem.Alloc(8+90*16, 8)
		for i := range uint64(90) {
			h.mem.PutWord(sp+8+16*i, h.regs[abi.RAX])
			h.mem.PutWord(sp+8+16*i+8, uint64(size))
		}
		h.regs[abi.RSP] = sp
		h.enter(m)
		if _, err := m.Run(p); err != nil {
			t.Fatal(err)
		}
		rec := m.Ring.Take()[0]
		if err := diff(rec, h.record(&f)); err != nil {
			t.Errorf("strings of %d bytes: %v", size, err)
		}
		full := 90*size > capture.VarMax
		if cut := bytes.Contains(rec, []byte{0, 0, 0, 0, byte(abi.CutRecord), 0, 0, 0}); cut != full {
			t.Errorf("strings of %d bytes: record of %d bytes, cut %t", size, len(rec), cut)
		}
		if len(rec) > f.Plan.MaxRecord {
			t.Errorf("record of %d bytes, MaxRecord is %d", len(rec), f.Plan.MaxRecord)
		}
	}
}

// TestRecordFullExactly: a chunk is begun as long as the record is not longer
// than the bound, to the byte.
func TestRecordFullExactly(t *testing.T) {
	f := planCase{name: "four", params: []*abi.Type{structOf("main.Four", tString, tString, tString, tString, tString)}, limits: capture.Limits{String: 8192, Bytes: 8192}}.fn(0)
	f.Plan.Goroutine = 0
	p := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
	left := capture.VarMax - f.Plan.Fixed - 2*8192
	for extra, want := range map[int]bool{-8: true, 0: true, 1: false, 8: false} {
		m := newMachine(1 << 20)
		h := stringHit(8192, 'x')
		sp := h.mem.Alloc(8+5*16, 8)
		for i, size := range []int{8192, 8192, left + extra, 5, 5} {
			h.mem.PutWord(sp+8+16*uint64(i), h.regs[abi.RAX])
			h.mem.PutWord(sp+8+16*uint64(i)+8, uint64(size))
		}
		h.regs[abi.RSP] = sp
		h.enter(m)
		if _, err := m.Run(p); err != nil {
			t.Fatal(err)
		}
		rec := m.Ring.Take()[0]
		if err := diff(rec, h.record(&f)); err != nil {
			t.Errorf("%+d: %v", extra, err)
		}
		off, _ := capture.Slot(binary.LittleEndian.Uint64(rec[f.Plan.SlotBase+3*capture.SlotSize:]))
		if (off != 0) != want {
			t.Errorf("%+d: the fourth string is at %d", extra, off)
		}
	}
}

// TestAllReadsFail: each read that fails sets its own bit.
func TestAllReadsFail(t *testing.T) {
	var in []capture.Input
	for i := range 70 {
		in = append(in, capture.Input{Name: "p", Type: tInt, Location: abi.Location{{Size: 8, Kind: abi.InMemory, Reg: abi.AMD64.Ints[i%9], Disp: int64(i)}}})
	}
	f := intFunc()
	f.Plan = capture.Build(abi.AMD64, in, capture.Limits{})
	f.Plan.Goroutine = 152
	p := load(t, []probegen.Func{f}, probegen.Options{CPUs: 1})
	run := func(mem *bpfsim.Memory, bad int) uint64 {
		m := newMachine(4096)
		h := &hit{mem: mem, regs: map[abi.Reg]uint64{}}
		for i, r := range append(abi.AMD64.Ints, abi.R14) {
			h.regs[r] = uint64(1+i) << 20
			mem.Map(h.regs[r], 4096)
		}
		if bad >= 0 {
			h.regs[append(abi.AMD64.Ints, abi.R14)[bad]] = 0
		}
		h.enter(m)
		if _, err := m.Run(p); err != nil {
			t.Fatal(err)
		}
		rec := m.Ring.Take()[0]
		if err := diff(rec, h.record(&f)); err != nil {
			t.Error(err)
		}
		return binary.LittleEndian.Uint64(rec[capture.OffFailed:])
	}
	mem := bpfsim.NewMemory()
	if got := run(mem, -1); got != 0 {
		t.Errorf("bits %#x, want none", got)
	}
	all := uint64(0)
	for bad := range 10 {
		all |= run(mem, bad)
	}
	if want := uint64(1)<<capture.MaxFixedReads - 1; all != want {
		t.Errorf("bits %#x, want %#x", all, want)
	}
}

// TestMarksFull: a mark that finds no room costs the call, and is counted.
func TestMarksFull(t *testing.T) {
	set := intFunc()
	set.Mark = probegen.SetGrown
	p := load(t, []probegen.Func{set}, probegen.Options{CPUs: 1})
	k := &marks{t: t, m: newMachine(4096)}
	k.m.Hash.MaxEntries = 2
	k.want("first", k.hit(p, 1, 100, 0), 1)
	k.want("second", k.hit(p, 2, 100, 0), 1)
	k.want("third", k.hit(p, 3, 100, 0), 0)
	k.want("first again", k.hit(p, 1, 100, 0), 0)
	if n := losses(k.m, probegen.LossBusy); n != 1 {
		t.Errorf("%d lost, want 1", n)
	}
}
