package capture_test

import (
	"math"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

func TestWithDefaults(t *testing.T) {
	type l = capture.Limits
	for _, tt := range []struct{ in, want l }{
		{l{}, l{String: 512, Elems: 64, Bytes: 4096, Depth: 1}},
		{l{String: 1, Elems: 2, Bytes: 3, Depth: 4}, l{String: 1, Elems: 2, Bytes: 3, Depth: 4}},
		{l{Depth: -1}, l{String: 512, Elems: 64, Bytes: 4096, Depth: 0}},
		{l{Depth: 5}, l{String: 512, Elems: 64, Bytes: 4096, Depth: 4}},
		{l{Bytes: 8193}, l{String: 512, Elems: 64, Bytes: 8192, Depth: 1}},
		{l{Bytes: 100}, l{String: 100, Elems: 64, Bytes: 100, Depth: 1}}, // a string is no longer than a value
		{l{String: 5000}, l{String: 4096, Elems: 64, Bytes: 4096, Depth: 1}},
		{l{String: math.MaxInt, Elems: math.MaxInt, Bytes: math.MaxInt, Depth: math.MaxInt}, l{String: 8192, Elems: 1024, Bytes: 8192, Depth: 4}},
		{l{String: -1, Elems: -1, Bytes: -1, Depth: math.MinInt}, l{}},
	} {
		got := tt.in.WithDefaults()
		if got.Objects != 256 || got.Record != 16<<10 {
			t.Errorf("%+v: %+v", tt.in, got)
		}
		got.Objects, got.Record = 0, 0
		if got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

func TestImageRef(t *testing.T) {
	m := &capture.Image{Refs: []capture.Ref{{Offset: 0}, {Offset: 8}, {Offset: 32}}}
	for off := int64(-1); off < 40; off++ {
		r, ok := m.Ref(off)
		want := off == 0 || off == 8 || off == 32
		if ok != want || ok && r.Offset != off {
			t.Errorf("Ref(%d) = %v, %t", off, r, ok)
		}
	}
	if _, ok := new(capture.Image).Ref(0); ok {
		t.Error("a reference of an empty image")
	}
}

func TestImageAbsent(t *testing.T) {
	m := &capture.Image{Size: 32, Holes: []capture.Hole{
		{Offset: 8, Size: 4, Reason: abi.OptimizedOut},
		{Offset: 24, Size: 16, Reason: abi.NotResident},
	}}
	for _, tt := range []struct {
		off, size int64
		want      abi.Reason
	}{
		{0, 8, abi.Present},
		{0, 9, abi.OptimizedOut},
		{8, 1, abi.OptimizedOut},
		{11, 1, abi.OptimizedOut},
		{12, 12, abi.Present},
		{12, 13, abi.NotResident},
		{0, 32, abi.OptimizedOut}, // the first hole
		{31, 1, abi.NotResident},
		{32, 8, abi.NotResident}, // the hole reaches beyond the cut
		{40, 1, abi.CutValue},
		{40, 0, abi.CutValue},
		{0, 0, abi.Present},
	} {
		if got := m.Absent(tt.off, tt.size); got != tt.want {
			t.Errorf("Absent(%d, %d) = %v, want %v", tt.off, tt.size, got, tt.want)
		}
	}
}

func TestSlot(t *testing.T) {
	for _, r := range []abi.Reason{abi.Present, abi.Cut, abi.NotResident, abi.Implausible} {
		if off, count := capture.Slot(capture.NoSlot(r)); off != 0 || abi.Reason(count) != r {
			t.Errorf("%v: offset %d, count %d", r, off, count)
		}
	}
	if off, count := capture.Slot(0x1234_5678_9abc_def0); off != 0x9abc_def0 || count != 0x1234_5678 {
		t.Errorf("offset %#x, count %#x", off, count)
	}
}

func TestAlign8(t *testing.T) {
	for n, want := range map[int64]int64{0: 0, 1: 8, 7: 8, 8: 8, 9: 16, 4095: 4096} {
		if got := capture.Align8(n); got != want {
			t.Errorf("Align8(%d) = %d, want %d", n, got, want)
		}
	}
}

// TestChunkLimit: what a chunk takes at most, its elements with their slots,
// stays within what the scratch memory has room for.
func TestChunkLimit(t *testing.T) {
	for _, tt := range []struct {
		size  int64
		slots int
		limit int
		want  int
	}{
		{16, 1, 64, 64},
		{16, 0, 64, 64},
		{24, 8, 341, 128},
		{8, 1, 1024, 1024},
		{8, 2, 1024, 512},
		{8192, 96, 1, 1},
	} {
		r := capture.Ref{Limit: tt.limit, Elem: &capture.Image{Size: tt.size, Slots: tt.slots}}
		got := r.ChunkLimit()
		if got != tt.want || got*tt.slots*capture.SlotSize > capture.MaxChunk {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
