package site

import (
	"errors"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// FuzzFind: any bytes give sites inside the function or one of the errors.
func FuzzFind(f *testing.F) {
	f.Add([]byte{0x49, 0x3b, 0x66, 0x10, 0x76, 0x04, 0x55, 0x90, 0x5d, 0xc3, 0xe8, 0, 0x10, 0, 0, 0xeb, 0xef}, uint64(0x401000))
	f.Add([]byte{0x48, 0x83, 0xc0, 0xfd, 0x48, 0x85, 0xc0, 0x7d, 0xf7, 0xc3}, uint64(0))
	f.Add([]byte{0x48, 0x8d, 0x15, 0, 0, 0, 0, 0xff, 0x24, 0xc2, 0xc3}, ^uint64(0))
	f.Fuzz(func(t *testing.T, code []byte, base uint64) {
		entry := symbols.VirtAddr(base)
		mem := func(a symbols.VirtAddr, buf []byte) error {
			if a&0x8000 != 0 {
				return errUnmapped
			}
			buf[0], buf[1], buf[2] = byte(base), byte(base>>8), byte(base>>16)
			return nil
		}
		s, err := FindIn(abi.AMD64, code, entry, abi.AMD64.Ints, mem)
		if err != nil {
			if !errors.Is(err, ErrNoSite) && !errors.Is(err, ErrDecode) && !errors.Is(err, ErrCodeSize) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		inside := func(p Probe) {
			if uint64(p.Addr-entry) >= uint64(len(code)) || p.Instr == "" {
				t.Fatalf("probe %+v outside of %d bytes at %#x", p, len(code), base)
			}
		}
		inside(s.Entry)
		for _, p := range s.Returns {
			inside(p)
		}
		for _, e := range s.Repeats {
			inside(e.Probe)
			if e.Taken == Never || e.Addr == s.Entry.Addr {
				t.Fatalf("back edge %+v", e)
			}
		}
	})
}
