package site

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// FuzzFindARM64 is FuzzFind for arm64.
func FuzzFindARM64(f *testing.F) {
	for _, listing := range []string{small111, medium117, huge111, huge116, huge117, small118, small127, medium127, huge120} {
		f.Add(assembleARM64(f, listing), uint64(codeBase), uint16(0x1f))
	}
	f.Add(assembleARM64(f, "d1000c00\nb6ffffe0\nd65f03c0"), uint64(0), uint16(1))                              // loop by a bit
	f.Add(assembleARM64(f, "b0000001\n91000021\nf860783b\nd61f0360\nd65f03c0"), ^uint64(3), uint16(0))         // table
	f.Add(assembleARM64(f, "c85ffc03\n8b010063\nc804fc03\n35ffffa4\nd65f03c0"), uint64(0x1000), uint16(1<<15)) // exclusive
	f.Fuzz(func(t *testing.T, code []byte, base uint64, regs uint16) {
		entry := symbols.VirtAddr(base)
		mem := func(a symbols.VirtAddr, buf []byte) error {
			if a&0x8000 != 0 {
				return errUnmapped
			}
			clear(buf)
			binary.LittleEndian.PutUint16(buf, uint16(base)+uint16(a&0xff))
			return nil
		}
		var live []abi.Reg
		for i, r := range abi.ARM64.Ints {
			if regs>>i&1 != 0 {
				live = append(live, r)
			}
		}
		Spills(abi.ARM64, code, entry)
		TLSOffset(abi.ARM64, code, entry)
		s, err := FindIn(abi.ARM64, code, entry, live, mem)
		if err != nil {
			if !errors.Is(err, ErrNoSite) && !errors.Is(err, ErrDecode) && !errors.Is(err, ErrCodeSize) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		inside := func(p Probe) {
			if uint64(p.Addr-entry) >= uint64(len(code)) || p.Addr%4 != 0 || p.Instr == "" || p.Size != 4 {
				t.Fatalf("probe %+v outside of %d bytes at %#x", p, len(code), base)
			}
		}
		inside(s.Entry)
		if s.Grow != nil {
			inside(*s.Grow)
		}
		for _, p := range s.Returns {
			inside(p)
		}
		for _, e := range s.Repeats {
			inside(e.Probe)
			if e.Taken == Never && e.Test.Mask == 0 || e.Addr == s.Entry.Addr {
				t.Fatalf("back edge %+v", e)
			}
		}
	})
}
