package site

import (
	"errors"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// TestInlinedSite chooses sites in code of which the instructions from lo up to hi are
// the body of an inlined call, and the one at mark is the call's place.
func TestInlinedSite(t *testing.T) {
	for _, c := range []struct {
		name         string
		code         []byte
		lo, hi, mark int
		want         int // -1: none
	}{
		{"straight", []byte{0x90, 0x48, 0xff, 0xc0, 0xc3}, 1, 4, 0, 1},
		// nop; L: nop; inc %rax; cmp %rbx,%rax; jl L; ret
		{"in a loop of the caller", []byte{0x90, 0x90, 0x48, 0xff, 0xc0, 0x48, 0x39, 0xd8, 0x7c, 0xf7, 0xc3}, 2, 5, 1, 2},
		{"a loop of its own", []byte{0x90, 0x90, 0x48, 0xff, 0xc0, 0x48, 0x39, 0xd8, 0x7c, 0xf7, 0xc3}, 1, 10, 0, -1},
		// nop; test %rax,%rax; je +3; inc %rax; ret: only an arm of the body is left
		{"an arm", []byte{0x90, 0x48, 0x85, 0xc0, 0x74, 0x03, 0x48, 0xff, 0xc0, 0xc3}, 6, 9, 0, -1},
		{"with its condition", []byte{0x90, 0x48, 0x85, 0xc0, 0x74, 0x03, 0x48, 0xff, 0xc0, 0xc3}, 1, 9, 0, 1},
		// test; je +5; inc %rax; jmp +3; dec %rax; ret: two arms and no condition
		{"two arms", []byte{0x48, 0x85, 0xc0, 0x74, 0x05, 0x48, 0xff, 0xc0, 0xeb, 0x03, 0x48, 0xff, 0xc8, 0xc3}, 5, 13, 0, -1},
		{"no instruction", []byte{0x90, 0xc3}, 1, 1, 0, -1},
		{"no mark", []byte{0x90, 0x48, 0xff, 0xc0, 0xc3}, 1, 4, 2, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			const entry = 0x401000
			w, err := NewFlow(abi.AMD64, c.code, entry, nil)
			if err != nil {
				t.Fatal(err)
			}
			body := func(a symbols.VirtAddr) bool { return int(a-entry) >= c.lo && int(a-entry) < c.hi }
			p, err := w.InlinedSite(body, entry+symbols.VirtAddr(c.mark))
			switch {
			case c.want < 0 && !errors.Is(err, ErrNoSite):
				t.Errorf("%#x, %v, want none", uint64(p.Addr), err)
			case c.want >= 0 && (err != nil || int(p.Addr-entry) != c.want):
				t.Errorf("%#x, %v, want %#x", uint64(p.Addr), err, entry+c.want)
			}
		})
	}
}

// FuzzFlow: any bytes have a flow, or one of the errors.
func FuzzFlow(f *testing.F) {
	f.Add([]byte{0x90, 0x48, 0x85, 0xc0, 0x74, 0x03, 0x48, 0xff, 0xc0, 0xc3}, uint16(1), uint16(9))
	f.Add([]byte{0x48, 0x8d, 0x15, 0, 0, 0, 0, 0xff, 0x24, 0xc2, 0xc3}, uint16(0), uint16(4))
	f.Fuzz(func(t *testing.T, code []byte, lo, hi uint16) {
		for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
			const entry = 0x401000
			w, err := NewFlow(a, code, entry, nil)
			if err != nil {
				continue
			}
			body := func(a symbols.VirtAddr) bool {
				return a >= entry+symbols.VirtAddr(lo) && a < entry+symbols.VirtAddr(hi)
			}
			p, err := w.InlinedSite(body, entry)
			if err == nil && !body(p.Addr) {
				t.Fatalf("site %#x is not of the body", uint64(p.Addr))
			}
			if err != nil && !errors.Is(err, ErrNoSite) {
				t.Fatal(err)
			}
			w.Jump(entry + symbols.VirtAddr(lo))
			for _, b := range w.Before(entry + symbols.VirtAddr(lo)) {
				if b < entry || b >= entry+symbols.VirtAddr(len(code)) {
					t.Fatalf("%#x comes before", uint64(b))
				}
			}
		}
	})
}
