package bpfsim_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/bpfsim"
)

func newMachine() *bpfsim.Machine {
	ctx := make([]byte, 168)
	binary.LittleEndian.PutUint64(ctx[80:], 0xdeadbeef12345678)
	return &bpfsim.Machine{
		Context: ctx, Target: bpfsim.NewMemory(), Task: []byte("0123456789abcdef"),
		CPU: 1, PID: 7, TID: 9, Time: 1e9, Cookie: 5,
		Arrays: map[string][]byte{"array": append([]byte{42}, make([]byte, 63)...), "elements": {
			42, 0, 0, 0, 0, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0,
		}},
		Elements: map[string]int{"elements": 3},
		Hash:     bpfsim.Hash{KeySize: 8, ValueSize: 1, MaxEntries: 2},
		Hashes: map[string]*bpfsim.Hash{"hash": {KeySize: 4, ValueSize: 8, MaxEntries: 1, Entries: map[string][]byte{
			"\x07\x00\x00\x00": {45, 0, 0, 0, 0, 0, 0, 0},
		}}},
		Ring: bpfsim.Ring{Size: 64},
	}
}

func imm64(r asm.Register, v int64) asm.Instruction { return asm.LoadImm(r, v, asm.DWord) }

func mapPtr(r asm.Register) asm.Instruction { return asm.LoadMapPtr(r, 0).WithReference("map") }

// key writes a key and a value to the stack, and the arguments of a map helper.
func key(k int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R1, k), asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord), asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord),
		mapPtr(asm.R1), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -16),
	}
}

func join(parts ...asm.Instructions) (all asm.Instructions) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func xchg(dst, src asm.Register) asm.Instruction {
	in := asm.Xchg.Mem(dst, src, asm.DWord, 0)
	in.Constant = int64(asm.Xchg >> 8)
	return in
}

// lookup reads the first word of an array element, 0 if there is none, and
// leaves its address in R6.
func lookup(name string, key int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R1, key), asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, 0).WithReference(name),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.JEq.Imm(asm.R0, 0, "none"),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord),
		asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("none"),
	}
}

// readTask reads eight bytes of the task, and adds them to what the helper
// returned.
func readTask(at int32) asm.Instructions {
	return asm.Instructions{
		asm.FnGetCurrentTask.Call(), asm.Mov.Reg(asm.R3, asm.R0), asm.Add.Imm(asm.R3, at),
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.Mov.Imm(asm.R2, 8),
		asm.FnProbeReadKernel.Call(),
		asm.LoadMem(asm.R1, asm.RFP, -8, asm.DWord), asm.Add.Reg(asm.R0, asm.R1),
	}
}

