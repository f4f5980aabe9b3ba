package probegen_test

import (
	"encoding/binary"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// TestPanics hits the functions of the runtime that tell of panics at several
// depths, and requires that the recovery is told once, by the first frame that is
// further up than the last panic.
func TestPanics(t *testing.T) {
	plan := capture.Build(abi.AMD64, nil, capture.Limits{Pair: true})
	plan.Goroutine = 152
	roles := []probegen.Role{probegen.RolePanic, probegen.RoleFatal, probegen.RoleExit, probegen.RoleUnwound}
	var funcs []probegen.Func
	for i, role := range roles {
		funcs = append(funcs, probegen.Func{
			Cookie: uint32(i), Arch: abi.AMD64, Plan: plan, Role: role, CFA: 8, Skip: probegen.Never,
			G: probegen.G{Kind: probegen.GRegister, Reg: abi.R14},
		})
	}
	prog := load(t, funcs, probegen.Options{CPUs: simCPUs})
	m := newMachine(1 << 20)
	open := &bpfsim.Hash{KeySize: probegen.OpenKeySize, ValueSize: probegen.OpenSize, MaxEntries: 8}
	m.Hashes[probegen.MapOpen] = open
	mem := bpfsim.NewMemory()
	var gs []uint64
	for i := range uint64(2) {
		g := mem.Alloc(200, 8)
		mem.PutWord(g+8, 0x7000)
		mem.PutWord(g+152, i+1)
		gs = append(gs, g)
	}
	for i, tt := range []struct {
		goroutine uint64
		role      int
		depth     uint64
		tells     bool
	}{
		{1, 3, 16, false}, // it has not panicked
		{1, 0, 400, true},
		{2, 3, 16, false},  // another goroutine has not
		{1, 3, 480, false}, // a deferred function returns
		{1, 0, 560, true},  // a deferred function panics
		{1, 3, 480, true},  // and is recovered
		{1, 3, 16, false},
		{1, 0, 400, true},
		{1, 1, 440, true},
		{2, 2, 80, true},
		{1, 3, 400, false}, // the frame of the panic itself
		{1, 3, 392, true},
	} {
		h := &hit{
			regs: map[abi.Reg]uint64{abi.R14: gs[tt.goroutine-1], abi.RSP: 0x7000 - tt.depth - 8},
			mem:  mem, pid: 7, tid: 8, time: uint64(100 + i),
		}
		h.enter(m)
		m.Cookie, m.PID, m.TID, m.Time = uint64(tt.role), h.pid, h.tid, h.time
		if _, err := m.Run(prog); err != nil {
			t.Fatalf("hit %d: %v", i, err)
		}
		got := m.Ring.Take()
		if (len(got) == 1) != tt.tells {
			t.Fatalf("hit %d %+v: %d records", i, tt, len(got))
		}
		if len(got) == 0 {
			continue
		}
		if err := diff(got[0], h.record(&funcs[tt.role])); err != nil {
			t.Errorf("hit %d: %v", i, err)
		}
		if d := binary.LittleEndian.Uint64(got[0][plan.Pair+capture.PairDepth:]); d != tt.depth {
			t.Errorf("hit %d: depth %d, want %d", i, d, tt.depth)
		}
	}
	if len(open.Entries) != 0 {
		t.Errorf("left behind: %x", open.Entries)
	}
}
