package probegen_test

import (
	"encoding/binary"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// TestReceiver follows pointers from a register and from the frame to a receiver:
// a nil on the way is no call, and what cannot be read is lost.
func TestReceiver(t *testing.T) {
	for _, budget := range []int32{0, 1 << 30} {
		f := planCase{name: "via"}.fn(3)
		value := capture.Input{Name: "t", Type: tInt, Location: abi.Location{
			{Size: 8, Kind: abi.InMemory, Reg: probegen.RegReceiver, Disp: 16}}}
		address := capture.Input{Name: "p", Type: tInt, Location: abi.Location{
			{Size: 8, Kind: abi.InRegister, Reg: probegen.RegReceiver}}}
		f.Plan = capture.Build(f.Arch, []capture.Input{value, address}, capture.Limits{})
		mem := bpfsim.NewMemory()
		outer, inner, sp := mem.Alloc(64, 8), mem.Alloc(64, 8), mem.Alloc(64, 8)
		mem.PutWord(outer+8, inner)
		mem.PutWord(outer+24, 0)
		mem.PutWord(inner+20, 77)
		for _, tt := range []struct {
			name  string
			ptr   uint64
			steps []int64
			sent  int
			lost  byte
			want  uint64
		}{
			{"behind two pointers", outer, []int64{8}, 1, 0, inner + 4},
			{"behind one", inner, nil, 1, 0, inner + 4},
			{"nil", 0, []int64{8}, 0, 0, 0},
			{"nil behind the first", outer, []int64{24}, 0, 0, 0},
			{"unreadable", 0x1000, []int64{8}, 0, 1, 0},
		} {
			for _, frame := range []bool{false, true} {
				f.Receiver = &probegen.Receiver{Base: abi.Piece{Size: 8, Kind: abi.InRegister, Reg: f.Arch.Ints[0]}, Steps: tt.steps, Disp: 4}
				h := &hit{arch: f.Arch, regs: map[abi.Reg]uint64{f.Arch.SP: sp, f.Arch.Ints[0]: tt.ptr}, mem: mem, pid: 1, tid: 2}
				if frame {
					f.Receiver.Base = abi.Piece{Size: 8, Kind: abi.InFrame, CFA: 16}
					h.regs[f.Arch.Ints[0]] = 0
					mem.PutWord(sp+uint64(f.CFA)+16, tt.ptr)
				}
				o := probegen.Options{CPUs: simCPUs, Limits: probegen.Limits{Budget: budget}}
				m := newMachine(1 << 20)
				h.enter(m)
				m.PID, m.TID = h.pid, h.tid
				if _, err := m.Run(load(t, []probegen.Func{f}, o)); err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				got := m.Ring.Take()
				if len(got) != tt.sent || losses(m, probegen.LossUnread) != tt.lost {
					t.Errorf("%s, frame %t: %d records, %d lost, want %d, %d", tt.name, frame, len(got), losses(m, probegen.LossUnread), tt.sent, tt.lost)
					continue
				}
				if tt.sent > 0 {
					v := binary.LittleEndian.Uint64(got[0][f.Plan.Params[0].Offset:])
					p := binary.LittleEndian.Uint64(got[0][f.Plan.Params[1].Offset:])
					if v != 77 || p != tt.want {
						t.Errorf("%s, frame %t: %d at %#x, want 77 at %#x", tt.name, frame, v, p, tt.want)
					}
				}
			}
		}
	}
}