func TestRun(t *testing.T) {
	array := asm.LoadMapValue(asm.R1, 0, 8).WithReference("array")
	minus := func(n int64) uint64 { return uint64(-n) }
	for _, tt := range []struct {
		name string
		ins  asm.Instructions
		want uint64
	}{
		{"mov", asm.Instructions{asm.Mov.Imm(asm.R0, -1)}, minus(1)},
		{"mov32", asm.Instructions{asm.Mov.Imm32(asm.R0, -1)}, 0xffffffff},
		{"imm64", asm.Instructions{imm64(asm.R0, -1<<62+1)}, minus(1<<62 - 1)},
		{"alu", asm.Instructions{
			asm.Mov.Imm(asm.R0, 6), asm.Mul.Imm(asm.R0, 7), asm.LSh.Imm(asm.R0, 4), asm.RSh.Imm(asm.R0, 1),
			asm.Or.Imm(asm.R0, 1), asm.Xor.Imm(asm.R0, 3), asm.And.Imm(asm.R0, -2), asm.Sub.Imm(asm.R0, 1),
		}, (42<<3|1^3)&^1 - 1},
		{"context", asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 80, asm.DWord)}, 0xdeadbeef12345678},
		{"context byte", asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 83, asm.Byte)}, 0x12},
		{"stack", asm.Instructions{
			imm64(asm.R2, 0x1122334455667788), asm.StoreMem(asm.RFP, -8, asm.R2, asm.DWord),
			asm.Mov.Imm(asm.R2, -1), asm.StoreMem(asm.RFP, -6, asm.R2, asm.Half),
			asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord),
		}, 0x11223344ffff7788},
		{"signed jump", asm.Instructions{
			asm.Mov.Imm(asm.R0, -1), asm.JSLT.Imm(asm.R0, 0, "end"), asm.Mov.Imm(asm.R0, 1),
			asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("end"),
		}, minus(1)},
		{"unsigned jump", asm.Instructions{
			asm.Mov.Imm(asm.R0, -1), asm.JLE.Imm(asm.R0, 8, "end"), asm.Mov.Imm(asm.R0, 1),
			asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("end"),
		}, 1},
		{"add atomic", asm.Instructions{
			array, asm.Mov.Imm(asm.R2, 3), asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
			asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0), asm.LoadMem(asm.R0, asm.R1, 0, asm.DWord),
		}, 6},
		{"xchg", asm.Instructions{
			array, asm.Mov.Imm(asm.R2, 3), xchg(asm.R1, asm.R2), xchg(asm.R1, asm.R2),
			asm.Mov.Reg(asm.R0, asm.R2),
		}, 3},
		{"cpu", asm.Instructions{asm.FnGetSmpProcessorId.Call()}, 1},
		{"pid", asm.Instructions{asm.FnGetCurrentPidTgid.Call()}, 7<<32 | 9},
		{"time", asm.Instructions{asm.FnKtimeGetNs.Call()}, 1e9},
		{"cookie", asm.Instructions{asm.FnGetAttachCookie.Call()}, 5},
		{"delete nothing", join(key(1), asm.Instructions{asm.FnMapDeleteElem.Call()}), minus(2)},
		{"update twice", join(
			key(1), asm.Instructions{asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call()},
			key(1), asm.Instructions{asm.Mov.Imm(asm.R4, 1), asm.FnMapUpdateElem.Call()},
		), minus(17)},
		{"full map", join(
			key(1), asm.Instructions{asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call()},
			key(2), asm.Instructions{asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call()},
			key(3), asm.Instructions{asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call()},
		), minus(7)},
		{"read of nothing clears", asm.Instructions{
			asm.Mov.Imm(asm.R1, -1), asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.Mov.Imm(asm.R2, 8), asm.Mov.Imm(asm.R3, 0),
			asm.FnProbeReadUser.Call(),
			asm.LoadMem(asm.R6, asm.RFP, -8, asm.DWord), asm.Add.Reg(asm.R0, asm.R6),
		}, minus(14)},
		{"task", readTask(8), binary.LittleEndian.Uint64([]byte("89abcdef"))},
		{"behind the task", readTask(9), minus(14)},
		{"before the task", readTask(-1), minus(14)},
		{"element", lookup("array", 0), 42},
		{"element of several", lookup("elements", 2), 44},
		{"no element", lookup("elements", 3), 0},
		{"entry", lookup("hash", 7), 45},
		{"no entry", lookup("hash", 8), 0},
		{"full ring", asm.Instructions{
			mapPtr(asm.R1), asm.Mov.Imm(asm.R2, 57), asm.Mov.Imm(asm.R3, 0), asm.FnRingbufReserve.Call(),
		}, 0},
		{"loop", asm.Instructions{
			asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R1, 5),
			asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1}.WithReference("each"),
			asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -8), asm.Mov.Imm(asm.R4, 0),
			asm.FnLoop.Call(),
			asm.LoadMem(asm.R1, asm.RFP, -8, asm.DWord), asm.LSh.Imm(asm.R0, 8), asm.Or.Reg(asm.R0, asm.R1), asm.Return(),
			asm.LoadMem(asm.R3, asm.R2, 0, asm.DWord).WithSymbol("each"), asm.Add.Reg(asm.R3, asm.R1),
			asm.StoreMem(asm.R2, 0, asm.R3, asm.DWord),
			asm.Mov.Imm(asm.R0, 0), asm.JLT.Imm(asm.R1, 3, "end"), asm.Mov.Imm(asm.R0, 1),
			asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("end"),
		}, 4<<8 + 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := bpfsim.Load(append(tt.ins, asm.Return()))
			if err != nil {
				t.Fatal(err)
			}
			got, err := newMachine().Run(p)
			if err != nil || got != tt.want {
				t.Errorf("got %#x, %v, want %#x", got, err, tt.want)
			}
		})
	}
}

// TestFaults checks that the interpreter is as strict as it says: a test that
// uses it can fail.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		ins  asm.Instructions
		want string
	}{
		{"unwritten register", asm.Instructions{asm.Mov.Reg(asm.R0, asm.R3)}, "register 3 was not written"},
		{"register lost in a call", asm.Instructions{asm.Mov.Imm(asm.R2, 1), asm.FnKtimeGetNs.Call(), asm.Add.Reg(asm.R0, asm.R2)}, "register 2"},
		{"no result", asm.Instructions{}, "register 0"},
		{"unwritten stack", asm.Instructions{asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord)}, "not written"},
		{"above the stack", asm.Instructions{asm.LoadMem(asm.R0, asm.RFP, 0, asm.DWord)}, "it has 512"},
		{"below the stack", asm.Instructions{asm.StoreMem(asm.RFP, -520, asm.R1, asm.DWord)}, "8 bytes at"},
		{"misaligned", asm.Instructions{asm.StoreMem(asm.RFP, -12, asm.R1, asm.DWord)}, "misaligned"},
		{"write to the context", asm.Instructions{asm.StoreMem(asm.R1, 0, asm.R1, asm.DWord)}, "write to context"},
		{"behind the context", asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 168, asm.DWord)}, "it has 168"},
		{"number as pointer", asm.Instructions{asm.Mov.Imm(asm.R2, 64), asm.LoadMem(asm.R0, asm.R2, 0, asm.DWord)}, "no such memory"},
		{"behind an array", asm.Instructions{asm.LoadMapValue(asm.R1, 0, 60).WithReference("array"), asm.LoadMem(asm.R0, asm.R1, 0, asm.DWord)}, "it has 64"},
		{"behind an element", append(lookup("elements", 1), asm.FnGetSmpProcessorId.Call(), asm.LoadMem(asm.R0, asm.R6, 1, asm.DWord)), "it has 8"},
		{"element of a hash", lookup("map", 0), "no array"},
		{"behind an entry", append(lookup("hash", 7), asm.LoadMem(asm.R0, asm.R6, 8, asm.Byte)), "it has 8"},
		{"value of several", asm.Instructions{asm.LoadMapValue(asm.R1, 0, 0).WithReference("elements")}, "of one element"},
		{"write to fp", asm.Instructions{asm.Add.Imm(asm.RFP, -8)}, "write to register 10"},
		{"record kept", asm.Instructions{mapPtr(asm.R1), asm.Mov.Imm(asm.R2, 8), asm.Mov.Imm(asm.R3, 0), asm.FnRingbufReserve.Call()}, "not submitted"},
		{"no record", asm.Instructions{asm.Mov.Imm(asm.R2, 0), asm.FnRingbufSubmit.Call()}, "no reserved record"},
		{"unknown helper", asm.Instructions{asm.FnGetCurrentCgroupId.Call()}, "not known"},
		{"task without a helper", asm.Instructions{asm.FnGetCurrentTask.Call(), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord)}, "no such memory"},
		{"missing argument", asm.Instructions{mapPtr(asm.R1), asm.Mov.Imm(asm.R2, 8), asm.FnRingbufReserve.Call()}, "register 3"},
		{"endless", asm.Instructions{asm.Ja.Label("self").WithSymbol("self")}, "too many steps"},
		{"signed division", asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.SDiv.Imm(asm.R0, 1)}, "unknown instruction"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := bpfsim.Load(append(tt.ins, asm.Return()))
			if err != nil {
				t.Fatal(err)
			}
			_, err = newMachine().Run(p)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want …%s…", err, tt.want)
			}
		})
	}
}

// TestIntErrors: as before Linux 6.4.
func TestIntErrors(t *testing.T) {
	p, err := bpfsim.Load(join(key(1), asm.Instructions{asm.FnMapDeleteElem.Call(), asm.Return()}))
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine()
	m.IntErrors = true
	if got, err := m.Run(p); err != nil || got != 0xffff_fffe {
		t.Errorf("got %#x, %v", got, err)
	}
}

// TestOldKernel: what an old kernel lacks is a fault on a machine as old.
func TestOldKernel(t *testing.T) {
	array := asm.LoadMapValue(asm.R1, 0, 8).WithReference("array")
	old := newMachine()
	old.NoAtomics, old.NoLoops = true, true
	for _, tt := range []struct {
		name string
		ins  asm.Instructions
		ok   bool
	}{
		{"exchange", asm.Instructions{array, asm.Mov.Imm(asm.R0, 3), xchg(asm.R1, asm.R0)}, false},
		{"addition", asm.Instructions{array, asm.Mov.Imm(asm.R0, 3), asm.AddAtomic.Mem(asm.R1, asm.R0, asm.DWord, 0)}, true},
		{"loop", asm.Instructions{
			asm.Mov.Imm(asm.R1, 0),
			asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1}.WithReference("each"),
			asm.Mov.Imm(asm.R3, 0), asm.Mov.Imm(asm.R4, 0), asm.FnLoop.Call(), asm.Return(),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("each"),
		}, false},
	} {
		p, err := bpfsim.Load(append(tt.ins, asm.Return()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newMachine().Run(p); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if _, err := old.Run(p); (err == nil) != tt.ok {
			t.Errorf("%s on an old kernel: %v", tt.name, err)
		}
	}
}

func TestMemory(t *testing.T) {
	m := bpfsim.NewMemory()
	a := m.Alloc(5000, 8)
	if a%8 != 0 {
		t.Errorf("address %#x", a)
	}
	m.PutWord(a+4090, 42)
	b := make([]byte, 8)
	if !m.Read(a+4090, b, false) || binary.LittleEndian.Uint64(b) != 42 {
		t.Error("a word across pages", b)
	}
	if m.Read(a+4996, b, false) {
		t.Error("read beyond the end")
	}
	if m.Read(^uint64(0)-3, b, false) {
		t.Error("read around the end of memory")
	}
	m.Evict(a, 1)
	if m.Read(a, b, false) || !m.Read(a, b, true) {
		t.Error("a page to fetch")
	}
	if low := bpfsim.NewMemoryAt(0x8000).Alloc(8, 8); low != 0x8ff8 {
		t.Errorf("address %#x", low)
	}
	m.Unmap(a, 1)
	if m.Read(a, b, true) || !m.Read(a+4096, b, true) {
		t.Error("a page that is gone")
	}
}
